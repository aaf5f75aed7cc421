"""A bag while it is written: the folder `NAME.partial`, renamed once it is complete."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    StoragePlugin,
    Writer,
    WriterError,
)
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer
from rosbags.typesys.store import Typestore

from avemo_ros.bag import messages
from avemo_ros.bag.storage import OfferedQos
from avemo_ros.errors import BagError, ConfigError
from avemo_ros.sink.output_file import FolderLock, in_use, is_locked
from avemo_ros.timing import NS_PER_S, to_ns

_OF_A_BAG: Final = {".mcap", ".db3", ".db3-journal", ".db3-wal", ".db3-shm", ".zstd", ".yaml"}
"""Suffixes of a bag's files."""
STORAGES: Final = ("mcap", "sqlite3")
COMPRESSIONS: Final = ("none", "zstd")
_METADATA: Final = "metadata.yaml"
_INFORMATION: Final = "rosbag2_bagfile_information"
_TROUBLES: Final = (OSError, sqlite3.Error, WriterError)
_OFFER: Final = OfferedQos()
_MARK_NS: Final = NS_PER_S
"""At most this much of a recording is lost when its process is killed."""


def make_folder(path: Path, partial: Path, *, force: bool) -> FolderLock:
    """Make and lock the folder in which a bag is written.

    Args:
        path: of the bag when it will be whole.
        partial: of the bag until then.
        force: both may be there already; `partial` is made anew.

    Raises:
        BagError: one is there already, or is not a bag and so not to be replaced; or another
            run writes it now, which force does not change.
        OSError: the disk does not take it.
    """
    if is_locked(partial):
        raise BagError(f"{in_use(partial)}; choose another name, or wait until it has finished")
    if not force and path.exists():
        raise BagError(f"{path} already exists; choose another name, or remove it first")
    if not force and partial.exists():
        raise BagError(
            f"{partial} already exists: an interrupted run left it, and it can be played and "
            "evaluated; choose another name, or move it away first"
        )
    for there in (path, partial):
        if there.exists():
            check_bag(there)
    if partial.exists():
        remove_bag(partial)
    partial.mkdir(parents=True)
    return FolderLock(partial)


def check_bag(path: Path) -> None:
    """Make sure that this is a bag, as nothing else may be removed.

    Raises:
        BagError: it is not.
    """
    inside = [entry.suffix for entry in path.iterdir()] if path.is_dir() else [""]
    if path.is_symlink() or not set(inside) <= _OF_A_BAG:
        raise BagError(f"{path} is not only a bag; it is not replaced")


def remove_bag(path: Path) -> None:
    """Remove a bag.

    Raises:
        BagError: it is not one.
    """
    check_bag(path)
    shutil.rmtree(path)


class _Mcap(McapWriter):
    """An MCAP file that lies in the bag's folder, not in one of its own."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        super().__init__(path, compression)
        self.path = _lift(self.path)

    def mark(self) -> None:
        if self.chunk.bio.tell():
            self.close_chunk()
        self.bio.flush()


class _Sqlite3(Sqlite3Writer):
    """A database that lies in the bag's folder, not in one of its own."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        super().__init__(path, compression)
        # Its journal is named after it, so that it cannot be moved while it is open.
        self.conn.close()
        self.path = _lift(self.path)
        self.conn = sqlite3.connect(self.path, check_same_thread=False)
        self.cursor = self.conn.cursor()

    def mark(self) -> None:
        self.conn.commit()


class BagSplit(Writer):
    """One file of a bag."""

    STORAGE_PLUGINS = {  # noqa: RUF012  as its base declares it
        StoragePlugin.MCAP: _Mcap,
        StoragePlugin.SQLITE3: _Sqlite3,
    }

    def __init__(self, folder: Path, name: str, storage: str, compression: str) -> None:
        """Make and open the file.

        Args:
            folder: of the bag.
            name: of the file, without its suffix.
            storage: one of STORAGES.
            compression: one of COMPRESSIONS; of chunks in MCAP, else of each message.
        """
        plugin = StoragePlugin[storage.upper()]
        super().__init__(folder / name, version=9, storage_plugin=plugin)
        self.metapath = folder / "metadata.yaml"
        if compression != "none":
            whole = plugin is StoragePlugin.MCAP
            mode = CompressionMode.STORAGE if whole else CompressionMode.MESSAGE
            self.set_compression(mode, CompressionFormat.ZSTD)
        self.open()

    def mark(self) -> None:
        """Write everything so far to the disk, so that it survives a crash of this process."""
        assert isinstance(self.storage, (_Mcap, _Sqlite3))
        self.storage.mark()


def _lift(path: Path) -> Path:
    """Move a file out of the folder that it is alone in."""
    lifted = path.parent.parent / path.name
    path.rename(lifted)
    path.parent.rmdir()
    return lifted


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic and its types, for every split of the bag."""

    name: str
    kind: str
    definition: str
    digest: str
    offer: OfferedQos


class PartialBag:
    """A bag that gets its name when it is complete.

    Until then it is the folder `<name>.partial`; what an interrupted or killed run wrote stays
    there and can be read, up to the last second.
    """

    def __init__(
        self,
        path: str | Path,
        storage: str = "mcap",
        compression: str = "none",
        *,
        split_s: float = 0.0,
        force: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Make the folder.

        Args:
            path: of the bag, a folder.
            storage: 'mcap' or 'sqlite3'.
            compression: 'none' or 'zstd'.
            split_s: begin a new file after so many seconds of messages [s]; 0: one file.
            force: replace a bag of that name, and what an interrupted run left.
            notes: for metadata.yaml, as its `custom_data`.

        Raises:
            BagError: the bag is there already, is being written by another run, or cannot be
                written.
            ConfigError: no such storage or compression.
        """
        _check("storage", storage, STORAGES)
        _check("compression", compression, COMPRESSIONS)
        self.path = Path(path)
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        """Where it is until it is whole."""
        self.count = 0
        """Messages so far."""
        self.start_ns: int | None = None
        """Earliest log time so far [ns]; None before the first message."""
        self._storage, self._compression = storage, compression
        self._split_ns = to_ns(split_s)
        self._force = force
        self._notes = dict(notes or {})
        self._store: Typestore | None = None
        self._topics: dict[str, _Topic] = {}
        self._connections: dict[str, Connection] = {}
        self._finished: list[dict[str, Any]] = []
        self._split: BagSplit | None = None
        self._split_start_ns: int | None = None
        self._marked_ns: int | None = None
        try:
            self._lock = make_folder(self.path, self.partial, force=force)
        except OSError as error:
            raise self._refusal(error) from error

    def __enter__(self) -> PartialBag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.give_up()

    def add_topic(
        self,
        topic: str,
        kind: str,
        offer: OfferedQos = _OFFER,
        *,
        definition: str = "",
        digest: str = "",
    ) -> None:
        """Declare a topic before its first message.

        Args:
            topic: its name.
            kind: its type, e.g. 'sensor_msgs/msg/Image'.
            offer: how it is published.
            definition: text of the type and of those it is made of, as rosbag2 stores it; ""
                for types that `messages.typestore` knows.
            digest: RIHS01 hash of the type, with `definition`.

        Raises:
            BagError: nothing is known of the type.
        """
        if not definition or not digest:
            store = self._types()
            if kind not in store.types:
                raise BagError(f"cannot record {topic}: its type {kind} is unknown")
            definition, _ = store.generate_msgdef(kind, ros_version=2)
            digest = store.hash_rihs01(kind)
        self._topics[topic] = _Topic(topic, kind, definition, digest, offer)
        if self._split is not None:
            self._connect(self._split, self._topics[topic])

    def write(self, topic: str, message: bytes | memoryview, log_ns: int) -> None:
        """Write a serialised message of a topic that was added.

        Args:
            topic: its name.
            message: CDR with its header of four bytes.
            log_ns: time at which it was received, or would have been [ns].

        Raises:
            BagError: the disk does not take it.
        """
        try:
            split = self._split_for(log_ns)
            split.write(self._connections[topic], log_ns, message)
            if self._marked_ns is None or not 0 <= log_ns - self._marked_ns < _MARK_NS:
                split.mark()
                self._marked_ns = log_ns
        except _TROUBLES as error:
            raise self._refusal(error) from error
        self.count += 1
        self.start_ns = log_ns if self.start_ns is None else min(self.start_ns, log_ns)

    def close(self) -> None:
        """Complete the bag and give it its name.

        Raises:
            BagError: the disk does not take it, or a bag of that name has come meanwhile.
        """
        try:
            self._finish()
            if self._force and self.path.exists():
                remove_bag(self.path)
            elif self.path.exists():
                raise BagError(
                    f"{self.path} was created meanwhile; the recording is in {self.partial}"
                )
            self.partial.rename(self.path)
        except _TROUBLES as error:
            raise self._refusal(error) from error
        finally:
            self._lock.release()

    def give_up(self) -> None:
        """End the bag before it is whole: it stays under `partial`, or vanishes if nothing was
        written."""
        try:
            self._finish()
            if not self.count:
                shutil.rmtree(self.partial)
        except _TROUBLES as error:
            raise self._refusal(error) from error
        finally:
            self._lock.release()

    def _refusal(self, error: Exception) -> BagError:
        reason = getattr(error, "strerror", None) or error
        return BagError(f"cannot write {self.path}: {reason}")

    def _types(self) -> Typestore:
        if self._store is None:
            self._store = messages.typestore()
        return self._store

    def _split_for(self, log_ns: int) -> BagSplit:
        """The file in which a message belongs."""
        if (
            self._split_start_ns is not None
            and 0 < self._split_ns <= log_ns - self._split_start_ns
        ):
            self._end_split()
        if self._split is None:
            name = f"{self.path.name}_{len(self._finished)}"
            self._split = split = BagSplit(self.partial, name, self._storage, self._compression)
            self._split_start_ns, self._marked_ns = log_ns, None
            for topic in self._topics.values():
                self._connect(split, topic)
        return self._split

    def _connect(self, split: BagSplit, topic: _Topic) -> None:
        self._connections[topic.name] = split.add_connection(
            topic.name,
            topic.kind,
            msgdef=topic.definition,
            rihs01=topic.digest,
            offered_qos_profiles=[topic.offer.as_qos()],
        )

    def _end_split(self) -> None:
        if self._split is None:
            return
        split, self._split, self._split_start_ns = self._split, None, None
        split.close()
        described = self.partial / _METADATA
        self._finished.append(yaml.safe_load(described.read_text("utf-8"))[_INFORMATION])
        # It tells of one file only; without it, readers look for all.
        described.unlink()

    def _finish(self) -> None:
        if self._split is None and not self._finished:
            self._split_for(0)
        self._end_split()
        information = {**_merged(self._finished), "custom_data": self._notes or None}
        text = yaml.safe_dump({_INFORMATION: information}, sort_keys=False)
        (self.partial / _METADATA).write_text(text, encoding="utf-8")


def _merged(splits: list[dict[str, Any]]) -> dict[str, Any]:
    """One description of the whole bag from those of its files."""
    filled = [split for split in splits if split["message_count"]] or splits[:1]
    starts = [split["starting_time"]["nanoseconds_since_epoch"] for split in filled]
    ends = [
        start + split["duration"]["nanoseconds"]
        for start, split in zip(starts, filled, strict=True)
    ]
    topics: dict[str, dict[str, Any]] = {}
    for split in splits:
        for entry in split["topics_with_message_count"]:
            name = entry["topic_metadata"]["name"]
            before = topics[name]["message_count"] if name in topics else 0
            topics[name] = {**entry, "message_count": before + entry["message_count"]}
    return {
        **splits[0],
        "relative_file_paths": [
            name for split in splits for name in split["relative_file_paths"]
        ],
        "starting_time": {"nanoseconds_since_epoch": min(starts)},
        "duration": {"nanoseconds": max(ends) - min(starts)},
        "message_count": sum(split["message_count"] for split in splits),
        "topics_with_message_count": list(topics.values()),
        "files": [entry for split in splits for entry in split["files"]],
    }


def _check(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise ConfigError(name, value, ", ".join(allowed))
