"""One label as its file words it, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from avemo_ros.clock import NS_PER_S
from avemo_ros.errors import LabelError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION, WORDS
from avemo_ros.truth.segment import Segment
from avemo_ros.vision.face import Box

NEEDED: Final = ("person", "start", "end", "label")
PLACE: Final = ("x", "y", "width", "height")
FIELDS: Final = (*NEEDED, "valence", "arousal", "annotator", *PLACE)
"""What a label may say, by name in every kind of file."""

_LONGEST_S: Final = 10**6
"""Eleven days: no bag is longer, so these are no seconds from one's beginning."""
_LATEST_UNIX_S: Final = 9 * 10**9
"""In the year 2255: later times do not fit into the stamps of ROS."""


@dataclass(frozen=True, slots=True)
class Row:
    """The words of one label."""

    place: str
    """Where it stands, for messages: 'labels.csv, line 3'."""
    values: Mapping[str, str]
    """By FIELDS, without spaces around; a field that is absent is ''."""

    def __getitem__(self, field: str) -> str:
        return self.values.get(field, "")

    def wrong(self, field: str, allowed: str) -> LabelError:
        """The error that a field has a value that is not allowed."""
        return wrong(self.place, field, self[field], allowed)


def wrong(place: str, field: str, value: str, allowed: str) -> LabelError:
    """The error that a field has a value that is not allowed."""
    return LabelError(f"{place}: {field} is {value!r}; allowed: {allowed}")


def segment_of(row: Row, zero_ns: int, *, unix: bool = False) -> Segment | None:
    """What a row says.

    Args:
        row: its words.
        zero_ns: message time from which its seconds count [ns].
        unix: they are unix time, so `zero_ns` is 0.

    Returns:
        The stretch, without a label where its word is none of our classes; None where nothing
        else is judged then.

    Raises:
        LabelError: a value is not allowed.
    """
    start, end = (_nanoseconds(row, field, unix=unix) for field in ("start", "end"))
    if not start < end <= start + _LONGEST_S * NS_PER_S:
        raise row.wrong("end", f"later than start, {row['start']}, by {_LONGEST_S} s at most")
    valence, arousal = (_number(row, field, -1, 1) for field in ("valence", "arousal"))
    label = emotion_of(row) if row["label"] else ""
    if not label and valence is None and arousal is None:
        if row["label"]:
            return None
        raise row.wrong("label", f"{words()}; or valence or arousal instead")
    return Segment(
        start_ns=zero_ns + start,
        end_ns=zero_ns + end,
        label=label or "",
        person=row["person"],
        annotator=row["annotator"],
        valence=valence,
        arousal=arousal,
        box=_box(row),
    )


def emotion_of(row: Row) -> str | None:
    """The class, one of EMOTIONS, that the word of the label counts as; None: none of them.

    Raises:
        LabelError: the word is unknown.
    """
    word = row["label"].casefold()
    if word not in WORDS:
        raise row.wrong("label", words())
    label = WORDS[word]
    return None if label is None else EMOTIONS[SPEECH_TO_EMOTION[SPEECH_CLASSES.index(label)]]


def words() -> str:
    """The words of labels that are allowed, for messages."""
    others = sorted(word for word in WORDS if word not in EMOTIONS)
    return f"{', '.join(EMOTIONS)} (or {', '.join(others)})"


def _nanoseconds(row: Row, field: str, *, unix: bool) -> int:
    limit = _LATEST_UNIX_S if unix else _LONGEST_S
    # Exact: as a float, unix time is good to a quarter of a microsecond only.
    seconds = _decimal(row[field])
    if seconds is None or not 0 <= seconds < limit:
        allowed = "seconds from 0 on, with a point as in 12.5"
        if seconds is not None and seconds >= limit and not unix:
            allowed += "; for unix time the file must say `time: unix`"
        raise row.wrong(field, allowed)
    return int((seconds * NS_PER_S).to_integral_value())


def _number(row: Row, field: str, low: float, high: float) -> float | None:
    if not row[field]:
        return None
    number = _decimal(row[field])
    if number is None or not low <= number <= high:
        raise row.wrong(field, f"{low:g} to {high:g}, with a point as in 0.5, or nothing")
    return float(number)


def _box(row: Row) -> Box | None:
    given = [field for field in PLACE if row[field]]
    if not given:
        return None
    lacking = [field for field in PLACE if field not in given]
    if lacking:
        raise row.wrong(lacking[0], f"a number, as {given[0]} is given; or none of the four")
    x, y = (_number(row, field, -1, 1) for field in PLACE[:2])
    width, height = (_number(row, field, 0, 1) for field in PLACE[2:])
    assert x is not None
    assert y is not None
    if not width:
        raise row.wrong("width", "above 0, up to 1, the width of the picture")
    if not height:
        raise row.wrong("height", "above 0, up to 1, the height of the picture")
    return Box(x, y, width, height)


def _decimal(text: str) -> Decimal | None:
    """The number; None where it is none, or is not finite."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
