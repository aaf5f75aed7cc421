"""Tells whether somebody is still writing into a folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

_FRESH_S: Final = 30.0
"""Where folders cannot be locked, what was written so shortly ago may still be written."""


class Claim:
    """Marks a folder as being written, for as long as this process runs and until `release`.

    It is a lock on the folder itself: it leaves no file, goes along when the folder is renamed,
    and ends with the process however that ends.
    """

    def __init__(self, folder: Path) -> None:
        """Claim a folder that is there; where it cannot be locked nothing happens.

        Raises:
            OSError: it cannot be opened.
        """
        self._handle: int | None = os.open(folder, os.O_RDONLY)
        _lock(self._handle)

    def release(self) -> None:
        """Nothing is written any more; may be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_claimed(folder: Path) -> bool:
    """Whether somebody writes into a folder now, as far as can be told."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        free = _lock(handle)
    finally:
        os.close(handle)
    return _is_fresh(folder) if free is None else not free


def _lock(handle: int) -> bool | None:
    """Whether it could be locked; None where locks are not to be had, as on some servers."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_fresh(folder: Path) -> bool:
    times = []
    for path in (folder, *folder.iterdir()):
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # it has just gone
            continue
    return bool(times) and time.time() - max(times) < _FRESH_S
