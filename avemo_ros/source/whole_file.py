"""Whether a file has all the bytes that its headers count, and no second recording behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_STREAMED: Final = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""RIFF sizes of writers that could not go back to fill them in."""
_TOLERANCE: Final = 0.01
"""Part of a file that may be missing: some writers count wrongly by a few bytes."""
_HEAD: Final = 4096
_XING: Final = (b"Xing", b"Info")
_SHORT: Final = "truncated: shorter than its header says"


def cut_off(path: Path) -> str:
    """What says that bytes are missing; '' if nothing does, which is no proof.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    enough = size * (1 + _TOLERANCE)
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head[:4] == b"RIFF":
            counted = int.from_bytes(head[4:8], "little")
            whole = counted in _STREAMED or counted + 8 <= enough
        elif head[4:8] == b"ftyp":
            boxes = list(_boxes(file, size))
            whole = all(end <= size for _, _, end in boxes)
            if whole and not any(name == b"moov" for name, _, _ in boxes):
                return "truncated: without its index (moov)"
        elif head[:4] == b"\x1a\x45\xdf\xa3":
            whole = _segment_end(head) <= enough
        else:
            whole = _mp3_end(file, head) <= enough
    return "" if whole else _SHORT


def second_recording(path: Path) -> int:
    """Where another file begins that was appended to this one, and that no reader of its format
    looks at; 0 if there is none.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] == b"ftyp":
            begins = [start for name, start, _ in _boxes(file, size) if name == b"ftyp"]
            return begins[1] if len(begins) > 1 else 0
        if head[:4] == b"RIFF" and head[8:12] in (b"WAVE", b"AVI "):
            at = 8 + int.from_bytes(head[4:8], "little")
            at += at % 2
            file.seek(at)
            after = file.read(12)
            return at if after[:4] == b"RIFF" and after[8:12] == head[8:12] else 0
        if head[:4] == b"FLV\1":
            return _after_tags(file, int.from_bytes(head[5:9], "big"))
    return 0


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the boxes that make an mp4; what is broken ends beyond the file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        box = file.read(16)
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        elif length == 0:  # to the end
            length = size - at
        end = at + length if length >= 8 else size + 1
        yield box[4:8], at, end
        at = end


def _after_tags(file: BinaryIO, at: int) -> int:
    """Where another FLV begins behind the tags of the first one; 0 if none does."""
    while True:
        file.seek(at + 4)  # the length of the tag before
        tag = file.read(4)
        if len(tag) < 4 or tag[0] not in (8, 9, 18):
            return at + 4 if tag == b"FLV\1" else 0
        at += 4 + 11 + int.from_bytes(tag[1:], "big")


def _segment_end(head: bytes) -> int:
    """End of the segment of a Matroska file; 0 where its writer did not know."""
    at = 4
    length, width = _vint(head, at)
    at += width + length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    at += 4
    length, width = _vint(head, at)
    return 0 if length == (1 << 7 * width) - 1 else at + width + length


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """A number of EBML and its width in bytes."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    if width > 8:
        return 0, 1
    return int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1), width


def _mp3_end(file: BinaryIO, head: bytes) -> int:
    """Where the frames end that the first one of an mp3 counts; 0 if it does not."""
    at = 0
    if head[:3] == b"ID3":
        parts = zip(head[6:10], (21, 14, 7, 0), strict=True)
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in parts)
    file.seek(at)
    frame = file.read(64)
    for name in _XING:
        tag = frame.find(name)
        if frame[:1] == b"\xff" and tag > 0 and frame[tag + 7 : tag + 8] >= b"\2":
            flags = frame[tag + 7]
            counted = frame[tag + 8 + 4 * (flags & 1) :][:4]
            return at + int.from_bytes(counted, "big") if flags & 2 else 0
    return 0
