"""The kinds of networks that the robot runs: the live network and its usual parts.

Those that are only trained and compared are in `zoo/kinds.py`; a robot does not import them.
"""

from __future__ import annotations

from typing import Final

from avemo_ros.model.audio_fcn import CHANNELS, FRONTS, NORMS, POOLS
from avemo_ros.model.build import Builder
from avemo_ros.model.kind import FACE_END, SHARPNESS, Kind, classes, dropout
from avemo_ros.model.makers import (
    make_face_cnn,
    make_inception,
    make_live,
    make_speech_fcn,
)
from avemo_ros.model.network import FUSIONS
from avemo_ros.model.spec import Choice, File, Flag, ModelSpec, Numbers, Part, Whole

_ALL: Final = (
    Kind(
        "speech_fcn",
        "Attention FCN over the spectrogram (Zhang et al. 2018).",
        (
            Choice("front", "log", "Channels made of the log spectrogram.", FRONTS),
            Numbers(
                "channels",
                "torchvision",
                "Of the five convolutions: torchvision's AlexNet, or that of the paper.",
                1,
                1024,
                (5, 5),
                words=CHANNELS,
            ),
            Choice("norm", "batch", "Normalisation; local is AlexNet's (LRN).", NORMS),
            Whole("local_size", 0, "Channels that LRN looks at; 0: all.", 0, 1024),
            Choice("attention", "cells", "Over cells (2-D), over time (1-D), or none.", POOLS),
            SHARPNESS,
            Flag("statistics", False, "Pool the cells' deviation beside their mean."),
            dropout(0.3, "Before the head."),
            classes("speech"),
            File("imagenet", "", "Start: state dict of torchvision's AlexNet."),
        ),
        make_speech_fcn,
    ),
    Kind(
        "face_cnn",
        "Light residual CNN on 48 px faces, frames joined by attention; for robots.",
        (
            Numbers("widths", (48, 96, 192, 256), "Of the stages.", 1, 1024, (1, 6)),
            Numbers("blocks", (2, 2, 2, 1), "In each stage.", 1, 16, (1, 6)),
            Whole("stem", 32, "Channels of the first convolution.", 1, 256),
            *FACE_END,
        ),
        make_face_cnn,
    ),
    Kind(
        "inception",
        "Inception-style light CNN on 48 px faces, frames joined by attention.",
        (
            Numbers(
                "widths", (96, 192, 256), "Of the groups of blocks.", 8, 1024, (1, 6), step=8
            ),
            Numbers("blocks", (1, 2, 2), "In each group.", 1, 16, (1, 6)),
            Whole("stem", 32, "Channels of the first convolution.", 1, 256),
            *FACE_END,
        ),
        make_inception,
    ),
    Kind(
        "live",
        "What the robot runs: log-probabilities of light face CNN and speech FCN, weighed by a "
        "gate.",
        (
            Part(
                "face",
                ModelSpec("face_cnn"),
                "The face's part.",
                ("face_cnn", "inception"),
            ),
            Part("speech", ModelSpec("speech_fcn"), "The voice's part.", ("speech_fcn",)),
            Choice(
                "fusion",
                "clarity",
                "What the gate reads: the log-probabilities and how clear the voice is, or "
                "('evidence') the log-probabilities alone.",
                FUSIONS,
            ),
        ),
        make_live,
    ),
)
LIVE_KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
"""By name."""
LIVE_BUILDER: Final = Builder(LIVE_KINDS)
"""Makes these and no others."""
