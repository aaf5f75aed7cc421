from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

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


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_any_spreadsheet_is_read(
    separator: str, encoding: str, newline: str, tmp_path: Path
) -> None:
    data_trees.wav(tmp_path / "a;b,c.wav")
    rows = [
        ["FILE", "Label ", '"Subject"', "start_s"],
        ['"a;b,c.wav"', "sad", '"Zoë, the 2nd; or so"', '"0,5"'],
        ["", "", " ", ""],
        [],
    ]
    text = newline.join(separator.join(row) for row in rows) + newline
    (tmp_path / "clips.csv").write_bytes(text.encode(encoding))
    listing = list_items("clips", tmp_path)
    assert [(item.key, item.subject, item.start_s) for item in listing.items] == [
        ("a;b,c.wav@0,5", "clips-Zoë, the 2nd; or so", 0.5)
    ]
    assert listing.problems == ()


def test_a_first_line_of_excel_names_the_separator(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "a.wav")
    text = "sep=;\r\nfile;label;subject\r\na.wav;sad;Eve\r\na.wav;happy;Eve\r\n"
    table = data_trees.put(tmp_path / "clips.csv", text)
    with pytest.raises(DataError, match=r"line 4: file is 'a\.wav'"):
        list_items("clips", table)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
@pytest.mark.parametrize("named", ["Zoë/é.wav", "./Zoë/é.wav", "Zoë\\é.wav", ".\\Zoë//é.wav"])
def test_names_of_other_systems_find_their_files(
    named: str, form: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"], tmp_path: Path
) -> None:
    data_trees.wav(tmp_path / unicodedata.normalize(form, "Zoë/é.wav"))
    row = unicodedata.normalize(other, f"{named},sad,Zoë")
    data_trees.put(tmp_path / "clips.csv", f"file,label,subject\n{row}\n")
    listing = list_items("clips", tmp_path)
    assert [(item.key, item.subject) for item in listing.items] == [("Zoë/é.wav", "clips-Zoë")]
    assert listing.items[0].path.exists()


def test_a_name_that_is_there_as_it_is_written_is_taken(tmp_path: Path) -> None:
    for name in ("a\\b.wav", "12:30:05.wav", "-y.wav", "file:c.wav", "50%25?.wav"):
        data_trees.wav(tmp_path / name)
        data_trees.put(tmp_path / "clips.csv", f"file,label,subject\n{name},sad,Eve\n")
        assert list_items("clips", tmp_path).items[0].path == tmp_path / name


@pytest.mark.parametrize(
    "again", ["a.wav,sad,Eve,,,0,2", "./a.wav,Sadness,Eve,,,0.0,2", '"a.wav",sad,Eve,,,0,2.0']
)
def test_a_row_that_is_there_twice_counts_once_and_is_reported(
    again: str, tmp_path: Path
) -> None:
    listing = list_items("clips", _table(tmp_path, "a.wav,sad,Eve,,,0,2", again))
    assert len(listing.items) == 1
    assert [(p.what, p.by_design) for p in listing.problems] == [
        ("line 3 of clips.csv repeats line 2", True)
    ]


@pytest.mark.parametrize(
    "again", ["a.wav,happy,Eve,,,0,2", "./a.wav,happy,Eve,,,0.0,2", "a.wav,sad,Bob,,,0,2.00"]
)
def test_a_clip_with_two_labels_or_people_is_an_error(again: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only once; line 2 says sad of Eve"):
        list_items("clips", _table(tmp_path, "a.wav,sad,Eve,,,0,2", again))


def test_a_table_that_is_not_utf_8_is_read_and_reported(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "Zoë.wav")
    text = "file,label,subject\nZoë.wav,sad,Zoë\n"
    table = data_trees.put(tmp_path / "clips.csv", text.encode("latin-1"))
    (problem,) = list_items("clips", table).problems
    assert "not UTF-8, read as Latin-1: save it as UTF-8" in problem.what
    assert not problem.left_out


def test_people_whose_names_differ_in_capitals_only_are_reported(tmp_path: Path) -> None:
    for name in "abc":
        data_trees.wav(tmp_path / f"{name}.wav")
    table = _table(tmp_path, "a.wav,sad,Eve,,,,", "b.wav,sad,Bob,,,,", "c.wav,sad,eve,,,,")
    assert [(p.what, p.left_out) for p in list_items("clips", table).problems] == [
        ("'Eve' and 'eve' count as two people", False)
    ]
