from pathlib import Path

import numpy as np
import pytest
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.evaluate.corruption import without_face, without_voice
from avemo_ros.evaluate.metric_tables import (
    compare_predictions,
    measure,
    never_true_in_words,
    ranges_in_words,
    rows_of_one,
    rows_of_two,
    single_modalities,
)
from avemo_ros.evaluate.opened_models import ms_per_item
from avemo_ros.evaluate.predictions import Predictions, predict_items
from avemo_ros.labels import EMOTIONS


class Reader:
    """The brightness of the face and the level of the voice are the class's number; the face
    counts double."""

    name = "reader"
    modality = "av"
    classes = EMOTIONS

    def __init__(self) -> None:
        self.asked = 0

    def scores(self, corpus: Corpus) -> torch.Tensor:
        self.asked += 1
        result = torch.zeros(len(corpus), len(EMOTIONS))
        for row, given in zip(result, corpus.features, strict=True):
            if given.faces is not None:
                row[int(given.faces[0, 0, 0])] += 2.0
            if given.spectrogram is not None:
                row[-int(given.spectrogram[0, 0])] += 1.0
        return torch.log_softmax(result, 1)


def corpus(faces: list[int | None], voices: list[int | None], labels: list[int]) -> Corpus:
    items = tuple(
        Item("clips", str(i), Path("x"), EMOTIONS[label], f"clips-{i % 4}")
        for i, label in enumerate(labels)
    )
    features = tuple(
        Features(
            faces=None if face is None else np.full((1, 48, 48), face, np.uint8),
            spectrogram=None if voice is None else np.full((63, 200), -voice, np.float16),
        )
        for face, voice in zip(faces, voices, strict=True)
    )
    return Corpus(items, features)


def judge(given: Corpus) -> Predictions:
    return predict_items(Reader(), given, EMOTIONS)


GIVEN = corpus([0, 1, 2, 3, None, 5, 6, 0], [0, 1, 5, 3, 4, 5, 6, 1], [0, 1, 2, 3, 4, 5, 6, 1])


def test_single_modalities_are_judged_by_the_same_model() -> None:
    assert judge(GIVEN).y_pred.tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    singles = single_modalities(judge, GIVEN)
    assert singles["face"].y_pred.tolist() == [0, 1, 2, 3, -1, 5, 6, 0]
    assert singles["voice"].y_pred.tolist() == [0, 1, 5, 3, 4, 5, 6, 1]


def test_both_are_compared_with_the_better_single_one_of_the_row() -> None:
    spoilt = {"blur": corpus([0] * 8, [0, 1, 5, 3, 4, 5, 6, 1], [0, 1, 2, 3, 4, 5, 6, 1])}
    rows = {
        row["condition"]: row
        for row in rows_of_two(
            judge, judge(GIVEN), single_modalities(judge, GIVEN), spoilt, 100
        )
    }
    both = rows["face and voice"]
    assert both["fused"]["accuracy"] == 7 / 8
    assert (both["face"]["accuracy"], both["voice"]["accuracy"]) == (6 / 8, 7 / 8)
    assert both["better_single"] == "voice"
    blurred = rows["blur"]
    assert blurred["fused"]["accuracy"] == 1 / 8
    assert (blurred["face"]["accuracy"], blurred["voice"]["accuracy"]) == (1 / 8, 7 / 8)
    assert blurred["difference"]["accuracy"]["value"] == pytest.approx(-6 / 8)
    assert rows["face only"]["fused"]["unanswered"] == 1
    assert "voice" not in rows["face only"]


def test_a_model_of_one_modality_meets_only_what_acts_on_it() -> None:
    spoilt = {"blur": GIVEN, "noise 0 dB": GIVEN, "sound 200 ms late": GIVEN}
    heard = rows_of_one(judge, GIVEN, spoilt, "voice", 100)
    assert [row["condition"] for row in heard] == ["as it is", "noise 0 dB"]
    seen = rows_of_one(judge, GIVEN, spoilt, "face", 100)
    assert [row["condition"] for row in seen] == ["as it is", "blur"]


def test_items_are_asked_about_in_pieces_and_keep_their_order() -> None:
    many = corpus([i % 7 for i in range(150)], [None] * 150, [i % 7 for i in range(150)])
    reader = Reader()
    found = predict_items(reader, many, EMOTIONS)
    assert reader.asked == 3
    assert found.y_pred.tolist() == [i % 7 for i in range(150)]


def said(count: int, subjects: int) -> Predictions:
    """Every third answer is wrong."""
    labels = torch.arange(count) % 2
    logits = torch.zeros(count, len(EMOTIONS), dtype=torch.float64)
    logits[torch.arange(count), (labels + (torch.arange(count) % 3 == 0)) % 2] = 2.0
    return Predictions(
        tuple(map(str, range(count))),
        tuple(str(place % subjects) for place in range(count)),
        ("",) * count,
        labels,
        torch.log_softmax(logits, 1),
        EMOTIONS,
    )


def test_intervals_are_over_subjects_if_there_are_enough_of_them() -> None:
    found = measure(said(60, 5), rounds=200)
    assert found["intervals_over"] == "subjects"
    assert ranges_in_words(found).endswith("bootstrapped over 5 subjects.")
    few = measure(said(60, 2), rounds=200)
    assert (few["intervals_over"], few["temperature_over"]) == ("items", "subjects")
    alone = measure(said(60, 60), rounds=200)
    # They are drawn as if each item were a subject of its own, and the words say that.
    assert few["intervals"] == alone["intervals"]
    assert "over 60 items. They say nothing of other people: for that it takes 5 subjects" in (
        ranges_in_words(few)
    )
    assert ranges_in_words(alone).endswith("over 60 items.")


def test_of_too_few_items_no_interval_is_drawn() -> None:
    few, other = said(9, 2), said(9, 2).with_scores(-said(9, 2).log_probabilities)
    found = measure(few, rounds=200)
    assert found["intervals"] is None
    assert ranges_in_words(found) == (
        "No 95 % intervals: 9 items are too few to tell; it takes 10 items, or 5 subjects."
    )
    difference = compare_predictions(few, other, rounds=200)["accuracy"]
    assert difference["interval"] is None
    assert difference["value"] != 0
    more = compare_predictions(said(60, 2), said(60, 2), rounds=200)["accuracy"]
    assert more == {"value": 0.0, "interval": None}


def test_a_metric_without_spread_has_no_interval() -> None:
    given = said(60, 60)
    right = given.with_scores(torch.nn.functional.one_hot(given.labels, 7).double())
    found = measure(right, rounds=200)
    assert (found["accuracy"], found["intervals"]["accuracy"]) == (1.0, None)


def test_a_class_that_is_answered_and_never_true_is_told() -> None:
    given = said(60, 60)
    odd = given.log_probabilities.clone()
    odd[0, 5] = 1.0
    found = measure(given.with_scores(torch.log_softmax(odd, 1)), rounds=100)
    assert found["never_true"] == {"sad": 1}
    assert found["macro_f1_all"] == pytest.approx(2 / 3 * found["macro_f1"], abs=1e-6)
    told = never_true_in_words(found)
    assert f"{100 * found['macro_f1']:.1f} %, and {100 * found['macro_f1_all']:.1f} %" in told
    assert never_true_in_words(measure(given, rounds=100)) == ""


def test_timing_asks_about_single_items_in_one_thread() -> None:
    class Watched(Reader):
        def scores(self, corpus: Corpus) -> torch.Tensor:
            assert len(corpus) == 1
            assert torch.get_num_threads() == 1
            return super().scores(corpus)

    before = torch.get_num_threads()
    reader = Watched()
    assert ms_per_item(reader, GIVEN, samples=5) > 0
    assert reader.asked == 3 + 5
    assert torch.get_num_threads() == before


def test_nothing_is_left_of_an_item_without_both() -> None:
    nothing = without_voice(without_face(GIVEN.features[0]))
    assert nothing.faces is None
    assert nothing.spectrogram is None


def test_groups_are_told_with_what_sets_them_apart() -> None:
    # Six women and five men with four items each; all of the men's and half of the women's are
    # right; of one woman the age is not known.
    right = {"male": [True] * 4, "female": [True, False] * 2}
    sexes = ["female"] * 6 + ["male"] * 5
    ages = ["", *["20 to 29"] * 10]
    log, labels, subjects = [], [], []
    for person, sex in enumerate(sexes):
        for is_right in right[sex]:
            row = torch.full((len(EMOTIONS),), -4.0, dtype=torch.float64)
            row[0 if is_right else 1] = 0.0
            log.append(torch.log_softmax(row, 0))
            labels.append(0)
            subjects.append(f"clips-{person}")
    given = Predictions(
        tuple(map(str, range(44))),
        tuple(subjects),
        tuple(sex for sex in sexes for _ in range(4)),
        torch.tensor(labels),
        torch.stack(log),
        EMOTIONS,
        {"age": tuple(age for age in ages for _ in range(4))},
    )
    found = measure(given, rounds=200)["gaps"]
    assert found.keys() == {"sex"}  # one age has nothing to be compared with
    assert found["sex"]["male"] | {"interval": None} == {
        "items": 20,
        "subjects": 5,
        "ua": 1.0,
        "interval": None,
        "gap": {"value": 0.5, "interval": None},  # whoever is drawn, it is the same
    }
    assert found["sex"]["female"]["gap"]["value"] == -0.5
