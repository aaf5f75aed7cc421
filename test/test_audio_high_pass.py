"""The high pass: what it keeps, what it takes away, and that cuts leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, sosfilt_zi

from avemo_ros.audio.filters import CORNER_HZ, ORDER, HighPass

RNG = np.random.default_rng(11)


def gain_db(hertz: float) -> float:
    time = np.arange(32000) / 16000
    sine = np.sin(2 * np.pi * hertz * time).astype(np.float32)
    settled = HighPass().push(sine)[16000:]
    return float(20 * np.log10(np.sqrt(2 * np.mean(settled.astype(np.float64) ** 2)) + 1e-12))


def test_it_is_the_filter_that_it_says() -> None:
    sound = (RNG.standard_normal(160000) + 0.5).astype(np.float32)
    sections = butter(ORDER, CORNER_HZ, "highpass", fs=16000, output="sos")
    begin = sosfilt_zi(sections) * sound[:160].mean(dtype=np.float64)
    expected, _ = sosfilt(sections, sound.astype(np.float64), zi=begin)
    np.testing.assert_allclose(HighPass().push(sound), expected, atol=2e-7, rtol=2e-7)


def test_voices_pass_and_what_is_below_them_does_not() -> None:
    for hertz in (50.0, 100.0, 200.0, 1000.0, 7000.0):
        assert abs(gain_db(hertz)) < 0.01
    assert gain_db(20.0) == pytest.approx(-3.01, abs=0.1)
    assert gain_db(10.0) < -23
    assert gain_db(5.0) < -45
    assert gain_db(0.5) < -80


@pytest.mark.parametrize("size", [1, 7, 159, 160, 161, 4000])
def test_the_cuts_between_pushes_leave_no_trace(size: int) -> None:
    sound = (RNG.standard_normal(5000) + 0.3).astype(np.float32)
    whole = HighPass()
    expected = np.concatenate((whole.push(sound), whole.drain()))
    cut = HighPass()
    parts = [cut.push(sound[at : at + size]) for at in range(0, 5000, size)]
    assert cut.pending == 5000 % 160
    np.testing.assert_array_equal(np.concatenate([*parts, cut.drain()]), expected)
    assert len(expected) == 5000


def test_a_reset_begins_anew() -> None:
    sound = RNG.standard_normal(1600).astype(np.float32)
    subject = HighPass()
    first = subject.push(sound)
    subject.push(np.ones(333, np.float32))
    subject.reset()
    np.testing.assert_array_equal(subject.push(sound), first)


def test_after_sound_has_ended_there_is_silence_and_no_tiny_numbers() -> None:
    subject = HighPass()
    subject.push(RNG.standard_normal(1600).astype(np.float32))
    rest = subject.push(np.zeros(16000, np.float32))
    assert np.all(rest[8000:] == 0.0)
    subject.push(np.zeros(160000, np.float32))
    # It is as one that has never heard anything: nothing of it is left, however small.
    fresh = HighPass()
    fresh.push(np.zeros(1600 + 176000, np.float32))
    after = RNG.standard_normal(1600).astype(np.float32)
    np.testing.assert_array_equal(subject.push(after), fresh.push(after))


def test_nothing_gives_nothing() -> None:
    subject = HighPass()
    assert len(subject.push(np.zeros(0, np.float32))) == 0
    assert len(subject.drain()) == 0
