"""Sample time: jitter, drift and lateness are absorbed, losses and jumps are told."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_ros.audio.sample_clock import SampleClock
from avemo_ros.timing import NS_PER_S, to_ns

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


def outcome(subject: SampleClock, start_s: float, block_s: float = BLOCK, rate: int = 16000):
    """The first answer that is no hold, to blocks with good stamps from this time on; and how
    many were held."""
    for number in range(100):
        stamp = START + to_ns(start_s + number * block_s)
        answer = subject.admit(stamp, round(rate * block_s))
        if not answer.hold:
            return answer, number
    raise AssertionError("held for ever")


@pytest.mark.parametrize("block_s", [0.01, 0.02, 0.1, 0.5])
def test_a_loss_is_told_in_samples_of_the_source_when_it_has_lasted(block_s: float) -> None:
    subject = clock(48000)
    subject.admit(START, 4800)
    answer, held = outcome(subject, 0.1 + 0.25, block_s, 48000)
    assert (answer.missing, answer.restart) == (12000, "")
    assert held == max(1, round(0.15 / block_s + 0.4))
    assert subject.expected_ns == START + to_ns(0.35 + (held + 1) * block_s)


def test_at_the_end_of_a_recording_stamps_are_believed() -> None:
    subject = clock()
    subject.admit(START, 1600)
    assert subject.settle().missing == 0
    assert subject.admit(START + to_ns(0.4), 1600).hold
    assert subject.settle().missing == 4800
    assert subject.expected_ns == START + to_ns(0.5)
    assert subject.admit(START + to_ns(3 * 3600), 1600).hold
    assert "are missing" in subject.settle().restart


@pytest.mark.parametrize("hiccup_s", [0.06, 0.1, 0.15, 0.3, 0.6, 1.2])
@pytest.mark.parametrize("block_s", [0.01, 0.02, 0.1])
def test_a_source_that_stamps_on_arrival_may_be_held_up(hiccup_s, block_s: float) -> None:
    subject = clock(start_ns=START + to_ns(block_s))
    rng = np.random.default_rng(5)
    free, waiting = 0.0, 0
    for number in range(round(40 / block_s)):
        ready = (number + 1) * block_s
        # Every two seconds the driver does nothing for a while, and then reads what waits.
        if number and int(ready / 2) > int((ready - block_s) / 2):
            free = ready + hiccup_s
        stamp = START + to_ns(max(ready, free)) + int(rng.uniform(0, 2e6))
        answer = subject.admit(stamp, round(16000 * block_s))
        assert not answer.missing
        assert not answer.restart
        waiting = waiting + 1 if answer.hold else 0
        # It is held no longer than its own lateness lasts.
        assert waiting * block_s <= hiccup_s + 2 * block_s
    assert abs(subject.expected_ns - START - to_ns(40)) < to_ns(0.06 + block_s)


@pytest.mark.parametrize("burst", [5, 10, 20, 40])
def test_blocks_handed_over_in_bursts_lose_nothing(burst: int) -> None:
    subject = clock()
    for number in range(3000):
        stamp = START + (number // burst + 1) * burst * to_ns(0.01)
        answer = subject.admit(stamp, 160)
        assert not answer.missing
        assert not answer.restart
    # Time is that of a burst's newest block rather than of its first, which is stamped late.
    assert (
        -to_ns(0.06)
        < subject.expected_ns - START - to_ns(30)
        < to_ns(0.25 * 0.01 * burst + 0.06)
    )


def test_a_source_held_up_while_sound_was_lost_is_filled_by_what_was_lost() -> None:
    subject = clock()
    subject.admit(START, 1600)
    # 0.2 s are lost, and the next ten blocks of 20 ms come at once, 0.2 s after they were due.
    answers = [subject.admit(START + to_ns(0.5), 320) for _ in range(10)]
    assert all(answer.hold for answer in answers)
    answer, _ = outcome(subject, 0.5, 0.02)
    assert answer.missing == pytest.approx(3200, abs=160)


@pytest.mark.parametrize("outlier_s", [-5 * 3600, -3.0, 0.4, 3.0, 3 * 3600])
def test_one_stamp_decides_nothing(outlier_s: float) -> None:
    subject = clock()
    for number in range(100):
        off = outlier_s if number in {30, 60, 61} else 0.0
        answer = subject.admit(START + to_ns(0.02 * number + off), 320)
        assert answer.hold == (off != 0)
        assert (answer.missing, answer.restart) == (0, "")
    assert subject.expected_ns == START + to_ns(2.0)


def test_an_outlier_does_not_hide_a_loss() -> None:
    subject = clock()
    for number in range(40):
        lost_s = 0.3 if number >= 10 else 0.0
        off_s = -3600.0 if number == 14 else 0.0
        answer = subject.admit(START + to_ns(0.02 * number + lost_s + off_s), 320)
        assert answer.restart == ""
        assert answer.missing == (4800 if number == 19 else 0)


def test_a_loss_within_the_tolerance_is_not_told() -> None:
    subject = clock()
    subject.admit(START, 1600)
    assert subject.admit(START + to_ns(0.149), 1600).missing == 0


def test_a_loss_too_long_to_fill_starts_anew_and_says_so() -> None:
    subject = clock()
    subject.admit(START, 1600)
    answer, _ = outcome(subject, 0.1 + 1.25)
    assert answer.missing == 0
    assert "1.250 s of audio are missing" in answer.restart
    assert "max_gap_s (1 s)" in answer.restart
    assert answer.start_ns == START + to_ns(1.35)


@pytest.mark.parametrize("back_s", [0.6, 5.0, 3 * 3600.0])
def test_stamps_that_go_back_start_anew_and_say_so(back_s: float) -> None:
    subject = clock()
    subject.admit(START, 1600)
    answer, held = outcome(subject, 0.1 - back_s)
    assert f"went back by {back_s:.3f} s" in answer.restart
    assert answer.start_ns == START + to_ns(0.1 - back_s)
    assert held == 2


@pytest.mark.parametrize("repeated_s", [0.2, 0.4])
def test_sound_that_is_repeated_for_less_is_told_too(repeated_s: float) -> None:
    subject = clock()
    for number in range(10):
        subject.admit(START + to_ns(0.1 * number), 1600)
    answers = []
    for number in range(40):
        answers.append(subject.admit(START + to_ns(1.0 - repeated_s + 0.1 * number), 1600))
        if answers[-1].restart:
            break
    assert "went back by" in answers[-1].restart
    assert not any(answer.hold or answer.missing for answer in answers)
    assert len(answers) < 15
    assert abs(
        answers[-1].start_ns - START - to_ns(1.0 - repeated_s + 0.1 * len(answers) - 0.1)
    ) < to_ns(0.005)


def test_two_sources_on_one_topic_are_told() -> None:
    subject = clock()
    for number in range(200):
        stamp = START + (number // 2) * to_ns(0.02) + (number % 2) * to_ns(0.007)
        answer = subject.admit(stamp, 320)
        if answer.restart:
            break
    assert "two sources share the topic" in answer.restart
    assert number < 100


def test_stamps_of_no_order_are_survived() -> None:
    rng = np.random.default_rng(6)
    subject, held = clock(), 0
    for stamp in rng.integers(1, 2**62, 2000):
        answer = subject.admit(int(stamp), 320)
        held = held + 1 if answer.hold else 0
        assert held <= 101
        if answer.restart:
            subject, held = clock(start_ns=answer.start_ns), 0


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
def test_absurd_stamps_start_anew_when_they_last(stamp: int) -> None:
    subject = clock()
    subject.admit(START, 1600)
    answers = [subject.admit(stamp, 1600) for _ in range(30)]
    assert answers[0].hold
    restarts = [answer for answer in answers if answer.restart]
    assert restarts
    assert 0 <= restarts[0].start_ns <= 2**63


def test_unknown_stamps_among_held_blocks_follow_them() -> None:
    subject = clock()
    subject.admit(START, 1600)
    assert subject.admit(START + to_ns(0.4), 1600).hold
    assert subject.admit(0, 1600).hold
    assert subject.admit(0, 1600).missing == 4800
