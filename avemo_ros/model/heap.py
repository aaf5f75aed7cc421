"""Memory that loading leaves behind."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give free memory back to the system, where the C library can (glibc).

    Reading and laying out weights takes several times their size for a moment; malloc would
    keep that for the life of the process.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return
    trim(0)
