"""Keeps two commands out of one folder: a lock that ends with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from avemo_ros.sink.output_file import OutputError

_FRESH_S: Final = 30.0
"""If folders cannot be locked, one that changed this recently counts as locked."""
_SHOWN: Final = 100
"""Letters of a command line that a message shows."""


class FolderLock:
    """Marks a folder as being written, until `release` or the end of the process.

    It is an advisory lock on the folder itself: it leaves no file, survives renaming, and ends
    with the process, even after a crash.
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        """Lock an existing folder; does nothing if the file system has no locks.

        Args:
            folder: to lock.
            shared: others may share it, and keep out who wants it alone.

        Raises:
            OutputError: another process has locked it; names both.
            OSError: it cannot be opened.
        """
        self._handle: int | None = os.open(folder, os.O_RDONLY)
        if _lock(self._handle, shared=shared) is False:
            self.release()
            raise OutputError(
                f"{in_use(folder)}; wait until it has finished, or choose another folder"
            )

    def release(self) -> None:
        """Unlock; may be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Make a folder and keep others out of it; it vanishes if it is new and stays empty.

    Args:
        folder: to write into.
        shared: as for `FolderLock`.

    Raises:
        OutputError: another process is writing there, or the folder cannot be made.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder, shared=shared)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
        if is_new and not is_locked(folder):
            with suppress(OSError):
                folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Whether a process is writing into a folder, as far as can be known."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        free = _lock(handle)
    finally:
        os.close(handle)
    return _is_fresh(folder) if free is None else not free


def _lock(handle: int, *, shared: bool = False) -> bool | None:
    """Whether it could be locked; None if the file system has no locks."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_fresh(folder: Path) -> bool:
    times = []
    inside = folder.iterdir() if folder.is_dir() else ()
    for path in (folder, *inside):
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # it has just gone
            continue
    return bool(times) and time.time() - max(times) < _FRESH_S


def in_use(folder: Path) -> str:
    """That a process is writing into a folder, and which one, for a message."""
    text = f"another process is writing {folder}"
    found = folder.stat()
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        number = opened.parts[2]
        try:
            if number == str(os.getpid()) or not os.path.samestat(opened.stat(), found):
                continue
            words = Path("/proc", number, "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            continue
        command = " ".join(b" ".join(words).decode(errors="replace").split())
        return f"{text} (process {number}: {command[:_SHOWN]})"
    return text
