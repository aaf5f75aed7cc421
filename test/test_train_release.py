"""Models among the released ones: none is replaced, and a failed one leaves nothing."""

import json
from pathlib import Path

import pytest
import tiny_models as tiny

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import SPEECH_CLASSES
from avemo_ros.train.release import release
from avemo_ros.zoo.classical import open_classifier, save_ensemble
from avemo_ros.zoo.ensemble import Ensemble
from avemo_ros.zoo.model_file import save_model


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The model file of a voice network."""
    path = tmp_path / "runs" / "voice.safetensors"
    save_model(tiny.made(tiny.SPEECH), tiny.spec(tiny.SPEECH), path, "voice")
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_released_model_is_not_replaced(run: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    release(str(run), "voice-1", models, default=True)
    index = json.loads((models / "index.json").read_text())
    assert index["defaults"] == {"audio": "voice-1"}
    before = content(models)
    with pytest.raises(ConfigError, match="'--name' is 'voice-1'; allowed: a new name"):
        release(str(run), "voice-1", models)
    assert content(models) == before


def test_an_ensemble_is_released_by_the_released_names_of_its_members(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("AVEMO_MODELS", str(models))
    release(str(run), "voice-1", models)
    both = tmp_path / "both.safetensors"
    save_ensemble(both, "both", [(run, 0.75), (run, 0.5)], SPEECH_CLASSES)
    before = content(models)
    with pytest.raises(ConfigError, match="2 released names"):
        release(str(both), "both-1", models, members=["voice-1"])
    with pytest.raises(WeightsError, match="voice-2"):
        release(str(both), "both-1", models, members=["voice-1", "voice-2"])
    assert content(models) == before
    release(str(both), "both-1", models, members=["voice-1", "voice-1"])
    opened = open_classifier("both-1", task="audio")
    assert isinstance(opened, Ensemble)
    assert [one.weight for one in opened.members] == [0.75, 0.5]
    assert [one.classifier.name for one in opened.members] == ["voice-1", "voice-1"]
