"""The speech detector, on real signals."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from sounds import loud_and_silent, sample_sound

from avemo_ros.audio import speech
from avemo_ros.audio.speech import SpeechDetector

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return sample_sound()


def probabilities(sound: np.ndarray, detector: SpeechDetector | None = None) -> np.ndarray:
    detector = detector or SpeechDetector()
    sound = sound.astype(np.float32)
    steps = len(sound) // speech.STEP
    return np.array(
        [detector.push(sound[i * speech.STEP : (i + 1) * speech.STEP]) for i in range(steps)]
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
    loud, silent = loud_and_silent(spoken, speech.STEP)
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


ORACLE = """
import sys
import numpy as np, torch
from silero_vad import load_silero_vad
sound = np.load(sys.argv[1])
figures = []
for model in (load_silero_vad(onnx=True), load_silero_vad(onnx=False)):
    with torch.inference_mode():
        steps = torch.from_numpy(sound[: len(sound) // 512 * 512]).reshape(-1, 512)
        figures.append([float(model(step, 16000)) for step in steps])
np.save(sys.argv[2], figures)
"""
"""The package's own functions; in a process of its own, as importing it changes PyTorch."""


@pytest.mark.skipif(find_spec("silero_vad") is None, reason="silero-vad is for developers")
def test_it_is_the_packages_own_detector(spoken, tmp_path) -> None:
    noisy = spoken + 0.01 * RNG.standard_normal(len(spoken))
    sound = np.concatenate((spoken, noisy, 0.02 * spoken)).astype(np.float32)
    np.save(tmp_path / "sound.npy", sound)
    paths = (str(tmp_path / "sound.npy"), str(tmp_path / "figures.npy"))
    subprocess.run([sys.executable, "-c", ORACLE, *paths], check=True)
    onnx, jit = np.load(paths[1])
    ours = probabilities(sound)
    assert ((ours > 0.1) & (ours < 0.9)).sum() > 20
    np.testing.assert_allclose(ours, onnx, atol=1e-5)
    np.testing.assert_allclose(ours, jit, atol=1e-3)


FIGURES = """
import hashlib, os, sys
import numpy as np
from avemo_ros.audio.speech import SpeechDetector
before = len(os.listdir("/proc/self/task"))
detector = SpeechDetector()
rng = np.random.default_rng(1)
steps = rng.standard_normal((40, 512)).astype(np.float32) * 0.1
print([detector.push(step) for step in steps])
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_the_figures_and_the_threads_do_not_depend_on_the_environment() -> None:
    said = set()
    for threads in ("1", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        done = subprocess.run(
            [sys.executable, "-c", FIGURES],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        said.add(done.stdout)
    assert len(said) == 1
    assert said.pop().splitlines()[1] == "0"


def test_two_detectors_do_not_hear_each_other(spoken) -> None:
    alone = probabilities(spoken[32000:48000])
    first, second = SpeechDetector(), SpeechDetector()
    both = []
    for at in range(32000, 48000 - 511, 512):
        both.append(first.push(spoken[at : at + 512]))
        second.push(spoken[at - 20000 : at - 20000 + 512])
    np.testing.assert_array_equal(both, alone)


def test_torch_is_not_loaded_nor_its_threads_changed() -> None:
    code = (
        "import sys; from avemo_ros.audio.speech import SpeechDetector; SpeechDetector(); "
        "print([name for name in ('torch', 'silero_vad') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
