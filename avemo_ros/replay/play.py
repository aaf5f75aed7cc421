"""A recording played through the streaming core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from avemo_ros.bag.recording import Kind, Recording, StatesRecord, Topics
from avemo_ros.clock import to_s
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import BagError
from avemo_ros.replay.feature import RAW, RECORDED
from avemo_ros.replay.helper import HelperProcess, Source
from avemo_ros.replay.run import USES, Replayed
from avemo_ros.state.estimate import Hop, Status, attended, nobody

Progress = Callable[[float], None]


def play(
    path: Path,
    config: PipelineConfig,
    *,
    topics: Topics | None,
    use: str,
    processes: int,
    progress: Progress | None,
    helper: HelperProcess | None,
    max_input_age_s: float,
) -> Replayed:
    """See `run.replay`."""
    began = time.perf_counter()
    report = progress if progress is not None else _ignore
    if helper is None and processes > 1 and use != "states":
        with closing(HelperProcess()) as helper:
            return _played(path, config, topics, use, report, helper, began, max_input_age_s)
    return _played(path, config, topics, use, report, helper, began, max_input_age_s)


def _played(
    path: Path,
    config: PipelineConfig,
    topics: Topics | None,
    use: str,
    report: Progress,
    helper: HelperProcess | None,
    began: float,
    max_input_age_s: float,
) -> Replayed:
    with Recording(path, topics) as recording:
        kinds = _choose(recording, use)
        if Kind.STATES in kinds:
            return _states(recording, began, report)
        start_ns = recording.start_ns
        if helper is None:
            from avemo_ros.replay.estimates import Estimates
            from avemo_ros.replay.features import Features

            features = Features(recording, kinds, config, max_input_age_s)
            return Estimates(config, start_ns, report).of(features, kinds, began)
    helper.give(Source(path, topics, kinds, config, max_input_age_s))
    # Loads PyTorch, which takes seconds; the helper is at work meanwhile.
    from avemo_ros.replay.estimates import Estimates

    return Estimates(config, start_ns, report).of(helper, kinds, began)


def _ignore(_: float) -> None:
    """Nobody wants to know."""


def _choose(recording: Recording, use: str) -> frozenset[Kind]:
    """What of a recording is used.

    Raises:
        BagError: it holds nothing of what is asked for.
    """
    if use not in USES:
        raise ValueError(f"use is {use!r}; allowed: {', '.join(USES)}")
    there = recording.kinds
    if use in ("auto", "raw") and there & RAW:
        kinds = there & RAW
        if use == "auto":
            # What was recorded only as features joins what was recorded raw.
            if Kind.PICTURES not in there:
                kinds |= there & {Kind.TRACKS}
            if Kind.SOUND not in there:
                kinds |= there & {Kind.SPECTROGRAM}
        return kinds
    if use in ("auto", "features") and there & RECORDED:
        return there & RECORDED
    if use in ("auto", "states") and Kind.STATES in there:
        return frozenset({Kind.STATES})
    found = ", ".join(sorted(kind.value for kind in there))
    wanted = {
        "raw": "pictures or sound",
        "features": "face tracks or spectrograms",
        "states": "states",
        "auto": "pictures, sound, face tracks, spectrograms or states",
    }[use]
    raise BagError(
        f"bag '{recording.path}' holds no {wanted} that can be used; it holds: {found}"
    )


def _states(recording: Recording, began: float, report: Progress) -> Replayed:
    """Recorded states as they are."""
    hops: list[Hop] = []
    latencies: list[float] = []
    for log_ns, item in recording.items(frozenset({Kind.STATES})):
        if isinstance(item, StatesRecord):
            hops.append(_hop(item))
            latencies += item.latencies_s
            report(to_s(log_ns - recording.start_ns))
    stamps = [hop.stamp_ns for hop in hops]
    return Replayed(
        hops=tuple(hops),
        start_ns=min(stamps, default=recording.start_ns),
        end_ns=max(stamps, default=recording.end_ns),
        source="states",
        model_id=_model_id(hop.attended.model_id for hop in hops),
        frames=(),
        counters={"hops": float(len(hops))},
        stages_ms={},
        seconds=time.perf_counter() - began,
        problems=tuple(recording.problems),
        latencies_s=tuple(latencies),
        first_ns=recording.start_ns,
    )


def _hop(record: StatesRecord) -> Hop:
    people = tuple(one for one in record.estimates if one.face_id or one.voice_id)
    chosen = attended(people)
    if chosen is None:
        # A state without ids says why there is nobody; an empty array does not.
        said = record.estimates
        chosen = said[0] if said else nobody(record.stamp_ns, Status.NO_FACE)
    return Hop(record.stamp_ns, people, chosen, None)


def _model_id(names: Iterable[str]) -> str:
    """The models that are named, in the order in which they come."""
    return ", ".join(dict.fromkeys(name for name in names if name))
