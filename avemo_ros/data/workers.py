"""Reads files in several processes; one that crashes takes nothing with it but its file."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2

from avemo_ros.data.item import Item
from avemo_ros.data.media import BROKEN, FileReader, Finding, Made, PrepareConfig
from avemo_ros.errors import DataError

_AHEAD: Final = 2
"""Jobs given out for each worker: one to do and one to go on with."""

_reader: FileReader | None = None
"""Of this worker process."""


@dataclass(frozen=True, slots=True)
class Job:
    """Files that are read in one go."""

    files: tuple[tuple[Path, tuple[Item, ...]], ...]

    def __len__(self) -> int:
        return sum(len(items) for _, items in self.files)

    @property
    def items(self) -> list[Item]:
        """All items, file by file."""
        return [item for _, items in self.files for item in items]


def run_jobs(
    jobs: Sequence[Job], config: PrepareConfig, want: frozenset[str], workers: int
) -> Iterator[tuple[Job, list[Made]]]:
    """What could be made of the items of each job, in the order in which jobs are done.

    Args:
        jobs: what to read.
        config: how.
        want: which parts, see `media.PARTS`.
        workers: processes; 0 reads in this one.

    Raises:
        DataError: worker processes cannot be started.
    """
    if workers == 0:
        reader = FileReader(config, want)
        try:
            for job in jobs:
                yield job, _read(reader, job)
        finally:
            reader.close()
        return
    waiting = deque(jobs)
    while waiting:
        suspects: list[Job] = []
        yield from _in_pool(waiting, config, want, workers, suspects)
        for job in suspects:
            yield from _alone(job, config, want)


def _in_pool(
    waiting: deque[Job],
    config: PrepareConfig,
    want: frozenset[str],
    workers: int,
    suspects: list[Job],
) -> Iterator[tuple[Job, list[Made]]]:
    """Works through `waiting`; after a crash the jobs that were under way are suspects."""
    pool = _pool(config, want, min(workers, len(waiting)))
    running: dict[Future[list[Made]], Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < _AHEAD * workers:
                job = waiting.popleft()
                running[pool.submit(_work, job)] = job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                made = future.result()
                yield running.pop(future), made
    except BrokenProcessPool:
        suspects += running.values()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(
    job: Job, config: PrepareConfig, want: frozenset[str]
) -> Iterator[tuple[Job, list[Made]]]:
    """A job that may have crashed a worker: file by file, each in a process of its own."""
    made: list[Made] = []
    for path, items in job.files:
        pool = _pool(config, want, 1)
        try:
            made += pool.submit(_work, Job(((path, items),))).result()
        except BrokenProcessPool:
            finding = Finding(BROKEN, f"'{path}': the process that read it crashed")
            made += [Made(findings=(finding,))] * len(items)
        finally:
            pool.shutdown(cancel_futures=True)
    yield job, made


def _pool(config: PrepareConfig, want: frozenset[str], workers: int) -> ProcessPoolExecutor:
    """A pool of which at least one process has started.

    Raises:
        DataError: none can be started.
    """
    # MediaPipe's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (config, want))
    try:
        pool.submit(_begun).result()
    except (BrokenProcessPool, OSError) as error:
        pool.shutdown(cancel_futures=True)
        raise DataError(
            "worker processes cannot be started; call from a file with "
            "`if __name__ == '__main__':`, or use 0 workers"
        ) from error
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    return pool


def _begin(config: PrepareConfig, want: frozenset[str]) -> None:
    """The first thing a worker process does."""
    global _reader
    # The parent hears of Ctrl-C, and lets the job under way be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is wrong with a file is among the findings.
    logging.getLogger("avemo_ros").setLevel(logging.ERROR)
    cv2.setNumThreads(1)
    _reader = FileReader(config, want)


def _begun() -> None:
    """Nothing: it can be called, so the process is there."""


def _work(job: Job) -> list[Made]:
    assert _reader is not None
    return _read(_reader, job)


def _read(reader: FileReader, job: Job) -> list[Made]:
    made: list[Made] = []
    for path, items in job.files:
        try:
            made += reader.read(path, items)
        except Exception as error:  # noqa: BLE001  (one odd file must not end a long run)
            finding = Finding(BROKEN, f"'{path}': {type(error).__name__}: {error}")
            made += [Made(findings=(finding,))] * len(items)
    return made
