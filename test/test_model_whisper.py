"""Whisper's encoder: its arithmetic against PyTorch's own transformer, and its weight file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from avemo_ros.audio.spectrogram import LogSpectrogram
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.builder import LIVE_BUILDER
from avemo_ros.model.emotion_model import Batch, ModelSpec
from avemo_ros.model.preprocess import spectrogram_tensor
from avemo_ros.model.speech_encoder import SpeechModel
from avemo_ros.model.whisper_encoder import WhisperEncoder, init_from_whisper

WIDTH = 128
LAYERS = 2


def tensors(width: int = WIDTH, layers: int = 3) -> dict[str, np.ndarray]:
    """A small Whisper encoder by CTranslate2's names, and something of the decoder."""
    chance = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return (0.1 * chance.standard_normal(shape)).astype(np.float16)

    found = {
        "encoder/conv1/weight": some(width, 80, 3),
        "encoder/conv1/bias": some(width),
        "encoder/conv2/weight": some(width, width, 3),
        "encoder/conv2/bias": some(width),
        "decoder/embeddings/weight": some(7, width),
        "encoder/num_heads": np.array(width // 64, np.int16),
    }
    for number in range(layers):
        at = f"encoder/layer_{number}"
        for norm in ("self_attention/layer_norm", "ffn/layer_norm"):
            found[f"{at}/{norm}/gamma"] = 1 + some(width)
            found[f"{at}/{norm}/beta"] = some(width)
        for name, (out, given) in {
            "self_attention/linear_0": (3 * width, width),
            "self_attention/linear_1": (width, width),
            "ffn/linear_0": (4 * width, width),
            "ffn/linear_1": (width, 4 * width),
        }.items():
            found[f"{at}/{name}/weight"] = some(out, given)
            found[f"{at}/{name}/bias"] = some(out)
    return found


def write(path: Path, values: dict[str, np.ndarray], spec: str = "WhisperSpec") -> Path:
    """As CTranslate2 writes `model.bin`, version 6."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    kinds = {
        np.dtype(np.float32): 0,
        np.dtype(np.int8): 1,
        np.dtype(np.int16): 2,
        np.dtype(np.float16): 4,
    }
    parts = [struct.pack("<I", 6), text(spec), struct.pack("<II", 3, len(values))]
    for name, value in values.items():
        parts += [text(name), struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)]
        parts += [struct.pack("<BI", kinds[value.dtype], value.nbytes), value.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "model.bin", tensors())


def test_layers_do_what_pytorchs_transformer_does(file: Path) -> None:
    encoder = WhisperEncoder(WIDTH, LAYERS).eval()
    note = init_from_whisper(encoder, file)
    assert "2 of its layers" in note
    oracle = nn.TransformerEncoderLayer(
        WIDTH, 2, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
    ).eval()
    spectrogram = torch.randn(2, 1, 151, 200)
    states = encoder.states(spectrogram)
    assert [state.shape for state in states] == [(2, 76, WIDTH)] * 3
    given = tensors()
    names = {
        "self_attn.in_proj_": "self_attention/linear_0",
        "self_attn.out_proj.": "self_attention/linear_1",
        "linear1.": "ffn/linear_0",
        "linear2.": "ffn/linear_1",
        "norm1.": "self_attention/layer_norm",
        "norm2.": "ffn/layer_norm",
    }
    state = {}
    for ours, theirs in names.items():
        for end in ("weight", "bias"):
            end_of_norm = {"weight": "gamma", "bias": "beta"}[end]
            last = end_of_norm if theirs.endswith("norm") else end
            value = given[f"encoder/layer_1/{theirs}/{last}"].astype(np.float32)
            state[f"{ours}{end}"] = torch.from_numpy(value)
    oracle.load_state_dict(state)
    torch.testing.assert_close(oracle(states[1]), states[2], atol=1e-5, rtol=1e-4)


def test_a_tone_is_loudest_in_its_band_and_the_range_is_whispers() -> None:
    # Slaney's scale: 66.7 Hz a mel below 1 kHz; 80 bands reach 8 kHz at 45.2 mel.
    time = np.arange(16000) / 16000
    for hertz, band in ((440.0, 11), (1000.0, 26), (3000.0, 54)):
        tone = (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        given = spectrogram_tensor(LogSpectrogram().push(tone))
        mels = WhisperEncoder(64, 1).log_mels(given)[0]
        assert int(mels.mean(1).argmax()) == pytest.approx(band, abs=1)
        assert float(mels.max() - mels.min()) <= 2.0 + 1e-6
        # Nothing of ours is above 4 kHz.
        assert float(mels[66:].max()) == pytest.approx(float(mels.max()) - 2.0, abs=1e-5)


def test_level_does_not_matter_and_every_allowed_length_goes_in() -> None:
    model = LIVE_BUILDER.build(ModelSpec("whisper", {"width": 64, "layers": 1})).eval()
    assert isinstance(model, SpeechModel)
    power = np.random.default_rng(0).uniform(-70, -20, (63, 200)).astype(np.float32)
    loud = model.branch(spectrogram_tensor(power))
    torch.testing.assert_close(model.branch(spectrogram_tensor(power - 9)), loud)
    longest = np.zeros((1000, 200), np.float32)
    assert model.branch(spectrogram_tensor(longest)).shape == (1, 8)
    weights = model.branch.encoder.weights(spectrogram_tensor(power))
    assert weights.shape == (1, 32, 1)
    assert float(weights.sum()) == pytest.approx(1.0)


def test_a_batch_in_training_may_have_one_voice() -> None:
    model = LIVE_BUILDER.build(ModelSpec("whisper", {"width": 64, "layers": 1})).train()
    speech = torch.randn(3, 1, 70, 200)
    model(Batch(speech=speech))
    one = model(Batch(speech=speech, speech_mask=torch.tensor([False, True, False])))
    assert bool(one.logits[1].isfinite().all())
    assert bool((one.logits[0] == 0).all())
    one.logits.sum().backward()


def test_the_specification_names_the_file_to_start_from(file: Path) -> None:
    options = {"width": WIDTH, "layers": 3, "whisper": str(file)}
    model = LIVE_BUILDER.build(ModelSpec("whisper", options))
    assert isinstance(model, SpeechModel)
    assert "3 of its layers" in model.start_note
    wanted = tensors()["encoder/conv2/bias"].astype(np.float32)
    np.testing.assert_array_equal(model.branch.encoder.second.bias.detach().numpy(), wanted)
    with pytest.raises(ConfigError, match=r"model\.width"):
        LIVE_BUILDER.build(ModelSpec("whisper", {"width": 100}))


@pytest.mark.parametrize(
    ("width", "layers", "message"),
    [
        (64, 2, r"encoder/conv1/weight is \(128, 80, 3\).*needs \(64, 80, 3\)"),
        (128, 4, r"encoder/layer_3/\S+ is missing.*Whisper tiny has 4 layers"),
    ],
)
def test_another_width_or_too_few_layers_are_named(
    file: Path, width: int, layers: int, message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        init_from_whisper(WhisperEncoder(width, layers), file)


def test_other_and_damaged_files_are_refused(tmp_path: Path, file: Path) -> None:
    encoder = WhisperEncoder(WIDTH, LAYERS)
    with pytest.raises(WeightsError, match=r"cannot be read \(No such file"):
        init_from_whisper(encoder, tmp_path / "gone.bin")
    whole = file.read_bytes()
    for length in (0, 3, 20, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"damaged|no Whisper"):
            init_from_whisper(encoder, file)
    other = write(tmp_path / "other.bin", tensors(), "TransformerSpec")
    with pytest.raises(WeightsError, match="no Whisper model"):
        init_from_whisper(encoder, other)
    quantised = tensors()
    quantised["encoder/conv1/weight"] = quantised["encoder/conv1/weight"].astype(np.int8)
    with pytest.raises(WeightsError, match=r"conv1/weight is quantised; take .* float16"):
        init_from_whisper(encoder, write(tmp_path / "int8.bin", quantised))
