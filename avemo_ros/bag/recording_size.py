"""How large a recording becomes: raw images packed as JPEG, and how long a disk lasts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import numpy as np
import simplejpeg

from avemo_ros.bag import message_content, messages
from avemo_ros.sink.presentation import lasting

QUALITY: Final = 90
"""Of the JPEGs that `avemo bag record` makes."""


class ImagePacker:
    """Turns serialised images into serialised JPEG images with the same header.

    Args:
        quality: 1 to 100.
    """

    def __init__(self, quality: int = QUALITY) -> None:
        self._quality = quality
        self._store = messages.typestore()

    def pack(self, data: bytes) -> bytes:
        """A sensor_msgs/CompressedImage of a sensor_msgs/Image, both with their CDR header.

        Raises:
            ImageError: encoding, size or data cannot be used.
        """
        message = self._store.deserialize_cdr(data, messages.IMAGE)
        image = message_content.image(message)
        packed = simplejpeg.encode_jpeg(image, self._quality, colorspace="BGR")
        kind = self._store.types[messages.COMPRESSED_IMAGE]
        out = kind(
            header=message.header,  # type: ignore[attr-defined]
            format="bgr8; jpeg compressed bgr8",
            data=np.frombuffer(packed, np.uint8),
        )
        return bytes(self._store.serialize_cdr(out, messages.COMPRESSED_IMAGE))


MEGABYTE: Final = 1e6
RATES: Final = {"raw": 82.0, "jpeg": 1.8, "features": 0.5}
"""Megabytes a second of a 720p camera at 30 images a second, and sound; docs/scale.md says how
that was measured.  Scenes with more detail than a studio's take several times as much JPEG."""
LEAST_S: Final = 3600.0
"""A disk that is full sooner is worth a warning [s]."""
_TEXTS: Final = {
    "raw": "images as they are",
    "jpeg": "JPEG",
    "features": "features",
}


def free_bytes(folder: Path) -> int:
    """Room on the disk of an existing folder [bytes]."""
    return shutil.disk_usage(folder).free


def held_bytes(folder: Path) -> int:
    """Size of the files in a folder [bytes]."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def lasts_s(free: float, rate: float) -> float:
    """How long so many free bytes last.

    Args:
        free: [bytes].
        rate: [bytes/s]; 0: for ever.
    """
    return free / rate if rate > 0 else float("inf")


def forecast(free: int, content: str) -> str:
    """What fits, in words, before anything is known of this camera.

    Args:
        free: room [bytes].
        content: what is recorded, a key of RATES; "" for what takes little.
    """
    fits = ", ".join(
        f"{_hours(lasts_s(free, MEGABYTE * rate))} of {_TEXTS[name]}"
        + (" (this recording)" if name == content else "")
        for name, rate in RATES.items()
    )
    return f"{free / 1e9:.1f} GB are free: about {fits}, with a 720p camera at 30 Hz"


def measured(free: int, rate: float) -> str:
    """What fits at the measured rate, in words.

    Args:
        free: room [bytes].
        rate: [bytes/s].
    """
    left = _hours(lasts_s(free, rate))
    return (
        f"writes {rate / MEGABYTE:.2f} MB/s: the disk ({free / 1e9:.1f} GB free) lasts {left}"
    )


def _hours(seconds: float) -> str:
    return lasting(seconds) if seconds < LEAST_S else f"{seconds / 3600:.1f} h"
