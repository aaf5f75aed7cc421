"""Files of rosbag2's sqlite3 storage, whole or with a damaged tail."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from avemo_ros.bag.storage import Channel, RawMessage, joined, write_order
from avemo_ros.errors import BagError
from avemo_ros.untrusted import MAX_CHANNELS, MAX_DEFINITION, MAX_SILENCE_S, MAX_UNPACKED

MAGIC: Final = b"SQLite format 3\x00"

_FARTHEST: Final = 2**24
"""After damage, messages are searched for up to this many numbers further on."""
_LEAST_ROW: Final = 4
"""Bytes of the smallest row in a file."""
_PATIENT: Final = 1000
"""Rows, after each of which the next ones may take their time again."""
_STEPS: Final = 100_000
"""Of SQLite's machine, after which it asks whether to go on."""


class SqliteFile:
    """Reads a file as far as it goes.

    Args:
        path: the file.

    Raises:
        BagError: it cannot be opened, or is no bag.
    """

    compression = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: Counter[str] = Counter()
        self.cut_off = False
        self._until = time.monotonic() + MAX_SILENCE_S
        self._base, whole = _connect(path)
        self._base.text_factory = lambda data: data.decode(errors="replace")
        # What a file says may make SQLite search for ever.
        self._base.set_progress_handler(lambda: time.monotonic() > self._until, _STEPS)
        self._most = path.stat().st_size // _LEAST_ROW + _size(path, "-wal") // _LEAST_ROW
        if not whole:
            self.cut_off = True
            self.problems[f"{path.name}-wal next to it cannot be read"] = 1
        if _is_short(path):
            self.cut_off = True
            self.problems["the file was cut off: it is shorter than its header says"] = 1
        try:
            topics = self._topics()
            self._index = self._read_index()
        except BaseException:
            self.close()
            raise
        ids, owners, times = self._index
        counts = Counter(owners.tolist())
        self._keys = {number: channel.key for number, channel in topics.items()}
        self.channels = joined(
            Channel(
                channel.topic,
                channel.type,
                channel.definition,
                channel.language,
                channel.serialization,
                counts[number],
            )
            for number, channel in topics.items()
        )
        self.write_order = write_order(times)
        self.start_ns = int(times.min()) if len(ids) else None
        self.end_ns = int(times.max()) if len(ids) else None

    def close(self) -> None:
        """Free the file."""
        self._base.close()

    def messages(self, keys: Collection[tuple[str, str]]) -> Iterator[RawMessage]:
        """The messages of these channels by time; those of one time as they were written."""
        ids, owners, times = self._index
        wanted = [number for number, key in self._keys.items() if key in keys]
        chosen = np.flatnonzero(np.isin(owners, wanted))
        for at in chosen[np.argsort(times[chosen], kind="stable")]:
            number = int(ids[at])
            self._until = time.monotonic() + MAX_SILENCE_S
            try:
                # The length is known before the data are read.
                row = self._base.execute(
                    "SELECT CASE WHEN length(data) <= ? THEN data END FROM messages "
                    "WHERE id = ?",
                    (MAX_UNPACKED, number),
                ).fetchone()
                if row is None or not isinstance(row[0], bytes):
                    raise TypeError("no data, or too much")
                data = row[0]
            except (sqlite3.Error, TypeError) as error:
                topic = self._keys[int(owners[at])][0]
                self.problems[f"{topic}: messages cannot be read ({error})"] += 1
                continue
            yield RawMessage(int(times[at]), self._keys[int(owners[at])], data)

    def times(self, keys: Collection[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], int]]:
        """Channel and time of each of their messages [ns]."""
        _, owners, times = self._index
        for owner, at in zip(owners.tolist(), times.tolist(), strict=True):
            if (key := self._keys.get(owner)) in keys and key is not None:
                yield key, at

    def _topics(self) -> dict[int, Channel]:
        try:
            self._refuse_views()
            definitions = self._definitions()
            rows = self._base.execute(
                "SELECT id, name, type, serialization_format FROM topics ORDER BY id"
            ).fetchmany(MAX_CHANNELS + 1)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BagError(
                    f"'{self.path}' is locked by its recorder; wait until the recording has "
                    "ended"
                ) from error
            raise BagError(
                f"'{self.path}' is not a bag: {error} (rosbag2 has the tables topics and "
                "messages)"
            ) from error
        except sqlite3.Error as error:
            raise BagError(f"'{self.path}' is damaged: {error}") from error
        if len(rows) > MAX_CHANNELS:
            raise BagError(f"'{self.path}' has more than {MAX_CHANNELS} topics")
        found = {}
        for number, *words in rows:
            if not isinstance(number, int) or not all(isinstance(word, str) for word in words):
                self.cut_off = True
                self.problems["topics are damaged"] += 1
                continue
            topic, kind, serialization = words
            found[number] = Channel(
                topic, kind, *definitions.get(kind, ("", "")), serialization
            )
        return found

    def _refuse_views(self) -> None:
        """A view computes what it seems to hold, and may never come to an end."""
        for name, kind in self._base.execute(
            "SELECT name, type FROM sqlite_master WHERE lower(name) IN "
            "('topics', 'messages', 'message_definitions') AND "
            "(type <> 'table' OR lower(sql) NOT LIKE 'create table%')"
        ):
            if kind != "index":
                raise BagError(f"'{self.path}' is not a bag: {name} is a {kind}, not a table")

    def _definitions(self) -> dict[str, tuple[str, str]]:
        """Definition and its language by type; files before Jazzy hold none."""
        there = self._base.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'message_definitions'"
        ).fetchone()
        if there is None:
            return {}
        rows = self._base.execute(
            "SELECT topic_type, encoded_message_definition, encoding FROM message_definitions "
            "WHERE length(encoded_message_definition) <= ?",
            (MAX_DEFINITION,),
        ).fetchmany(MAX_CHANNELS)
        return {
            kind: (text, language)
            for kind, text, language in rows
            if text and all(isinstance(word, str) for word in (kind, text, language))
        }

    def _read_index(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Number, topic and time of every message that can be reached, as written."""
        found: list[tuple[int, int, int]] = []
        after, step = 0, 1
        while True:
            try:
                rows = self._base.execute(
                    "SELECT id, topic_id, timestamp FROM messages WHERE id > ? ORDER BY id",
                    (after,),
                )
                for count, row in enumerate(rows):
                    if not count % _PATIENT:
                        self._until = time.monotonic() + MAX_SILENCE_S
                    if not all(isinstance(value, int) for value in row):
                        self.problems["messages are damaged"] += 1
                        continue
                    if len(found) >= self._most:
                        raise sqlite3.DatabaseError("more messages than it has room for")
                    found.append(row)
                    step = 1
                break
            except sqlite3.Error as error:
                self.cut_off = True
                self.problems[f"the file is damaged ({error})"] = 1
                if step > _FARTHEST or len(found) >= self._most:
                    break
                self._until = time.monotonic() + MAX_SILENCE_S
                # Whatever lies on the damaged page is lost; go on behind it.
                after = max(after, found[-1][0] if found else 0) + step
                step *= 2
        table = np.array(found, np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]


def _size(path: Path, end: str) -> int:
    beside = path.with_name(path.name + end)
    return beside.stat().st_size if beside.is_file() else 0


def _is_short(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(32)
    size = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    return path.stat().st_size < pages * (65536 if size == 1 else size)


def _connect(path: Path) -> tuple[Any, bool]:
    """A read-only connection, also to a file that was cut off; and whether it sees the log
    (`-wal`) beside the file.

    Raises:
        BagError: it cannot be opened, or is no SQLite file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise BagError(f"'{path}' cannot be read: {error.strerror}") from error
    if head != MAGIC:
        raise BagError(f"'{path}' is not an SQLite file: it starts with other bytes")
    place = quote(str(path.resolve()))
    # A file beside which no other can be written, as SQLite may want to, is still there to be
    # read.
    for options in ("mode=ro", "mode=ro&immutable=1"):
        try:
            base = sqlite3.connect(f"file:{place}?{options}", uri=True, check_same_thread=False)
            # Otherwise a file shorter than its head says is refused as a whole.
            base.execute("PRAGMA writable_schema = ON")
            base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            trouble = error
        else:
            log = path.with_name(f"{path.name}-wal")
            seen = options == "mode=ro" or not log.is_file() or log.stat().st_size == 0
            return base, seen
    raise BagError(f"'{path}' cannot be read: {trouble}") from trouble
