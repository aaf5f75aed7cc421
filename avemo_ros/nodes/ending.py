"""An end that a signal handler may call for at any moment."""

from __future__ import annotations

import queue


class Ending:
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
