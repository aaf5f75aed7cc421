"""A live model that reads landmarks: the same in PyTorch, in ONNX Runtime, and on batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_landmarks import sequence

from avemo_ros.config import ModelConfig
from avemo_ros.errors import WeightsError
from avemo_ros.model.emotion_model import Batch, ModelSpec
from avemo_ros.model.face_points import LEAST_FRAMES, POINTS, newest_frames
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.model.predictor import LandmarkWindow, Predictor
from avemo_ros.model.preprocess import face_tensor, spectrogram_tensor
from avemo_ros.model.released import LANDMARKS_PART, onnx_file
from avemo_ros.zoo.model_export import export_beside, verify_beside
from avemo_ros.zoo.model_file import load_model, save_model
from avemo_ros.zoo.model_registry import BUILDER

SPEC = ModelSpec(
    "live",
    {
        "face": ModelSpec("face_cnn", {"widths": (8, 8), "blocks": (1, 1), "stem": 8}),
        "speech": ModelSpec("speech_fcn", {"channels": (8, 8, 8, 8, 8)}),
        "landmarks": ModelSpec("landmark_sequence", {"width": 16}),
    },
)


@pytest.fixture(scope="module")
def network() -> EmotionNet:
    torch.manual_seed(0)
    model = BUILDER.build(SPEC)
    assert isinstance(model, LiveModel)
    net = model.network.eval()
    assert net.landmarks is not None
    for head in (net.landmarks.head, net.face.head, net.speech.head):
        torch.nn.init.normal_(head.weight, std=0.5)
    net.landmark_weight.data.fill_(0.7)
    net.landmark_temperature.fill_(1.4)
    return net


@pytest.fixture(scope="module")
def window() -> LandmarkWindow:
    frames = newest_frames(sequence(90, opens=12), np.arange(90) / 30)
    assert frames is not None
    neutral = frames[:, : 2 * POINTS].mean(0) + 0.05
    return LandmarkWindow(frames, neutral.astype(np.float32), 0.6)


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (4, 96, 96), dtype=np.uint8))


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.random.default_rng(1).uniform(-90, -10, (120, 200)).astype(np.float32)


def batch_of(crops, sound, window: LandmarkWindow) -> Batch:
    return Batch(
        faces=face_tensor(crops)[None],
        speech=spectrogram_tensor(sound),
        points=torch.from_numpy(window.frames)[None],
        neutral=torch.from_numpy(window.neutral)[None],
        neutral_weight=torch.tensor([window.neutral_weight], dtype=torch.float32),
    )


def probabilities(network: EmotionNet, batch: Batch) -> np.ndarray:
    with torch.inference_mode():
        return LiveModel(network)(batch).logits.softmax(1)[0].numpy()


def test_the_robot_answers_as_the_model_does_on_a_batch(network, window, crops, sound) -> None:
    predictor = Predictor.from_network(network, "m", ModelConfig(precision="float32"))
    assert predictor.reads_landmarks
    seen, heard = predictor.embed_faces(crops), predictor.speech_evidence(sound)
    batch = batch_of(crops, sound, window)
    both = predictor.predict(seen, heard, window)
    assert np.allclose(both.probabilities, probabilities(network, batch), atol=1e-4)
    face = predictor.predict(seen, None, window)
    alone = replace(batch, speech=None)
    assert np.allclose(face.probabilities, probabilities(network, alone), atol=1e-4)
    assert not np.allclose(face.probabilities, predictor.predict(seen, None).probabilities)
    assert not np.allclose(both.probabilities, predictor.predict(seen, heard).probabilities)


def test_of_a_stranger_the_landmarks_do_not_count(network, window, crops, sound) -> None:
    predictor = Predictor.from_network(network, "m", ModelConfig(precision="float32"))
    seen, heard = predictor.embed_faces(crops), predictor.speech_evidence(sound)
    stranger = replace(window, neutral_weight=0.0)
    for voice in (None, heard):
        one, other = predictor.predict(seen, voice, stranger), predictor.predict(seen, voice)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    batch = batch_of(crops, sound, window)
    plain = replace(batch, points=None, neutral=None, neutral_weight=None)
    unknown = replace(batch, neutral=None, neutral_weight=None)
    assert np.array_equal(probabilities(network, unknown), probabilities(network, plain))


def test_few_frames_do_not_count_and_landmarks_alone_do(network, window, crops, sound) -> None:
    batch = batch_of(crops, sound, window)
    assert batch.points is not None
    short = replace(batch, points=batch.points[:, : LEAST_FRAMES - 1])
    plain = replace(batch, points=None, neutral=None, neutral_weight=None)
    assert np.allclose(probabilities(network, short), probabilities(network, plain))
    alone = probabilities(network, replace(batch, faces=None, speech=None))
    assert alone.max() > 1 / 7 + 0.01
    joined = probabilities(network, replace(batch, faces=None))
    assert not np.allclose(joined, probabilities(network, replace(plain, faces=None)))


def test_onnx_files_answer_as_pytorch_and_one_more_is_needed(
    network, window, crops, sound, tmp_path: Path
) -> None:
    weights = tmp_path / "own.safetensors"
    save_model(LiveModel(network), SPEC, weights, "own-1")
    loaded = load_model(weights)
    assert loaded.model.modality == "face+landmarks+audio"
    written = export_beside(loaded, weights)
    assert LANDMARKS_PART in {one.name for one in written}
    assert verify_beside(loaded, weights) < 1e-4
    config = ModelConfig(weights=str(weights), precision="float32")
    runtimes = [Predictor(config.replace(runtime=name)) for name in ("torch", "onnxruntime")]
    for given in (None, window):
        answers = [
            one.predict(one.embed_faces(crops), one.speech_evidence(sound), given)
            for one in runtimes
        ]
        assert answers[0].probabilities == pytest.approx(answers[1].probabilities, abs=1e-4)
    onnx_file(weights, LANDMARKS_PART).unlink()
    with pytest.raises(WeightsError, match=r"own-landmarks\.onnx"):
        Predictor(config.replace(runtime="onnxruntime"))
