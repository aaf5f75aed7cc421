"""Every kind of network this package has, with its options."""

from __future__ import annotations

from typing import Final

from avemo_ros.model.build import Builder
from avemo_ros.model.kind import FACE_END, SHARPNESS, Kind, classes, dropout
from avemo_ros.model.live_kinds import LIVE_KINDS
from avemo_ros.model.spec import (
    Choice,
    File,
    Flag,
    ModelSpec,
    Number,
    Numbers,
    Option,
    Part,
    Whole,
)
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


def _parts(default: str) -> tuple[Option, ...]:
    return (
        classes(default),
        Part("audio", ModelSpec("speech_fcn"), "The voice's part.", ("speech_fcn",)),
        Part(
            "visual",
            ModelSpec("face_cnn"),
            "The face's part, or that of action units.",
            (*_FACES, "units"),
            ("classes",),
        ),
    )


_FBP: Final = (
    *_parts("speech"),
    Whole("outputs", 64, "o: length of the pooled vector.", 1, 4096),
    Whole("factors", 4, "k: products summed for each output.", 1, 64),
    dropout(0.1, "Of the products."),
    Number("eps", 1e-4, "Keeps the slope of the signed root finite.", 1e-8, 1e-1),
    dropout(0.0, "Before the head.", "head_dropout"),
    Flag(
        "decisions",
        False,
        "Add the log-probabilities of both parts to the logits; training starts at their sum.",
    ),
)
_RESEARCH: Final = (
    Kind(
        "vgg_face",
        "VGG16 on faces (VGG-Face, Parkhi et al. 2015), frames joined by attention.",
        (
            Whole("width", 64, "Channels of the first convolution; VGG16: 64.", 1, 64),
            Choice("full", "none", "Last dense layer that is kept.", FULL),
            Choice("norm", "none", "Normalisation; VGG16 has none.", ("none", "batch")),
            Whole("side", 224, "Of the pictures [pixels].", 32, 224, 32),
            File("published", "", "Start: published VGG-Face weights."),
            *FACE_END,
        ),
        make_vgg_face,
    ),
    Kind(
        "vgg_lstm",
        "CNN features through an LSTM, frames shuffled in training (Liu et al. 2018).",
        (
            classes("emotions"),
            Part("frames", ModelSpec("vgg_face"), "CNN of single frames.", _CNNS, ("classes",)),
            Whole("hidden", 128, "Width of the LSTM.", 1, 4096),
            Whole("layers", 1, "Of the LSTM.", 1, 4),
            dropout(0.5, "Before the LSTM and before the head."),
            Flag("shuffle", True, "Frames in random order in training."),
        ),
        make_vgg_lstm,
    ),
    Kind(
        "face_attention",
        "Any frame CNN with attention over frames: mean, softmax (Zhang et al.), or self and "
        "relation (FAN).",
        (
            classes("emotions"),
            Part("frames", ModelSpec("face_cnn"), "CNN of single frames.", _CNNS, ("classes",)),
            Choice(
                "attention",
                "relation",
                "Over frames.",
                ("mean", "softmax", "self", "relation"),
            ),
            SHARPNESS,
            dropout(0.5, "Before self- and relation-attention.", "attention_dropout"),
            dropout(0.6, "Before the head."),
        ),
        make_face_attention,
    ),
    Kind(
        "units",
        "Dense layers over 35 facial action units.",
        (
            Numbers("hidden", (64,), "Widths of hidden layers; may be none.", 1, 4096, (0, 4)),
            dropout(0.3, "After each hidden layer."),
            dropout(0.1, "Of the units.", "input_dropout"),
            classes("speech"),
        ),
        make_units,
    ),
    Kind(
        "concat",
        "Both vectors side by side through dense layers.",
        (
            *_parts("speech"),
            Whole("hidden", 64, "Width of the hidden layer; 0: none.", 0, 4096),
            dropout(0.3, "Before each dense layer."),
        ),
        make_concat,
    ),
    Kind(
        "decision",
        "Weighted sum of the log-probabilities of both parts.",
        (
            *_parts("speech"),
            Numbers(
                "weights", (1.0, 1.0), "Of voice and face.", 1e-3, 1e3, (2, 2), whole=False
            ),
            Flag("learnt", True, "Learn the weights; false: they stay."),
        ),
        make_decision,
    ),
    Kind(
        "fbp",
        "Factorized bilinear pooling of both vectors (Zhang, Wang, Du 2019).",
        _FBP,
        make_fbp,
    ),
    Kind(
        "adaptive_fbp",
        "FBP of vectors scaled by learnt shares of voice and face (AG-FBP, Zhou et al. 2021).",
        _FBP,
        make_adaptive_fbp,
    ),
    Kind(
        "multilevel_fbp",
        "FBP of the whole and of segments of it (AM-FBP, Zhou et al. 2021).",
        (
            *_FBP,
            Flag("gate", True, "Shares of voice and face, as in adaptive_fbp."),
            Whole("segments", 4, "Parts that each stream is cut into.", 1, 64),
            Choice("over_segments", "mean", "How segments are joined.", ("mean", "attention")),
        ),
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
