import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from avemo_ros.errors import PredictionError, WeightsError
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.predictor import Predictor, SpeechEvidence
from avemo_ros.model.released import find_weights, list_in_index, models_dir
from avemo_ros.model.torch_network import load_weights, save_weights


@pytest.fixture(scope="module")
def network() -> EmotionNet:
    torch.manual_seed(0)
    made = EmotionNet().eval()
    made.speech_temperature.fill_(1.7)
    return made


@pytest.fixture
def released(network: EmotionNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "test-1.safetensors"
    save_weights(network, path, "test-1", {"data": "none"})
    list_in_index(path, "test-1", default=True)
    monkeypatch.setenv("AVEMO_MODELS", str(tmp_path))
    return path


def test_weights_come_back_as_they_were_saved_to_half_precision(
    network: EmotionNet, released: Path
) -> None:
    loaded = load_weights(find_weights(""))
    assert loaded.model_id == "test-1"
    assert not loaded.network.training
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            back = loaded.network.state_dict()[name]
            assert back.dtype == torch.float32, name
            assert torch.allclose(back, value, rtol=1e-3, atol=1e-6), name
    assert float(loaded.network.speech_temperature) == pytest.approx(1.7)


def test_the_file_is_small_and_leaves_no_part_behind(released: Path) -> None:
    assert released.stat().st_size < 25e6
    assert sorted(p.name for p in released.parent.iterdir()) == ["index.json", released.name]


def test_models_are_found_by_default_by_name_and_by_path(released: Path) -> None:
    assert find_weights("") == find_weights("test-1") == find_weights(str(released))


def test_a_model_nobody_released_is_refused_with_the_names_that_are(released: Path) -> None:
    with pytest.raises(WeightsError, match=r"'nosuch'.*test-1"):
        find_weights("nosuch")


def test_a_missing_file_is_named(released: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.safetensors does not exist"):
        find_weights("gone.safetensors")
    released.unlink()
    with pytest.raises(WeightsError, match=r"does not exist though index\.json lists it"):
        find_weights("")


@pytest.mark.parametrize("keep", [0, 4, 1000, -1000])
def test_a_truncated_file_is_damaged(released: Path, keep: int) -> None:
    released.write_bytes(released.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="damaged"):
        find_weights("")
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(released)


@pytest.mark.parametrize("place", [300, 0.3, 0.9, -1])
def test_a_flipped_byte_is_found_wherever_it_is(released: Path, place: float) -> None:
    content = bytearray(released.read_bytes())
    content[int(place * len(content)) if 0 < place < 1 else int(place)] ^= 0x10
    released.write_bytes(content)
    with pytest.raises(WeightsError):
        load_weights(released)
    with pytest.raises(WeightsError, match="SHA-256"):
        find_weights("test-1")


def test_something_else_entirely_is_no_weights_file(tmp_path: Path) -> None:
    path = tmp_path / "image.safetensors"
    path.write_bytes(b"\x89PNG\r\n" * 100)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_weights(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="format None"):
        load_weights(path)


def test_weights_of_another_network_are_refused_with_what_differs(
    network: EmotionNet, tmp_path: Path
) -> None:
    class Foreign(torch.nn.Module):
        def state_dict(self, *args: object, **kwargs: object) -> dict[str, torch.Tensor]:
            state = dict(network.state_dict())
            state["face.head.weight"] = torch.zeros(6, 256)
            state["extra"] = torch.zeros(1)
            del state["face.head.bias"]
            return state

    path = tmp_path / "foreign.safetensors"
    save_weights(Foreign(), path, "foreign")  # type: ignore[arg-type]
    with pytest.raises(WeightsError) as caught:
        load_weights(path)
    assert "face.head.bias is missing" in str(caught.value)
    assert "extra is not known" in str(caught.value)
    assert "face.head.weight is (6, 256), not (7, 256)" in str(caught.value)


def test_weights_for_other_classes_are_refused(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avemo_ros.model.torch_network.EMOTIONS", ("angry", "happy"))
    with pytest.raises(WeightsError, match="emotions"):
        load_weights(released)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"default": "a", "models": {}}'])
def test_a_broken_index_is_reported(released: Path, text: str) -> None:
    (released.parent / "index.json").write_text(text)
    with pytest.raises(WeightsError, match=r"index\.json"):
        find_weights("")


def test_a_second_model_joins_the_index_without_taking_the_default(
    network: EmotionNet, released: Path
) -> None:
    other = released.with_name("test-2.safetensors")
    save_weights(network, other, "test-2")
    list_in_index(other, "test-2", default=False)
    index = json.loads((released.parent / "index.json").read_text())
    assert index["default"] == "test-1"
    assert find_weights("test-2") == other


def test_the_release_in_the_repository_loads_and_says_what_it_was_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AVEMO_MODELS", raising=False)
    path = find_weights("")
    loaded = load_weights(path)
    assert loaded.model_id == path.stem
    with safe_open(str(path), "pt") as opened:
        assert "non-commercial" in opened.metadata()["data"]
    assert (models_dir() / f"{path.stem}.md").is_file(), "every release has a model card"


def test_without_any_folder_of_weights_the_error_says_where_was_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AVEMO_MODELS", raising=False)
    monkeypatch.setattr(
        "avemo_ros.shipped_models.__file__", str(tmp_path / "avemo_ros/shipped_models.py")
    )
    with pytest.raises(WeightsError, match="AVEMO_MODELS"):
        models_dir()


@pytest.mark.parametrize(
    ("package", "models"),
    [
        ("src/avemo_ros", "src/models"),
        ("lib/python3.12/site-packages/avemo_ros", "share/avemo_ros/models"),
        ("site-packages/avemo_ros", "site-packages/avemo_ros/models"),
    ],
    ids=["checkout", "installed under a prefix", "inside the package"],
)
def test_the_folder_of_weights_is_found_wherever_the_package_is(
    package: str, models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / models).mkdir(parents=True)
    (tmp_path / models / "index.json").write_text("{}")
    monkeypatch.delenv("AVEMO_MODELS", raising=False)
    monkeypatch.setattr(
        "avemo_ros.shipped_models.__file__", str(tmp_path / package / "shipped_models.py")
    )
    assert models_dir() == tmp_path.resolve() / models


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(
    network: EmotionNet, tmp_path: Path, bad: float
) -> None:
    broken = copy.deepcopy(network)
    state = broken.state_dict().items()
    name, tensor = next((name, tensor) for name, tensor in state if tensor.ndim == 4)
    tensor.view(-1)[0] = bad
    path = tmp_path / "broken.safetensors"
    save_weights(broken, path, "broken", {})
    with pytest.raises(
        WeightsError, match=f"tensor '{name}' contains numbers that are not fin"
    ):
        load_weights(path)
    with pytest.raises(WeightsError, match="not finite"):
        Predictor.from_network(broken, "broken")


def test_weights_that_only_become_infinite_when_they_are_used_are_refused(
    network: EmotionNet,
) -> None:
    broken = copy.deepcopy(network)
    norm = next(module for module in broken.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_var is not None
    norm.running_var.fill_(-1.0)
    with pytest.raises(WeightsError, match="not finite"):
        Predictor.from_network(broken, "broken")


def test_nothing_is_predicted_from_what_is_not_finite(network: EmotionNet) -> None:
    predictor = Predictor.from_network(network, "whole")
    sound = np.full((100, 200), -40.0, np.float32)
    faces = predictor.embed_faces([np.zeros((96, 96), np.uint8)] * 3)
    evidence = predictor.speech_evidence(sound)
    assert all(np.isfinite(predictor.predict(faces, evidence).probabilities))
    sound[50, 100] = np.nan
    with pytest.raises(PredictionError, match="spectrogram is not finite"):
        predictor.speech_evidence(sound)
    faces[1, 3] = np.nan
    for heard in (None, evidence):
        with pytest.raises(PredictionError, match="output of the network is not finite"):
            predictor.predict(faces, heard)
    unheard = SpeechEvidence(evidence.vector * np.nan, evidence.log_probabilities * np.nan)
    for seen in (None, faces[:1]):
        with pytest.raises(PredictionError, match="output of the network is not finite"):
            predictor.predict(seen, unheard)
