"""One bag of an evaluation: its labels read, its recording replayed; done in a worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from avemo_ros import __version__
from avemo_ros.bag.recording import Kind, LabelRecord, Recording, Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import LabelError
from avemo_ros.replay.matching import judge
from avemo_ros.replay.run import Replayed, replay
from avemo_ros.replay.session import Session
from avemo_ros.replay.stored import read_replayed, write_replayed
from avemo_ros.truth.events import segments_of_events
from avemo_ros.truth.file import LabelFile, read_labels

_LAYOUT: Final = 1
"""Of stored replays; another layout gets another number."""
_PARTS: Final = (".mcap", ".db3", ".zstd", "metadata.yaml")
"""Endings of the files that make a bag; labels may lie among them."""


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


@dataclass(frozen=True, slots=True)
class Source:
    """Where labels came from."""

    name: str
    """Of the file or topic."""
    kind: str
    """'file' or 'topic'."""
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


def do(job: Job, tell: Callable[[float], None]) -> Answer:
    """Read the labels, replay the bag or take the stored replay, and see that they fit.

    Args:
        job: what to do.
        tell: takes the seconds of message time that are done.

    Raises:
        BagError: the bag cannot be read, or holds nothing that can be used.
        LabelError: there are no labels, they cannot be read, or none overlaps the bag.
        OutputError: the replay cannot be stored.
    """
    recording = Recording(job.path, job.topics)
    found = _labels(job, recording)
    place = None if job.cache is None else job.cache / f"{_key(job)}.json.gz"
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
        )
        if place is not None:
            write_replayed(place, replayed)
    session = _session(job.name, replayed, found)
    judge(session)
    sources = tuple(
        Source(
            file.path.name,
            "topic" if file.path == _TOPIC else "file",
            tuple(sorted({segment.annotator for segment in file.segments})),
            len(file.segments),
            file.notes,
        )
        for file in found
    )
    return Answer(session, sources, stored)


def _session(name: str, replayed: Replayed, found: list[LabelFile]) -> Session:
    people: dict[str, tuple[str, ...]] = {}
    for file in found:
        for person, ids in file.people.items():
            known = people.get(person, ())
            people[person] = (*known, *(item for item in ids if item not in known))
    segments = tuple(segment for file in found for segment in file.segments)
    return Session(name, replayed, segments, people)


_TOPIC: Final = Path("labels topic")


def _labels(job: Job, recording: Recording) -> list[LabelFile]:
    """Of all files, and of the topic; who judges without a name is called as the source."""
    found = [read_labels(path, recording.start_ns) for path in job.labels]
    if Kind.LABELS in recording.kinds:
        events = [
            (item.stamp_ns, item.text)
            for _, item in recording.items(frozenset({Kind.LABELS}))
            if isinstance(item, LabelRecord)
        ]
        made = segments_of_events(events, recording.end_ns, bag_start_ns=recording.start_ns)
        found.append(replace(made, path=_TOPIC))
    found = [file for file in found if file.segments]
    if not found:
        where = ", ".join(path.name for path in job.labels)
        raise LabelError(
            f"no label in {where}" if where else "no labels given, beside it or in it"
        )
    return found if len(found) == 1 else [_signed(file) for file in found]


def _signed(file: LabelFile) -> LabelFile:
    segments = tuple(
        segment if segment.annotator else replace(segment, annotator=file.path.stem)
        for segment in file.segments
    )
    return replace(file, segments=segments)


def _key(job: Job) -> str:
    """Names a replay of these files with these settings."""
    folder = job.path if job.path.is_dir() else job.path.parent
    files = folder.iterdir() if job.path.is_dir() else [job.path]
    state: list[Any] = [_LAYOUT, __version__, job.weights, job.use]
    state += [asdict(job.config), asdict(job.topics), str(job.path.resolve())]
    state += sorted(
        (item.name, item.stat().st_size, item.stat().st_mtime_ns)
        for item in files
        if item.name.endswith(_PARTS)
    )
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]
