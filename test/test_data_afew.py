from __future__ import annotations

from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.registry import list_items
from avemo_ros.data.video_corpora import AFEW


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("Train", "Val"),
        ("Train_AFEW", "Val_AFEW"),
        ("train_afew", "val_afew"),
        ("AFEW/Train_AFEW/Train_AFEW", "AFEW/Validation"),
    ],
)
def test_the_parts_are_found_under_any_of_their_names(
    train: str, validation: str, tmp_path: Path
) -> None:
    items = list_items("afew", data_trees.afew(tmp_path, train, validation)).items
    assert Counter(item.split for item in items) == {"train": 3, "validation": 2}


def test_the_folder_is_the_label_and_each_clip_a_subject(tmp_path: Path) -> None:
    items = {item.key: item for item in list_items("afew", data_trees.afew(tmp_path)).items}
    fear = items["train/Fear/013736360"]
    assert (fear.label, fear.subject) == ("fear", "afew-013736360")
    assert fear.has_face
    assert fear.has_voice


def test_a_number_that_occurs_in_two_parts_is_two_items(tmp_path: Path) -> None:
    keys = {item.key for item in list_items("afew", data_trees.afew(tmp_path)).items}
    assert {"train/Angry/000046280", "validation/Surprise/000046280"} <= keys


def test_the_test_part_has_no_labels_and_is_left_out_by_design(tmp_path: Path) -> None:
    problems = list_items("afew", data_trees.afew(tmp_path)).problems
    assert [(p.what, p.by_design) for p in problems] == [
        ("in the test part, without a label", True)
    ]


def test_clips_without_a_class_or_a_part_are_problems(tmp_path: Path) -> None:
    root = data_trees.afew(tmp_path)
    data_trees.avi(root / "Train_AFEW" / "Bored" / "000000001.avi")
    data_trees.avi(root / "Sad" / "000000002.avi")
    whats = [p.what for p in list_items("afew", root).problems if not p.by_design]
    assert len(whats) == 2
    assert any(what.startswith("not in a folder named after a class") for what in whats)
    assert any(what.startswith("unknown split") for what in whats)


def test_a_whole_copy_has_773_clips_to_train_and_383_to_validate() -> None:
    published = AFEW.published()
    assert published is not None
    assert {part: sum(n.values()) for part, n in published.classes.items()} == {
        "train": 773,
        "validation": 383,
    }
