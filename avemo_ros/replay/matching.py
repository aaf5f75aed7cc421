"""Match the estimates of a recording to its labelled segments."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from avemo_ros.annotations.segments import MAJORITY, Segment, TruthRule, majority_vote
from avemo_ros.errors import LabelError
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.timing import NS_PER_S, to_s
from avemo_ros.vision.tracker import overlap

LEAST_OVERLAP: Final = 0.3
"""From this intersection over union on a labelled box and a face are the same."""
ATTENDED: Final = "the attended state"
MOST_CROWDED: Final = 0.1
"""Up to this share of steps with two faces or more, the only labelled person is attended."""
_NAMED: Final = 5
"""Ids that a note names."""
_ID: Final = re.compile(r"[fv]\d{4,}")
"""What ids of faces and voices look like."""
_LONGER_NS: Final = NS_PER_S
"""Labels may begin so long before what is used, or go on after it, without a note [ns]."""


class Stamped(Protocol):
    """Anything with a time."""

    @property
    def stamp_ns(self) -> int:
        """Sensor time [ns]."""
        ...


@dataclass(frozen=True, slots=True)
class MatchedStep:
    """The prediction at a step that lies in a labelled segment."""

    stamp_ns: int
    segment: int
    """Place of the segment in `MatchedRecording.annotations`."""
    estimate: EmotionEstimate | None
    """The estimate of this person; None where the stream did not know the person then."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchedRecording:
    """A recording: what is true by its annotators, and the estimates that this covers."""

    recording: EvaluatedRecording
    matcher: PersonMatcher
    annotations: tuple[Segment, ...]
    """With labels, of people who can be found in the stream; one a moment and person, unless
    labels are soft."""
    steps: tuple[MatchedStep, ...]
    """Person after person, each in order of the replay; where labels are soft, a step for each
    label that was given, and these come last."""
    notes: tuple[str, ...]
    """What could not be judged, in sentences."""
    tied_ns: int
    """How long the annotators were tied; nothing is true there [ns]."""

    def undisputed(self) -> MatchedRecording:
        """Without the steps that have several labels."""
        whole = [step for step in self.steps if self.annotations[step.segment].weight == 1]
        return replace(self, steps=tuple(whole))

    def who(self, place: int) -> str:
        """Whom an annotation is about: the same for one person in all recordings.

        Names go from recording to recording; ids of a stream and whom it attends to do not.
        """
        person = self.annotations[place].person
        return person if self.named(place) else f"{self.recording.name}: {person or ATTENDED}"

    def named(self, place: int) -> bool:
        """Whether the person has a name, by which it is known in other recordings, too.

        Of an id, or whom the robot attends to, it is not known whether they are another one
        in each recording.
        """
        person = self.annotations[place].person
        return bool(person) and person not in self.matcher.ids and not _ID.fullmatch(person)


class PersonMatcher:
    """Finds a labelled person among the estimates of a recording.

    The label's person is an id of the stream, or a name that `people` gives ids; else the face
    whose box overlaps the labelled one most; without a name, whom the robot attends to; and so
    where only one person is named and there is hardly ever more than one face (MOST_CROWDED).
    """

    def __init__(self, recording: EvaluatedRecording) -> None:
        self._recording = recording
        estimates = [item for step in recording.replayed.steps for item in step.estimates]
        ids = {name for item in estimates for name in _ids(item)}
        self.ids: frozenset[str] = frozenset(ids)
        """Every id of the stream."""
        names = {segment.person for segment in recording.segments}
        crowded = [
            sum(bool(item.face_id) for item in step.estimates) > 1
            for step in recording.replayed.steps
        ]
        self.crowded = sum(crowded) / max(len(crowded), 1)
        """Share of the steps with two faces or more, 0 to 1."""
        self._alone = len(names) == 1 and self.crowded <= MOST_CROWDED

    def ids_of(self, person: str) -> frozenset[str]:
        """The ids in the stream that are the person by name; none where nothing says so."""
        return self.ids & {person, *self._recording.people.get(person, ())}

    def attended(self, segment: Segment) -> bool:
        """Whether the segment is about whom the robot attends to."""
        known = self.ids_of(segment.person) or segment.box is not None
        return not known and (not segment.person or self._alone)

    def appears(self, segment: Segment) -> bool:
        """Whether the stream can be asked about the segment's person."""
        known = self.ids_of(segment.person) or segment.box is not None
        return bool(known) or self.attended(segment)

    def find(self, segment: Segment, step: EmotionStep) -> EmotionEstimate | None:
        """The estimate of the segment's person at a step; None if the person is not in it."""
        ids = self.ids_of(segment.person)
        if ids:
            return next((item for item in step.estimates if ids & _ids(item)), None)
        if segment.box is not None:
            shares = [
                (overlap(segment.box, item.box)[0], item)
                for item in step.estimates
                if item.box is not None
            ]
            share, best = max(shares, key=lambda pair: pair[0], default=(0.0, None))
            return best if share >= LEAST_OVERLAP else None
        return step.attended if self.attended(segment) else None


def match_recording(
    recording: EvaluatedRecording, rule: TruthRule = MAJORITY
) -> MatchedRecording:
    """Match the estimates of a recording to its labels.

    Args:
        recording: with its replay.
        rule: what is true where annotators differ.

    Raises:
        LabelError: no label lies within the recording; names both ranges.
    """
    check_ranges(recording)
    matcher = PersonMatcher(recording)
    agreed = majority_vote(recording.segments, rule)
    found = [segment for segment in agreed.segments if matcher.appears(segment)]
    estimated = recording.replayed.steps
    steps = tuple(
        MatchedStep(
            estimated[index].stamp_ns, place, matcher.find(found[place], estimated[index])
        )
        for index, place in _covered_by_each(estimated, found)
    )
    asked = {step.segment for step in steps}
    notes = [*_never_seen(recording, matcher), *outside(recording, found, asked)]
    taken = {item.person for item in found if item.person and matcher.attended(item)}
    notes += [
        (
            f"{recording.name}: there is no id {person}; its labels are matched to the "
            "attended person"
        )
        for person in taken
        if _ID.fullmatch(person)
    ]
    if taken and matcher.crowded:
        notes.append(
            f"{recording.name}: the labels of {taken.pop()} are matched to the attended "
            f"person, although {matcher.crowded:.1%} of the estimates have two faces or more"
        )
    if agreed.tied_ns:
        notes.append(
            f"{recording.name}: {to_s(agreed.tied_ns):.1f} s are left out: the annotators' "
            "votes are tied"
        )
    return MatchedRecording(
        recording, matcher, tuple(found), steps, tuple(notes), agreed.tied_ns
    )


def _covered_by_each(
    moments: Sequence[Stamped], segments: Sequence[Segment]
) -> Iterator[tuple[int, int]]:
    """As `covered`; soft labels of one person overlap, so those of each class come by
    themselves."""
    layers: dict[str, list[int]] = {}
    for place, segment in enumerate(segments):
        layers.setdefault(segment.label if segment.weight < 1 else "", []).append(place)
    for label in sorted(layers):
        places = layers[label]
        for index, at in covered(moments, [segments[place] for place in places]):
            yield index, places[at]


def covered(
    moments: Sequence[Stamped], segments: Sequence[Segment]
) -> Iterator[tuple[int, int]]:
    """Places of every moment that lies in a segment and of the segment, person after person.

    Args:
        moments: steps or images, in the order of the replay.
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


def _never_seen(recording: EvaluatedRecording, matcher: PersonMatcher) -> list[str]:
    """Of people who never appear."""
    lacking: dict[str, int] = {}
    for segment in recording.segments:
        if not matcher.appears(segment):
            lacking[segment.person] = lacking.get(segment.person, 0) + 1
    ids = ", ".join(sorted(matcher.ids)[:_NAMED]) + (
        ", ..." if len(matcher.ids) > _NAMED else ""
    )
    return [
        f"{recording.name}: {person} never appears in the stream, "
        f"{'1 label is' if count == 1 else f'{count} labels are'} left out; ids there: "
        f"{ids or 'none'} (map names to ids with `people`, or label boxes)"
        for person, count in sorted(lacking.items())
    ]


# --- labels outside the recording


def check_ranges(recording: EvaluatedRecording) -> None:
    """Look whether labels and recording have any time in common.

    Raises:
        LabelError: they have not; names both ranges, in seconds as labels count them.
    """
    replayed = recording.replayed
    start, end, zero = replayed.start_ns, replayed.end_ns, replayed.zero_ns
    common = any(item.start_ns <= end and item.end_ns > start for item in recording.segments)
    nothing = end <= start and not replayed.steps
    if common and not nothing:
        return
    if not recording.segments:
        raise LabelError(f"{recording.name}: there are no labels")
    first = min(segment.start_ns for segment in recording.segments)
    last = max(segment.end_ns for segment in recording.segments)
    used = (
        f"none of the {_inputs(recording)} could be used"
        if nothing
        else f"{_inputs(recording)} from {to_s(start - zero):.3f} to {to_s(end - zero):.3f} s"
    )
    raise LabelError(
        f"{recording.name}: no label lies within the recording: labels from "
        f"{to_s(first - zero):.3f} to {to_s(last - zero):.3f} s, {used}, counted from the "
        f"bag's first message (at {to_s(zero):.3f} s of unix time)"
    )


def outside(
    recording: EvaluatedRecording, found: Sequence[Segment], asked: set[int]
) -> list[str]:
    """Labels that cannot be scored because of their times, in sentences.

    Args:
        recording: with its replay.
        found: annotations of people who appear.
        asked: places of those at which the stream was asked.
    """
    return [*_without_steps(recording, found, asked), *_across(recording, found)]


def _inputs(recording: EvaluatedRecording) -> str:
    return "estimates" if recording.replayed.source == "states" else "images and audio"


def _first(recording: EvaluatedRecording) -> str:
    return "estimate" if recording.replayed.source == "states" else "image or audio"


def _across(recording: EvaluatedRecording, found: Sequence[Segment]) -> list[str]:
    """Of labels that say more than there is, as those of another recording would, or those
    that count from its first image instead of the bag's first message."""
    start, end = recording.replayed.start_ns, recording.replayed.end_ns
    if end <= start:
        return []
    early = [start - item.start_ns for item in found if item.start_ns < start < item.end_ns]
    late = [item.end_ns - end for item in found if item.start_ns <= end < item.end_ns]
    notes = []
    if early := [item for item in early if item > _LONGER_NS]:
        notes.append(
            f"{recording.name}: {_labels(len(early), 'begins', 'begin')} "
            f"{to_s(max(early)):.1f} s before the first {_first(recording)}; what lies within "
            "counts"
        )
    if late := [item for item in late if item > _LONGER_NS]:
        notes.append(
            f"{recording.name}: {_labels(len(late), 'goes', 'go')} on for "
            f"{to_s(max(late)):.1f} s after the recording's end; what lies within counts"
        )
    return notes


def _without_steps(
    recording: EvaluatedRecording, found: Sequence[Segment], asked: set[int]
) -> list[str]:
    """Of labels at which nothing was asked."""
    start, end = recording.replayed.start_ns, recording.replayed.end_ns
    lacking = [item for place, item in enumerate(found) if place not in asked]
    before = sum(item.end_ns <= start for item in lacking)
    beyond = sum(item.start_ns > end for item in lacking)
    short = len(lacking) - before - beyond
    ignored = []
    if before:
        ignored.append(f"{_labels(before, 'ends', 'end')} before the first {_first(recording)}")
    if beyond:
        ignored.append(f"{_labels(beyond, 'lies', 'lie')} beyond the recording")
    if short:
        ignored.append(f"{_labels(short, 'has', 'have')} no estimate within")
    return [f"{recording.name}: {text}" for text in ignored]


def _labels(count: int, one: str, many: str) -> str:
    return f"1 label {one}" if count == 1 else f"{count} labels {many}"


# --- copies of one recording


def first_copies(matched: Sequence[MatchedRecording]) -> list[int]:
    """For each recording the place of the first with the same annotations and estimates.

    Only what is the same to the last bit counts: time for time, person for person.  Where
    nothing was read from a recording, nothing tells it from others of its length.
    """
    seen: dict[tuple[object, ...], int] = {}
    return [
        seen.setdefault(_content(one), at) if _has_predictions(one) else at
        for at, one in enumerate(matched)
    ]


def copies(matched: Sequence[MatchedRecording], first: Sequence[int]) -> list[str]:
    """Of recordings that repeat another, in sentences.

    Args:
        matched: the recordings.
        first: as `first_alike` gives it.
    """
    return [
        f"{matched[at].recording.name}: labels and estimates equal those of "
        f"{matched[place].recording.name}, as in a copy; for intervals both count as one"
        for at, place in enumerate(first)
        if place != at
    ]


def _has_predictions(matched: MatchedRecording) -> bool:
    return any(
        step.estimate is not None and step.estimate.probabilities for step in matched.steps
    )


def _content(matched: MatchedRecording) -> tuple[object, ...]:
    zero_ns = matched.recording.replayed.zero_ns
    return (
        tuple(
            (item.start_ns - zero_ns, item.end_ns - zero_ns, item.label, item.person)
            for item in matched.annotations
        ),
        tuple(
            (step.stamp_ns - zero_ns, step.segment)
            + (
                ()
                if step.estimate is None
                else (step.estimate.label, step.estimate.probabilities)
            )
            for step in matched.steps
        ),
    )
