"""Sample time: jitter and drift are absorbed, losses and jumps are told."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_ros.audio.sample_clock import SampleClock
from avemo_ros.clock import NS_PER_S, to_ns

START = 1_700_000_000 * NS_PER_S
BLOCK = 0.1


def clock(rate: int = 16000, start_ns: int = START, tolerance_s: float = 0.05) -> SampleClock:
    return SampleClock(rate, start_ns, to_ns(tolerance_s), to_ns(1.0))


def run(subject: SampleClock, stamps, rate: int = 16000, block_s: float = BLOCK):
    """Admit a block for each stamp; gives (missing, restart, error of the clock in ns)."""
    samples = round(rate * block_s)
    seen = []
    for stamp in stamps:
        expected = subject.expected_ns
        answer = subject.admit(int(stamp), samples)
        seen.append((answer.missing, answer.restart, expected - stamp))
    return seen


def test_exact_stamps_leave_the_clock_exact_for_a_day() -> None:
    subject = clock(44100)
    # A rate whose block length is not a whole number of nanoseconds.
    samples = 1024
    for number in range(0, 24 * 3600 * 44100, 44100 * 977 * 1024):
        stamp = START + round(number * NS_PER_S / 44100)
        assert abs(subject.expected_ns - stamp) <= 1
        assert not subject.admit(stamp, samples).restart
        subject.admit(0, 44100 * 977 * 1024 - samples)
    assert subject.origin_ns == START


@pytest.mark.parametrize("ppm", [-300, -100, 100, 300])
def test_a_source_whose_clock_is_off_makes_no_gap_in_three_hours(ppm: int) -> None:
    subject = clock()
    count = round(3 * 3600 / BLOCK)
    stamps = START + np.arange(count) * round(BLOCK * NS_PER_S * (1 + ppm * 1e-6))
    seen = run(subject, stamps)
    assert {(missing, restart) for missing, restart, _ in seen} == {(0, "")}
    # It follows with 1 ms of slack and 10 s of lag.
    assert max(abs(error) for *_, error in seen) < 1_000_000 + abs(ppm) * 11_000


def test_jitter_of_arrival_stamps_does_not_reach_sample_time() -> None:
    subject = clock()
    rng = np.random.default_rng(3)
    jitter = rng.uniform(0, 0.03, 6000) * NS_PER_S
    origins = []
    for index, late in enumerate(jitter):
        stamp = START + index * to_ns(0.02) + int(late)
        answer = subject.admit(stamp, 320)
        assert answer == type(answer)()
        origins.append(subject.origin_ns)
    steps = np.abs(np.diff(origins))
    assert steps.max() < 100_000
    assert np.ptp(origins[1000:]) < 3_000_000


def test_stamps_rounded_to_milliseconds_leave_the_clock_alone() -> None:
    subject = clock(48000)
    stamps = [round((START + i * 1024 * NS_PER_S / 48000) / 1e6) * 10**6 for i in range(500)]
    for stamp in stamps:
        subject.admit(stamp, 1024)
    assert subject.origin_ns == START


def test_a_loss_is_told_in_samples_of_the_source() -> None:
    subject = clock(48000)
    subject.admit(START, 4800)
    answer = subject.admit(START + to_ns(0.1 + 0.25), 4800)
    assert (answer.missing, answer.restart) == (12000, "")
    assert subject.expected_ns == START + to_ns(0.45)


def test_a_loss_within_the_tolerance_is_not_told() -> None:
    subject = clock()
    subject.admit(START, 1600)
    assert subject.admit(START + to_ns(0.149), 1600).missing == 0


def test_a_loss_too_long_to_fill_starts_anew_and_says_so() -> None:
    subject = clock()
    subject.admit(START, 1600)
    answer = subject.admit(START + to_ns(0.1 + 1.25), 1600)
    assert answer.missing == 0
    assert "1.250 s of sound are missing" in answer.restart
    assert "max_gap_s (1 s)" in answer.restart


@pytest.mark.parametrize("back_s", [0.06, 5.0, 3 * 3600.0])
def test_stamps_that_go_back_start_anew_and_say_so(back_s: float) -> None:
    subject = clock()
    subject.admit(START, 1600)
    answer = subject.admit(START + to_ns(0.1 - back_s), 1600)
    assert f"went back by {back_s:.3f} s" in answer.restart


def test_a_little_overlap_is_absorbed() -> None:
    subject = clock()
    subject.admit(START, 1600)
    assert subject.admit(START + to_ns(0.06), 1600).restart == ""


@pytest.mark.parametrize("unset", [0, -1])
def test_an_unset_stamp_goes_on_with_the_count(unset: int) -> None:
    subject = clock()
    for _ in range(5):
        assert subject.admit(unset, 1600).restart == ""
    assert subject.expected_ns == START + to_ns(0.5)
    assert subject.admit(START + to_ns(0.5), 1600).restart == ""


def test_a_stream_that_starts_without_a_stamp_counts_from_zero() -> None:
    subject = clock(start_ns=-5)
    subject.admit(-5, 16000)
    assert subject.expected_ns == NS_PER_S


@pytest.mark.parametrize("stamp", [2**63 - 1, 2**40])
def test_an_absurd_stamp_starts_anew(stamp: int) -> None:
    subject = clock()
    subject.admit(START, 1600)
    assert subject.admit(stamp, 1600).restart
