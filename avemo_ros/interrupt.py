"""An interrupt while a program is still being loaded, which takes seconds: it ends quietly."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

INTERRUPTED: Final = 130
"""Exit status of the command; that of a node that is asked to end is 0."""

_previous: dict[int, Any] = {}


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
