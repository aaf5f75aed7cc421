from __future__ import annotations

from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError


def _table(
    root: Path, *rows: str, header: str = "file,label,subject,sex,split,start_s,end_s"
) -> Path:
    data_trees.wav(root / "a.wav")
    return data_trees.put(root / "clips.csv", "\n".join((header, *rows)))


@pytest.mark.parametrize("name", ["", "clips.csv"])
def test_the_table_or_its_folder_may_be_given(name: str, tmp_path: Path) -> None:
    items = list_items("clips", data_trees.clips(tmp_path) / name).items
    assert [(item.key, item.label, item.subject, item.sex, item.split) for item in items] == [
        ("sounds/one.wav", "happy", "clips-Anna", "female", "train"),
        ("three.jpg", "surprise", "clips-Carla", "", ""),
        ("two.mp4@0", "calm", "clips-Bob", "male", "validation"),
        ("two.mp4@1.5", "angry", "clips-Bob", "male", "validation"),
    ]


def test_pieces_of_a_file_have_start_and_end(tmp_path: Path) -> None:
    items = list_items("clips", data_trees.clips(tmp_path)).items
    assert [(item.start_s, item.end_s) for item in items] == [
        (None, None),
        (None, None),
        (0.0, 1.5),
        (1.5, 3.0),
    ]


def test_a_file_has_a_face_or_a_voice_as_its_kind_says(tmp_path: Path) -> None:
    items = list_items("clips", data_trees.clips(tmp_path)).items
    assert [(item.has_face, item.has_voice) for item in items] == [
        (False, True),
        (True, False),
        (True, True),
        (True, True),
    ]


def test_labels_that_are_none_of_the_classes_are_left_out_by_design(tmp_path: Path) -> None:
    problems = list_items("clips", data_trees.clips(tmp_path)).problems
    assert [(p.what, p.by_design) for p in problems] == [
        ("boredom: not one of the classes", True)
    ]


def test_three_columns_will_do(tmp_path: Path) -> None:
    table = _table(tmp_path, "a.wav,Sad,Eve", header="File, Label, Subject")
    item = list_items("clips", table).items[0]
    assert (item.label, item.subject, item.start_s) == ("sad", "clips-Eve", None)


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    table = _table(tmp_path, "a.wav,sad,Eve,,,,", "b.wav,sad,Eve,,,,")
    problems = list_items("clips", table).problems
    assert [(p.path.name, p.what) for p in problems] == [("b.wav", "in clips.csv, but missing")]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a.wav,melancholy,Eve,,,,", "label is 'melancholy'; allowed: angry, disgust"),
        ("a.wav,sad,,,,,", "subject is ''; allowed: a name"),
        ("a.txt,sad,Eve,,,,", r"file is 'a\.txt'; allowed: names in \.wav"),
        (",sad,Eve,,,,", "file is ''"),
        ("a.wav,sad,Eve,x,,,", "sex is 'x'; allowed: male, female or nothing"),
        ("a.wav,sad,Eve,,dev,,", "split is 'dev'; allowed: train, validation, test"),
        ("a.wav,sad,Eve,,,minus,", "start_s is 'minus'; allowed: seconds from 0"),
        ("a.wav,sad,Eve,,,-1,", "start_s is '-1'"),
        ("a.wav,sad,Eve,,,nan,", "start_s is 'nan'"),
        ("a.wav,sad,Eve,,,0,inf", "end_s is 'inf'"),
        ("a.wav,sad,Eve,,,2,1", "end_s is '1'; allowed: later than start_s"),
        ("a.wav,happy,Eve,,,,", r"file is 'a\.wav'; allowed: each part of a file only once"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_line_column_and_what_is(
    row: str, what: str, tmp_path: Path
) -> None:
    table = _table(tmp_path, "a.wav,sad,Eve,,,,", "", row)
    with pytest.raises(DataError, match=f"line 4: {what}"):
        list_items("clips", table)


def test_a_table_without_a_column_that_is_needed_is_refused(tmp_path: Path) -> None:
    table = _table(tmp_path, "a.wav,sad", header="file,label")
    with pytest.raises(DataError, match="no column 'subject'"):
        list_items("clips", table)


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clips\.csv cannot be read \(No such file"):
        list_items("clips", tmp_path)


def test_a_table_in_latin_1_finds_its_files(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "Zoë.wav")
    data_trees.put(
        tmp_path / "clips.csv", "file,label,subject\nZoë.wav,sad,Zoë\n".encode("latin-1")
    )
    assert [item.key for item in list_items("clips", tmp_path).items] == ["Zoë.wav"]
