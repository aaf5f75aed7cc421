"""Channels become one: none cancels another, one may be chosen, cuts leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import sample_sound

from avemo_ros.audio.pcm import Mixer

RATE = 16000
RNG = np.random.default_rng(12)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return sample_sound()[32000:80000]


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-20))


def test_channels_are_averaged(voice) -> None:
    stereo = np.stack([voice, np.zeros_like(voice)], axis=1)
    np.testing.assert_allclose(Mixer(RATE, 2).push(stereo), voice / 2, atol=1e-7)
    alike = np.stack([voice, voice], axis=1)
    np.testing.assert_array_equal(Mixer(RATE, 2).push(alike), voice)
    np.testing.assert_array_equal(Mixer(RATE, 1).push(voice[:, None]), voice)


@pytest.mark.parametrize(
    "signs", [(1, -1), (-1, 1), (1, 1, -1), (1, -1, 1, -1), (1, -1, -1, 1, 1, -1)]
)
@pytest.mark.parametrize("disturbance", ["none", "offset", "hum", "noise", "loud noise"])
def test_opposite_polarity_does_not_cancel(voice, signs, disturbance: str) -> None:
    sound = voice[:, None] * np.array(signs)
    shape = (len(voice), len(signs))
    if disturbance == "offset":
        sound = sound + 0.1
    elif disturbance == "hum":
        time = np.arange(len(voice)) / RATE
        sound = sound + 0.1 * np.sin(2 * np.pi * 50 * time)[:, None]
    elif disturbance == "noise":
        sound = sound + 1e-3 * RNG.standard_normal(shape)
    elif disturbance == "loud noise":
        sound = sound + 0.7 * voice.std() * RNG.standard_normal(shape)
    mixer = Mixer(RATE, len(signs))
    mixer.push(sound.astype(np.float32))
    polarity = mixer.polarity
    assert abs(np.sum(polarity * np.array(signs))) == len(signs)
    if disturbance == "none":
        mixed = Mixer(RATE, len(signs)).push(sound.astype(np.float32))
        # But for its first moment the voice is there, in either polarity.
        assert abs(level_db(mixed) - level_db(voice)) < 0.2
        assert abs(np.corrcoef(mixed, voice)[0, 1]) > 0.99


def test_it_is_turned_around_within_a_slice_and_stays_so(voice) -> None:
    stereo = np.stack([voice, -voice], axis=1)
    mixed = Mixer(RATE, 2).push(stereo)
    first = int(np.flatnonzero(np.abs(voice) > 1e-3)[0])
    begin = (first // 320 + 1) * 320
    np.testing.assert_allclose(mixed[begin:], voice[begin:], atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_independent_channels_are_left_as_they_are(channels: int) -> None:
    noise = RNG.standard_normal((10 * RATE, channels)).astype(np.float32)
    mixer = Mixer(RATE, channels)
    np.testing.assert_allclose(mixer.push(noise), noise.mean(axis=1), atol=1e-6)
    assert np.all(mixer.polarity == 1)


@pytest.mark.parametrize("delay", [1, 3, 7, 11])
def test_microphones_apart_from_each_other_do_not_cancel(voice, delay: int) -> None:
    stereo = np.stack([voice[delay:], voice[: len(voice) - delay]], axis=1)
    mixed = Mixer(RATE, 2).push(stereo)
    assert level_db(mixed) > level_db(voice) - 6.0


@pytest.mark.parametrize("channel", range(6))
def test_one_channel_is_taken_as_it_is(voice, channel: int) -> None:
    sound = voice[:, None] * np.linspace(-1, 1, 6, dtype=np.float32)
    np.testing.assert_array_equal(Mixer(RATE, 6, channel).push(sound), sound[:, channel])


@pytest.mark.slow
@pytest.mark.parametrize("rate", [16000, 44100])
def test_the_cuts_between_blocks_leave_no_trace(voice, rate: int) -> None:
    signs = np.where(np.arange(len(voice)) < 20000, 1.0, -1.0)
    sound = np.stack([voice, voice * signs], axis=1).astype(np.float32)
    expected = Mixer(rate, 2).push(sound)
    # Sample by sample only for a third of a second: that is a push each.
    for size, until in ((1, 5000), (160, None), (317, None), (882, None), (5000, None)):
        mixer = Mixer(rate, 2)
        some = sound[:until]
        reused = np.empty((size, 2), np.float32)
        parts = []
        for at in range(0, len(some), size):
            part = some[at : at + size]
            # A driver may use one buffer again and again.
            reused[: len(part)] = part
            parts.append(mixer.push(reused[: len(part)]).copy())
        np.testing.assert_array_equal(np.concatenate(parts), expected[:until])


def test_silence_decides_nothing() -> None:
    mixer = Mixer(RATE, 3)
    assert np.all(mixer.push(np.zeros((RATE, 3), np.float32)) == 0)
    assert np.all(mixer.polarity == 1)
