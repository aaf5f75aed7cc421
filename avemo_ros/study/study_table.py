"""`study.csv`, or a folder: who took part in which recording, in which condition, and who
labelled it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Final

from avemo_ros.annotations.label_entries import lines_of, read_text
from avemo_ros.annotations.label_files import READERS
from avemo_ros.annotations.label_tables import delimiter_of
from avemo_ros.bag import METADATA, is_bag
from avemo_ros.data.corpus_files import OWN_VIDEO
from avemo_ros.errors import LabelError
from avemo_ros.study.codebook import EVERY_NAME

TABLE: Final = "study.csv"
NEEDED: Final = ("participant", "recording")
COLUMNS: Final = (
    *NEEDED,
    "session",
    "condition",
    "phase",
    "start",
    "end",
    "person",
    "labels",
    "phases",
)
"""What the table may say; other columns are taken along as they are."""
_ALIKE: Final = 0.8
"""From here on a name of a column is taken for a mistyped one."""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One participant in one recording, or in a part of it."""

    place: str
    """Where it stands, for messages: 'study.csv, line 3'."""
    participant: str
    recording: str
    """As the table spells it."""
    path: Path
    """Of the bag or the media file."""
    session: str = ""
    condition: str = ""
    phase: str = ""
    """"" where they are told by marks or a file of phases, or not at all."""
    start_s: float = 0.0
    end_s: float | None = None
    """Only this part counts [s from the first message]; None: up to the end."""
    person: str = ""
    """Who of several people the participant is: a name of the labels, or an id of the stream;
    "": the one whom the robot attends to."""
    labels: tuple[Path, ...] = ()
    """Files of labels; (): those beside the recording, if there are any."""
    annotators: tuple[str, ...] = ()
    """For each of `labels` who has judged where the file names nobody."""
    phases: Path | None = None
    """File of phases; None: the one beside the recording, if there is one."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further columns."""

    def overlaps(self, other: StudyRow) -> bool:
        """Whether both count the same time of the same person."""
        if (self.path.resolve(), self.person) != (other.path.resolve(), other.person):
            return False
        ends = [float("inf") if one.end_s is None else one.end_s for one in (self, other)]
        return self.start_s < ends[1] and other.start_s < ends[0]


@dataclass(frozen=True, slots=True)
class Study:
    """The whole table."""

    path: Path
    rows: tuple[StudyRow, ...]
    others: tuple[str, ...] = ()
    """Names of the further columns, in their order."""


def read_study(path: Path) -> Study:
    """The study of a table with a header, whose paths count from the table's folder; or of a
    folder without a table (`_of_folder`).

    Raises:
        LabelError: the table cannot be read or is wrong, or names a file that is not there;
            says line and column.  Or the folder has no recording of a participant.
    """
    if path.is_dir() and not (path / TABLE).is_file():
        return _of_folder(path)
    path = path / TABLE if path.is_dir() else path
    lines = lines_of(read_text(path))
    head = next((line for line in lines if line.strip()), "")
    if not head:
        raise LabelError(f"{path} is empty; its header must be {','.join(NEEDED)},...")
    entries = csv.reader(lines, delimiter=delimiter_of(head), strict=True)
    header: list[str] = []
    rows: list[StudyRow] = []
    try:
        for values in entries:
            values = [value.strip() for value in values]
            if not any(values):
                continue
            place = f"{path}, line {entries.line_num}"
            if not header:
                header = _header(place, values)
                continue
            if len(values) != len(header):
                raise LabelError(
                    f"{place}: {len(values)} values for {len(header)} columns; a value with "
                    f"{delimiter_of(head)!r} in it needs double quotes"
                )
            rows.append(_row(place, path.parent, dict(zip(header, values, strict=True))))
    except csv.Error as error:
        raise LabelError(f"{path}, line {entries.line_num}: {error}") from error
    if not rows:
        raise LabelError(f"{path} names no recording")
    _check_twice(rows)
    return Study(path, tuple(rows), tuple(name for name in header if name not in COLUMNS))


def _of_folder(folder: Path) -> Study:
    """The recordings in FOLDER/PARTICIPANT/ or FOLDER/PARTICIPANT/SESSION/, in order of their
    names; labels and phases are the files beside them."""
    rows = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in inside)
        within_bag = any((one / METADATA).is_file() for one in path.parents if one != folder)
        film = path.is_file() and path.suffix.lower() in OWN_VIDEO
        bag = is_bag(path) if path.is_file() else (path / METADATA).is_file()
        if hidden or within_bag or not (film or bag):
            continue
        if not 2 <= len(inside) <= 3:
            raise LabelError(
                f"{path} is not in {folder}/PARTICIPANT/ or {folder}/PARTICIPANT/SESSION/; "
                f"move it there, or write a table {folder / TABLE}"
            )
        session = inside[1] if len(inside) == 3 else ""
        rows.append(StudyRow(str(path), inside[0], "/".join(inside), path, session))
    if not rows:
        raise LabelError(
            f"{folder} has neither a table {TABLE} nor recordings in folders of participants"
        )
    return Study(folder, tuple(rows))


def _header(place: str, values: Sequence[str]) -> list[str]:
    header = [value.casefold() if value.casefold() in COLUMNS else value for value in values]
    lacking = [name for name in NEEDED if name not in header]
    if lacking:
        near = get_close_matches(lacking[0], header, 1)
        hint = f"; is it {near[0]!r}?" if near else ""
        raise LabelError(
            f"{place}: there is no column {lacking[0]!r}{hint}; columns: {', '.join(COLUMNS)}, "
            "and your own"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise LabelError(f"{place}: the column {twice[0]!r} occurs twice; allowed: once")
    for name in header:
        if name in COLUMNS:
            continue
        near = get_close_matches(name.casefold(), COLUMNS, 1, _ALIKE)
        if near:
            raise LabelError(
                f"{place}: the column {name!r} is not known; did you mean {near[0]!r}?  A "
                "column of your own needs a name less like it"
            )
        if not name or name in EVERY_NAME:
            raise LabelError(
                f"{place}: a column of your own cannot be called {name!r}: "
                + ("it needs a name" if not name else "the tables have a column of that name")
            )
    return header


def _row(place: str, folder: Path, values: Mapping[str, str]) -> StudyRow:
    for name in NEEDED:
        if not values[name]:
            raise LabelError(f"{place}: {name} is empty; allowed: any name")
    path = folder / values["recording"]
    if not path.exists():
        raise LabelError(
            f"{place}: recording is {values['recording']!r}, but there is no {path}"
        )
    labels, annotators = _labels(place, folder, values.get("labels", ""))
    start_s = _seconds(place, "start", values.get("start", "")) or 0.0
    end_s = _seconds(place, "end", values.get("end", ""))
    if end_s is not None and end_s <= start_s:
        raise LabelError(
            f"{place}: end is {values['end']!r}; allowed: later than start, {start_s:g}"
        )
    phases = values.get("phases", "")
    if phases and not (folder / phases).is_file():
        raise LabelError(f"{place}: phases is {phases!r}, but there is no {folder / phases}")
    return StudyRow(
        place=place,
        participant=values["participant"],
        recording=values["recording"],
        path=path,
        session=values.get("session", ""),
        condition=values.get("condition", ""),
        phase=values.get("phase", ""),
        start_s=start_s,
        end_s=end_s,
        person=values.get("person", ""),
        labels=labels,
        annotators=annotators,
        phases=folder / phases if phases else None,
        others={name: value for name, value in values.items() if name not in COLUMNS},
    )


def _labels(place: str, folder: Path, text: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Files, separated by semicolons or |, each maybe with who has judged: `anna=p1.eaf`."""
    files, names = [], []
    for part in text.replace("|", ";").split(";"):
        if not part.strip():
            continue
        name, _, file = part.rpartition("=")
        path = folder / file.strip()
        if not path.is_file():
            raise LabelError(f"{place}: labels is {text!r}, but there is no {path}")
        if path.suffix.lower() not in READERS:
            raise LabelError(
                f"{place}: labels is {text!r}; label file names end in {' '.join(READERS)}"
            )
        files.append(path)
        names.append(name.strip())
    return tuple(files), tuple(names)


def _seconds(place: str, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise LabelError(
            f"{place}: {name} is {text!r}; allowed: seconds from the recording's first "
            "message, 0 or more, with a point as in 12.5"
        )
    return seconds


def _check_twice(rows: Sequence[StudyRow]) -> None:
    by_path: dict[Path, list[StudyRow]] = {}
    for row in rows:
        by_path.setdefault(row.path.resolve(), []).append(row)
    for alike in by_path.values():
        for first, second in combinations(alike, 2):
            if first.overlaps(second):
                raise LabelError(
                    f"{second.place}: {second.recording} counts the same time as in "
                    f"{first.place}; give start and end, or a person, to tell the two apart"
                )
