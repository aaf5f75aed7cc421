from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.annotations.label_files import find_labels, merge_files, read_labels
from avemo_ros.errors import LabelError

ROW = "person,start,end,label\nAnna,0,1,sad\n"


@pytest.mark.parametrize(
    "name", ["day.labels.csv", "day.labels.yaml", "day.labels.eaf", "day/labels.txt"]
)
def test_labels_lie_beside_the_folder_of_a_bag_or_in_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / name).touch()
    (tmp_path / "other.labels.csv").touch()
    assert find_labels(tmp_path / "day") == tmp_path / name


@pytest.mark.parametrize("name", ["day.labels.csv", "day.mcap.labels.csv"])
def test_labels_lie_beside_the_file_of_a_bag(tmp_path: Path, name: str) -> None:
    (tmp_path / "day.mcap").touch()
    (tmp_path / name).touch()
    assert find_labels(tmp_path / "day.mcap") == tmp_path / name


def test_without_labels_nothing_is_found(tmp_path: Path) -> None:
    assert find_labels(tmp_path / "day.mcap") is None


def test_of_several_files_none_is_guessed(tmp_path: Path) -> None:
    for name in ("day.labels.csv", "day.labels.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(LabelError, match=r"2 label files: .*csv, .*yaml; choose"):
        find_labels(tmp_path / "day")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"names end in .csv .yaml .yml .eaf .txt"):
        read_labels(tmp_path / "labels.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"labels.csv cannot be read \(No such file"):
        read_labels(tmp_path / "labels.csv")


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(LabelError, match="is not a label file: it has 1024 MiB"):
        read_labels(path)


def test_a_file_each_is_an_annotator_each(tmp_path: Path) -> None:
    paths = [tmp_path / "eve.labels.csv", tmp_path / "sam.csv"]
    for path in paths:
        path.write_text("# people: Anna = f1\n" + ROW)
    found = merge_files([read_labels(path) for path in paths])
    assert [segment.annotator for segment in found.segments] == ["eve", "sam"]
    assert found.people == {"Anna": ("f1",)}
    alone = merge_files([read_labels(paths[0])])
    assert [segment.annotator for segment in alone.segments] == [""]


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("# people: Anna = f1\n" + ROW)
    other.write_text("# people: Bob = f1\n" + ROW)
    with pytest.raises(LabelError, match="ids of 'Bob' is 'f1'; allowed: not f1, it is 'Anna'"):
        merge_files([read_labels(one), read_labels(other)])
    other.write_text(ROW)
    with pytest.raises(LabelError, match="overlap"):
        merge_files([read_labels(path, annotator="x") for path in (one, other)])
