"""Labels of a label track of Audacity, as it exports them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from avemo_ros.errors import LabelError
from avemo_ros.truth.gather import Gathered, LabelFile, Reading
from avemo_ros.truth.row import Row
from avemo_ros.truth.text import lines_of, read_text

_FREQUENCIES: Final = "\\"
"""Starts a line that tells the frequencies of the label before."""


def read_audacity(path: Path, reading: Reading) -> LabelFile:
    r"""The labels of lines `start \t end \t text`, seconds from the track's beginning.

    The text is a word for an emotion, or `person: word` or `person@annotator: word`.

    Raises:
        LabelError: the file cannot be read or is wrong; names line and field.
    """
    gathered = Gathered(path, reading)
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if line.strip() and not line.startswith(_FREQUENCIES):
            gathered.take(_row(f"{path}, line {number}", line))
    return gathered.file()


def _row(place: str, line: str) -> Row:
    parts = line.split("\t")
    if len(parts) < 3:
        raise LabelError(
            f"{place}: {line.strip()!r} is no label of Audacity; allowed: start, end and text "
            "with tabs between them"
        )
    start, end, text = parts[0].strip(), parts[1].strip(), "\t".join(parts[2:])
    who, _, word = text.rpartition(":")
    person, _, annotator = who.partition("@")
    row = Row(
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
        raise row.wrong("end", "later than start: mark a region, not a moment")
    return row
