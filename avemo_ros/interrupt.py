"""How a program starts, ends while it is still being loaded, and ends with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Any, Final

INTERRUPTED: Final = 130
"""Exit status of the command; that of a node that is asked to end is 0."""

PARENT_VARIABLE: Final = "AVEMO_PARENT"
"""Environment variable that gives a command the number of the process that it must end with."""
_WATCH_S: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1
_previous: dict[int, Any] = {}


def limit_threads() -> None:
    """Let numeric libraries compute in one thread; to be called before NumPy is imported."""
    # OpenBLAS's threads spin for a while after each call.  At a hundred small products a
    # second that is a whole processor core for nothing.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def until_started(module: str) -> None:
    """Let SIGINT and SIGTERM end this process at once, until `started` is called.

    Python would show where in some library it was interrupted, which helps nobody.

    Args:
        module: the program, as for `python -m`.
    """
    command = module.startswith("avemo_ros.cli")

    def end(*_: object) -> None:
        if command:
            os.write(2, b"avemo: interrupted\n")
        os._exit(INTERRUPTED if command else 0)

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    for number, handler in usual.items():
        # Who ignores it, as a shell's background does, goes on doing so.
        if signal.getsignal(number) is handler:
            _previous[number] = signal.signal(number, end)


def until_module_started(package: str) -> None:
    """As `until_started`, where this process is `python -m` of a module of a package; that
    imports the package first, and then all that the module needs."""
    words = sys.orig_argv
    named = words[words.index("-m") + 1 :] if "-m" in words else []
    if named and named[0].startswith(f"{package}."):
        until_started(named[0])


def started() -> None:
    """All is loaded: signals mean what they meant before."""
    while _previous:
        number, handler = _previous.popitem()
        signal.signal(number, handler)


@cache
def end_with_parent(parent: int = 0) -> None:
    """End this process as soon as the one that started it has ended, even if that was killed
    and could not say so: nobody wants the result any more.

    Args:
        parent: its number; 0: whoever is the parent now.
    """
    parent = parent or os.getppid()
    # The system does it at once, whatever this process computes.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
