"""Makers of what the robot runs, each from the checked values of all options of its kind."""

from __future__ import annotations

from pathlib import Path

from avemo_ros.errors import ConfigError
from avemo_ros.model.attention import (
    FrameAttention,
    FrameMean,
    RelationAttention,
    SelfAttention,
)
from avemo_ros.model.audio_fcn import CHANNELS, AudioFCN
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.face_cnn import FaceCNN, FrameCNN, FramePooling
from avemo_ros.model.frame_models import FaceModel
from avemo_ros.model.inception import InceptionFace
from avemo_ros.model.kind import Values
from avemo_ros.model.live import LiveModel
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.speech_fcn import SpeechFCN, start_from_pictures
from avemo_ros.model.unimodal import Unimodal


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
    return face_model(cnn, values)


def make_inception(values: Values) -> EmotionModel:
    """An Inception-style CNN and attention over frames."""
    if len(values["widths"]) != len(values["blocks"]):
        raise ConfigError("blocks", values["blocks"], "as many numbers as widths has")
    cnn = InceptionFace(values["widths"], values["blocks"], values["stem"])
    return face_model(cnn, values)


def make_live(values: Values) -> EmotionModel:
    """What the robot runs, of a face model and a voice model."""
    face, speech = part_of(values, "face"), part_of(values, "speech")
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


def face_model(cnn: FrameCNN, values: Values) -> FaceModel:
    """A CNN of single pictures, and what joins the frames by the options."""
    attention = _frame_attention(cnn.width, values["attention"], values)
    return FaceModel(cnn, attention, values["dropout"], values["classes"])


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
