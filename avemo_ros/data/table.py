"""Reads the tables that come with data sets, and says what is wrong with one."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from avemo_ros.errors import DataError

_LFS: Final = b"version https://git-lfs"
_START: Final = 1 << 16
"""Bytes that are looked at to tell what a file is."""


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """The bytes that are not UTF-8."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("avemo_latin_1", _as_latin_1)


def read_text(path: Path) -> str:
    """The text of a label file; bytes that are not UTF-8 are taken as Latin-1.

    Raises:
        DataError: it cannot be read or is no text.
    """
    try:
        with _open(path) as file:
            return file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeError as error:
        raise DataError(f"{path} is no text: {error}") from error


def read_table(
    path: Path, columns: tuple[str, ...], *, delimiter: str = ",", quotes: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row of a table with the number of its line, from 1 for the header.

    A row is a dict by the names in the header, in small letters; spaces around names and values
    are dropped, empty lines skipped.

    Args:
        path: the table.
        columns: names that must be there, in small letters.
        delimiter: what is between two values.
        quotes: values may be in double quotes.

    Raises:
        DataError: it cannot be read, a column is missing, or a row has too few values.
    """
    line = 0
    try:
        with _open(path) as file:
            rows = csv.reader(
                file,
                delimiter=delimiter,
                quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
            )
            header = [name.strip().lower() for name in next(rows, [])]
            lacking = [name for name in columns if name not in header]
            if lacking:
                raise DataError(
                    f"{path} has no column {', '.join(map(repr, lacking))}; "
                    f"its header is: {', '.join(header) or 'empty'}"
                )
            for values in rows:
                line = rows.line_num
                if not any(values):
                    continue
                if len(values) < len(header):
                    raise DataError(
                        f"{path}, line {line}: {len(values)} values for {len(header)} columns "
                        f"({', '.join(header)})"
                    )
                pairs = zip(header, values, strict=False)
                yield line, {name: value.strip() for name, value in pairs}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeError) as error:
        raise DataError(f"{path}, after line {line}: {error}") from error


def _open(path: Path) -> IO[str]:
    """The file as text, in whatever encoding.

    Raises:
        DataError: it is no text.
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    if start.startswith(_LFS):
        raise DataError(f"{path} is a git LFS pointer, not the table: run `git lfs pull`")
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return path.open(encoding="utf-16", newline="")
    if b"\0" in start:
        raise DataError(f"{path} is no text: it has zero bytes in it")
    return path.open(encoding="utf-8-sig", errors="avemo_latin_1", newline="")
