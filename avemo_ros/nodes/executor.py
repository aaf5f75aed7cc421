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
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

_PAUSE_S: Final = 0.1
"""After a failure that is none of a callback's own, which may come again at once."""
_MANY: Final = 50
"""Failures within a second, from which on each is followed by a short sleep: what always fails
must not take a whole core."""
_SLEEP_S: Final = 0.01


class SturdyExecutor(SingleThreadedExecutor):
    """A single-threaded executor that reports what a callback raises, and goes on.

    rclpy's own lets it out of `spin`.  What is raised while a message is taken, e.g. by a text
    that is no UTF-8, it does not survive either way: the entity, and the group of callbacks
    that it belongs to, would count as busy for ever.
    """

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        """Set up.

        Args:
            failed: called with what was at work, and what it raised.
        """
        super().__init__()
        self._report = failed
        self._second = 0
        self._failures = 0

    def spin(self) -> None:
        """Run callbacks until the executor or its context is shut down."""
        while True:
            try:
                super().spin()
            except ExternalShutdownException:
                return
            except Exception as error:  # noqa: BLE001  reported
                # At the end it may meet a handle that its shutdown has destroyed already.
                if self._is_shutdown:
                    return
                self._failed("waiting for input", error)
                time.sleep(_PAUSE_S)
            else:
                return

    def _take_timer(self, tmr: Any) -> Any:
        return self._guarded(super()._take_timer, tmr, lambda: "a timer")

    def _take_subscription(self, sub: Any) -> Any:
        return self._guarded(
            super()._take_subscription, sub, lambda: f"a message on {sub.topic_name}"
        )

    def _take_client(self, client: Any) -> Any:
        return self._guarded(
            super()._take_client, client, lambda: f"an answer of {client.srv_name}"
        )

    def _take_service(self, srv: Any) -> Any:
        return self._guarded(super()._take_service, srv, lambda: f"a call of {srv.srv_name}")

    def _take_guard_condition(self, gc: Any) -> Any:
        return self._guarded(super()._take_guard_condition, gc, lambda: "a guard condition")

    def _take_waitable(self, waitable: Any) -> Any:
        return self._guarded(
            super()._take_waitable, waitable, lambda: f"a {type(waitable).__name__}"
        )

    def _guarded(self, take: Callable[[Any], Any], entity: Any, name: Callable[[], str]) -> Any:
        """What `take` gives to be done for the entity, with all that is raised caught."""
        try:
            work = take(entity)
        except Exception as error:  # noqa: BLE001  reported
            self._failed(_named(name), error)
            return None
        if work is None:
            return None

        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  reported
                self._failed(_named(name), error)

        return guarded

    def _failed(self, what: str, error: Exception) -> None:
        self._report(what, error)
        second = int(time.monotonic())
        self._failures = self._failures + 1 if second == self._second else 1
        self._second = second
        if self._failures > _MANY:
            time.sleep(_SLEEP_S)


def _named(name: Callable[[], str]) -> str:
    # What was destroyed meanwhile has no name any more.
    with suppress(Exception):
        return name()
    return "a callback"


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
            left_out = [item for item, _ in self._waiting]
            self._waiting.clear()
            self._change.notify()
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
