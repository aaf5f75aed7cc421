"""Weights that others published: named tensors of a file, read without running code in it."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from avemo_ros.errors import WeightsError


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a state dict.

    Args:
        path: .safetensors, or .pt or .pth as `torch.save` writes it (then only tensors are
            read, no other Python objects).  One dictionary around it, under 'state_dict' or
            'model', is taken off.

    Raises:
        WeightsError: the file is missing, damaged or holds something else.
    """
    if not path.is_file():
        raise WeightsError(f"weights file {path} does not exist")
    if path.suffix == ".safetensors":
        try:
            return load_file(str(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise WeightsError(f"weights file {path} cannot be read ({error})") from error
    if path.suffix not in (".pt", ".pth"):
        raise WeightsError(
            f"weights file {path} has ending '{path.suffix}'; allowed: .safetensors, .pt, .pth"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise WeightsError(
            f"weights file {path} cannot be read: damaged, or it holds Python objects besides "
            "tensors, which could run code; save its state_dict() alone"
        ) from error
    for around in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(around), dict):
            content = content[around]
    if not isinstance(content, dict):
        raise WeightsError(f"weights file {path} holds no dictionary of tensors")
    state = {
        str(name).removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, Tensor)
    }
    if not state:
        raise WeightsError(f"weights file {path} holds no tensors")
    return state
