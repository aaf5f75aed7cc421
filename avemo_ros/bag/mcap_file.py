"""MCAP files, read with the mcap library, and recovered where it would give up.

The library's readers need a whole file, and end at the first damaged chunk.  Here a file that
was cut off is read up to its last whole message, and a damaged chunk costs only itself.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import lz4.frame
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel as ChannelRecord
from mcap.records import Chunk, McapRecord, Message, Schema, Statistics
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.summary import Summary

from avemo_ros.bag.storage import (
    Channel,
    RawMessage,
    WriteOrder,
    chained_order,
    in_order,
    joined,
    unpacked,
    write_order,
)
from avemo_ros.errors import BagError
from avemo_ros.untrusted import MAX_CHANNELS, MAX_CHUNK_RECORDS, MAX_UNPACKED

MAGIC: Final = b"\x89MCAP0\r\n"

_HEAD: Final = struct.Struct("<BQ")
"""What every record begins with: operation code, and length of the content that follows."""
_CHUNK_TIMES: Final = struct.Struct("<QQ")
"""What a chunk begins with: its earliest and its latest time [ns]."""
_INDEX_BYTES: Final = _HEAD.size + 2 + 4
"""Of a chunk's message index, for each channel, before its entries."""
_INDEX_ENTRY_BYTES: Final = 16
_LARGEST: Final = 4 * 2**30
"""No record is larger: a length beyond is damage."""
_LATEST_NS: Final = 2**63 - 1
"""Later times are damage."""
_COMPRESSIONS: Final = ("", "lz4", "zstd")
_TROUBLES: Final = (
    McapError,
    struct.error,
    ValueError,
    OverflowError,
    MemoryError,
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    AssertionError,
)
"""What the libraries raise at bytes that make no sense."""


class _Head(NamedTuple):
    """Where a record lies."""

    opcode: int
    offset: int
    """Of its content in the file."""
    length: int
    """Of its content, as it says itself."""
    cut: bool
    """The file ends within it."""


class _Stream(ReadDataStream):
    """One record for the library's parsers; ends with it, whatever lengths it names within."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        super().__init__(file)
        self._length = length

    def read(self, length: int) -> bytes:
        """As many bytes, or as many as there are."""
        return super().read(min(length, self._length - self.count))


class _Views:
    """Bytes as a file whose reads are not copies, which large images would be slowed by."""

    def __init__(self, data: bytes) -> None:
        self.left = memoryview(data)

    def read(self, length: int) -> memoryview:
        """As many bytes, or as many as are left."""
        piece, self.left = self.left[:length], self.left[length:]
        return piece


@dataclass(frozen=True, slots=True)
class _Part:
    """A chunk, or a message outside of any."""

    start_ns: int
    head: _Head


class McapFile:
    """Reads a file as far as it goes.

    Args:
        path: the file.

    Raises:
        BagError: it cannot be opened, or is no MCAP file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: Counter[str] = Counter()
        self.cut_off = False
        self.compression = ""
        self.channels: tuple[Channel, ...] = ()
        self.start_ns: int | None = None
        self.end_ns: int | None = None
        self._parts: list[_Part] = []
        self._schemas: dict[int, Schema] = {}
        self._numbers: dict[int, ChannelRecord] = {}
        self._order: dict[int, WriteOrder | None] = {}
        """Of the parts that were read, by their place."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise BagError(f"'{path}' cannot be read: {error.strerror}") from error
        try:
            if self._file.read(len(MAGIC)) != MAGIC:
                raise BagError(f"'{path}' is not an MCAP file: it starts with other bytes")
            self._size = self._file.seek(0, io.SEEK_END)
            if not self._take_summary():
                self._recover()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the file."""
        self._file.close()

    @property
    def write_order(self) -> WriteOrder | None:
        """Order of its messages; known of what has been read."""
        places = sorted(part.head.offset for part in self._parts)
        return chained_order(self._order.get(place) for place in places)

    def messages(self, keys: Collection[tuple[str, str]]) -> Iterator[RawMessage]:
        """The messages of these channels by time; those of one time as they were written."""
        wanted = {
            number: self._key(record)
            for number, record in self._numbers.items()
            if self._key(record) in keys
        }
        parts: list[tuple[int, Callable[[], Iterator[RawMessage]]]] = [
            (part.start_ns, partial(self._messages_of, part, wanted)) for part in self._parts
        ]
        return in_order(parts if wanted else [])

    def times(self, keys: Collection[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], int]]:
        """Channel and time of each of their messages [ns]."""
        for raw in self.messages(keys):
            yield raw.key, raw.log_ns

    # --- what the file holds

    def _take_summary(self) -> bool:
        """By the summary at the end; False where none tells of all messages."""
        try:
            self._file.seek(0)
            summary = SeekingReader(self._file, record_size_limit=_LARGEST).get_summary()
        except _TROUBLES:
            return False
        if summary is None or summary.statistics is None or not _tells_all(summary):
            return False
        for record in (*summary.schemas.values(), *summary.channels.values()):
            self._learn(record)
        damaged = []
        for chunk in summary.chunk_indexes:
            head = self._head_at(chunk.chunk_start_offset)
            length = chunk.chunk_length - _HEAD.size
            if head is None or head.cut or (head.opcode, head.length) != (Opcode.CHUNK, length):
                damaged.append(chunk.chunk_start_offset)
            else:
                self._parts.append(_Part(chunk.message_start_time, head))
                self.compression = self.compression or chunk.compression
        if damaged:
            self.cut_off = True
            self.problems[f"the file is damaged at byte {min(damaged)}"] = 1
            self._count()
        else:
            self._take_statistics(summary.statistics)
        return True

    def _recover(self) -> None:
        """By going from record to record, up to the end or to what is none."""
        statistics: Statistics | None = None
        at, ended = len(MAGIC), False
        while not ended and (head := self._head_at(at)) is not None:
            try:
                if head.opcode == Opcode.STATISTICS:
                    statistics = Statistics.read(self._stream_at(head))
                else:
                    self._note(head)
            except _TROUBLES:
                break
            if head.cut:
                break
            ended = head.opcode == Opcode.FOOTER
            at = head.offset + head.length
        if not ended:
            self._note_damage(at)
        if (
            ended
            and statistics is not None
            and self._numbers.keys() >= set(statistics.channel_message_counts)
        ):
            self._take_statistics(statistics)
        else:
            self._count()

    def _head_at(self, offset: int) -> _Head | None:
        """The record at a place; None where there is none."""
        self._file.seek(offset)
        content = self._file.read(_HEAD.size)
        if len(content) < _HEAD.size:
            return None
        opcode, length = _HEAD.unpack(content)
        start = offset + _HEAD.size
        cut = start + length > self._size
        if not opcode or length > _LARGEST or (cut and opcode != Opcode.CHUNK):
            return None
        return _Head(opcode, start, length, cut)

    def _note(self, head: _Head) -> None:
        stream = self._stream_at(head)
        if head.opcode == Opcode.CHUNK:
            start_ns, _ = _CHUNK_TIMES.unpack(stream.read(_CHUNK_TIMES.size))
            self._parts.append(_Part(start_ns, head))
        elif head.opcode == Opcode.MESSAGE:
            # Its data are not looked at yet.
            self._parts.append(_Part(Message.read(stream, 22).log_time, head))
        elif head.opcode == Opcode.SCHEMA:
            self._learn(Schema.read(stream))
        elif head.opcode == Opcode.CHANNEL:
            self._learn(ChannelRecord.read(stream))

    def _note_damage(self, at: int) -> None:
        self.cut_off = True
        self._file.seek(max(0, self._size - len(MAGIC)))
        if self._file.read() == MAGIC:
            self.problems[f"the file is damaged at byte {at}"] = 1
            self.problems["nothing after the damage can be read"] = 1
            return
        self.problems["the file was cut off: its end is missing"] = 1
        lost = self._size - at
        if lost and not any(part.head.cut for part in self._parts):
            self.problems[f"its last {lost} bytes are not a complete record"] = 1

    def _learn(self, record: McapRecord) -> None:
        """Of several schemas or channels with one number the first counts."""
        if len(self._numbers) > MAX_CHANNELS:
            raise BagError(f"'{self.path}' has more than {MAX_CHANNELS} topics")
        if isinstance(record, Schema):
            self._schemas.setdefault(record.id, record)
        elif isinstance(record, ChannelRecord):
            self._numbers.setdefault(record.id, record)

    def _take_statistics(self, statistics: Statistics) -> None:
        self._name_channels(Counter(statistics.channel_message_counts))
        if statistics.message_count:
            self.start_ns = statistics.message_start_time
            self.end_ns = statistics.message_end_time

    def _count(self) -> None:
        """Without the statistics at the end all has to be read."""
        counts: Counter[int] = Counter()
        times: list[int] = []
        for part in self._parts:
            found = self._load(part)
            counts.update(message.channel_id for message in found)
            if found:
                times += [found[0].log_time, found[-1].log_time]
        self._name_channels(counts)
        self.start_ns = min(times, default=None)
        self.end_ns = max(times, default=None)

    def _name_channels(self, counts: Counter[int]) -> None:
        found = []
        for number, record in self._numbers.items():
            schema = self._schemas.get(record.schema_id)
            found.append(
                Channel(
                    *self._key(record),
                    "" if schema is None else bytes(schema.data).decode(errors="replace"),
                    "" if schema is None else schema.encoding,
                    record.message_encoding,
                    counts[number],
                )
            )
        self.channels = joined(found)

    def _key(self, record: ChannelRecord) -> tuple[str, str]:
        schema = self._schemas.get(record.schema_id)
        return record.topic, "" if schema is None else schema.name

    # --- reading

    def _messages_of(
        self, part: _Part, wanted: dict[int, tuple[str, str]]
    ) -> Iterator[RawMessage]:
        for message in self._load(part):
            if message.channel_id in wanted:
                yield RawMessage(message.log_time, wanted[message.channel_id], message.data)

    def _load(self, part: _Part) -> list[Message]:
        """The messages in a part, by time."""
        head = part.head
        found: list[Message] = []
        try:
            stream = self._stream_at(head)
            if head.opcode == Opcode.MESSAGE:
                found.append(_in_range(Message.read(stream, head.length)))
            else:
                for record in self._records_in(Chunk.read(stream), cut=head.cut):
                    if isinstance(record, Message):
                        found.append(_in_range(record))
                    else:
                        self._learn(record)
        except _TROUBLES as error:
            if not head.cut:
                text = f"a chunk is damaged and left out ({_reason(error)})"
                self.problems[f"{text}, at byte {head.offset - _HEAD.size}"] = 1
        self._order[head.offset] = write_order([message.log_time for message in found])
        found.sort(key=lambda message: message.log_time)
        return found

    def _records_in(self, chunk: Chunk, *, cut: bool) -> Iterator[McapRecord]:
        """What a chunk holds; raises one of _TROUBLES where it is damaged or the file ends."""
        if chunk.compression not in _COMPRESSIONS:
            raise ValueError(f"its compression is {chunk.compression!r}; allowed: lz4, zstd")
        self.compression = self.compression or chunk.compression
        data = _unpacked(chunk, cut=cut)
        if not cut and chunk.uncompressed_crc not in (0, zlib.crc32(data)):
            raise CRCValidationError(
                expected=chunk.uncompressed_crc, actual=zlib.crc32(data), record=chunk
            )
        views = _Views(data)
        reader = StreamReader(
            views,  # type: ignore[arg-type]
            skip_magic=True,
            record_size_limit=MAX_UNPACKED,
        )
        records = reader.records
        for _ in range(MAX_CHUNK_RECORDS):
            if not views.left:
                return
            yield next(records)
        raise ValueError(f"it holds more than {MAX_CHUNK_RECORDS} records")

    def _stream_at(self, head: _Head) -> ReadDataStream:
        self._file.seek(head.offset)
        return _Stream(self._file, head.length)


def _unpacked(chunk: Chunk, *, cut: bool) -> bytes:
    """The records of a chunk; raises ValueError where it is damaged, or too much is in it."""
    if chunk.uncompressed_size > MAX_UNPACKED:
        raise ValueError(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB")
    if chunk.compression == "zstd":
        return unpacked(chunk.data, cut=cut) if chunk.data else b""
    if not chunk.compression:
        return chunk.data
    if cut:
        return b""
    # Each byte of it unpacks to 255 at most, and it stops at the limit.
    unpacker = lz4.frame.LZ4FrameDecompressor()
    data: bytes = unpacker.decompress(chunk.data, MAX_UNPACKED + 1) if chunk.data else b""
    if len(data) > MAX_UNPACKED:
        raise ValueError(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB")
    return data


def _in_range(message: Message) -> Message:
    if message.log_time > _LATEST_NS:
        raise ValueError(f"the time of a message is {message.log_time} ns")
    return message


def _tells_all(summary: Summary) -> bool:
    """Whether all messages lie in chunks that the summary knows, in channels that it knows."""
    statistics = summary.statistics
    assert statistics is not None
    indexed = sum(
        chunk.message_index_length - _INDEX_BYTES * len(chunk.message_index_offsets)
        for chunk in summary.chunk_indexes
    )
    return (
        indexed == statistics.message_count * _INDEX_ENTRY_BYTES
        and summary.channels.keys() >= statistics.channel_message_counts.keys()
    )


def _reason(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, CRCValidationError):
        return "wrong checksum"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
