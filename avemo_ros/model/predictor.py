"""The network at run time: what the live estimator calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_ros import onnx_session
from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, PredictionError, WeightsError
from avemo_ros.model.own_model import is_own, open_own
from avemo_ros.model.preprocess import face_array, spectrogram_array
from avemo_ros.model.released import find_weights, onnx_files, remedy

if TYPE_CHECKING:
    from avemo_ros.model.network import EmotionNet


@dataclass(frozen=True, slots=True, eq=False)
class SpeechEvidence:
    """What the speech branch makes of a window; computed once, used for every face."""

    vector: NDArray[np.float32]
    """(1, audio width): what `EmotionNet.encode_audio` gives."""
    log_probabilities: NDArray[np.float32]
    """(1, 7), calibrated."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer for one person and window; every number is finite."""

    probabilities: tuple[float, ...]
    """Calibrated, in the order of EMOTIONS; they sum to 1."""
    face_share: float
    voice_share: float
    """Shares of the two in the decision; they sum to 1."""
    frame_weights: NDArray[np.float32] | None
    """(n,) attention to each face given, sums to 1; None without faces."""


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkWindow:
    """How the points of one face moved in a window."""

    frames: NDArray[np.float32]
    """(n, VALUES) without gaps, RATE_HZ a second, n from LEAST_FRAMES; see `face_points`."""
    neutral: NDArray[np.float32]
    """(2 POINTS,) the person's resting face."""
    neutral_weight: float
    """How far it is trusted, 0 to 1; the landmarks count as far."""


class NetworkRuntime(Protocol):
    """What computes the network: `OnnxNetwork`, `TorchNetwork`, or an `OwnModel`.

    Arrays in and out; the same input gives the same output, and each thread may call it, one
    after the other.
    """

    name: str
    """'onnxruntime', 'torch', or what an own model calls it."""
    model_id: str
    device: str
    """'cpu' or 'cuda'."""
    precision: str
    """Arithmetic of the convolutions: 'float32' or 'bfloat16'."""
    face_side: int
    """Of the images [pixels]."""
    face_width: int
    """Length of a face embedding."""

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, side, side), N at least 1, as `face_array` makes them, to (N, face width)."""

    def encode_audio(
        self, spectrogram: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(1, 1, T, 200), as `spectrogram_array` makes it, to what the fusion needs of the
        voice (1, audio width) and log-probabilities (1, 7)."""

    def classify_faces(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings (1, n, face width) to log-probabilities (1, 7) and weights (1, n)."""

    def fuse(
        self, heard: NDArray[np.float32], embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """What `encode_audio` gave and embeddings (1, n, face width) to log-probabilities
        (1, 7), share of the face (1,) and weights (1, n)."""


class LandmarkRuntime(NetworkRuntime, Protocol):
    """A `NetworkRuntime` that may read landmarks, too."""

    reads_landmarks: bool
    """Whether it does; else `landmark_log` is None in all calls."""

    def read_landmarks(
        self,
        points: NDArray[np.float32],
        neutral: NDArray[np.float32],
        weight: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Frames (1, n, VALUES) without gaps, a resting face (1, 2 POINTS) and its weight (1,)
        to log-probabilities (1, 7)."""

    def classify_faces(
        self, embeddings: NDArray[np.float32], landmark_log: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.classify_faces`; with what `read_landmarks` gave."""

    def fuse(
        self,
        heard: NDArray[np.float32],
        embeddings: NDArray[np.float32],
        landmark_log: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.fuse`; with what `read_landmarks` gave."""


class Predictor:
    """Faces and sound in, calibrated probabilities out.

    The same input gives the same output, whatever was asked before, and in every process on
    one machine: the arithmetic is chosen by what the CPU is, never by a race at the start.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Load a model, in ONNX Runtime where `model.runtime` says so, else in PyTorch; or one
        of your own (`own_model.py`).

        Raises:
            WeightsError: the weights are missing, damaged or for another network, or their
                ONNX files are.
            ConfigError: the device is not there, the runtime cannot do what is asked for, or a
                class of your own cannot be used.
        """
        self._network: NetworkRuntime
        self._landmarks: LandmarkRuntime | None = None
        own = open_own(config.weights, config)
        if own is not None:
            self._network = own
            return
        weights = find_weights(config.weights)
        if _takes_onnx(config, weights):
            from avemo_ros.model.onnx_network import OnnxNetwork

            self._take(OnnxNetwork(weights, config.threads, config.device))
        else:
            _need_torch(config)
            from avemo_ros.model.torch_network import TorchNetwork, load_weights

            loaded = load_weights(weights)
            self._take(TorchNetwork(loaded.network, loaded.model_id, config))

    def _take(self, network: LandmarkRuntime) -> None:
        self._network = network
        self._landmarks = network if network.reads_landmarks else None

    @classmethod
    def from_network(
        cls, network: EmotionNet, model_id: str, config: ModelConfig | None = None
    ) -> Predictor:
        """From a network at hand, e.g. an untrained one, in PyTorch; the network itself is not
        changed."""
        from avemo_ros.model.torch_network import TorchNetwork

        predictor = cls.__new__(cls)
        predictor._take(TorchNetwork(network, model_id, config or ModelConfig()))  # noqa: SLF001 - of its own
        return predictor

    @property
    def model_id(self) -> str:
        """Name and version of the weights."""
        return self._network.model_id

    @property
    def runtime(self) -> str:
        """What computes the network: 'onnxruntime' or 'torch'."""
        return self._network.name

    @property
    def device(self) -> str:
        """Where: 'cpu' or 'cuda'."""
        return self._network.device

    @property
    def precision(self) -> str:
        """Arithmetic of the convolutions, as chosen: 'float32' or 'bfloat16'."""
        return self._network.precision

    @property
    def face_width(self) -> int:
        """Length of a face embedding."""
        return self._network.face_width

    @property
    def reads_landmarks(self) -> bool:
        """Whether `predict` takes notice of landmarks."""
        return self._landmarks is not None

    def embed_faces(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed faces, once for each image; windows reuse the result.

        Args:
            crops: N grey (side, side) crops, aligned, of any side.

        Returns:
            (N, face width) float32.

        Raises:
            ValueError: a crop is not a grey square of bytes.
        """
        if len(crops) == 0:
            return np.zeros((0, self.face_width), np.float32)
        return self._network.embed(face_array(crops, self._network.face_side))

    def speech_evidence(self, power_db: NDArray[np.float32]) -> SpeechEvidence:
        """Read the voice of a window.

        Args:
            power_db: (T, 200) dB of a full-scale sine, T from 63 to 1000 columns of 10 ms.

        Raises:
            ValueError: the shape is another.
            PredictionError: a value is not finite.
        """
        # What is not finite need not come out as such: a rectifier may take it for zero.
        _check_finite("the spectrogram", power_db)
        return SpeechEvidence(*self._network.encode_audio(spectrogram_array(power_db)))

    def predict(
        self,
        face_embeddings: NDArray[np.float32] | None,
        speech: SpeechEvidence | None,
        landmarks: LandmarkWindow | None = None,
    ) -> Prediction:
        """Answer for one person.

        Args:
            face_embeddings: (n, face width) of the person's faces in the window, oldest
                first, n at least 1; None without a face.
            speech: the person's voice; None without one.
            landmarks: how the face moved, where that is known and `reads_landmarks`; counts
                beside `face_embeddings` only.

        Raises:
            ValueError: neither is given, or the embeddings have another shape.
            PredictionError: the network's answer is not finite.
        """
        if face_embeddings is None:
            if speech is None:
                raise ValueError("neither faces nor speech given; at least one is needed")
            return _prediction(speech.log_probabilities, 0.0, None)
        if face_embeddings.ndim != 2 or face_embeddings.shape[0] == 0:
            raise ValueError(
                f"face embeddings are {face_embeddings.shape}; "
                f"allowed: (n, {self.face_width}), n at least 1"
            )
        frames = face_embeddings[None]
        classify, fuse = self._network.classify_faces, self._network.fuse
        if landmarks is not None and self._landmarks is not None:
            moved = self._read(landmarks)
            classify = partial(self._landmarks.classify_faces, landmark_log=moved)
            fuse = partial(self._landmarks.fuse, landmark_log=moved)
        if speech is None:
            log, weights = classify(frames)
            return _prediction(log, 1.0, weights[0])
        log, share, weights = fuse(speech.vector, frames)
        return _prediction(log, float(share[0]), weights[0])

    def _read(self, window: LandmarkWindow) -> NDArray[np.float32]:
        """Log-probabilities (1, 7) of how a face moved."""
        assert self._landmarks is not None
        weight = np.array([window.neutral_weight], np.float32)
        given = window.frames[None], window.neutral[None], weight
        log = self._landmarks.read_landmarks(*given)
        _check_finite("what the landmarks show", log)
        return log


def arithmetic_of(config: ModelConfig) -> str:
    """Runtime and precision that a configuration comes to on this machine, in words.

    Raises:
        WeightsError: there are no such weights.
        ConfigError: the device is not there, or the runtime cannot do what is asked for.
    """
    if is_own(config.weights):
        return f"own model {config.weights}"
    if _takes_onnx(config, find_weights(config.weights)):
        device = onnx_session.chosen_device(config.device)
        return "onnxruntime float32" + ("" if device == "cpu" else f" {device}")
    _need_torch(config)
    from avemo_ros.model.torch_network import chosen_device, chosen_precision

    return f"torch {chosen_precision(config.precision, chosen_device(config.device))}"


def _takes_onnx(config: ModelConfig, weights: Path) -> bool:
    """Whether a model runs in ONNX Runtime, by the settings and by what lies beside it."""
    forced = config.runtime == "onnxruntime"
    if config.device == "tensorrt":
        if config.runtime == "torch":
            raise ConfigError(
                "model.device", "tensorrt", "cpu | cuda | auto with model.runtime 'torch'"
            )
        forced = True
    if config.runtime == "torch":
        return False
    if config.precision == "bfloat16":
        if forced:
            auto = config.runtime == "auto"
            which = "model.device 'tensorrt'" if auto else "model.runtime 'onnxruntime'"
            raise ConfigError("model.precision", "bfloat16", f"float32 | auto with {which}")
        return False
    lacks_gpu = config.device in ("cuda", "auto") and not onnx_session.has_device("cuda")
    # PyTorch may have the device that ONNX Runtime has not.
    if lacks_gpu and not forced and (config.device == "cuda" or _torch_has_cuda()):
        return False
    files = onnx_files(weights).values()
    missing = [path.name for path in files if not path.is_file()]
    if missing and (forced or len(missing) < len(files)):
        raise WeightsError(
            f"ONNX Runtime needs {', '.join(missing)} beside {weights}; {remedy(weights)}"
        )
    return not missing


def _torch_has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def _need_torch(config: ModelConfig) -> None:
    """A robot may have no PyTorch."""
    if find_spec("torch") is None:
        raise ConfigError(
            "model.runtime",
            config.runtime,
            "models with ONNX files beside them, model.precision float32 or auto, and devices "
            "of ONNX Runtime, as PyTorch is not installed; to install it: pip install "
            "'torch>=2.6'",
        )


def _prediction(
    log: NDArray[np.float32], face_share: float, weights: NDArray[np.float32] | None
) -> Prediction:
    values = np.asarray(log[0], np.float64)
    _check_finite("the output of the network", values)
    _check_finite("the share of the face", np.float64(face_share))
    if weights is not None:
        _check_finite("the attention to the faces", weights)
    likely = np.exp(values - values.max())
    likely /= likely.sum()
    return Prediction(tuple(likely.tolist()), face_share, 1.0 - face_share, weights)


def _check_finite(what: str, values: NDArray[np.floating[Any]] | np.floating[Any]) -> None:
    if not np.isfinite(values).all():
        raise PredictionError(f"{what} is not finite, so this input has no prediction")
