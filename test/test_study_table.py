"""`study.csv`."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_studies import study_of

from avemo_ros.errors import LabelError
from avemo_ros.study.study_table import read_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bags").mkdir()
    (tmp_path / "bags" / "p1").mkdir()
    (tmp_path / "p2.mp4").touch()
    (tmp_path / "p1.eaf").touch()
    (tmp_path / "p1.ben.txt").touch()
    return tmp_path


def test_a_row_is_a_participant_in_a_recording(folder: Path) -> None:
    study = read_study(
        study_of(
            folder,
            "Participant;recording;condition;start;end;labels;Age",
            "P1;bags/p1;plain;0;60.5;ann=p1.eaf | p1.ben.txt;31",
            "P1;bags/p1;empathic;60.5;;;31",
            "P2;p2.mp4;plain;;;;24",
        )
    )
    first, second, third = study.rows
    assert (first.participant, first.condition, first.end_s) == ("P1", "plain", 60.5)
    assert first.path == folder / "bags" / "p1"
    assert first.labels == (folder / "p1.eaf", folder / "p1.ben.txt")
    assert first.annotators == ("ann", "")
    assert (second.start_s, second.end_s, second.labels) == (60.5, None, ())
    assert study.others == ("Age",)
    assert third.others == {"Age": "24"}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["person,recording", "x,bags/p1"], "line 1: there is no column 'participant'"),
        (["particpant,recording", "x,bags/p1"], "is it 'particpant'?"),
        (["participant,recording,conditions", "P1,bags/p1,x"], "did you mean 'condition'?"),
        (["participant,recording,steps", "P1,bags/p1,x"], "have a column of that name"),
        (["participant,recording", "P1,bags/p9"], "line 2: recording is 'bags/p9'"),
        (["participant,recording", ",bags/p1"], "line 2: participant is empty"),
        (["participant,recording,start", "P1,bags/p1,1:30"], "start is '1:30'"),
        (["participant,recording,start,end", "P1,bags/p1,9,3"], "later than start, 9"),
        (["participant,recording,labels", "P1,bags/p1,p7.csv"], "labels is 'p7.csv'"),
        (["participant,recording,phases", "P1,bags/p1,p7.csv"], "phases is 'p7.csv'"),
        (["participant,recording", "P1,bags/p1", "P2,./bags/p1"], "line 3: ./bags/p1 counts"),
        (["participant,recording", "P1,bags/p1,more"], "3 values for 2 columns"),
        (["participant,recording"], "names no recording"),
        ([""], "is empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(folder: Path, lines: list[str], says: str) -> None:
    with pytest.raises(LabelError) as error:
        read_study(study_of(folder, *lines))
    assert says in str(error.value)


def test_two_people_of_one_recording_are_two_rows(folder: Path) -> None:
    study = read_study(
        study_of(folder, "participant,recording,person", "P1,bags/p1,Anna", "P2,bags/p1,Bob")
    )
    assert [row.person for row in study.rows] == ["Anna", "Bob"]


def test_a_folder_with_a_table_is_that_table(folder: Path) -> None:
    study_of(folder, "participant,recording", "P1,p2.mp4")
    assert [row.participant for row in read_study(folder).rows] == ["P1"]


def test_without_a_table_there_is_a_folder_for_each_participant(tmp_path: Path) -> None:
    for bag in ("P1/first/bag", "P1/second/bag", "P2/bag"):
        (tmp_path / bag).mkdir(parents=True)
        (tmp_path / bag / "metadata.yaml").touch()
        (tmp_path / bag / "bag_0.mcap").touch()
    for file in ("P2/talk.MP4", "P2/loose.mcap", "P2/talk.csv", "P2/.avemo-1/x.mp4"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    study = read_study(tmp_path)
    found = [(row.participant, row.session, row.recording) for row in study.rows]
    assert sorted(found) == [
        ("P1", "first", "P1/first/bag"),
        ("P1", "second", "P1/second/bag"),
        ("P2", "", "P2/bag"),
        ("P2", "", "P2/loose.mcap"),
        ("P2", "", "P2/talk.MP4"),
    ]
    assert study.rows[0].path == tmp_path / "P1" / "first" / "bag"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("bag.mcap", "is not in .*PARTICIPANT/"),
        ("a/b/c/bag.mcap", "is not in .*PARTICIPANT/"),
        ("a/notes.txt", "neither a table study.csv nor recordings"),
    ],
)
def test_a_folder_of_another_form_is_refused_with_what_to_do(
    tmp_path: Path, file: str, says: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(LabelError, match=says):
        read_study(tmp_path)
