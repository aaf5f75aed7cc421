"""Reads files in several processes; if one crashes, only its file is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from avemo_ros import process_pool
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import BROKEN, Finding, PrepareConfig, PreparedItem
from avemo_ros.data.file_reader import FileReader
from avemo_ros.process_pool import Done, Failed


@dataclass(frozen=True, slots=True)
class ReadJob:
    """Files that are read in one go."""

    files: tuple[tuple[Path, tuple[Item, ...]], ...]

    def __len__(self) -> int:
        return sum(len(items) for _, items in self.files)

    @property
    def items(self) -> list[Item]:
        """All items, file by file."""
        return [item for _, items in self.files for item in items]


def read_files(
    jobs: Sequence[ReadJob], config: PrepareConfig, want: frozenset[str], workers: int
) -> Iterator[tuple[ReadJob, list[PreparedItem]]]:
    """What could be made of the items of each job, in the order in which jobs are done.

    Args:
        jobs: what to read.
        config: how.
        want: which parts, see `media.PARTS`.
        workers: processes; 0 reads in this one.

    Raises:
        PoolError: worker processes cannot be started.
    """
    if workers == 0:
        reader = FileReader(config, want)
        try:
            for job in jobs:
                yield job, _read(reader, job)
        finally:
            reader.close()
        return
    crashed: list[ReadJob] = []
    tasks = [_Task(job, config, want) for job in jobs]
    with closing(process_pool.run_jobs(tasks, _work, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                yield jobs[event.number], event.result
            elif isinstance(event, Failed):
                crashed.append(jobs[event.number])
    # Which of the files it was shows when each has a process of its own.
    for job in crashed:
        yield job, _one_by_one(job, config, want, workers)


def _one_by_one(
    job: ReadJob, config: PrepareConfig, want: frozenset[str], workers: int
) -> list[PreparedItem]:
    """What could be made of the items of a job whose process crashed, file by file."""
    tasks = [_Task(ReadJob((file,)), config, want) for file in job.files]
    made: list[list[PreparedItem]] = [[] for _ in tasks]
    with closing(process_pool.run_jobs(tasks, _work, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                made[event.number] = event.result
            elif isinstance(event, Failed):
                path, items = job.files[event.number]
                finding = Finding(BROKEN, f"'{path}': {event.reason}")
                made[event.number] = [PreparedItem(findings=(finding,))] * len(items)
    return [one for part in made for one in part]


def _read(reader: FileReader, job: ReadJob) -> list[PreparedItem]:
    made: list[PreparedItem] = []
    for path, items in job.files:
        try:
            made += reader.read(path, items)
        except Exception as error:  # noqa: BLE001  (one odd file must not end a long run)
            finding = Finding(BROKEN, f"'{path}': {type(error).__name__}: {error}")
            made += [PreparedItem(findings=(finding,))] * len(items)
    return made


# --- in a worker process


@dataclass(frozen=True, slots=True)
class _Task:
    """A job, and how to do it."""

    job: ReadJob
    config: PrepareConfig
    want: frozenset[str]


_reader: FileReader | None = None
"""Of this worker process: its networks take long to load."""


def _work(task: _Task, _progress: process_pool.Progress) -> list[PreparedItem]:
    global _reader
    if _reader is None:
        _reader = FileReader(task.config, task.want)
    return _read(_reader, task.job)
