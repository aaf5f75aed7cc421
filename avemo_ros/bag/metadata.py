"""What metadata.yaml says of a bag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

import yaml

METADATA: Final = "metadata.yaml"
_NO_ROS: Final = "rosbags"
"""What the library that writes bags without ROS gives as its distro."""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Where thousands of bags are asked: the one in C takes a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What metadata.yaml says that the files do not."""

    files: tuple[str, ...] = ()
    distro: str = ""
    """Of ROS; empty where it is not said, or none was there."""
    problem: str = ""
    """Why it cannot be used."""


def read_metadata(path: Path) -> Metadata:
    """Of a bag's folder; a file that is missing or damaged is told in `problem`."""
    if not path.is_file():
        return Metadata(
            problem=f"{METADATA} is missing: the recording was cut off, or still goes on"
        )
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        about = content["rosbag2_bagfile_information"]
        distro = str(about.get("ros_distro") or "")
        return Metadata(
            files=tuple(PurePath(str(name)).name for name in about["relative_file_paths"]),
            distro="" if distro == _NO_ROS else distro,
        )
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Metadata(
            problem=f"{METADATA} is damaged ({first}); the files themselves are used"
        )


def read_custom_data(folder: Path) -> dict[str, str]:
    """What whoever wrote a bag has noted in its metadata.yaml; nothing where there is none."""
    try:
        text = (folder / METADATA).read_text(encoding="utf-8")
        content: Any = _LOADER(text).get_single_data()
        noted = content["rosbag2_bagfile_information"]["custom_data"]
        return {str(name): str(value) for name, value in noted.items()}
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}
