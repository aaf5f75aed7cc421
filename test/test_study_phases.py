"""Phases and conditions: marked live, or written down afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.errors import LabelError
from avemo_ros.study.phases import find_phases, phases_of_marks, read_mark, read_phases

S = 10**9


def marks(*given: tuple[int, str]) -> list:  # type: ignore[type-arg]
    return [read_mark(at * S, text) for at, text in given]


def test_a_mark_begins_what_holds_until_the_next_one() -> None:
    found = phases_of_marks(
        marks((1, "phase: baseline"), (3, "Condition:empathic "), (5, "phase: talk"),
              (6, "laughs"), (8, "phase:")), 9 * S
    )  # fmt: skip
    at = [found.at("phase", second * S) for second in range(10)]
    assert at == ["", *["baseline"] * 4, *["talk"] * 3, "", ""]
    assert [found.at("condition", second * S) for second in (2, 3, 9)] == [
        "", "empathic", "empathic"
    ]  # fmt: skip


def test_other_words_are_events() -> None:
    (mark,) = marks((4, " robot failed: again "))
    assert (mark.factor, mark.name) == ("", "robot failed: again")


def test_a_table_says_when_each_phase_was(tmp_path: Path) -> None:
    path = tmp_path / "a.phases.csv"
    path.write_text(
        "# by Eve\nStart;End;phase;condition\n0;2.5;baseline;\n2.5;9;talk;empathic\n"
    )
    found = read_phases(path, 100 * S)
    assert [found.at("phase", (100 + s) * S) for s in (0, 2, 3, 9)] == [
        "baseline", "baseline", "talk", ""
    ]  # fmt: skip
    assert found.at("condition", 102 * S) == ""
    assert found.edges(101 * S, 110 * S) == [101 * S, 102_500_000_000, 109 * S, 110 * S]


def test_times_may_be_unix_time(tmp_path: Path) -> None:
    path = tmp_path / "a.phases.csv"
    path.write_text("# time: unix\nstart,end,phase\n1700000000.25,1700000009,talk\n")
    assert read_phases(path, 100 * S).at("phase", 1_700_000_000 * S + S // 2) == "talk"


def test_a_track_of_audacity_holds_phases(tmp_path: Path) -> None:
    path = tmp_path / "a.phases.txt"
    path.write_text("0.0\t2.0\tphase: baseline\n2.0\t4.0\tphase: talk\n")
    found = read_phases(path, 0)
    assert (found.at("phase", S), found.at("phase", 3 * S)) == ("baseline", "talk")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "start,end\n0,1\n", "neither a phase nor a condition"),
        ("a.csv", "start,phase\n0,x\n", "no column 'end'"),
        ("a.csv", "start,end,phase\n0,1,\n", "names no phase"),
        ("a.csv", "start,end,phase\n0,5,a\n4,6,b\n", "line 3: this phase begins 1 s before"),
        ("a.csv", "start,end,phase\n5,4,a\n", "line 2: end is '4'"),
        ("a.csv", "", "is empty"),
        ("a.txt", "0\t1\tbaseline\n", "is not a phase"),
        ("a.eaf", "", "their names end in .csv or .txt"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelError) as error:
        read_phases(tmp_path / name, 0)
    assert says in str(error.value)


def test_the_file_lies_beside_the_recording(tmp_path: Path) -> None:
    bag, clip = tmp_path / "day1", tmp_path / "talk.mp4"
    bag.mkdir()
    clip.touch()
    assert find_phases(bag) is None
    (tmp_path / "day1.phases.csv").touch()
    (tmp_path / "talk.phases.txt").touch()
    assert find_phases(bag) == tmp_path / "day1.phases.csv"
    assert find_phases(clip) == tmp_path / "talk.phases.txt"
    (tmp_path / "talk.mp4.phases.csv").touch()
    with pytest.raises(LabelError, match="2 files of phases"):
        find_phases(clip)
