"""A bag while it is written: whole under its name, or marked as not."""

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
from rosbags.rosbag2 import WriterError
from rosbags.typesys.store import Typestore

from avemo_ros.bag import messages
from avemo_ros.bag.draft_folder import make_folder, remove_bag
from avemo_ros.bag.offers import Offer
from avemo_ros.bag.part import COMPRESSIONS, STORAGES, Part
from avemo_ros.clock import NS_PER_S, to_ns
from avemo_ros.errors import BagError, ConfigError

_METADATA: Final = "metadata.yaml"
_INFORMATION: Final = "rosbag2_bagfile_information"
_TROUBLES: Final = (OSError, sqlite3.Error, WriterError)
_OFFER: Final = Offer()
_MARK_NS: Final = NS_PER_S
"""So much of a recording is lost at most when its process is killed."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic and its types, for every part of the bag."""

    name: str
    kind: str
    definition: str
    digest: str
    offer: Offer


class BagDraft:
    """A bag that appears under its name when it is whole.

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
        self._part: Part | None = None
        self._part_ns: int | None = None
        self._marked_ns: int | None = None
        try:
            self._claim = make_folder(self.path, self.partial, force=force)
        except OSError as error:
            raise self._refusal(error) from error

    def __enter__(self) -> BagDraft:
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
        offer: Offer = _OFFER,
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
                raise BagError(f"cannot record {topic}: nothing is known of its type {kind}")
            definition, _ = store.generate_msgdef(kind, ros_version=2)
            digest = store.hash_rihs01(kind)
        self._topics[topic] = _Topic(topic, kind, definition, digest, offer)
        if self._part is not None:
            self._connect(self._part, self._topics[topic])

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
            part = self._part_for(log_ns)
            part.write(self._connections[topic], log_ns, message)
            if self._marked_ns is None or not 0 <= log_ns - self._marked_ns < _MARK_NS:
                part.mark()
                self._marked_ns = log_ns
        except _TROUBLES as error:
            raise self._refusal(error) from error
        self.count += 1
        self.start_ns = log_ns if self.start_ns is None else min(self.start_ns, log_ns)

    def close(self) -> None:
        """End the bag; it is whole and has its name from now on.

        Raises:
            BagError: the disk does not take it, or a bag of that name has come meanwhile.
        """
        try:
            self._finish()
            if self._force and self.path.exists():
                remove_bag(self.path)
            elif self.path.exists():
                raise BagError(
                    f"{self.path} has come meanwhile; what was written is {self.partial}"
                )
            self.partial.rename(self.path)
        except _TROUBLES as error:
            raise self._refusal(error) from error
        finally:
            self._claim.release()

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
            self._claim.release()

    def _refusal(self, error: Exception) -> BagError:
        reason = getattr(error, "strerror", None) or error
        return BagError(f"cannot write {self.path}: {reason}")

    def _types(self) -> Typestore:
        if self._store is None:
            self._store = messages.typestore()
        return self._store

    def _part_for(self, log_ns: int) -> Part:
        """The file in which a message belongs."""
        if self._part_ns is not None and 0 < self._split_ns <= log_ns - self._part_ns:
            self._end_part()
        if self._part is None:
            name = f"{self.path.name}_{len(self._finished)}"
            self._part = part = Part(self.partial, name, self._storage, self._compression)
            self._part_ns, self._marked_ns = log_ns, None
            for topic in self._topics.values():
                self._connect(part, topic)
        return self._part

    def _connect(self, part: Part, topic: _Topic) -> None:
        self._connections[topic.name] = part.add_connection(
            topic.name,
            topic.kind,
            msgdef=topic.definition,
            rihs01=topic.digest,
            offered_qos_profiles=[topic.offer.as_qos()],
        )

    def _end_part(self) -> None:
        if self._part is None:
            return
        part, self._part, self._part_ns = self._part, None, None
        part.close()
        described = self.partial / _METADATA
        self._finished.append(yaml.safe_load(described.read_text("utf-8"))[_INFORMATION])
        # It tells of one file only; without it, readers look for all.
        described.unlink()

    def _finish(self) -> None:
        if self._part is None and not self._finished:
            self._part_for(0)
        self._end_part()
        told = {**_merged(self._finished), "custom_data": self._notes or None}
        text = yaml.safe_dump({_INFORMATION: told}, sort_keys=False)
        (self.partial / _METADATA).write_text(text, encoding="utf-8")


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One description of the whole bag from those of its files."""
    filled = [part for part in parts if part["message_count"]] or parts[:1]
    starts = [part["starting_time"]["nanoseconds_since_epoch"] for part in filled]
    ends = [
        start + part["duration"]["nanoseconds"]
        for start, part in zip(starts, filled, strict=True)
    ]
    topics: dict[str, dict[str, Any]] = {}
    for part in parts:
        for entry in part["topics_with_message_count"]:
            name = entry["topic_metadata"]["name"]
            before = topics[name]["message_count"] if name in topics else 0
            topics[name] = {**entry, "message_count": before + entry["message_count"]}
    return {
        **parts[0],
        "relative_file_paths": [name for part in parts for name in part["relative_file_paths"]],
        "starting_time": {"nanoseconds_since_epoch": min(starts)},
        "duration": {"nanoseconds": max(ends) - min(starts)},
        "message_count": sum(part["message_count"] for part in parts),
        "topics_with_message_count": list(topics.values()),
        "files": [entry for part in parts for entry in part["files"]],
    }


def _check(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise ConfigError(name, value, ", ".join(allowed))
