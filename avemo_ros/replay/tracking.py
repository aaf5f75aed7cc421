"""Whether people keep their ids, as multiple object tracking is measured.

Id switches: CLEAR MOT (Bernardin and Stiefelhagen 2008, EURASIP JIVP).  Fragmentations, mostly
tracked and mostly lost: Li, Huang and Nevatia 2009 (CVPR).  Faces that nobody has labelled
count for nothing, as not everybody need be labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from avemo_ros.annotations.segments import Segment
from avemo_ros.replay.matching import LEAST_OVERLAP, MatchedRecording, covered
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.vision.face import Box
from avemo_ros.vision.tracker import overlap

MOSTLY_TRACKED: Final = 0.8
MOSTLY_LOST: Final = 0.2
"""Shares of a person's time: at least the one, or less than the other."""


@dataclass(slots=True)
class TrackedPerson:
    """What becomes of one labelled person."""

    frames: int = 0
    tracked: int = 0
    id_switches: int = 0
    fragmentations: int = 0
    last_id: str = ""
    """The face that the person was last; kept while the person is lost."""
    _lost: bool = field(default=False)

    def see(self, face_id: str) -> None:
        """Take the next moment at which the person is labelled; '' if no face is the person."""
        self.frames += 1
        if not face_id:
            self._lost = bool(self.last_id)
            return
        self.tracked += 1
        self.fragmentations += self._lost
        self.id_switches += bool(self.last_id) and face_id != self.last_id
        self.last_id, self._lost = face_id, False

    @property
    def coverage(self) -> float:
        """Share of the labelled moments at which a face is the person, 0 to 1."""
        return self.tracked / self.frames


def tracking(matched: Sequence[MatchedRecording]) -> dict[str, Any] | None:
    """How well labelled people are followed.

    Where boxes are labelled, in every image that was looked at; a face is the person whose
    box it overlaps by LEAST_OVERLAP.  Else at every step of the people whose ids are known.

    Returns:
        `by` ('boxes' or 'ids'), sums and `persons`; None where neither is labelled.
    """
    overlaps: list[float] = []
    followed = {
        (one.recording.name, person): follow
        for one in matched
        for person, follow in by_boxes(one.recording, overlaps).items()
    }
    by = "boxes"
    if not followed:
        by = "ids"
        followed = {
            (one.recording.name, person): follow
            for one in matched
            for person, follow in by_ids(one).items()
        }
    if not followed:
        return None
    all_of = followed.values()
    frames = sum(follow.frames for follow in all_of)
    return {
        "by": by,
        "persons_followed": len(followed),
        "id_switches": sum(follow.id_switches for follow in all_of),
        "fragmentations": sum(follow.fragmentations for follow in all_of),
        "coverage": sum(follow.tracked for follow in all_of) / frames,
        "mostly_tracked": sum(follow.coverage >= MOSTLY_TRACKED for follow in all_of),
        "mostly_lost": sum(follow.coverage < MOSTLY_LOST for follow in all_of),
        "overlap": float(np.mean(overlaps)) if overlaps else None,
        "persons": [
            {
                "session": recording,
                "person": person,
                "frames": follow.frames,
                "tracked": follow.tracked,
                "coverage": follow.coverage,
                "id_switches": follow.id_switches,
                "fragmentations": follow.fragmentations,
            }
            for (recording, person), follow in followed.items()
        ],
    }


def by_ids(matched: MatchedRecording) -> dict[str, TrackedPerson]:
    """The labelled people whose ids in the stream are known, at the steps with truth."""
    people: dict[str, TrackedPerson] = {}
    for step in matched.steps:
        person = matched.annotations[step.segment].person
        if person:
            face_id = "" if step.estimate is None else step.estimate.face_id
            people.setdefault(person, TrackedPerson()).see(face_id)
    return people


def by_boxes(recording: EvaluatedRecording, overlaps: list[float]) -> dict[str, TrackedPerson]:
    """The people with labelled boxes, in the images.

    Args:
        recording: recording and labels.
        overlaps: is given the overlap of every face with its person.
    """
    people: dict[str, TrackedPerson] = {}
    frames = recording.replayed.frames
    boxed = _boxed(recording)
    labelled: dict[int, dict[str, Box]] = {}
    for index, place in covered(frames, boxed):
        box = boxed[place].box
        assert box is not None
        labelled.setdefault(index, {})[boxed[place].person] = box
    for index in sorted(labelled):
        here = labelled[index]
        follows = {person: people.setdefault(person, TrackedPerson()) for person in here}
        last = {person: follow.last_id for person, follow in follows.items()}
        given = _assign(here, frames[index].faces, last)
        for person, follow in follows.items():
            face_id, share = given.get(person, ("", 0.0))
            follow.see(face_id)
            if face_id:
                overlaps.append(share)
    return people


def _boxed(recording: EvaluatedRecording) -> list[Segment]:
    """The segments with boxes; of each person those of one annotator."""
    boxed = [segment for segment in recording.segments if segment.box is not None]
    first: dict[str, str] = {}
    for segment in boxed:
        name = first.get(segment.person, segment.annotator)
        first[segment.person] = min(name, segment.annotator)
    return [item for item in boxed if item.annotator == first[item.person]]


def _assign(
    labelled: dict[str, Box], faces: Sequence[tuple[str, Box]], last: dict[str, str]
) -> dict[str, tuple[str, float]]:
    """Face and overlap of each person who has one: who still fits stays, the rest is shared
    out for the most overlap."""
    found = dict(faces)
    given: dict[str, tuple[str, float]] = {}
    for person, face_id in last.items():
        if face_id in found:
            share = overlap(labelled[person], found[face_id])[0]
            if share >= LEAST_OVERLAP:
                given[person] = (face_id, share)
                del found[face_id]
    people = [person for person in labelled if person not in given]
    if not people or not found:
        return given
    ids = list(found)
    shares = np.array(
        [[overlap(labelled[person], found[name])[0] for name in ids] for person in people]
    )
    # What does not overlap enough must not be worth a pair that does.
    worth = np.where(shares >= LEAST_OVERLAP, shares, 0.0)
    for row, column in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
        if worth[row, column] > 0:
            given[people[row]] = (ids[column], float(shares[row, column]))
    return given
