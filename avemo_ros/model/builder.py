"""Networks from their specifications: kinds, their options and factories, and the builder.

The kinds here are those that the robot runs: the live network and its usual parts.  Those that
are only trained and compared are in `zoo/model_registry.py`; a robot does not import them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.model.attention import (
    FrameAttention,
    FrameMean,
    RelationAttention,
    SelfAttention,
)
from avemo_ros.model.emotion_model import (
    EmotionModel,
    ModelSpec,
    Part,
    Start,
    Unimodal,
    parts_of,
    starts_of,
)
from avemo_ros.model.face_cnn import FaceCNN, FaceModel, FrameCNN, FramePooling, InceptionFace
from avemo_ros.model.landmark_network import LandmarkSequence
from avemo_ros.model.network import FUSIONS, EmotionNet, LiveModel
from avemo_ros.model.speech_encoder import (
    CHANNELS,
    FRONTS,
    NORMS,
    POOLS,
    AudioFCN,
    SpeechModel,
    init_from_imagenet,
)
from avemo_ros.model.whisper_encoder import WhisperEncoder, init_from_whisper
from avemo_ros.settings import ListOf, Named, OneOf, Settings, did_you_mean

Values = Mapping[str, Any]
"""Of all options by name; a part of a network, such as the voice's part of a fusion, has been
made before and stands in the values instead of its specification."""


@dataclass(frozen=True, slots=True)
class ModelKind:
    """One kind of model."""

    name: str
    text: str
    """What it is, in a sentence."""
    options: type[Settings]
    """Its options; one that is a model itself has `emotion_model.Part` beside its type."""
    make: Callable[[Values], EmotionModel]
    """From checked values of all options.  What it refuses it names by its option alone."""


Classes = Annotated[
    Literal["emotions", "speech"],
    Field(description="Classes: emotions (7), or speech (8, with calm apart from neutral)."),
]
"""Which classes the logits are of."""
Dropout = Annotated[float, Field(ge=0.0, le=0.9)]
"""A share that is hidden in training."""
Sharpness = Annotated[
    float,
    Field(ge=0.0, le=1.0, description="lambda of the softmax attention; 0 is the plain mean."),
]


class FaceOptions(Settings):
    """Options of what comes after the CNN of a face model."""

    attention: Literal["softmax", "mean"] = Field(
        "softmax",
        description=(
            "How frames are joined: softmax attention (Zhang et al.) or the plain mean."
        ),
    )
    sharpness: Sharpness = 0.3
    dropout: Dropout = Field(0.2, description="Dropout before the head.")
    classes: Annotated[
        Literal["emotions", "speech", "face"],
        Field(
            description=(
                "Classes: emotions (7), speech (8, with calm apart from neutral), or face (8, "
                "with contempt); a part of a larger model has emotions or speech."
            )
        ),
    ] = "emotions"
    votes: bool = Field(
        False,
        description=(
            "A second head learns the raters' votes (FER+, 8 classes), by "
            "`training.auxiliary`; it is not used afterwards."
        ),
    )


def make_speech_fcn(values: Values) -> EmotionModel:
    """A network over the spectrogram."""
    fcn = AudioFCN(
        values["channels"],
        front=values["front"],
        norm=values["norm"],
        local_size=values["local_size"],
        attention=values["attention"],
        sharpness=values["sharpness"],
        statistics=values["statistics"],
    )
    model = SpeechModel(fcn, values["dropout"], values["classes"])
    if values["imagenet"]:
        if values["channels"] != CHANNELS["torchvision"]:
            raise ConfigError(
                "channels", values["channels"], "torchvision, to start from imagenet"
            )
        model.start_note = init_from_imagenet(fcn, Path(values["imagenet"]).expanduser())
    return model


def make_whisper(values: Values) -> EmotionModel:
    """The first layers of Whisper's encoder over the spectrogram."""
    encoder = WhisperEncoder(
        values["width"],
        values["layers"],
        attention=values["attention"],
        sharpness=values["sharpness"],
        statistics=values["statistics"],
        hidden=values["hidden"],
        pooled_dropout=values["pooled_dropout"],
        dropout=values["layer_dropout"],
    )
    model = SpeechModel(encoder, values["dropout"], values["classes"])
    if values["whisper"]:
        model.start_note = init_from_whisper(encoder, Path(values["whisper"]).expanduser())
    return model


def make_face_cnn(values: Values) -> EmotionModel:
    """A light residual CNN and attention over frames."""
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = FaceCNN(
        values["widths"], values["blocks"], values["stem"], mirrored=values["mirrored"]
    )
    return face_model(cnn, values)


def make_inception(values: Values) -> EmotionModel:
    """An Inception-style CNN and attention over frames."""
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = InceptionFace(values["widths"], values["blocks"], values["stem"])
    return face_model(cnn, values)


def make_landmark_sequence(values: Values) -> EmotionModel:
    """Temporal layers over landmark sequences."""
    return LandmarkSequence(**{name: values[name] for name in LandmarkSequenceOptions.names()})


def make_live(values: Values) -> EmotionModel:
    """What the robot runs, of a face model and a voice model."""
    face, speech = part_of(values, "face"), part_of(values, "speech")
    assert isinstance(face, FaceModel)
    assert isinstance(speech, SpeechModel)
    wanted = (
        ("face.classes", face.classes, 7, "emotions"),
        ("speech.classes", speech.classes, 8, "speech"),
    )
    for name, classes, count, word in wanted:
        if len(classes) != count:
            raise ConfigError(f"{name}", f"{len(classes)} classes", word)
    landmarks = values["landmarks"]
    assert landmarks is None or isinstance(landmarks, LandmarkSequence)
    return LiveModel(EmotionNet(face.branch, speech.branch, values["fusion"], landmarks))


def face_model(cnn: FrameCNN, values: Values) -> FaceModel:
    """A CNN of single images, and what joins the frames by the options."""
    attention = _frame_attention(cnn.width, values["attention"], values)
    return FaceModel(
        cnn, attention, values["dropout"], values["classes"], votes=values.get("votes", False)
    )


def _frame_attention(width: int, name: str, values: Values) -> FramePooling:
    if name == "mean":
        return FrameMean(width)
    if name == "softmax":
        return FrameAttention(width, values["sharpness"])
    over = SelfAttention if name == "self" else RelationAttention
    return over(width, values["attention_dropout"])


def part_of(values: Values, name: str) -> Unimodal:
    """A part of a network that was made before."""
    part = values[name]
    assert isinstance(part, Unimodal)
    return part


class Builder:
    """Checks specifications of some kinds of networks, and makes networks of them.

    Args:
        kinds: that it knows, by name.
        others: names of kinds that are no networks, for messages about a whole model.
    """

    def __init__(self, kinds: Mapping[str, ModelKind], others: Iterable[str] = ()) -> None:
        self._kinds = kinds
        self._others = tuple(others)

    def check(self, spec: ModelSpec, where: str = "model") -> ModelSpec:
        """A specification with every option of its kind: its own or the default.

        Args:
            spec: as given.
            where: how messages name it.

        Raises:
            ConfigError: the kind or an option is not known, or a value is not allowed; the
                message names parameter, value and what is allowed.
        """
        kind = self._kinds.get(spec.kind)
        if kind is None:
            raise ConfigError(f"{where}.kind", spec.kind, self._names(spec.kind, where))
        try:
            options = kind.options.from_mapping(spec.options)
        except ConfigError as error:
            raise ConfigError(f"{where}.{error.name}", error.value, error.allowed) from None
        values = {name: getattr(options, name) for name in options.names()}
        for name, part in parts_of(kind.options).items():
            over = {inherited: values[inherited] for inherited in part.inherits}
            own = values[name]
            if own is None:
                continue
            inner = ModelSpec(own.kind, {**over, **own.options})
            values[name] = self.check(inner, f"{where}.{name}")
        return ModelSpec(spec.kind, values)

    def lasting(self, spec: ModelSpec) -> ModelSpec:
        """A checked specification without what only says how training starts."""
        starts = starts_of(self._kinds[spec.kind].options)
        options = {
            name: self.lasting(value) if isinstance(value, ModelSpec) else value
            for name, value in spec.options.items()
            if name not in starts
        }
        return ModelSpec(spec.kind, options)

    def build(self, spec: ModelSpec, where: str = "model") -> EmotionModel:
        """The network of a specification, with random weights or those its options name.

        Random weights come from torch's default generator: seed it first.

        Args:
            spec: kind and options.
            where: how messages name it.

        Raises:
            ConfigError: an option is not allowed, see `check`.
            WeightsError: a file that an option names cannot be used.
        """
        return self._make(self.check(spec, where), where)

    def _make(self, spec: ModelSpec, where: str) -> EmotionModel:
        try:
            values = {
                name: self._make(value, name) if isinstance(value, ModelSpec) else value
                for name, value in spec.options.items()
            }
            return self._kinds[spec.kind].make(values)
        except ConfigError as error:
            # Makers name an option alone; they do not know what they are part of.
            raise ConfigError(f"{where}.{error.name}", error.value, error.allowed) from None

    def _names(self, given: str, where: str) -> str:
        """What is allowed instead of a kind; a whole model may also be no network."""
        names = list(self._kinds)
        if where == "model" and given not in self._others:
            names += self._others
        return " | ".join(names) + did_you_mean(given, names)


def init_notes(model: nn.Module) -> tuple[str, ...]:
    """What the parts of a model took from weights of elsewhere, in words."""
    parts = (part for part in model.modules() if isinstance(part, Unimodal))
    return tuple(part.start_note for part in parts if part.start_note)


SPEECH_KINDS: Final = ("speech_fcn", "whisper")
"""Those of the voice."""
_Width = Annotated[int, Field(ge=1, le=1024)]
_OfStages = Field(min_length=1, max_length=6)
_Blocks = Annotated[ListOf[Annotated[int, Field(ge=1, le=16)]], _OfStages]
_Stem = Annotated[int, Field(ge=1, le=256, description="Channels of the first convolution.")]


class SpeechFcnOptions(Settings):
    """Options of speech_fcn."""

    front: Annotated[str, OneOf(FRONTS)] = Field(
        "log", description="Input channels, computed from the log spectrogram."
    )
    channels: Annotated[ListOf[_Width], Field(min_length=5, max_length=5), Named(CHANNELS)] = (
        Field(
            CHANNELS["torchvision"],
            description=(
                "Channels of the five convolutions: as in torchvision's AlexNet, or as in "
                "the paper."
            ),
        )
    )
    norm: Annotated[str, OneOf(NORMS)] = Field(
        "batch", description="Normalisation; local is AlexNet's (LRN)."
    )
    local_size: int = Field(0, ge=0, le=1024, description="Number of channels for LRN; 0: all.")
    attention: Annotated[str, OneOf(POOLS)] = Field(
        "cells", description="Attention over cells (2-D), over time (1-D), or none."
    )
    sharpness: Sharpness = 0.3
    statistics: bool = Field(
        False, description=("Pool the cells' standard deviation in addition to their mean.")
    )
    dropout: Dropout = Field(0.3, description="Dropout before the head.")
    classes: Classes = "speech"
    imagenet: Start = Field(
        "", description=("Initial weights: state dict of torchvision's AlexNet.")
    )


class WhisperOptions(Settings):
    """Options of whisper."""

    width: int = Field(
        512,
        ge=64,
        le=1280,
        multiple_of=64,
        description="Width of the states; Whisper tiny: 384, base: 512.",
    )
    layers: int = Field(
        3, ge=1, le=32, description="Number of layers that are kept, from the first."
    )
    attention: Literal["time", "mean"] = Field("time", description="Over time, or none.")
    sharpness: Sharpness = 0.3
    statistics: bool = Field(
        True, description="Pool the states' standard deviation in addition to their mean."
    )
    hidden: bool = Field(
        False,
        description="An activation (GELU) after mean and deviation are joined: a hidden layer.",
    )
    pooled_dropout: Dropout = Field(0.0, description="Dropout of mean and deviation.")
    layer_dropout: Dropout = Field(0.0, description="Dropout within the layers.")
    dropout: Dropout = Field(0.3, description="Dropout before the head.")
    classes: Classes = "speech"
    whisper: Start = Field(
        "",
        description=(
            "Initial weights: `model.bin` of a Whisper model in the format of CTranslate2."
        ),
    )


class FaceCnnOptions(FaceOptions):
    """Options of face_cnn."""

    widths: Annotated[ListOf[_Width], _OfStages] = Field(
        (48, 96, 192, 256), description="Channels of each stage."
    )
    blocks: _Blocks = Field((2, 2, 2, 1), description="Number of blocks in each stage.")
    stem: _Stem = 32
    mirrored: bool = Field(
        False,
        description=(
            "Read each face and its mirror image, but not in training, and take the mean of "
            "the embeddings; twice the time."
        ),
    )


class InceptionOptions(FaceOptions):
    """Options of inception."""

    widths: Annotated[
        ListOf[Annotated[int, Field(ge=8, le=1024, multiple_of=8)]], _OfStages
    ] = Field((96, 192, 256), description="Channels of each group of blocks.")
    blocks: _Blocks = Field((1, 2, 2), description="Number of blocks in each group.")
    stem: _Stem = 32


class LandmarkSequenceOptions(Settings):
    """Options of landmark_sequence."""

    width: int = Field(96, ge=1, le=4096, description="Width of a frame's embedding.")
    blocks: int = Field(2, ge=0, le=6, description="Number of temporal convolutions.")
    kernel: Literal[3, 5, 7, 9] = Field(5, description="Frames that a convolution reads.")
    lstm: int = Field(
        0,
        ge=0,
        le=1024,
        description="Width of an LSTM after them; 0: none.  With one there is no ONNX file.",
    )
    attention: Literal["mean", "softmax", "self", "relation"] = Field(
        "mean", description="Over frames."
    )
    statistics: bool = Field(
        True, description="Pool the standard deviation over the frames beside the mean."
    )
    dropout: Dropout = Field(
        0.4, description="Dropout before each temporal layer and before the head."
    )
    input_dropout: Dropout = Field(0.1, description="Dropout of a frame's values.")
    classes: Classes = "speech"


class LiveOptions(Settings):
    """Options of live."""

    face: Annotated[ModelSpec, Part(("face_cnn", "inception"))] = Field(
        ModelSpec("face_cnn"), description="Network of the face."
    )
    speech: Annotated[ModelSpec, Part(SPEECH_KINDS)] = Field(
        ModelSpec("speech_fcn"), description="Network of the voice."
    )
    landmarks: Annotated[ModelSpec | None, Part(("landmark_sequence",), optional=True)] = Field(
        None, description="Network of the landmarks of the face; null: they are not read."
    )
    fusion: Annotated[str, OneOf(FUSIONS)] = Field(
        "clarity",
        description=(
            "Input of the gate: 'clarity' is the log-probabilities and how clear the voice "
            "is, 'evidence' the log-probabilities alone."
        ),
    )


_ALL: Final = (
    ModelKind(
        "speech_fcn",
        "Attention FCN over the spectrogram (Zhang et al. 2018).",
        SpeechFcnOptions,
        make_speech_fcn,
    ),
    ModelKind(
        "whisper",
        "First layers of Whisper's encoder over the spectrogram (Radford et al. 2022).",
        WhisperOptions,
        make_whisper,
    ),
    ModelKind(
        "face_cnn",
        "Light residual CNN on 48 px faces, frames joined by attention; for robots.",
        FaceCnnOptions,
        make_face_cnn,
    ),
    ModelKind(
        "inception",
        "Inception-style light CNN on 48 px faces, frames joined by attention.",
        InceptionOptions,
        make_inception,
    ),
    ModelKind(
        "landmark_sequence",
        "Temporal convolutions or an LSTM over 68 landmarks, frames joined by attention.",
        LandmarkSequenceOptions,
        make_landmark_sequence,
    ),
    ModelKind(
        "live",
        "What the robot runs: log-probabilities of the light face CNN and the speech network, "
        "weighted by a gate.",
        LiveOptions,
        make_live,
    ),
)
LIVE_KINDS: Final[dict[str, ModelKind]] = {kind.name: kind for kind in _ALL}
"""By name."""
LIVE_BUILDER: Final = Builder(LIVE_KINDS)
"""Makes these and no others."""
