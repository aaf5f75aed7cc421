"""Files of tensors: our own, in which any damage is found, and those that others published.

Our own are safetensors whose notes (metadata) carry a digest over everything in the file.
Matrices are stored as float16 and computed as float32.  Published weights are read without
running code in them.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from avemo_ros.errors import WeightsError
from avemo_ros.model.released import write_atomic

TENSOR_TROUBLES: Final = (
    SafetensorError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    struct.error,
)
"""What safetensors and torch raise at files that make no sense."""


@dataclass(frozen=True, slots=True)
class TensorFile:
    """What a file holds."""

    about: dict[str, str]
    """Notes, without the digest."""
    tensors: dict[str, Tensor]


def stored(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network as a file holds them.

    Counters of batch norm are for training only and not stored.
    """
    return {
        name: value.detach()
        .cpu()
        .to(torch.float16 if value.ndim > 1 else torch.float32)
        .contiguous()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write a file in one atomic step; its folder is made."""
    notes = dict(about)
    notes["digest"] = _digest(notes, tensors)
    write_atomic(path, save(dict(tensors), notes))


def read_tensors(path: Path, formats: tuple[str, ...]) -> TensorFile:
    """Read a file.

    Args:
        path: of the file.
        formats: of which its notes must name one.

    Raises:
        WeightsError: the file is missing, damaged, no safetensors file or of another format, or
            holds numbers that are not finite.
    """
    if not path.is_file():
        raise WeightsError(f"weights file {path} does not exist")
    try:
        with safe_open(str(path), "pt") as opened:
            about = dict(opened.metadata() or {})
            names = list(opened.keys())
            tensors = {name: opened.get_tensor(name) for name in names}
    except TENSOR_TROUBLES as error:
        raise WeightsError(
            f"weights file {path} is damaged or not a safetensors file ({error}); get the "
            "file again"
        ) from error
    if about.get("format") not in formats:
        known = " or ".join(f"'{name}'" for name in formats)
        raise WeightsError(
            f"weights file {path} has format {about.get('format')!r}; this reads {known}"
        )
    if about.pop("digest", "") != _digest(about, tensors):
        raise WeightsError(
            f"weights file {path} is damaged: its digest differs; get the file again"
        )
    check_finite(f"weights file {path}", tensors)
    return TensorFile(about, _renamed(tensors))


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a network the tensors of a file, as float32.

    Raises:
        WeightsError: they are for another network; the message lists what differs.
    """
    expected = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    differences = [f"{name} is missing" for name in expected if name not in given]
    differences += [f"{name} is not known" for name in given if name not in expected]
    differences += [
        f"{name} is {given[name]}, not {shape}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise WeightsError(
            f"weights file {path} is for another network: {'; '.join(differences[:3])}{more}"
        )
    state = {name: tensor.float() for name, tensor in tensors.items()}
    # Not copied once more: at the start that is a tenth of a second.
    network.load_state_dict(state, strict=False, assign=True)


def check_finite(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Make sure that tensors are numbers: a single NaN makes every answer of a network
    meaningless, and some operations hide it on the way.

    Raises:
        WeightsError: one of them holds NaN or infinity; the message names it.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"{what}: tensor '{name}' contains numbers that are not finite; get the file "
                "again"
            )


def _digest(about: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By today's names: up to version 0.3 the speech encoder was `fcn`, whatever it was."""
    return {
        ".".join("encoder" if part == "fcn" else part for part in name.split(".")): tensor
        for name, tensor in tensors.items()
    }


def read_state_dict(path: Path) -> dict[str, Tensor]:
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
            return _renamed(load_file(str(path)))
        except TENSOR_TROUBLES as error:
            raise WeightsError(f"weights file {path} cannot be read ({error})") from error
    if path.suffix not in (".pt", ".pth"):
        raise WeightsError(
            f"weights file {path} has ending '{path.suffix}'; allowed: .safetensors, .pt, .pth"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, ImportError, *TENSOR_TROUBLES) as error:
        raise WeightsError(
            f"weights file {path} cannot be read: damaged, or it contains Python objects "
            "besides tensors, which could run code; save only its state_dict()"
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
    return _renamed(state)
