"""What takes long to read is read ahead, on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

Item = TypeVar("Item")

_JOIN_S: Final = 1.5
"""A disk that no longer answers must not hold up the end of the node."""
_POLL_S: Final = 0.1


def read_ahead(
    items: Callable[[], Iterable[Item]], count: int, stopping: threading.Event
) -> Iterator[Item]:
    """The same items in their order; what reading raises is raised here.

    Args:
        items: called on the thread.
        count: so many at most wait.
        stopping: ends it early.
    """
    ready: queue.Queue[Item | Exception | None] = queue.Queue(count)
    stop = threading.Event()

    def put(item: Item | Exception | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items():
                put(item)
                if stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001  raised where the items are taken
            put(error)
        finally:
            put(None)

    thread = threading.Thread(target=read, name="reader", daemon=True)
    thread.start()
    try:
        while not stopping.is_set():
            try:
                item = ready.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item
    finally:
        stop.set()
        thread.join(_JOIN_S)
