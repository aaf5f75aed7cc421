import json
from pathlib import Path
from typing import Any

import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.splits import (
    Members,
    joined,
    members,
    of_metadata,
    read_split,
    refuse_seen,
)
from avemo_ros.errors import DataError


def actor(number: int) -> Item:
    return Item("ravdess", f"k{number}", Path("x"), "happy", f"ravdess-{number:02d}")


def image(split: str) -> Item:
    return Item("fer2013", "f1", Path("x"), "happy", "fer2013-f1", split=split)


def part(subjects: list[str], splits: list[str] | None = None, **items: int) -> dict[str, Any]:
    return {"items": items, "people": 1, "subjects": subjects, "splits": splits or []}


def write(folder: Path, train: dict[str, Any], validation: dict[str, Any]) -> Path:
    (folder / "split.json").write_text(json.dumps({"train": train, "validation": validation}))
    return folder


def test_the_held_out_subjects_of_a_run_are_found(tmp_path: Path) -> None:
    run = write(tmp_path, part(["ravdess-02"], ravdess=60), part(["ravdess-03"], ravdess=60))
    parts = read_split(run)
    assert parts.held_out([actor(2), actor(3), actor(5)]) == (actor(3),)


def test_a_model_is_refused_on_those_it_learned_from() -> None:
    train = members(part(["ravdess-02", "emodb-03"], ravdess=60, emodb=40))
    refuse_seen("m", train, [actor(3), actor(5)])
    with pytest.raises(DataError, match=r"m was trained on 1 of these 2 items \(ravdess-02\)"):
        refuse_seen("m", train, [actor(2), actor(3)])


def test_unlisted_subjects_are_told_by_the_part_of_their_data_set() -> None:
    train = members(part([], ["train"], fer2013=28_709, ravdess=1_200))
    assert train.has(image("train"))
    assert not train.has(image("validation"))
    # RAVDESS has no parts: any of its actors may have been there, but those of the final test.
    assert train.has(actor(2))
    assert not train.has(actor(4))


def test_a_subject_in_both_parts_is_refused(tmp_path: Path) -> None:
    both = part(["ravdess-02"], ravdess=60)
    with pytest.raises(DataError, match="'ravdess-02' is both learned from and held out"):
        read_split(write(tmp_path, both, both))


@pytest.mark.parametrize("content", ["", "[]", '{"train": 1, "validation": 2}'])
def test_a_broken_split_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(DataError, match="does not say who"):
        read_split(tmp_path)


def test_a_model_file_may_say_or_not_say_what_it_was_trained_on() -> None:
    assert of_metadata({}) is None
    told = of_metadata({"trained_on": json.dumps(part(["ravdess-02"], ravdess=60))})
    assert told is not None
    assert told.has(actor(2))
    counted = of_metadata({"trained_on": json.dumps({"fer2013": 28_709, "ravdess": 1_200})})
    assert counted is not None
    assert counted.has(image("train"))
    assert not counted.has(image("test"))
    assert counted.has(actor(2))
    assert not counted.has(actor(22))
    with pytest.raises(DataError, match="cannot be read"):
        of_metadata({"trained_on": "everything"})


def test_an_ensemble_has_seen_whom_its_members_have_seen() -> None:
    both = joined([members(part(["ravdess-02"], ravdess=60)), Members(whole=False)])
    assert both.has(actor(2))
    assert not both.has(actor(3))
    assert not both.whole


def test_some_of_a_part_may_be_left_out_by_name() -> None:
    other = Item("fer2013", "f2", Path("x"), "happy", "fer2013-f2", split="validation")
    told = part(["ravdess-02"], ["train", "validation"], fer2013=32_000, ravdess=60)
    train = members({**told, "but": ["fer2013-f2"]})
    assert train.has(image("validation"))
    assert not train.has(other)
    assert not joined([train, members(part(["ravdess-03"], ravdess=60))]).has(other)
    assert joined([train, members(told)]).has(other)
