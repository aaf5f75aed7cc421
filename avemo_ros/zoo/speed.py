"""How fast the parts of a network are in each runtime, and the calls of the robot."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from avemo_ros.audio.chunk import BINS
from avemo_ros.config import ModelConfig
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.folding import folded, to_bfloat16
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.predictor import Predictor
from avemo_ros.zoo.export import runner, write_onnx, write_torchscript
from avemo_ros.zoo.pieces import Piece, as_pieces, pieces

_LIVE: Final = {"batch": 1, "frames": 30, "columns": 300}
"""Sizes of the live system: a window of 3 s."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Time of one part in one runtime, on one thread."""

    piece: str
    runtime: str
    """PyTorch's 'float32' and 'bfloat16', 'torchscript' or 'onnxruntime'."""
    ms: float
    """Median of one call [ms of processor time]."""
    ratio: float
    """Median of its time divided by that of PyTorch in float32 in the same round."""


def bench(model: EmotionModel, folder: Path, rounds: int = 40) -> list[Speed]:
    """Time every part in every runtime, on one thread, in turns.

    bfloat16 is as the robot uses it; a part without convolutions has no such row.

    Args:
        model: not changed.
        folder: for files on the way.
        rounds: calls of each.

    Raises:
        ConfigError: a package that is needed is not installed.
    """
    ready = folded(model)
    to_bfloat16(ready)
    with _one_thread():
        return [
            speed
            for piece, lowered in zip(pieces(model), as_pieces(ready), strict=True)
            for speed in _bench_piece(piece, lowered, folder, rounds)
        ]


def bench_robot(
    network: EmotionNet, rounds: int = 40, weights: Path | None = None
) -> list[Speed]:
    """Time the calls of the live estimator, on one thread, in turns.

    PyTorch in both precisions and, if given, the ONNX files.

    Args:
        network: of a live model; not changed.
        rounds: calls of each.
        weights: its file, with ONNX files beside it; None: PyTorch alone.
    """
    robots = {
        kind: Predictor.from_network(network, kind, ModelConfig(precision=kind))
        for kind in ("float32", "bfloat16")
    }
    if weights is not None:
        config = ModelConfig(weights=str(weights), runtime="onnxruntime")
        robots["onnxruntime"] = Predictor(config)
    chance = np.random.default_rng(0)
    crops = list(chance.integers(0, 256, (4, 96, 96), np.uint8))
    sound = chance.uniform(-90, -10, (_LIVE["columns"], BINS)).astype(np.float32)
    seen = chance.standard_normal((_LIVE["frames"], robots["float32"].face_width), np.float32)
    heard = robots["float32"].speech_evidence(sound)
    calls: dict[str, Callable[[Predictor], Any]] = {
        "embed 1 face": lambda robot: robot.embed_faces(crops[:1]),
        "embed 4 faces": lambda robot: robot.embed_faces(crops),
        "speech of 3 s": lambda robot: robot.speech_evidence(sound),
        "answer": lambda robot: robot.predict(seen, heard),
    }
    with _one_thread():
        return [
            speed
            for name, call in calls.items()
            for speed in _in_turns(
                name, {kind: partial(call, robot) for kind, robot in robots.items()}, rounds
            )
        ]


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _bench_piece(piece: Piece, lowered: Piece, folder: Path, rounds: int) -> list[Speed]:
    given = piece.example(_LIVE)
    script, onnx = folder / "bench.pt", folder / "bench.onnx"
    write_torchscript(piece, script)
    write_onnx(piece, onnx)
    runs: dict[str, Callable[[], Any]] = {"float32": partial(piece.answers, given)}
    # Pictures and spectrograms are what goes through convolutions.
    if any(len(shape) >= 4 for shape in piece.inputs.values()):
        runs["bfloat16"] = partial(lowered.answers, given)
    runs["torchscript"] = partial(runner(script, "torchscript"), *given)
    runs["onnxruntime"] = partial(runner(onnx, "onnx"), *given)
    return _in_turns(piece.name, runs, rounds)


def _in_turns(piece: str, runs: Mapping[str, Callable[[], Any]], rounds: int) -> list[Speed]:
    """Time calls; the first of them is what the others are held against."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(-5, rounds):
        # Each starts a round as often as the others: what runs first finds cold caches.
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            # Of this thread, not of the clock: other programs shall not count.
            start = time.thread_time()
            runs[name]()
            if number >= 0:
                times[name].append(1e3 * (time.thread_time() - start))
    return [
        Speed(
            piece,
            name,
            statistics.median(taken),
            statistics.median(
                one / first for one, first in zip(taken, times[names[0]], strict=True)
            ),
        )
        for name, taken in times.items()
    ]
