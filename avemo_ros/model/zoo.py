"""Every kind of network this package has, and how one is made from its specification."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.model.attention import (
    FrameAttention,
    FrameMean,
    RelationAttention,
    SelfAttention,
)
from avemo_ros.model.audio_fcn import CHANNELS, FRONTS, NORMS, POOLS, AudioFCN
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.branch import FrameCNN, FramePooling
from avemo_ros.model.face_cnn import FaceCNN
from avemo_ros.model.frame_models import FaceModel, FrameLSTM
from avemo_ros.model.fused import (
    Bilinear,
    BilinearOptions,
    Concatenation,
    Decision,
    FusedModel,
)
from avemo_ros.model.inception import InceptionFace
from avemo_ros.model.live import LiveModel
from avemo_ros.model.network import FUSIONS, EmotionNet
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
from avemo_ros.model.speech_fcn import SpeechFCN, start_from_pictures
from avemo_ros.model.unimodal import Unimodal
from avemo_ros.model.units_mlp import UnitsMLP
from avemo_ros.model.vgg_face import FULL, VggFace, load_published

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model."""

    name: str
    text: str
    """What it is, in a sentence."""
    options: tuple[Option, ...]
    make: Callable[[Values], EmotionModel]
    """From checked values of all options."""


def check(spec: ModelSpec, where: str = "model") -> ModelSpec:
    """A specification with every option of its kind: its own or the default.

    Args:
        spec: as given.
        where: how messages name it.

    Raises:
        ConfigError: the kind or an option is not known, or a value is not allowed; the message
            names parameter, value and what is allowed.
    """
    if spec.kind not in KINDS:
        raise ConfigError(f"{where}.kind", spec.kind, _kinds(spec.kind, where))
    kind = KINDS[spec.kind]
    names = [option.name for option in kind.options]
    for name, value in spec.options.items():
        if name not in names:
            raise ConfigError(
                f"{where}.{name}", value, f"{spec.kind} has only: {', '.join(names)}"
            )
    values: dict[str, Any] = {}
    for option in kind.options:
        place = f"{where}.{option.name}"
        given = spec.options.get(option.name, option.default)
        try:
            value = option.read(given)
        except ValueError:
            raise ConfigError(place, given, option.allowed) from None
        if isinstance(option, Part):
            over = {name: values[name] for name in option.inherits}
            value = check(ModelSpec(value.kind, {**over, **value.options}), place)
        values[option.name] = value
    return ModelSpec(spec.kind, values)


def _kinds(given: str, where: str) -> str:
    """What is allowed instead of a kind; a whole model may also be no network."""
    names = list(KINDS)
    if where == "model":
        from avemo_ros.model.classical import KINDS as OTHERS

        if given not in OTHERS:
            names += OTHERS
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return " | ".join(names) + (f" (did you mean '{near[0]}'?)" if near else "")


def lasting(spec: ModelSpec) -> ModelSpec:
    """A checked specification without what only says how training starts."""
    options = {
        option.name: lasting(value) if isinstance(value, ModelSpec) else value
        for option in KINDS[spec.kind].options
        if option.lasting
        for value in (spec.options[option.name],)
    }
    return ModelSpec(spec.kind, options)


def build(spec: ModelSpec, where: str = "model") -> EmotionModel:
    """The network of a specification, with random weights or those its options name.

    Random weights come from torch's default generator: seed it first.

    Args:
        spec: kind and options.
        where: how messages name it.

    Raises:
        ConfigError: an option is not allowed, see `check`.
        WeightsError: a file that an option names cannot be used.
    """
    return _make(check(spec, where), where)


def start_notes(model: nn.Module) -> tuple[str, ...]:
    """What the parts of a model took from weights of elsewhere, in words."""
    parts = (part for part in model.modules() if isinstance(part, Unimodal))
    return tuple(part.start_note for part in parts if part.start_note)


def _make(spec: ModelSpec, where: str) -> EmotionModel:
    try:
        return KINDS[spec.kind].make(spec.options)
    except ConfigError as error:
        # Makers name an option alone; they do not know what they are part of.
        raise ConfigError(f"{where}.{error.name}", error.value, error.allowed) from None


def _part(values: Values, name: str) -> Unimodal:
    made = _make(values[name], name)
    assert isinstance(made, Unimodal)
    return made


def _speech_fcn(values: Values) -> EmotionModel:
    fcn = AudioFCN(
        values["channels"],
        front=values["front"],
        norm=values["norm"],
        local_size=values["local_size"],
        attention=values["attention"],
        sharpness=values["sharpness"],
        statistics=values["statistics"],
    )
    model = SpeechFCN(fcn, values["dropout"], values["classes"])
    if values["imagenet"]:
        if values["channels"] != CHANNELS["torchvision"]:
            raise ConfigError(
                "channels", values["channels"], "torchvision, to start from imagenet"
            )
        model.start_note = start_from_pictures(fcn, Path(values["imagenet"]).expanduser())
    return model


def _face_cnn(values: Values) -> EmotionModel:
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = FaceCNN(values["widths"], values["blocks"], values["stem"])
    return _face_model(cnn, values)


def _inception(values: Values) -> EmotionModel:
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = InceptionFace(values["widths"], values["blocks"], values["stem"])
    return _face_model(cnn, values)


def _vgg_face(values: Values) -> EmotionModel:
    normalised = values["norm"] == "batch"
    if values["published"] and normalised:
        raise ConfigError("norm", "batch", "none, to start from published weights")
    cnn = VggFace(values["width"], values["full"], normalised=normalised, side=values["side"])
    model = _face_model(cnn, values)
    if values["published"]:
        model.start_note = load_published(cnn, Path(values["published"]).expanduser())
    return model


def _face_model(cnn: FrameCNN, values: Values) -> FaceModel:
    attention = _frame_attention(cnn.width, values["attention"], values)
    return FaceModel(cnn, attention, values["dropout"], values["classes"])


def _frame_attention(width: int, name: str, values: Values) -> FramePooling:
    if name == "mean":
        return FrameMean(width)
    if name == "softmax":
        return FrameAttention(width, values["sharpness"])
    over = SelfAttention if name == "self" else RelationAttention
    return over(width, values["attention_dropout"])


def _face_attention(values: Values) -> EmotionModel:
    frames = _part(values, "frames")
    assert isinstance(frames, FaceModel)
    model = _face_model(frames.branch.cnn, values)
    model.start_note = frames.start_note
    return model


def _vgg_lstm(values: Values) -> EmotionModel:
    frames = _part(values, "frames")
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


def _units(values: Values) -> EmotionModel:
    return UnitsMLP(
        values["hidden"], values["dropout"], values["input_dropout"], values["classes"]
    )


def _decision(values: Values) -> EmotionModel:
    fusion = Decision(values["weights"], learnt=values["learnt"])
    return _fused(values, lambda _audio, _visual, _classes: fusion)


def _concat(values: Values) -> EmotionModel:
    return _fused(
        values,
        lambda audio, visual, classes: Concatenation(
            audio, visual, classes, values["hidden"], values["dropout"]
        ),
    )


def _fbp(values: Values) -> EmotionModel:
    return _bilinear(values)


def _adaptive_fbp(values: Values) -> EmotionModel:
    return _bilinear(values, gate=True)


def _multilevel_fbp(values: Values) -> EmotionModel:
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
    audio, visual = _part(values, "audio"), _part(values, "visual")
    for name, part in (("audio", audio), ("visual", visual)):
        if values["classes"] == "speech" and len(part.classes) == 7:
            raise ConfigError(
                f"{name}.classes", "emotions", "speech, as those of the fusion are"
            )
    classes = 8 if values["classes"] == "speech" else 7
    fusion = make(audio, visual, classes)
    return FusedModel(audio, visual, fusion, values["classes"], segments)


def _live(values: Values) -> EmotionModel:
    face, speech = _part(values, "face"), _part(values, "speech")
    assert isinstance(face, FaceModel)
    assert isinstance(speech, SpeechFCN)
    wanted = (
        ("face.classes", face.classes, 7, "emotions"),
        ("speech.classes", speech.classes, 8, "speech"),
    )
    for name, classes, count, word in wanted:
        if len(classes) != count:
            raise ConfigError(f"{name}", f"{len(classes)} classes", word)
    return LiveModel(EmotionNet(face.branch, speech.branch, values["fusion"]))


def _classes(default: str) -> Choice:
    text = "Names of the logits: emotions (7), or speech (8: calm apart from neutral)."
    return Choice("classes", default, text, ("emotions", "speech"))


def _dropout(default: float, text: str, name: str = "dropout") -> Number:
    return Number(name, default, text, 0.0, 0.9)


_SHARPNESS: Final = Number(
    "sharpness", 0.3, "lambda of the softmax attention; 0 is the plain mean.", 0.0, 1.0
)
_FRAMES: Final = Choice(
    "attention",
    "softmax",
    "How frames are joined: softmax attention (Zhang et al.) or the plain mean.",
    ("softmax", "mean"),
)
_FACE_END: Final = (
    _FRAMES,
    _SHARPNESS,
    _dropout(0.2, "Before the head."),
    _classes("emotions"),
)
_CNNS: Final = ("face_cnn", "vgg_face", "inception")
_FACES: Final = (*_CNNS, "face_attention", "vgg_lstm")


def _parts(default: str) -> tuple[Option, ...]:
    return (
        _classes(default),
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
    _dropout(0.1, "Of the products."),
    Number("eps", 1e-4, "Keeps the slope of the signed root finite.", 1e-8, 1e-1),
    _dropout(0.0, "Before the head.", "head_dropout"),
    Flag(
        "decisions",
        False,
        "Add the log-probabilities of both parts to the logits; training starts at their sum.",
    ),
)


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
            _SHARPNESS,
            Flag("statistics", False, "Pool the cells' deviation beside their mean."),
            _dropout(0.3, "Before the head."),
            _classes("speech"),
            File("imagenet", "", "Start: state dict of torchvision's AlexNet."),
        ),
        _speech_fcn,
    ),
    Kind(
        "face_cnn",
        "Light residual CNN on 48 px faces, frames joined by attention; for robots.",
        (
            Numbers("widths", (48, 96, 192, 256), "Of the stages.", 1, 1024, (1, 6)),
            Numbers("blocks", (2, 2, 2, 1), "In each stage.", 1, 16, (1, 6)),
            Whole("stem", 32, "Channels of the first convolution.", 1, 256),
            *_FACE_END,
        ),
        _face_cnn,
    ),
    Kind(
        "vgg_face",
        "VGG16 on faces (VGG-Face, Parkhi et al. 2015), frames joined by attention.",
        (
            Whole("width", 64, "Channels of the first convolution; VGG16: 64.", 1, 64),
            Choice("full", "none", "Last dense layer that is kept.", FULL),
            Choice("norm", "none", "Normalisation; VGG16 has none.", ("none", "batch")),
            Whole("side", 224, "Of the pictures [pixels].", 32, 224, 32),
            File("published", "", "Start: published VGG-Face weights."),
            *_FACE_END,
        ),
        _vgg_face,
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
            *_FACE_END,
        ),
        _inception,
    ),
    Kind(
        "vgg_lstm",
        "CNN features through an LSTM, frames shuffled in training (Liu et al. 2018).",
        (
            _classes("emotions"),
            Part("frames", ModelSpec("vgg_face"), "CNN of single frames.", _CNNS, ("classes",)),
            Whole("hidden", 128, "Width of the LSTM.", 1, 4096),
            Whole("layers", 1, "Of the LSTM.", 1, 4),
            _dropout(0.5, "Before the LSTM and before the head."),
            Flag("shuffle", True, "Frames in random order in training."),
        ),
        _vgg_lstm,
    ),
    Kind(
        "face_attention",
        "Any frame CNN with attention over frames: mean, softmax (Zhang et al.), or self and "
        "relation (FAN).",
        (
            _classes("emotions"),
            Part("frames", ModelSpec("face_cnn"), "CNN of single frames.", _CNNS, ("classes",)),
            Choice(
                "attention",
                "relation",
                "Over frames.",
                ("mean", "softmax", "self", "relation"),
            ),
            _SHARPNESS,
            _dropout(0.5, "Before self- and relation-attention.", "attention_dropout"),
            _dropout(0.6, "Before the head."),
        ),
        _face_attention,
    ),
    Kind(
        "units",
        "Dense layers over 35 facial action units.",
        (
            Numbers("hidden", (64,), "Widths of hidden layers; may be none.", 1, 4096, (0, 4)),
            _dropout(0.3, "After each hidden layer."),
            _dropout(0.1, "Of the units.", "input_dropout"),
            _classes("speech"),
        ),
        _units,
    ),
    Kind(
        "concat",
        "Both vectors side by side through dense layers.",
        (
            *_parts("speech"),
            Whole("hidden", 64, "Width of the hidden layer; 0: none.", 0, 4096),
            _dropout(0.3, "Before each dense layer."),
        ),
        _concat,
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
        _decision,
    ),
    Kind(
        "fbp",
        "Factorized bilinear pooling of both vectors (Zhang, Wang, Du 2019).",
        _FBP,
        _fbp,
    ),
    Kind(
        "adaptive_fbp",
        "FBP of vectors scaled by learnt shares of voice and face (AG-FBP, Zhou et al. 2021).",
        _FBP,
        _adaptive_fbp,
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
        _multilevel_fbp,
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
                "vectors",
                "vectors: the gate reads both vectors, and FBP of them is added; evidence: it "
                "reads the log-probabilities; clarity: these, and how clear the voice is.",
                FUSIONS,
            ),
        ),
        _live,
    ),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
"""Kinds of networks by name."""
