"""One bag or clip of an evaluation: read its labels, replay it or take the cached replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import (
    bag_name,
    find_labels,
    labels_of,
    merge_files,
    read_labels,
)
from avemo_ros.annotations.segments import Segment
from avemo_ros.bag.messages import typestore
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import AvemoError, LabelError, WeightsError
from avemo_ros.model.own_model import files_of, is_own
from avemo_ros.model.released import LIVE, find_weights, models_dir, read_index
from avemo_ros.replay.feature_worker import FeatureWorker
from avemo_ros.replay.replayed import (
    EvaluatedRecording,
    cache_key,
    is_clip,
    opened,
    read_replayed,
    write_replayed,
)
from avemo_ros.replay.runner import replay


def live_weights(name: str) -> Path:
    """Path of the weights of a live model; said once, and not by every bag.

    Args:
        name: a path that ends in .safetensors, a released model, or "" for the default.  Of a
            model of your own it is the file of its class, or its (first) ONNX file.

    Raises:
        WeightsError: there is no such model, it is damaged, or it is not a live one; names
            the released ones that are.
    """
    if is_own(name):
        return files_of(name)[0]
    if name and not name.endswith(".safetensors"):
        models = read_index(models_dir())["models"]
        # The first release names no task.
        tasks = {known: entry.get("task", LIVE) for known, entry in models.items()}
        if tasks.get(name) != LIVE:
            wrong = (
                f"model '{name}' is for {tasks[name]} only and cannot replay bags"
                if name in tasks
                else f"no released model is called '{name}'"
            )
            live = ", ".join(sorted(known for known, task in tasks.items() if task == LIVE))
            raise WeightsError(f"{wrong}; live models are: {live}")
    # Torch takes seconds to load, and the worker processes, which need this module, do without.
    from avemo_ros.model.torch_network import load_weights

    path = find_weights(name)
    load_weights(path)
    return path


@dataclass(frozen=True, slots=True)
class BagJob:
    """A bag and how to replay it."""

    name: str
    path: Path
    labels: tuple[Path, ...]
    config: PipelineConfig
    topics: Topics
    use: str
    processes: int
    """For this bag alone."""
    weights: str
    """SHA-256 of the model's file, so that another model is another replay."""
    cache: Path | None
    """Folder of stored replays; None: keep none."""
    beside: bool = True
    """Without files of labels, what lies beside the bag counts; no where others were given."""
    annotators: tuple[str, ...] = ()
    """For each file of labels who has judged where it names nobody; (): nobody is known."""
    needs_labels: bool = True
    """Without labels the job fails; no: it is replayed all the same."""


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Where labels came from."""

    name: str
    """Of the file or topic."""
    annotators: tuple[str, ...]
    segments: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BagJobResult:
    """What became of a bag."""

    recording: EvaluatedRecording
    sources: tuple[LabelSource, ...]
    stored: bool
    """The replay was there from an earlier run."""
    began_s: float = 0.0
    ended_s: float = 0.0
    """When, by the monotonic clock, which all processes of a machine share [s]."""


def run_bag_job(job: BagJob, tell: Callable[[float], None]) -> BagJobResult:
    """Read the labels, replay the bag or take the stored replay, and put them together.

    Args:
        job: what to do.
        tell: takes the seconds of message time that are done.

    Raises:
        BagError: the bag cannot be read, or holds nothing that can be used.
        SourceError: the media file cannot be read.
        LabelError: there are no labels though the job needs them, or they cannot be read.
        OutputError: the replay cannot be stored.
    """
    with ExitStack() as stack:
        worker = None
        if job.use != "states":
            # Loads libraries, once in each worker; that is no part of the replay.
            if job.processes > 1:
                worker = stack.enter_context(closing(FeatureWorker()))
            import_module("avemo_ros.pipeline")
            typestore()
        tell(0.0)
        return _done(job, tell, worker)


def _done(
    job: BagJob, tell: Callable[[float], None], worker: FeatureWorker | None
) -> BagJobResult:
    began_s = time.monotonic()
    found, start_ns = _labels(job)
    place = None if job.cache is None else job.cache / f"{cache_key(job)}.json.gz"
    replayed = None if place is None else read_replayed(place)
    stored = replayed is not None
    if replayed is None:
        replayed = replay(
            job.path,
            job.config,
            topics=job.topics,
            use=job.use,
            processes=job.processes,
            progress=tell,
            worker=worker,
        )
        if place is not None:
            write_replayed(place, replayed)
    merged = merge_files(found, _name_of(job.path)) if found else LabelFile(job.path, ())
    # Labels are read by the clock of the recording; the stamps may be of another.
    moved_ns = replayed.zero_ns - start_ns
    segments = tuple(
        replace(one, start_ns=one.start_ns + moved_ns, end_ns=one.end_ns + moved_ns)
        for one in merged.segments
    )
    recording = EvaluatedRecording(job.name, replayed, segments, merged.people)
    return BagJobResult(
        recording, tuple(map(_source, found)), stored, began_s, time.monotonic()
    )


def _labels(job: BagJob) -> tuple[list[LabelFile], int]:
    """What was labelled, and when the recording begins by its own clock [ns]."""
    with opened(job.path, job.topics) as recording:
        start_ns = recording.start_ns
        if isinstance(recording, Recording):
            found = labels_of(
                recording,
                job.labels,
                folder=job.path,
                beside=job.beside,
                annotators=job.annotators,
            )
        else:
            found = _labels_of_clip(job, start_ns)
    if not found and job.needs_labels:
        name = _name_of(job.path)
        where = (
            f"none given, and no {name}.labels.csv next to it"
            if job.beside
            else f"none of the given files is named after it ({name}.labels.csv)"
        )
        raise LabelError(f"no labels: {where}, and the bag has no label topic")
    return found, start_ns


def _labels_of_clip(job: BagJob, start_ns: int) -> list[LabelFile]:
    near = find_labels(job.path) if not job.labels and job.beside else None
    files = job.labels or (() if near is None else (near,))
    names = job.annotators or ("",) * len(files)
    return [
        read_labels(path, start_ns, annotator=name)
        for path, name in zip(files, names, strict=True)
    ]


def _name_of(path: Path) -> str:
    """With what the names of files of labels begin."""
    return path.stem if is_clip(path) else bag_name(path)


def labels_alone(job: BagJob) -> tuple[Segment, ...]:
    """What was labelled of a bag that cannot be replayed, as far as it can be read.

    Without the bag's beginning, seconds count from 0.
    """
    name = _name_of(job.path)
    try:
        return merge_files(_labels(job)[0], name).segments
    except (AvemoError, OSError):
        pass
    try:
        beside = find_labels(job.path) if job.beside else None
        files = job.labels or (() if beside is None else (beside,))
        return merge_files(list(map(read_labels, files)), name).segments if files else ()
    except (AvemoError, OSError):
        return ()


def _source(file: LabelFile) -> LabelSource:
    return LabelSource(
        file.path.name,
        tuple(sorted({segment.annotator for segment in file.segments} - {""})),
        len(file.segments),
        tuple(file.notes),
    )
