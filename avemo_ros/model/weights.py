"""Released weights: listed in models/index.json; and files of the live network."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.live import LiveModel
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.spec import ModelSpec
from avemo_ros.model.tensor_file import (
    check_classes,
    fill,
    read_tensors,
    sha256,
    stored,
    write_atomic,
    write_tensors,
)
from avemo_ros.model.zoo import build

FORMAT: Final = "avemo-emotion-1"
"""Layout of a file of the live network; another layout gets another name."""
INDEX: Final = "index.json"
"""{"default": live model, "defaults": {task: name}, "models": {name: {"file": ..., "sha256":
..., "task": ...}}}; "defaults" and "task" may be missing."""
LIVE: Final = "live"
"""Task of a model that the robot can run; others are named by their modality."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network with its weights."""

    network: EmotionNet
    model_id: str
    spec: ModelSpec
    about: Mapping[str, str]
    """Notes of the file."""


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
            raise WeightsError(f"weights file {path} does not exist")
        return path
    folder = models_dir()
    index = read_index(folder)
    wanted = name or default_model(index, task)
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
    """The live network of a file, in eval mode, float32 on the CPU.

    Raises:
        WeightsError: the file is missing, damaged or of another architecture.
    """
    content = read_tensors(path, (FORMAT,))
    about = content.about
    check_classes(path, about, "emotions", EMOTIONS)
    check_classes(path, about, "speech_classes", SPEECH_CLASSES)
    try:
        # The first release names no specification: it has every default.
        spec = ModelSpec.from_mapping(json.loads(about.get("spec", f'{{"kind": "{LIVE}"}}')))
        model = build(spec)
    except (ValueError, ConfigError) as error:
        raise WeightsError(f"weights file {path} is for another version: {error}") from error
    if not isinstance(model, LiveModel):
        raise WeightsError(f"weights file {path} is a {spec.kind}, not a live model")
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
    about = {
        **(notes or {}),
        "format": FORMAT,
        "model_id": model_id,
        "emotions": json.dumps(EMOTIONS),
        "speech_classes": json.dumps(SPEECH_CLASSES),
    }
    if spec is not None:
        about["spec"] = spec.to_json()
    write_tensors(path, stored(network), about)


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
    write_atomic(path.parent / INDEX, (json.dumps(index, indent=2) + "\n").encode())


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
        WeightsError: it cannot be read or is not as `INDEX` says.
    """
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        named = [index["default"], *index.get("defaults", {}).values()]
        usable = all(name in index["models"] for name in named) and all(
            {"file", "sha256"} <= entry.keys() for entry in index["models"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read ({error})") from error
    if not usable:
        raise WeightsError(
            f"{path} names a default that it does not list, or a model without file and sha256"
        )
    return dict(index)
