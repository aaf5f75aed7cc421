"""Bags of recorded states with labels, and evaluations that are put together by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from made_steps import BOX, START_NS, clip

from avemo_ros.annotations.segments import Segment
from avemo_ros.bag.writer import BagWriter
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.bag_evaluation import (
    BagEvaluation,
    BagRequest,
    FailedBag,
    ModelFile,
    ScoredBag,
    summarise,
)
from avemo_ros.replay.bag_job import BagJobResult, LabelSource
from avemo_ros.replay.named_metrics import Threshold
from avemo_ros.replay.replayed import EvaluatedRecording, Replayed, SeenFaces

LABELS = "person,start,end,label\n,0,3,neutral\n,3,6,happy\n,6,9,fear\n"
"""As `clip(9)` says, but for the last."""


def states_bag(path: Path, seconds: float = 9.0, labels: str = LABELS) -> Path:
    """A recording of what a robot said; with labels beside it unless they are ""."""
    with BagWriter(path) as bag:
        for step in clip(seconds):
            bag.write_states(step)
    if labels:
        path.with_name(f"{path.name}.labels.csv").write_text(labels)
    return path


def seg(start: float, end: float, label: str, person: str = "", who: str = "") -> Segment:
    return Segment(
        START_NS + round(start * 1e9), START_NS + round(end * 1e9), label, person, who
    )


def session(
    name: str,
    segments: Iterable[Segment],
    seconds: float = 9.0,
    *,
    latencies_s: Sequence[float] = (),
    problems: Sequence[str] = (),
) -> EvaluatedRecording:
    """`clip(seconds)` with labels of it; Anna is f1 and Bob f2."""
    steps = tuple(clip(seconds))
    replayed = Replayed(
        steps=steps,
        start_ns=START_NS,
        end_ns=steps[-1].stamp_ns,
        source="raw",
        model_id="made-1",
        frames=tuple(SeenFaces(step.stamp_ns, (("f1", BOX),)) for step in steps),
        counters={"frames": float(len(steps)), "late_frames": 2.0},
        stages_ms={"vision": (5.0, 6.0, 7.5), "audio": (0.2, 0.3)},
        seconds=1.5,
        latencies_s=tuple(latencies_s),
        problems=tuple(problems),
    )
    return EvaluatedRecording(
        name, replayed, tuple(segments), {"Anna": ("f1",), "Bob": ("f2",)}
    )


def claims_turned(given: EvaluatedRecording, before: str, after: str) -> EvaluatedRecording:
    """The same session, where another model says `after` for `before`."""

    def turned(label: str) -> str:
        return after if label == before else label

    steps = []
    for step in given.replayed.steps:
        estimates = tuple(
            replace(
                item,
                label=turned(item.label),
                probabilities=_swapped(item.probabilities, before, after)
                if item.label == before
                else item.probabilities,
            )
            for item in step.estimates
        )
        attended = estimates[0] if estimates else step.attended
        steps.append(replace(step, estimates=estimates, attended=attended))
    return replace(given, replayed=replace(given.replayed, steps=tuple(steps)))


def _swapped(values: tuple[float, ...], before: str, after: str) -> tuple[float, ...]:
    made = list(values)
    first, second = EMOTIONS.index(before), EMOTIONS.index(after)
    if made:
        made[first], made[second] = made[second], made[first]
    return tuple(made)


def outcome(
    sessions: Sequence[EvaluatedRecording],
    *,
    lost: Sequence[FailedBag] = (),
    thresholds: Sequence[Threshold] = (),
    notes: Sequence[str] = (),
) -> BagEvaluation:
    """An evaluation of these sessions."""
    request = BagRequest(
        tuple(Path(item.name) for item in sessions), thresholds=tuple(thresholds), rounds=100
    )
    answers = [
        BagJobResult(
            item,
            (
                LabelSource(
                    "labels.csv",
                    tuple(sorted({segment.annotator for segment in item.segments} - {""})),
                    len(item.segments),
                    tuple(notes),
                ),
            ),
            stored=False,
        )
        for item in sessions
    ]
    paths = {item.name: Path("nowhere") for item in sessions}
    weights = ModelFile("made.safetensors", "ab" * 32)
    return summarise(request, list(map(ScoredBag.of, answers)), lost, weights, 2.0, paths)
