"""How ONNX Runtime runs a network on a robot."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import onnxruntime

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.shipped_models import INDEX, shipped_models

_ERRORS_ONLY: Final = 3
_CPU: Final = "CPUExecutionProvider"
_PROVIDERS: Final = {
    "cpu": (_CPU,),
    "cuda": ("CUDAExecutionProvider", _CPU),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", _CPU),
}
"""By device what runs a network, and what takes over where that cannot."""


def has_device(name: str) -> bool:
    """This ONNX Runtime was built for a device: 'cpu', 'cuda' or 'tensorrt'."""
    return _PROVIDERS[name][0] in onnxruntime.get_available_providers()


def chosen_device(name: str) -> str:
    """What `model.device` becomes in ONNX Runtime on this machine.

    Raises:
        ConfigError: this ONNX Runtime was not built for the device.
    """
    if name == "auto":
        return "cuda" if has_device("cuda") else "cpu"
    if not has_device(name):
        raise ConfigError(
            "model.device",
            name,
            f"cpu | auto here: ONNX Runtime {onnxruntime.__version__} is not built for it; "
            "install onnxruntime-gpu in place of onnxruntime",
        )
    return name


def open_session(source: Path | bytes, threads: int = 1, device: str = "cpu") -> Any:
    """An `InferenceSession` that does not wait busily.

    Args:
        source: path or content of an ONNX file.
        threads: of the CPU.
        device: 'cpu', 'cuda' or 'tensorrt', as `chosen_device` gives it.

    Raises:
        ConfigError: the device does not start.
        Exception: ONNX Runtime cannot read it; its exceptions have no common class.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    # A pool of memory costs 15 MB and gains no time (measured).
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _ERRORS_ONLY
    given = source if isinstance(source, bytes) else str(source)
    providers = list(_PROVIDERS[device])
    session = onnxruntime.InferenceSession(given, options, providers=providers)
    # ONNX Runtime takes the next one without a word to us where the first does not start.
    if session.get_providers()[0] != providers[0]:
        raise ConfigError(
            "model.device",
            device,
            f"cpu here: ONNX Runtime {onnxruntime.__version__} cannot start {providers[0]}; "
            "check that the GPU's driver and the CUDA and cuDNN of this release are installed",
        )
    return session


def open_shipped(file: str) -> Any:
    """A session, on one thread, of a network that comes with the package.

    Its input and output belong to the code, so `AVEMO_MODELS` does not replace it.

    Args:
        file: its name in the folder of models; the index there lists it under "networks".

    Raises:
        WeightsError: it is missing, damaged, or not the one that the index lists.
    """
    path = shipped_models() / file
    again = "reinstall the package, or get the file again"
    try:
        listed = json.loads((path.parent / INDEX).read_text(encoding="utf-8"))
        wanted, content = listed["networks"][file], path.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"network {path} cannot be read, or {INDEX} beside it does not list it "
            f"({type(error).__name__}: {error}); {again}"
        ) from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise WeightsError(
            f"network {path} is damaged: its SHA-256 is not the one in {INDEX}; {again}"
        )
    try:
        return open_session(content)
    except Exception as error:
        raise WeightsError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {path} ({error})"
        ) from error
