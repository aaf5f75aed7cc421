from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.metrics import NO_PREDICTION
from avemo_ros.evaluate.predictions import (
    judged_classes,
    match_predictions,
    predictions,
    read_predictions,
    write_predictions,
)
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, SPEECH_CLASSES


def items(*labels: str) -> list[Item]:
    return [
        Item("ravdess", f"k{i}", Path("x"), label, f"ravdess-{i:02d}", sex="male")
        for i, label in enumerate(labels)
    ]


def scores(*rows: list[float]) -> torch.Tensor:
    return torch.log(torch.tensor(rows))


CALM = [0.1, 0.1, 0.1, 0.1, 0.15, 0.1, 0.1, 0.25]
"""Calm is likeliest, and neutral with calm even more so."""
SAD = [0.1, 0.1, 0.1, 0.1, 0.05, 0.35, 0.1, 0.1]


def test_calm_adds_to_neutral_when_judged_in_seven_classes() -> None:
    given = predictions(items("calm", "sad"), scores(CALM, SAD), EMOTIONS)
    assert given.labels.tolist() == [4, 5]
    assert given.y_pred.tolist() == [4, 5]
    assert given.log_probabilities.exp()[0, 4] == pytest.approx(0.4)
    fine = predictions(items("calm", "sad"), scores(CALM, SAD), SPEECH_CLASSES)
    assert fine.labels.tolist() == fine.y_pred.tolist() == [7, 5]


def test_an_item_that_was_not_read_has_no_answer_in_any_classes() -> None:
    unread = [0.125] * 8
    for classes in (EMOTIONS, SPEECH_CLASSES):
        given = predictions(items("neutral", "sad"), scores(unread, SAD), classes)
        assert given.y_pred.tolist() == [NO_PREDICTION, 5]
        assert given.log_probabilities.exp()[0].tolist() == pytest.approx(
            [1 / len(classes)] * len(classes)
        )


def test_scores_that_are_no_numbers_are_refused() -> None:
    bad = scores(CALM, SAD)
    bad[1, 2] = float("nan")
    with pytest.raises(DataError, match="scores of item 'k1' are not finite"):
        predictions(items("calm", "sad"), bad, SPEECH_CLASSES)


def test_classes_are_those_of_the_model_and_seven_where_the_data_know_no_calm() -> None:
    calm, none = items("calm", "sad"), items("happy", "sad")
    assert judged_classes(None, SPEECH_CLASSES, calm) == SPEECH_CLASSES
    assert judged_classes(None, SPEECH_CLASSES, none) == EMOTIONS
    assert judged_classes(8, SPEECH_CLASSES, none) == SPEECH_CLASSES
    assert judged_classes(7, SPEECH_CLASSES, calm) == EMOTIONS
    assert judged_classes(None, EMOTIONS, calm) == EMOTIONS
    with pytest.raises(ConfigError, match="does not predict calm"):
        judged_classes(8, EMOTIONS, calm)


def test_items_of_contempt_are_judged_by_models_that_know_it() -> None:
    contempt, none = items("contempt", "sad"), items("happy", "sad")
    assert judged_classes(None, FACE_CLASSES, contempt) == FACE_CLASSES
    assert judged_classes(8, FACE_CLASSES, none) == FACE_CLASSES
    assert judged_classes(None, FACE_CLASSES, none) == EMOTIONS
    for wanted, known in ((None, EMOTIONS), (8, SPEECH_CLASSES), (7, FACE_CLASSES)):
        with pytest.raises(ConfigError, match="contempt"):
            judged_classes(wanted, known, contempt)
    with pytest.raises(ConfigError, match="does not predict calm"):
        judged_classes(8, FACE_CLASSES, items("calm"))


def test_contempt_is_left_out_when_judged_in_seven_classes() -> None:
    given = predictions(items("calm", "sad"), scores(CALM, SAD), EMOTIONS, FACE_CLASSES)
    assert given.labels.tolist() == [4, 5]
    assert given.log_probabilities.exp()[0].tolist() == pytest.approx(
        [share / 0.75 for share in CALM[:7]]
    )
    fine = predictions(items("contempt"), scores(CALM), FACE_CLASSES, FACE_CLASSES)
    assert fine.labels.tolist() == fine.y_pred.tolist() == [7]
    with pytest.raises(ConfigError, match=r"those of the model: .*contempt"):
        predictions(items("calm"), scores(CALM), SPEECH_CLASSES, FACE_CLASSES)


def test_predictions_are_matched_by_key_and_to_the_coarser_classes() -> None:
    fine = predictions(items("calm", "sad"), scores(CALM, SAD), SPEECH_CLASSES)
    coarse = predictions(
        items("calm", "sad")[::-1], scores(SAD, CALM), EMOTIONS
    )  # in another order
    found = match_predictions(coarse, fine)
    assert found.keys == ("k1", "k0")
    assert torch.allclose(found.log_probabilities, coarse.log_probabilities)
    with pytest.raises(DataError, match="--classes 7"):
        match_predictions(fine, coarse)


def test_predictions_of_other_items_or_labels_do_not_match() -> None:
    given = predictions(items("calm", "sad"), scores(CALM, SAD), SPEECH_CLASSES)
    with pytest.raises(DataError, match=r"1 are in one only, e.g\. 'k1'"):
        match_predictions(given, given.only([True, False]))
    other = predictions(items("calm", "fear"), scores(CALM, SAD), SPEECH_CLASSES)
    with pytest.raises(DataError, match="do not agree on the true labels"):
        match_predictions(given, other)


def test_a_table_keeps_what_was_said(tmp_path: Path) -> None:
    given = predictions(
        items("calm", "sad", "happy"), scores(CALM, SAD, [0.125] * 8), SPEECH_CLASSES
    )
    path = tmp_path / "said.csv"
    write_predictions(path, given)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("key,subject,sex,true,said,p_angry,")
    assert lines[1].startswith("k0,ravdess-00,male,calm,calm,0.0999")
    assert lines[3].startswith("k2,ravdess-02,male,happy,,0.125")
    assert not given.groups
    again = read_predictions(path)
    assert (again.keys, again.subjects, again.sexes) == (
        given.keys,
        given.subjects,
        given.sexes,
    )
    assert again.labels.tolist() == given.labels.tolist()
    assert again.y_pred.tolist() == given.y_pred.tolist() == [7, 5, NO_PREDICTION]
    assert torch.allclose(again.log_probabilities, given.log_probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("a,b\n1,2\n", "is not a table of predictions"),
        ("HEAD", "has no rows"),
        ("HEADk,s,,happy,happy,0.1,0.1\n", "line 2: 2 fields|line 2: 7 fields"),
        ("HEADk,s,,glee,happy,1,0,0,0,0,0,0\n", "line 2"),
        ("HEADk,s,,happy,happy,1,0,0,0,x,0,0\n", "line 2"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    head = "key,subject,sex,true,said," + ",".join(f"p_{name}" for name in EMOTIONS) + "\n"
    path = tmp_path / "said.csv"
    path.write_text(text.replace("HEAD", head))
    with pytest.raises(DataError, match=message):
        read_predictions(path)


def test_groups_of_people_stay_with_the_answers(tmp_path: Path) -> None:
    given = [
        replace(item, groups=groups)
        for item, groups in zip(
            items("sad", "calm"), ((("age", "20 to 29"), ("race", "Asian")), ()), strict=True
        )
    ]
    said = predictions(given, scores(SAD, CALM), SPEECH_CLASSES)
    assert said.groups == {"age": ("20 to 29", ""), "race": ("Asian", "")}
    assert said.only([False, True]).groups == {"age": ("",), "race": ("",)}
    write_predictions(tmp_path / "said.csv", said)
    assert read_predictions(tmp_path / "said.csv").groups == said.groups


def test_answers_among_fewer_classes_share_what_these_had() -> None:
    unread = [0.125] * 8
    given = predictions(
        items("sad", "sad", "sad"), scores(CALM, SAD, unread), SPEECH_CLASSES
    ).among(("neutral", "sad"))
    share = given.log_probabilities.exp()
    assert share[0, [4, 5]].tolist() == pytest.approx([0.6, 0.4])
    assert share[1, [4, 5]].tolist() == pytest.approx([0.125, 0.875])
    assert given.y_pred.tolist() == [4, 5, NO_PREDICTION]
