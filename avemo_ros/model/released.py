"""Released models: the folder they lie in, and its index.

The index is {"default": live model, "defaults": {task: name}, "models": {name: {"file": ...,
"sha256": ..., "task": ..., "onnx": {file: sha256}}}, "networks": {file: sha256}}; all but
"default" and "models" may be missing.  "networks" are those that `onnx_session` opens.

Nothing here needs PyTorch: a robot that runs the ONNX files of a model never imports it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from avemo_ros.errors import WeightsError
from avemo_ros.shipped_models import INDEX, shipped_models
from avemo_ros.untrusted import parse_json, read_text

LIVE: Final = "live"
"""Task of a model that the robot can run; others are named by their modality."""
ONNX_PARTS: Final = ("face", "speech", "face-answer", "fusion")
"""Parts of every live model that are ONNX files of their own; see `exportable.py`."""
LANDMARKS_PART: Final = "landmarks"
"""Part of a live model that reads landmarks, too."""
_REPLACED: Final = {
    "avemo-0.1": "avemo-0.5",
    "avemo-0.2": "avemo-0.5",
    "avemo-0.3": "avemo-0.5",
    "avemo-0.4": "avemo-0.5",
    "avemo-speech-0.2": "avemo-speech-0.4",
}
"""Older releases, which no longer come with the package, and what took their place."""


def models_dir() -> Path:
    """Folder of the released weights.

    `AVEMO_MODELS` if that is set; else the one that came with the package.

    Raises:
        WeightsError: there is none.
    """
    given = os.environ.get("AVEMO_MODELS")
    return Path(given) if given else shipped_models()


def find_weights(name: str, task: str = LIVE) -> Path:
    """Path of a weights file.

    Args:
        name: a path that ends in .safetensors, a name from the index, or "" for the default.
        task: whose default.

    Raises:
        WeightsError: there is no such file, or it is not the one that the index lists.
    """
    if name.endswith(".safetensors"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise WeightsError(f"weights file {path} does not exist{_instead(path.stem)}")
        return path
    folder = models_dir()
    index = read_index(folder)
    wanted = name or default_model(index, task)
    if wanted not in index["models"]:
        known = ", ".join(sorted(index["models"]))
        raise WeightsError(
            f"no released model is called '{wanted}'; there are: {known}{_instead(wanted)}"
        )
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


def _instead(name: str) -> str:
    """What to use instead of an older release; '' for other names."""
    newer = _REPLACED.get(name)
    if newer is None:
        return ""
    return f"; {name} no longer comes with avemo_ros, use {newer} (CHANGELOG.md)"


def list_in_index(path: Path, name: str, *, default: bool, task: str = LIVE) -> None:
    """Add or replace a weights file in the index of its folder (atomic).

    Args:
        path: of the file.
        name: of the model.
        default: make it the default for its task.
        task: 'live' for what the robot can run, else the modality it reads.
    """
    index: dict[str, Any] = {"default": name, "models": {}}
    if (path.parent / INDEX).exists():
        index = read_index(path.parent)
    index["models"][name] = {"file": path.name, "sha256": sha256(path), "task": task}
    if default and task == LIVE:
        index["default"] = name
    elif default:
        index.setdefault("defaults", {})[task] = name
    _write_index(path.parent, index)


def onnx_files(weights: Path) -> dict[str, Path]:
    """Where the parts of a live model lie for ONNX Runtime: `NAME-PART.onnx` beside it.

    Args:
        weights: its .safetensors file.

    Returns:
        For each of `ONNX_PARTS`, where the files need not be there, and for `LANDMARKS_PART`
        where there is such a file.
    """
    found = {part: onnx_file(weights, part) for part in ONNX_PARTS}
    landmarks = onnx_file(weights, LANDMARKS_PART)
    return found | {LANDMARKS_PART: landmarks} if landmarks.is_file() else found


def onnx_file(weights: Path, part: str) -> Path:
    """Where one part of a live model lies for ONNX Runtime."""
    return weights.with_name(f"{weights.stem}-{part}.onnx")


def check_listed(weights: Path, path: Path) -> bool:
    """Hold an ONNX file against the index of its folder.

    Args:
        weights: the model's .safetensors file.
        path: of the ONNX file.

    Returns:
        Whether there is an index that lists the model.

    Raises:
        WeightsError: it does, with another SHA-256 for the file or none.
        OSError: the file cannot be read.
    """
    if not (weights.parent / INDEX).is_file():
        return False
    for entry in read_index(weights.parent)["models"].values():
        if entry["file"] != weights.name:
            continue
        if entry.get("onnx", {}).get(path.name) != sha256(path):
            raise WeightsError(
                f"ONNX file {path} is damaged: its SHA-256 is not the one in {INDEX}; get the "
                f"file again, or {remedy(weights)}"
            )
        return True
    return False


def remedy(weights: Path) -> str:
    """How missing or wrong ONNX files of a model are made."""
    return f"create the model's ONNX files with `avemo export {weights} --beside`"


def list_onnx(weights: Path) -> bool:
    """Note the ONNX files of a model in the index of its folder (atomic).

    Args:
        weights: the model's .safetensors file; its ONNX files lie beside it.

    Returns:
        Whether there is an index that lists the model.
    """
    if not (weights.parent / INDEX).is_file():
        return False
    index = read_index(weights.parent)
    entries = [one for one in index["models"].values() if one["file"] == weights.name]
    for entry in entries:
        entry["onnx"] = {path.name: sha256(path) for path in onnx_files(weights).values()}
    if entries:
        _write_index(weights.parent, index)
    return bool(entries)


def default_model(index: Mapping[str, Any], task: str) -> str:
    """Name of the default model for a task; face and voice together are the live model's.

    Raises:
        WeightsError: there is none.
    """
    defaults: Mapping[str, str] = index.get("defaults", {})
    if task in defaults:
        return defaults[task]
    if task in (LIVE, "av"):
        return str(index["default"])
    known = ", ".join(sorted({LIVE, *defaults}))
    raise WeightsError(
        f"there is no released default for '{task}'; there are defaults for: {known}"
    )


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder of models.

    Raises:
        WeightsError: it cannot be read or is not as this module says.
    """
    path = folder / INDEX
    try:
        index = parse_json(read_text(path))
        named = [index["default"], *index.get("defaults", {}).values()]
        usable = all(name in index["models"] for name in named) and all(
            isinstance(entry["file"], str) and isinstance(entry["sha256"], str)
            for entry in index["models"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read ({error})") from error
    if not usable:
        raise WeightsError(
            f"{path} names a default that it does not list, or a model without file and sha256"
        )
    return dict(index)


def _write_index(folder: Path, index: Mapping[str, Any]) -> None:
    write_atomic(folder / INDEX, (json.dumps(index, indent=2) + "\n").encode())


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        # In pieces: what is read whole stays in the memory of the process.
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def check_classes(
    path: Path, about: Mapping[str, str], key: str, ours: tuple[str, ...]
) -> None:
    """Make sure that a file was made for the same classes.

    Raises:
        WeightsError: it was not.
    """
    try:
        theirs = tuple(parse_json(about.get(key, "[]")))
    except (ValueError, TypeError) as error:
        raise WeightsError(f"weights file {path} has {key} that are no list") from error
    if theirs != ours:
        raise WeightsError(f"weights file {path} has {key} {theirs}; this code has {ours}")
