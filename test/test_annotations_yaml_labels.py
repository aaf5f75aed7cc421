from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import read_labels
from avemo_ros.annotations.segments import Segment
from avemo_ros.errors import LabelError
from avemo_ros.vision.face import Box

START_NS = 10**18 + 7


def read(folder: Path, text: str) -> LabelFile:
    path = folder / "labels.yaml"
    path.write_text(text, encoding="utf-8")
    return read_labels(path, START_NS)


def test_segments_and_people_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        people: {Anna: [f0001, f0004], Bob: v0001}
        segments:
          - {person: Anna, start: 0.25, end: 2, label: happy, annotator: x, valence: 0.5}
          - person: Bob
            start: 1
            end: 3
            label: ~
            arousal: -1
            x: 0.1
            y: 0.2
            width: 0.3
            height: 0.4
        """,
    )
    assert found.people == {"Anna": ("f0001", "f0004"), "Bob": ("v0001",)}
    assert found.segments == (
        Segment(START_NS + 250_000_000, START_NS + 2 * 10**9, "happy", "Anna", "x", 0.5),
        Segment(
            START_NS + 10**9,
            START_NS + 3 * 10**9,
            "",
            "Bob",
            arousal=-1.0,
            box=Box(0.1, 0.2, 0.3, 0.4),
        ),
    )


def test_unix_times_are_exact(tmp_path: Path) -> None:
    text = "time: unix\nsegments: [{start: 1700000000.123456789, end: 1700000002, label: sad}]"
    assert read(tmp_path, text).segments[0].start_ns == 1_700_000_000_123_456_789


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.yaml is empty"),
        ("# nothing\n", "labels.yaml is empty"),
        ("segments: []", "contains no labels"),
        ("people: {A: f1}", "has no key 'segments'"),
        ("- {start: 0}", "line 1: the document must be a mapping with keys of time, people"),
        ("segment: []", "line 1: the document has the key 'segment'; allowed: time, people"),
        ("segments: {start: 1}", "line 1: segments must be a list of labels"),
        ("segments:\n  - 5", "line 2: a label must be a mapping with keys of person, start"),
        ("time: gps\nsegments: []", "line 1: time is 'gps'; allowed: bag or unix"),
        (
            "segments:\n  - {start: 0, end: 1, label: sad}\n  - {start: 2, end: 1, label: sad}",
            "line 3: end is '1'; allowed: later than start, 2",
        ),
        (
            "segments:\n  - {start: .nan, end: 1, label: sad}",
            "line 2: start is '.nan'; allowed",
        ),
        ("segments:\n  - {start: 0, end: 1, label: yes}", "line 2: label is 'yes'; allowed"),
        ("segments:\n  - {start: 0, end: 1, label: [sad]}", "line 2: label must be a single"),
        ("segments:\n  - {start: 0, stop: 1}", "line 2: a label has the key 'stop'; allowed"),
        (
            "segments:\n  - {start: 0,\n     start: 1}",
            "line 3: a label has the key 'start' twice",
        ),
        ("people: [f1]\nsegments: []", "line 1: people must be a mapping of names to ids"),
        ("people:\n  A: []\nsegments: []", "line 2: ids of 'A' is ''; allowed: ids"),
        ("people:\n  A: f1\n  B: [f1]\nsegments: []", "line 3: .* allowed: not f1, it is 'A'"),
        ("segments: [}", "line 1: not readable as YAML"),
        ("segments: !!python/object/apply:os.getcwd []", "contains no labels"),
        ("[" * 5000, "not readable as YAML"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        read(tmp_path, text)


def test_aliases_that_multiply_cost_nothing(tmp_path: Path) -> None:
    layers = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    text = "a0: &a0 [x]\n" + "\n".join(layers) + "\nsegments: *a29\n"
    with pytest.raises(LabelError, match="has the key 'a0'"):
        read(tmp_path, text)
