"""The parts of a network that a program calls one by one.

Embeddings of faces and the vector of a window of speech can thus be used again.  The parts are:

- of a live model: `face` (images to embeddings), `speech` (spectrogram to vector and
  log-probabilities), `face-answer` (embeddings to log-probabilities and weights of the frames)
  and `fusion` (vector and embeddings to log-probabilities, the face's share and weights); if it
  reads landmarks, also `landmarks` (points and the resting face to log-probabilities), which
  `face-answer` and `fusion` then take as well, zeros where there are none;
- of a fusion: `audio` and `visual` (input to vector, log-probabilities and segments, if the
  fusion has them) and `fusion` (both of these, and which is there, to logits);
- of a model of one modality: one part, input to logits.

Input is what `preprocess.py` makes.  Log-probabilities of a live model are calibrated; logits
of others are to be divided by the temperature of the model file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.audio.spectrogram import BINS
from avemo_ros.data.features import UNITS
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import EmotionModel, Encoded, Unimodal, to_emotion_logits
from avemo_ros.model.face_points import POINTS, VALUES
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.model.released import LANDMARKS_PART
from avemo_ros.model.torch_network import bn_folded
from avemo_ros.zoo.fusion_models import FusedModel, FusionInput


@dataclass(frozen=True, slots=True)
class Submodule:
    """One part of a model that is a file of its own."""

    name: str
    module: nn.Module
    """Tensors to tensors, ready for inference."""
    inputs: Mapping[str, tuple[int | str, ...]]
    """Shape of each input; a word is a size that may change."""
    outputs: tuple[str, ...]
    bools: frozenset[str] = field(default_factory=frozenset)
    """Inputs of true and false."""

    def example(self, sizes: Mapping[str, int], seed: int = 0) -> tuple[Tensor, ...]:
        """Random input of these sizes."""
        chance = torch.Generator().manual_seed(seed)
        inputs = []
        for name, shape in self.inputs.items():
            whole = [sizes[part] if isinstance(part, str) else part for part in shape]
            if name in self.bools:
                inputs.append(torch.rand(whole, generator=chance) > 0.3)
            else:
                inputs.append(torch.randn(whole, generator=chance))
        return tuple(inputs)

    def answers(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the network itself makes of input."""
        with torch.inference_mode():
            return as_tuple(self.module(*given))


def folded_submodules(model: EmotionModel) -> tuple[Submodule, ...]:
    """The parts of a model that are exported; batch norm is folded into convolutions."""
    return submodules_of(bn_folded(model))


def submodules_of(ready: EmotionModel) -> tuple[Submodule, ...]:
    """The parts of a model that is exported as it is, with nothing folded."""
    if isinstance(ready, LiveModel):
        submodules = _live_pieces(ready.network)
    elif isinstance(ready, FusedModel):
        submodules = _fused_pieces(ready)
    else:
        assert isinstance(ready, Unimodal)
        shapes = {_INPUT[ready.part]: _shape(ready)}
        submodules = (Submodule(ready.part, _Alone(ready), shapes, ("logits",)),)
    for submodule in submodules:
        submodule.module.eval()
    return submodules


def as_tuple(outputs: Tensor | Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Outputs of a module, be it one or more."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


class _Alone(nn.Module):
    """A model of one modality: input to logits."""

    def __init__(self, part: Unimodal) -> None:
        super().__init__()
        self.part = part

    def forward(self, given: Tensor) -> Tensor:
        return self.part.classify(self.part.read(given)[0])


class _Half(nn.Module):
    """One part of a fusion: input to vector, log-probabilities and segments."""

    def __init__(self, part: Unimodal, classes: int, segments: int) -> None:
        super().__init__()
        self.part = part
        self.collapses = len(part.classes) != classes
        self.segments = segments

    def forward(self, given: Tensor) -> tuple[Tensor, ...]:
        vector, parts = self.part.read(given, self.segments)
        logits = self.part.classify(vector)
        log = torch.log_softmax(to_emotion_logits(logits) if self.collapses else logits, 1)
        return (vector, log) if parts is None else (vector, log, parts)


class _Join(nn.Module):
    """What joins the parts of a fusion."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(
        self,
        audio: Tensor,
        visual: Tensor,
        audio_log: Tensor,
        visual_log: Tensor,
        there: Tensor,
        audio_segments: Tensor | None = None,
        visual_segments: Tensor | None = None,
    ) -> Tensor:
        heard, seen = there[:, :1], there[:, 1:]
        evidence = FusionInput(
            Encoded(audio * heard, there[:, 0], audio_segments),
            Encoded(visual * seen, there[:, 1], visual_segments),
            audio_log * heard,
            visual_log * seen,
        )
        logits: Tensor = self.fusion(evidence).logits * (heard | seen)
        return logits


class _LiveSpeech(nn.Module):
    """Spectrogram to vector and log-probabilities."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        vector = self.network.encode_audio(spectrogram)
        return vector, self.network.speech_log(vector)


class _LiveFace(nn.Module):
    """Embeddings to log-probabilities and weights of the frames."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, embeddings: Tensor, landmark_log: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        vector, weights = self.network.face.pool(embeddings)
        return self.network.face_log(vector, landmark_log), weights


class _LiveLandmarks(nn.Module):
    """Points and the resting face to log-probabilities."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, points: Tensor, neutral: Tensor, neutral_weight: Tensor) -> Tensor:
        return self.network.read_landmarks(points, neutral, neutral_weight)


class _LiveFusion(nn.Module):
    """Vector of speech and embeddings to log-probabilities, the face's share and weights."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, speech: Tensor, embeddings: Tensor, landmark_log: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        vector, weights = self.network.face.pool(embeddings)
        log, share = self.network.fuse(speech, self.network.face_log(vector, landmark_log))
        return log, share, weights


def _live_pieces(network: EmotionNet) -> tuple[Submodule, ...]:
    cnn = network.face.cnn
    assert isinstance(cnn, nn.Module)
    embeddings = ("batch", "frames", network.face.cnn.width)
    spectrogram = ("batch", 1, "columns", BINS)
    log = "log_probabilities"
    beside: dict[str, tuple[int | str, ...]] = {}
    landmarks: tuple[Submodule, ...] = ()
    if network.landmarks is not None:
        beside = {"landmark_log": ("batch", len(EMOTIONS))}
        points: dict[str, tuple[int | str, ...]] = {
            "points": ("batch", "frames", VALUES),
            "neutral": ("batch", 2 * POINTS),
            "neutral_weight": ("batch",),
        }
        landmarks = (Submodule(LANDMARKS_PART, _LiveLandmarks(network), points, (log,)),)
    return (
        Submodule("face", cnn, {"pictures": ("batch", 1, cnn.side, cnn.side)}, ("embeddings",)),
        Submodule(
            "speech", _LiveSpeech(network), {"spectrogram": spectrogram}, ("speech_vector", log)
        ),
        Submodule(
            "face-answer",
            _LiveFace(network),
            {"embeddings": embeddings, **beside},
            (log, "frame_weights"),
        ),
        Submodule(
            "fusion",
            _LiveFusion(network),
            {
                "speech_vector": ("batch", network.audio_width),
                "embeddings": embeddings,
                **beside,
            },
            (log, "face_share", "frame_weights"),
        ),
        *landmarks,
    )


def _fused_pieces(model: FusedModel) -> tuple[Submodule, ...]:
    submodules = []
    sides: dict[str, tuple[int | str, ...]] = {}
    for name, part in (("audio", model.audio), ("visual", model.visual)):
        outputs = [f"{name}_vector", f"{name}_log"]
        if model.segments:
            outputs.append(f"{name}_segments")
            sides[f"{name}_segments"] = ("batch", model.segments, part.segment_width)
        half = _Half(part, len(model.classes), model.segments)
        submodules.append(
            Submodule(name, half, {_INPUT[part.part]: _shape(part)}, tuple(outputs))
        )
    classes = len(model.classes)
    inputs: dict[str, tuple[int | str, ...]] = {
        "audio_vector": ("batch", model.audio.width),
        "visual_vector": ("batch", model.visual.width),
        "audio_log": ("batch", classes),
        "visual_log": ("batch", classes),
        "there": ("batch", 2),
        **sides,
    }
    submodules.append(
        Submodule("fusion", _Join(model.fusion), inputs, ("logits",), frozenset({"there"}))
    )
    return tuple(submodules)


_INPUT: Final = {"face": "faces", "audio": "spectrogram", "au": "units", "landmarks": "points"}


def _shape(part: Unimodal) -> tuple[int | str, ...]:
    shapes: dict[str, tuple[int | str, ...]] = {
        "face": ("batch", "frames", 1, part.face_side, part.face_side),
        "audio": ("batch", 1, "columns", BINS),
        "au": ("batch", UNITS),
        "landmarks": ("batch", "frames", VALUES),
    }
    return shapes[part.part]
