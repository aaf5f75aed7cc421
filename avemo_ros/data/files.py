"""Finds the files of a data set and tells which of them cannot be recordings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from avemo_ros.errors import DataError

SOUND: Final = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".m4a", ".aac")
VIDEO: Final = (".mp4", ".avi", ".flv", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v")
PICTURES: Final = (".jpg", ".jpeg", ".png")

_NO_FOLDERS: Final = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information")
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_SMALLEST: Final = 1000
"""Bytes; no recording of any use is smaller."""
_SMALLEST_PICTURE: Final = 100
_STREAMED: Final = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""RIFF sizes of writers that could not go back to fill them in."""
_TOLERANCE: Final = 0.01
"""Part of a RIFF file that may be missing: some writers count wrongly by a few bytes."""


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
            picture = path.suffix.lower() in PICTURES
            if size < (_SMALLEST_PICTURE if picture else _SMALLEST):
                return "too small to be a picture" if picture else "too small to be a recording"
            if not any(head):
                return "begins with zeros: not copied completely"
            if head[:4] == b"RIFF":
                return _cut_riff(head, size)
            if head[4:8] == b"ftyp":
                return _cut_mp4(file, size)
    except FileNotFoundError:
        return "a link that leads nowhere (git-annex: run `git annex get`)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


def _cut_riff(head: bytes, size: int) -> str:
    """For wav and avi: the header says how long the file is."""
    told = int.from_bytes(head[4:8], "little")
    if told not in _STREAMED and told + 8 > size * (1 + _TOLERANCE):
        return "truncated: shorter than its header says"
    return ""


def _cut_mp4(file: BinaryIO, size: int) -> str:
    """For mp4: top-level boxes must end with the file, and one of them is the index."""
    at, index = 0, False
    while at + 8 <= size:
        file.seek(at)
        box = file.read(16)
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        elif length == 0:  # to the end
            length = size - at
        index = index or box[4:8] == b"moov"
        if length < 8 or at + length > size:
            return "truncated: shorter than its header says"
        at += length
    return "" if index else "truncated: without its index (moov)"
