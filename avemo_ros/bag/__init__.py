"""rosbag2 recordings, read and written without ROS.

Here is how the files of a bag are called; nothing that reads them is imported, as that takes as
long to load as all the rest of a command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

METADATA: Final = "metadata.yaml"
SUFFIXES: Final = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")


def is_bag(path: Path) -> bool:
    """Whether a path is that of a bag: its metadata.yaml, a file or the folder of one."""
    if path.is_dir():
        return any(file.name.endswith(SUFFIXES) for file in path.iterdir())
    return path.name == METADATA or path.name.endswith(SUFFIXES)
