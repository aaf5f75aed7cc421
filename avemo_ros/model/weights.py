"""Files of the live network: its weights with what it is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.builder import LIVE_BUILDER
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.model.released import LIVE, check_classes
from avemo_ros.model.spec import ModelSpec
from avemo_ros.model.tensor_file import (
    fill,
    read_tensors,
    stored,
    write_tensors,
)
from avemo_ros.untrusted import parse_json

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
