"""How the C library keeps memory that was freed; set so that a node which runs for days levels.

glibc gives threads arenas of their own, up to eight for each core, and what is freed in one is
no use to the others.  A node loads its networks on the main thread when it starts and on the
executor's when it is configured again, and each activation makes new threads.  Configured anew
seven times it grew from 495 to 663 MB; where `malloc_trim` was called every 8 s it came back to
486 to 502 MB each time, so what grew was free memory.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

_ARENAS: Final = 2
"""One for the main thread, one that the others share: they hold Python's lock most of the time
anyway."""
_MAPPED: Final = 4 * 2**20
"""Blocks from this size on go back to the system when they are freed.  Left alone the limit
rises with every such block, up to 32 MB; at 0.5 MB the speech network's buffers would be mapped
anew at every pass, which costs it 17 % more time."""
_KEPT: Final = 2 * _MAPPED
"""So much free memory may stay at the end of an arena."""

# Of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def limit() -> bool:
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
        (_M_TRIM_THRESHOLD, _KEPT),
    )
    done = [change(name, value) for name, value in settings]
    return all(done)


def give_back() -> None:
    """Give free memory back to the system, for when a node has let go of much; some
    milliseconds."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    """A function of the C library; None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None)
