"""Files that are written whole or not at all, and folders that one command uses at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from avemo_ros.errors import AvemoError
from avemo_ros.untrusted import real


class OutputError(AvemoError):
    """A result file cannot be written."""


def partial_name(path: Path) -> Path:
    """Where an interrupted run leaves what it has: 'states.jsonl' -> 'states.partial.jsonl'."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def is_stream(path: Path) -> bool:
    """Whether a path is that of a device, a pipe or an open file (/dev/stdout), which must
    not be replaced."""
    return _descriptor(path) is not None or (
        path.exists() and not path.is_file() and not path.is_dir()
    )


def _descriptor(path: Path) -> int | None:
    """The number of the descriptor that a path stands for, if it does."""
    *folder, name = path.absolute().parts
    named = {"stdout": 1, "stderr": 2}
    if folder == ["/", "dev"] and name in named:
        return named[name]
    if folder in (["/", "dev", "fd"], ["/", "proc", "self", "fd"]) and name.isdecimal():
        return int(name)
    return None


@contextmanager
def replaced(path: Path, *, keep: bool = True) -> Iterator[Path]:
    """A file beside `path` to write to; it takes `path`'s place when the block ends well.

    When the block ends with an exception, what was written stays under `partial_name(path)`,
    and a file that `path` named before is left as it was.  Links are followed: what they point
    to is replaced.  A device or a pipe (/dev/null, /dev/stdout) is written to instead, and gets
    nothing when the block ends with an exception.

    Args:
        path: of the file.
        keep: what was written before an exception, as above; False: nothing is kept, and the
            folder is not swept, which takes long if it is large.

    Raises:
        OutputError: the folder is missing or cannot be written, or `path` is a folder.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    if is_stream(path):
        with temporary_folder() as folder:
            partial = folder / path.name
            partial.touch()
            yield partial
            try:
                with partial.open("rb") as content, _opened(path) as stream:
                    shutil.copyfileobj(content, stream)
            except OSError as error:
                raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return
    try:
        path = real(path)
        if keep:
            sweep(path.parent)
        handle, name = tempfile.mkstemp(
            prefix=f"{_HIDDEN}{path.stem[:_NAMED]}-", suffix=path.suffix, dir=path.parent
        )
    except (OSError, RuntimeError) as error:  # the latter: links that go round
        text = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot write {path}: {text}") from error
    partial = Path(name)
    # Held until it is done: whoever sweeps sees that it is being written.
    _lock(handle)
    try:
        yield partial
    except BaseException:
        if keep and partial.stat().st_size:
            partial.chmod(_mode())
            partial.replace(partial_name(path))
        else:
            partial.unlink()
        raise
    else:
        partial.chmod(_mode())
        partial.replace(path)
    finally:
        os.close(handle)


_HIDDEN: Final = ".avemo-"
_NAMED: Final = 100
"""Letters of a file's name that its hidden one has."""
_ABANDONED_S: Final = 3600.0
"""If files cannot be locked, one that did not change for so long counts as abandoned."""


def sweep(folder: Path) -> None:
    """Remove the hidden files, and folders, that killed commands have left in a folder: people
    may be heard and seen in them."""
    try:
        inside = [path for path in folder.iterdir() if path.name.startswith(_HIDDEN)]
    except OSError:
        return
    for path in inside:
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                is_free = _lock(handle)
                age_s = time.time() - os.fstat(handle).st_mtime
                if is_free is None:
                    is_free = age_s > _ABANDONED_S
                # Locked just after it was made, not with it.
                if is_free and age_s > _NEW_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


_NEW_S: Final = 2.0


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for what is needed while the block runs; a killed command's is swept by the
    next."""
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_HIDDEN) as name:
        handle = os.open(name, os.O_RDONLY)
        _lock(handle, shared=True)
        try:
            yield Path(name)
        finally:
            os.close(handle)


def _opened(path: Path) -> BinaryIO:
    """A stream, to write to.  A descriptor is not opened again: where it is that of a file,
    this would empty it."""
    number = _descriptor(path)
    if number is None:
        return path.open("wb")
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fdopen(os.dup(number), "wb")


def _mode() -> int:
    """The rights that a file gets when it is simply opened; temporary ones get fewer."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


# Keeps two commands out of one folder: a lock that ends with its process.

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
