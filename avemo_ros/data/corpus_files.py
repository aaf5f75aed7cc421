"""Files and tables of a data set: found, read, and told from what cannot be one."""

from __future__ import annotations

import codecs
import csv
import functools
import itertools
import math
import os
import stat
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from avemo_ros.annotations.label_tables import delimiter_of
from avemo_ros.errors import DataError
from avemo_ros.source.media_tracks import cut_off
from avemo_ros.untrusted import refuse_pipe

SOUND: Final = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".m4a", ".aac")
VIDEO: Final = (".mp4", ".avi", ".flv", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v")
IMAGES: Final = (".jpg", ".jpeg", ".png")
OWN_SOUND: Final = (*SOUND, ".oga", ".mka", ".wma", ".aif", ".aiff", ".amr", ".caf")
OWN_VIDEO: Final = (*VIDEO, ".ts", ".mts", ".m2ts", ".vob", ".3gp", ".wmv", ".ogv", ".gif")
"""Of one's own recordings, which are named one by one; a folder may hold other files so."""

_NO_FOLDERS: Final = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information")
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_SMALLEST: Final = 1000
"""Bytes; no recording of any use is smaller."""
_SMALLEST_IMAGE: Final = 100


ARCHIVE_TROUBLES: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    MemoryError,
    NotImplementedError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise at an archive that makes no sense."""


def files_below(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files below `root` with one of these suffixes (any case), folder by folder, by name.

    Hidden ones ('._Ses01F...', '.git') are skipped; links are followed.

    Raises:
        DataError: a folder cannot be read.
    """
    seen = set()
    for folder, folders, names in os.walk(root, onerror=_refuse, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _NO_FOLDERS
        )
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(suffixes):
                yield Path(folder, name)


def tables_below(root: Path) -> dict[str, Path]:
    """The csv files below `root` by their names in small letters; of several the first.

    Raises:
        DataError: a folder cannot be read.
    """
    tables: dict[str, Path] = {}
    for path in files_below(root, (".csv",)):
        tables.setdefault(path.name.lower(), path)
    return tables


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read ({error.strerror})") from error


def what_is_wrong(path: Path) -> str:
    """Why a media file cannot be used, as far as its first bytes and its size tell; '' if they
    tell nothing."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "not a file"
        size = status.st_size
        with path.open("rb") as file:
            head = file.read(64)
            if size == 0:
                return "an empty file"
            if head.startswith(_LFS):
                return "a git LFS pointer, not the recording: run `git lfs pull`"
            image = path.suffix.lower() in IMAGES
            if size < (_SMALLEST_IMAGE if image else _SMALLEST):
                return "too small for an image" if image else "too small for a recording"
            if not any(head):
                return "begins with zeros: not copied completely"
        return "" if image else cut_off(path)
    except FileNotFoundError:
        return "a broken link (git-annex: run `git annex get`)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LFS_TEXT: Final = b"version https://git-lfs"
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
        raise DataError(f"{path} is not a text file: {error}") from error


def read_rows(
    path: Path, *, delimiter: str = "", quotes: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Each row of a table, the header first, with the number of its line, from 1.

    Spaces around values are dropped, empty rows skipped.

    Args:
        path: the table.
        delimiter: what is between two values; "": a comma, semicolon or tab, as the header has
            it or as a first line `sep=;` says.
        quotes: values may be in double quotes.

    Raises:
        DataError: it cannot be read.
    """
    line = before = 0
    try:
        with _open(path) as file:
            head = ""
            for head in file:
                if head.strip():
                    break
                before += 1
            if head.lower().startswith("sep=") and not delimiter:
                delimiter, head = head.rstrip("\r\n")[4:5], ""
                before += 1
            rows = csv.reader(
                itertools.chain([head] if head else [], file),
                delimiter=delimiter or delimiter_of(head),
                quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
            )
            for row in rows:
                line = before + rows.line_num
                values = [value.strip() for value in row]
                if any(values):
                    yield line, values
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeError) as error:
        raise DataError(f"{path}, after line {line}: {error}") from error


def read_table(
    path: Path, columns: tuple[str, ...], *, delimiter: str = "", quotes: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row of a table with the number of its line, see `read_rows`.

    A row is a dict by the names in the header, in small letters.

    Args:
        path: the table.
        columns: names that must be there, in small letters.
        delimiter: what is between two values; "": as the header has it.
        quotes: values may be in double quotes.

    Raises:
        DataError: it cannot be read, a column is missing or there twice, or a row has too few
            or too many values.
    """
    rows = read_rows(path, delimiter=delimiter, quotes=quotes)
    _, names = next(rows, (0, []))
    header = [name.lower() for name in names]
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, lacking))}; "
            f"its header is: {', '.join(header) or 'empty'}"
        )
    twice = [name for name in columns if header.count(name) > 1]
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} occurs twice; allowed: once")
    for line, values in rows:
        if len(values) < len(header) or any(values[len(header) :]):
            raise DataError(
                f"{path}, line {line}: {len(values)} values for {len(header)} columns "
                f"({', '.join(header)}); a value with the separator in it needs double quotes"
            )
        yield line, dict(zip(header, values, strict=False))


def number_of(text: str) -> float:
    """A number with a point or, as in half of Europe, a comma before its decimals; NaN where it
    is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def is_unicode(path: Path) -> bool:
    """Whether the letters of a table need no guess: it is in UTF-8 or UTF-16.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        if data[:2] not in _UTF_16:
            data.decode()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeError:
        return False
    return True


def find_file(folder: Path, name: str) -> Path:
    """The file that a table names, as the table's own system spells it.

    Windows has backslashes between folders, and a Mac writes letters with accents as two.

    Returns:
        The path, which need not exist.
    """
    exact = folder / name
    if exact.exists():
        return exact
    at = folder
    for part in PurePosixPath(plain_name(name)).parts:
        if not (at / part).exists() and at.is_dir():
            at = _spelled(at, at.stat().st_mtime_ns).get(part, at / part)
        else:
            at = at / part
    return at


def plain_name(name: str) -> str:
    """A file's name as it is the same on every system: composed letters, / between folders."""
    return str(PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/"))))


@functools.lru_cache(maxsize=64)
def _spelled(folder: Path, _changed_ns: int) -> dict[str, Path]:
    """What is in a folder by its name in composed letters."""
    return {unicodedata.normalize("NFC", path.name): path for path in folder.iterdir()}


def _open(path: Path) -> IO[str]:
    """The file as text, in whatever encoding.

    Raises:
        DataError: it is no text.
        OSError: it cannot be opened.
    """
    refuse_pipe(path)
    with path.open("rb") as file:
        start = file.read(_START)
    if start.startswith(_LFS_TEXT):
        raise DataError(f"{path} is a git LFS pointer, not the table: run `git lfs pull`")
    if start[:2] in _UTF_16:
        return path.open(encoding="utf-16")
    if b"\0" in start:
        raise DataError(f"{path} is not a text file: it contains zero bytes")
    return path.open(encoding="utf-8-sig", errors="avemo_latin_1")
