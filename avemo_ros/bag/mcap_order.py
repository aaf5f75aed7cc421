"""In which order the messages of an MCAP file were written, without reading them.

A chunk says only its earliest and latest time.  The index that follows it says the time and the
place of each message; where it is missing or not whole the messages tell when they are read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.bag.written import Written, chained, written

_INDEX: Final = struct.Struct("<HI")
"""Channel, and length of the entries that follow: time and place of each message."""
_ENTRY: Final = 16


class McapOrder:
    """Gathers what is met of chunks, their indexes and messages outside of any."""

    def __init__(self) -> None:
        self._parts: dict[int, Written | None] = {}
        """By the place of the part in the file; None: not known yet."""
        self._open: tuple[int, int, int] | None = None
        self._entries: list[NDArray[np.int64]] = []

    @property
    def written(self) -> Written | None:
        """Of all parts that are known."""
        self._close()
        return chained(self._parts[offset] for offset in sorted(self._parts))

    def chunk(self, offset: int, start_ns: int, end_ns: int) -> None:
        """The next chunk: its place, and the earliest and latest time that it names."""
        self._close()
        self._parts[offset] = None
        self._open = offset, start_ns, end_ns

    def index(self, content: bytes) -> None:
        """An index of the last chunk: the content of its record; a damaged one says nothing."""
        if self._open is None or len(content) < _INDEX.size:
            return
        _, length = _INDEX.unpack_from(content)
        if length % _ENTRY or len(content) != _INDEX.size + length:
            return
        entries = np.frombuffer(content, "<i8", offset=_INDEX.size).reshape(-1, 2)
        if len(entries):
            self._entries.append(entries)

    def message(self, offset: int, log_ns: int) -> None:
        """A message outside of any chunk."""
        self._close()
        self._parts[offset] = Written(log_ns, log_ns)

    def knows(self, offset: int) -> bool:
        """Whether the part need not be read for its order."""
        self._close()
        return self._parts.get(offset) is not None

    def read(self, offset: int, times_ns: Sequence[int]) -> None:
        """The times of a part's messages as they lie in it."""
        found = written(times_ns)
        if found is None:
            # It is as if it were not there: its neighbours follow each other.
            self._parts.pop(offset, None)
        else:
            self._parts[offset] = found

    def _close(self) -> None:
        """Take the indexes of a chunk, behind which no more can come."""
        if self._open is not None and self._entries:
            offset, start_ns, end_ns = self._open
            entries = np.concatenate(self._entries)
            times = entries[:, 0]
            # Of an index that lacks a channel, the times do not reach as far as the chunk's.
            if (times.min(), times.max()) == (start_ns, end_ns):
                order = np.argsort(entries[:, 1], kind="stable")
                self._parts[offset] = written(times[order])
        self._open = None
        self._entries = []
