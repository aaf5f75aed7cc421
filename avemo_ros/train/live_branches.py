"""The branches of the live model, which were trained before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.frame_models import FaceModel
from avemo_ros.model.network import FUSIONS, EmotionNet
from avemo_ros.model.speech_fcn import SpeechFCN
from avemo_ros.train.config import FINAL, TrainConfig
from avemo_ros.zoo.bundle import LoadedModel, find_model, load_model


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """What was trained before."""

    face: LoadedModel
    speech: LoadedModel
    """The one that is released."""
    folds: tuple[tuple[LoadedModel, Path], ...]
    """Those that left out a fold of speakers each, with their run folders."""
    fusion: str
    """One of `network.FUSIONS`."""

    def network(self, fold: int | None) -> EmotionNet:
        """The live network of a fold, None for the final one, with an untrained fusion."""
        face, speech = self.face.model, self.of(fold).model
        assert isinstance(face, FaceModel)
        assert isinstance(speech, SpeechFCN)
        # The layout of the CPU's kernels: several times faster.
        made = EmotionNet(face.branch, speech.branch, self.fusion).eval()
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def of(self, fold: int | None) -> LoadedModel:
        """The speech model of a fold, or the released one."""
        return self.speech if fold is None else self.folds[fold][0]


def read_branches(config: TrainConfig) -> Branches:
    """The branches that a configuration names.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: the speech run has no folds.
        WeightsError: a branch is missing or of another kind.
    """
    if config.model.get("kind", "live") != "live":
        raise ConfigError("model.kind", config.model["kind"], "live, for task live_fusion")
    settings = config.live
    unknown = sorted(set(config.model) - {"kind", "fusion"})
    if unknown:
        raise ConfigError(f"model.{unknown[0]}", config.model[unknown[0]], "kind and fusion")
    fusion = config.model.get("fusion", FUSIONS[0])
    if fusion not in FUSIONS:
        instead = "; bilinear pooling of vectors is trained as kind adaptive_fbp"
        allowed = " | ".join(FUSIONS) + (instead if fusion == "vectors" else "")
        raise ConfigError("model.fusion", fusion, allowed)
    for name in ("face_run", "speech_run"):
        if not getattr(settings, name):
            raise ConfigError(f"live.{name}", "", f"a run folder (--set live.{name}=RUN)")
    face = load_model(find_model(settings.face_run))
    if not isinstance(face.model, FaceModel) or face.model.classes != EMOTIONS:
        raise WeightsError(
            f"{settings.face_run} is '{face.spec.kind}' with {len(face.model.classes)} "
            "classes; the live model takes a face_cnn or inception with 7"
        )
    run = Path(settings.speech_run).expanduser()
    folders = sorted(path for path in run.glob("fold*") if path.is_dir())
    if len(folders) < 2:
        raise DataError(
            f"{run} has {len(folders)} folders fold0/, fold1/, ...: the fusion needs networks "
            "that never heard some of the speakers, two at least"
        )
    speech = _speech(run / FINAL)
    parts = tuple((_speech(path), path) for path in folders)
    return Branches(face, speech, parts, fusion)


def _speech(run: Path) -> LoadedModel:
    loaded = load_model(find_model(run))
    if not isinstance(loaded.model, SpeechFCN) or len(loaded.model.classes) == len(EMOTIONS):
        raise WeightsError(
            f"{run} is '{loaded.spec.kind}' with {len(loaded.model.classes)} classes; the live "
            "model takes a speech_fcn with 8"
        )
    return loaded
