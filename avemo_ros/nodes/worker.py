"""One thread behind a bounded queue, so that callbacks stay short."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

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
