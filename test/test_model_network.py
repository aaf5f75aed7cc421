import pytest
import torch

from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.emotion_model import to_emotion_logits
from avemo_ros.model.face_cnn import FaceCNN
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.speech_encoder import AudioFCN, SpeechBranch


@pytest.fixture(scope="module")
def network() -> EmotionNet:
    torch.manual_seed(0)
    return EmotionNet().eval()


@pytest.mark.parametrize(
    ("columns", "cells"), [(63, 1), (64, 1), (300, 8), (360, 10), (1000, 30)]
)
def test_speech_of_any_length_is_read(network: EmotionNet, columns: int, cells: int) -> None:
    with torch.inference_mode():
        given = torch.randn(1, 1, columns, 200)
        assert network.speech.encoder.cells(given).shape == (1, 256, cells, 5)
        assert network.speech.encoder(given).shape == (1, 256)
        weights = network.speech.encoder.weights(given)
    assert weights.shape == (1, cells, 5)
    assert float(weights.sum()) == pytest.approx(1.0)


def test_62_columns_are_too_few_for_the_network(network: EmotionNet) -> None:
    with pytest.raises(RuntimeError):
        network.speech.encoder(torch.randn(1, 1, 62, 200))


@pytest.mark.parametrize("side", [40, 48, 64])
def test_faces_of_training_and_live_size_become_embeddings(side: int) -> None:
    assert FaceCNN().eval()(torch.randn(3, 1, side, side)).shape == (3, 256)


def test_a_mirrored_face_and_its_mirror_image_have_one_embedding() -> None:
    torch.manual_seed(0)
    cnn = FaceCNN((8, 8), (1, 1), 8).eval()
    faces = torch.randn(3, 1, 48, 48)
    wanted = (cnn(faces) + cnn(faces.flip(-1))) / 2
    cnn.mirrored = True
    torch.testing.assert_close(cnn(faces), wanted)
    torch.testing.assert_close(cnn(faces.flip(-1)), wanted)
    assert not torch.allclose(wanted, wanted[:1]), "faces stay apart"


def test_collapsing_adds_the_probabilities_of_calm_to_neutral() -> None:
    torch.manual_seed(1)
    logits = 3 * torch.randn(5, len(SPEECH_CLASSES))
    fine = torch.softmax(logits, 1)
    coarse = torch.softmax(to_emotion_logits(logits), 1)
    assert coarse.shape == (5, len(EMOTIONS))
    for index, name in enumerate(EMOTIONS):
        expected = fine[:, SPEECH_CLASSES.index(name)].clone()
        if name == "neutral":
            expected += fine[:, SPEECH_CLASSES.index("calm")]
        assert torch.allclose(coarse[:, index], expected, atol=1e-6)


def test_temperatures_soften_the_answers_without_changing_their_order() -> None:
    torch.manual_seed(2)
    network = EmotionNet().eval()
    vector = torch.randn(4, 256)
    before = network.face_log(vector)
    network.face_temperature.fill_(3.0)
    after = network.face_log(vector)
    assert torch.equal(before.argsort(1), after.argsort(1))
    assert bool((after.max(1).values < before.max(1).values).all())


def test_fused_log_probabilities_sum_to_one(network: EmotionNet) -> None:
    with torch.inference_mode():
        log, share = network.fuse(torch.randn(3, 256), network.face_log(torch.randn(3, 256)))
    assert torch.allclose(log.exp().sum(1), torch.ones(3), atol=1e-5)
    assert bool(((share >= 0) & (share <= 1)).all())


def test_speech_branch_answers_for_all_speech_classes() -> None:
    assert SpeechBranch(AudioFCN()).eval()(torch.randn(2, 1, 100, 200)).shape == (
        2,
        len(SPEECH_CLASSES),
    )
