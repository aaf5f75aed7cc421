"""MCAP files, whole or cut off: the records are walked through, so no index is needed."""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import zstandard
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import ChunkIndex, Footer, Statistics

from avemo_ros.bag.mcap_channels import McapChannels
from avemo_ros.bag.mcap_order import McapOrder
from avemo_ros.bag.mcap_records import (
    CHUNK,
    HEAD,
    MESSAGE,
    content_of,
    first_line,
    message_of,
    records_in,
    stream_of,
)
from avemo_ros.bag.storage import Raw, in_order
from avemo_ros.bag.written import Written
from avemo_ros.errors import BagError

MAGIC: Final = b"\x89MCAP0\r\n"

_FOOTER: Final = 8 + 9 + 20
"""The last bytes of a whole file: footer record and magic."""
_LARGEST: Final = 4 * 2**30
"""No record is larger: a length beyond is damage."""


class _DamageError(Exception):
    """The bytes at this place are no record."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A chunk, or a message outside of any."""

    start_ns: int
    offset: int
    """Of the record's content in the file."""
    length: int
    is_chunk: bool
    cut: bool = False
    """The file ends within it."""


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
        self._order = McapOrder()
        self._known = McapChannels()
        self._parts: list[_Part] = []
        self._statistics: Statistics | None = None
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise BagError(f"'{path}' cannot be read: {error.strerror}") from error
        try:
            if self._file.read(len(MAGIC)) != MAGIC:
                raise BagError(f"'{path}' is no MCAP file: its first bytes are others")
            self._size = self._file.seek(0, io.SEEK_END)
            self._look_through()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the file."""
        self._file.close()

    @property
    def written(self) -> Written | None:
        """Order of its messages; of chunks without index known when they were read."""
        return self._order.written

    def messages(self, keys: Collection[tuple[str, str]]) -> Iterator[Raw]:
        """The messages of these channels by time; those of one time as they were written."""
        wanted = {number: key for number, key in self._known.keys().items() if key in keys}
        parts: list[tuple[int, Callable[[], Iterator[Raw]]]] = [
            (part.start_ns, partial(self._messages_of, part, wanted)) for part in self._parts
        ]
        return in_order(parts if wanted else [])

    # --- looking through at the start

    def _look_through(self) -> None:
        try:
            self._walk(len(MAGIC), self._size)
        except _DamageError as damage:
            self.cut_off = True
            self._find_rest(int(damage.args[0]))
        if self._statistics is None or self.cut_off:
            self._count_all()
        else:
            self._take_statistics(self._statistics)

    def _walk(self, offset: int, end: int) -> None:
        """Note all records from a place on.

        Raises:
            _DamageError: with the place at which the file ends or makes no sense.
        """
        while offset < end:
            head = self._bytes(offset, HEAD.size)
            if len(head) < HEAD.size:
                raise _DamageError(offset)
            opcode, length = HEAD.unpack(head)
            start = offset + HEAD.size
            if not opcode or length > _LARGEST:
                raise _DamageError(offset)
            cut = start + length > end
            if cut and opcode != Opcode.CHUNK:
                raise _DamageError(offset)
            try:
                self._note(opcode, start, min(length, end - start), cut=cut)
            except (McapError, struct.error, ValueError) as error:
                raise _DamageError(offset) from error
            if cut:
                raise _DamageError(offset)
            if opcode == Opcode.FOOTER:
                return
            offset = start + length
        raise _DamageError(offset)

    def _note(self, opcode: int, start: int, length: int, *, cut: bool) -> None:
        if opcode == Opcode.CHUNK:
            head = self._bytes(start, CHUNK.size)
            if len(head) == CHUNK.size:
                start_ns, end_ns, *_ = CHUNK.unpack(head)
                self._parts.append(_Part(start_ns, start, length, is_chunk=True, cut=cut))
                self._order.chunk(start, start_ns, end_ns)
        elif opcode == Opcode.MESSAGE:
            _, _, log_ns, _ = MESSAGE.unpack(self._bytes(start, MESSAGE.size))
            self._parts.append(_Part(log_ns, start, length, is_chunk=False))
            self._order.message(start, log_ns)
        elif opcode == Opcode.MESSAGE_INDEX:
            self._order.index(self._bytes(start, length))
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            self._known.learn(opcode, self._bytes(start, length))
        elif opcode == Opcode.STATISTICS:
            self._statistics = Statistics.read(stream_of(self._bytes(start, length)))

    def _find_rest(self, damaged: int) -> None:
        """What comes after damage, where the end of the file says where that is."""
        if self._bytes(self._size - len(MAGIC), len(MAGIC)) != MAGIC:
            lost = self._size - damaged
            cut = any(part.cut for part in self._parts)
            self.problems["the file was cut off: its end is missing"] += 1
            if lost and not cut:
                self.problems[f"its last {lost} bytes are no whole record"] += 1
            return
        self.problems[f"the file is damaged at byte {damaged}"] += 1
        try:
            footer = Footer.read(stream_of(self._bytes(self._size - _FOOTER + 9, 20)))
            known = {part.offset for part in self._parts}
            for opcode, content in records_in(self._bytes(footer.summary_start, self._size)):
                if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._known.learn(opcode, content)
                elif opcode == Opcode.CHUNK_INDEX:
                    index = ChunkIndex.read(stream_of(content))
                    start = index.chunk_start_offset + HEAD.size
                    length = index.chunk_length - HEAD.size
                    if start > damaged and start not in known:
                        self._parts.append(
                            _Part(index.message_start_time, start, length, is_chunk=True)
                        )
        except (McapError, struct.error, ValueError):
            self.problems["what comes after the damage cannot be found"] += 1

    def _take_statistics(self, statistics: Statistics) -> None:
        counts = Counter(statistics.channel_message_counts)
        self.channels = self._known.channels(counts)
        some = statistics.message_count > 0
        self.start_ns = statistics.message_start_time if some else None
        self.end_ns = statistics.message_end_time if some else None
        chunks = [part for part in self._parts if part.is_chunk]
        if chunks:
            self.compression = self._compression(chunks[0])

    def _count_all(self) -> None:
        """Without the statistics at the end all has to be read."""
        counts: Counter[int] = Counter()
        times: list[int] = []
        for part in self._parts:
            found = self._load(part)
            counts.update(number for _, number, _ in found)
            if found:
                times += [found[0][0], found[-1][0]]
            if part.is_chunk:
                self.compression = self.compression or self._compression(part)
        self.channels = self._known.channels(counts)
        self.start_ns = min(times, default=None)
        self.end_ns = max(times, default=None)

    # --- reading

    def _messages_of(self, part: _Part, wanted: dict[int, tuple[str, str]]) -> Iterator[Raw]:
        for log_ns, number, data in self._load(part):
            if number in wanted:
                yield Raw(log_ns, wanted[number], data)

    def _load(self, part: _Part) -> list[tuple[int, int, memoryview]]:
        """(time, channel, data) of the messages in a part, by time."""
        content = self._bytes(part.offset, part.length)
        if not part.is_chunk:
            return [message_of(memoryview(content))]
        found: list[tuple[int, int, memoryview]] = []
        try:
            for opcode, record in records_in(content_of(content, cut=part.cut)):
                if opcode == Opcode.MESSAGE:
                    found.append(message_of(record))
                elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._known.learn(opcode, record)
        except (
            McapError,
            struct.error,
            ValueError,
            RuntimeError,
            zstandard.ZstdError,
        ) as error:
            if not part.cut:
                self._complain(f"a chunk is damaged and left out ({first_line(error)})", part)
        if not self._order.knows(part.offset):
            self._order.read(part.offset, [log_ns for log_ns, _, _ in found])
        found.sort(key=lambda message: message[0])
        return found

    def _compression(self, part: _Part) -> str:
        head = self._bytes(part.offset, CHUNK.size + 16)
        named = CHUNK.unpack_from(head)[4]
        return head[CHUNK.size : CHUNK.size + named].decode(errors="replace")

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset < 0:
            return b""
        self._file.seek(offset)
        return self._file.read(max(0, min(length, self._size - offset)))

    def _complain(self, text: str, part: _Part) -> None:
        self.problems[f"{text}, at byte {part.offset - HEAD.size}"] = 1
