"""Gathers the labels of a file, and looks whether they go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from avemo_ros.clock import to_s
from avemo_ros.errors import LabelError
from avemo_ros.truth.row import Row, segment_of, wrong
from avemo_ros.truth.segment import Segment


@dataclass(frozen=True, slots=True)
class Reading:
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
class Gathered:
    """The labels of one file, taken one after the other."""

    path: Path
    reading: Reading
    unix: bool = False
    """Seconds are unix time; to be set before the first row is taken."""
    people: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _placed: list[tuple[Segment, str]] = field(default_factory=list)
    _left_out: Counter[str] = field(default_factory=Counter)

    def take(self, row: Row) -> None:
        """Take a label; one of a word that is none of our classes is counted.

        Raises:
            LabelError: a value is not allowed.
        """
        zero_ns = 0 if self.unix else self.reading.bag_start_ns
        found = segment_of(row, zero_ns, unix=self.unix)
        if row["label"] and (found is None or not found.label):
            self._left_out[row["label"].casefold()] += 1
        if found is not None:
            self.add(found, row.place)

    def add(self, segment: Segment, place: str) -> None:
        """Take a stretch that is read already; `place` is where it stands."""
        named = replace(
            segment,
            person=segment.person or self.reading.person,
            annotator=segment.annotator or self.reading.annotator,
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
        told = []
        for one in taken:
            try:
                check_overlaps([*self._placed, one])
            except LabelError as error:
                told.append(str(error))
            else:
                self._placed.append(one)
        return told

    def file(self) -> LabelFile:
        """All of it.

        Raises:
            LabelError: there is no label, or two of one annotator and person overlap.
        """
        for word, count in sorted(self._left_out.items()):
            labels = "1 label is" if count == 1 else f"{count} labels are"
            self.notes.append(f"{self.path.name}: {labels} left out: '{word}' is no class")
        if not self._placed:
            raise LabelError(
                f"{self.path} holds no labels" + (" of our classes" if self._left_out else "")
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
                    f"allowed: one label at a time of a person ({person or 'the attended one'})"
                    + (f" by one annotator ({annotator})" if annotator else "")
                )
