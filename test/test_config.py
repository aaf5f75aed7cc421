"""The configuration, and config/emotion.yaml that explains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from avemo_ros.config import PipelineConfig, VisionConfig
from avemo_ros.data.features import PrepareConfig
from avemo_ros.dialog.dialog_config import DialogConfig, EndpointConfig
from avemo_ros.errors import ConfigError

SETTINGS = {setting.name: setting for setting in PipelineConfig.settings()}


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
        ("emotion.hop_s", float("nan"), "is nan; allowed: a number from 0.03 to 2.0"),
        ("emotion.hop_s", float("inf"), "is inf; allowed: a number"),
        ("emotion.hop_s", "0.1", "is '0.1'; allowed: a number"),
        ("emotion.hop_s", True, "is True; allowed: a number"),
        ("emotion.hop_s", None, "is None; allowed: a number"),
        ("vision.max_faces", 0, "1 to 16"),
        ("vision.max_faces", 2.0, "is 2.0; allowed: a whole number"),
        ("vision.max_faces", "2", "is '2'; allowed: a whole number"),
        ("vision.max_faces", True, "is True; allowed: a whole number"),
        ("model.weights", 3, "text"),
        ("vision.detector_range", "long", "short | full"),
        ("model.device", "tpu", "cpu | cuda | tensorrt | auto"),
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
        {"emotion.face_s": 4.0},
        {"emotion.window_s": 1.0},  # emotion.voice_s is longer
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"emotion\.window_s"):
        PipelineConfig.from_flat(values)


def test_a_configuration_cannot_be_changed_after_its_check() -> None:
    with pytest.raises(ValueError, match="frozen"):
        VisionConfig().max_faces = 0


def test_a_copy_with_other_values_is_checked() -> None:
    config = PipelineConfig()
    assert config.vision.replace(max_faces=2).max_faces == 2
    with pytest.raises(ConfigError, match=r"'vision\.max_faces' is 0"):
        config.vision.replace(max_faces=0)
    with pytest.raises(ConfigError, match=r"vision\.max_face'.*did you mean 'max_faces'"):
        config.vision.replace(max_face=2)
    with pytest.raises(ConfigError, match=r"emotion\.warm_up_s"):
        config.replace(emotion=config.emotion.replace(warm_up_s=5.0))


def test_every_setting_of_a_node_or_the_training_is_described_and_its_numbers_have_limits() -> (
    None
):
    for kind in (PipelineConfig, DialogConfig, EndpointConfig, PrepareConfig):
        for setting in kind.settings():
            assert setting.description.endswith("."), setting.name
            if type(setting.default) in (int, float):
                assert None not in (setting.low, setting.high), setting.name


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


def test_the_parameter_file_has_every_setting_with_its_default_and_no_other(
    explained: dict[str, Any],
) -> None:
    groups = {name.split(".", 1)[0] for name in SETTINGS}
    given = {name: value for name, value in explained.items() if name.split(".")[0] in groups}
    # repr() tells 1 from 1.0 and from True.
    assert {name: repr(value) for name, value in given.items()} == {
        name: repr(setting.default) for name, setting in SETTINGS.items()
    }


def test_the_parameter_file_explains_every_value(repository: Path) -> None:
    lines = (repository / "config" / "emotion.yaml").read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        key, _, rest = line.strip().partition(":")
        if not rest.strip() or key.startswith("#"):
            continue
        assert "#" in rest or following.strip().startswith("#"), line
