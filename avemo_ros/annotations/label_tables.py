"""Labels in CSV tables, read and written, and in label tracks of Audacity."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from avemo_ros.annotations.label_entries import (
    FIELDS,
    NEEDED,
    PLACE,
    LabelCollector,
    LabelDefaults,
    LabelEntry,
    LabelFile,
    lines_of,
    read_text,
    wrong,
)
from avemo_ros.annotations.segments import Segment
from avemo_ros.errors import LabelError
from avemo_ros.timing import NS_PER_S

TIMES: Final = ("bag", "unix")
"""What seconds count from: the bag's first message, or 1970."""
_DELIMITERS: Final = ",;\t"
_FREQUENCIES: Final = "\\"
"""Starts a line that tells the frequencies of the label before."""


def read_table(path: Path, defaults: LabelDefaults) -> LabelFile:
    """The labels of a table with a header.

    Between two values is a comma, a semicolon or a tab.  Before the header, lines that start
    with # are comments; `# time: unix` says what seconds count from, and `# people: Anna =
    f0001 f0004` who is who.

    Raises:
        LabelError: the table cannot be read or is wrong; names line and field.
    """
    collector = LabelCollector(path, defaults)
    lines = lines_of(read_text(path))
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            _comment(collector, f"{path}, line {number}", line[1:])
            lines[number - 1] = "\n"
        elif line.strip():
            break  # from here on a # is somebody's name
    for entry in _entries(path, lines, collector.notes):
        collector.take(entry)
    return collector.file()


def _comment(collector: LabelCollector, place: str, text: str) -> None:
    """Take what a comment may say; any other is for people."""
    word, _, value = (part.strip() for part in text.partition(":"))
    if word.lower() == "time":
        if value.lower() not in TIMES:
            raise wrong(place, "time", value, " or ".join(TIMES))
        collector.unix = value.lower() == "unix"
    elif word.lower() == "people":
        person, equals, ids = (part.strip() for part in value.rpartition("="))
        if not equals or not person:
            raise wrong(place, "people", value, "a name, = and ids of the stream")
        collector.name_ids(place, person, ids.split())


def _entries(path: Path, lines: list[str], notes: list[str]) -> Iterator[LabelEntry]:
    head = next((line for line in lines if line.strip()), "")
    if not head:
        raise LabelError(f"{path} is empty; its header must be {','.join(NEEDED)},...")
    delimiter = delimiter_of(head)
    entries = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for values in entries:
            values = [value.strip() for value in values]
            if not any(values):
                continue
            if not header:
                header = _header(path, entries.line_num, values, notes)
                continue
            place = f"{path}, line {entries.line_num}"
            if len(values) != len(header):
                raise LabelError(
                    f"{place}: {len(values)} values for {len(header)} columns "
                    f"({delimiter.join(header)}); a value with {delimiter!r} in it needs "
                    "double quotes"
                )
            yield LabelEntry(place, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise LabelError(f"{path}, line {entries.line_num}: {error}") from error


def delimiter_of(head: str) -> str:
    """What is between the columns of a table with this header."""
    return max(_DELIMITERS, key=head.count)


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
        raise LabelError(f"{place}: the column {twice[0]!r} occurs twice; allowed: once")
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
    entries = [_values(segment, 0 if unix else bag_start_ns) for segment in segments]
    used = [name for name in FIELDS if name in NEEDED or any(row[name] for row in entries)]
    text = io.StringIO()
    if unix:
        text.write("# time: unix\n")
    for person, ids in (people or {}).items():
        text.write(f"# people: {person} = {' '.join(ids)}\n")
    writer = csv.DictWriter(text, used, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries)
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


def read_audacity(path: Path, defaults: LabelDefaults) -> LabelFile:
    r"""The labels of lines `start \t end \t text`, seconds from the track's beginning.

    The text is a word for an emotion, or `person: word` or `person@annotator: word`.

    Raises:
        LabelError: the file cannot be read or is wrong; names line and field.
    """
    collector = LabelCollector(path, defaults)
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if line.strip() and not line.startswith(_FREQUENCIES):
            collector.take(_audacity_entry(f"{path}, line {number}", line))
    return collector.file()


def _audacity_entry(place: str, line: str) -> LabelEntry:
    parts = line.split("\t")
    if len(parts) < 3:
        raise LabelError(
            f"{place}: {line.strip()!r} is not an Audacity label; allowed: start, end and "
            "text, separated by tabs"
        )
    start, end, text = parts[0].strip(), parts[1].strip(), "\t".join(parts[2:])
    who, _, word = text.rpartition(":")
    person, _, annotator = who.partition("@")
    entry = LabelEntry(
        place,
        {
            "start": start,
            "end": end,
            "label": word.strip(),
            "person": person.strip(),
            "annotator": annotator.strip(),
        },
    )
    if start == end:
        raise entry.wrong("end", "later than start: label a region, not a point")
    return entry
