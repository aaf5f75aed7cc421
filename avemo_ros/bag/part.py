"""One file of a bag while it is written, readable up to its last mark."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

STORAGES: Final = ("mcap", "sqlite3")
COMPRESSIONS: Final = ("none", "zstd")


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


class Part(Writer):
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
        """Bring everything so far to the file, where it outlives this process."""
        assert isinstance(self.storage, (_Mcap, _Sqlite3))
        self.storage.mark()


def _lift(path: Path) -> Path:
    """Move a file out of the folder that it is alone in."""
    lifted = path.parent.parent / path.name
    path.rename(lifted)
    path.parent.rmdir()
    return lifted
