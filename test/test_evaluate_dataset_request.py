from dataclasses import replace
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.errors import DataError
from avemo_ros.evaluate.dataset_request import (
    SPEECH,
    FeatureOptions,
    collect_features,
    in_split,
    missing_keys,
    random_items,
)


def items(*splits: str) -> list[Item]:
    return [
        Item("fer2013", str(i), Path("x"), "happy", f"fer2013-{i}", split=split)
        for i, split in enumerate(splits)
    ]


def actors(*names: str) -> list[Item]:
    return [Item("ravdess", name, Path("x"), "happy", f"ravdess-{name}") for name in names]


def keys(chosen: tuple[Item, ...]) -> list[str]:
    return [item.key for item in chosen]


def test_fer2013_may_be_asked_for_by_its_own_words() -> None:
    given = items("train", "validation", "test")
    assert keys(in_split(given, "private")[0]) == ["2"]
    assert keys(in_split(given, "PublicTest")[0]) == ["1"]
    assert in_split(given, "Public")[1] == "validation"


def test_without_a_word_the_part_that_is_farthest_from_training_is_judged() -> None:
    assert in_split(items("train", "validation", "test"), "")[1] == "test"
    assert in_split(items("train", "validation"), "")[1] == "validation"
    assert in_split(items("", ""), "") == (tuple(items("", "")), "")


def test_a_part_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(DataError, match="no items in split 'private'; there are: train, valid"):
        in_split(items("train", "validation"), "private")


def test_a_limit_picks_items_of_the_whole_set_and_always_the_same() -> None:
    given = actors(*(f"{i:02d}" for i in range(20)))
    chosen = keys(random_items(given, 6))
    assert len(chosen) == 6
    assert chosen == sorted(chosen) == keys(random_items(given, 6))
    assert chosen[-1] > "10" > chosen[0]
    assert len(random_items(given, 0)) == 20


def test_silence_is_no_voice(tmp_path: Path) -> None:
    voices = [replace(item, has_face=False) for item in actors("a", "b")]
    given = [replace(one, path=data_trees.wav(tmp_path / f"{one.key}.wav")) for one in voices]
    made = collect_features(given, frozenset({SPEECH}), FeatureOptions())
    assert made.notes == ()
    assert missing_keys(made.corpus, frozenset({SPEECH})) == ([], ["a", "b"])
