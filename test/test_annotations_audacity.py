from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.annotations.label_files import read_labels
from avemo_ros.annotations.segments import Segment
from avemo_ros.errors import LabelError

START_NS = 10**18


def test_regions_become_segments(tmp_path: Path) -> None:
    path = tmp_path / "bag.labels.txt"
    path.write_text(
        "0.500000\t2.250000\thappy\n"
        "\\\t100.0\t2000.0\n"
        "3.000000\t4.000000\tAnna: sad\n"
        "5.000000\t6.000000\tAnna@rater 2: Anger\n"
    )
    found = read_labels(path, START_NS, person="Bob", annotator="rater 1")
    assert found.segments == (
        Segment(START_NS + 500_000_000, START_NS + 2_250_000_000, "happy", "Bob", "rater 1"),
        Segment(START_NS + 3 * 10**9, START_NS + 4 * 10**9, "sad", "Anna", "rater 1"),
        Segment(START_NS + 5 * 10**9, START_NS + 6 * 10**9, "angry", "Anna", "rater 2"),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.0 2.0 happy", "line 2: '1.0 2.0 happy' is not an Audacity label"),
        ("1.0\t1.0\thappy", "line 2: end is '1.0'; allowed: later than start: label a region"),
        ("2.0\t1.0\thappy", "line 2: end is '1.0'; allowed: later than start, 2.0"),
        ("1,5\t2,5\thappy", "line 2: start is '1,5'; allowed: seconds"),
        ("1.0\t2.0\tAnna: ", "line 2: label is ''; allowed"),
        ("1.0\t2.0\tsomething", "line 2: label is 'something'; allowed"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_field(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"0.0\t0.5\tsad\n{line}\n")
    with pytest.raises(LabelError, match=message):
        read_labels(path)
