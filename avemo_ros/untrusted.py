"""What comes from outside: its text is made safe to show, and its size and shape have bounds.

Bags, labels, weights, results and settings are files that others send.  Text of theirs reaches
a terminal only through `shown`: errors of this package go through it, and so do `say` and the
log of the command.  Pages escape by themselves (`report/rendering.py`).
"""

from __future__ import annotations

import json
import os
import stat
import sys
import unicodedata
from errno import EFBIG, EINVAL
from pathlib import Path
from typing import Any, Final, TextIO

from avemo_ros.limits import MAX_TEXT_BYTES

_STEERS: Final = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""They break lines, or turn the direction of what follows."""


def shown(text: str) -> str:
    r"""Text whose signs cannot steer a terminal, or fail to be printed.

    Control characters, signs that turn the direction of text and lone surrogates are written as
    Python writes them, e.g. '\x1b'; new lines and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign in "\n\t" or not _is_unsafe(sign) else repr(sign)[1:-1] for sign in text
    )


def _is_unsafe(sign: str) -> bool:
    return sign in _STEERS or unicodedata.category(sign) in ("Cc", "Cs")


def say(
    *parts: object, file: TextIO | None = None, end: str = "\n", flush: bool = False
) -> None:
    """As `print`, for people: what is `shown` of it."""
    text = " ".join(map(str, parts))
    print(shown(text), file=sys.stdout if file is None else file, end=end, flush=flush)


def parse_json(text: str | bytes) -> Any:
    """What JSON holds.

    Raises:
        ValueError: it is not valid, or nested more deeply than anything that is read here.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_bytes(path: Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """What is in a file of moderate size.

    Args:
        path: of the file.
        most: of bytes.

    Raises:
        OSError: it cannot be read, has more bytes, or is a pipe that somebody has named, which
            may never end; `strerror` says so.
    """
    refuse_pipe(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(EFBIG, f"it has more than {most >> 20} MiB", str(path))
    return content


def read_text(path: Path, most: int = MAX_TEXT_BYTES) -> str:
    """The text of a file in UTF-8; arguments and errors as of `read_bytes`.

    Raises:
        UnicodeDecodeError: it is no UTF-8; a ValueError.
    """
    text = read_bytes(path, most).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def real(path: Path) -> Path:
    """The absolute path, links followed; one that goes round in links stays as it is, and
    cannot be opened."""
    return Path(os.path.realpath(path))


def refuse_pipe(path: Path) -> None:
    """Refuse to open what may never answer.

    Raises:
        OSError: it is a named pipe or a socket, or cannot be looked at.
    """
    kind = os.stat(path).st_mode  # noqa: PTH116  (of a link loop pathlib's says less)
    of_shell = path.is_relative_to("/dev") or path.is_relative_to("/proc")
    if (stat.S_ISFIFO(kind) and not of_shell) or stat.S_ISSOCK(kind):
        raise OSError(EINVAL, "it is a pipe, not a file", str(path))
