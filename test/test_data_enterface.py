from __future__ import annotations

from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.registry import list_items
from avemo_ros.data.video_corpora import ENTERFACE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return data_trees.enterface(tmp_path)


def _by_key(root: Path, **options: str) -> dict[str, Item]:
    return {item.key: item for item in list_items("enterface", root, **options).items}


def test_subject_11_is_not_12_whatever_its_files_say(root: Path) -> None:
    assert _by_key(root)["s11_sa_2"].subject == "enterface-11"
    assert not any("another subject" in p.what for p in list_items("enterface", root).problems)


def test_a_file_that_names_another_subject_is_used_and_noted(root: Path) -> None:
    data_trees.avi(root / "subject 1" / "fear" / "sentence 2" / "s9_fe_2.avi")
    listing = list_items("enterface", root)
    assert "s01_fe_2" in {item.key for item in listing.items}
    assert [p.left_out for p in listing.problems if "another subject" in p.what] == [False]


@pytest.mark.parametrize(
    ("key", "label"),
    [("s03_su_4", "surprise"), ("s16_su_3", "surprise"), ("s23_ha_5", "happy")],
)
def test_names_with_slips_are_understood(key: str, label: str, root: Path) -> None:
    assert _by_key(root)[key].label == label


def test_swapped_sentences_keep_the_folders(root: Path) -> None:
    assert _by_key(root)["s02_an_1"].path.name == "s2_an_2.avi"
    swapped = [
        p for p in list_items("enterface", root).problems if "another sentence" in p.what
    ]
    assert [problem.left_out for problem in swapped] == [False, False]


def test_subject_6_has_long_takes_that_are_left_out_unless_wanted(root: Path) -> None:
    assert not any(item.subject == "enterface-06" for item in _by_key(root).values())
    long = [p for p in list_items("enterface", root).problems if "long take" in p.what]
    assert [problem.by_design for problem in long] == [True, True]
    kept = _by_key(root, long_takes="keep")
    assert kept["s06_fe"].label == "fear"
    assert "s06_an" in kept


def test_a_file_that_names_another_emotion_than_its_folder_is_left_out(root: Path) -> None:
    wrong = data_trees.avi(root / "subject 5" / "anger" / "sentence 1" / "s5_ha_1.avi")
    listing = list_items("enterface", root)
    assert wrong not in {item.path for item in listing.items}
    assert ("names another emotion than its folder", wrong) in {
        (problem.what, problem.path) for problem in listing.problems
    }


def test_a_take_outside_the_sentence_folders_is_left_out(root: Path) -> None:
    data_trees.avi(root / "subject 7" / "anger" / "s7_an.avi")
    whats = [problem.what for problem in list_items("enterface", root).problems]
    assert "not in a folder sentence 1 to 5" in whats


def test_thumbs_are_no_problem(root: Path) -> None:
    assert not any("Thumbs" in str(p.path) for p in list_items("enterface", root).problems)


def test_a_whole_copy_lacks_subject_12_and_three_sentences_of_subject_23() -> None:
    published, with_long = ENTERFACE.published(), ENTERFACE.published(long_takes="keep")
    assert published is not None
    assert published.subjects is not None
    assert with_long is not None
    assert published.total == len(ENTERFACE.missing(())) == 1257
    assert published.subjects["enterface-23"] == 27
    assert "enterface-12" not in published.subjects
    assert with_long.total == 1263
    assert with_long.subjects is not None
    assert len(with_long.subjects) == 43
