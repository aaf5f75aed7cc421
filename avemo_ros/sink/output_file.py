"""Result files that are whole or clearly marked as not."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from avemo_ros.errors import AvemoError


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
def replaced(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes `path`'s place when the block ends well.

    When the block ends with an exception, what was written stays under `partial_name(path)`,
    and a file that `path` named before is left as it was.  Links are followed: what they point
    to is replaced.  A device or a pipe (/dev/null, /dev/stdout) is written to instead, and gets
    nothing when the block ends with an exception.

    Raises:
        OutputError: the folder is missing or cannot be written, or `path` is a folder.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder) / path.name
            partial.touch()
            yield partial
            try:
                with partial.open("rb") as content, _opened(path) as stream:
                    shutil.copyfileobj(content, stream)
            except OSError as error:
                raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return
    path = path.resolve()
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    partial = Path(name)
    try:
        yield partial
    except BaseException:
        if partial.stat().st_size:
            partial.chmod(_mode())
            partial.replace(partial_name(path))
        else:
            partial.unlink()
        raise
    partial.chmod(_mode())
    partial.replace(path)


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
