"""Processes images in a separate process, while this one runs the networks."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import cv2

from avemo_ros.bag.messages import typestore
from avemo_ros.bag.reader import LabelRecord, MarkRecord, StatesRecord
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.feature_extractor import (
    Extracted,
    FeatureExtractor,
    InputIssues,
    InputItem,
)
from avemo_ros.errors import AvemoError, BagError
from avemo_ros.replay.replayed import Replayable, opened
from avemo_ros.timing import WHOLE, Stopwatch

_BATCH: Final = 16
"""Features that travel together."""
_AHEAD: Final = 400
"""Batches that may wait: some two minutes of one face and audio, while the networks load."""
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class FeatureJob:
    """What to read, and how; travels to the process."""

    path: Path
    topics: Topics | None
    kinds: frozenset[TopicKind]
    config: PipelineConfig


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why the process could not go on."""

    text: str
    expected: bool
    """It is an error that the user can act upon."""


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """What happened on the way; the same in every run but for the durations."""

    counters: Counter[str]
    problems: list[str]
    stages_ms: Mapping[str, tuple[float, ...]]
    reached_ns: int
    """When the last item came [ns]."""


class FeatureWorker:
    """Looks at the images of a recording in another process; to be iterated once, after `give`.

    What comes out is what a `FeatureExtractor` in this process gives, in the same order, with
    the same bits.  The process loads its libraries at once: start it early, and give it its
    recording later.
    """

    def __init__(self) -> None:
        self.summary: FeatureSummary | None = None
        """There when the iteration has ended."""
        # Threads of libraries do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(
            target=_run, args=(there,), name="avemo-features", daemon=True
        )
        with _one_thread():
            self._process.start()
        # Only the process holds the other end now: when it dies, reading ends.
        there.close()

    def give(self, source: FeatureJob) -> None:
        """Say what to read."""
        # A process that is no longer there is noticed by who reads from it.
        with contextlib.suppress(OSError):
            self._connection.send(source)

    def __iter__(self) -> Iterator[tuple[int, Extracted]]:
        """Times of recording [ns] and what was made of what was recorded then.

        Raises:
            BagError: the bag cannot be read, or the process died.
            RuntimeError: the process met an error that is nobody's but ours.
        """
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, ConnectionError) as error:
                self._process.join(_PATIENCE_S)
                raise BagError(
                    "the process that reads images and audio ended unexpectedly (exit status "
                    f"{self._process.exitcode}); is there enough memory?  In a script, call "
                    "this below `if __name__ == '__main__':`, or use 1 process"
                ) from error
            if isinstance(message, FeatureSummary):
                self.summary = message
                return
            if isinstance(message, _Failed):
                raise _error_of(message)
            yield from message

    def close(self) -> None:
        """End the process, whatever it does; doing so twice is harmless."""
        self._connection.close()
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_PATIENCE_S)
            if self._process.is_alive():
                self._process.kill()
        self._process.join()


def _error_of(failed: _Failed) -> Exception:
    if not failed.expected:
        return RuntimeError(f"the process that reads images failed:\n{failed.text}")
    return BagError(failed.text)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A process that is started meanwhile computes with one thread: the cores are taken."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- in the process


def _run(parent: Connection) -> None:
    # The parent hears of Ctrl-C and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    # The parent's standard output may be a pipe that must end with it.
    os.dup2(2, 1)
    sender = _Sender(parent)
    try:
        # Loads the face networks, which only this process needs.
        from avemo_ros.engine import video_stage  # noqa: F401

        cv2.setNumThreads(1)
        typestore()
        source = _given(parent)
        if source is None:
            return
        with opened(source.path, source.topics) as recording:
            findings, stopwatch = InputIssues(), Stopwatch(WHOLE)
            with closing(FeatureExtractor(source.config, findings, stopwatch)) as extractor:
                batch: list[tuple[int, Extracted]] = []
                for log_ns, item in recorded(recording, source.kinds):
                    seen = extractor.push(log_ns, item)
                    if seen is None:
                        continue
                    batch.append((log_ns, seen))
                    if len(batch) == _BATCH:
                        sender.put(batch)
                        batch = []
                sender.put(batch)
                problems = recording.problems + findings.sentences()
                values = (
                    extractor.counters(),
                    problems,
                    stopwatch.stages_ms(),
                    extractor.reached_ns,
                )
                sender.put(FeatureSummary(*values))
    except AvemoError as error:
        sender.put(_Failed(str(error), expected=True))
    except Exception:  # noqa: BLE001  told to the parent, with its place
        sender.put(_Failed(traceback.format_exc(), expected=False))
    sender.finish()


def _end_with_parent() -> None:
    """End this process when its parent crashes or is killed: there is nothing to tidy up."""
    process = multiprocessing.parent_process()
    if process is not None:
        process.join()
        os._exit(0)


def _given(parent: Connection) -> FeatureJob | None:
    """What to read; None when the parent has nothing to read after all, or is gone."""
    try:
        source: FeatureJob = parent.recv()
    except (EOFError, ConnectionError):
        return None
    return source


def recorded(
    recording: Replayable, kinds: frozenset[TopicKind]
) -> Iterator[tuple[int, InputItem]]:
    """Times of recording [ns] and what the engine takes of what was recorded."""
    for log_ns, item in recording.items(kinds):
        if not isinstance(item, StatesRecord | LabelRecord | MarkRecord):
            yield log_ns, item


class _Sender:
    """Sends on a thread of its own, so that making features does not wait for the reader."""

    def __init__(self, out: Connection) -> None:
        self._out = out
        self._waiting: queue.Queue[object] = queue.Queue(_AHEAD)
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._thread.start()

    def put(self, message: object) -> None:
        """Send this; waits while too much waits."""
        self._waiting.put(message)

    def finish(self) -> None:
        """Return when all is sent."""
        self._waiting.put(None)
        self._thread.join()

    def _send(self) -> None:
        while (message := self._waiting.get()) is not None:
            try:
                self._out.send(message)
            except OSError:
                # Nobody reads any more, so there is nothing left to do or to tidy up.
                os._exit(0)
