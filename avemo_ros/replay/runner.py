"""A recording played through the engine: the live estimates, as fast as the machine can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from avemo_ros.bag.reader import StatesRecord
from avemo_ros.bag.topics import TopicKind, Topics, engine_inputs
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.feature_extractor import Extracted, FeatureExtractor
from avemo_ros.errors import BagError
from avemo_ros.replay.feature_worker import FeatureJob, FeatureSummary, FeatureWorker, recorded
from avemo_ros.replay.replayed import Replayable, Replayed, SeenFaces, opened
from avemo_ros.state.estimate import EmotionStep, Status, attended, nobody
from avemo_ros.timing import WHOLE, Stopwatch, span, to_ns, to_s
from avemo_ros.vision.face import FrameTracks

if TYPE_CHECKING:
    from avemo_ros.pipeline import Pipeline

Progress = Callable[[float], None]

USES: Final = ("auto", "raw", "features", "states")
"""What of a recording may be asked for; 'auto' takes the first of the others that is there."""
RAW: Final = frozenset({TopicKind.IMAGES, TopicKind.AUDIO})
RECORDED: Final = frozenset({TopicKind.TRACKS, TopicKind.SPECTROGRAM})
"""Features that lie in the bag as such."""
_OTHER_CLOCK_NS: Final = to_ns(2.0)
"""Stamps that are this far from the times of recording, all alike, are of another clock."""


def replay(
    path: Path,
    config: PipelineConfig,
    *,
    topics: Topics | None = None,
    use: str = "auto",
    processes: int = 2,
    progress: Callable[[float], None] | None = None,
    worker: FeatureWorker | None = None,
) -> Replayed:
    """Play a recording through the streaming engine by message time.

    The result depends on the recording and the configuration alone: not on the number of
    processes, the machine's load or the time of day.

    Args:
        path: of the bag, or of a media file.
        config: of the engine, as the live nodes'.
        topics: which topic is which; None finds them by their types.
        use: one of USES.
        processes: 2 turns images and audio into features in a process of its own, 1 does all
            in this one.
        progress: called with the seconds of message time that are done.
        worker: the process for the features where it was started already; the caller closes
            it, and `processes` does not count.

    Raises:
        BagError: the bag cannot be read, or holds nothing of what is to be used.
        SourceError: the media file cannot be read.
        WeightsError: the configured model is missing or damaged.
        ConfigError: the configured device is not there.
    """
    began = time.perf_counter()
    report = progress if progress is not None else _ignore
    if worker is None and processes > 1 and use != "states":
        with closing(FeatureWorker()) as worker:
            return _played(path, config, topics, use, report, worker, began)
    return _played(path, config, topics, use, report, worker, began)


def _played(
    path: Path,
    config: PipelineConfig,
    topics: Topics | None,
    use: str,
    report: Progress,
    worker: FeatureWorker | None,
    began: float,
) -> Replayed:
    with opened(path, topics) as recording:
        kinds = _choose(recording, use)
        if TopicKind.STATES in kinds:
            return _states(recording, began, report)
        if worker is not None:
            worker.give(FeatureJob(path, topics, kinds, config))
        # Loads the networks' libraries, which takes a while; the helper is at work meanwhile.
        from avemo_ros.pipeline import Pipeline

        with closing(Pipeline(config, stopwatch=Stopwatch(WHOLE))) as pipeline:
            seen = worker or _seen(recording, kinds, pipeline.extractor)
            steps: list[EmotionStep] = []
            frames: list[SeenFaces] = []
            for log_ns, item in seen:
                if isinstance(item, FrameTracks):
                    faces = tuple((face.face_id, face.box) for face in item.faces)
                    frames.append(SeenFaces(item.stamp_ns, faces))
                steps += pipeline.push_extracted(log_ns, item)
                report(to_s(log_ns - recording.start_ns))
            summary = None if worker is None else worker.summary
            # What was left out at the end let time pass, too.
            reached_ns = summary.reached_ns if summary else pipeline.extractor.reached_ns
            steps += pipeline.advance(reached_ns) + pipeline.flush()
            zero_ns, notes = _zero(recording.start_ns, pipeline.usual_age_ns)
            return Replayed(
                steps=tuple(steps),
                start_ns=pipeline.start_ns or zero_ns,
                end_ns=pipeline.end_ns or zero_ns,
                source="features" if kinds & RECORDED else "raw",
                model_id=pipeline.model_id,
                frames=tuple(frames),
                counters=_counted(pipeline, summary),
                stages_ms={
                    **(summary.stages_ms if summary else {}),
                    **pipeline.stopwatch.stages_ms(),
                },
                seconds=time.perf_counter() - began,
                problems=(
                    *(summary.problems if summary else recording.problems),
                    *pipeline.findings.sentences(),
                    *notes,
                ),
                first_ns=zero_ns,
                precision=pipeline.predictor.precision,
            )


def _seen(
    recording: Replayable, kinds: frozenset[TopicKind], extractor: FeatureExtractor
) -> Iterator[tuple[int, Extracted]]:
    """As `HelperProcess`, in this process."""
    for log_ns, item in recorded(recording, kinds):
        seen = extractor.push(log_ns, item)
        if seen is not None:
            yield log_ns, seen


def _counted(pipeline: Pipeline, summary: FeatureSummary | None) -> dict[str, float]:
    counted = pipeline.counters()
    counted.update(summary.counters if summary else {})
    return {name: float(counted[name]) for name in sorted(counted)}


def _zero(start_ns: int, age_ns: int) -> tuple[int, list[str]]:
    """Sensor time of the recording's beginning [ns], and what there is to say of it.

    Args:
        start_ns: time of recording of its first message [ns].
        age_ns: usual time from stamp to recording [ns].
    """
    if abs(age_ns) < _OTHER_CLOCK_NS:
        return start_ns, []
    side = "behind" if age_ns > 0 else "ahead of"
    return start_ns - age_ns, [
        f"stamps come from another clock, {span(abs(to_s(age_ns)))} {side} the recorder's; "
        "labels are compared after correcting for this"
    ]


def _ignore(_: float) -> None:
    """Nobody wants to know."""


def _choose(recording: Replayable, use: str) -> frozenset[TopicKind]:
    """What of a recording is used.

    Raises:
        BagError: it holds nothing of what is asked for.
    """
    if use not in USES:
        raise ValueError(f"use is {use!r}; allowed: {', '.join(USES)}")
    there = recording.kinds
    if use == "auto" and (kinds := engine_inputs(there)):
        return kinds
    if use == "raw" and there & RAW:
        return there & RAW
    if use == "features" and there & RECORDED:
        return there & RECORDED
    if use in ("auto", "states") and TopicKind.STATES in there:
        return frozenset({TopicKind.STATES})
    found = ", ".join(sorted(kind.value for kind in there))
    wanted = {
        "raw": "images or audio",
        "features": "face tracks or spectrograms",
        "states": "states",
        "auto": "images, audio, face tracks, spectrograms or states",
    }[use]
    raise BagError(
        f"{recording.path} contains no {wanted} that can be used; it contains: {found}"
    )


def _states(recording: Replayable, began: float, report: Progress) -> Replayed:
    """Recorded states as they are."""
    steps: list[EmotionStep] = []
    latencies: list[float] = []
    for log_ns, item in recording.items(frozenset({TopicKind.STATES})):
        if isinstance(item, StatesRecord):
            steps.append(_emotion_step(item))
            latencies += item.latencies_s
            report(to_s(log_ns - recording.start_ns))
    stamps = [step.stamp_ns for step in steps]
    return Replayed(
        steps=tuple(steps),
        start_ns=min(stamps, default=recording.start_ns),
        end_ns=max(stamps, default=recording.end_ns),
        source="states",
        model_id=_model_id(step.attended.model_id for step in steps),
        frames=(),
        counters={"hops": float(len(steps))},
        stages_ms={},
        seconds=time.perf_counter() - began,
        problems=tuple(recording.problems),
        latencies_s=tuple(latencies),
        first_ns=recording.start_ns,
    )


def _emotion_step(record: StatesRecord) -> EmotionStep:
    people = tuple(one for one in record.estimates if one.face_id or one.voice_id)
    chosen = attended(people)
    if chosen is None:
        # A state without ids says why there is nobody; an empty array does not.
        estimates = record.estimates
        chosen = estimates[0] if estimates else nobody(record.stamp_ns, Status.NOBODY)
    return EmotionStep(record.stamp_ns, people, chosen, None)


def _model_id(names: Iterable[str]) -> str:
    """The models that are named, in the order in which they come."""
    return ", ".join(dict.fromkeys(name for name in names if name))
