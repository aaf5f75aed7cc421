"""Makers of networks, each from the checked values of all options of its kind.

A part of a network, such as the voice's part of a fusion, has been made before: it stands in
the values instead of its specification.  What a maker refuses it names by its option alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.model.attention import (
    FrameAttention,
    FrameMean,
    RelationAttention,
    SelfAttention,
)
from avemo_ros.model.audio_fcn import CHANNELS, AudioFCN
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
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.speech_fcn import SpeechFCN, start_from_pictures
from avemo_ros.model.unimodal import Unimodal
from avemo_ros.model.units_mlp import UnitsMLP
from avemo_ros.model.vgg_face import VggFace, load_published

Values = Mapping[str, Any]
"""Of all options by name."""


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
    model = SpeechFCN(fcn, values["dropout"], values["classes"])
    if values["imagenet"]:
        if values["channels"] != CHANNELS["torchvision"]:
            raise ConfigError(
                "channels", values["channels"], "torchvision, to start from imagenet"
            )
        model.start_note = start_from_pictures(fcn, Path(values["imagenet"]).expanduser())
    return model


def make_face_cnn(values: Values) -> EmotionModel:
    """A light residual CNN and attention over frames."""
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = FaceCNN(values["widths"], values["blocks"], values["stem"])
    return _face_model(cnn, values)


def make_inception(values: Values) -> EmotionModel:
    """An Inception-style CNN and attention over frames."""
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = InceptionFace(values["widths"], values["blocks"], values["stem"])
    return _face_model(cnn, values)


def make_vgg_face(values: Values) -> EmotionModel:
    """VGG16, maybe with published weights, and attention over frames."""
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


def make_face_attention(values: Values) -> EmotionModel:
    """Attention over frames, after the CNN of another face model."""
    frames = _part(values, "frames")
    assert isinstance(frames, FaceModel)
    model = _face_model(frames.branch.cnn, values)
    model.start_note = frames.start_note
    return model


def make_vgg_lstm(values: Values) -> EmotionModel:
    """An LSTM over frames, after the CNN of another face model."""
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
    audio, visual = _part(values, "audio"), _part(values, "visual")
    for name, part in (("audio", audio), ("visual", visual)):
        if values["classes"] == "speech" and len(part.classes) == 7:
            raise ConfigError(
                f"{name}.classes", "emotions", "speech, as those of the fusion are"
            )
    classes = 8 if values["classes"] == "speech" else 7
    fusion = make(audio, visual, classes)
    return FusedModel(audio, visual, fusion, values["classes"], segments)


def make_live(values: Values) -> EmotionModel:
    """What the robot runs, of a face model and a voice model."""
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


def _part(values: Values, name: str) -> Unimodal:
    part = values[name]
    assert isinstance(part, Unimodal)
    return part
