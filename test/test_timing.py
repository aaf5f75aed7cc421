"""Rates, stamps and intervals: functions of stamps and arrivals alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from avemo_ros.timing import Interval, RateLimiter, StampFilter, Verdict, mean_step_s, to_ns

DAY_NS = to_ns(1_700_000_000.0)


def taken(limiter: RateLimiter, stamps: list[int]) -> list[int]:
    kept = []
    for stamp_ns in stamps:
        if limiter.is_due(stamp_ns):
            limiter.take(stamp_ns)
            kept.append(stamp_ns)
    return kept


def camera(rate_hz: float, seconds: float, *, start_ns=DAY_NS, jitter_s=0.0) -> list[int]:
    noise = random.Random(5)
    return [
        start_ns + to_ns(k / rate_hz + noise.uniform(-jitter_s, jitter_s))
        for k in range(round(rate_hz * seconds))
    ]


@pytest.mark.parametrize(("camera_hz", "kept_hz"), [(30, 15), (60, 15), (25, 15), (15, 15),
                                                    (10, 10)])  # fmt: skip
def test_no_more_than_the_rate_is_taken_and_no_less_than_there_is(camera_hz, kept_hz):
    kept = taken(RateLimiter(15.0), camera(camera_hz, 20.0))
    assert len(kept) == pytest.approx(20 * kept_hz, abs=1)


def test_every_second_image_of_a_steady_camera_is_taken():
    stamps = camera(30, 5.0, start_ns=0)
    assert taken(RateLimiter(15.0), stamps) == stamps[::2]


def test_jitter_does_not_cost_an_image():
    # A quarter of a period early or late: 16 ms.
    kept = taken(RateLimiter(15.0), camera(30, 20.0, start_ns=0, jitter_s=0.012))
    gaps_s = np.diff(kept) / 1e9
    assert len(kept) == 300
    assert gaps_s.max() < 0.1


def test_who_comes_later_or_misses_some_takes_the_same():
    stamps = camera(30, 5.0, jitter_s=0.005)
    whole = taken(RateLimiter(15.0), stamps)
    late = taken(RateLimiter(15.0), stamps[7:])
    assert late[1:] == [stamp for stamp in whole if stamp > late[0]]
    lossy = taken(RateLimiter(15.0), stamps[:40] + stamps[45:])
    assert lossy[-20:] == whole[-20:]


def test_after_a_hole_the_next_is_due():
    limiter = RateLimiter(15.0)
    taken(limiter, camera(30, 1.0))
    assert limiter.is_due(DAY_NS + to_ns(100.0))


# --- which stamps are believed


class Heard:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.texts: list[str] = []

    def report(self, kind: str, text: str) -> None:
        self.kinds.append(kind)
        self.texts.append(text)

    once = note = report

    def good(self) -> None:
        pass


def admitted(
    stamps: list[float], arrivals: list[float] | None = None, **settings: Any
) -> tuple[list[str], Heard]:
    """Verdicts on images by their stamps and arrivals [s]; without arrivals, 20 ms later."""
    heard = Heard()
    given: dict[str, Any] = {"max_age_s": 5.0, "source": "header", **settings}
    stamp_filter = StampFilter("images", "image_stamps", reporter=heard, **given)
    came = [stamp + 0.02 for stamp in stamps] if arrivals is None else arrivals
    pairs = zip(stamps, came, strict=True)
    made = [stamp_filter.admit(to_ns(stamp), to_ns(arrival)) for stamp, arrival in pairs]
    return [one.verdict.value for one in made], heard


def steady(count: int, start: float = 100.0, rate_hz: float = 15.0) -> list[float]:
    return [start + k / rate_hz for k in range(count)]


def test_rising_stamps_are_used_and_a_small_step_back_is_late() -> None:
    verdicts, heard = admitted([10.0, 10.1, 10.05, 10.1, 10.2])
    assert verdicts == ["use", "use", "late", "late", "use"]
    assert heard.kinds == ["order", "order"]


def test_old_stamps_are_refused_with_what_to_do() -> None:
    verdicts, heard = admitted([10.0], [16.0])
    assert verdicts == ["refuse"]
    assert "6.0 s behind" in heard.texts[0]
    assert "image_stamps:=arrival" in heard.texts[0]
    assert admitted([10.0], [16.0], max_age_s=0.0)[0] == ["use"]


@pytest.mark.parametrize("ahead_s", [0.2, 0.45, 3.0, 3600.0])
def test_one_stamp_of_the_future_changes_nothing(ahead_s: float) -> None:
    times = steady(30)
    stamps = [*times]
    stamps[15] += ahead_s
    verdicts, _ = admitted(stamps, [time + 0.02 for time in times])
    assert verdicts == ["use"] * 15 + ["refuse"] + ["use"] * 14


@pytest.mark.parametrize("back_s", [3.0, 3600.0])
def test_one_stamp_of_the_past_changes_nothing(back_s: float) -> None:
    times = steady(30, start=10_000.0)
    stamps = [*times]
    stamps[15] -= back_s
    verdicts, _ = admitted(stamps, [time + 0.02 for time in times], max_age_s=0.0)
    assert verdicts == ["use"] * 15 + ["refuse"] + ["use"] * 14


def test_a_recording_that_starts_over_is_followed_at_the_third_image() -> None:
    times = steady(60)
    verdicts, _ = admitted(times[:30] + times[:30])
    assert verdicts == ["use"] * 30 + ["refuse", "refuse", "restart"] + ["use"] * 27


def test_a_clock_that_was_set_ahead_together_with_ours_is_followed_at_once() -> None:
    stamps = steady(10) + steady(10, start=2e9)
    assert admitted(stamps)[0] == ["use"] * 20


def test_a_camera_slightly_ahead_is_believed_and_one_far_ahead_is_not() -> None:
    times = steady(30)
    near = [time + 0.3 for time in times]
    assert admitted(near, times)[0] == ["refuse"] * 2 + ["use"] * 28
    far = [time + 1.0 for time in times]
    verdicts, heard = admitted(far, times)
    assert verdicts == ["refuse"] * 30
    assert "1.0 s ahead of" in heard.texts[0]


def test_late_input_is_used_however_its_delay_jitters() -> None:
    noise = random.Random(3)
    times = steady(100)
    arrivals = sorted(time + 0.9 + noise.uniform(-0.3, 0.3) for time in times)
    assert admitted(times, arrivals)[0] == ["use"] * 100


def test_stamps_since_boot_by_arrival_are_those_of_arrival() -> None:
    stamp_filter = StampFilter("images", "image_stamps", 5.0, "arrival", Heard())
    made = [
        stamp_filter.admit(to_ns(54_321.0 + k / 10), to_ns(1.7e9 + k / 10)) for k in range(5)
    ]
    assert [one.stamp_ns for one in made] == [to_ns(1.7e9 + k / 10) for k in range(5)]


def test_a_stamp_of_zero_is_that_of_arrival_and_said() -> None:
    heard = Heard()
    made = StampFilter("images", "image_stamps", 5.0, "header", heard).admit(0, to_ns(7.0))
    assert (made.verdict, made.stamp_ns) == (Verdict.USE, to_ns(7.0))
    assert heard.kinds == ["no stamp"]


def test_stamps_that_never_rise_are_told_from_disorder() -> None:
    arrivals = steady(60)
    verdicts, heard = admitted([100.0] * 60, arrivals)
    assert verdicts == ["use"] + ["late"] * 59
    assert {"order", "stuck"} == set(heard.kinds)
    assert "image_stamps:=arrival" in heard.texts[heard.kinds.index("stuck")]


def test_sound_need_not_rise_from_block_to_block() -> None:
    # Ten blocks out of one buffer, all stamped with now.
    times = [100.0 + 0.1 * (k // 10) for k in range(40)]
    assert admitted(times, ordered=False)[0] == ["use"] * 40


# --- how fast a stream comes


def test_patience_grows_with_the_interval_and_no_outlier_decides_it() -> None:
    interval = Interval()
    for k in range(20):
        interval.add(to_ns(k))
    assert interval.patience_ns(to_ns(0.7), to_ns(5.0)) == to_ns(2.5)
    interval.add(to_ns(1000.0))
    assert interval.patience_ns(to_ns(0.7), to_ns(5.0)) == to_ns(2.5)
    for k in range(20):
        interval.add(to_ns(1000.0 + k / 30))
    assert interval.patience_ns(to_ns(0.7), to_ns(5.0)) == to_ns(0.7)


def test_a_step_stands_for_its_mean_and_pauses_count_for_nothing() -> None:
    unequal = [to_ns(t) for t in (0.0, 0.067, 0.2, 0.267, 0.4, 5.0, 5.067, 5.2)]
    assert mean_step_s(unequal) == pytest.approx(0.1)
    assert mean_step_s([0, to_ns(0.1)], [to_ns(9.0), to_ns(9.1)]) == pytest.approx(0.1)
    assert mean_step_s([0, to_ns(0.1), to_ns(-1.4), to_ns(-1.3)]) == pytest.approx(0.1)
    assert mean_step_s([], [7]) == 0.1
