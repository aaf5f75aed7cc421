"""Small models and made-up items, quick enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.model.emotion_model import Batch, EmotionModel, ModelSpec
from avemo_ros.model.face_points import VALUES
from avemo_ros.zoo.model_registry import BUILDER

SPEECH: dict[str, Any] = {"kind": "speech_fcn", "channels": [4, 4, 6, 6, 8]}
WHISPER: dict[str, Any] = {"kind": "whisper", "width": 64, "layers": 2}
FACE: dict[str, Any] = {"kind": "face_cnn", "widths": [4, 8], "blocks": [1, 1], "stem": 4}
INCEPTION: dict[str, Any] = {"kind": "inception", "widths": [8], "blocks": [1], "stem": 4}
VGG: dict[str, Any] = {"kind": "vgg_face", "width": 1, "side": 32}
LSTM: dict[str, Any] = {"kind": "vgg_lstm", "frames": VGG, "hidden": 6}
RELATION: dict[str, Any] = {"kind": "face_attention", "frames": FACE, "attention": "relation"}
UNITS: dict[str, Any] = {"kind": "units", "hidden": [6]}
LANDMARKS: dict[str, Any] = {
    "kind": "landmark_sequence",
    "width": 8,
    "attention": "relation",
}
LANDMARKS_LSTM: dict[str, Any] = {"kind": "landmark_sequence", "width": 8, "lstm": 3}
LIVE: dict[str, Any] = {"kind": "live", "face": FACE, "speech": SPEECH}
FUSIONS = ("concat", "decision", "fbp", "adaptive_fbp", "multilevel_fbp")


def fused(kind: str, visual: dict[str, Any] = FACE, **options: Any) -> dict[str, Any]:
    return {"kind": kind, "audio": SPEECH, "visual": visual, **options}


ALONE = [
    SPEECH,
    WHISPER,
    FACE,
    INCEPTION,
    VGG,
    LSTM,
    RELATION,
    UNITS,
    LANDMARKS,
    LANDMARKS_LSTM,
]
TOGETHER = [fused(kind, visual) for kind in FUSIONS for visual in (FACE, UNITS, LANDMARKS)]
EVERY = [*ALONE, *TOGETHER, LIVE]


def name(raw: dict[str, Any]) -> str:
    """For pytest's ids."""
    return "-".join([raw["kind"], *([raw["visual"]["kind"]] if "visual" in raw else [])])


def spec(raw: dict[str, Any]) -> ModelSpec:
    return ModelSpec.from_mapping(raw)


def made(raw: dict[str, Any], seed: int = 0) -> EmotionModel:
    """A network in eval mode whose batch norms are not at rest."""
    torch.manual_seed(seed)
    model = BUILDER.build(spec(raw))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def batch(side: int = 48, seed: int = 1) -> Batch:
    """Four rows: with everything, without voice, without face, units and landmarks, with
    nothing."""
    torch.manual_seed(seed)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=torch.bool)
    return Batch(
        faces=torch.randn(4, 3, 1, side, side),
        face_mask=mask,
        speech=torch.randn(4, 1, 90, 200),
        speech_mask=torch.tensor([True, False, True, False]),
        units=torch.rand(4, 35),
        units_mask=mask.any(1),
        points=torch.randn(4, 3, VALUES),
        points_mask=mask,
    )


def corpus(seed: int = 0) -> Corpus:
    """Items of many shapes; the last one has nothing at all."""
    chance = np.random.default_rng(seed)

    def features(frames: int, columns: int, units: bool) -> Features:
        faces = chance.integers(0, 256, (frames, 50, 50), np.uint8) if frames else None
        sound = (60 * chance.random((columns, 200)) - 80).astype(np.float16)
        return Features(
            faces=faces,
            spectrogram=sound if columns else None,
            units=chance.random(35, np.float32) if units else None,
            points=(100 * chance.random((3 * frames, 68, 2))).astype(np.float32)
            if frames
            else None,
            point_times_s=(np.arange(3 * frames) / 25).astype(np.float32) if frames else None,
        )

    shapes = [(3, 80, True), (1, 95, False), (0, 80, True), (2, 0, False), (4, 95, True)]
    shapes += [(1, 80, True), (0, 0, False)]
    items = tuple(
        Item("made", f"item{i}", Path(f"item{i}.wav"), "angry", f"made-{i}")
        for i in range(len(shapes))
    )
    return Corpus(items, tuple(features(*shape) for shape in shapes))
