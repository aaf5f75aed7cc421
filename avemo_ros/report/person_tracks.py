"""The tracks of people in a report, and small images of them."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.annotations.segments import MAJORITY, TruthRule
from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.errors import AvemoError, ImageError
from avemo_ros.labels import UNKNOWN
from avemo_ros.replay.matching import MatchedRecording, PersonMatcher, match_recording
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.report.charts import Chart, figure
from avemo_ros.report.tracks import (
    ROOM,
    Mark,
    Rows,
    confidence_curve,
    joined,
    meant,
    stacked,
    with_edges,
)
from avemo_ros.sink.presentation import Person, Timeline
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.timing import mean_step_s, to_s

_MOST_ANNOTATORS: Final = 6
"""Rows of annotators that are drawn."""


def anchor_of(place: int) -> str:
    """Name on the page of the scored segment in this place of `segments.list`."""
    return f"segment-{place}"


@dataclass(frozen=True, slots=True)
class Track:
    """All that is drawn of one person."""

    name: str
    annotations: Mapping[str, tuple[Mark, ...]]
    """By name of the row: of all, then of each annotator."""
    estimates: tuple[EmotionEstimate, ...]
    """Oldest first."""
    judged: tuple[Mark, ...] = ()
    """Stretches that were judged: label 'right', 'wrong' or 'blank'."""
    shots: tuple[Shot, ...] = ()


def tracks_of(
    session: EvaluatedRecording,
    listed: Sequence[Mapping[str, Any]],
    shots: tuple[Shot, ...] = (),
    rule: TruthRule = MAJORITY,
) -> list[Track]:
    """One track for each labelled person, in the order of their first segments.

    Args:
        session: estimates and labels.
        listed: `segments.list` of all bags.
        shots: small images of the recording; they go with the first person.
        rule: what is true where annotators differ; where several labels are, none is drawn.
    """
    judged = match_recording(session, rule).undisputed()
    people = list(dict.fromkeys(segment.person for segment in session.segments))
    return [
        Track(
            person,
            _truth(session, person, listed),
            _estimates_of(session, person),
            _right(session, judged, person),
            shots if place == 0 else (),
        )
        for place, person in enumerate(people)
    ]


def chart_of(track: Track, timeline: Timeline, most: int) -> tuple[Chart, float]:
    """The figure, and the step of time that it is thinned to [s]; 0: it is not.

    Args:
        track: of the person.
        timeline: of all steps of the recording.
        most: points of a curve and stretches of a row.
    """
    rows = Rows(timeline.duration_s)
    own = Person(track.name, list(track.estimates))
    claims = [Mark(run.start_s, run.end_s, run.label, run.text) for run in timeline.runs(own)]
    steps = [0.0]
    for name, height, marks in (
        *((name, 20.0, list(marks)) for name, marks in track.annotations.items()),
        ("predicted", 24.0, claims),
        ("right", 8.0, list(track.judged)),
    ):
        if marks or name == "predicted":
            kept, step_s = joined(marks, most, rows.end_s)
            rows.bars(name, height, kept)
            steps.append(step_s)
    curves = [
        _curves(timeline, part, max(1, most * len(part) // len(track.estimates)))
        for part in timeline.stretches(own)
    ]
    # In a gap there is nothing to draw.
    times, sure, shares = (
        np.concatenate([curve[place] for curve in curves])
        if curves
        else np.zeros((0, 2)[:size])
        for place, size in ((0, 1), (1, 1), (2, 2))
    )
    steps += [curve[3] for curve in curves]
    rows.curves("confidence", 52, [confidence_curve(times, sure)], grid=True)
    hover = "%{x:.1f} s: %{fullData.name} %{y:.0%}<extra></extra>"
    rows.curves("modality", 24, stacked(times, shares, ("face", "voice"), "modality", hover))
    if track.shots:
        # An axis without a trace is not drawn.
        rows.curves("images", HEIGHT, [{"x": [None], "y": [None], "hoverinfo": "skip"}])
    drawn = figure(rows.traces, rows.height, **rows.layout())
    about = f"Timeline of {track.name or 'the attended person'}"
    return Chart(drawn, about, track.shots, room=ROOM), max(steps)


def _curves(
    timeline: Timeline, stretch: Sequence[EmotionEstimate], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Times, confidence and shares of face and voice of a stretch; zero at its ends.

    The confidence is NaN where there is no distribution, and at the ends.
    """
    at = [timeline.t(item.stamp_ns) for item in stretch]
    values = np.array(
        [
            (
                item.confidence if item.probabilities else np.nan,
                item.face_share,
                item.voice_share,
            )
            for item in stretch
        ]
    )
    times, values, step_s = meant(at, values, most)
    times, values = with_edges(times, values, max(0.0, at[0] - timeline.mean_step_s), at[-1])
    sure = values[:, 0]
    sure[[0, -1]] = np.nan
    return times, sure, values[:, 1:], step_s


def _truth(
    session: EvaluatedRecording, person: str, listed: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[Mark, ...]]:
    """The row of what was judged, and one of each annotator where there are several."""
    rows = {
        "annotated": tuple(
            Mark(
                item["start_s"],
                item["end_s"],
                item["truth"],
                item["truth"],
                f"predicted: {item['answer'] or 'none'}",
                anchor_of(place),
            )
            for place, item in enumerate(listed)
            if item["session"] == session.name
            and item["person"] == person
            and item["share"] == 1
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
                    segment.label or "valence and arousal only",
                )
                for segment in own
                if segment.annotator == name
            )
    return rows


def _estimates_of(session: EvaluatedRecording, person: str) -> tuple[EmotionEstimate, ...]:
    """The estimates of the person, also where there are no labels."""
    own = sorted(
        (segment for segment in session.segments if segment.person == person),
        key=lambda segment: segment.start_ns,
    )
    starts = [segment.start_ns for segment in own]
    finder = PersonMatcher(session)
    found = []
    for step in session.replayed.steps:
        # Where a box is marked, the newest mark says which face it is.
        segment = own[max(0, bisect_right(starts, step.stamp_ns) - 1)]
        estimate = finder.find(segment, step)
        if estimate is not None:
            found.append(estimate)
    return tuple(found)


def _right(
    session: EvaluatedRecording, judged: MatchedRecording, person: str
) -> tuple[Mark, ...]:
    """Stretches of right claims, wrong claims and none, where there is truth."""
    start_ns = session.replayed.zero_ns
    step_s = _step_s(session)
    marks: list[Mark] = []
    for step in judged.steps:
        segment = judged.annotations[step.segment]
        if segment.person != person or not segment.label:
            continue
        predicted = UNKNOWN if step.estimate is None else step.estimate.label
        if predicted == UNKNOWN:
            kind, hover = "blank", ""
        elif predicted == segment.label:
            kind, hover = "right", predicted
        else:
            kind, hover = "wrong", f"{predicted}, truth {segment.label}"
        end = to_s(step.stamp_ns - start_ns)
        last = marks[-1] if marks else None
        same = last is not None and (last.label, last.hover) == (kind, hover)
        if last and same and end - last.end_s < 2.5 * step_s:
            marks[-1] = replace(last, end_s=end)
        else:
            marks.append(Mark(max(0.0, end - step_s), end, kind, hover=hover))
    return tuple(marks)


def _step_s(session: EvaluatedRecording) -> float:
    """Mean time from one step to the next [s]."""
    return mean_step_s([step.stamp_ns for step in session.replayed.steps])


# Small images of the people of a bag, for a report that asks for them.

HEIGHT: Final = 64
"""Of an image [pixels]."""
MOST: Final = 40
"""Images of one bag."""
_WIDEST: Final = 160
_LEAST_APART_S: Final = 1.0
"""Images are no nearer to one another [s]."""
_QUALITY: Final = 70

Shot = Mapping[str, object]
"""An image for `charts.Chart`: `at` [s], `width` [pixels] and `src`, a `data:` address."""


def shots_of(
    session: EvaluatedRecording, path: Path, topics: Topics, most: int = MOST
) -> tuple[Shot, ...]:
    """Images spread over the recording; none where it holds none that can be decoded.

    Args:
        session: of the bag.
        path: of the bag.
        topics: which topic is which.
        most: images.
    """
    start_ns, end_ns = session.replayed.start_ns, session.replayed.end_ns
    apart_ns = max(round(1e9 * _LEAST_APART_S), (end_ns - start_ns) // most)
    shots: list[Shot] = []
    due_ns = start_ns
    try:
        with Recording(path, topics) as recording:
            if TopicKind.IMAGES not in recording.kinds:
                return ()
            for _, item in recording.items(frozenset({TopicKind.IMAGES})):
                if not isinstance(item, BagImage) or item.stamp_ns < due_ns:
                    continue
                if len(shots) == most:
                    break
                shot = _shot(item, to_s(item.stamp_ns - session.replayed.zero_ns))
                if shot is not None:
                    shots.append(shot)
                    due_ns = item.stamp_ns + apart_ns
    except AvemoError:
        # The replay has told what is wrong with the bag.
        return tuple(shots)
    return tuple(shots)


def _shot(frame: BagImage, at_s: float) -> Shot | None:
    try:
        image = frame.image
    except ImageError:
        return None
    height, width = image.shape[:2]
    wide = min(max(1, round(width * HEIGHT / height)), _WIDEST)
    small = cv2.resize(image, (wide, HEIGHT), interpolation=cv2.INTER_AREA)
    done, coded = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    if not done:
        return None
    text = base64.b64encode(coded.tobytes()).decode()
    return {"at": at_s, "width": wide, "src": f"data:image/jpeg;base64,{text}"}
