"""Makers of the networks that are trained and compared but that no robot runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.frame_models import FaceModel
from avemo_ros.model.kind import Values
from avemo_ros.model.makers import face_model, part_of
from avemo_ros.model.unimodal import Unimodal
from avemo_ros.zoo.frame_lstm import FrameLSTM
from avemo_ros.zoo.fused import (
    Bilinear,
    BilinearOptions,
    Concatenation,
    Decision,
    FusedModel,
)
from avemo_ros.zoo.units_mlp import UnitsMLP
from avemo_ros.zoo.vgg_face import VggFace, load_published


def make_vgg_face(values: Values) -> EmotionModel:
    """VGG16, maybe with published weights, and attention over frames."""
    normalised = values["norm"] == "batch"
    if values["published"] and normalised:
        raise ConfigError("norm", "batch", "none, to start from published weights")
    cnn = VggFace(values["width"], values["full"], normalised=normalised, side=values["side"])
    model = face_model(cnn, values)
    if values["published"]:
        model.start_note = load_published(cnn, Path(values["published"]).expanduser())
    return model


def make_face_attention(values: Values) -> EmotionModel:
    """Attention over frames, after the CNN of another face model."""
    frames = part_of(values, "frames")
    assert isinstance(frames, FaceModel)
    model = face_model(frames.branch.cnn, values)
    model.start_note = frames.start_note
    return model


def make_vgg_lstm(values: Values) -> EmotionModel:
    """An LSTM over frames, after the CNN of another face model."""
    frames = part_of(values, "frames")
    assert isinstance(frames, FaceModel)
    model = FrameLSTM(
        frames.branch.cnn,
        values["hidden"],
        values["layers"],
        values["dropout"],
        values["classes"],
        shuffle=values["shuffle"],
    )
    model.start_note = frames.start_note
    return model


def make_units(values: Values) -> EmotionModel:
    """Dense layers over action units."""
    return UnitsMLP(
        values["hidden"], values["dropout"], values["input_dropout"], values["classes"]
    )


def make_decision(values: Values) -> EmotionModel:
    """Two parts, their decisions weighed."""
    fusion = Decision(values["weights"], learnt=values["learnt"])
    return _fused(values, lambda _audio, _visual, _classes: fusion)


def make_concat(values: Values) -> EmotionModel:
    """Two parts, their vectors side by side."""
    return _fused(
        values,
        lambda audio, visual, classes: Concatenation(
            audio, visual, classes, values["hidden"], values["dropout"]
        ),
    )


def make_fbp(values: Values) -> EmotionModel:
    """Two parts, their vectors through bilinear pooling."""
    return _bilinear(values)


def make_adaptive_fbp(values: Values) -> EmotionModel:
    """Bilinear pooling of vectors scaled by a gate."""
    return _bilinear(values, gate=True)


def make_multilevel_fbp(values: Values) -> EmotionModel:
    """Bilinear pooling of the whole and of segments."""
    return _bilinear(
        values,
        gate=values["gate"],
        segments=values["segments"],
        over_segments=values["over_segments"],
    )


def _bilinear(values: Values, **more: Any) -> EmotionModel:
    names = ("outputs", "factors", "dropout", "eps", "head_dropout", "decisions")
    options = BilinearOptions(**{name: values[name] for name in names}, **more)
    return _fused(
        values,
        lambda audio, visual, classes: Bilinear(audio, visual, classes, options),
        options.segments,
    )


def _fused(
    values: Values, make: Callable[[Unimodal, Unimodal, int], nn.Module], segments: int = 0
) -> EmotionModel:
    audio, visual = part_of(values, "audio"), part_of(values, "visual")
    for name, part in (("audio", audio), ("visual", visual)):
        if values["classes"] == "speech" and len(part.classes) == 7:
            raise ConfigError(
                f"{name}.classes", "emotions", "speech, as those of the fusion are"
            )
    classes = 8 if values["classes"] == "speech" else 7
    fusion = make(audio, visual, classes)
    return FusedModel(audio, visual, fusion, values["classes"], segments)
