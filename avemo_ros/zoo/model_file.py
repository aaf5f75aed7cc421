"""Model files: any network of the zoo with what it is made from."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.emotion_model import EmotionModel, ModelSpec
from avemo_ros.model.network import LiveModel
from avemo_ros.model.released import LIVE, check_classes, find_weights
from avemo_ros.model.tensor_file import fill, read_tensors, stored, write_tensors
from avemo_ros.model.torch_network import FORMAT as LIVE_FORMAT
from avemo_ros.model.torch_network import load_weights, save_weights
from avemo_ros.untrusted import parse_json
from avemo_ros.zoo.model_registry import BUILDER

FORMAT: Final = "avemo-model-1"
"""Layout of the file; another layout gets another name."""
MODEL_FILE: Final = "model.safetensors"
"""Name of the file in the folder of a run."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network with its weights, in eval mode, float32 on the CPU."""

    model: EmotionModel
    spec: ModelSpec
    """Checked, with every option."""
    name: str
    """Name and version, e.g. 'speech-fcn'."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Notes of the file: what it was trained on, ..."""
    temperature: float = 1.0
    """`softmax(logits / temperature)` are calibrated probabilities."""


def save_model(
    model: EmotionModel,
    spec: ModelSpec,
    path: Path,
    name: str,
    notes: Mapping[str, str] | None = None,
    temperature: float = 1.0,
) -> None:
    """Write a model file in one atomic step.

    A live model is written as the robot reads it.

    Args:
        model: of this specification.
        spec: what it is made from.
        path: of the file, .safetensors; its folder is made.
        name: of the model, with version.
        notes: more metadata, e.g. 'data': what it was trained on and under which licences.
        temperature: of the calibration.

    Raises:
        ValueError: the temperature is not above 0, or is given for a live model, which has
            three of its own.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; allowed: above 0")
    complete = BUILDER.lasting(BUILDER.check(spec))
    if isinstance(model, LiveModel):
        if temperature != 1.0:
            raise ValueError("a live model has temperatures of its own; see LiveModel.network")
        save_weights(model.network, path, name, notes, complete)
        return
    about = {
        **(notes or {}),
        "format": FORMAT,
        "name": name,
        "spec": complete.to_json(),
        "classes": json.dumps(model.classes),
        "temperature": repr(temperature),
    }
    write_tensors(path, stored(model), about)


def load_model(path: Path) -> LoadedModel:
    """The model of a file that `save_model` or `torch_network.save_weights` wrote.

    Raises:
        WeightsError: the file is missing, damaged, no safetensors file (pickles are refused),
            or for a network that differs; the message lists what differs.
    """
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"model file {path} is not a .safetensors file; other formats may run code and "
            "are not read"
        )
    content = read_tensors(path, (FORMAT, LIVE_FORMAT))
    if content.about["format"] == LIVE_FORMAT:
        loaded = load_weights(path)
        live = LiveModel(loaded.network).eval()
        return LoadedModel(live, BUILDER.check(loaded.spec), loaded.model_id, loaded.about)
    about = content.about
    try:
        spec = BUILDER.check(ModelSpec.from_mapping(parse_json(about["spec"])))
        temperature = float(about["temperature"])
        name = about["name"]
    except (KeyError, ValueError, ConfigError) as error:
        raise WeightsError(f"model file {path} is for another version: {error}") from error
    model = BUILDER.build(spec)
    check_classes(path, about, "classes", model.classes)
    fill(model, content.tensors, path)
    return LoadedModel(model.eval(), spec, name, about, temperature)


def find_model(name: str | Path, task: str = LIVE) -> Path:
    """Path of a model file.

    Args:
        name: a released model's name, a model file, the folder of a training run, or "" for
            the released default of the task.
        task: 'live', or a modality.

    Raises:
        WeightsError: there is no such file, or it is damaged.
    """
    given = str(name)
    path = Path(given).expanduser()
    if given and path.is_dir():
        inside = path / MODEL_FILE
        if not inside.is_file():
            raise WeightsError(
                f"folder {path} contains no {MODEL_FILE}: it is not a training run, or not a "
                "finished one"
            )
        return inside
    if given and path.is_file():
        return path
    # './name' is a path too, though it has one part.
    if any(mark in given for mark in (os.sep, os.altsep) if mark):
        raise WeightsError(f"model file {path} does not exist")
    return find_weights(given, task)
