"""Items with small files of their own."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avemo_ros.data.dataset import Item


def item(path: Path, **changes: Any) -> Item:
    """An item whose key is the file's stem."""
    values: dict[str, Any] = {
        "dataset": "made",
        "key": path.stem,
        "path": path,
        "label": "happy",
        "subject": f"made-{path.stem}",
    }
    return Item(**{**values, **changes})


def voice(path: Path, **changes: Any) -> Item:
    """An item that is sound only."""
    return item(path, has_face=False, **changes)


def image(path: Path, **changes: Any) -> Item:
    """An item that is an image."""
    return item(path, has_voice=False, **changes)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """Samples (n,) or (n, channels): int16 as PCM, float32 as float."""
    kind = 3 if samples.dtype == np.float32 else 1
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    width = samples.dtype.itemsize
    data = samples.tobytes()
    head = struct.pack(
        "<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, 8 * width
    )
    size = 4 + 8 + len(head) + 8 + len(data)
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", size)
        + b"WAVEfmt "
        + struct.pack("<I", len(head))
        + head
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )
    return path


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """(n,) int16 noise at 16 kHz."""
    chance = np.random.default_rng(seed)
    values = level * 32767 * chance.uniform(-1, 1, round(16000 * seconds))
    return values.astype(np.int16)


def write_image(path: Path, seed: int = 0, width: int = 48, height: int = 48) -> Path:
    """A grey image of noise."""
    chance = np.random.default_rng(seed)
    image = chance.integers(0, 256, (height, width), np.uint8)
    assert cv2.imwrite(str(path), image)
    return path
