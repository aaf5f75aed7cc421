"""The memory of everyone's last seconds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_steps import estimate, step_of

from avemo_ros.config import SteadyConfig
from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import EmotionStep, Status
from avemo_ros.state.memory import EmotionHistory, EmotionMemory

HAPPY = EMOTIONS.index("happy")
SAD = EMOTIONS.index("sad")


def remembered(steps: list[EmotionStep], **config: float) -> EmotionMemory:
    memory = EmotionMemory(SteadyConfig(**{"time_constant_s": 0.8, **config}))
    for one in steps:
        memory.push(one)
    return memory


def known(memory: EmotionMemory, person: str = "", window_s: float = 0.0) -> EmotionHistory:
    history = memory.history(person, window_s)
    assert history is not None
    return history


def of_one(
    label: str, start: float, end: float, *, rate: float = 10.0, **given
) -> list[EmotionStep]:
    steps = range(round(start * rate) + 1, round(end * rate) + 1)
    return [step_of(estimate(label, t=step / rate, **given)) for step in steps]


def rising(seconds: float, slope: float, rate: float = 10.0) -> list[EmotionStep]:
    """Happiness that rises in a straight line from 0.3."""
    times = np.arange(1, round(seconds * rate) + 1) / rate
    return [step_of(estimate("happy", t=t, confidence=0.3 + slope * t)) for t in times.tolist()]


def test_the_distribution_is_the_mean_over_time_of_the_window() -> None:
    memory = remembered(of_one("happy", 0.0, 5.0) + of_one("sad", 5.0, 8.0))
    history = known(memory, "f1", 6.0)
    assert history.distribution[HAPPY] == pytest.approx((3 * 0.7 + 3 * 0.05) / 6)
    assert history.distribution[SAD] == pytest.approx((3 * 0.7 + 3 * 0.05) / 6)
    assert math.fsum(history.distribution) == pytest.approx(1.0)
    assert history.observed_s == pytest.approx(6.0)


def test_the_trend_is_the_slope_of_each_probability() -> None:
    history = known(remembered(rising(5.0, 0.08)))
    assert history.trend[HAPPY] == pytest.approx(0.08)
    assert history.trend[SAD] == pytest.approx(-0.08 / 6)
    assert sum(history.trend) == pytest.approx(0.0, abs=1e-12)


def test_the_step_rate_does_not_matter_much() -> None:
    usual, fast = known(remembered(rising(6.0, 0.1))), known(remembered(rising(6.0, 0.1, 40.0)))
    assert fast.distribution == pytest.approx(usual.distribution, abs=0.01)
    assert fast.trend == pytest.approx(usual.trend, abs=1e-9)


def test_time_without_a_distribution_is_not_observed() -> None:
    steps = of_one("happy", 0.0, 2.0) + of_one(UNKNOWN, 2.0, 6.0, status=Status.LOW_QUALITY)
    history = known(remembered(steps))
    assert history.observed_s == pytest.approx(1.9)
    assert history.latest.status is Status.LOW_QUALITY
    assert history.distribution[HAPPY] == pytest.approx(0.7)


def test_who_could_never_be_judged_has_a_history_without_numbers() -> None:
    history = known(remembered(of_one(UNKNOWN, 0.0, 2.0, status=Status.WARMING_UP)))
    assert (history.distribution, history.trend, history.observed_s) == ((), (), 0.0)
    assert history.steady is not None
    assert history.steady.label == UNKNOWN


def test_one_distribution_has_no_trend() -> None:
    history = known(remembered([step_of(estimate("happy", t=1.0))]))
    assert history.distribution[HAPPY] == pytest.approx(0.7)
    assert history.trend == ()


def test_changes_are_listed_oldest_first_and_only_those_of_the_window() -> None:
    steps = of_one("neutral", 0.0, 5.0) + of_one("sad", 5.0, 10.0) + of_one("happy", 10.0, 15.0)
    memory = remembered(steps)
    assert [one.label for one in known(memory).changes] == ["neutral", "sad", "happy"]
    assert [one.label for one in known(memory, "", 6.0).changes] == ["happy"]
    steady = known(memory).steady
    assert steady is not None
    assert steady.label == "happy"


def test_every_id_of_a_person_leads_to_the_same_history() -> None:
    memory = remembered(of_one("happy", 0.0, 2.0, voice="v1", speaking=True))
    assert known(memory, "f1") == known(memory, "p1") == known(memory, "v1") == known(memory)


def test_what_is_older_than_the_memory_is_gone() -> None:
    memory = remembered(of_one("sad", 0.0, 20.0) + of_one("happy", 20.0, 28.0), memory_s=5.0)
    history = known(memory)
    assert history.distribution[HAPPY] == pytest.approx(0.7)
    assert history.observed_s == pytest.approx(5.0)
    assert history.changes == ()


def test_who_was_not_seen_for_that_long_is_not_known() -> None:
    memory = remembered(of_one("sad", 0.0, 2.0), memory_s=5.0)
    for step in range(1, 60):
        memory.push(step_of(t=2.0 + step / 10))
    assert memory.history("f1") is None
    assert memory.history("f7") is None
    assert memory.people == 0


def test_the_number_of_people_is_bounded() -> None:
    memory = EmotionMemory(SteadyConfig(max_people=4))
    for number in range(50):
        memory.push(step_of(estimate("happy", t=number / 10, face=f"f{number}")))
        assert memory.people <= 4
    assert memory.history("f0") is None
    assert memory.history("f49") is not None


def test_a_clock_that_jumps_back_starts_anew() -> None:
    memory = remembered(of_one("sad", 10.0, 15.0))
    memory.push(step_of(estimate("happy", t=1.0)))
    history = known(memory)
    assert history.distribution[HAPPY] == pytest.approx(0.7)
    assert history.observed_s == 0.0
    assert history.changes == ()


def test_clear_forgets_everything() -> None:
    memory = remembered(of_one("sad", 0.0, 5.0))
    memory.clear()
    assert memory.people == 0
    assert memory.now_ns is None
    assert memory.history() is None
    memory.push(step_of(estimate("happy", t=1.0)))
    assert known(memory).distribution[HAPPY] == pytest.approx(0.7)


@pytest.mark.parametrize("window", [-1.0, math.nan, math.inf])
def test_a_window_that_is_none_is_refused(window: float) -> None:
    memory = remembered(of_one("sad", 0.0, 2.0))
    with pytest.raises(ConfigError, match="window_s"):
        memory.history("", window)
