"""The kinds of networks that the robot runs: the live network and its usual parts.

Those that are only trained and compared are in `zoo/kinds.py`; a robot does not import them.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from avemo_ros.model.audio_fcn import CHANNELS, FRONTS, NORMS, POOLS
from avemo_ros.model.build import Builder
from avemo_ros.model.kind import Classes, Dropout, FaceOptions, Kind, Sharpness
from avemo_ros.model.makers import (
    make_face_cnn,
    make_inception,
    make_live,
    make_speech_fcn,
)
from avemo_ros.model.network import FUSIONS
from avemo_ros.model.spec import ModelSpec, Part, Start
from avemo_ros.settings import ListOf, Named, OneOf, Settings

_Width = Annotated[int, Field(ge=1, le=1024)]
_OfStages = Field(min_length=1, max_length=6)
_Blocks = Annotated[ListOf[Annotated[int, Field(ge=1, le=16)]], _OfStages]
_Stem = Annotated[int, Field(ge=1, le=256, description="Channels of the first convolution.")]


class SpeechFcnOptions(Settings):
    """Options of speech_fcn."""

    front: Annotated[str, OneOf(FRONTS)] = Field(
        "log", description="Channels made of the log spectrogram."
    )
    channels: Annotated[ListOf[_Width], Field(min_length=5, max_length=5), Named(CHANNELS)] = (
        Field(
            CHANNELS["torchvision"],
            description=(
                "Of the five convolutions: torchvision's AlexNet, or that of the paper."
            ),
        )
    )
    norm: Annotated[str, OneOf(NORMS)] = Field(
        "batch", description="Normalisation; local is AlexNet's (LRN)."
    )
    local_size: int = Field(0, ge=0, le=1024, description="Channels that LRN looks at; 0: all.")
    attention: Annotated[str, OneOf(POOLS)] = Field(
        "cells", description="Over cells (2-D), over time (1-D), or none."
    )
    sharpness: Sharpness = 0.3
    statistics: bool = Field(False, description="Pool the cells' deviation beside their mean.")
    dropout: Dropout = Field(0.3, description="Before the head.")
    classes: Classes = "speech"
    imagenet: Start = Field("", description="Start: state dict of torchvision's AlexNet.")


class FaceCnnOptions(FaceOptions):
    """Options of face_cnn."""

    widths: Annotated[ListOf[_Width], _OfStages] = Field(
        (48, 96, 192, 256), description="Of the stages."
    )
    blocks: _Blocks = Field((2, 2, 2, 1), description="In each stage.")
    stem: _Stem = 32


class InceptionOptions(FaceOptions):
    """Options of inception."""

    widths: Annotated[
        ListOf[Annotated[int, Field(ge=8, le=1024, multiple_of=8)]], _OfStages
    ] = Field((96, 192, 256), description="Of the groups of blocks.")
    blocks: _Blocks = Field((1, 2, 2), description="In each group.")
    stem: _Stem = 32


class LiveOptions(Settings):
    """Options of live."""

    face: Annotated[ModelSpec, Part(("face_cnn", "inception"))] = Field(
        ModelSpec("face_cnn"), description="The face's part."
    )
    speech: Annotated[ModelSpec, Part(("speech_fcn",))] = Field(
        ModelSpec("speech_fcn"), description="The voice's part."
    )
    fusion: Annotated[str, OneOf(FUSIONS)] = Field(
        "clarity",
        description=(
            "What the gate reads: the log-probabilities and how clear the voice is, or "
            "('evidence') the log-probabilities alone."
        ),
    )


_ALL: Final = (
    Kind(
        "speech_fcn",
        "Attention FCN over the spectrogram (Zhang et al. 2018).",
        SpeechFcnOptions,
        make_speech_fcn,
    ),
    Kind(
        "face_cnn",
        "Light residual CNN on 48 px faces, frames joined by attention; for robots.",
        FaceCnnOptions,
        make_face_cnn,
    ),
    Kind(
        "inception",
        "Inception-style light CNN on 48 px faces, frames joined by attention.",
        InceptionOptions,
        make_inception,
    ),
    Kind(
        "live",
        "What the robot runs: log-probabilities of light face CNN and speech FCN, weighed by a "
        "gate.",
        LiveOptions,
        make_live,
    ),
)
LIVE_KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
"""By name."""
LIVE_BUILDER: Final = Builder(LIVE_KINDS)
"""Makes these and no others."""
