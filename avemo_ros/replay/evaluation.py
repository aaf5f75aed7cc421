"""Replays many bags in parallel and scores what was said of them."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Protocol

from avemo_ros import __version__
from avemo_ros.bag.recording import Recording, Topics
from avemo_ros.clock import to_s
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import AvemoError, BagError
from avemo_ros.evaluate.measure import as_json
from avemo_ros.model.tensor_file import sha256
from avemo_ros.model.weights import find_weights
from avemo_ros.replay.bag_job import Answer, Job, do
from avemo_ros.replay.crew import Done, Failed, Reached, work
from avemo_ros.replay.figures import FIGURES, SCHEMA, value_of
from avemo_ros.replay.latency import recorded_latency, stage_times
from avemo_ros.replay.score import score
from avemo_ros.replay.session import Session
from avemo_ros.replay.sidecars import bag_name, labels_of_bags
from avemo_ros.replay.thresholds import Threshold, judge_thresholds

_LIBRARIES: Final = ("numpy", "torch", "mediapipe", "opencv-contrib-python", "rosbags")
"""Whose versions the figures may depend on."""
_PROCESSES: Final = 2
"""More do not make the replay of one bag faster."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how."""

    bags: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    """Files and folders; a bag without one gets what lies beside it."""
    config: PipelineConfig = field(default_factory=PipelineConfig)
    topics: Topics = field(default_factory=Topics)
    use: str = "auto"
    """What of the bags: one of `run.USES`."""
    workers: int = 0
    """Processes in all, at most one a core; 0: one a core."""
    cache: Path | None = None
    """Folder in which finished replays are kept and found again; None keeps none."""
    thresholds: tuple[Threshold, ...] = ()
    rounds: int = 1000
    """Of the bootstrap."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What an evaluation found."""

    result: dict[str, Any]
    """Ready for JSON; the same in every run but for `realtime_factor`."""
    timings: dict[str, Any]
    """Ready for JSON; measured, so another in every run."""
    sessions: tuple[Session, ...]
    """Of the bags that could be evaluated, in the order of the request."""
    paths: Mapping[str, Path]
    """Of each session's bag."""
    topics: Topics

    @property
    def passed(self) -> bool:
        """All bags were evaluated and all limits are kept."""
        return bool(self.result["passed"])


class Watch(Protocol):
    """Is told how far an evaluation is."""

    def begin(self, seconds: float, bags: int) -> None:
        """So many seconds of message time, in so many bags, lie ahead."""

    def reach(self, seconds: float, bags: int) -> None:
        """So much is done."""


def evaluate(request: Request, watch: Watch | None = None) -> Outcome:
    """Replay and score; a bag that cannot be evaluated is reported, and the rest goes on.

    Args:
        request: what to do.
        watch: is told of the progress.

    Raises:
        LabelError: a file of labels is missing or belongs to no bag.
        BagError: no bag at all can be evaluated.
        WeightsError: the configured model is missing or damaged.
    """
    names = _names(request.bags)
    files = labels_of_bags(request.bags, request.labels)
    weights = None if request.use == "states" else find_weights(request.config.model.weights)
    digest = "" if weights is None else sha256(weights)
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
            digest,
            request.cache,
        )
        for name, path, labels in zip(names, request.bags, files, strict=True)
    ]
    began = time.perf_counter()
    answers, lost = _run(jobs, at_once, watch)
    took = time.perf_counter() - began
    if not answers:
        reasons = "; ".join(f"{item['name']}: {item['reason']}" for item in lost[:3])
        more = "; ..." if len(lost) > 3 else ""
        raise BagError(f"none of {len(jobs)} bags could be evaluated: {reasons}{more}")
    sessions = tuple(answer.session for answer in answers)
    overall = score(sessions, rounds=request.rounds)
    overall["latency"] = recorded_latency(sessions)
    limits = judge_thresholds(request.thresholds, overall)
    fresh = sum(_length_s(answer.session) for answer in answers if not answer.stored)
    result = as_json(
        {
            "schema": SCHEMA,
            "passed": not lost and all(item["passed"] for item in limits),
            "realtime_factor": fresh / took if fresh else None,
            "thresholds": limits,
            "figures": {name: value_of(overall, item) for name, item in FIGURES.items()},
            "overall": overall,
            "bags": [_bag(answer) for answer in answers],
            "failed": lost,
            "model": {
                "ids": sorted({answer.session.replayed.model_id for answer in answers}),
                "file": "" if weights is None else weights.name,
                "sha256": digest,
            },
            "settings": _settings(request),
            "versions": _versions(),
        }
    )
    timings = stage_times(sessions) | {
        "seconds": took,
        "realtime_factor": result["realtime_factor"],
        "bags_at_once": at_once,
        "processes_per_bag": processes,
    }
    paths = dict(zip(names, request.bags, strict=True))
    return Outcome(result, timings, sessions, paths, request.topics)


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
) -> tuple[list[Answer], list[dict[str, str]]]:
    """Answers and losses, in the order of the jobs."""
    lengths = [_announced_s(job) for job in jobs]
    if watch is not None:
        watch.begin(sum(lengths), len(jobs))
    answers: dict[int, Answer] = {}
    lost: dict[int, str] = {}
    reached = [0.0] * len(jobs)
    with closing(_events(jobs, at_once)) as events:
        for event in events:
            match event:
                case Reached(number, seconds):
                    reached[number] = min(seconds, lengths[number])
                case Done(number, answer):
                    answers[number], reached[number] = answer, lengths[number]
                case Failed(number, reason):
                    lost[number] = _without_paths(reason, jobs[number])
                    reached[number] = lengths[number]
            if watch is not None:
                watch.reach(sum(reached), len(answers) + len(lost))
    return (
        [answers[number] for number in sorted(answers)],
        [{"name": jobs[number].name, "reason": lost[number]} for number in sorted(lost)],
    )


def _events(jobs: Sequence[Job], at_once: int) -> Iterator[Reached | Done[Answer] | Failed]:
    return work(jobs, do, at_once)


def _announced_s(job: Job) -> float:
    """Length of the bag as its index says; 0 where it cannot be read, which the job tells."""
    try:
        with Recording(job.path, job.topics) as recording:
            return max(0.0, to_s(recording.end_ns - recording.start_ns))
    except (AvemoError, OSError):
        return 0.0


def _length_s(session: Session) -> float:
    return max(0.0, to_s(session.replayed.end_ns - session.replayed.start_ns))


def _bag(answer: Answer) -> dict[str, Any]:
    """What is told of one bag."""
    session, replayed = answer.session, answer.session.replayed
    own = score([session], rounds=0)
    own["latency"] = recorded_latency([session])
    return {
        "name": session.name,
        "seconds": _length_s(session),
        "source": replayed.source,
        "model_id": replayed.model_id,
        "labels": [
            {item.name: getattr(source, item.name) for item in fields(source)}
            for source in answer.sources
        ],
        "agreement": own["agreement"],
        "figures": {name: value_of(own, item) for name, item in FIGURES.items()},
        "notes": own["notes"],
        "counters": dict(sorted(replayed.counters.items())),
        "problems": list(replayed.problems),
    }


def _settings(request: Request) -> dict[str, Any]:
    """What the figures depend on, without the paths of this machine."""
    found: dict[str, Any] = {"use": request.use, "rounds": request.rounds}
    for name, _ in PipelineConfig.settings():
        group, key = name.split(".", 1)
        found[name] = getattr(getattr(request.config, group), key)
    found["model.weights"] = Path(request.config.model.weights).name
    for item in fields(request.topics):
        value = getattr(request.topics, item.name)
        found[f"topics.{item.name}"] = value if isinstance(value, str) else str(value or "")
    return found


def _versions() -> dict[str, str]:
    found = {"avemo_ros": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


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
