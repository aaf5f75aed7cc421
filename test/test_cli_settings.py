"""Parameter files and --set."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError
from avemo_ros.settings import SettingsError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return path


def test_nothing_given_is_the_default() -> None:
    assert PipelineConfig.read(None, []) == PipelineConfig()


def test_settings_are_read_as_yaml_values() -> None:
    config = PipelineConfig.read(
        None,
        ["emotion.hop_s=0.2", "vision.max_faces=2", "model.device=auto", "emotion.window_s=4"],
    )
    assert config.emotion.hop_s == 0.2
    assert config.emotion.window_s == 4.0
    assert config.vision.max_faces == 2
    assert config.model.device == "auto"


def test_a_ros_parameter_file_is_read_and_other_parameters_are_left_out(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path,
        """
/**:
  ros__parameters:
    use_sim_time: true
    emotion:
      hop_s: 0.25
    vision.max_faces: 3
robot:
  emotion_stack:
    ros__parameters:
      overlay_rate_hz: 10.0
      audio:
        chunk_s: 0.05
""",
    )
    config = PipelineConfig.read(path, [])
    assert config.emotion.hop_s == 0.25
    assert config.vision.max_faces == 3
    assert config.audio.chunk_s == 0.05


def test_a_plain_mapping_is_read_too(tmp_path: Path) -> None:
    path = written(tmp_path, "emotion.hop_s: 0.5\nvision: {max_faces: 1}\n")
    config = PipelineConfig.read(path, [])
    assert (config.emotion.hop_s, config.vision.max_faces) == (0.5, 1)


def test_settings_go_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "emotion.hop_s: 0.5\n")
    assert PipelineConfig.read(path, ["emotion.hop_s=0.2"]).emotion.hop_s == 0.2


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert PipelineConfig.read(written(tmp_path, "# nothing\n"), []) == PipelineConfig()


@pytest.mark.parametrize(
    "text",
    [
        "emotion.hop: 0.1",
        "/**:\n  ros__parameters:\n    emotion:\n      hop: 0.1",
        "use_sim_time: true",
    ],
)
def test_a_misspelt_name_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="no parameter of this name here"):
        PipelineConfig.read(written(tmp_path, text), [])


@pytest.mark.parametrize("text", ["- 1\n- 2", "a: [", "just words"])
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"p\.yaml"):
        PipelineConfig.read(written(tmp_path, text), [])


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        PipelineConfig.read(tmp_path / "none.yaml", [])
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="UTF-8"):
        PipelineConfig.read(binary, [])


@pytest.mark.parametrize("text", ["emotion.hop_s", "=1", ""])
def test_a_setting_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        PipelineConfig.read(None, [text])


def test_a_value_out_of_range_says_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"emotion\.hop_s.*0\.03 to 2"):
        PipelineConfig.read(None, ["emotion.hop_s=9"])


def test_the_shipped_parameter_file_is_accepted() -> None:
    path = Path(__file__).resolve().parent.parent / "config" / "emotion.yaml"
    PipelineConfig.read(path, [])
