"""Released weights: one safetensors file for the whole network, listed in models/index.json.

A file carries in its metadata what it is (model id, classes) and a digest over everything in
it, so that damage is found whatever byte it hits.  Matrices are stored as float16 and computed
as float32.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from avemo_ros.errors import WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.network import EmotionNet

FORMAT: Final = "avemo-emotion-1"
"""Layout of the file; another layout gets another name."""
INDEX: Final = "index.json"
"""{"default": name, "models": {name: {"file": ..., "sha256": ...}}}"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network with its weights."""

    network: EmotionNet
    model_id: str


def models_dir() -> Path:
    """Folder of the released weights.

    `AVEMO_MODELS` if that is set; else the first of these with an index.json: beside the
    package (a checkout), inside it, `share/avemo_ros/models` of the prefix it is installed
    under (ROS 2 overlay or pip).  Neither ROS nor ament is asked.

    Raises:
        WeightsError: there is none.
    """
    given = os.environ.get("AVEMO_MODELS")
    if given:
        return Path(given)
    package = Path(__file__).resolve().parent.parent
    places = [package.parent / "models", package / "models"]
    places += [parent / "share" / "avemo_ros" / "models" for parent in package.parents]
    for place in places:
        if (place / INDEX).is_file():
            return place
    raise WeightsError(
        f"no folder of weights found (looked beside and in {package} and in share/avemo_ros of "
        "its prefix); reinstall the package or set AVEMO_MODELS to the folder with index.json"
    )


def find_weights(name: str) -> Path:
    """Path of a weights file.

    Args:
        name: a path that ends in .safetensors, a name from the index, or "" for its default.

    Raises:
        WeightsError: there is no such file, or it is not the one that the index lists.
    """
    if name.endswith(".safetensors"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise WeightsError(f"weights file {path} does not exist")
        return path
    folder = models_dir()
    index = _read_index(folder)
    wanted = name or index["default"]
    if wanted not in index["models"]:
        known = ", ".join(sorted(index["models"]))
        raise WeightsError(f"no released model is called '{wanted}'; there are: {known}")
    entry = index["models"][wanted]
    path = folder / str(entry["file"])
    if not path.is_file():
        raise WeightsError(f"weights file {path} does not exist though {INDEX} lists it")
    if sha256(path) != entry["sha256"]:
        raise WeightsError(
            f"weights file {path} is damaged: its SHA-256 is not the one in {INDEX}; "
            "get the file again"
        )
    return path


def load_weights(path: Path) -> Loaded:
    """The network of a file, in eval mode, float32 on the CPU.

    Raises:
        WeightsError: the file is missing, damaged or of another architecture.
    """
    if not path.is_file():
        raise WeightsError(f"weights file {path} does not exist")
    try:
        with safe_open(str(path), "pt") as opened:
            about = dict(opened.metadata() or {})
            names = list(opened.keys())
            tensors = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"weights file {path} is damaged or no safetensors file ({error}); "
            "get the file again"
        ) from error
    if about.get("format") != FORMAT:
        raise WeightsError(
            f"weights file {path} has format {about.get('format')!r}; this version reads "
            f"'{FORMAT}'"
        )
    if about.pop("digest", "") != _digest(about, tensors):
        raise WeightsError(f"weights file {path} is damaged: digest differs; get it again")
    network = EmotionNet()
    _check(path, network, about, tensors)
    state = {name: tensor.float() for name, tensor in tensors.items()}
    # Counters of batch norm are for training only and not stored.
    network.load_state_dict(state, strict=False)
    return Loaded(network.eval(), about["model_id"])


def save_weights(
    network: EmotionNet, path: Path, model_id: str, notes: dict[str, str] | None = None
) -> None:
    """Write a weights file in one atomic step.

    Args:
        network: weights and temperatures.
        path: of the file; its folder is made.
        model_id: name and version, e.g. 'avemo-1.0'.
        notes: more metadata, for the reader.
    """
    about = {
        **(notes or {}),
        "format": FORMAT,
        "model_id": model_id,
        "emotions": json.dumps(EMOTIONS),
        "speech_classes": json.dumps(SPEECH_CLASSES),
    }
    tensors = {
        name: value.detach().cpu().to(torch.float16 if value.ndim > 1 else torch.float32)
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    about["digest"] = _digest(about, tensors)
    _write(path, save(tensors, about))


def list_in_index(path: Path, name: str, *, default: bool) -> None:
    """Add or replace a weights file in the index of its folder (atomic)."""
    index: dict[str, Any] = {"default": name, "models": {}}
    if (path.parent / INDEX).exists():
        index = _read_index(path.parent)
    index["models"][name] = {"file": path.name, "sha256": sha256(path)}
    if default:
        index["default"] = name
    _write(path.parent / INDEX, (json.dumps(index, indent=2) + "\n").encode())


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        usable = index["default"] in index["models"] and all(
            {"file", "sha256"} <= entry.keys() for entry in index["models"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read ({error})") from error
    if not usable:
        raise WeightsError(f"{path} lists no default, or a model without file and sha256")
    return dict(index)


def _digest(about: dict[str, str], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _check(
    path: Path, network: EmotionNet, about: dict[str, str], tensors: dict[str, Tensor]
) -> None:
    for key, ours in (("emotions", EMOTIONS), ("speech_classes", SPEECH_CLASSES)):
        theirs = tuple(json.loads(about.get(key, "[]")))
        if theirs != ours:
            raise WeightsError(f"weights file {path} has {key} {theirs}; this code has {ours}")
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


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
