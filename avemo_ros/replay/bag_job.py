"""One bag of an evaluation: its labels read, its recording replayed; done in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from avemo_ros.bag.messages import typestore
from avemo_ros.bag.recording import Recording
from avemo_ros.bag.topics import Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import LabelError
from avemo_ros.replay.helper import HelperProcess
from avemo_ros.replay.play import replay
from avemo_ros.replay.session import Session
from avemo_ros.replay.sidecars import bag_name
from avemo_ros.replay.stored import cache_key, read_replayed, write_replayed
from avemo_ros.truth.file import together
from avemo_ros.truth.gather import LabelFile
from avemo_ros.truth.of_bag import labels_of


@dataclass(frozen=True, slots=True)
class Job:
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


@dataclass(frozen=True, slots=True)
class Source:
    """Where labels came from."""

    name: str
    """Of the file or topic."""
    annotators: tuple[str, ...]
    segments: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of a bag."""

    session: Session
    sources: tuple[Source, ...]
    stored: bool
    """The replay was there from an earlier run."""
    began_s: float = 0.0
    ended_s: float = 0.0
    """When, by the monotonic clock, which all processes of a machine share [s]."""


def do(job: Job, tell: Callable[[float], None]) -> Answer:
    """Read the labels, replay the bag or take the stored replay, and put them together.

    Args:
        job: what to do.
        tell: takes the seconds of message time that are done.

    Raises:
        BagError: the bag cannot be read, or holds nothing that can be used.
        LabelError: there are no labels, or they cannot be read.
        OutputError: the replay cannot be stored.
    """
    with ExitStack() as stack:
        helper = None
        if job.use != "states":
            # Loads libraries, once in each worker; that is no part of the replay.
            if job.processes > 1:
                helper = stack.enter_context(closing(HelperProcess()))
            import_module("avemo_ros.pipeline")
            typestore()
        tell(0.0)
        return _done(job, tell, helper)


def _done(job: Job, tell: Callable[[float], None], helper: HelperProcess | None) -> Answer:
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
            helper=helper,
        )
        if place is not None:
            write_replayed(place, replayed)
    merged = together(found)
    # Labels are read by the clock of the recording; the stamps may be of another.
    moved_ns = replayed.zero_ns - start_ns
    segments = tuple(
        replace(one, start_ns=one.start_ns + moved_ns, end_ns=one.end_ns + moved_ns)
        for one in merged.segments
    )
    session = Session(job.name, replayed, segments, merged.people)
    return Answer(session, tuple(map(_source, found)), stored, began_s, time.monotonic())


def _labels(job: Job) -> tuple[list[LabelFile], int]:
    """What was labelled, and when the recording begins by its own clock [ns]."""
    with Recording(job.path, job.topics) as recording:
        found = labels_of(recording, job.labels, folder=job.path, beside=job.beside)
        start_ns = recording.start_ns
    if not found:
        name = bag_name(job.path)
        where = (
            f"none given, no {name}.labels.csv beside it"
            if job.beside
            else f"none of those given is named after it ({name}.labels.csv)"
        )
        raise LabelError(f"no labels: {where}, no topic of labels in it")
    return found, start_ns


def _source(file: LabelFile) -> Source:
    return Source(
        file.path.name,
        tuple(sorted({segment.annotator for segment in file.segments} - {""})),
        len(file.segments),
        tuple(file.notes),
    )
