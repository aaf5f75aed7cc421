"""How long a disk lasts for a recording."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from avemo_ros.sink.presentation import lasting

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
