"""Hand-made replays and labels, whose figures can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from made_steps import START_NS, estimate, nobody, step_of

from avemo_ros.annotations.segments import Segment
from avemo_ros.labels import UNKNOWN
from avemo_ros.replay.replayed import EvaluatedRecording, Replayed, SeenFaces
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status
from avemo_ros.vision.face import Box


def ns(seconds: float) -> int:
    return START_NS + round(seconds * 1e9)


def seg(start: float, end: float, label: str, person: str = "", **more: object) -> Segment:
    """A label from `start` to `end` [s]."""
    return Segment(ns(start), ns(end), label, person, **more)  # type: ignore[arg-type]


def said(
    t: float, label: str, face: str = "f1", confidence: float = 0.7, **more: object
) -> EmotionEstimate:
    """A claim at `t` [s]; without one, 'unknown' and no distribution."""
    status = Status.LOW_QUALITY if label == UNKNOWN else Status.NO_VOICE
    found = estimate(label, t=t, face=face, confidence=confidence, status=status)
    return replace(found, **{"person_id": "", **more})  # type: ignore[arg-type]


def stream(labels: Sequence[str], *, start: float = 0.0, face: str = "f1") -> list[EmotionStep]:
    """One person; a label a step from `start` on, ten a second; '-': nobody is there."""
    steps = []
    for step, label in enumerate(labels):
        t = start + step / 10
        if label == "-":
            empty = nobody(t)
            steps.append(EmotionStep(empty.stamp_ns, (), empty, None))
        else:
            steps.append(step_of(said(t, label, face)))
    return steps


def replayed(steps: Iterable[EmotionStep], frames: Iterable[SeenFaces] = ()) -> Replayed:
    """What a replay gives, from START_NS to the last step."""
    steps = tuple(steps)
    return Replayed(
        steps=steps,
        start_ns=START_NS,
        end_ns=max(step.stamp_ns for step in steps),
        source="raw",
        model_id="made-1",
        frames=tuple(frames),
        counters={},
        stages_ms={},
        seconds=0.0,
    )


def session(
    steps: Iterable[EmotionStep],
    *segments: Segment,
    name: str = "one",
    people: Mapping[str, tuple[str, ...]] | None = None,
    frames: Iterable[SeenFaces] = (),
) -> EvaluatedRecording:
    return EvaluatedRecording(name, replayed(steps, frames), segments, people or {})


def seen(t: float, **faces: Box) -> SeenFaces:
    """The faces of an image by id."""
    return SeenFaces(ns(t), tuple(faces.items()))
