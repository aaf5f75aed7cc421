"""Labels as a table (CSV): reading and writing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from avemo_ros.clock import NS_PER_S
from avemo_ros.errors import LabelError
from avemo_ros.truth.gather import Gathered, LabelFile, Reading
from avemo_ros.truth.row import FIELDS, NEEDED, PLACE, Row, wrong
from avemo_ros.truth.segment import Segment
from avemo_ros.truth.text import lines_of, read_text

TIMES: Final = ("bag", "unix")
"""What seconds count from: the bag's first message, or 1970."""
_DELIMITERS: Final = ",;\t"


def read_table(path: Path, reading: Reading) -> LabelFile:
    """The labels of a table with a header.

    Between two values is a comma, a semicolon or a tab.  Before the header, lines that start
    with # are comments; `# time: unix` says what seconds count from, and `# people: Anna =
    f0001 f0004` who is who.

    Raises:
        LabelError: the table cannot be read or is wrong; names line and field.
    """
    gathered = Gathered(path, reading)
    lines = lines_of(read_text(path))
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            _comment(gathered, f"{path}, line {number}", line[1:])
            lines[number - 1] = "\n"
        elif line.strip():
            break  # from here on a # is somebody's name
    for row in _rows(path, lines, gathered.notes):
        gathered.take(row)
    return gathered.file()


def _comment(gathered: Gathered, place: str, text: str) -> None:
    """Take what a comment may say; any other is for people."""
    word, _, value = (part.strip() for part in text.partition(":"))
    if word.lower() == "time":
        if value.lower() not in TIMES:
            raise wrong(place, "time", value, " or ".join(TIMES))
        gathered.unix = value.lower() == "unix"
    elif word.lower() == "people":
        person, equals, ids = (part.strip() for part in value.rpartition("="))
        if not equals or not person:
            raise wrong(place, "people", value, "a name, = and ids of the stream")
        gathered.name_ids(place, person, ids.split())


def _rows(path: Path, lines: list[str], notes: list[str]) -> Iterator[Row]:
    head = next((line for line in lines if line.strip()), "")
    if not head:
        raise LabelError(f"{path} is empty; its header must be {','.join(NEEDED)},...")
    delimiter = max(_DELIMITERS, key=head.count)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for values in rows:
            values = [value.strip() for value in values]
            if not any(values):
                continue
            if not header:
                header = _header(path, rows.line_num, values, notes)
                continue
            place = f"{path}, line {rows.line_num}"
            if len(values) != len(header):
                raise LabelError(
                    f"{place}: {len(values)} values for {len(header)} columns "
                    f"({delimiter.join(header)}); a value with {delimiter!r} in it needs "
                    "double quotes"
                )
            yield Row(place, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise LabelError(f"{path}, line {rows.line_num}: {error}") from error


def _header(path: Path, line: int, values: list[str], notes: list[str]) -> list[str]:
    header = [value.lower() for value in values]
    place = f"{path}, line {line}"
    lacking = [name for name in NEEDED if name not in header]
    if lacking:
        raise LabelError(
            f"{place}: there is no column {', '.join(map(repr, lacking))}; the header is "
            f"'{','.join(header)}', allowed: {','.join(FIELDS)}"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise LabelError(f"{place}: the column {twice[0]!r} is there twice; allowed: once")
    others = [name for name in header if name not in FIELDS]
    if others:
        notes.append(f"{path.name}: not read: column {', '.join(map(repr, others))}")
    return header


def labels_text(
    segments: Sequence[Segment],
    bag_start_ns: int = 0,
    *,
    people: Mapping[str, Sequence[str]] | None = None,
    unix: bool = False,
) -> str:
    """The table that says the same as the segments.

    Args:
        segments: in the order in which they are to stand.
        bag_start_ns: what seconds are to count from [ns].
        people: ids of the stream by the name of a person.
        unix: seconds are to be unix time; `bag_start_ns` does not matter.

    Returns:
        Text with a header; columns that nobody uses are left out.
    """
    rows = [_values(segment, 0 if unix else bag_start_ns) for segment in segments]
    used = [name for name in FIELDS if name in NEEDED or any(row[name] for row in rows)]
    text = io.StringIO()
    if unix:
        text.write("# time: unix\n")
    for person, ids in (people or {}).items():
        text.write(f"# people: {person} = {' '.join(ids)}\n")
    writer = csv.DictWriter(text, used, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _values(segment: Segment, zero_ns: int) -> dict[str, str]:
    box = segment.box
    place = () if box is None else (box.x, box.y, box.width, box.height)
    return {
        "person": segment.person,
        "start": seconds_text(segment.start_ns - zero_ns),
        "end": seconds_text(segment.end_ns - zero_ns),
        "label": segment.label,
        "valence": "" if segment.valence is None else repr(segment.valence),
        "arousal": "" if segment.arousal is None else repr(segment.arousal),
        "annotator": segment.annotator,
        **dict.fromkeys(PLACE, ""),
        **{name: repr(value) for name, value in zip(PLACE, place, strict=False)},
    }


def seconds_text(nanoseconds: int) -> str:
    """Seconds as in a file: exact, and as short as can be."""
    text = f"{Decimal(nanoseconds) / NS_PER_S:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
