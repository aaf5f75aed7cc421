"""A node's process: callbacks that cannot end it, its worker threads, and its memory.

glibc gives threads arenas of their own, up to eight for each core, and what is freed in one
is no use to the others. A node loads its networks on the main thread when it starts and on
the executor's when it is configured again, and each activation makes new threads.
Configured anew seven times a node grew from 495 to 663 MB; where `malloc_trim` was called
every 8 s it came back to 486 to 502 MB each time, so what grew was free memory.
"""

from __future__ import annotations

import ctypes
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar


class ShutdownEvent:
    """Waited for by the main thread, called for by signals and other threads.

    An event will not do: a handler runs between two steps of the main thread, and if that has
    just begun to wait for the event, and holds its lock, the handler waits for its own thread.
    """

    def __init__(self) -> None:
        # The one of Python's queues that is reentrant.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._called = False

    def call(self) -> None:
        """The end has come; doing so twice is harmless."""
        self._called = True
        self._calls.put(None)

    @property
    def called(self) -> bool:
        """Whether the end has come."""
        return self._called

    def wait(self) -> None:
        """Return when the end has come."""
        while not self._called:
            self._calls.get()


_ARENAS: Final = 2
"""One for the main thread, one that the others share: they hold Python's lock most of the time
anyway."""
_MAPPED: Final = 4 * 2**20
"""Blocks from this size on go back to the system when they are freed.  Left alone the limit
rises with every such block, up to 32 MB; at 0.5 MB the speech network's buffers would be mapped
anew at every pass, which costs it 17 % more time."""
_KEPT_FREE: Final = 2 * _MAPPED
"""So much free memory may stay at the end of an arena."""

# Of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def limit_free_memory() -> bool:
    """Keep little of what is freed; to be called before threads are started.

    Returns:
        Whether the C library takes such settings (glibc does).
    """
    change = _function("mallopt")
    if change is None:
        return False
    settings = (
        (_M_ARENA_MAX, _ARENAS),
        (_M_MMAP_THRESHOLD, _MAPPED),
        (_M_TRIM_THRESHOLD, _KEPT_FREE),
    )
    done = [change(name, value) for name, value in settings]
    return all(done)


def return_free_memory() -> None:
    """Give free memory back to the system, for when a node has let go of much; some
    milliseconds."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    """A function of the C library; None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None)


# One thread behind a bounded queue, so that callbacks stay short.

_LOG: Final = logging.getLogger(__name__)

WorkItem = TypeVar("WorkItem")


class Worker(Generic[WorkItem]):
    """Does the work on items in the order they came; when it cannot keep up the oldest
    waiting items are dropped and counted, so the newest always have their turn."""

    def __init__(
        self,
        name: str,
        work: Callable[[WorkItem], None],
        failed: Callable[[Exception], None],
        *,
        limit: float,
        weigh: Callable[[WorkItem], float] | None = None,
        forgotten: Callable[[WorkItem], None] | None = None,
    ) -> None:
        """Set up.

        Args:
            name: of the thread.
            work: called on the thread with one item at a time.
            failed: called on the thread with what `work` raised; the thread goes on, even
                where `failed` raises too.
            limit: how much may wait; one item may always wait, however heavy.
            weigh: what one item counts; each counts 1 if not given.
            forgotten: called with every item that is dropped, or still waits at the end; for
                items that somebody waits for.
        """
        self._work = work
        self._failed = failed
        self._limit = limit
        self._weigh = weigh if weigh is not None else lambda _: 1.0
        self._forgotten = forgotten if forgotten is not None else lambda _: None
        self._waiting: deque[tuple[WorkItem, float]] = deque()
        self._weight = 0.0
        self._change = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.dropped = 0
        """Items that were left out because newer ones waited."""
        self.unreported = 0
        """Failures of which `failed` could not tell."""

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def put(self, item: WorkItem) -> None:
        """Queue an item; returns at once."""
        weight = self._weigh(item)
        left_out = []
        with self._change:
            if self._stopping:
                left_out.append(item)
            else:
                while self._waiting and self._weight + weight > self._limit:
                    oldest, freed = self._waiting.popleft()
                    self._weight -= freed
                    self.dropped += 1
                    left_out.append(oldest)
                self._waiting.append((item, weight))
                self._weight += weight
                self._change.notify()
        for old in left_out:
            self._forgotten(old)

    def stop(self) -> None:
        """Forget what waits and return when the item in work is done."""
        self.dismiss()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def dismiss(self) -> None:
        """Forget what waits and take nothing more; the item in work goes on."""
        with self._change:
            self._stopping = True
            self._change.notify()
        self.clear()

    def clear(self) -> None:
        """Forget what waits; the item in work goes on."""
        with self._change:
            left_out = [item for item, _ in self._waiting]
            self._waiting.clear()
            self._weight = 0.0
        for item in left_out:
            self._forgotten(item)

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._stopping:
                    self._change.wait()
                if self._stopping:
                    return
                item, weight = self._waiting.popleft()
                self._weight -= weight
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001  reported; the thread goes on
                self._report(error)

    def _report(self, error: Exception) -> None:
        try:
            self._failed(error)
        except Exception:  # noqa: BLE001  the thread goes on
            self.unreported += 1
            if self.unreported == 1:
                _LOG.exception("thread '%s' cannot report what went wrong", self._thread.name)
