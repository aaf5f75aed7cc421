"""The text of a file that people have made with whatever program."""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import Final

from avemo_ros.errors import LabelError

_MOST_BYTES: Final = 64 << 20
"""A label is about a hundred bytes: what is larger is no file of labels [bytes]."""


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark; a byte order mark is dropped.

    Raises:
        LabelError: it cannot be read, is no text, or is in another encoding.
    """
    data = read_bytes(path)
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    elif b"\0" in data:
        raise LabelError(f"{path} is no text: it has zero bytes in it")
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LabelError(
            f"{path}, line {line}: the byte {data[error.start]:#04x} is not {error.encoding}; "
            "save the file in the encoding UTF-8"
        ) from error


def lines_of(text: str) -> list[str]:
    r"""The lines as editors number them, each with \n at its end, whatever ended it."""
    return list(io.StringIO(text, newline=None))


def read_bytes(path: Path) -> bytes:
    """What is in a file.

    Raises:
        LabelError: it cannot be read, or is too large to be one of labels.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise LabelError(f"{path} is no file of labels: it has {size >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise LabelError(f"{path} cannot be read ({error.strerror})") from error
