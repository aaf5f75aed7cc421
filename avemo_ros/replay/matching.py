"""Which of the estimates is about whom the labels are about."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from avemo_ros.clock import to_s
from avemo_ros.replay.ranges import check_ranges, outside
from avemo_ros.replay.session import Session
from avemo_ros.state.estimate import EmotionEstimate, Hop
from avemo_ros.truth.majority import majority
from avemo_ros.truth.segment import Segment
from avemo_ros.vision.tracker import overlap

LEAST_OVERLAP: Final = 0.3
"""From this intersection over union on a labelled box and a face are the same."""
ATTENDED: Final = "the attended state"
MOST_CROWDED: Final = 0.1
"""Up to this share of hops with two faces or more, the only labelled person is the attended."""
_NAMED: Final = 5
"""Ids that a note names."""
_ID: Final = re.compile(r"[fv]\d{4,}")
"""What ids of faces and voices look like."""


class Moment(Protocol):
    """Anything with a time."""

    @property
    def stamp_ns(self) -> int:
        """Sensor time [ns]."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedHop:
    """What was said at a moment of which the truth is known."""

    stamp_ns: int
    segment: int
    """Place of what is true in the list of truths."""
    estimate: EmotionEstimate | None
    """What was said of this person; None where the stream did not know the person then."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A session's truth, and what was said where it is known."""

    session: Session
    finder: Finder
    truth: tuple[Segment, ...]
    """With labels, one a moment and person, of people who can be found in the stream."""
    hops: tuple[JudgedHop, ...]
    """Person after person, each in order of the replay."""
    notes: tuple[str, ...]
    """What could not be judged, in sentences."""
    tied_ns: int
    """How long the annotators were tied; nothing is true there [ns]."""

    def who(self, place: int) -> str:
        """Whom a truth is about: the same for one person in all sessions.

        Names go from session to session; ids of a stream and whom it attends to do not.
        """
        person = self.truth[place].person
        return person if self.named(place) else f"{self.session.name}: {person or ATTENDED}"

    def named(self, place: int) -> bool:
        """Whether a truth's person has a name, by which it is known in other sessions, too.

        Of an id, or whom the robot attends to, it is not known whether they are another one
        in each session.
        """
        person = self.truth[place].person
        return bool(person) and person not in self.finder.ids and not _ID.fullmatch(person)


class Finder:
    """Finds a labelled person among the estimates of a session.

    The label's person is an id of the stream, or a name that `people` gives ids; else the face
    whose box overlaps the labelled one most; without a name, whom the robot attends to; and so
    where only one person is named and there is hardly ever more than one face (MOST_CROWDED).
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        estimates = [item for hop in session.replayed.hops for item in hop.estimates]
        ids = {name for item in estimates for name in _ids(item)}
        self.ids: frozenset[str] = frozenset(ids)
        """Every id of the stream."""
        names = {segment.person for segment in session.segments}
        crowded = [
            sum(bool(item.face_id) for item in hop.estimates) > 1
            for hop in session.replayed.hops
        ]
        self.crowded = sum(crowded) / max(len(crowded), 1)
        """Share of the hops with two faces or more, 0 to 1."""
        self._alone = len(names) == 1 and self.crowded <= MOST_CROWDED

    def ids_of(self, person: str) -> frozenset[str]:
        """The ids in the stream that are the person by name; none where nothing says so."""
        return self.ids & {person, *self._session.people.get(person, ())}

    def attended(self, segment: Segment) -> bool:
        """Whether the segment is about whom the robot attends to."""
        known = self.ids_of(segment.person) or segment.box is not None
        return not known and (not segment.person or self._alone)

    def appears(self, segment: Segment) -> bool:
        """Whether the stream can be asked about the segment's person."""
        known = self.ids_of(segment.person) or segment.box is not None
        return bool(known) or self.attended(segment)

    def find(self, segment: Segment, hop: Hop) -> EmotionEstimate | None:
        """What a hop says of the segment's person; None where it does not know the person."""
        ids = self.ids_of(segment.person)
        if ids:
            return next((item for item in hop.estimates if ids & _ids(item)), None)
        if segment.box is not None:
            shares = [
                (overlap(segment.box, item.box)[0], item)
                for item in hop.estimates
                if item.box is not None
            ]
            share, best = max(shares, key=lambda pair: pair[0], default=(0.0, None))
            return best if share >= LEAST_OVERLAP else None
        return hop.attended if self.attended(segment) else None


def judge(session: Session) -> Judged:
    """Put together what is true and what was said.

    Raises:
        LabelError: no label lies within the recording; names both ranges.
    """
    check_ranges(session)
    finder = Finder(session)
    agreed = majority(session.segments)
    found = [segment for segment in agreed.segments if finder.appears(segment)]
    said = session.replayed.hops
    hops = tuple(
        JudgedHop(said[index].stamp_ns, place, finder.find(found[place], said[index]))
        for index, place in covered(said, found)
    )
    asked = {hop.segment for hop in hops}
    notes = [*_never(session, finder), *outside(session, found, asked)]
    taken = {item.person for item in found if item.person and finder.attended(item)}
    notes += [
        f"{session.name}: there is no id {person}; it is taken for whom the robot attends to"
        for person in taken
        if _ID.fullmatch(person)
    ]
    if taken and finder.crowded:
        notes.append(
            f"{session.name}: {taken.pop()} is taken for whom the robot attends to, though "
            f"{finder.crowded:.1%} of the estimates know two faces or more"
        )
    if agreed.tied_ns:
        notes.append(
            f"{session.name}: {to_s(agreed.tied_ns):.1f} s are left out: annotators are tied"
        )
    return Judged(session, finder, tuple(found), hops, tuple(notes), agreed.tied_ns)


def covered(
    moments: Sequence[Moment], segments: Sequence[Segment]
) -> Iterator[tuple[int, int]]:
    """Places of every moment that lies in a segment and of the segment, person after person.

    Args:
        moments: hops or pictures, in the order of the replay.
        segments: those of one person do not overlap.
    """
    people: dict[str, list[int]] = {}
    for place, segment in enumerate(segments):
        people.setdefault(segment.person, []).append(place)
    for places in people.values():
        places.sort(key=lambda place: segments[place].start_ns)
        starts = [segments[place].start_ns for place in places]
        for index, moment in enumerate(moments):
            before = bisect_right(starts, moment.stamp_ns) - 1
            if before >= 0 and moment.stamp_ns < segments[places[before]].end_ns:
                yield index, places[before]


def _ids(estimate: EmotionEstimate) -> set[str]:
    return {estimate.face_id, estimate.voice_id, estimate.person_id} - {""}


def _never(session: Session, finder: Finder) -> list[str]:
    """Of people who never appear."""
    lacking: dict[str, int] = {}
    for segment in session.segments:
        if not finder.appears(segment):
            lacking[segment.person] = lacking.get(segment.person, 0) + 1
    ids = ", ".join(sorted(finder.ids)[:_NAMED]) + (", ..." if len(finder.ids) > _NAMED else "")
    return [
        f"{session.name}: {person} never appears in the stream, "
        f"{'1 label is' if count == 1 else f'{count} labels are'} left out; ids there: "
        f"{ids or 'none'} (say who is who with `people`, or mark boxes)"
        for person, count in sorted(lacking.items())
    ]
