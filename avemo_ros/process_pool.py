"""Runs jobs in worker processes; if one crashes, only its own job is lost.

anyio keeps the processes: each has pipes of its own, so one that is killed in the middle of an
answer blocks no other.  What is added here: results as they end, progress, and quiet workers.
"""

from __future__ import annotations

import logging
import os
import signal
import struct
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Generic, TypeVar

import cv2
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process
from anyio.from_thread import start_blocking_portal

from avemo_ros.errors import AvemoError, PoolError
from avemo_ros.interrupt import end_with_parent

J = TypeVar("J")
R = TypeVar("R")
Progress = Callable[[float], None]
"""Takes how many seconds of message time of the job are done."""

_POLL_S: Final = 0.1
"""Progress is looked for this often [s]."""
_REPORT_S: Final = 0.2
"""A worker writes its progress no more often [s]."""
_NOT_BEGUN: Final = -1.0
_DOUBLE: Final = struct.Struct("d")


@dataclass(frozen=True, slots=True)
class Reached:
    """A job is done up to here."""

    number: int
    """Place of the job."""
    seconds: float
    """Message time since its start [s]."""


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """A job is done."""

    number: int
    result: R


@dataclass(frozen=True, slots=True)
class Failed:
    """A job could not be done."""

    number: int
    reason: str
    crashed: bool = False
    """Its process ended: a crash in a library, or killed for lack of memory, say."""


def run_jobs(
    jobs: Sequence[J], do: Callable[[J, Progress], R], workers: int
) -> Generator[Reached | Done[R] | Failed, None, None]:
    """Do all jobs; what became of each comes in the order in which they end.

    Whoever stops listening (`close`, an exception) ends the workers, and the jobs under way
    are lost.  Workers are new interpreters, not forks: libraries' threads survive no fork.

    Args:
        jobs: can be pickled.
        do: a function of a module, that worker processes can import.  It reports its progress.
        workers: processes, at least 1.

    Raises:
        PoolError: worker processes cannot be started.
    """
    if "__main__" not in sys.modules:
        # A worker is just running the script that wants workers, and would do so for ever.
        raise PoolError(
            "worker processes cannot be started; call from a file with "
            "`if __name__ == '__main__':`"
        )
    if not jobs:
        return
    with (
        tempfile.TemporaryDirectory(prefix="avemo-") as folder,
        _quiet_asyncio(),
        start_blocking_portal() as portal,
    ):
        board = Path(folder) / "progress"
        board.write_bytes(array("d", [_NOT_BEGUN] * len(jobs)).tobytes())
        # Workers inherit it: Ctrl-C reaches this process, which ends them.
        portal.call(signal.pthread_sigmask, signal.SIG_BLOCK, {signal.SIGINT})
        limiter = portal.call(CapacityLimiter, workers)

        async def one(number: int, job: J) -> R:
            # Cancelling kills the process.
            return await to_process.run_sync(
                _work, do, job, str(board), number, cancellable=True, limiter=limiter
            )

        running: dict[Future[R], int] = {}
        for number, job in enumerate(jobs):
            running[portal.start_task_soon(one, number, job)] = number
        before = [_NOT_BEGUN] * len(jobs)
        while running:
            ended, _ = wait(running, _POLL_S, FIRST_COMPLETED)
            for number, seconds in enumerate(array("d", board.read_bytes())):
                if seconds != before[number]:
                    yield Reached(number, seconds)
                    before[number] = seconds
            for future in ended:
                yield _event(running.pop(future), future)


def _event(number: int, future: Future[R]) -> Done[R] | Failed:
    """What became of a job."""
    try:
        return Done(number, future.result())
    except BrokenWorkerProcess as error:
        if isinstance(error.__cause__, PoolError):
            raise error.__cause__ from error
        if error.args:
            return Failed(number, f"no process could be started for it: {error.__cause__!r}")
        return Failed(number, "the process that read it crashed", crashed=True)
    except (AvemoError, OSError) as error:
        return Failed(number, str(error))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  (one odd job must not end a long run)
        return Failed(number, f"{type(error).__name__}: {error}")


@contextmanager
def _quiet_asyncio() -> Generator[None, None, None]:
    """Without asyncio's words on processes that died: a failed job says so, and after an
    interrupt nobody asks."""
    log = logging.getLogger("asyncio")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


# --- in a worker process


def _work(do: Callable[[J, Progress], R], job: J, board: str, number: int) -> R:
    """Do a job, and write its progress where the parent looks."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # anyio leaves none if the parent runs no file (`python -c`, a notebook); multiprocessing
    # needs one when a job starts a process of its own.
    sys.modules.setdefault("__main__", ModuleType("__main__"))
    # What is wrong with a job is among its results.
    logging.getLogger("avemo_ros").setLevel(logging.ERROR)
    cv2.setNumThreads(1)
    end_with_parent()
    last = -_REPORT_S
    place = os.open(board, os.O_WRONLY)

    def report(seconds: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _REPORT_S:
            return
        last = now
        os.pwrite(place, _DOUBLE.pack(seconds), number * _DOUBLE.size)

    try:
        return do(job, report)
    finally:
        os.close(place)
