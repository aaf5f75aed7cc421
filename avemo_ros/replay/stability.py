"""How steady the predicted labels are, and how soon they follow the annotated ones.

Both for the labels of the estimates and for the steady ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from avemo_ros.annotations.segments import Segment
from avemo_ros.labels import UNKNOWN
from avemo_ros.replay.matching import MatchedRecording, MatchedStep
from avemo_ros.state.smoothing import key_of
from avemo_ros.timing import to_s

_S_PER_MIN = 60


@dataclass(slots=True)
class _LabelChanges:
    """Changes of the emitted labels of some people."""

    changes: int = 0
    false_changes: int = 0
    lost: int = 0

    def follow(self, steps: Sequence[MatchedStep], truth: Sequence[Segment]) -> None:
        """Count along one person's steps."""
        held = ""
        silent = True
        for step in steps:
            label = _emitted_label(step)
            if not label:
                self.lost += not silent
                silent = True
                continue
            if held and label != held:
                self.changes += 1
                self.false_changes += label != truth[step.segment].label
            held, silent = label, False


def stability(matched: Sequence[MatchedRecording], step_s: float) -> dict[str, Any]:
    """Changes of the emitted label within labelled segments, against those of the labels.

    A change is an emitted label that differs from the last one, even if nothing was emitted in
    between.  It is false if the new label is not the annotated one.  A label is lost when the
    next step has none.

    Args:
        matched: recordings.
        step_s: time that a step stands for [s].

    Returns:
        `minutes` and the counts `changes, truth_changes, false_changes, lost_claims`, each also
        `_per_minute`, None without any step.
    """
    claims = _LabelChanges()
    true_changes = steps = 0
    for one in matched:
        for track in _tracks(one):
            claims.follow(track, one.annotations)
            true_changes += len(list(_true_changes(one, track)))
            steps += len(track)
    minutes = steps * step_s / _S_PER_MIN
    counts = {
        "changes": claims.changes,
        "truth_changes": true_changes,
        "false_changes": claims.false_changes,
        "lost_claims": claims.lost,
    }
    rates = {
        f"{name}_per_minute": count / minutes if minutes else None
        for name, count in counts.items()
    }
    return {"minutes": minutes, **counts, **rates}


def reaction(matched: Sequence[MatchedRecording]) -> dict[str, Any]:
    """How long after a true change the new label is emitted.

    A change is a segment whose label is not that of the person's segment before.  It is missed
    if its label is emitted at no step within.  A label that the first step emits already is
    detected at this step.

    Returns:
        `changes, detected, missed`, and `median_s` and `p90_s` of those detected, or None.
    """
    delays: list[float] = []
    changes = 0
    for one in matched:
        for track in _tracks(one):
            seen = _first_right(one, track)
            for place in _true_changes(one, track):
                changes += 1
                if place in seen:
                    delays.append(to_s(seen[place] - one.annotations[place].start_ns))
    return {
        "changes": changes,
        "detected": len(delays),
        "missed": changes - len(delays),
        "median_s": float(np.median(delays)) if delays else None,
        "p90_s": float(np.percentile(delays, 90)) if delays else None,
    }


def steady(matched: Sequence[MatchedRecording], step_s: float) -> dict[str, Any] | None:
    """The steady labels of the same people at the same steps.

    Args:
        matched: recordings.
        step_s: time that a step stands for [s].

    Returns:
        `steps`, `claimed` (steps with a steady label), `share` of these, `accuracy` over all
        steps, `stability` and `reaction`; None without recordings that were replayed: recorded
        states have no steady ones.
    """
    relabelled = [_steady(one) for one in matched if one.recording.replayed.source != "states"]
    if not relabelled:
        return None
    pairs = [
        (_emitted_label(step), one.annotations[step.segment].label)
        for one in relabelled
        for step in one.steps
    ]
    claimed = sum(bool(label) for label, _ in pairs)
    return {
        "steps": len(pairs),
        "claimed": claimed,
        "share": claimed / len(pairs) if pairs else None,
        "accuracy": sum(a == b for a, b in pairs) / len(pairs) if pairs else None,
        "stability": stability(relabelled, step_s),
        "reaction": reaction(relabelled),
    }


def _steady(matched: MatchedRecording) -> MatchedRecording:
    """With everyone's steady label in place of the estimate's."""
    labels: dict[str, str] = {}
    held: dict[tuple[int, str], str] = {}
    for moment in matched.recording.replayed.steps:
        for change in moment.changes:
            labels[change.person_id or change.face_id or change.voice_id] = change.label
        for one in moment.estimates:
            held[moment.stamp_ns, key_of(one)] = labels.get(key_of(one), UNKNOWN)
    steps = tuple(
        step
        if step.estimate is None
        else replace(
            step,
            estimate=replace(
                step.estimate,
                label=held.get((step.stamp_ns, key_of(step.estimate)), UNKNOWN),
            ),
        )
        for step in matched.steps
    )
    return replace(matched, steps=steps)


def _first_right(matched: MatchedRecording, track: Sequence[MatchedStep]) -> dict[int, int]:
    """When the label of each truth is first emitted within it [ns]."""
    seen: dict[int, int] = {}
    for step in track:
        if _emitted_label(step) == matched.annotations[step.segment].label:
            seen[step.segment] = min(step.stamp_ns, seen.get(step.segment, step.stamp_ns))
    return seen


def _tracks(matched: MatchedRecording) -> list[list[MatchedStep]]:
    """The steps of each person."""
    people: dict[str, list[MatchedStep]] = {}
    for step in matched.steps:
        people.setdefault(matched.annotations[step.segment].person, []).append(step)
    return list(people.values())


def _true_changes(matched: MatchedRecording, track: Sequence[MatchedStep]) -> Iterator[int]:
    """Places of the annotations that differ from the one before, of those that have steps."""
    places = sorted(
        {step.segment for step in track}, key=lambda at: matched.annotations[at].start_ns
    )
    for before, after in pairwise(places):
        if matched.annotations[before].label != matched.annotations[after].label:
            yield after


def _emitted_label(step: MatchedStep) -> str:
    """The emitted label; '' for none."""
    label = "" if step.estimate is None else step.estimate.label
    return "" if label == UNKNOWN else label
