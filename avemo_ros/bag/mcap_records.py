"""Records of MCAP files, from their bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Final

import zstandard
from mcap.data_stream import ReadDataStream

HEAD: Final = struct.Struct("<BQ")
"""Operation code and length of the content that follows."""
CHUNK: Final = struct.Struct("<QQQII")
"""First and last time, size and checksum of the content, length of the compression's name."""
MESSAGE: Final = struct.Struct("<HIQQ")
"""Channel, number, time of recording, time of publication."""


def stream_of(content: bytes | memoryview) -> ReadDataStream:
    """For the parsers of the mcap library."""
    return ReadDataStream(io.BytesIO(content))


def records_in(content: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Operation code and content of records that follow each other, but for a last one that
    is not whole."""
    view = memoryview(content)
    at = 0
    while at + HEAD.size <= len(view):
        opcode, length = HEAD.unpack_from(view, at)
        at += HEAD.size + length
        if at > len(view):
            return
        yield opcode, view[at - length : at]


def message_of(record: memoryview) -> tuple[int, int, memoryview]:
    """Time of recording [ns], channel and data of a message record."""
    channel, _, log_ns, _ = MESSAGE.unpack_from(record)
    return log_ns, channel, record[MESSAGE.size :]


def beginning_of(packed: bytes, compression: str) -> bytes:
    """What can be told of a chunk of which only the first bytes are there."""
    if compression == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    if compression == "":
        return packed
    return b""


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
