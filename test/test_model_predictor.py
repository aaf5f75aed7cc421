import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from real_inputs import faces_and_voices

from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.predictor import Predictor
from avemo_ros.model.preprocess import face_tensor, spectrogram_tensor
from avemo_ros.model.torch_network import bn_folded, has_fast_bfloat16, save_weights


@pytest.fixture(scope="module")
def network() -> EmotionNet:
    """Untrained, but with normalisation statistics that folding must get right."""
    torch.manual_seed(0)
    made = EmotionNet().eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    made.fusion.weigh.weight.data.normal_(0, 0.3)
    made.fusion.face_confusion.data.normal_(0, 0.3)
    made.face_temperature.fill_(1.3)
    return made


@pytest.fixture(scope="module")
def predictor(network: EmotionNet) -> Predictor:
    return Predictor.from_network(network, "untrained", ModelConfig(precision="float32"))


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (5, 96, 96), dtype=np.uint8))


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.random.default_rng(1).uniform(-90, -10, (120, 200)).astype(np.float32)


def test_folding_batch_norm_changes_nothing_but_speed(
    network: EmotionNet, predictor: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    with torch.inference_mode():
        faces = network.face.cnn(face_tensor(crops)).numpy()
        voice = network.encode_audio(spectrogram_tensor(sound))
    assert np.allclose(predictor.embed_faces(crops), faces, atol=1e-4)
    assert np.allclose(predictor.speech_evidence(sound).vector, voice.numpy(), atol=1e-4)


def test_face_alone_voice_alone_and_both_are_answered(
    predictor: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    faces, voice = predictor.embed_faces(crops), predictor.speech_evidence(sound)
    face_only = predictor.predict(faces, None)
    voice_only = predictor.predict(None, voice)
    both = predictor.predict(faces, voice)
    assert (face_only.face_share, face_only.voice_share) == (1.0, 0.0)
    assert (voice_only.face_share, voice_only.voice_share) == (0.0, 1.0)
    assert 0.0 < both.face_share < 1.0
    for answer in (face_only, voice_only, both):
        assert len(answer.probabilities) == len(EMOTIONS)
        assert sum(answer.probabilities) == pytest.approx(1.0, abs=1e-9)
        assert answer.face_share + answer.voice_share == pytest.approx(1.0)
    assert voice_only.frame_weights is None
    assert both.frame_weights is not None
    assert both.frame_weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert both.probabilities != face_only.probabilities


def test_without_face_and_voice_there_is_nothing_to_say(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="neither"):
        predictor.predict(None, None)


@pytest.mark.parametrize("shape", [(0, 256), (256,)])
def test_embeddings_of_another_shape_are_refused(
    predictor: Predictor, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        predictor.predict(np.zeros(shape, np.float32), None)


def test_no_faces_give_no_embeddings(predictor: Predictor) -> None:
    assert predictor.embed_faces([]).shape == (0, 256)


def test_the_same_input_gives_the_same_output_whatever_came_between(
    predictor: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    def ask() -> tuple[float, ...]:
        faces, voice = predictor.embed_faces(crops[:2]), predictor.speech_evidence(sound)
        return predictor.predict(faces, voice).probabilities

    before = ask()
    predictor.speech_evidence(sound[:70])
    predictor.predict(predictor.embed_faces(crops), None)
    assert ask() == before


def test_the_order_of_frames_does_not_matter_to_the_attention(
    predictor: Predictor, crops: list[np.ndarray]
) -> None:
    faces = predictor.embed_faces(crops)
    forth, back = predictor.predict(faces, None), predictor.predict(faces[::-1].copy(), None)
    assert forth.probabilities == pytest.approx(back.probabilities, abs=1e-6)


def test_the_network_it_is_made_from_stays_as_it_is(network: EmotionNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Predictor.from_network(network, "x")
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_saved_network_answers_as_before_saving_within_half_precision(
    network: EmotionNet, predictor: Predictor, crops: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(network, path, "saved-1")
    loaded = Predictor(ModelConfig(weights=str(path), precision="float32"))
    assert loaded.model_id == "saved-1"
    ours = predictor.predict(predictor.embed_faces(crops), None).probabilities
    theirs = loaded.predict(loaded.embed_faces(crops), None).probabilities
    assert theirs == pytest.approx(ours, abs=0.01)


def test_missing_weights_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        Predictor(ModelConfig(weights=str(tmp_path / "none.safetensors")))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_asking_for_a_gpu_that_is_not_there_is_a_configuration_error(
    network: EmotionNet,
) -> None:
    with pytest.raises(ConfigError, match=r"model\.device"):
        Predictor.from_network(network, "x", ModelConfig(device="cuda"))
    assert Predictor.from_network(network, "x", ModelConfig(device="auto")).device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree(
    network: EmotionNet, predictor: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    gpu = Predictor.from_network(network, "x", ModelConfig(device="cuda"))
    assert gpu.precision == "float32"
    ours = predictor.predict(predictor.embed_faces(crops), predictor.speech_evidence(sound))
    theirs = gpu.predict(gpu.embed_faces(crops), gpu.speech_evidence(sound))
    assert theirs.probabilities == pytest.approx(ours.probabilities, abs=5e-3)


def test_the_thread_limit_holds_in_whatever_thread_the_network_is_called():
    predictor = Predictor.from_network(EmotionNet(), "random", ModelConfig(threads=1))
    seen: list[int] = []

    def work() -> None:
        predictor.embed_faces([np.zeros((48, 48), np.uint8)])
        seen.append(torch.get_num_threads())

    torch.set_num_threads(2)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(1)
    assert seen == [1]


def test_float32_is_exactly_the_folded_network(
    network: EmotionNet, predictor: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    ready = bn_folded(network)
    assert predictor.precision == "float32"
    with torch.inference_mode():
        given = face_tensor(crops).to(memory_format=torch.channels_last)
        assert np.array_equal(predictor.embed_faces(crops), ready.face.cnn(given).numpy())
        vector = ready.encode_audio(spectrogram_tensor(sound))
        evidence = predictor.speech_evidence(sound)
        assert np.array_equal(evidence.vector, vector.numpy())
        assert np.array_equal(evidence.log_probabilities, ready.speech_log(vector).numpy())


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_bfloat16_where_it_is_fast_and_only_there(
    network: EmotionNet, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avemo_ros.model.torch_network.has_fast_bfloat16", lambda: fast)
    chosen = Predictor.from_network(network, "x").precision
    assert chosen == ("bfloat16" if fast else "float32")
    for wanted in ("float32", "bfloat16"):
        config = ModelConfig(precision=wanted)
        assert Predictor.from_network(network, "x", config).precision == wanted


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"amx_bf16": True, "amx_tile": True, "avx512_bf16": True}, True),
        ({"amx_bf16": False, "amx_tile": True, "avx512_bf16": True}, False),
        ({"avx512_bf16": True, "amx_tile": False}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, True),
        ({"cpu_name": "AMD EPYC", "avx512_f": True}, False),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True}, False),
        ({"architecture": "aarch64", "bf16": True}, False),
    ],
)
def test_bfloat16_is_fast_with_matrix_tiles_or_on_amd_with_its_instructions(
    found: dict[str, object], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: True)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: found, raising=False)
    assert has_fast_bfloat16() is expected


def test_an_older_torch_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: True)
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: True, raising=False)
    assert has_fast_bfloat16() is True
    monkeypatch.delattr("torch.cpu._is_amx_tile_supported")
    assert has_fast_bfloat16() is False


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.precision.*float32 \| bfloat16"):
        ModelConfig(precision="float16")


def both_answers(
    ours: Predictor, theirs: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    """Face alone, voice alone and both agree, and bfloat16 is not float32."""
    told = []
    for predictor in (ours, theirs):
        faces, voice = predictor.embed_faces(crops), predictor.speech_evidence(sound)
        assert faces.dtype == np.float32
        assert voice.vector.dtype == voice.log_probabilities.dtype == np.float32
        pairs = [(faces, None), (None, voice), (faces, voice)]
        told.append(np.array([predictor.predict(*pair).probabilities for pair in pairs]))
    assert not np.array_equal(told[0], told[1])
    assert np.abs(told[0] - told[1]).max() < 0.02
    # The label may only differ where two emotions are as good as even.
    for before, after in zip(*told, strict=True):
        first, second = np.sort(before)[:-3:-1]
        assert before.argmax() == after.argmax() or first - second < 0.02


def test_bfloat16_answers_as_float32_to_any_input_and_the_same_each_time(
    network: EmotionNet, predictor: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    fast = Predictor.from_network(network, "x", ModelConfig(precision="bfloat16"))
    both_answers(predictor, fast, crops, sound)
    before = fast.embed_faces(crops), fast.speech_evidence(sound).vector
    fast.embed_faces(crops[:2])
    fast.speech_evidence(sound[:70])
    again = Predictor.from_network(network, "x", ModelConfig(precision="bfloat16"))
    for one in (fast, again):
        assert np.array_equal(one.embed_faces(crops), before[0])
        assert np.array_equal(one.speech_evidence(sound).vector, before[1])


def test_bfloat16_answers_as_float32_to_real_faces_and_voices(shared_data: Path) -> None:
    exact = Predictor(ModelConfig(precision="float32"))
    fast = Predictor(ModelConfig(precision="bfloat16"))
    for faces, columns in faces_and_voices(shared_data):
        both_answers(exact, fast, faces, columns)
