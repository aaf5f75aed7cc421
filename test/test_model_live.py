import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
import torch

from avemo_ros.config import ModelConfig
from avemo_ros.errors import WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.emotion_model import Batch, ModelOutput
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.model.predictor import Predictor
from avemo_ros.model.preprocess import face_tensor, spectrogram_tensor
from avemo_ros.model.tensor_file import stored, write_tensors
from avemo_ros.model.torch_network import FORMAT, save_weights
from avemo_ros.zoo.classifier import NetworkClassifier
from avemo_ros.zoo.model_file import find_model, load_model


@pytest.fixture(scope="module")
def window() -> tuple[np.ndarray, np.ndarray]:
    """Four crops and a second of spectrogram."""
    chance = np.random.default_rng(0)
    crops = chance.integers(0, 256, (4, 60, 60), np.uint8)
    return crops, (60 * chance.random((100, 200)) - 80).astype(np.float32)


def answered(model: LiveModel, crops: np.ndarray, power_db: np.ndarray) -> ModelOutput:
    faces = face_tensor(crops).unsqueeze(0).expand(3, -1, -1, -1, -1)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[2] = False
    speech = spectrogram_tensor(power_db).expand(3, -1, -1, -1)
    with torch.inference_mode():
        return model(Batch(faces, mask, speech, torch.tensor([True, False, True])))


def test_the_released_live_model_answers_batches_as_the_robot_does(
    window: tuple[np.ndarray, np.ndarray],
) -> None:
    loaded = load_model(find_model("avemo-0.5"))
    assert loaded.spec.kind == "live"
    assert isinstance(loaded.model, LiveModel)
    answer = answered(loaded.model, *window)
    predictor = Predictor(ModelConfig(weights="avemo-0.5", precision="float32"))
    embedded = predictor.embed_faces(list(window[0]))
    heard = predictor.speech_evidence(window[1])
    cases = [(embedded, heard), (embedded, None), (None, heard)]
    for row, (faces, speech) in enumerate(cases):
        expected = predictor.predict(faces, speech)
        ours = torch.softmax(answer.logits[row], 0)
        assert ours.tolist() == pytest.approx(expected.probabilities, abs=1e-5), row
        assert float(answer.face_share[row]) == pytest.approx(expected.face_share, abs=1e-5)


def test_a_live_model_of_other_parts_is_saved_and_runs_on_the_robot(
    window: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    from avemo_ros.zoo.model_file import save_model

    raw = {
        "kind": "live",
        "face": tiny.INCEPTION,
        "speech": {**tiny.SPEECH, "front": "log+mean+delta", "norm": "local"},
    }
    model = tiny.made(raw)
    assert isinstance(model, LiveModel)
    model.network.fused_temperature.fill_(1.3)
    path = tmp_path / "live.safetensors"
    save_model(model, tiny.spec(raw), path, "live-test")
    predictor = Predictor(ModelConfig(weights=str(path), precision="float32"))
    assert predictor.model_id == "live-test"
    embedded = predictor.embed_faces(list(window[0]))
    assert embedded.shape == (4, 8)
    expected = predictor.predict(embedded, predictor.speech_evidence(window[1]))
    back = load_model(path).model
    assert isinstance(back, LiveModel)
    ours = torch.softmax(answered(back, *window).logits[0], 0)
    assert ours.tolist() == pytest.approx(expected.probabilities, abs=1e-5)


def test_scores_of_a_live_model_are_its_calibrated_log_probabilities() -> None:
    loaded = load_model(find_model(""))
    corpus = tiny.corpus().only([False, True, False, False, False, False, True])
    scores = NetworkClassifier(loaded).scores(corpus)
    assert torch.allclose(scores.exp().sum(1), torch.ones(2), atol=1e-5)
    assert torch.allclose(scores[1], torch.full((7,), -np.log(7)), atol=1e-5)
    assert float((scores[0] - scores[0].mean()).abs().max()) > 0.01


def test_the_fusion_of_the_first_release_is_refused_and_what_to_do_is_said(
    tmp_path: Path,
) -> None:
    about = {
        "format": FORMAT,
        "model_id": "old",
        "emotions": json.dumps(EMOTIONS),
        "speech_classes": json.dumps(SPEECH_CLASSES),
    }
    path = tmp_path / "old.safetensors"
    for spec in ({}, {"spec": json.dumps({"kind": "live", "fusion": "vectors"})}):
        write_tensors(path, stored(EmotionNet()), about | spec)
        with pytest.raises(WeightsError, match=r"as avemo-0\.1 did.*avemo train live"):
            load_model(path)


@pytest.mark.parametrize("name", ["avemo-0.1", "avemo-0.2.safetensors", "avemo-0.4"])
def test_an_older_release_is_named_with_what_took_its_place(name: str) -> None:
    with pytest.raises(WeightsError, match=r"no longer comes with avemo_ros, use avemo-0\.5"):
        Predictor(ModelConfig(weights=name))


def test_weights_saved_without_a_specification_have_the_default_one(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    save_weights(EmotionNet(), path, "new")
    loaded = load_model(path)
    assert loaded.spec.options["speech"].options["front"] == "log"
    assert loaded.spec.options["fusion"] == "clarity"
    assert loaded.temperature == 1.0


def test_the_wrapped_network_is_the_one_given_and_parts_are_its_own_heads() -> None:
    model = tiny.made(tiny.LIVE)
    assert isinstance(model, LiveModel)
    given = tiny.batch()
    with torch.inference_mode():
        answer = model(given)
        alone = model(replace(given, faces=None, face_mask=None))
        model.network.face_temperature.fill_(4.0)
        softer = model(given)
    assert torch.equal(answer.parts["audio"], alone.logits)
    assert torch.allclose(answer.parts["face"][1], answer.logits[1])
    assert float(softer.logits[1].max()) < float(answer.logits[1].max())
