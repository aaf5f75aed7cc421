"""Weights to begin with: every recipe of the configurations gives its part all it has."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avemo_ros.errors import WeightsError
from avemo_ros.model.emotion_model import EmotionModel, ModelSpec
from avemo_ros.train.config_file import load_config
from avemo_ros.train.pretrained import load_pretrained, match
from avemo_ros.zoo.model_file import save_model
from avemo_ros.zoo.model_registry import BUILDER

RECIPES = [
    ("speech-fcn", "speech-start", "branch"),
    ("face-attention", "face-cnn", "branch.cnn"),
    ("vgg-lstm", "vgg-face", "cnn"),
    ("av-adaptive-fbp", "face-cnn", "visual"),
    ("av-adaptive-fbp", "speech-fcn", "audio"),
    ("pairs-adaptive-fbp", "face-cnn", "visual"),
    ("pairs-adaptive-fbp", "speech-fcn", "audio"),
    *(
        (f"au-speech-{fusion}", *part)
        for fusion in ("concat", "decision", "fbp", "adaptive-fbp", "multilevel-fbp")
        for part in (("au-mlp", "visual"), ("speech-fcn", "audio"))
    ),
]


def tensors(name: str) -> dict[str, Tensor]:
    """Of the model of a configuration; without values, so that large ones cost nothing."""
    with torch.device("meta"):
        model = BUILDER.build(
            BUILDER.lasting(BUILDER.check(ModelSpec.from_mapping(load_config(name).model)))
        )
    return {
        key: value for key, value in model.state_dict().items() if value.is_floating_point()
    }


def of_part(names: Iterable[str], part: str) -> set[str]:
    """Without heads, which may be of other classes."""
    return {
        name for name in names if name.startswith(f"{part}.") and "head" not in name.split(".")
    }


@pytest.mark.parametrize(("name", "start", "part"), RECIPES)
def test_a_start_of_the_recipes_gives_its_part_everything(
    name: str, start: str, part: str
) -> None:
    target = tensors(name)
    found = match(tensors(start), target)
    assert of_part(found.fitting, part) == of_part(target, part) != set()
    assert not found.wider
    assert not of_part(found.misfits, part)
    assert not of_part(found.unused, part)


def speech(**options: object) -> tuple[ModelSpec, EmotionModel]:
    spec = ModelSpec("speech_fcn", {"channels": [4, 4, 4, 4, 4], **options})
    return BUILDER.check(spec), BUILDER.build(spec)


def saved(folder: Path, **options: object) -> str:
    spec, model = speech(**options)
    save_model(model, spec, folder / "start.safetensors", "start")
    return str(folder / "start.safetensors")


def test_a_start_of_another_layout_is_refused_with_what_differs(tmp_path: Path) -> None:
    start = saved(tmp_path, front="log+mean+delta")
    with pytest.raises(
        WeightsError, match=r"layers\.0\.weight is \(4, 3, 11, 11\), not \(4, 1, 11, 11\)"
    ):
        load_pretrained(speech()[1], start)


def test_fewer_channels_and_other_classes_are_no_obstacle(tmp_path: Path) -> None:
    start = saved(tmp_path, classes="emotions")
    model = speech(front="log+mean+delta")[1]
    found = load_pretrained(model, start)
    assert "had fewer input channels" in found.note
    assert "branch.head.weight is (7, 4), not (8, 4)" in found.note
    assert "branch.encoder.layers.0.weight" in found.taken
    assert "branch.head.weight" not in found.taken
