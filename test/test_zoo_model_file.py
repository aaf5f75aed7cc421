import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import tiny_models as tiny
import torch

from avemo_ros.errors import WeightsError
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.released import list_in_index
from avemo_ros.model.tensor_file import stored, write_tensors
from avemo_ros.zoo.classifier import NetworkClassifier
from avemo_ros.zoo.face_models import ActionUnitMLP, standardise_units
from avemo_ros.zoo.model_file import LoadedModel, find_model, load_model, save_model


def saved(raw: dict[str, Any], path: Path, **options: Any) -> LoadedModel:
    model = tiny.made(raw)
    save_model(model, tiny.spec(raw), path, "test-1", {"data": "made up"}, **options)
    return LoadedModel(model, tiny.spec(raw), "test-1")


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_every_kind_comes_back_with_its_answers(raw: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    before = saved(raw, path)
    after = load_model(path)
    assert (after.name, after.spec.kind) == ("test-1", raw["kind"])
    assert after.about["data"] == "made up"
    assert not after.model.training
    given = tiny.batch(after.model.face_side)
    with torch.inference_mode():
        assert torch.allclose(
            after.model(given).logits, before.model(given).logits, atol=0.02
        ), "float16 in the file"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_what_units_are_like_is_kept_with_the_model(tmp_path: Path) -> None:
    raw = tiny.fused("fbp", tiny.UNITS)
    model = tiny.made(raw)
    units = torch.rand(50, 35) * torch.arange(35)
    assert standardise_units(model, units)
    assert not standardise_units(tiny.made(tiny.FACE), units)
    save_model(model, tiny.spec(raw), tmp_path / "m.safetensors", "m")
    visual = load_model(tmp_path / "m.safetensors").model.visual
    assert isinstance(visual, ActionUnitMLP)
    assert torch.allclose(visual.mean, units.mean(0), atol=1e-4)
    assert float(visual.deviation[0]) == 1.0, "a unit that never changes"
    assert torch.allclose(visual.deviation[1:], units.std(0, correction=0)[1:], atol=1e-4)


def test_the_temperature_of_the_file_softens_the_scores(tmp_path: Path) -> None:
    sharp, soft = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    saved(tiny.UNITS, sharp)
    saved(tiny.UNITS, soft, temperature=2.0)
    corpus = tiny.corpus()
    first = NetworkClassifier(load_model(sharp)).scores(corpus)
    second = NetworkClassifier(load_model(soft)).scores(corpus)
    assert torch.allclose(torch.log_softmax(first / 2, 1), second, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(temperature: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above 0"):
        saved(tiny.UNITS, tmp_path / "m.safetensors", temperature=temperature)


def test_a_live_model_has_temperatures_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of its own"):
        saved(tiny.LIVE, tmp_path / "m.safetensors", temperature=2.0)


def about(raw: dict[str, Any], **changes: str) -> dict[str, str]:
    model = tiny.made(raw)
    notes = {
        "format": "avemo-model-1",
        "name": "m",
        "spec": tiny.spec(raw).to_json(),
        "classes": json.dumps(model.classes),
        "temperature": "1.0",
    }
    return {**notes, **changes}


def test_weights_of_a_changed_model_are_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tensors = stored(tiny.made(tiny.UNITS))
    tensors["extra"] = torch.zeros(2)
    tensors["head.weight"] = torch.zeros(8, 5, dtype=torch.float16)
    del tensors["head.bias"]
    write_tensors(path, tensors, about(tiny.UNITS))
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "head.bias is missing" in message
    assert "extra is not known" in message
    assert "head.weight is (8, 5), not (8, 6)" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "avemo-model-9"}, "format 'avemo-model-9'"),
        ({"classes": '["angry"]'}, "classes"),
        ({"spec": '{"kind": "nosuch"}'}, "another version.*nosuch"),
        ({"spec": '{"kind": "units", "depth": 3}'}, "another version.*depth"),
        ({"spec": "not json"}, "another version"),
        ({"temperature": "warm"}, "another version"),
    ],
)
def test_a_file_of_another_version_is_refused_with_the_reason(
    changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    write_tensors(path, stored(tiny.made(tiny.UNITS)), about(tiny.UNITS, **changes))
    with pytest.raises(WeightsError, match=message):
        load_model(path)


@pytest.mark.parametrize("place", [200, -3, 2000])
def test_a_flipped_byte_is_found(place: int, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    saved(tiny.FACE, path)
    content = bytearray(path.read_bytes())
    content[place] ^= 0x04
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        load_model(path)


@pytest.mark.parametrize("name", ["m.pt", "m.pkl", "m.safetensors"])
def test_pickles_are_refused_whatever_they_are_called(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pickle.dumps({"a": [1, 2, 3] * 50}))
    with pytest.raises(WeightsError, match=r"not a \.?safetensors"):
        load_model(tmp_path / name)


def test_a_model_is_found_by_file_by_run_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    saved(tiny.FACE, run / "model.safetensors")
    assert find_model(str(run)) == find_model(run / "model.safetensors")
    released = tmp_path / "models"
    monkeypatch.setenv("AVEMO_MODELS", str(released))
    for name, raw, task in (("live-1", tiny.LIVE, "live"), ("face-1", tiny.FACE, "face")):
        saved(raw, released / f"{name}.safetensors")
        list_in_index(released / f"{name}.safetensors", name, default=True, task=task)
    assert find_model("").stem == find_model("live-1").stem == "live-1"
    assert find_model("", "av").stem == "live-1"
    assert find_model("", "face").stem == find_model("face-1", "audio").stem == "face-1"
    with pytest.raises(WeightsError, match=r"no released default for 'audio'.*face, live"):
        find_model("", "audio")
    index = json.loads((released / "index.json").read_text())
    assert index["default"] == "live-1"
    assert index["defaults"] == {"face": "face-1"}
    assert index["models"]["face-1"]["task"] == "face"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a training run, or not a finished one"):
        find_model(tmp_path)
    with pytest.raises(WeightsError, match="does not exist"):
        find_model(tmp_path / "gone")
    with pytest.raises(WeightsError, match="model file gone does not exist"):
        find_model("./gone")
    with pytest.raises(WeightsError, match="does not exist"):
        find_model("gone.safetensors")
    with pytest.raises(WeightsError, match="no released model is called 'gone'"):
        find_model("gone")


def test_starts_are_not_asked_for_when_a_model_is_loaded(tmp_path: Path) -> None:
    start = tmp_path / "alexnet.pth"
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3)}
    shapes |= {8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {f"features.{i}.weight": torch.randn(s) for i, s in shapes.items()}
    torch.save(state, start)
    spec = ModelSpec("speech_fcn", {"imagenet": str(start)})
    from avemo_ros.zoo.model_registry import BUILDER

    model = BUILDER.build(spec)
    save_model(model, spec, tmp_path / "m.safetensors", "m")
    start.unlink()
    assert load_model(tmp_path / "m.safetensors").spec.options["imagenet"] == ""
