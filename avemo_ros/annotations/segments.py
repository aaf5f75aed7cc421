"""Labelled segments, and the majority vote of several annotators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from avemo_ros.vision.face import Box


@dataclass(frozen=True, slots=True)
class Segment:
    """One person's feeling from `start_ns` to `end_ns`, as one annotator judged it."""

    start_ns: int
    """Message time, as the stamps of the recording [ns]."""
    end_ns: int
    """Later than `start_ns`; not itself part of the stretch."""
    label: str
    """One of EMOTIONS; "" where only valence and arousal are judged."""
    person: str = ""
    """Whom it is about, by any name or id; "": whom the robot attends to."""
    annotator: str = ""
    """Who judged; "" where there is one annotator only."""
    valence: float | None = None
    """Unpleasant -1 to pleasant 1; None where it was not judged."""
    arousal: float | None = None
    """Calm -1 to excited 1; None where it was not judged."""
    box: Box | None = None
    """Where the person's face is, normalised to the image; None where that was not marked."""


@dataclass(frozen=True, slots=True)
class MajorityVote:
    """What holds, and what is undecided."""

    segments: tuple[Segment, ...]
    """With labels, in order of time; of one person they do not overlap, and name no annotator
    where there were several."""
    tied_ns: int
    """How long most of those who judged did not agree; these stretches are left out [ns]."""


def majority_vote(segments: Iterable[Segment]) -> MajorityVote:
    """The label that most annotators give a person, moment by moment.

    Who has not judged a moment has no vote; a tie leaves it out.  A person whom one annotator
    has judged keeps those segments as they are.  Segments without a label have no vote.
    """
    people: dict[str, list[Segment]] = {}
    for segment in segments:
        if segment.label:
            people.setdefault(segment.person, []).append(segment)
    found: list[Segment] = []
    tied_ns = 0
    for judged in people.values():
        if len({segment.annotator for segment in judged}) == 1:
            found += judged
        else:
            agreed, tied = _of_person(judged)
            found += agreed
            tied_ns += tied
    found.sort(key=lambda segment: (segment.start_ns, segment.person))
    return MajorityVote(tuple(found), tied_ns)


def _of_person(judged: list[Segment]) -> tuple[list[Segment], int]:
    judged = sorted(judged, key=lambda segment: (segment.start_ns, segment.annotator))
    edges = sorted({edge for segment in judged for edge in (segment.start_ns, segment.end_ns)})
    found: list[Segment] = []
    held: list[Segment] = []
    """Whose label the last of `found` is, up to its end."""
    alive: list[Segment] = []
    coming = iter([*judged, None])
    following = next(coming)
    tied_ns = 0
    for start, end in pairwise(edges):
        alive = [segment for segment in alive if segment.end_ns > start]
        while following is not None and following.start_ns <= start:
            alive.append(following)
            following = next(coming)
        label = _winner(alive)
        voters = [segment for segment in alive if segment.label == label]
        if not voters:
            tied_ns += end - start if alive else 0
        elif found and found[-1].end_ns == start and any(one in held for one in voters):
            found[-1] = replace(found[-1], end_ns=end)
        else:
            box = next((segment.box for segment in voters if segment.box is not None), None)
            found.append(Segment(start, end, label, voters[0].person, box=box))
        held = voters
    return found, tied_ns


def _winner(judged: list[Segment]) -> str:
    """The label that more give than any other; '' for none."""
    votes = Counter(segment.label for segment in judged).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return ""
    return votes[0][0]
