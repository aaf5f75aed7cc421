"""The network in PyTorch, for GPUs, bfloat16, and models without ONNX files; and its files.

Batch norm is folded into the convolutions first.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.builder import LIVE_BUILDER
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.model.released import LIVE, check_classes
from avemo_ros.model.speech_encoder import AudioFCN
from avemo_ros.model.tensor_file import (
    check_finite,
    fill,
    read_tensors,
    stored,
    write_tensors,
)
from avemo_ros.untrusted import parse_json

Network = TypeVar("Network", bound=nn.Module)


def bn_folded(network: Network) -> Network:
    """A copy in eval mode with batch norm folded into the convolutions, laid out for the
    CPU's kernels."""
    return fold_bn(copy.deepcopy(network))


def fold_bn(network: Network) -> Network:
    """As `folded`, but the network itself is changed, and returned."""
    network.eval().requires_grad_(False)
    for module in list(network.modules()):
        _fold(module)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold(module: nn.Module) -> None:
    """Fold each batch norm of a module that directly follows a convolution of its."""
    named = list(module.named_children())
    for (_, layer), (after, norm) in pairwise(named):
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None  # our networks keep statistics
            assert norm.running_var is not None
            layer.weight, layer.bias = fuse_conv_bn_weights(
                layer.weight,
                layer.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            setattr(module, after, nn.Identity())


def to_bfloat16(network: nn.Module) -> bool:
    """Let the convolutions of a folded network compute in bfloat16.

    They are the image network (to its embedding) and the layers of the speech network (to
    the cells); each takes and gives float32 as before.  What comes after (attention, heads,
    fusion, temperatures) stays float32: it costs little, and rounds more visibly.

    Args:
        network: changed in place.

    Returns:
        Whether the network has such convolutions.
    """
    stacks = [
        module.layers if isinstance(module, AudioFCN) else getattr(module, "cnn", None)
        for module in network.modules()
    ]
    for stack in stacks:
        if isinstance(stack, nn.Module):
            # Casting once here is faster than autocast, which casts the weights at every call.
            stack.to(torch.bfloat16)
            stack.register_forward_pre_hook(_to(torch.bfloat16))
            stack.register_forward_hook(_back_to(torch.float32))
    return any(isinstance(stack, nn.Module) for stack in stacks)


def _to(kind: torch.dtype) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    return lambda _, given: tuple(one.to(kind) for one in given)


def _back_to(kind: torch.dtype) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    return lambda _, __, output: output.to(kind)


def has_fast_bfloat16() -> bool:
    """Whether this CPU is of a kind on which bfloat16 was measured to be faster.

    These are CPUs with matrix tiles for it (Intel AMX) and AMD's with AVX-512's bfloat16
    instructions (Zen 4 on); on an Intel CPU held to those instructions it is slower than
    float32 (docs/export.md).
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        found = capabilities()
        tiles = bool(found.get("amx_bf16")) and bool(found.get("amx_tile"))
        of_amd = str(found.get("cpu_name", "")).startswith("AMD")
        return tiles or (of_amd and bool(found.get("avx512_bf16")))
    # Older torch has no such list; every CPU with tiles so far has them for bfloat16.
    older = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return older is not None and bool(older())


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
        self.reads_landmarks = network.landmarks is not None
        ready = bn_folded(network)
        # After folding, which may divide by what a file holds.
        check_finite(f"model '{model_id}'", ready.state_dict())
        if self.precision == "bfloat16":
            to_bfloat16(ready)
        self._network = ready.to(self._device)

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `NetworkRuntime.embed`."""
        given = self._tensor(images, torch.channels_last)
        with torch.inference_mode():
            return _array(self._network.face.cnn(given))

    def encode_audio(
        self, spectrogram: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.encode_audio`."""
        given = self._tensor(spectrogram, torch.channels_last)
        with torch.inference_mode():
            heard = self._network.encode_audio(given)
            return _array(heard), _array(self._network.speech_log(heard))

    def read_landmarks(
        self,
        points: NDArray[np.float32],
        neutral: NDArray[np.float32],
        weight: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """See `LandmarkRuntime.read_landmarks`."""
        given = (self._tensor(values) for values in (points, neutral, weight))
        with torch.inference_mode():
            return _array(self._network.read_landmarks(*given))

    def classify_faces(
        self, embeddings: NDArray[np.float32], landmark_log: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `LandmarkRuntime.classify_faces`."""
        given = self._tensor(embeddings)
        beside = None if landmark_log is None else self._tensor(landmark_log)
        with torch.inference_mode():
            vector, weights = self._network.face.pool(given)
            return _array(self._network.face_log(vector, beside)), _array(weights)

    def fuse(
        self,
        heard: NDArray[np.float32],
        embeddings: NDArray[np.float32],
        landmark_log: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `LandmarkRuntime.fuse`."""
        speech, seen = self._tensor(heard), self._tensor(embeddings)
        beside = None if landmark_log is None else self._tensor(landmark_log)
        with torch.inference_mode():
            vector, weights = self._network.face.pool(seen)
            log, share = self._network.fuse(speech, self._network.face_log(vector, beside))
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


FORMAT: Final = "avemo-emotion-1"
"""Layout of a file of the live network; another layout gets another name."""
_VECTORS: Final = "vectors"
"""The fusion of the first release."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network with its weights."""

    network: EmotionNet
    model_id: str
    spec: ModelSpec
    about: Mapping[str, str]
    """Notes of the file."""


def load_weights(path: Path) -> Loaded:
    """The live network of a file, in eval mode, float32 on the CPU.

    Raises:
        WeightsError: the file is missing, damaged or of another architecture.
    """
    content = read_tensors(path, (FORMAT,))
    about = content.about
    if "model_id" not in about:
        raise WeightsError(f"weights file {path} does not say which model it is")
    check_classes(path, about, "emotions", EMOTIONS)
    check_classes(path, about, "speech_classes", SPEECH_CLASSES)
    try:
        # The first release names no specification; its fusion was of vectors.
        spec = ModelSpec.from_mapping(
            parse_json(about.get("spec", f'{{"kind": "{LIVE}", "fusion": "{_VECTORS}"}}'))
        )
    except ValueError as error:
        raise WeightsError(f"weights file {path} is for another version: {error}") from error
    if spec.kind != LIVE:
        raise WeightsError(f"weights file {path} is a {spec.kind}, not a live model")
    if spec.options.get("fusion") == _VECTORS:
        raise WeightsError(
            f"weights file {path} fuses face and voice by bilinear pooling of their vectors, "
            "as avemo-0.1 did; the live model no longer has that: use the released model, or "
            "train the fusion again (avemo train live)"
        )
    try:
        model = LIVE_BUILDER.build(spec)
    except ConfigError as error:
        raise WeightsError(f"weights file {path} is for another version: {error}") from error
    assert isinstance(model, LiveModel)
    fill(model.network, content.tensors, path)
    return Loaded(model.network.eval(), about["model_id"], spec, about)


def save_weights(
    network: EmotionNet,
    path: Path,
    model_id: str,
    notes: Mapping[str, str] | None = None,
    spec: ModelSpec | None = None,
) -> None:
    """Write a file of the live network in one atomic step.

    Args:
        network: weights and temperatures.
        path: of the file; its folder is made.
        model_id: name and version, e.g. 'avemo-1.0'.
        notes: more metadata, for the reader.
        spec: what the network is made from, of kind 'live'; None: the defaults.
    """
    complete = LIVE_BUILDER.lasting(LIVE_BUILDER.check(spec or ModelSpec(LIVE)))
    about = {
        **(notes or {}),
        "format": FORMAT,
        "model_id": model_id,
        "emotions": json.dumps(EMOTIONS),
        "speech_classes": json.dumps(SPEECH_CLASSES),
        "spec": complete.to_json(),
    }
    write_tensors(path, stored(network), about)
