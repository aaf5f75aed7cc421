"""Which labels belong to which bag."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.annotations.label_files import bag_name, find_bags, labels_of_bags
from avemo_ros.errors import LabelError


def files(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return [folder / name for name in names]


def test_all_labels_are_those_of_a_single_bag(tmp_path: Path) -> None:
    given = files(tmp_path, "anna.csv", "ben.eaf")
    assert labels_of_bags([Path("run7")], given) == [tuple(given)]


def test_of_several_bags_each_gets_the_files_that_begin_with_its_name(tmp_path: Path) -> None:
    given = files(tmp_path, "run1.labels.csv", "run1.ben.eaf", "run12.csv")
    found = labels_of_bags([Path("d/run1"), Path("run12"), Path("run3")], given)
    assert found == [tuple(given[:2]), (given[2],), ()]


def test_the_longest_name_of_a_bag_wins(tmp_path: Path) -> None:
    given = files(tmp_path, "run.2.labels.csv")
    assert labels_of_bags([Path("run"), Path("run.2")], given) == [(), (given[0],)]


def test_of_a_folder_only_what_belongs_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    files(folder, "run1.csv", "run1.jpg", "other.csv", "run2.eaf")
    found = labels_of_bags([Path("run1"), Path("run2")], [folder])
    assert found == [(folder / "run1.csv",), (folder / "run2.eaf",)]


def test_a_single_bag_takes_its_own_files_of_a_folder_that_has_others(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    own, _ = files(folder, "run1.csv", "run2.csv")
    assert labels_of_bags([Path("d/run1")], [folder]) == [(own,)]
    # Without any of that name, all are meant.
    given = files(tmp_path / "others", "anna.csv", "ben.eaf")
    assert labels_of_bags([Path("run1")], [tmp_path / "others"]) == [tuple(given)]


def test_a_file_of_no_bag_and_one_that_is_missing_are_named(tmp_path: Path) -> None:
    bags = [Path("run1"), Path("run2")]
    with pytest.raises(LabelError, match=r"other\.csv.*none of the bags"):
        labels_of_bags(bags, files(tmp_path, "other.csv"))
    with pytest.raises(LabelError, match=r"gone\.csv.*does not exist"):
        labels_of_bags(bags, [tmp_path / "gone.csv"])


def test_a_file_of_two_bags_of_one_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"several bags.*a/run, b/run"):
        labels_of_bags([Path("a/run"), Path("b/run")], files(tmp_path, "run.csv"))


def test_the_name_of_a_bag_of_one_file_has_no_suffix() -> None:
    assert bag_name(Path("x/run_0.mcap")) == "run_0"
    assert bag_name(Path("x/run_0.db3.zstd")) == "run_0"
    assert bag_name(Path("x/run.1")) == "run.1"


def test_labels_among_the_bags_are_no_bags_where_they_belong_to_one(tmp_path: Path) -> None:
    bag, *labels = files(tmp_path, "run1.mcap", "run1.labels.csv", "run1.mcap.labels.yaml")
    (other,) = files(tmp_path, "run2.labels.csv")
    assert find_bags([bag, *labels, other]) == [bag, other]
    assert find_bags(labels) == labels


def test_a_folder_of_bags_stands_for_the_bags_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    files(folder, "run1.labels.csv", "single.mcap", "notes.md")
    files(folder / "run1", "metadata.yaml", "run1_0.mcap")
    files(folder / "cut", "cut_0.db3", "cut_1.db3")
    files(folder / "labels", "run1.ann.csv")
    files(folder / ".hidden", "hidden_0.mcap")
    inside = [folder / "cut", folder / "run1", folder / "single.mcap"]
    assert find_bags([folder]) == inside
    # `folder/*` names the same, and what is no bag, which is told later.
    named = sorted(path for path in folder.iterdir() if path.suffix != ".md")
    assert [path for path in find_bags(named) if path in inside] == inside


def test_files_of_one_recording_are_a_bag_and_of_several_are_bags(tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    files(cut, "day_0.mcap", "day_1.mcap", "day_10.mcap.zstd")
    assert find_bags([cut]) == [cut]
    singles = tmp_path / "singles"
    given = files(singles, "anna.mcap", "ben_1.mcap")
    assert find_bags([singles]) == given


def test_what_is_no_bag_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert find_bags([empty, tmp_path / "gone"]) == [empty, tmp_path / "gone"]
