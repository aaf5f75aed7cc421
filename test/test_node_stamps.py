"""What is said of stamps that are off, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from avemo_ros.timing import NS_PER_S, StampFilter

stamps = pytest.importorskip("avemo_ros.nodes.diagnostics", reason="no rclpy: run `make setup`")
trouble = pytest.importorskip("avemo_ros.nodes.diagnostics")
pytestmark = pytest.mark.ros

NOW = 2_000_000 * NS_PER_S


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, text: str) -> None:
        self.lines.append(text)

    warning = info = error


class Steady:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def stamp_filter(reporter: Any, advice: Any) -> StampFilter:
    return StampFilter(
        "images", "image_stamps", 5.0, "header", reporter, ordered=False, advice=advice.take
    )


def said(age_s: float, *, simulated: bool = False, clocks: int = 0) -> str:
    """What is said of one message whose stamp is so old."""
    log = Log()
    advice = stamps.StampAdvice(lambda: simulated, lambda: clocks)
    check = stamp_filter(trouble.ThrottledLog(log, "images"), advice)
    assert not check.admit(NOW - round(age_s * NS_PER_S), NOW).usable
    (line,) = log.lines
    return line


def test_the_inputs_of_a_node_say_together_once_what_to_do() -> None:
    log, steady = Log(), Steady()
    advice = stamps.StampAdvice(now=steady)
    inputs = [
        stamp_filter(trouble.ThrottledLog(log, what, steady), advice)
        for what in ("images", "sound")
    ]
    for seconds in range(50):
        steady.seconds = float(seconds)
        for one in inputs:
            assert not one.admit(NOW - 60 * NS_PER_S, NOW).usable
    first, second, *again = log.lines
    assert first.startswith("images: stamps are 60.0 s behind the clock")
    assert "use_sim_time" in first
    assert second.startswith(
        "sound: stamps are 60.0 s behind the clock, so the input is left out;"
    )
    assert len(again) == 2
    assert not any("use_sim_time" in line for line in again)

    steady.seconds = 200.0
    inputs[1].admit(NOW - 60 * NS_PER_S, NOW)
    assert "use_sim_time" in log.lines[-1]


@pytest.mark.parametrize(
    ("given", "words", "missing"),
    [
        ({"age_s": 60.0}, ("--clock", "use_sim_time:=true", "synchronise"), ()),
        ({"age_s": -60.0}, ("ahead of", "synchronise"), ("--clock", "use_sim_time")),
        ({"age_s": 60.0, "clocks": 1}, ("use_sim_time:=true",), ("--clock", "synchronise")),
        (
            {"age_s": -60.0, "simulated": True, "clocks": 1},
            ("takes its time from /clock", "only one recording"),
            ("--clock", "synchronise", "use_sim_time:=true"),
        ),
    ],
)
def test_it_says_what_to_do_in_the_case_at_hand(
    given: dict[str, Any], words: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    line = said(**given)
    assert "image_stamps:=arrival" in line
    assert "max_input_age_s:=0" in line
    for word in words:
        assert word in line
    for word in missing:
        assert word not in line


@pytest.mark.parametrize(
    ("age_s", "words"), [(7.25, "7.2 s"), (7200.0, "2.0 hours"), (864_000.0, "10 days")]
)
def test_ages_can_be_grasped(age_s: float, words: str) -> None:
    assert f"stamps are {words} behind" in said(age_s)


def test_no_clock_is_said_only_when_it_had_time_to_come() -> None:
    log, steady = Log(), Steady()
    steady.seconds = 5.0
    heard = trouble.ThrottledLog(log, "sound", steady)
    reporter = stamps.StampReporter(heard, simulated=True, now=steady)
    reporter.arrived(0)
    assert log.lines == []
    steady.seconds = 8.0
    reporter.arrived(0)
    reporter.arrived(0)
    (line,) = log.lines
    assert "nothing has arrived on /clock" in line


def test_a_bag_that_starts_over_costs_no_line() -> None:
    log, steady = Log(), Steady()
    heard = trouble.ThrottledLog(log, "images", steady)
    reporter = stamps.StampReporter(heard, simulated=True, now=steady)
    check = stamp_filter(reporter, stamps.StampAdvice(now=steady))
    for k in range(4):
        steady.seconds = k / 10
        check.admit(NOW - 60 * NS_PER_S, NOW)
    reporter.good()
    assert log.lines == []
    for k in range(20):
        steady.seconds = 1.0 + k / 10
        check.admit(NOW - 60 * NS_PER_S, NOW)
    assert len(log.lines) == 1
