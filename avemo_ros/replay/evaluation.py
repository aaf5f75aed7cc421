"""Replays many bags in parallel and scores what was said of them."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol

from avemo_ros.bag.recording import Recording
from avemo_ros.clock import to_s
from avemo_ros.errors import AvemoError, BagError, LabelError
from avemo_ros.model.released import sha256
from avemo_ros.process_pool import Done, Failed, Reached, run_jobs
from avemo_ros.replay.bag_job import Job, do
from avemo_ros.replay.live_weights import live_weights
from avemo_ros.replay.outcome import Lost, Outcome, Scored, Weights, put_together
from avemo_ros.replay.request import Request
from avemo_ros.replay.sidecars import bag_name, labels_of_bags

_PROCESSES: Final = 2
"""More do not make the replay of one bag faster."""


class Watch(Protocol):
    """Is told how far an evaluation is."""

    def begin(self, seconds: float, bags: int) -> None:
        """So many seconds of message time, in so many bags, lie ahead."""

    def reach(self, seconds: float, bags: int) -> None:
        """So much is done."""


class NothingScoredError(BagError):
    """No bag at all could be evaluated."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome
        """Why not, for the files that were asked for."""


def evaluate(request: Request, watch: Watch | None = None) -> Outcome:
    """Replay and score; a bag that cannot be evaluated is reported, and the rest goes on.

    Args:
        request: what to do.
        watch: is told of the progress.

    Raises:
        LabelError: a file of labels is missing or belongs to no bag.
        NothingScoredError: no bag at all can be evaluated.
        WeightsError: the configured model is missing or damaged, or is no live one.
    """
    names = _names(request.bags)
    files = labels_of_bags(request.bags, request.labels)
    weights = Weights()
    if request.use != "states":
        file = live_weights(request.config.model.weights)
        weights = Weights(file.name, sha256(file))
    at_once, processes = shared(len(request.bags), request.workers)
    if request.cache is not None:
        request.cache.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(
            name,
            path,
            labels,
            request.config,
            request.topics,
            request.use,
            processes,
            weights.sha256,
            request.cache,
            beside=not request.labels,
        )
        for name, path, labels in zip(names, request.bags, files, strict=True)
    ]
    scored, lost, took = _run(jobs, at_once, watch)
    paths = dict(zip(names, request.bags, strict=True))
    outcome = put_together(request, scored, lost, weights, took, paths)
    if not scored:
        raise NothingScoredError(_why_nothing(lost), outcome)
    return outcome


def _why_nothing(lost: Sequence[Lost]) -> str:
    if len(lost) == 1:
        return f"{lost[0].name} could not be evaluated: {lost[0].reason}"
    reasons = "; ".join(f"{item.name}: {item.reason}" for item in lost[:3])
    more = "; ..." if len(lost) > 3 else ""
    return f"none of {len(lost)} bags could be evaluated: {reasons}{more}"


def shared(bags: int, workers: int) -> tuple[int, int]:
    """How many bags at once, and how many processes for each: together at most the cores.

    Args:
        bags: to be done.
        workers: processes wanted in all; 0: one a core.
    """
    cores = len(os.sched_getaffinity(0))
    wanted = min(workers, cores) if workers else cores
    at_once = max(1, min(bags, wanted))
    return at_once, max(1, min(_PROCESSES, wanted // at_once))


def _run(
    jobs: Sequence[Job], at_once: int, watch: Watch | None
) -> tuple[list[Scored], list[Lost], float]:
    """Bags and losses, in the order of the jobs; seconds from the first bag that began to the
    last that ended, of those that could be replayed."""
    lengths = [_announced_s(job) for job in jobs]
    if watch is not None:
        watch.begin(sum(lengths), len(jobs))
    scored: dict[int, Scored] = {}
    lost: dict[int, str] = {}
    reached = [0.0] * len(jobs)
    began, ended = math.inf, -math.inf
    with closing(run_jobs(jobs, do, at_once)) as events:
        for event in events:
            match event:
                case Reached(number, seconds):
                    reached[number] = min(seconds, lengths[number])
                case Done(number, answer):
                    reached[number] = lengths[number]
                    began, ended = min(began, answer.began_s), max(ended, answer.ended_s)
                    try:
                        scored[number] = Scored.of(answer)
                    except LabelError as error:
                        # It names its session each time; here it is clear which one.
                        lost[number] = str(error).replace(f"{jobs[number].name}: ", "")
                case Failed(number, reason):
                    reached[number] = lengths[number]
                    lost[number] = _without_paths(reason, jobs[number])
            if watch is not None:
                watch.reach(sum(reached), len(scored) + len(lost))
    return (
        [scored[number] for number in sorted(scored)],
        [Lost(jobs[number].name, lost[number]) for number in sorted(lost)],
        max(0.0, ended - began),
    )


def _announced_s(job: Job) -> float:
    """Length of the bag as its index says; 0 where it cannot be read, which the job tells."""
    try:
        with Recording(job.path, job.topics) as recording:
            return max(0.0, to_s(recording.end_ns - recording.start_ns))
    except (AvemoError, OSError):
        return 0.0


def _names(bags: Sequence[Path]) -> list[str]:
    """A short name for each bag, another one for each."""
    names = [bag_name(bag) for bag in bags]
    often = Counter(names)
    for place, bag in enumerate(bags):
        if often[names[place]] > 1:
            names[place] = "/".join(bag.resolve().parts[-2:])
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[place] = f"{name} ({seen[name]})"
    # Names of files need not be text.
    return [name.encode("utf-8", "backslashreplace").decode() for name in names]


def _without_paths(text: str, job: Job) -> str:
    """A message as it is on every machine."""
    for path in (job.path, *job.labels):
        for spelled in (str(path.resolve()), str(path)):
            text = text.replace(spelled, path.name)
    return text
