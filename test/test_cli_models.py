import argparse
import json
from pathlib import Path

import pytest
import tiny_models as tiny

from avemo_ros.cli import models
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.builder import LIVE_KINDS
from avemo_ros.model.released import list_in_index
from avemo_ros.zoo.model_file import save_model
from avemo_ros.zoo.model_registry import KINDS, MACHINES


def parsed(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    return parser.parse_args(given)


def parsed_export(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    models.add_export_arguments(parser)
    return parser.parse_args(given)


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A live model, and a face model with a temperature; both defaults."""
    monkeypatch.setenv("AVEMO_MODELS", str(tmp_path))
    for name, raw, task, temperature in (
        ("robot", tiny.LIVE, "live", 1.0),
        ("light", tiny.FACE, "face", 1.5),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_model(tiny.made(raw), tiny.spec(raw), path, name, temperature=temperature)
        list_in_index(path, name, default=True, task=task)
    return tmp_path


def test_models_of_every_task_are_listed_and_verified(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models.run(parsed("--verify")) == 0
    _, light, robot = capsys.readouterr().out.splitlines()
    assert "face            for face" in light
    assert "loads (face)" in light
    assert "live            default" in robot
    assert "loads (av)" in robot


def test_a_model_whose_specification_is_of_another_version_is_found_by_verifying_only(
    released: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(LIVE_KINDS, "face_cnn")
    monkeypatch.delitem(KINDS, "face_cnn")
    assert models.run(parsed()) == 0
    assert models.run(parsed("--verify")) == 2
    assert "another version" in capsys.readouterr().out


def test_every_kind_is_printed_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.run(parsed("--kinds")) == 0
    out = capsys.readouterr().out
    for kind in KINDS.values():
        assert f"{kind.name}: " in out
        for option in kind.options.settings():
            assert f"  {option.name}: " in out
    assert ", ".join(MACHINES) in out
    assert "ensemble: " in out


def test_an_index_that_names_a_default_it_does_not_list_is_refused(released: Path) -> None:
    index = json.loads((released / "index.json").read_text())
    index["defaults"]["audio"] = "nosuch"
    (released / "index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match="names a default that it does not list"):
        models.run(parsed())


def test_a_model_is_exported_by_name_and_the_temperature_is_told(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "light.pt"
    given = parsed_export("light", "--format", "torchscript", "--out", str(out))
    assert models.run_export(given) == 0
    assert out.is_file()
    shown = capsys.readouterr().out
    assert "light.pt: differs by at most" in shown
    assert "divide the logits by the temperature 1.5000" in shown


@pytest.mark.parametrize("given", [["light"], ["light", "--bench", "--rounds", "0"]])
def test_an_export_that_asks_for_nothing_is_refused(given: list[str], released: Path) -> None:
    with pytest.raises(ConfigError):
        models.run_export(parsed_export(*given))
