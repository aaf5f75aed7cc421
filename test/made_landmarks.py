"""Made-up files of landmark sequences whose mouths know the emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def face() -> NDArray[np.float64]:
    """(68, 2) a face that is the same on both sides, eyes 100 pixels apart."""
    points = np.zeros((68, 2))
    points[:17] = [(-110 + 220 * n / 16, 140 - 2 * (n - 8) ** 2) for n in range(17)]
    points[17:27] = [(x, -40) for x in (-90, -75, -55, -40, -25, 25, 40, 55, 75, 90)]
    points[27:31] = [(0, y) for y in (0, 15, 30, 45)]
    points[31:36] = [(x, 55) for x in (-20, -10, 0, 10, 20)]
    eye = [(-20, 0), (-8, -8), (8, -8), (20, 0), (8, 8), (-8, 8)]
    points[36:42] = [(-50 + x, y) for x, y in eye]
    points[42:48] = [(50 + x, y) for x, y in eye]
    outer = [(-40, 90), (-25, 82), (-10, 78), (0, 80), (10, 78), (25, 82), (40, 90)]
    points[48:60] = [*outer, *((x, 100) for x in (25, 10, 0, -10, -25))]
    points[60:68] = [(x, 90) for x in (-30, -10, 0, 10, 30, 10, 0, -10)]
    return points


def sequence(frames: int, *, opens: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """(frames, 68, 2) pixels: a face whose lower lip goes down by `opens` and back."""
    chance = np.random.default_rng(seed)
    points = np.repeat(face()[None], frames, axis=0)
    points += chance.normal(0, 2, (1, 68, 2)) + chance.normal(0, 0.2, (frames, 68, 2))
    swing = opens * np.sin(np.linspace(0, 3 * np.pi, frames)) ** 2
    points[:, 54:60, 1] += swing[:, None]
    points[:, 64:68, 1] += swing[:, None]
    return (points + np.array([640.0, 360.0])).astype(np.float32)


def write_sequences(path: Path, clips: Mapping[str, NDArray[Any]], **changes: Any) -> Path:
    """A file of sequences (n, 68, 2); `changes` replace arrays, None leaves one out."""
    steps = [np.diff(one, axis=0, prepend=0).transpose(1, 2, 0) for one in clips.values()]
    arrays: dict[str, Any] = {
        "clip": np.array(list(clips)),
        "start": np.cumsum([0, *(len(one) for one in clips.values())]).astype(np.int32),
        "step": np.concatenate(steps, axis=2).astype(np.float32),
        "fps": np.float64(30),
        **changes,
    }
    with path.open("wb") as file:
        np.savez(file, **{name: value for name, value in arrays.items() if value is not None})
    return path


def write_landmarks(path: Path, actors: Sequence[int] = (2, 3), takes: int = 1) -> Path:
    """Sequences of takes of RAVDESS whose mouths open wider from class to class."""
    clips = {
        f"02-01-{emotion:02d}-01-01-{take:02d}-{actor:02d}": sequence(
            20 + emotion, opens=6.0 * emotion, seed=actor
        )
        for actor in actors
        for emotion in range(1, 9)
        for take in range(1, takes + 1)
    }
    return write_sequences(path, clips)
