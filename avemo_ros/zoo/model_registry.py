"""Every kind of model of this package by name, with its options and factory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.labels import FACE_CLASSES
from avemo_ros.model.builder import (
    LIVE_KINDS,
    SPEECH_KINDS,
    Builder,
    Classes,
    Dropout,
    FaceOptions,
    ModelKind,
    Sharpness,
    Values,
    face_model,
    part_of,
)
from avemo_ros.model.emotion_model import EmotionModel, ModelSpec, Part, Start, Unimodal
from avemo_ros.model.face_cnn import FaceModel
from avemo_ros.settings import ListOf, OneOf, Settings
from avemo_ros.zoo.face_models import FULL, ActionUnitMLP, FrameLSTM, VggFace, load_published
from avemo_ros.zoo.fusion_models import (
    Bilinear,
    BilinearOptions,
    Concatenation,
    Decision,
    FusedModel,
)


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
    return ActionUnitMLP(
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
        if part.classes == FACE_CLASSES:
            raise ConfigError(f"{name}.classes", "face", "emotions or speech")
        if values["classes"] == "speech" and len(part.classes) == 7:
            raise ConfigError(
                f"{name}.classes", "emotions", "speech, as those of the fusion are"
            )
    classes = 8 if values["classes"] == "speech" else 7
    fusion = make(audio, visual, classes)
    return FusedModel(audio, visual, fusion, values["classes"], segments)


_CNNS: Final = ("face_cnn", "vgg_face", "inception")
_FACES: Final = (*_CNNS, "face_attention", "vgg_lstm")
_Frames = Annotated[
    ModelSpec, Part(_CNNS, ("classes",)), Field(description="CNN of single frames.")
]


class VggFaceOptions(FaceOptions):
    """Options of vgg_face."""

    width: int = Field(
        64, ge=1, le=64, description="Channels of the first convolution; VGG16: 64."
    )
    full: Annotated[str, OneOf(FULL)] = Field("none", description="Last dense layer to keep.")
    norm: Literal["none", "batch"] = Field("none", description="Normalisation; VGG16 has none.")
    side: int = Field(
        224, ge=32, le=224, multiple_of=32, description="Side of the images [pixels]."
    )
    published: Start = Field("", description="Initial weights: published VGG-Face weights.")


class VggLstmOptions(Settings):
    """Options of vgg_lstm."""

    classes: Classes = "emotions"
    frames: _Frames = ModelSpec("vgg_face")
    hidden: int = Field(128, ge=1, le=4096, description="Width of the LSTM.")
    layers: int = Field(1, ge=1, le=4, description="Layers of the LSTM.")
    dropout: Dropout = Field(0.5, description="Dropout before the LSTM and before the head.")
    shuffle: bool = Field(True, description="Shuffle the frames in training.")


class FaceAttentionOptions(Settings):
    """Options of face_attention."""

    classes: Classes = "emotions"
    frames: _Frames = ModelSpec("face_cnn")
    attention: Literal["mean", "softmax", "self", "relation"] = Field(
        "relation", description="Over frames."
    )
    sharpness: Sharpness = 0.3
    attention_dropout: Dropout = Field(
        0.5, description=("Dropout before self- and relation-attention.")
    )
    dropout: Dropout = Field(0.6, description="Dropout before the head.")


class UnitsOptions(Settings):
    """Options of units."""

    hidden: Annotated[
        ListOf[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=0, max_length=4)
    ] = Field((64,), description="Widths of hidden layers; may be none.")
    dropout: Dropout = Field(0.3, description="Dropout after each hidden layer.")
    input_dropout: Dropout = Field(0.1, description="Dropout of the action units.")
    classes: Classes = "speech"


class TwoPartOptions(Settings):
    """Options of every fusion of two parts."""

    classes: Classes = "speech"
    audio: Annotated[ModelSpec, Part(SPEECH_KINDS)] = Field(
        ModelSpec("speech_fcn"), description="Network of the voice."
    )
    visual: Annotated[
        ModelSpec, Part((*_FACES, "units", "landmark_sequence"), ("classes",))
    ] = Field(
        ModelSpec("face_cnn"), description="Network of the face, action units or landmarks."
    )


class ConcatOptions(TwoPartOptions):
    """Options of concat."""

    hidden: int = Field(64, ge=0, le=4096, description="Width of the hidden layer; 0: none.")
    dropout: Dropout = Field(0.3, description="Dropout before each dense layer.")


class DecisionOptions(TwoPartOptions):
    """Options of decision."""

    weights: Annotated[
        ListOf[Annotated[float, Field(ge=1e-3, le=1e3)]], Field(min_length=2, max_length=2)
    ] = Field((1.0, 1.0), description="Weights of voice and face.")
    learnt: bool = Field(True, description="Learn the weights; false: keep them.")


class FbpOptions(TwoPartOptions):
    """Options of fbp and adaptive_fbp."""

    outputs: int = Field(64, ge=1, le=4096, description="o: length of the pooled vector.")
    factors: int = Field(4, ge=1, le=64, description="k: products summed for each output.")
    dropout: Dropout = Field(0.1, description="Dropout of the products.")
    eps: float = Field(
        1e-4, ge=1e-8, le=1e-1, description="Keeps the slope of the signed root finite."
    )
    head_dropout: Dropout = Field(0.0, description="Dropout before the head.")
    decisions: bool = Field(
        False,
        description=(
            "Add the log-probabilities of both parts to the logits; training starts at their "
            "sum."
        ),
    )


class MultilevelFbpOptions(FbpOptions):
    """Options of multilevel_fbp."""

    gate: bool = Field(True, description="Shares of voice and face, as in adaptive_fbp.")
    segments: int = Field(4, ge=1, le=64, description="Number of segments of each stream.")
    over_segments: Literal["mean", "attention"] = Field(
        "mean", description="How segments are joined."
    )


_RESEARCH: Final = (
    ModelKind(
        "vgg_face",
        "VGG16 on faces (VGG-Face, Parkhi et al. 2015), frames joined by attention.",
        VggFaceOptions,
        make_vgg_face,
    ),
    ModelKind(
        "vgg_lstm",
        "CNN features through an LSTM, frames shuffled in training (Liu et al. 2018).",
        VggLstmOptions,
        make_vgg_lstm,
    ),
    ModelKind(
        "face_attention",
        "Any frame CNN with attention over frames: mean, softmax (Zhang et al.), or self and "
        "relation (FAN).",
        FaceAttentionOptions,
        make_face_attention,
    ),
    ModelKind("units", "Dense layers over 35 facial action units.", UnitsOptions, make_units),
    ModelKind(
        "concat",
        "Both vectors side by side through dense layers.",
        ConcatOptions,
        make_concat,
    ),
    ModelKind(
        "decision",
        "Weighted sum of the log-probabilities of both parts.",
        DecisionOptions,
        make_decision,
    ),
    ModelKind(
        "fbp",
        "Factorized bilinear pooling of both vectors (Zhang, Wang, Du 2019).",
        FbpOptions,
        make_fbp,
    ),
    ModelKind(
        "adaptive_fbp",
        "FBP of vectors scaled by learnt shares of voice and face (AG-FBP, Zhou et al. 2021).",
        FbpOptions,
        make_adaptive_fbp,
    ),
    ModelKind(
        "multilevel_fbp",
        "FBP of the whole and of segments of it (AM-FBP, Zhou et al. 2021).",
        MultilevelFbpOptions,
        make_multilevel_fbp,
    ),
)
KINDS: Final[dict[str, ModelKind]] = LIVE_KINDS | {kind.name: kind for kind in _RESEARCH}
"""By name."""
MACHINES: Final = (
    *("functionals_svm", "landmark_svm", "landmark_measures_svm"),
    *("landmark_statistics_svm", "au_svm"),
)
"""Kinds of support vector machines."""
ENSEMBLE: Final = "ensemble"
CLASSICAL: Final = (*MACHINES, ENSEMBLE)
"""Kinds of models that are no networks (`classical.py`)."""
BUILDER: Final = Builder(KINDS, CLASSICAL)
"""Makes every kind of network."""
