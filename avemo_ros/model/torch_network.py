"""The network in PyTorch, for GPUs, bfloat16, and models without ONNX files."""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError
from avemo_ros.model.folding import folded, has_fast_bfloat16, to_bfloat16
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.tensor_file import check_finite


class TorchNetwork:
    """See `NetworkRuntime`; an embedding's last bits may depend on the size of its batch."""

    name = "torch"

    def __init__(self, network: EmotionNet, model_id: str, config: ModelConfig) -> None:
        """Set up; the network itself is not changed.

        Raises:
            ConfigError: the device is not there.
            WeightsError: its weights are not finite.
        """
        self.model_id = model_id
        self._device = chosen_device(config.device)
        self.device = self._device.type
        self._threads = config.threads
        self._known_threads = threading.local()
        self.precision = chosen_precision(config.precision, self._device)
        self.face_side = network.face.cnn.side
        self.face_width = network.face.cnn.width
        ready = folded(network)
        # After folding, which may divide by what a file holds.
        check_finite(f"model '{model_id}'", ready.state_dict())
        if self.precision == "bfloat16":
            to_bfloat16(ready)
        self._network = ready.to(self._device)

    def embed(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `NetworkRuntime.embed`."""
        given = self._tensor(pictures, torch.channels_last)
        with torch.inference_mode():
            return _array(self._network.face.cnn(given))

    def listen(
        self, spectrogram: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.listen`."""
        given = self._tensor(spectrogram, torch.channels_last)
        with torch.inference_mode():
            heard = self._network.listen(given)
            return _array(heard), _array(self._network.speech_log(heard))

    def look(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.look`."""
        given = self._tensor(embeddings)
        with torch.inference_mode():
            vector, weights = self._network.face.pool(given)
            return _array(self._network.face_log(vector)), _array(weights)

    def fuse(
        self, heard: NDArray[np.float32], embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.fuse`."""
        said, seen = self._tensor(heard), self._tensor(embeddings)
        with torch.inference_mode():
            vector, weights = self._network.face.pool(seen)
            log, share = self._network.fuse(said, vector)
            return _array(log), _array(share), _array(weights)

    def _tensor(
        self, values: NDArray[np.float32], layout: torch.memory_format = torch.preserve_format
    ) -> Tensor:
        # OpenMP keeps the limit for each thread by itself: a thread that never set it would let
        # all cores spin between two calls.
        if not getattr(self._known_threads, "limited", False):
            torch.set_num_threads(self._threads)
            self._known_threads.limited = True
        return torch.from_numpy(values).to(self._device, memory_format=layout)


def chosen_precision(name: str, device: torch.device) -> str:
    """What `model.precision` becomes on a device: 'float32' or 'bfloat16'."""
    if name != "auto":
        return name
    return "bfloat16" if device.type == "cpu" and has_fast_bfloat16() else "float32"


def chosen_device(name: str) -> torch.device:
    """What `model.device` becomes on this machine.

    Raises:
        ConfigError: the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("model.device", name, "cpu | auto here: there is no CUDA device")
    return torch.device(name)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.cpu().numpy(), np.float32)
