"""A bag on disk: a folder with metadata.yaml and its files, or a single file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final

import zstandard

from avemo_ros.bag import METADATA, SUFFIXES, mcap_file, sqlite_file
from avemo_ros.bag.mcap_file import McapFile
from avemo_ros.bag.sqlite_file import SqliteFile
from avemo_ros.bag.storage import (
    Channel,
    RawMessage,
    StorageFile,
    chained_order,
    in_order,
    joined,
    unpacked,
)
from avemo_ros.errors import BagError
from avemo_ros.settings import SettingsError, read_yaml
from avemo_ros.sink.output_file import temporary_folder
from avemo_ros.untrusted import (
    MAX_CHANNELS,
    MAX_FILE_FREELY,
    MAX_FILE_RATIO,
    refuse_pipe,
    shown,
)

_NO_ROS: Final = "rosbags"
"""Distro in the bags of the library rosbags, which is none of ROS."""
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ROS1: Final = b"#ROSBAG V"
_PACKED: Final = 2**13
"""Read at once; these few bytes may unpack to 256 MiB."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What only metadata.yaml knows."""

    files: tuple[str, ...] = ()
    distro: str = ""
    """Of ROS; empty if unknown, or if ROS was not used."""
    problem: str = ""
    """Why it cannot be used."""


def read_metadata(path: Path) -> Metadata:
    """Read metadata.yaml; if it is missing or damaged, `problem` says so."""
    if not path.is_file():
        return Metadata(
            problem=f"{METADATA} is missing: the recording was cut off or is still running"
        )
    try:
        content: Any = read_yaml(path, METADATA)
        about = content["rosbag2_bagfile_information"]
        distro = str(about.get("ros_distro") or "")
        return Metadata(
            files=tuple(PurePath(str(name)).name for name in about["relative_file_paths"]),
            distro="" if distro == _NO_ROS else distro,
        )
    except (SettingsError, ValueError, LookupError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Metadata(
            problem=f"{METADATA} is damaged ({first}); reading the files without it"
        )


def read_custom_data(folder: Path) -> dict[str, str]:
    """The `custom_data` of a bag's metadata.yaml; empty if there is none."""
    try:
        content: Any = read_yaml(folder / METADATA, METADATA)
        noted = content["rosbag2_bagfile_information"]["custom_data"]
        return {str(name): str(value) for name, value in noted.items()}
    except (SettingsError, ValueError, LookupError, TypeError, AttributeError):
        return {}


class Bag:
    """The messages of a recording, as bytes.

    It holds what was there when it was opened, even if the bag is still being written.

    Args:
        path: a bag's folder, or one file of sqlite3 or MCAP.

    Raises:
        BagError: nothing of it can be read.
    """

    files: tuple[StorageFile, ...] = ()
    """Those that can be read, in their order."""

    def __init__(self, path: str | Path) -> None:
        self.path = _folder(Path(path))
        self._opening: Counter[str] = Counter()
        self._unpacked = ExitStack()
        self._unpacked_to: Path | None = None
        self.cut_off = False
        """Its end, or a file of it, is missing or damaged."""
        self.distro = ""
        """Of ROS, as far as the bag says."""
        self.compression = ""
        """Of its files or of parts of them: 'zstd file', 'zstd message', 'zstd chunk', 'lz4
        chunk' or empty."""
        paths = self._find()
        try:
            self._seen = [(file, file.stat()) for file in paths]
        except OSError as error:
            raise BagError(f"'{error.filename}' cannot be read: {error.strerror}") from error
        try:
            self._open(paths)
        except BaseException:
            self.close()
            raise
        self.channels = joined(channel for file in self.files for channel in file.channels)
        """What it holds, by topic."""
        if len(self.channels) > MAX_CHANNELS:
            self.close()
            raise BagError(f"'{self.path}' has more than {MAX_CHANNELS} topics")
        starts = [file.start_ns for file in self.files if file.start_ns is not None]
        ends = [file.end_ns for file in self.files if file.end_ns is not None]
        self.start_ns = min(starts, default=0)
        """Time of the first message [ns]; 0 without messages."""
        self.end_ns = max(ends, default=0)
        """Time of the last message [ns]."""
        self._note_compression()

    def close(self) -> None:
        """Free its files."""
        for file in self.files:
            file.close()
        self._unpacked.close()

    @property
    def storage(self) -> str:
        """'mcap', 'sqlite3', or both."""
        names = {"mcap" if isinstance(file, McapFile) else "sqlite3" for file in self.files}
        return " and ".join(sorted(names))

    @property
    def turned_back(self) -> int:
        """How often the recorder's clock was set back by more than a second; complete once the
        messages of any channel were read."""
        found = chained_order(file.write_order for file in self.files)
        return 0 if found is None else found.turned_back

    @property
    def problems(self) -> list[str]:
        """What is missing or cannot be read, as far as it has been noticed."""
        found = [_times(text, count) for text, count in self._opening.items()]
        for file in self.files:
            name = f"{file.path.name}: " if len(self.files) > 1 else ""
            found += [name + _times(text, count) for text, count in file.problems.items()]
        if self.grown:
            found.append(
                "the bag changed while it was read (is it still being recorded?); only its "
                "content at opening is used"
            )
        return [shown(text) for text in found]

    @property
    def grown(self) -> bool:
        """Its files have changed since they were opened."""
        for path, before in self._seen:
            try:
                now = path.stat()
            except OSError:
                return True
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                return True
        return False

    def messages(self, channels: Collection[Channel]) -> Iterator[RawMessage]:
        """The messages of these channels by time, their data unpacked."""
        keys = frozenset(channel.key for channel in channels)
        topics = {channel.key: channel.topic for channel in channels}
        parts: list[tuple[int, Callable[[], Iterator[RawMessage]]]] = [
            (file.start_ns, partial(file.messages, keys))
            for file in self.files
            if file.start_ns is not None
        ]
        for raw in in_order(parts):
            if raw.data[:4] != _ZSTD:
                yield raw
                continue
            # No message begins so, whatever metadata.yaml says of the bag.
            try:
                data = unpacked(raw.data)
            except ValueError as error:
                self._opening[f"{topics[raw.key]}: messages cannot be unpacked ({error})"] += 1
                continue
            yield raw._replace(data=data)

    def times(self, channels: Collection[Channel]) -> Iterator[tuple[tuple[str, str], int]]:
        """Channel and time of each message of these channels [ns], in each file by itself;
        their data are left alone."""
        keys = frozenset(channel.key for channel in channels)
        for file in self.files:
            yield from file.times(keys)

    def _find(self) -> list[Path]:
        """Its files in their order.

        Raises:
            BagError: there are none.
        """
        if self.path.is_file():
            return [self.path]
        try:
            inside = list(self.path.iterdir())
        except OSError as error:
            raise BagError(f"'{self.path}' cannot be read: {error.strerror}") from error
        there = sorted(
            (path for path in inside if path.name.endswith(SUFFIXES)), key=_by_number
        )
        metadata = read_metadata(self.path / METADATA)
        self.distro = metadata.distro
        if metadata.problem:
            self._opening[metadata.problem] += 1
        names = {path.name: path for path in there}
        listed: list[Path] = []
        for name in metadata.files:
            found = names.get(name) or names.get(f"{name}.zstd")
            if found is not None:
                listed.append(found)
            elif there:
                self.cut_off = True
                self._opening[f"{name} is listed in {METADATA} but missing"] += 1
        if not there:
            raise BagError(
                f"'{self.path}' is not a bag: it contains no file with {', '.join(SUFFIXES)}"
            )
        if not listed:
            return there
        for path in there:
            if path not in listed:
                self._opening[f"{path.name} is left out: {METADATA} does not list it"] += 1
        return listed

    def _open(self, paths: list[Path]) -> None:
        refused: list[str] = []
        for path in paths:
            try:
                self.files = (*self.files, self._open_file(path))
            except BagError as error:
                refused.append(str(error))
                self._opening[str(error)] += 1
        if not self.files:
            raise BagError("; ".join(refused))
        if refused or any(file.cut_off for file in self.files):
            self.cut_off = True

    def _open_file(self, path: Path) -> StorageFile:
        head = _head(path)
        if head.startswith(_ZSTD):
            path = self._unpack(path)
            head = _head(path)
            self.compression = "zstd file"
        if head.startswith(mcap_file.MAGIC):
            return McapFile(path)
        if head.startswith(sqlite_file.MAGIC):
            return SqliteFile(path)
        if head.startswith(_ROS1):
            raise BagError(
                f"'{path}' is a ROS 1 bag; convert it first: rosbags-convert --src "
                f"{path.name} --dst {path.stem}"
            )
        what = "is an empty file" if not head else "is neither an MCAP nor an SQLite file"
        raise BagError(f"'{path}' {what}")

    def _unpack(self, path: Path) -> Path:
        """Unpack a file that is compressed as a whole, as far as possible."""
        if self._unpacked_to is None:
            self._unpacked_to = self._unpacked.enter_context(temporary_folder())
        target = self._unpacked_to / path.name.removesuffix(".zstd")
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        try:
            most = max(MAX_FILE_FREELY, MAX_FILE_RATIO * path.stat().st_size)
            with path.open("rb") as packed, target.open("wb") as out:
                while piece := packed.read(_PACKED):
                    out.write(unpacker.decompress(piece))
                    if out.tell() > most:
                        raise BagError(
                            f"'{path}' unpacks to more than {most >> 20} MiB, "
                            f"{MAX_FILE_RATIO} times its size"
                        )
        except zstandard.ZstdError as error:
            self.cut_off = True
            self._opening[f"{path.name} is damaged and cannot be fully unpacked ({error})"] += 1
        except OSError as error:
            raise BagError(f"'{path}' cannot be unpacked: {error.strerror}") from error
        return target

    def _note_compression(self) -> None:
        inner = sorted({file.compression for file in self.files} - {""})
        if inner:
            chunks = f"{' and '.join(inner)} chunk"
            self.compression = f"{self.compression}, {chunks}" if self.compression else chunks
            return
        if self.compression:
            return
        # The first message tells; they all are packed, or none.
        first = next(
            (
                raw
                for file in self.files
                for raw in file.messages({c.key for c in file.channels})
            ),
            None,
        )
        if first is not None and first.data[:4] == _ZSTD:
            self.compression = "zstd message"


def _folder(path: Path) -> Path:
    try:
        path.stat()
    except FileNotFoundError:
        raise BagError(f"bag '{path}' does not exist") from None
    except (OSError, ValueError) as error:  # a link that points to itself, a zero in the name
        text = getattr(error, "strerror", None) or str(error)
        raise BagError(f"bag '{path}' cannot be read: {text}") from error
    return path.parent if path.name == METADATA else path


def _head(path: Path) -> bytes:
    try:
        refuse_pipe(path)
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise BagError(f"'{path}' cannot be read: {error.strerror}") from error


def _by_number(path: Path) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", path.name)], path.name


def _times(text: str, count: int) -> str:
    return text if count == 1 else f"{text}, {count} times"
