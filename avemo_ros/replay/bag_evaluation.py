"""Evaluate many bags in parallel: replay them, score them, check the limits."""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Protocol

from avemo_ros import __version__
from avemo_ros.annotations.label_files import bag_name, labels_of_bags
from avemo_ros.annotations.segments import MAJORITY, Segment, TruthRule
from avemo_ros.bag.topics import Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import AvemoError, BagError, ConfigError, LabelError
from avemo_ros.evaluate.metric_tables import as_json
from avemo_ros.model.released import sha256
from avemo_ros.process_pool import Done, Failed, Reached, run_jobs
from avemo_ros.replay.bag_job import (
    BagJob,
    BagJobResult,
    labels_alone,
    live_weights,
    run_bag_job,
)
from avemo_ros.replay.named_metrics import (
    METRICS,
    SCHEMA,
    Threshold,
    check_thresholds,
    metric_value,
)
from avemo_ros.replay.replayed import EvaluatedRecording, opened
from avemo_ros.replay.scoring import (
    compare_annotators,
    recorded_latency,
    score,
    stage_times,
)
from avemo_ros.sink.output_file import locked
from avemo_ros.timing import to_s
from avemo_ros.untrusted import real

_LIBRARIES: Final = ("numpy", "onnxruntime", "torch", "opencv-python-headless", "rosbags")
"""Whose versions the metrics may depend on."""
_GROUPS: Final = ("vision", "audio", "emotion", "engagement", "identity", "model")
"""Of settings that a replay depends on."""
_PROCESSES: Final = 2
"""More do not make the replay of one bag faster."""


@dataclass(frozen=True, slots=True)
class BagRequest:
    """What to evaluate, and how."""

    bags: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    """Files and folders; where there are none each bag gets what lies beside it."""
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
    truth: TruthRule = MAJORITY
    """What is true where annotators differ."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBag:
    """A bag that was replayed and can be judged."""

    replay: BagJobResult
    own: Mapping[str, Any]
    """Metrics of this bag alone, as `score` gives them, without intervals."""

    @classmethod
    def of(cls, job: BagJobResult, rule: TruthRule = MAJORITY) -> ScoredBag:
        """Judge the bag by itself.

        Args:
            job: its replay and labels.
            rule: what is true where annotators differ.

        Raises:
            LabelError: none of its labels can be judged; says why.
        """
        return cls(job, score([job.recording], rounds=0, rule=rule))


@dataclass(frozen=True, slots=True)
class FailedBag:
    """A bag that could not be evaluated."""

    name: str
    reason: str
    recording: EvaluatedRecording | None = None
    """With its labels, where it could be replayed."""
    segments: tuple[Segment, ...] = ()
    """Its labels, where it could not."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The file of the model; both "" where none was used."""

    file: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class BagEvaluation:
    """What an evaluation found."""

    result: dict[str, Any]
    """Ready for JSON; the same in every run but for `realtime_factor`."""
    timings: dict[str, Any]
    """Ready for JSON; measured, so another in every run."""
    recordings: tuple[EvaluatedRecording, ...]
    """Of the bags that could be evaluated, in the order of the request."""
    paths: Mapping[str, Path]
    """Of each recording's bag."""
    topics: Topics
    truth: TruthRule = MAJORITY
    """What was true where annotators differ."""

    @property
    def passed(self) -> bool:
        """All bags were evaluated and all limits are kept."""
        return bool(self.result["passed"])


def summarise(
    request: BagRequest,
    scored: Sequence[ScoredBag],
    failed: Sequence[FailedBag],
    weights: ModelFile,
    seconds: float,
    paths: Mapping[str, Path],
) -> BagEvaluation:
    """Score the recordings and judge the limits.

    Args:
        request: what was asked for.
        scored: the bags that could be judged; none: `overall` is None.
        failed: of the others.
        weights: of the model.
        seconds: how long the replays took.
        paths: of the bags, by name.
    """
    jobs = [one.replay for one in scored]
    recordings = tuple(job.recording for job in jobs)
    # Where no bag could be judged there are no metrics, and no limit is kept.
    overall: dict[str, Any] = {}
    unscored = [item.recording for item in failed if item.recording is not None]
    only_labelled = [item.segments for item in failed if item.segments]
    if recordings:
        overall = score(
            recordings,
            rounds=request.rounds,
            rule=request.truth,
            unscored=unscored,
            only_labelled=only_labelled,
        )
        overall["latency"] = recorded_latency(recordings)
        agreement = overall["agreement"]
    else:
        # Annotators agree or not, whatever becomes of the bags.
        found = compare_annotators(unscored, request.truth, only_labelled)
        agreement = None if found is None else as_json(found)
    measured = overall or {"agreement": agreement}
    limits = check_thresholds(request.thresholds, measured)
    fresh = sum(_length_s(job.recording) for job in jobs if not job.stored)
    result = as_json(
        {
            "schema": SCHEMA,
            "passed": not failed and all(item["passed"] for item in limits),
            "realtime_factor": fresh / seconds if fresh else None,
            "thresholds": limits,
            "figures": {name: metric_value(measured, item) for name, item in METRICS.items()},
            "agreement": agreement,
            "overall": overall or None,
            "bags": [_bag(one) for one in scored],
            "failed": [{"name": item.name, "reason": item.reason} for item in failed],
            "model": {
                "ids": sorted({job.recording.replayed.model_id for job in jobs}),
                "file": weights.file,
                "sha256": weights.sha256,
                "precision": sorted({job.recording.replayed.precision for job in jobs} - {""}),
            },
            "settings": _settings(request),
            "versions": _versions(),
        }
    )
    timings = stage_times(recordings) | {"seconds": seconds}
    timings["realtime_factor"] = result["realtime_factor"]
    return BagEvaluation(result, timings, recordings, paths, request.topics, request.truth)


def _length_s(recording: EvaluatedRecording) -> float:
    return max(0.0, to_s(recording.replayed.end_ns - recording.replayed.start_ns))


def _bag(scored: ScoredBag) -> dict[str, Any]:
    """One bag in the JSON."""
    job, recording = scored.replay, scored.replay.recording
    replayed = recording.replayed
    own = {**scored.own, "latency": recorded_latency([recording])}
    return {
        "name": recording.name,
        "seconds": _length_s(recording),
        "source": replayed.source,
        "model_id": replayed.model_id,
        "labels": [
            {item.name: getattr(source, item.name) for item in fields(source)}
            for source in job.sources
        ],
        "agreement": own["agreement"],
        "figures": {name: metric_value(own, item) for name, item in METRICS.items()},
        "notes": own["notes"],
        "counters": dict(sorted(replayed.counters.items())),
        "problems": list(replayed.problems),
    }


def _settings(request: BagRequest) -> dict[str, Any]:
    """What the metrics depend on, without the paths of this machine."""
    found: dict[str, Any] = {
        "use": request.use,
        "rounds": request.rounds,
        "lead": request.truth.lead,
        "adjudicated": request.truth.adjudicated,
        "soft_labels": request.truth.soft,
    }
    found |= {
        name: value
        for name, value in request.config.flat().items()
        if name.split(".", 1)[0] in _GROUPS or "." not in name
    }
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


class ProgressWatcher(Protocol):
    """Follows the progress of an evaluation."""

    def begin(self, seconds: float, bags: int) -> None:
        """So many seconds of message time, in so many bags, lie ahead."""

    def reach(self, seconds: float, bags: int) -> None:
        """So much is done."""


class NothingScoredError(BagError):
    """No bag at all could be evaluated."""

    def __init__(self, message: str, evaluation: BagEvaluation) -> None:
        super().__init__(message)
        self.evaluation = evaluation
        """Why not, for the files that were asked for."""


def evaluate_bags(request: BagRequest, watch: ProgressWatcher | None = None) -> BagEvaluation:
    """Replay and score; a bag that cannot be evaluated is reported, and the rest goes on.

    Args:
        request: what to do.
        watch: called with the progress.

    Raises:
        LabelError: a file of labels is missing or belongs to no bag.
        NothingScoredError: no bag at all can be evaluated.
        WeightsError: the configured model is missing or damaged, or is no live one.
        OutputError: the cache cannot be made, or another run has it for itself.
        ConfigError: nobody of the name that decides has labelled a bag.
    """
    names = _names(request.bags)
    files = labels_of_bags(request.bags, request.labels)
    weights = ModelFile()
    if request.use != "states":
        file = live_weights(request.config.model.weights)
        weights = ModelFile(file.name, sha256(file))
    at_once, processes = split_workers(len(request.bags), request.workers)
    jobs = [
        BagJob(
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
    # Runs may share a cache; who wants to empty it must wait.
    cache = request.cache
    with nullcontext() if cache is None else locked(cache, shared=True):
        scored, failed, took = _run(jobs, at_once, request.truth, watch)
    _check_annotators(request.truth, scored, failed)
    paths = dict(zip(names, request.bags, strict=True))
    evaluation = summarise(request, scored, failed, weights, took, paths)
    if not scored:
        raise NothingScoredError(_why_nothing(failed), evaluation)
    return evaluation


def _check_annotators(
    rule: TruthRule, scored: Sequence[ScoredBag], failed: Sequence[FailedBag]
) -> None:
    """Raises ConfigError where the rule names an annotator whom no label names."""
    recordings = [one.replay.recording for one in scored]
    recordings += [one.recording for one in failed if one.recording is not None]
    labels = [*(one.segments for one in recordings), *(one.segments for one in failed)]
    names = sorted({segment.annotator for part in labels for segment in part} - {""})
    for option, name in (("--lead", rule.lead), ("--adjudicated", rule.adjudicated)):
        if name and name not in names and any(labels):
            known = f"one of the annotators: {', '.join(names)}" if names else "left out: "
            near = get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(
                option, name, f"{known}{hint}" if names else f"{known}no label names one"
            )


def _why_nothing(failed: Sequence[FailedBag]) -> str:
    if len(failed) == 1:
        return f"{failed[0].name} could not be evaluated: {failed[0].reason}"
    reasons = "; ".join(f"{item.name}: {item.reason}" for item in failed[:3])
    more = "; ..." if len(failed) > 3 else ""
    return f"none of {len(failed)} bags could be evaluated: {reasons}{more}"


def split_workers(bags: int, workers: int) -> tuple[int, int]:
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
    jobs: Sequence[BagJob], at_once: int, rule: TruthRule, watch: ProgressWatcher | None
) -> tuple[list[ScoredBag], list[FailedBag], float]:
    """Bags and losses, in the order of the jobs; seconds from the first bag that began to the
    last that ended, of those that could be replayed."""
    lengths = [announced_s(job) for job in jobs]
    if watch is not None:
        watch.begin(sum(lengths), len(jobs))
    scored: dict[int, ScoredBag] = {}
    failed: dict[int, FailedBag] = {}
    reached = [0.0] * len(jobs)
    began, ended = math.inf, -math.inf
    with closing(run_jobs(jobs, run_bag_job, at_once)) as events:
        for event in events:
            match event:
                case Reached(number, seconds):
                    reached[number] = min(seconds, lengths[number])
                case Done(number, done):
                    reached[number] = lengths[number]
                    began, ended = min(began, done.began_s), max(ended, done.ended_s)
                    try:
                        scored[number] = ScoredBag.of(done, rule)
                    except LabelError as error:
                        # It names its recording each time; here it is clear which one.
                        name = jobs[number].name
                        why = str(error).replace(f"{name}: ", "")
                        failed[number] = FailedBag(name, why, done.recording)
                case Failed(number, reason):
                    reached[number] = lengths[number]
                    job = jobs[number]
                    failed[number] = FailedBag(
                        job.name, without_paths(reason, job), segments=labels_alone(job)
                    )
            if watch is not None:
                watch.reach(sum(reached), len(scored) + len(failed))
    return (
        [scored[number] for number in sorted(scored)],
        [failed[number] for number in sorted(failed)],
        max(0.0, ended - began),
    )


def announced_s(job: BagJob) -> float:
    """Length of the bag as its index says; 0 where it cannot be read, which the job tells."""
    try:
        with opened(job.path, job.topics) as recording:
            return max(0.0, to_s(recording.end_ns - recording.start_ns))
    except (AvemoError, OSError):
        return 0.0


def _names(bags: Sequence[Path]) -> list[str]:
    """A short name for each bag, another one for each."""
    names = [bag_name(bag) for bag in bags]
    often = Counter(names)
    for place, bag in enumerate(bags):
        if often[names[place]] > 1:
            names[place] = "/".join(real(bag).parts[-2:])
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[place] = f"{name} ({seen[name]})"
    # Names of files need not be text.
    return [name.encode("utf-8", "backslashreplace").decode() for name in names]


def without_paths(text: str, job: BagJob) -> str:
    """A message as it is on every machine, with the names of files alone."""
    for path in (job.path, *job.labels):
        for spelled in (str(real(path)), str(path)):
            text = text.replace(spelled, path.name)
    return text
