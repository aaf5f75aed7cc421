from __future__ import annotations

import pytest

from avemo_ros.data.dataset import label_of, sorted_labels
from avemo_ros.data.registry import DATASETS
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION, WORDS


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("calm", "calm"),
        ("excited", "happy"),
        ("fearful", "fear"),
        (" Surprised ", "surprise"),
        ("boredom", None),
        ("contempt", None),
        ("frustration", None),
        ("other", None),
    ],
)
def test_a_word_of_a_data_set_counts_as_the_documented_label(
    word: str, label: str | None
) -> None:
    assert label_of(word) == label


def test_calm_counts_as_neutral_among_the_robots_emotions() -> None:
    assert EMOTIONS[SPEECH_TO_EMOTION[SPEECH_CLASSES.index("calm")]] == "neutral"


def test_every_word_counts_as_one_of_our_classes_or_is_left_out() -> None:
    assert set(WORDS.values()) == {*SPEECH_CLASSES, None}


@pytest.mark.parametrize("name", DATASETS)
def test_every_label_of_every_data_set_has_a_mapping(name: str) -> None:
    dataset = DATASETS[name]
    assert {label_of(word) for word in (*dataset.words, *dataset.too_few)} <= {
        *SPEECH_CLASSES,
        None,
    }


def test_the_classes_that_occur_in_a_data_set_are_in_our_order() -> None:
    assert DATASETS["emodb"].classes == ("angry", "disgust", "fear", "happy", "neutral", "sad")
    assert DATASETS["emodb"].left_out == ("boredom",)
    assert DATASETS["ravdess"].classes == SPEECH_CLASSES
    assert DATASETS["iemocap"].classes == ("angry", "happy", "neutral", "sad")
    assert "surprise" in DATASETS["iemocap"].left_out
    assert "neutral" not in DATASETS["enterface"].classes
    assert sorted_labels({"sad", "angry"}) == ("angry", "sad")
