from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from avemo_ros.annotations.segments import (
    Segment,
    agreement,
    cohen_kappa,
    fleiss_by_class,
    fleiss_kappa,
)

# Fleiss 1971, table 1: 30 patients, 6 psychiatrists each; depression, personality disorder,
# schizophrenia, neurosis, other.
DIAGNOSES = np.array(
    [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
        [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
        [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
        [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
        [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
        [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ]
)  # fmt: skip


def seg(start_s: float, end_s: float, label: str, annotator: str, person: str = "A") -> Segment:
    return Segment(round(start_s * 1e9), round(end_s * 1e9), label, person, annotator)


def test_fleiss_kappa_is_that_of_the_paper() -> None:
    assert fleiss_kappa(DIAGNOSES) == pytest.approx(0.430, abs=5e-4)
    assert fleiss_by_class(DIAGNOSES) == pytest.approx(
        [0.245, 0.245, 0.520, 0.471, 0.566], abs=5e-4
    )


def test_cohen_kappa_is_that_of_the_paper() -> None:
    # Cohen 1960, table 1, as counts of 200: p_o = 140 / 200, p_e = 0.41
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert cohen_kappa(table) == pytest.approx((0.70 - 0.41) / (1 - 0.41))


def test_cohen_kappa_agrees_with_scikit_learn() -> None:
    chance = np.random.default_rng(0)
    first, second = chance.integers(0, 5, 400), chance.integers(0, 5, 400)
    second[:200] = first[:200]
    table = np.zeros((5, 5), np.int64)
    np.add.at(table, (first, second), 1)
    assert cohen_kappa(table) == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_of_nothing_or_of_one_class_cannot_be_told() -> None:
    assert math.isnan(cohen_kappa(np.zeros((3, 3), np.int64)))
    assert math.isnan(cohen_kappa(np.array([[5, 0], [0, 0]])))
    assert math.isnan(fleiss_kappa(np.zeros((0, 3), np.int64)))
    assert math.isnan(fleiss_kappa(np.array([[3, 0], [3, 0]])))
    assert np.isnan(fleiss_by_class(np.array([[3, 0], [3, 0]]))).all()


def test_one_annotator_has_nobody_to_agree_with() -> None:
    assert agreement([[seg(0, 5, "sad", "x")], [seg(0, 5, "sad", "x")]]) is None


def test_two_are_compared_where_both_have_judged() -> None:
    found = agreement(
        [
            [
                seg(0, 2, "happy", "x"),
                seg(2, 4, "sad", "x"),
                seg(1, 3, "happy", "y"),
                seg(3, 9, "sad", "y"),
                seg(0, 4, "sad", "y", "B"),
            ]
        ]
    )
    assert found is not None
    # 1 to 2 s happy/happy, 2 to 3 s sad/happy, 3 to 4 s sad/sad: ten moments each.
    # p_o = 2/3; x says happy 1/3, y 2/3: p_e = 2/9 + 2/9; kappa = (2/3 - 4/9) / (5/9).
    assert found["annotators"] == ["x", "y"]
    assert found["seconds"] == 3.0
    assert found["observed"] == pytest.approx(2 / 3)
    assert found["kappa"] == {"name": "cohen", "value": pytest.approx(0.4), "why": ""}
    assert found["labels"]["happy"] == pytest.approx(0.4)
    assert math.isnan(found["labels"]["fear"])
    assert found["pairs"][0]["kappa"] == found["kappa"]["value"]


def test_three_are_compared_where_two_or_more_have_judged_and_two_by_two() -> None:
    found = agreement(
        [
            [seg(0, 2, "happy", "x"), seg(0, 2, "happy", "y"), seg(0, 1, "happy", "z")],
            [seg(5, 6, "sad", "x"), seg(5, 6, "sad", "y"), seg(5, 6, "happy", "z")],
        ]
    )
    assert found is not None
    assert found["seconds"] == 3.0
    # Ten moments each (3, 0), (2, 0), (1, 2): P = (1 + 1 + 1/3) / 3, and the share of happy is
    # 7/9, too, that of sad 2/9, so by chance they agree in 49/81 + 4/81 of all.
    assert found["kappa"]["name"] == "fleiss"
    assert found["kappa"]["value"] == pytest.approx((63 - 53) / (81 - 53))
    assert found["observed"] == pytest.approx(7 / 9)
    pairs = {(pair["first"], pair["second"]): pair for pair in found["pairs"]}
    assert pairs["x", "y"]["kappa"] == 1.0
    assert pairs["x", "y"]["seconds"] == 3.0
    assert pairs["y", "z"]["observed"] == 0.5


def test_other_annotators_in_every_recording_are_compared_over_all_of_them() -> None:
    found = agreement(
        [
            [seg(0, 2, "sad", "a"), seg(0, 1, "sad", "b"), seg(1, 2, "fear", "b")],
            [seg(0, 1, "fear", "c"), seg(0, 1, "fear", "d"), seg(0, 9, "happy", "c", "B")],
            [seg(0, 1, "sad", who) for who in "abc"],
        ]
    )
    assert found is not None
    # Ten moments each: sad sad, sad fear, fear fear, sad sad sad; B is judged by one alone.
    assert found["annotators"] == ["a", "b", "c", "d"]
    assert found["seconds"] == 4.0
    assert found["observed"] == pytest.approx(3 / 4)
    # Shares 1, 1/2, 0 and 1 of sad: 5/8; P_e = 25/64 + 9/64; kappa = (3/4 - 17/32) / (15/32).
    assert found["kappa"] == {"name": "fleiss", "value": pytest.approx(7 / 15), "why": ""}
    # Of two classes each alone says the same as both.
    assert found["labels"]["sad"] == found["labels"]["fear"] == pytest.approx(7 / 15)
    assert math.isnan(found["labels"]["happy"])
    met = {(pair["first"], pair["second"]): pair["seconds"] for pair in found["pairs"]}
    never = {("a", "d"): 0, ("b", "d"): 0}
    assert met == {("a", "b"): 3, ("a", "c"): 1, ("b", "c"): 1, ("c", "d"): 1, **never}


def test_fleiss_kappa_with_more_annotators_of_some_items_weighs_every_item_alike() -> None:
    counts = np.array([[2, 0], [1, 1], [0, 2]])
    assert fleiss_kappa(counts * [[1], [3], [1]]) == pytest.approx(
        # Shares stay 1/2; of 3 and 3 the pairs that agree are 6 + 6 of 30.
        ((1 + 12 / 30 + 1) / 3 - 1 / 2) / (1 / 2)
    )


def test_annotators_who_never_meet_have_no_kappa() -> None:
    found = agreement([[seg(0, 1, "sad", "x"), seg(1, 2, "sad", "y"), seg(3, 4, "sad", "z")]])
    assert found is not None
    assert found["seconds"] == 0.0
    assert found["kappa"]["why"] == "no stretch was labelled by two annotators"
    assert math.isnan(found["kappa"]["value"])
    assert math.isnan(found["observed"])


def test_one_class_only_is_why_there_is_no_kappa() -> None:
    found = agreement([[seg(0, 1, "sad", who) for who in "xyz"], [seg(0, 1, "sad", "x")]])
    assert found is not None
    assert math.isnan(found["kappa"]["value"])
    assert found["kappa"]["why"] == "all annotators used only one class"
    assert found["observed"] == 1


def test_where_nobody_agrees_counts_as_well() -> None:
    """Ten clips of two annotators: in three they never agree, in one they rarely do."""
    first = [
        "happy",
        "neutral",
        "fear",
        "fear",
        "neutral",
        "fear",
        "fear",
        "happy",
        "angry",
        "happy",
    ]
    second = [*first[:7], "neutral", "happy", "disgust"]
    clips = []
    moments: list[tuple[str, str]] = []
    for at, (one, other) in enumerate(zip(first, second, strict=True)):
        if at == 6:
            labels = [seg(0, 0.9, one, "y"), seg(0.9, 9, "happy", "y")]
            moments += [(one, one)] * 9 + [(one, "happy")] * 81
        else:
            labels = [seg(0, 9, other, "y")]
            moments += [(one, other)] * 90
        clips.append([seg(0, 9, one, "x"), *labels])
    found = agreement(clips)
    assert found is not None
    assert found["seconds"] == 90.0
    assert found["kappa"]["value"] == pytest.approx(
        cohen_kappa_score(*zip(*moments, strict=True))
    )
    assert found["kappa"]["value"] == pytest.approx(0.465, abs=5e-4)
    easy = agreement(clips[:7])
    assert easy is not None
    assert easy["kappa"]["value"] == pytest.approx(0.795, abs=5e-4)


def test_who_knew_the_others_labels_is_no_annotator() -> None:
    labels = [seg(0, 2, "sad", "x"), seg(0, 1, "sad", "y"), seg(1, 2, "fear", "y")]
    final = seg(0, 2, "sad", "final")
    assert agreement([[*labels, final]], "final") == agreement([labels])
    assert agreement([[labels[0], final]], "final") is None
