"""Phases and conditions of a recording: marked while it was made, or written down later."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from avemo_ros.annotations.label_entries import LabelEntry, lines_of, read_text, span_of
from avemo_ros.annotations.label_tables import delimiter_of
from avemo_ros.errors import LabelError
from avemo_ros.timing import to_s

FACTORS: Final = ("condition", "phase")
"""What a study may vary."""
_SUFFIXES: Final = (".csv", ".txt")
_NEEDED: Final = ("start", "end")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which a condition or a phase held."""

    start_ns: int
    end_ns: int
    """Later than `start_ns`; not itself part of it."""
    name: str


@dataclass(frozen=True, slots=True)
class StudyMark:
    """What was marked at one moment."""

    stamp_ns: int
    factor: str
    """One of FACTORS, which begins or (with a `name` of "") ends; "": an event."""
    name: str
    """Of the condition or phase, or the words of the event."""


@dataclass(frozen=True, slots=True)
class Phases:
    """The spans of each factor; those of one factor are in order and do not overlap."""

    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)

    def at(self, factor: str, stamp_ns: int) -> str:
        """What holds at a moment; "" for nothing."""
        spans = self.spans.get(factor, ())
        place = bisect_right(spans, stamp_ns, key=lambda span: span.start_ns) - 1
        return spans[place].name if place >= 0 and stamp_ns < spans[place].end_ns else ""

    def edges(self, start_ns: int, end_ns: int) -> list[int]:
        """Both ends, and between them where anything begins or ends [ns]; rising."""
        inner = {
            edge
            for spans in self.spans.values()
            for span in spans
            for edge in (span.start_ns, span.end_ns)
            if start_ns < edge < end_ns
        }
        return sorted({start_ns, end_ns} | inner)

    def moved(self, by_ns: int) -> Phases:
        """The same, so much later [ns]."""
        return Phases(
            {
                factor: tuple(
                    Span(one.start_ns + by_ns, one.end_ns + by_ns, one.name) for one in spans
                )
                for factor, spans in self.spans.items()
            }
        )


def read_mark(stamp_ns: int, text: str) -> StudyMark:
    """What a message of the topic says: `phase: NAME`, `condition: NAME`, or an event.

    Args:
        stamp_ns: when it came [ns].
        text: of the message; without a name, the phase or condition ends.
    """
    factor, colon, name = (part.strip() for part in text.partition(":"))
    if colon and factor.casefold() in FACTORS:
        return StudyMark(stamp_ns, factor.casefold(), name)
    return StudyMark(stamp_ns, "", text.strip())


def phases_of_marks(marks: Iterable[StudyMark], end_ns: int) -> Phases:
    """What held when: each from its mark to the next of its factor, or to the end.

    Args:
        marks: in order of time.
        end_ns: of the recording [ns].
    """
    found: dict[str, list[StudyMark]] = {}
    for mark in marks:
        if mark.factor:
            found.setdefault(mark.factor, []).append(mark)
    return Phases(
        {
            factor: tuple(
                Span(one.stamp_ns, after.stamp_ns, one.name)
                for one, after in pairwise([*own, StudyMark(end_ns + 1, factor, "")])
                if one.name and after.stamp_ns > one.stamp_ns
            )
            for factor, own in found.items()
        }
    )


def find_phases(recording: Path) -> Path | None:
    """The file of phases beside a recording: NAME.phases.csv or .txt; None without.

    Args:
        recording: a bag's folder, a file of a bag or a media file; NAME may be with or without
            its end.

    Raises:
        LabelError: there are several.
    """
    path = recording.resolve()
    names = [path.name] if path.is_dir() else list(dict.fromkeys((path.name, path.stem)))
    found = [
        place
        for name in names
        for suffix in _SUFFIXES
        if (place := path.with_name(f"{name}.phases{suffix}")).is_file()
    ]
    if len(found) > 1:
        raise LabelError(
            f"{recording} has {len(found)} files of phases: {', '.join(map(str, found))}; name "
            "one in the column 'phases'"
        )
    return found[0] if found else None


def read_phases(path: Path, zero_ns: int) -> Phases:
    """The spans of a table with the columns start, end, and phase or condition or both; or of
    a label track of Audacity with texts as of marks (`phase: NAME`).

    Seconds count from the first message, after a line `# time: unix` from 1970, as in tables of
    labels.

    Args:
        path: of the file, .csv or .txt.
        zero_ns: log time of the first message [ns].

    Raises:
        LabelError: it cannot be read or is wrong, or spans of one factor overlap; names the
            line.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise LabelError(f"{path} is not a file of phases; their names end in .csv or .txt")
    lines = lines_of(read_text(path))
    placed: dict[str, list[tuple[Span, str]]] = {}
    rows = _table(path, lines) if path.suffix.lower() == ".csv" else _track(path, lines)
    unix = any(
        line.startswith("#") and line[1:].replace(" ", "").strip().lower() == "time:unix"
        for line in lines
    )
    for entry in rows:
        start_ns, end_ns = span_of(entry, 0 if unix else zero_ns, unix=unix)
        for factor in FACTORS:
            if entry[factor]:
                span = Span(start_ns, end_ns, entry[factor])
                placed.setdefault(factor, []).append((span, entry.place))
    if not placed:
        raise LabelError(f"{path} names no phase and no condition")
    for factor, track in placed.items():
        track.sort(key=lambda item: item[0].start_ns)
        for (before, earlier), (after, later) in pairwise(track):
            if after.start_ns < before.end_ns:
                raise LabelError(
                    f"{later}: this {factor} begins {to_s(before.end_ns - after.start_ns):g} s "
                    f"before that of {earlier} ends; allowed: one {factor} at a time"
                )
    return Phases(
        {factor: tuple(span for span, _ in track) for factor, track in placed.items()}
    )


def _table(path: Path, lines: list[str]) -> list[LabelEntry]:
    rest = ["\n" if line.startswith("#") else line for line in lines]
    head = next((line for line in rest if line.strip()), "")
    if not head:
        raise LabelError(f"{path} is empty; its header must be start,end,phase or condition")
    table = csv.reader(rest, delimiter=delimiter_of(head), strict=True)
    header: list[str] = []
    found = []
    try:
        for values in table:
            values = [value.strip() for value in values]
            if not any(values):
                continue
            place = f"{path}, line {table.line_num}"
            if not header:
                header = [value.casefold() for value in values]
                _check_header(place, header)
                continue
            if len(values) != len(header):
                raise LabelError(f"{place}: {len(values)} values for {len(header)} columns")
            found.append(LabelEntry(place, dict(zip(header, values, strict=True))))
    except csv.Error as error:
        raise LabelError(f"{path}, line {table.line_num}: {error}") from error
    return found


def _check_header(place: str, header: Sequence[str]) -> None:
    lacking = [name for name in _NEEDED if name not in header]
    if lacking or not set(FACTORS) & set(header):
        what = f"no column {lacking[0]!r}" if lacking else "neither a phase nor a condition"
        raise LabelError(
            f"{place}: there is {what}; allowed columns: start, end, phase, condition"
        )


def _track(path: Path, lines: Sequence[str]) -> list[LabelEntry]:
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("\\", "#")):
            continue
        place = f"{path}, line {number}"
        parts = line.split("\t")
        mark = read_mark(0, parts[-1]) if len(parts) == 3 else StudyMark(0, "", "")
        if not mark.factor or not mark.name:
            raise LabelError(
                f"{place}: {line.strip()!r} is not a phase; allowed: start, end and "
                "'phase: NAME' or 'condition: NAME', separated by tabs"
            )
        values = {"start": parts[0].strip(), "end": parts[1].strip(), mark.factor: mark.name}
        found.append(LabelEntry(place, values))
    return found
