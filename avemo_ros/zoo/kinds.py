"""Every kind of network this package has, with its options."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from avemo_ros.model.build import Builder
from avemo_ros.model.kind import Classes, Dropout, FaceOptions, Kind, Sharpness
from avemo_ros.model.live_kinds import LIVE_KINDS
from avemo_ros.model.spec import ModelSpec, Part, Start
from avemo_ros.settings import ListOf, OneOf, Settings
from avemo_ros.zoo.makers import (
    make_adaptive_fbp,
    make_concat,
    make_decision,
    make_face_attention,
    make_fbp,
    make_multilevel_fbp,
    make_units,
    make_vgg_face,
    make_vgg_lstm,
)
from avemo_ros.zoo.vgg_face import FULL

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
    full: Annotated[str, OneOf(FULL)] = Field(
        "none", description="Last dense layer that is kept."
    )
    norm: Literal["none", "batch"] = Field("none", description="Normalisation; VGG16 has none.")
    side: int = Field(
        224, ge=32, le=224, multiple_of=32, description="Of the pictures [pixels]."
    )
    published: Start = Field("", description="Start: published VGG-Face weights.")


class VggLstmOptions(Settings):
    """Options of vgg_lstm."""

    classes: Classes = "emotions"
    frames: _Frames = ModelSpec("vgg_face")
    hidden: int = Field(128, ge=1, le=4096, description="Width of the LSTM.")
    layers: int = Field(1, ge=1, le=4, description="Of the LSTM.")
    dropout: Dropout = Field(0.5, description="Before the LSTM and before the head.")
    shuffle: bool = Field(True, description="Frames in random order in training.")


class FaceAttentionOptions(Settings):
    """Options of face_attention."""

    classes: Classes = "emotions"
    frames: _Frames = ModelSpec("face_cnn")
    attention: Literal["mean", "softmax", "self", "relation"] = Field(
        "relation", description="Over frames."
    )
    sharpness: Sharpness = 0.3
    attention_dropout: Dropout = Field(0.5, description="Before self- and relation-attention.")
    dropout: Dropout = Field(0.6, description="Before the head.")


class UnitsOptions(Settings):
    """Options of units."""

    hidden: Annotated[
        ListOf[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=0, max_length=4)
    ] = Field((64,), description="Widths of hidden layers; may be none.")
    dropout: Dropout = Field(0.3, description="After each hidden layer.")
    input_dropout: Dropout = Field(0.1, description="Of the units.")
    classes: Classes = "speech"


class TwoPartOptions(Settings):
    """Options of every fusion of two parts."""

    classes: Classes = "speech"
    audio: Annotated[ModelSpec, Part(("speech_fcn",))] = Field(
        ModelSpec("speech_fcn"), description="The voice's part."
    )
    visual: Annotated[ModelSpec, Part((*_FACES, "units"), ("classes",))] = Field(
        ModelSpec("face_cnn"), description="The face's part, or that of action units."
    )


class ConcatOptions(TwoPartOptions):
    """Options of concat."""

    hidden: int = Field(64, ge=0, le=4096, description="Width of the hidden layer; 0: none.")
    dropout: Dropout = Field(0.3, description="Before each dense layer.")


class DecisionOptions(TwoPartOptions):
    """Options of decision."""

    weights: Annotated[
        ListOf[Annotated[float, Field(ge=1e-3, le=1e3)]], Field(min_length=2, max_length=2)
    ] = Field((1.0, 1.0), description="Of voice and face.")
    learnt: bool = Field(True, description="Learn the weights; false: they stay.")


class FbpOptions(TwoPartOptions):
    """Options of fbp and adaptive_fbp."""

    outputs: int = Field(64, ge=1, le=4096, description="o: length of the pooled vector.")
    factors: int = Field(4, ge=1, le=64, description="k: products summed for each output.")
    dropout: Dropout = Field(0.1, description="Of the products.")
    eps: float = Field(
        1e-4, ge=1e-8, le=1e-1, description="Keeps the slope of the signed root finite."
    )
    head_dropout: Dropout = Field(0.0, description="Before the head.")
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
    segments: int = Field(4, ge=1, le=64, description="Parts that each stream is cut into.")
    over_segments: Literal["mean", "attention"] = Field(
        "mean", description="How segments are joined."
    )


_RESEARCH: Final = (
    Kind(
        "vgg_face",
        "VGG16 on faces (VGG-Face, Parkhi et al. 2015), frames joined by attention.",
        VggFaceOptions,
        make_vgg_face,
    ),
    Kind(
        "vgg_lstm",
        "CNN features through an LSTM, frames shuffled in training (Liu et al. 2018).",
        VggLstmOptions,
        make_vgg_lstm,
    ),
    Kind(
        "face_attention",
        "Any frame CNN with attention over frames: mean, softmax (Zhang et al.), or self and "
        "relation (FAN).",
        FaceAttentionOptions,
        make_face_attention,
    ),
    Kind("units", "Dense layers over 35 facial action units.", UnitsOptions, make_units),
    Kind(
        "concat",
        "Both vectors side by side through dense layers.",
        ConcatOptions,
        make_concat,
    ),
    Kind(
        "decision",
        "Weighted sum of the log-probabilities of both parts.",
        DecisionOptions,
        make_decision,
    ),
    Kind(
        "fbp",
        "Factorized bilinear pooling of both vectors (Zhang, Wang, Du 2019).",
        FbpOptions,
        make_fbp,
    ),
    Kind(
        "adaptive_fbp",
        "FBP of vectors scaled by learnt shares of voice and face (AG-FBP, Zhou et al. 2021).",
        FbpOptions,
        make_adaptive_fbp,
    ),
    Kind(
        "multilevel_fbp",
        "FBP of the whole and of segments of it (AM-FBP, Zhou et al. 2021).",
        MultilevelFbpOptions,
        make_multilevel_fbp,
    ),
)
KINDS: Final[dict[str, Kind]] = LIVE_KINDS | {kind.name: kind for kind in _RESEARCH}
"""By name."""
MACHINES: Final = ("functionals_svm", "landmark_svm", "au_svm")
"""Kinds of support vector machines."""
ENSEMBLE: Final = "ensemble"
CLASSICAL: Final = (*MACHINES, ENSEMBLE)
"""Kinds of models that are no networks (`classical.py`)."""
BUILDER: Final = Builder(KINDS, CLASSICAL)
"""Makes every kind of network."""
