"""Records of MCAP files, from their bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.records import Chunk
from mcap.stream_reader import get_chunk_data_stream

HEAD: Final = struct.Struct("<BQ")
"""Operation code and length of the content that follows."""
CHUNK: Final = struct.Struct("<QQQII")
"""First and last time, size and checksum of the content, length of the compression's name."""
MESSAGE: Final = struct.Struct("<HIQQ")
"""Channel, number, time of recording, time of publication."""

_COMPRESSIONS: Final = ("", "lz4", "zstd")


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


def content_of(chunk: bytes, *, cut: bool) -> bytes | memoryview:
    """The records in a chunk, unpacked.

    Args:
        chunk: the content of its record.
        cut: the file ends within it; then as much as can be told.

    Raises:
        ValueError, RuntimeError, struct.error, ZstdError: it is damaged.
    """
    start_ns, end_ns, size, checksum, named = CHUNK.unpack_from(chunk)
    at = CHUNK.size + named
    compression = chunk[CHUNK.size : at].decode()
    if compression not in _COMPRESSIONS:
        raise ValueError(f"its compression is {compression!r}; allowed: lz4, zstd")
    if cut:
        return _beginning_of(chunk[at + 8 :], compression)
    unpacked: bytes | memoryview
    if compression:
        packed = Chunk(compression, chunk[at + 8 :], end_ns, start_ns, checksum, size)
        stream, length = get_chunk_data_stream(packed)
        unpacked = stream.read(length)
    else:
        # Pictures: not copied, as most of the time of reading would go into that.
        unpacked = memoryview(chunk)[at + 8 :]
    if checksum and zlib.crc32(unpacked) != checksum:
        raise ValueError("its checksum is wrong")
    return unpacked


def _beginning_of(packed: bytes, compression: str) -> bytes:
    if compression == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    return packed if compression == "" else b""


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
