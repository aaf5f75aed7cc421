"""Tiny data sets and run folders, made up: for tests of evaluation."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.zoo.model_file import save_model
from avemo_ros.zoo.model_registry import BUILDER

FACE = ModelSpec("face_cnn", {"widths": [8], "blocks": [1], "stem": 4})
SPEECH = ModelSpec("speech_fcn", {"channels": [4, 4, 4, 4, 4]})
UNITS = ModelSpec("units", {"hidden": [4]})
LANDMARKS = ModelSpec("landmark_sequence", {"width": 4})
BOTH = ModelSpec("concat", {"audio": SPEECH, "visual": FACE, "hidden": 0})
_FER = {"train": "Training", "test": "PrivateTest"}


def write_faces(root: Path, count: int = 3) -> Path:
    """FER2013 as folders: images whose stripes tell the class."""
    place = np.arange(48)
    chance = np.random.default_rng(0)
    for folder, split in _FER.items():
        for label, emotion in enumerate(EMOTIONS):
            (root / folder / emotion).mkdir(parents=True)
            for number in range(count):
                stripes = 120 + 80 * np.sin(place * (label + 1) * 0.25 + number)
                image = stripes[:, None] + chance.normal(0, 10, (48, 48))
                path = root / folder / emotion / f"{split}_{number}.jpg"
                cv2.imwrite(str(path), image.clip(0, 255).astype(np.uint8))
    return root


def write_voices(root: Path, actors: Sequence[int] = (2, 3)) -> Path:
    """RAVDESS as sound: one utterance of each class and actor."""
    time = np.arange(16_000) / 16_000
    for actor in actors:
        for emotion in range(1, 9):
            path = root / f"Actor_{actor:02d}" / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = 0.3 * np.sin(2 * np.pi * (100 + 60 * emotion + actor) * time)
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16_000)
                file.writeframes((sound * 32_000).astype("<i2").tobytes())
    return root


def write_units(path: Path, actors: Sequence[int] = (2, 3)) -> Path:
    """A table of action units of the same takes."""
    names = ",".join(f"AU{number:02d}" for number in range(35))
    chance = np.random.default_rng(0)
    lines = [f"clip,{names}"]
    for actor in actors:
        for emotion in range(1, 9):
            values = ",".join(f"{value:.4f}" for value in chance.random(35))
            lines.append(f"01-01-{emotion:02d}-01-01-01-{actor:02d},{values}")
    path.write_text("\n".join(lines) + "\n")
    return path


def write_model(path: Path, spec: ModelSpec, *, says: str = "", seed: int = 0) -> Path:
    """A random model; with `says` one that always answers that class."""
    torch.manual_seed(seed)
    model = BUILDER.build(spec)
    if says:
        classes = model.classes
        with torch.no_grad():
            head = next(m for name, m in reversed(list(model.named_modules())) if _is_head(m))
            head.weight.zero_()
            head.bias.zero_()
            head.bias[classes.index(says)] = 2.0
    save_model(model, spec, path, path.stem if path.stem != "model" else path.parent.name)
    return path


def _is_head(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) and module.out_features in (
        len(EMOTIONS),
        len(SPEECH_CLASSES),
    )


def part(*actors: int) -> dict[str, Any]:
    """A part of split.json with actors of RAVDESS."""
    return {
        "items": {"ravdess": 60 * len(actors)},
        "people": len(actors),
        "subjects": [f"ravdess-{actor:02d}" for actor in actors],
        "splits": [],
    }


def write_run(folder: Path, spec: ModelSpec, folds: Sequence[int], says: Sequence[str]) -> Path:
    """A run folder whose fold i held out actor folds[i] and always says says[i]."""
    for number, (held, word) in enumerate(zip(folds, says, strict=True)):
        own = folder / f"fold{number}"
        write_model(own / "model.safetensors", spec, says=word)
        split = {
            "train": part(*(one for one in folds if one != held)),
            "validation": part(held),
        }
        (own / "split.json").write_text(json.dumps(split))
    return folder
