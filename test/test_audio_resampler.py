"""Resampling keeps the sound, its time, and depends on nothing but the sound."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from avemo_ros.audio.filters import Resampler

RATES = [4000, 8000, 11025, 22050, 44100, 44099, 48000, 96000, 192000, 384000]


def tones(rate: int, seconds: float, frequencies=(200.0, 700.0, 1700.0)) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    waves = [np.sin(2 * np.pi * f * time + f) for f in frequencies]
    return (np.sum(waves, axis=0) / 4).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_output_sample_i_is_the_sound_at_i_over_16000_seconds(rate: int) -> None:
    output = Resampler(rate).push(tones(rate, 1.0))
    expected = tones(16000, 1.0)[: len(output)]
    settled = slice(800, None)
    error = np.abs(output - expected)[settled].max()
    assert 20 * np.log10(error) < -75


@pytest.mark.parametrize("rate", RATES)
def test_the_cuts_between_blocks_leave_no_trace(rate: int) -> None:
    sound = np.random.default_rng(1).standard_normal(rate // 2).astype(np.float32)
    whole = Resampler(rate).push(sound)
    for size in (rate // 100, rate // 37, 1237):
        cut = Resampler(rate)
        parts = [cut.push(sound[at : at + size]) for at in range(0, len(sound), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("rate", RATES)
def test_no_more_sound_is_held_back_than_the_stated_delay(rate: int) -> None:
    resampler = Resampler(rate)
    given = got = 0
    for _ in range(50):
        given += rate // 50
        got += len(resampler.push(np.zeros(rate // 50, np.float32)))
        held = given / rate - got / 16000
        assert -1 / 16000 <= held <= resampler.delay_s + 1 / 16000
    assert resampler.delay_s < (0.002 if rate >= 16000 else 0.007)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_it_agrees_with_soxr_where_both_pass_everything(rate: int) -> None:
    noise = np.random.default_rng(2).standard_normal(rate).astype(np.float32) * 0.1
    # Limited to 6 kHz first, so that only the flat parts of both filters matter.
    noise = soxr.resample(soxr.resample(noise, rate, 12000), 12000, rate)
    ours = Resampler(rate).push(noise)
    theirs = soxr.resample(noise, rate, 16000, quality="VHQ")[: len(ours)]
    difference = np.sqrt(np.mean((ours - theirs)[1000:-1000] ** 2))
    assert 20 * np.log10(difference / np.sqrt(np.mean(theirs**2))) < -60


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 192000])
def test_what_lies_above_the_new_band_does_not_fold_back(rate: int) -> None:
    output = Resampler(rate).push(tones(rate, 0.5, (9500.0,)))
    assert 20 * np.log10(np.abs(output[800:-100]).max() / 0.25) < -75


def test_16_khz_mono_passes_unchanged_at_once() -> None:
    sound = tones(16000, 0.1)
    resampler = Resampler(16000)
    np.testing.assert_array_equal(resampler.push(sound), sound)
    assert resampler.delay_s == 0


def test_after_reset_nothing_of_the_old_stream_is_heard() -> None:
    sound = tones(44100, 0.3)
    resampler = Resampler(44100)
    first = resampler.push(sound)
    resampler.push(np.ones(333, np.float32))
    resampler.reset()
    np.testing.assert_array_equal(resampler.push(sound), first)


def test_a_block_too_short_for_a_sample_gives_none_and_is_not_lost() -> None:
    resampler = Resampler(48000)
    sound = tones(48000, 0.05)
    single = [resampler.push(sound[i : i + 1]) for i in range(len(sound))]
    assert len(single[0]) == 0
    np.testing.assert_array_equal(np.concatenate(single), Resampler(48000).push(sound))
