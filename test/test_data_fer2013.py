from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.fer2013 import FER2013, majority
from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, LABELS


@pytest.mark.parametrize("make", ["fer2013_csv", "fer2013_icml"])
def test_the_table_is_read_row_by_row_also_with_spaces_in_its_header(
    make: str, tmp_path: Path
) -> None:
    items = list_items("fer2013", getattr(data_trees, make)(tmp_path)).items
    assert [item.row for item in items] == list(range(8))
    assert [item.label for item in items] == [
        "angry",
        "happy",
        "sad",
        "neutral",
        "fear",
        "surprise",
        "disgust",
        "neutral",
    ]
    assert [item.split for item in items] == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    assert {item.path.parent for item in items} == {tmp_path}
    assert not any(item.has_voice for item in items)


def test_each_image_is_a_subject_of_its_own(tmp_path: Path) -> None:
    items = list_items("fer2013", data_trees.fer2013_csv(tmp_path)).items
    assert len({item.subject for item in items}) == len(items)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (f"7,{data_trees.PIXELS},Training", "row 1: emotion is '7'; allowed: 0 to 6"),
        (f"0,{data_trees.PIXELS},Test", "row 1: Usage is 'Test'"),
        (f"0,{data_trees.PIXELS} 3,Training", "row 1: 2305 pixels instead of 2304"),
        (f"0,{data_trees.PIXELS[:-3]} 256,Training", "not numbers from 0 to 255"),
        (f"0,{data_trees.PIXELS[:-3]} -1,Training", "not numbers from 0 to 255"),
    ],
)
def test_a_broken_row_is_left_out_and_the_others_keep_their_numbers(
    row: str, what: str, tmp_path: Path
) -> None:
    table = data_trees.fer2013_csv(tmp_path, data_trees.FER_ROWS[:2]) / "fer2013.csv"
    first, second = table.read_text().splitlines()[1:]
    data_trees.put(table, f"{data_trees.FER_HEADER}\n{first}\n{row}\n{second}")
    listing = list_items("fer2013", tmp_path)
    assert [item.row for item in listing.items] == [0, 2]
    assert [what in problem.what for problem in listing.problems] == [True]


def test_a_blank_image_is_used_and_noted(tmp_path: Path) -> None:
    blank = " ".join(["0"] * 2304)
    data_trees.put(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n0,{blank},Training\n")
    listing = list_items("fer2013", tmp_path)
    assert len(listing.items) == 1
    assert [(p.what, p.left_out) for p in listing.problems] == [
        ("row 0: all pixels are the same", False)
    ]


def test_names_in_the_folders_tell_the_part(tmp_path: Path) -> None:
    items = {item.key: item for item in list_items("fer2013", _folders(tmp_path)).items}
    assert {key: (item.label, item.split) for key, item in items.items()} == {
        "train/happy/Training_1": ("happy", "train"),
        "train/angry/Training_1": ("angry", "train"),
        "test/sad/PublicTest_2": ("sad", "validation"),
        "test/neutral/PrivateTest_3": ("neutral", "test"),
    }


def _folders(root: Path) -> Path:
    return data_trees.fer2013_folders(root)


def test_without_such_names_it_is_said_that_the_parts_cannot_be_told(tmp_path: Path) -> None:
    data_trees.jpg(tmp_path / "train" / "happy" / "im0.jpg")
    data_trees.jpg(tmp_path / "test" / "happy" / "im1.jpg")
    listing = list_items("fer2013", tmp_path)
    assert [(item.key, item.split) for item in listing.items] == [
        ("test/happy/im1", ""),
        ("train/happy/im0", "train"),
    ]
    assert [(p.path.name, p.left_out) for p in listing.problems] == [("im1.jpg", False)]
    assert "PublicTest or PrivateTest" in listing.problems[0].what


def test_a_test_image_in_the_training_folder_stays_out_of_training(tmp_path: Path) -> None:
    data_trees.jpg(tmp_path / "train" / "sad" / "PrivateTest_9.jpg")
    listing = list_items("fer2013", tmp_path)
    assert [item.split for item in listing.items] == ["test"]
    assert "in the folder 'train'" in listing.problems[0].what


def test_images_outside_the_class_folders_and_cut_ones_are_problems(tmp_path: Path) -> None:
    root = _folders(tmp_path)
    data_trees.jpg(root / "train" / "bored" / "Training_5.jpg")
    data_trees.put(root / "train" / "fear" / "Training_6.jpg", b"\xff\xd8")
    whats = sorted(problem.what for problem in list_items("fer2013", root).problems)
    assert whats[0].startswith("not in a folder named after a class")
    assert whats[1] == "too small for an image"


def test_ferplus_takes_the_majority_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    root = data_trees.ferplus(data_trees.fer2013_csv(tmp_path))
    listing = list_items("fer2013", root, labels="ferplus")
    assert [(item.row, item.label, item.split) for item in listing.items] == [
        (0, "angry", "train"),
        (4, "surprise", "validation"),
        (6, "disgust", "test"),
    ]
    assert Counter(problem.what for problem in listing.problems) == {
        "not a face: not one of the classes": 2,  # an empty name, and NF
        "contempt: not one of the classes": 1,
        "no agreement: not one of the classes": 1,
        "unknown: not one of the classes": 1,
    }
    assert all(problem.by_design for problem in listing.problems)


def test_ferplus_votes_come_in_the_order_of_our_classes(tmp_path: Path) -> None:
    root = data_trees.ferplus(data_trees.fer2013_csv(tmp_path))
    votes = list_items("fer2013", root, labels="ferplus").items[0].votes
    assert votes is not None
    by_class = dict(zip(LABELS, votes, strict=True))
    assert (by_class["angry"], by_class["disgust"], by_class["neutral"]) == (8, 1, 1)
    assert by_class["calm"] == 0


def test_contempt_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    root = data_trees.ferplus(data_trees.fer2013_csv(tmp_path))
    items = list_items("fer2013", root, labels="ferplus8").items
    assert [(item.row, item.label) for item in items] == [
        (0, "angry"),
        (2, "contempt"),
        (4, "surprise"),
        (6, "disgust"),
    ]
    assert dict(zip(LABELS, items[1].votes or (), strict=True))["contempt"] == 8
    assert items[1].index_in(FACE_CLASSES) == 7
    with pytest.raises(
        DataError, match=r"labelled contempt, which is none of .*labels=ferplus"
    ):
        items[1].index_in(EMOTIONS)


@pytest.mark.parametrize("made", ["table", "folders"])
def test_items_with_fers_own_labels_have_the_votes_that_are_there(
    made: str, tmp_path: Path
) -> None:
    if made == "table":
        root = data_trees.ferplus(data_trees.fer2013_csv(tmp_path))
        key = "00000"
    else:
        root = data_trees.ferplus_files(_folders(tmp_path))
        key = "train/angry/Training_1"
    items = {item.key: item for item in list_items("fer2013", root).items}
    assert items[key].label == "angry"
    assert dict(zip(LABELS, items[key].votes or (), strict=True))["neutral"] == 1


def test_votes_of_folders_are_joined_by_the_files_names(tmp_path: Path) -> None:
    root = data_trees.ferplus_files(_folders(tmp_path))
    listing = list_items("fer2013", root, labels="ferplus8")
    assert {(item.key, item.label, item.split) for item in listing.items} == {
        ("train/angry/Training_1", "angry", "train"),
        ("test/sad/PublicTest_2", "contempt", "validation"),
    }
    assert Counter(problem.what for problem in listing.problems) == {
        "no agreement: not one of the classes": 1,
        "no votes: not one of the classes": 1,
    }


def test_ferplus_with_another_number_of_rows_is_refused(tmp_path: Path) -> None:
    data_trees.ferplus(data_trees.fer2013_csv(tmp_path), data_trees.PLUS_ROWS[:-1])
    with pytest.raises(DataError, match=r"has 7 rows, .* 8"):
        list_items("fer2013", tmp_path, labels="ferplus")


def test_ferplus_with_another_usage_is_refused(tmp_path: Path) -> None:
    rows = (*data_trees.PLUS_ROWS[:4], *reversed(data_trees.PLUS_ROWS[4:]))
    data_trees.ferplus(data_trees.fer2013_csv(tmp_path), rows)
    with pytest.raises(
        DataError, match=r"row 4 is 'PrivateTest' in fer2013new\.csv, 'PublicTest'"
    ):
        list_items("fer2013", tmp_path, labels="ferplus")


def test_ferplus_without_one_of_its_tables_is_refused(tmp_path: Path) -> None:
    data_trees.ferplus(_folders(tmp_path))
    with pytest.raises(DataError, match=r"no ferplus\.csv .* have lost the row order"):
        list_items("fer2013", tmp_path, labels="ferplus")
    data_trees.fer2013_csv(tmp_path)
    (tmp_path / "fer2013new.csv").unlink()
    with pytest.raises(DataError, match=r"no fer2013new\.csv"):
        list_items("fer2013", tmp_path, labels="ferplus")


def test_ferplus_votes_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    rows = ("Training,fer0000000.png,x,0,0,0,0,0,0,0,0,0", *data_trees.PLUS_ROWS[1:])
    data_trees.ferplus(data_trees.fer2013_csv(tmp_path), rows)
    with pytest.raises(DataError, match="row 0: votes are numbers"):
        list_items("fer2013", tmp_path, labels="ferplus")


@pytest.mark.parametrize(
    ("votes", "word"),
    [
        ({"anger": 10}, "anger"),
        ({"anger": 5, "fear": 5}, "no agreement"),
        ({"anger": 3, "fear": 2, "sadness": 1, "neutral": 1}, "anger"),
        ({"anger": 1, "fear": 1}, "no agreement"),
        ({"not a face": 6, "fear": 4}, "not a face"),
        ({}, "no agreement"),
    ],
)
def test_the_majority_is_more_than_half_without_those_who_are_alone(
    votes: dict[str, int], word: str
) -> None:
    assert majority(votes) == word


def test_a_whole_copy_has_the_official_parts() -> None:
    published = FER2013.published()
    assert published is not None
    assert {part: sum(n.values()) for part, n in published.classes.items()} == {
        "train": 28709,
        "validation": 3589,
        "test": 3589,
    }
    plus = FER2013.published(labels="ferplus")
    assert plus is not None
    assert plus.total < published.total


def test_the_images_at_hand_are_training_and_publictest(
    shared_data: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(shared_data / "fer2013.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        some = names[:: len(names) // 200]
        archive.extractall(tmp_path, some)
    listing = list_items("fer2013", tmp_path)
    assert not listing.problems
    assert len(listing.items) == len(some)
    assert {item.split for item in listing.items} == {"train", "validation"}
    published = FER2013.published()
    assert published is not None
    counts = Counter(Path(name).parent.name for name in names if "/train/" in name)
    assert counts == published.classes["train"]
