"""The network at run time: what the live estimator calls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError
from avemo_ros.model.folding import fold, folded, has_fast_bfloat16, to_bfloat16
from avemo_ros.model.heap import give_back
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.preprocess import face_tensor, spectrogram_tensor
from avemo_ros.model.weights import find_weights, load_weights


@dataclass(frozen=True, slots=True)
class SpeechEvidence:
    """What the speech branch makes of a window; computed once, used for every face."""

    vector: Tensor
    """(1, heard width): what `EmotionNet.listen` gives."""
    log_probabilities: Tensor
    """(1, 7), calibrated."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer for one person and window."""

    probabilities: tuple[float, ...]
    """Calibrated, in the order of EMOTIONS; they sum to 1."""
    face_share: float
    voice_share: float
    """Shares of the two in the decision; they sum to 1."""
    frame_weights: NDArray[np.float32] | None
    """(n,) attention to each face given, sums to 1; None without faces."""


class Predictor:
    """Faces and sound in, calibrated probabilities out.

    The same input gives the same output, whatever was asked before, and in every process on
    one machine: the arithmetic is chosen by what the CPU is, never by a race at the start.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Load weights.

        Raises:
            WeightsError: the weights are missing, damaged or for another network.
            ConfigError: the device is not there.
        """
        # For loading, too: more threads would rather wait for each other than help.
        torch.set_num_threads(config.threads)
        loaded = load_weights(find_weights(config.weights))
        self._set_up(fold(loaded.network), loaded.model_id, config)
        del loaded
        give_back()

    @classmethod
    def from_network(
        cls, network: EmotionNet, model_id: str, config: ModelConfig | None = None
    ) -> Predictor:
        """From a network at hand, e.g. an untrained one; the network itself is not changed."""
        made = cls.__new__(cls)
        made._set_up(folded(network), model_id, config or ModelConfig())  # noqa: SLF001 - its own
        return made

    def _set_up(self, ready: EmotionNet, model_id: str, config: ModelConfig) -> None:
        self.model_id = model_id
        """Name and version of the weights."""
        self.device = _device(config.device)
        self._threads = config.threads
        self._known_threads = threading.local()
        self.precision = _precision(config.precision, self.device)
        """Arithmetic of the convolutions, as chosen: 'float32' or 'bfloat16'."""
        if self.precision == "bfloat16":
            to_bfloat16(ready)
        self._network = ready.to(self.device)

    @property
    def face_width(self) -> int:
        """Length of a face embedding."""
        return self._network.face.cnn.width

    def _limit_threads(self) -> None:
        """OpenMP keeps the limit for each thread by itself: a thread that never set it would
        let all cores spin between two calls."""
        if not getattr(self._known_threads, "limited", False):
            torch.set_num_threads(self._threads)
            self._known_threads.limited = True

    def embed_faces(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed faces, once for each picture; windows reuse the result.

        Args:
            crops: N grey (side, side) crops, aligned, of any side.

        Returns:
            (N, face width) float32.
        """
        if len(crops) == 0:
            return np.zeros((0, self.face_width), np.float32)
        self._limit_threads()
        pictures = face_tensor(crops).to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode():
            return np.asarray(self._network.face.cnn(pictures).cpu().numpy(), np.float32)

    def speech_evidence(self, power_db: NDArray[np.float32]) -> SpeechEvidence:
        """Read the voice of a window.

        Args:
            power_db: (T, 200) dB of a full-scale sine, T from 63 to 1000 columns of 10 ms.

        Raises:
            ValueError: the shape is another.
        """
        self._limit_threads()
        given = spectrogram_tensor(power_db)
        features = given.to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode():
            vector = self._network.listen(features)
            return SpeechEvidence(vector, self._network.speech_log(vector))

    def predict(
        self, face_embeddings: NDArray[np.float32] | None, speech: SpeechEvidence | None
    ) -> Prediction:
        """Answer for one person.

        Args:
            face_embeddings: (n, face width) of the person's faces in the window, oldest
                first, n at least 1; None without a face.
            speech: the person's voice; None without one.

        Raises:
            ValueError: neither is given, or the embeddings have another shape.
        """
        self._limit_threads()
        with torch.inference_mode():
            if face_embeddings is None:
                if speech is None:
                    raise ValueError("neither faces nor speech given; one at least is needed")
                return Prediction(_probabilities(speech.log_probabilities), 0.0, 1.0, None)
            if face_embeddings.ndim != 2 or face_embeddings.shape[0] == 0:
                raise ValueError(
                    f"face embeddings are {face_embeddings.shape}; "
                    f"allowed: (n, {self.face_width}), n at least 1"
                )
            frames = torch.from_numpy(face_embeddings).to(self.device)
            vector, weights = self._network.face.pool(frames.unsqueeze(0))
            frame_weights = np.asarray(weights[0].cpu().numpy(), np.float32)
            if speech is None:
                log = self._network.face_log(vector)
                return Prediction(_probabilities(log), 1.0, 0.0, frame_weights)
            log, share = self._network.fuse(speech.vector, vector, speech.log_probabilities)
            face_share = float(share[0])
            return Prediction(_probabilities(log), face_share, 1.0 - face_share, frame_weights)


def arithmetic_of(config: ModelConfig) -> str:
    """What `model.precision` becomes on this machine: 'float32' or 'bfloat16'.

    Raises:
        ConfigError: the device is not there.
    """
    return _precision(config.precision, _device(config.device))


def _probabilities(log: Tensor) -> tuple[float, ...]:
    values = log[0].double().cpu().softmax(0)
    return tuple(values.tolist())


def _precision(name: str, device: torch.device) -> str:
    if name != "auto":
        return name
    return "bfloat16" if device.type == "cpu" and has_fast_bfloat16() else "float32"


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("model.device", name, "cpu | auto here: there is no CUDA device")
    return torch.device(name)
