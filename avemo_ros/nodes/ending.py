"""An end by signal that cannot get lost."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from avemo_ros.nodes import shell

_AGAIN_S: Final = 0.05

NodeT = TypeVar("NodeT", bound=shell.ManagedNode)


def run(
    make: Callable[[], NodeT], args: Sequence[str] | None, failed: Callable[[NodeT], bool]
) -> int:
    """As `shell.run`, but the first SIGINT or SIGTERM counts, whenever it comes.

    `shell.run` sets an event in its handlers.  A handler runs between two steps of the main
    thread; if that has just begun to wait for the event, it holds the event's lock, and the
    handler would wait for its own thread.  Here handlers only put into a queue that may be
    interrupted anywhere, and a thread does the rest.

    Args:
        make: builds the node.
        args: ROS arguments; those of the command line if None.
        failed: whether the node did not do its work; asked at the end.

    Returns:
        Exit status: as of `shell.run`; 1, too, if the node has failed.
    """
    made: list[NodeT] = []
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()
    over = threading.Event()

    def end() -> None:
        asked.get()
        # A node that was just made does not know yet whom to tell.
        while not over.is_set():
            made[0].finished()
            over.wait(_AGAIN_S)

    def make_and_listen() -> NodeT:
        made.append(make())
        threading.Thread(target=end, name="signals", daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: asked.put(None))
        return made[0]

    try:
        status = shell.run(make_and_listen, args)
    finally:
        over.set()
        asked.put(None)
    return 1 if any(failed(node) for node in made) else status
