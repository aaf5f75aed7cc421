"""Works through jobs in worker processes; one that crashes takes only its job with it."""

from __future__ import annotations

import logging
import math
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Final, Generic, TypeVar

import cv2

from avemo_ros.errors import AvemoError, BagError

J = TypeVar("J")
R = TypeVar("R")
Do = Callable[[J, Callable[[float], None]], R]
"""Does a job; tells how many seconds of message time are done."""

_TELL_S: Final = 0.2
"""A worker tells its progress no oftener [s]."""
_STOP_S: Final = 10.0
"""A worker that is asked to end and does not is killed after this long [s]."""
_CRASHED: Final = "the process that read it crashed"


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


def work(
    jobs: Sequence[J], do: Do[J, R], workers: int
) -> Generator[Reached | Done[R] | Failed, None, None]:
    """Do all jobs; what became of each comes in the order in which they end.

    Whoever stops listening (`close`, an exception) ends the workers, and the jobs under way
    are lost.

    Args:
        jobs: can be pickled.
        do: a function of a module, that worker processes can import.
        workers: processes, at least 1.

    Raises:
        BagError: worker processes cannot be started.
    """
    waiting = deque(enumerate(jobs))
    crew: list[_Worker[J, R]] = []
    try:
        while waiting or any(worker.number is not None for worker in crew):
            idle = [worker for worker in crew if worker.number is None]
            while waiting and (idle or len(crew) < workers):
                if not idle:
                    crew.append(_Worker(do))
                    idle.append(crew[-1])
                idle.pop().give(*waiting.popleft())
            busy = {worker.connection: worker for worker in crew if worker.number is not None}
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                event = worker.receive()
                if isinstance(event, Failed) and not worker.alive:
                    crew.remove(worker)
                    worker.stop()
                yield event
    finally:
        for worker in crew:
            worker.ask_to_end()
        for worker in crew:
            worker.stop()


class _Worker(Generic[J, R]):
    """One process, as this side sees it."""

    def __init__(self, do: Do[J, R]) -> None:
        # MediaPipe's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.number: int | None = None
        """Of the job under way."""
        self.alive = True
        try:
            self._process = context.Process(target=_serve, args=(theirs, do))
            self._process.start()
        except OSError as error:
            raise BagError(f"worker processes cannot be started: {error.strerror}") from error
        theirs.close()
        try:
            self.connection.recv()
        except (EOFError, OSError) as error:
            self.stop()
            raise BagError(
                "worker processes cannot be started; call from a file with "
                "`if __name__ == '__main__':`"
            ) from error
        except BaseException:
            self.ask_to_end()
            self.stop()
            raise

    def give(self, number: int, job: J) -> None:
        """Hand out a job; a worker that is no longer there is noticed in `receive`."""
        self.number = number
        try:
            self.connection.send(job)
        except OSError:
            self.alive = False

    def receive(self) -> Reached | Done[R] | Failed:
        """The next that it tells; its death is a failure of the job."""
        assert self.number is not None
        number = self.number
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self.alive = False
            return Failed(number, _CRASHED)
        if kind == "reached":
            return Reached(number, content)
        self.number = None
        return Done(number, content) if kind == "done" else Failed(number, content)

    def ask_to_end(self) -> None:
        """Interrupt it; its own processes are ended by it."""
        if self._process.is_alive():
            self._process.terminate()

    def stop(self) -> None:
        """Wait for its end."""
        self.connection.close()
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, do: Do[Any, Any]) -> None:
    """What a worker process does, until the other side is gone."""
    # The parent hears of Ctrl-C, and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    # What is wrong with a bag is among its problems.
    logging.getLogger("avemo_ros").setLevel(logging.ERROR)
    cv2.setNumThreads(1)
    try:
        connection.send(None)
        while True:
            connection.send(_outcome(do, connection.recv(), connection))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _outcome(do: Do[Any, Any], job: Any, connection: Connection) -> tuple[str, Any]:
    told = -math.inf

    def tell(seconds: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TELL_S:
            told = now
            connection.send(("reached", seconds))

    try:
        return "done", do(job, tell)
    except AvemoError as error:
        return "failed", str(error)
    except OSError as error:
        return "failed", str(error)
    except Exception as error:  # noqa: BLE001  (one odd bag must not end a long run)
        return "failed", f"{type(error).__name__}: {error}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
