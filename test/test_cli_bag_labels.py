from __future__ import annotations

from pathlib import Path

import pytest
from made_evaluations import states_bag

from avemo_ros.annotations.label_files import read_labels
from avemo_ros.bag.reader import Recording
from avemo_ros.cli.main import main

HEAD = "person,start,end,label\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "day.labels.csv"
    path.write_text(HEAD + "Anna,0,2.5,happy\nAnna,2.5,4,sad\n")
    return path


def test_a_file_is_checked_and_summed_up(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", "labels", str(table)]) == 0
    assert capsys.readouterr().out == (
        "2 labels from 0.000 to 4.000 s\n"
        "about     Anna\n"
        "happy         1 label        2.5 s\n"
        "sad           1 label        1.5 s\n"
    )


def test_a_wrong_file_is_an_error_with_its_line(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(HEAD + "Anna,0,x,happy\n")
    assert main(["bag", "labels", str(table)]) == 2
    assert f"avemo: error: {table}, line 2: end is 'x'" in capsys.readouterr().err


def test_audacity_becomes_a_table_that_can_be_read(tmp_path: Path, table: Path) -> None:
    track, out = tmp_path / "track.txt", tmp_path / "out.csv"
    track.write_text("0.5\t1.5\tsad\n2\t3\tBob: joy\n")
    command = ["bag", "labels", str(track), "--out", str(out), "--person", "Anna"]
    assert main([*command, "--annotator", "x", "--shift", "0.25", "--quiet"]) == 0
    assert out.read_text() == (
        "person,start,end,label,annotator\nAnna,0.75,1.75,sad,x\nBob,2.25,3.25,happy,x\n"
    )


def test_labels_of_a_bag_become_those_of_its_time(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = states_bag(tmp_path / "day", labels="")
    out = tmp_path / "out.csv"
    command = ["bag", "labels", str(table), "--unix", str(bag)]
    assert main(command) == 2
    assert "--unix" in capsys.readouterr().err
    assert main([*command, "--shift", "-0.5", "--out", str(out), "--quiet"]) == 0
    with Recording(bag) as recording:
        zero_ns = recording.start_ns
        found = read_labels(out, recording.start_ns).segments
    given = read_labels(table, zero_ns - 500_000_000).segments
    assert found == given
    # They fit whatever was recorded of that time; once more would be wrong.
    assert read_labels(out).segments == given
    again = ["--unix", str(bag), "--out", str(table), "--force"]
    assert main(["bag", "labels", str(out), *again]) == 2
    assert "are already unix time" in capsys.readouterr().err


def test_one_label_is_counted_as_one(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(HEAD + "Anna,0,2.5,happy\n")
    assert main(["bag", "labels", str(table)]) == 0
    assert capsys.readouterr().out.startswith("1 label from 0.000")


def test_nothing_is_overwritten_without_force(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    command = ["bag", "labels", str(table), "--out", str(out)]
    assert main(command) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert out.read_text() == table.read_text()


def test_a_device_needs_no_ending_and_stays_one(table: Path) -> None:
    assert main(["bag", "labels", str(table), "--out", "/dev/null", "--quiet"]) == 0
    assert Path("/dev/null").is_char_device()


def test_what_is_left_out_is_said_and_is_exit_status_1(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(table.read_text() + "Anna,5,6,bored\n")
    assert main(["bag", "labels", str(table), "--quiet"]) == 1
    assert "1 label is left out: 'bored' is not a class" in capsys.readouterr().err


def test_annotators_are_compared(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "sam.csv"
    other.write_text(HEAD + "Anna,0,2,happy\nAnna,2,4,sad\n")
    assert main(["bag", "labels", str(table), str(other)]) == 0
    # 40 moments, 35 alike; p_e = (25 * 20 + 15 * 20) / 1600 = 0.5
    expected = "annotators day, sam: Cohen's kappa 0.750 over 4.0 s"
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--out", "labels.txt"], "--out"),
        (["--shift", "nan"], "--shift"),
        (["--shift", "-1"], "shifted by -1 s, a label would start at -1.000 s"),
    ],
)
def test_wrong_arguments_are_named(
    table: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", "labels", str(table), *more]) == 2
    assert message in capsys.readouterr().err


def test_times_of_two_kinds_do_not_mix(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "sam.csv"
    other.write_text("# time: unix\n" + HEAD + "Anna,1700000000,1700000001,happy\n")
    assert main(["bag", "labels", str(table), str(other)]) == 2
    assert "do not count from the same moment" in capsys.readouterr().err
