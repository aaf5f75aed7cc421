"""The configuration, and config/emotion.yaml that explains it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from avemo_ros.config import PipelineConfig, VisionConfig
from avemo_ros.errors import ConfigError

SETTINGS = dict(PipelineConfig.settings())


def test_the_defaults_are_allowed() -> None:
    config = PipelineConfig()
    assert config.emotion.hop_s == 0.1
    assert PipelineConfig.from_flat({}) == config


def test_flat_values_reach_their_group() -> None:
    config = PipelineConfig.from_flat({"emotion.hop_s": 0.2, "vision.max_faces": 2})
    assert (config.emotion.hop_s, config.vision.max_faces) == (0.2, 2)
    assert config.audio == PipelineConfig().audio


def test_a_whole_number_does_for_a_float_setting() -> None:
    assert PipelineConfig.from_flat({"emotion.window_s": 4}).emotion.window_s == 4.0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("emotion.hop_s", 5.0, "0.03 to 2.0"),
        ("emotion.hop_s", float("nan"), "finite"),
        ("emotion.hop_s", "0.1", "type float"),
        ("vision.max_faces", 0, "1 to 16"),
        ("vision.max_faces", 2.0, "type int"),
        ("vision.max_faces", True, "type int"),
        ("vision.detector_range", "long", "short | full"),
        ("model.device", "tpu", "cpu | cuda | auto"),
        ("emotion.hop", 0.1, "emotion.hop_s"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(
    name: str, value: object, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        PipelineConfig.from_flat({name: value})
    assert name in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"emotion.warm_up_s": 4.0, "emotion.window_s": 3.0},
        {"emotion.hop_s": 2.0, "emotion.window_s": 1.0},
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"emotion\.window_s"):
        PipelineConfig.from_flat(values)


def test_a_configuration_cannot_be_changed_after_its_check() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        VisionConfig().max_faces = 0  # type: ignore[misc]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_described_and_has_a_range_or_choices(name: str) -> None:
    item = SETTINGS[name]
    assert item.metadata["description"].endswith(".")
    if isinstance(item.default, int | float):
        assert item.metadata["low"] is not None
        assert item.metadata["high"] is not None


@pytest.fixture(scope="module")
def explained(repository: Path) -> dict[str, Any]:
    """config/emotion.yaml as flat names and values."""
    content = yaml.safe_load((repository / "config" / "emotion.yaml").read_text())
    return dict(_flat(content["/**"]["ros__parameters"]))


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            items += _flat(value, f"{prefix}{key}.")
        else:
            items.append((f"{prefix}{key}", value))
    return items


@pytest.mark.parametrize("name", SETTINGS)
def test_the_parameter_file_has_the_default_of_every_setting(
    explained: dict[str, Any], name: str
) -> None:
    assert explained[name] == SETTINGS[name].default
    assert type(explained[name]) is type(SETTINGS[name].default)


def test_the_parameter_file_has_no_setting_that_is_not_there(explained: dict[str, Any]) -> None:
    groups = {name.split(".", 1)[0] for name in SETTINGS}
    assert {name for name in explained if name.split(".", 1)[0] in groups} == set(SETTINGS)


def test_the_parameter_file_explains_every_value(repository: Path) -> None:
    lines = (repository / "config" / "emotion.yaml").read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        key, _, rest = line.strip().partition(":")
        if not rest.strip() or key.startswith("#"):
            continue
        assert "#" in rest or following.strip().startswith("#"), line
