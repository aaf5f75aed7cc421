"""Label entries: the fields of one label as a file spells them, checked and collected."""

from __future__ import annotations

import codecs
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from errno import EFBIG
from itertools import pairwise
from pathlib import Path
from typing import Final

from avemo_ros import untrusted
from avemo_ros.annotations.segments import Segment
from avemo_ros.errors import LabelError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION, WORDS
from avemo_ros.timing import NS_PER_S, to_s
from avemo_ros.vision.face import Box

NEEDED: Final = ("person", "start", "end", "label")
PLACE: Final = ("x", "y", "width", "height")
FIELDS: Final = (*NEEDED, "valence", "arousal", "annotator", *PLACE)
"""What a label may say, by name in every kind of file."""
_LONGEST_S: Final = 10**6
"""Eleven days: no bag is longer, so these are no seconds from one's beginning."""
_LATEST_UNIX_S: Final = 9 * 10**9
"""In the year 2255: later times do not fit into the stamps of ROS."""


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark; a byte order mark is dropped.

    Raises:
        LabelError: it cannot be read, is no text, or is in another encoding.
    """
    data = read_bytes(path)
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    elif b"\0" in data:
        raise LabelError(f"{path} is not a text file: it contains zero bytes")
    else:
        encoding = "utf-8-sig"
    try:
        # A Mac and Linux write the same name with an accent in two ways.
        return unicodedata.normalize("NFC", data.decode(encoding))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LabelError(
            f"{path}, line {line}: the byte {data[error.start]:#04x} is not {error.encoding}; "
            "save the file as UTF-8"
        ) from error


def lines_of(text: str) -> list[str]:
    r"""The lines as editors number them, each with \n at its end, whatever ended it."""
    return list(io.StringIO(text, newline=None))


def read_bytes(path: Path) -> bytes:
    """What is in a file.

    Raises:
        LabelError: it cannot be read, or is too large to be one of labels.
    """
    try:
        return untrusted.read_bytes(path)
    except OSError as error:
        if error.errno == EFBIG:
            size = path.stat().st_size >> 20
            raise LabelError(f"{path} is not a label file: it has {size} MiB") from error
        raise LabelError(f"{path} cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class LabelEntry:
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


def segment_of(entry: LabelEntry, zero_ns: int, *, unix: bool = False) -> Segment | None:
    """What an entry says.

    Args:
        entry: its words.
        zero_ns: message time from which its seconds count [ns].
        unix: they are unix time, so `zero_ns` is 0.

    Returns:
        The stretch, without a label where its word is none of our classes; None where nothing
        else is judged then.

    Raises:
        LabelError: a value is not allowed.
    """
    start_ns, end_ns = span_of(entry, zero_ns, unix=unix)
    valence, arousal = (_number(entry, field, -1, 1) for field in ("valence", "arousal"))
    label = emotion_of(entry) if entry["label"] else ""
    if not label and valence is None and arousal is None:
        if entry["label"]:
            return None
        raise entry.wrong("label", f"{allowed_labels()}; or valence or arousal instead")
    return Segment(
        start_ns=start_ns,
        end_ns=end_ns,
        label=label or "",
        person=entry["person"],
        annotator=entry["annotator"],
        valence=valence,
        arousal=arousal,
        box=_box(entry),
    )


def span_of(entry: LabelEntry, zero_ns: int, *, unix: bool = False) -> tuple[int, int]:
    """From when to when an entry says something, in message time [ns]; arguments as of
    `segment_of`.

    Raises:
        LabelError: one of both is no time, or the end is not later.
    """
    start, end = (_nanoseconds(entry, field, unix=unix) for field in ("start", "end"))
    if not start < end <= start + _LONGEST_S * NS_PER_S:
        raise entry.wrong(
            "end", f"later than start, {entry['start']}, by {_LONGEST_S} s at most"
        )
    return zero_ns + start, zero_ns + end


def emotion_of(entry: LabelEntry) -> str | None:
    """The class, one of EMOTIONS, that the word of the label counts as; None: none of them.

    Raises:
        LabelError: the word is unknown.
    """
    word = entry["label"].casefold()
    if word not in WORDS:
        raise entry.wrong("label", allowed_labels())
    label = WORDS[word]
    return None if label is None else EMOTIONS[SPEECH_TO_EMOTION[SPEECH_CLASSES.index(label)]]


def allowed_labels() -> str:
    """The words of labels that are allowed, for messages."""
    others = sorted(word for word in WORDS if word not in EMOTIONS)
    return f"{', '.join(EMOTIONS)} (or {', '.join(others)})"


def _nanoseconds(entry: LabelEntry, field: str, *, unix: bool) -> int:
    limit = _LATEST_UNIX_S if unix else _LONGEST_S
    # Exact: as a float, unix time is good to a quarter of a microsecond only.
    seconds = _decimal(entry[field])
    if seconds is None or not 0 <= seconds < limit:
        allowed = "seconds, 0 or more, with a point as in 12.5"
        if seconds is not None and seconds >= limit and not unix:
            allowed += "; for unix time, add `time: unix` to the file"
        raise entry.wrong(field, allowed)
    return int((seconds * NS_PER_S).to_integral_value())


def _number(entry: LabelEntry, field: str, low: float, high: float) -> float | None:
    if not entry[field]:
        return None
    number = _decimal(entry[field])
    if number is None or not low <= number <= high:
        raise entry.wrong(field, f"{low:g} to {high:g}, with a point as in 0.5, or nothing")
    return float(number)


def _box(entry: LabelEntry) -> Box | None:
    given = [field for field in PLACE if entry[field]]
    if not given:
        return None
    lacking = [field for field in PLACE if field not in given]
    if lacking:
        raise entry.wrong(lacking[0], f"a number, as {given[0]} is given; or none of the four")
    x, y = (_number(entry, field, -1, 1) for field in PLACE[:2])
    width, height = (_number(entry, field, 0, 1) for field in PLACE[2:])
    assert x is not None
    assert y is not None
    if not width:
        raise entry.wrong("width", "above 0, up to 1, the width of the image")
    if not height:
        raise entry.wrong("height", "above 0, up to 1, the height of the image")
    return Box(x, y, width, height)


def _decimal(text: str) -> Decimal | None:
    """The number; None where it is none, or is not finite."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


@dataclass(frozen=True, slots=True)
class LabelDefaults:
    """How a file is read."""

    bag_start_ns: int = 0
    """Log time of the bag's first message, from which seconds count [ns]."""
    person: str = ""
    """Whom labels are about that name nobody."""
    annotator: str = ""
    """Who has judged where no annotator is named."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """What a file of labels says."""

    path: Path
    segments: tuple[Segment, ...]
    """In order of time; at least one, but of a topic beside files of labels."""
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a person's name the ids that the stream gave, where the file tells."""
    notes: tuple[str, ...] = ()
    """What was left out, and what was made of it, in sentences."""
    unix: bool = False
    """Its times are unix time, whatever the bag's beginning."""


@dataclass(slots=True)
class LabelCollector:
    """The labels of one file, taken one after the other."""

    path: Path
    defaults: LabelDefaults
    unix: bool = False
    """Seconds are unix time; to be set before the first entry is taken."""
    people: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _placed: list[tuple[Segment, str]] = field(default_factory=list)
    _left_out: Counter[str] = field(default_factory=Counter)

    def take(self, entry: LabelEntry) -> None:
        """Take a label; one of a word that is none of our classes is counted.

        Raises:
            LabelError: a value is not allowed.
        """
        zero_ns = 0 if self.unix else self.defaults.bag_start_ns
        found = segment_of(entry, zero_ns, unix=self.unix)
        if entry["label"] and (found is None or not found.label):
            self._left_out[entry["label"].casefold()] += 1
        if found is not None:
            self.add(found, entry.place)

    def add(self, segment: Segment, place: str) -> None:
        """Take a stretch that is read already; `place` is where it stands."""
        named = replace(
            segment,
            person=segment.person or self.defaults.person,
            annotator=segment.annotator or self.defaults.annotator,
        )
        self._placed.append((named, place))

    def name_ids(self, place: str, person: str, ids: Iterable[str]) -> None:
        """Take which ids of the stream are a person.

        Raises:
            LabelError: there are none, or one of them is another person.
        """
        given = tuple(ids)
        if not given or "" in given:
            raise wrong(place, f"ids of {person!r}", " ".join(given), "ids of the stream")
        for other, theirs in self.people.items():
            both = sorted(set(given) & set(theirs))
            if both and other != person:
                raise wrong(
                    place,
                    f"ids of {person!r}",
                    " ".join(given),
                    f"not {both[0]}, it is {other!r}",
                )
        known = self.people.get(person, ())
        self.people[person] = known + tuple(name for name in given if name not in known)

    def drop_overlaps(self) -> list[str]:
        """Leave out what overlaps a label that was taken before it; returns what is wrong."""
        try:
            check_overlaps(self._placed)
        except LabelError:
            taken, self._placed = self._placed, []
        else:
            return []
        messages = []
        for one in taken:
            try:
                check_overlaps([*self._placed, one])
            except LabelError as error:
                messages.append(str(error))
            else:
                self._placed.append(one)
        return messages

    def file(self) -> LabelFile:
        """All of it.

        Raises:
            LabelError: there is no label, or two of one annotator and person overlap.
        """
        for word, count in sorted(self._left_out.items()):
            labels = "1 label is" if count == 1 else f"{count} labels are"
            self.notes.append(f"{self.path.name}: {labels} left out: '{word}' is not a class")
        if not self._placed:
            raise LabelError(
                f"{self.path} contains no labels"
                + (" of a known class" if self._left_out else "")
            )
        check_overlaps(self._placed)
        segments = sorted(
            (segment for segment, _ in self._placed),
            key=lambda segment: (segment.start_ns, segment.person, segment.annotator),
        )
        return LabelFile(self.path, tuple(segments), self.people, tuple(self.notes), self.unix)


def check_overlaps(placed: Iterable[tuple[Segment, str]]) -> None:
    """Look whether somebody judged one person twice at a time.

    A stretch with a label and one with valence and arousal only may overlap.

    Args:
        placed: stretches, and where each stands.

    Raises:
        LabelError: two overlap; names where both stand.
    """
    tracks: dict[tuple[str, str, bool], list[tuple[Segment, str]]] = {}
    for segment, place in placed:
        key = (segment.person, segment.annotator, bool(segment.label))
        tracks.setdefault(key, []).append((segment, place))
    for (person, annotator, _), track in tracks.items():
        ordered = sorted(track, key=lambda item: item[0].start_ns)
        for (before, earlier), (after, later) in pairwise(ordered):
            if after.start_ns < before.end_ns:
                common = to_s(min(before.end_ns, after.end_ns) - after.start_ns)
                raise LabelError(
                    f"{later}: start and end overlap those of {earlier} by {common:g} s; "
                    "allowed: one label at a time of a person "
                    f"({person or 'the attended person'})"
                    + (f" by one annotator ({annotator})" if annotator else "")
                )
