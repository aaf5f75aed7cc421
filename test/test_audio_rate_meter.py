"""A wrong rate is told from losses, hiccups and bursts."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_ros.audio.sample_clock import RateMeter
from avemo_ros.timing import NS_PER_S, to_ns

START = 1_700_000_000 * NS_PER_S


def speeds(stamps_s, samples: int = 320, rate: int = 16000) -> list[float]:
    """The speed after each block."""
    meter, seen = RateMeter(rate), []
    for stamp in stamps_s:
        meter.add(START + to_ns(float(stamp)), samples)
        seen.append(meter.speed)
    return seen


def blocks(seconds: float, true_rate: float, samples: int = 320) -> np.ndarray:
    """Stamps of blocks whose samples are really taken at a rate [s]."""
    return np.arange(0, seconds, samples / true_rate)


@pytest.mark.parametrize("true_rate", [8000, 11025, 32000, 44100, 48000])
def test_a_wrong_rate_is_told_within_four_seconds(true_rate: int) -> None:
    seen = speeds(blocks(10, true_rate))
    assert seen[-1] == pytest.approx(true_rate / 16000, rel=0.02)
    first = next(number for number, speed in enumerate(seen) if speed != 1.0)
    assert first * 320 / true_rate < 4.0
    assert all(speed == pytest.approx(true_rate / 16000, rel=0.02) for speed in seen[first:])


@pytest.mark.parametrize(("rate", "true_rate"), [(44100, 48000), (48000, 44100)])
def test_rates_that_are_easily_mistaken_are_told_within_ten_seconds(rate, true_rate) -> None:
    seen = speeds(blocks(10, true_rate, 1024), 1024, rate)
    assert seen[-1] == pytest.approx(true_rate / rate, rel=0.01)


@pytest.mark.parametrize("true_rate", [8000, 48000])
def test_bursts_do_not_hide_a_wrong_rate(true_rate: int) -> None:
    stamps = blocks(10, true_rate)
    bursts = np.ceil(stamps / 0.1 + 1e-6) * 0.1
    assert speeds(bursts)[-1] == pytest.approx(true_rate / 16000, rel=0.05)


def test_two_sources_are_as_fast_as_both_together() -> None:
    stamps = np.sort(np.concatenate([blocks(10, 16000), blocks(10, 16000) + 0.008]))
    assert speeds(stamps)[-1] == pytest.approx(2.0, rel=0.02)


def right(kind: str) -> np.ndarray:
    rng = np.random.default_rng(13)
    stamps = blocks(60, 16000)
    if kind == "drift":
        return stamps * 1.001
    if kind == "jitter":
        return stamps + rng.uniform(0, 0.03, len(stamps))
    if kind == "bursts":
        return np.ceil(stamps / 0.2 + 1e-6) * 0.2
    if kind == "hiccups":
        held = np.floor(stamps / 2) * 2 + 0.15
        return np.maximum(stamps, np.where(stamps >= 2, held, 0))
    if kind == "losses":
        return stamps[rng.random(len(stamps)) > 0.3]
    if kind == "a long loss":
        return stamps[(stamps < 20) | (stamps > 21.5)]
    if kind == "pauses":
        return stamps + np.floor(stamps / 5) * 7
    if kind == "loops":
        return stamps % 10
    if kind == "a busy computer":
        # It falls behind for three seconds, half a second in all, and catches up at once.
        behind = np.where((stamps > 20) & (stamps < 23), (stamps - 20) / 6, 0)
        return stamps + behind
    return stamps


@pytest.mark.parametrize(
    "kind",
    [
        *("exact", "drift", "jitter", "bursts", "hiccups", "losses", "a long loss", "pauses"),
        *("loops", "a busy computer"),
    ],
)
def test_sound_at_its_rate_is_taken_as_such(kind: str) -> None:
    assert set(speeds(right(kind))) == {1.0}


def test_it_is_over_when_the_rate_is_right_again() -> None:
    wrong = blocks(10, 48000)
    seen = speeds(np.concatenate([wrong, 10 + blocks(10, 16000)]))
    assert seen[len(wrong) - 1] == pytest.approx(3.0, rel=0.02)
    after = [speed == 1.0 for speed in seen[len(wrong) :]]
    assert after.index(True) * 0.02 < 4.0
    assert all(after[after.index(True) :])


def test_stamps_that_are_not_known_tell_nothing() -> None:
    meter = RateMeter(16000)
    for _ in range(2000):
        meter.add(0, 320)
    assert meter.speed == 1.0
