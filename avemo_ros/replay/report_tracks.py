"""What is drawn of each labelled person of a session."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final

from avemo_ros.clock import to_s
from avemo_ros.labels import UNKNOWN
from avemo_ros.replay.matching import Finder, Judged, judge
from avemo_ros.replay.report_timeline import Mark, Shot, Track
from avemo_ros.replay.session import Session
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.timing import mean_step_s

_MOST_ANNOTATORS: Final = 6
"""Rows of annotators that are drawn."""


def anchor_of(place: int) -> str:
    """Name on the page of the scored segment in this place of `segments.list`."""
    return f"segment-{place}"


def tracks_of(
    session: Session,
    listed: Sequence[Mapping[str, Any]],
    shots: tuple[Shot, ...] = (),
) -> list[Track]:
    """One track for each labelled person, in the order of their first segments.

    Args:
        session: what was said and what is true.
        listed: `segments.list` of all bags.
        shots: small pictures of the recording; they go with the first person.
    """
    judged = judge(session)
    people = list(dict.fromkeys(segment.person for segment in session.segments))
    return [
        Track(
            person,
            _truth(session, person, listed),
            _said(session, person),
            _right(session, judged, person),
            shots if place == 0 else (),
        )
        for place, person in enumerate(people)
    ]


def _truth(
    session: Session, person: str, listed: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[Mark, ...]]:
    """The row of what was judged, and one of each annotator where there are several."""
    rows = {
        "truth": tuple(
            Mark(
                item["start_s"],
                item["end_s"],
                item["truth"],
                f"truth {item['start_s']:.1f} to {item['end_s']:.1f} s: {item['truth']}; "
                f"answer: {item['answer'] or 'none'}",
                anchor_of(place),
            )
            for place, item in enumerate(listed)
            if item["session"] == session.name and item["person"] == person
        )
    }
    own = [segment for segment in session.segments if segment.person == person]
    annotators = sorted({segment.annotator for segment in own})
    if len(annotators) > 1:
        start_ns = session.replayed.zero_ns
        for name in annotators[:_MOST_ANNOTATORS]:
            rows[f"by {name}" if name else "by -"] = tuple(
                Mark(
                    to_s(segment.start_ns - start_ns),
                    to_s(segment.end_ns - start_ns),
                    segment.label,
                    f"{name or '-'}: {segment.label or 'valence and arousal only'}",
                )
                for segment in own
                if segment.annotator == name
            )
    return rows


def _said(session: Session, person: str) -> tuple[EmotionEstimate, ...]:
    """What was said of the person, also where nothing is known to be true."""
    own = sorted(
        (segment for segment in session.segments if segment.person == person),
        key=lambda segment: segment.start_ns,
    )
    starts = [segment.start_ns for segment in own]
    finder = Finder(session)
    found = []
    for hop in session.replayed.hops:
        # Where a box is marked, the newest mark says which face it is.
        segment = own[max(0, bisect_right(starts, hop.stamp_ns) - 1)]
        estimate = finder.find(segment, hop)
        if estimate is not None:
            found.append(estimate)
    return tuple(found)


def _right(session: Session, judged: Judged, person: str) -> tuple[Mark, ...]:
    """Stretches of right claims, wrong claims and none, where there is truth."""
    start_ns = session.replayed.zero_ns
    step_s = _step_s(session)
    marks: list[Mark] = []
    for hop in judged.hops:
        segment = judged.truth[hop.segment]
        if segment.person != person or not segment.label:
            continue
        said = UNKNOWN if hop.estimate is None else hop.estimate.label
        if said == UNKNOWN:
            kind, told = "blank", "no claim"
        elif said == segment.label:
            kind, told = "right", f"right: {said}"
        else:
            kind, told = "wrong", f"wrong: {said}, truth {segment.label}"
        end = to_s(hop.stamp_ns - start_ns)
        last = marks[-1] if marks else None
        if last and last.told == told and end - last.end_s < 2.5 * step_s:
            marks[-1] = Mark(last.start_s, end, kind, told)
        else:
            marks.append(Mark(max(0.0, end - step_s), end, kind, told))
    return tuple(marks)


def _step_s(session: Session) -> float:
    """Mean time from one hop to the next [s]."""
    return mean_step_s([hop.stamp_ns for hop in session.replayed.hops])
