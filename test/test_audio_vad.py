"""The speech detector, on real signals."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sounds import loud_and_silent, sample_sound

from avemo_ros.audio import vad
from avemo_ros.audio.vad import SpeechDetector
from avemo_ros.errors import WeightsError

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return sample_sound()


def probabilities(sound: np.ndarray, detector: SpeechDetector | None = None) -> np.ndarray:
    detector = detector or SpeechDetector()
    sound = sound.astype(np.float32)
    steps = len(sound) // vad.STEP
    return np.array(
        [detector.push(sound[i * vad.STEP : (i + 1) * vad.STEP]) for i in range(steps)]
    )


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(32000),
        RNG.standard_normal(32000) * 0.1,
        np.cumsum(RNG.standard_normal(32000)) * 1e-3,
        0.3 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000),
        0.3 * np.sign(np.sin(2 * np.pi * 100 * np.arange(32000) / 16000)),
        (RNG.random(32000) < 0.0005) * 0.9,
    ],
    ids=["silence", "white noise", "rumble", "tone", "hum", "clicks"],
)
def test_what_is_not_speech_is_not_taken_for_it(sound: np.ndarray) -> None:
    assert probabilities(sound).max() < 0.5


def test_speech_is_found_where_it_is(spoken) -> None:
    found = probabilities(spoken)
    loud, silent = loud_and_silent(spoken, vad.STEP)
    assert loud.sum() > 50
    assert silent.sum() > 50
    assert (found[loud] > 0.5).mean() > 0.9
    assert found[silent].max() < 0.5


def test_the_same_sound_gives_the_same_figures_after_a_reset(spoken) -> None:
    sound = spoken[32000:64000]
    detector = SpeechDetector()
    first = probabilities(sound, detector)
    assert first.max() > 0.9
    assert not np.array_equal(probabilities(sound, detector), first)
    detector.reset()
    np.testing.assert_array_equal(probabilities(sound, detector), first)


def test_it_agrees_with_the_packages_own_torch_network(spoken) -> None:
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    weights = load_file(folder / "data" / "silero_vad_16k.safetensors")
    sound = torch.from_numpy(spoken[32000:48000].copy())
    state = (torch.zeros(1, 128), torch.zeros(1, 128))
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict(
        {k.removeprefix("lstm_cell."): v for k, v in weights.items() if "lstm" in k}
    )
    functional = torch.nn.functional
    expected = []
    # As TinySileroVAD in the package's tinygrad_model.py.
    with torch.inference_mode():
        padded = functional.pad(sound, (64, 0))
        for at in range(0, len(sound) - 511, 512):
            x = functional.pad(padded[None, None, at : at + 576], (0, 64), "reflect")
            x = functional.conv1d(x, weights["stft_conv.weight"], stride=128)
            x = torch.sqrt(x[:, :129] ** 2 + x[:, 129:] ** 2)
            for layer, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
                kernel = (weights[f"conv{layer}.weight"], weights[f"conv{layer}.bias"])
                x = torch.relu(functional.conv1d(x, *kernel, stride=stride, padding=1))
            state = cell(x[:, :, 0], state)
            x = functional.conv1d(
                torch.relu(state[0])[:, :, None],
                weights["final_conv.weight"],
                weights["final_conv.bias"],
            )
            expected.append(float(torch.sigmoid(x)))
    ours = probabilities(sound.numpy())
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_torch_is_not_loaded_nor_its_threads_changed() -> None:
    code = (
        "import sys; from avemo_ros.audio.vad import SpeechDetector; SpeechDetector(); "
        "print([name for name in ('torch', 'silero_vad') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.fixture
def not_loaded():
    vad._load.cache_clear()
    yield
    vad._load.cache_clear()


@pytest.mark.usefixtures("not_loaded")
def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install --no-deps silero-vad"):
        SpeechDetector()


@pytest.mark.usefixtures("not_loaded")
def test_damaged_weights_are_named(monkeypatch, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "silero_vad_16k.safetensors").write_bytes(b"not weights at all")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(WeightsError, match=r"silero_vad_16k\.safetensors .* cannot be read"):
        SpeechDetector()
