from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError


def _stem(item: Item) -> str:
    return item.path.stem


def _take(item: Item) -> str:
    """What the three files of a take of RAVDESS share."""
    return item.key[3:]


@pytest.mark.parametrize(
    ("name", "make", "files", "options"),
    [
        ("afew", data_trees.afew, _stem, {}),
        ("enterface", data_trees.enterface, _stem, {}),
        ("savee", data_trees.savee_flat, _stem, {}),
        ("ravdess", data_trees.ravdess, _take, {}),
        ("ravdess", data_trees.ravdess, _take, {"modality": "audio"}),
        ("cremad", data_trees.cremad, _stem, {}),
        ("fer2013", data_trees.fer2013_folders, _stem, {}),
        ("iemocap", data_trees.iemocap, _stem, {}),
        ("emodb", data_trees.emodb, _stem, {}),
        ("urdu", data_trees.urdu, _stem, {}),
        ("nemo", data_trees.nemo, _stem, {}),
        ("clips", data_trees.clips, _stem, {}),
    ],
)
def test_an_item_of_which_no_file_is_whole_is_lost_and_not_forgotten(
    name: str,
    make: Callable[[Path], Path],
    files: Callable[[Item], str],
    options: dict[str, str],
    tmp_path: Path,
) -> None:
    root = make(tmp_path)
    before = list_items(name, root, **options)
    broken = before.items[0]
    for path in root.rglob(f"*{files(broken)}.*"):
        if path.parent.name == broken.path.parent.name or name == "cremad":
            path.write_bytes(path.read_bytes()[:50])
    after = list_items(name, root, **options)
    assert after.items == before.items[1:]
    assert broken in after.lost
    assert len(after.lost) == len(before.lost) + 1


def test_an_item_with_another_file_that_is_whole_is_not_lost(tmp_path: Path) -> None:
    root = data_trees.ravdess(tmp_path)
    before = list_items("ravdess", root)
    before.items[0].path.write_bytes(b"")
    after = list_items("ravdess", root)
    assert len(after.items) == len(before.items)
    assert after.lost == before.lost


@pytest.mark.parametrize(
    ("name", "make", "lost"),
    [
        ("nemo", data_trees.nemo, ("EB0_anger_2", "angry", "nemo-EB0")),
        ("iemocap", data_trees.iemocap, ("Ses05M_script01_1b_M001", "sad", "iemocap-05M")),
    ],
)
def test_what_a_table_names_and_is_not_there_is_lost(
    name: str, make: Callable[[Path], Path], lost: tuple[str, str, str], tmp_path: Path
) -> None:
    found = list_items(name, make(tmp_path)).lost
    assert [(item.key, item.label, item.subject) for item in found] == [lost]


def test_the_utterances_of_a_missing_film_are_lost(tmp_path: Path) -> None:
    listing = list_items("iemocap", data_trees.iemocap(tmp_path), modality="av")
    assert [item.key for item in listing.lost] == [
        "Ses05M_script01_1b_F001",
        "Ses05M_script01_1b_M001",
    ]


def test_a_row_with_too_many_pixels_keeps_its_label(tmp_path: Path) -> None:
    table = data_trees.fer2013_csv(tmp_path, data_trees.FER_ROWS[:2]) / "fer2013.csv"
    table.write_text(f"{table.read_text()}\n3,{data_trees.PIXELS} 7,PrivateTest\n")
    listing = list_items("fer2013", tmp_path)
    assert [(i.row, i.label, i.split) for i in listing.lost] == [(2, "happy", "test")]
    assert len(listing.items) == 2


def test_a_clip_with_two_labels_is_refused_though_it_is_lost(tmp_path: Path) -> None:
    root = data_trees.clips(tmp_path)
    with (root / "clips.csv").open("a") as table:
        table.write("\ngone.wav,sad,Eve,,,,\ngone.wav,happy,Eve,,,,\n")
    with pytest.raises(DataError, match="each part of a file only once"):
        list_items("clips", root)
