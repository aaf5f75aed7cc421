"""Steady states: smoothing in sensor time, hysteresis, debounce, identities."""

from __future__ import annotations

import dataclasses
import math
import random
from itertools import pairwise

import pytest
from made_steps import START_NS, estimate, nobody, step_of

from avemo_ros.config import PipelineConfig, SteadyConfig
from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import Change, EmotionStep, Status
from avemo_ros.state.smoothing import StateSmoother

BRISK = SteadyConfig(time_constant_s=0.8)
"""What these sequences are counted out for."""
AT_ONCE = SteadyConfig(time_constant_s=0.0, debounce_s=0.0, leave_s=0.0)
"""No smoothing, no debounce: hysteresis alone."""


def played(states: StateSmoother, *steps: EmotionStep) -> list[Change]:
    return [change for one in steps for change in states.push(one)]


def spoken(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.previous, change.label) for change in changes]


def of_one(
    label: str, start: float, end: float, *, rate: float = 10.0, **given
) -> list[EmotionStep]:
    """Steps of one person from after `start` to `end` seconds."""
    steps = range(round(start * rate) + 1, round(end * rate) + 1)
    return [step_of(estimate(label, t=step / rate, **given)) for step in steps]


# --- smoothing


def test_log_probabilities_are_averaged_with_fading_weights() -> None:
    states = StateSmoother(SteadyConfig(time_constant_s=1.0))
    states.push(step_of(estimate("happy", t=1.0, confidence=0.7)))
    states.push(step_of(estimate("sad", t=1.5, confidence=0.7)))
    # 0.7 and six times 0.05: the odds of 14 count with exp(-0.5) = 0.6065 and with 0.3935.
    happy, sad = 14**0.6065306597, 14**0.3934693403
    total = happy + sad + 5.0
    state = states.of()
    assert state is not None
    assert state.probabilities[EMOTIONS.index("happy")] == pytest.approx(happy / total)
    assert state.probabilities[EMOTIONS.index("sad")] == pytest.approx(sad / total)
    assert state.probabilities[EMOTIONS.index("fear")] == pytest.approx(1.0 / total)
    assert math.fsum(state.probabilities) == pytest.approx(1.0)


@pytest.mark.parametrize("rate", [5.0, 20.0, 30.0])
def test_the_step_rate_does_not_matter(rate: float) -> None:
    def result(hertz: float) -> tuple[list[tuple[str, str]], tuple[float, ...]]:
        states = StateSmoother(BRISK)
        steps = of_one("happy", 0.0, 4.0, rate=hertz) + of_one("sad", 4.0, 5.0, rate=hertz)
        changes = played(states, step_of(estimate("happy", t=0.0)), *steps)
        state = states.of()
        assert state is not None
        return spoken(changes), state.probabilities

    changes, probabilities = result(rate)
    usual_changes, usual = result(10.0)
    assert changes == usual_changes
    assert probabilities == pytest.approx(usual, abs=1e-9)


def test_one_estimate_after_a_hole_does_not_outweigh_the_time_before() -> None:
    states = StateSmoother(SteadyConfig(time_constant_s=2.0, forget_s=10.0))
    played(states, *of_one("happy", 0.0, 3.0))
    assert states.push(step_of(estimate("sad", t=9.0, confidence=0.9))) == ()
    state = states.of()
    assert state is not None
    assert state.label == "happy"
    assert state.probabilities[EMOTIONS.index("happy")] > 0.5


def test_one_dead_sure_estimate_does_not_outweigh_seconds() -> None:
    states = StateSmoother(BRISK)
    played(states, *of_one("happy", 0.0, 3.0))
    states.push(step_of(estimate("sad", t=3.1, confidence=1.0)))
    state = states.of()
    assert state is not None
    assert state.label == "happy"
    assert all(math.isfinite(value) for value in state.probabilities)


@pytest.mark.parametrize("bad", [(0.1, 0.9), (math.nan,) * 7, (math.inf,) * 7])
def test_a_distribution_that_is_none_changes_nothing(bad: tuple[float, ...]) -> None:
    states = StateSmoother(BRISK)
    played(states, *of_one("happy", 0.0, 2.0))
    before = states.of()
    broken = dataclasses.replace(estimate("sad", t=2.1), probabilities=bad)
    assert states.push(step_of(broken)) == ()
    assert states.of() == before


# --- hysteresis and debounce


def test_a_label_needs_more_to_become_steady_than_to_stay_so() -> None:
    states = StateSmoother(AT_ONCE)
    heights = [0.45, 0.55, 0.45, 0.40, 0.36, 0.30, 0.45, 0.60]
    labels = []
    for step, height in enumerate(heights):
        states.push(step_of(estimate("happy", t=step / 10, confidence=height)))
        state = states.of()
        assert state is not None
        labels.append(state.label)
    happy = "happy"
    assert labels == [UNKNOWN, happy, happy, happy, happy, UNKNOWN, UNKNOWN, happy]


def test_a_label_that_leads_by_too_little_is_not_taken() -> None:
    states = StateSmoother(AT_ONCE.replace(enter_confidence=0.4, min_lead=0.15))
    close = [0.0] * 7
    close[EMOTIONS.index("happy")], close[EMOTIONS.index("surprise")] = 0.55, 0.45
    clear = [0.0] * 7
    clear[EMOTIONS.index("happy")], clear[EMOTIONS.index("surprise")] = 0.6, 0.4
    one = dataclasses.replace(estimate("happy", t=1.0), probabilities=tuple(close))
    two = dataclasses.replace(estimate("happy", t=1.1), probabilities=tuple(clear))
    assert states.push(step_of(one)) == ()
    assert spoken(list(states.push(step_of(two)))) == [(UNKNOWN, "happy")]


def test_a_change_tells_who_what_and_how_long_the_former_lasted() -> None:
    states = StateSmoother(BRISK)
    steps = of_one("neutral", 0.0, 6.0, confidence=0.85) + of_one(
        "angry", 6.0, 9.0, confidence=0.85
    )
    first, second = played(states, *steps)
    assert (first.previous, first.label, first.face_id) == (UNKNOWN, "neutral", "f1")
    assert first.stamp_ns == START_NS + 600_000_000  # seen at 0.1 s, held for 0.5 s
    assert first.lasted_s == pytest.approx(0.5)
    assert (second.previous, second.label, second.person_id) == ("neutral", "angry", "p1")
    assert second.lasted_s == pytest.approx((second.stamp_ns - first.stamp_ns) / 1e9)
    assert 6.5 <= (second.stamp_ns - START_NS) / 1e9 <= 8.0
    assert 0.5 <= second.confidence <= 0.85


def test_a_change_that_does_not_hold_is_not_told() -> None:
    states = StateSmoother(AT_ONCE.replace(debounce_s=0.5))
    played(states, *of_one("happy", 0.0, 2.0))
    assert played(states, *of_one("sad", 2.0, 2.5)) == []
    assert played(states, *of_one("happy", 2.5, 3.0)) == []
    assert spoken(played(states, *of_one("sad", 3.0, 4.0))) == [("happy", "sad")]


@pytest.mark.parametrize("confidence", [0.6, 0.7, 0.9])
def test_a_change_from_one_label_to_another_does_not_go_by_way_of_unknown(
    confidence: float,
) -> None:
    states = StateSmoother(BRISK)
    played(states, *of_one("neutral", 0.0, 5.0, confidence=confidence))
    changes = played(states, *of_one("sad", 5.0, 10.0, confidence=confidence))
    assert spoken(changes) == [("neutral", "sad")]


def test_a_label_that_nothing_follows_is_given_up() -> None:
    states = StateSmoother(BRISK.replace(leave_s=2.0))
    played(states, *of_one("happy", 0.0, 5.0))
    (change,) = played(states, *of_one("sad", 5.0, 10.0, confidence=0.3))
    assert (change.previous, change.label) == ("happy", UNKNOWN)
    assert 7.0 <= (change.stamp_ns - START_NS) / 1e9 <= 8.5


def test_labels_that_flicker_from_step_to_step_give_no_change() -> None:
    states = StateSmoother(BRISK)
    steps = [
        step_of(estimate(("angry", "sad", "fear")[step % 3], t=step / 10, confidence=0.8))
        for step in range(1, 300)
    ]
    assert played(states, *steps) == []


# --- holding and forgetting


@pytest.mark.parametrize("status", [Status.LOW_QUALITY, Status.WARMING_UP])
def test_without_a_distribution_a_state_is_held_and_then_unknown(status: Status) -> None:
    states = StateSmoother(BRISK.replace(forget_s=2.0))
    played(states, *of_one("happy", 0.0, 3.0))
    assert played(states, *of_one(UNKNOWN, 3.0, 5.0, status=status)) == []
    (change,) = played(states, *of_one(UNKNOWN, 5.0, 6.0, status=status))
    assert (change.previous, change.label, change.confidence) == ("happy", UNKNOWN, 0.0)
    assert change.stamp_ns == START_NS + 5_100_000_000


def test_who_has_left_is_held_then_unknown_and_still_asked_for() -> None:
    states = StateSmoother(BRISK.replace(forget_s=2.0))
    played(states, *of_one("happy", 0.0, 3.0))
    assert played(states, *[step_of(t=3.0 + step / 10) for step in range(1, 20)]) == []
    for name in ("f1", "p1", ""):
        state = states.of(name)
        assert state is not None
        assert state.label == "happy"
    (change,) = played(states, *[step_of(t=5.0 + step / 10) for step in range(1, 20)])
    assert (change.face_id, change.label) == ("f1", UNKNOWN)
    state = states.of("f1")
    assert state is not None
    assert (state.label, state.confidence, state.probabilities) == (UNKNOWN, 0.0, ())


def test_after_it_was_forgotten_a_state_starts_from_nothing() -> None:
    states = StateSmoother(SteadyConfig(forget_s=1.0, time_constant_s=5.0))
    played(states, *of_one("happy", 0.0, 5.0))
    played(states, *of_one(UNKNOWN, 5.0, 7.0, status=Status.LOW_QUALITY))
    states.push(step_of(estimate("sad", t=7.1, confidence=0.8)))
    state = states.of()
    assert state is not None
    assert state.probabilities[EMOTIONS.index("sad")] == pytest.approx(0.8)


# --- identities


def test_a_new_face_starts_from_nothing() -> None:
    states = StateSmoother(SteadyConfig(time_constant_s=5.0))
    played(states, *of_one("happy", 0.0, 5.0))
    states.push(step_of(estimate("sad", t=5.1, face="f2", confidence=0.8)))
    new, old = states.of("f2"), states.of("f1")
    assert new is not None
    assert old is not None
    assert (new.label, old.label) == (UNKNOWN, "happy")
    assert new.probabilities[EMOTIONS.index("sad")] == pytest.approx(0.8)


def test_a_voice_without_a_face_is_somebody_of_its_own() -> None:
    states = StateSmoother(BRISK)
    played(states, *of_one("angry", 0.0, 2.0, face="", voice="v1", speaking=True))
    state = states.of("v1")
    assert state is not None
    assert (state.key, state.label) == ("v1", "angry")
    states.push(step_of(estimate("happy", t=2.1, face="f1", voice="v1", speaking=True)))
    face = states.of("f1")
    assert face is not None
    assert (face.key, face.label) == ("p1", UNKNOWN)


def test_several_people_do_not_mix() -> None:
    states = StateSmoother(BRISK)
    steps = [
        step_of(
            estimate("happy", t=step / 10, face="f1"),
            estimate("sad", t=step / 10, face="f2"),
        )
        for step in range(1, 20)
    ]
    changes = played(states, *steps)
    assert [(one.face_id, one.label) for one in changes] == [("f1", "happy"), ("f2", "sad")]


def test_nobody_is_asked_for_by_an_id_that_is_not_known() -> None:
    states = StateSmoother(BRISK)
    assert states.of() is None
    states.push(EmotionStep(START_NS, (), nobody(), None))
    assert states.of() is None
    assert states.of("f9") is None


def test_the_attended_one_is_latched_when_nobody_is_there() -> None:
    states = StateSmoother(BRISK)
    one, other = estimate("happy", t=1.0), estimate("sad", t=1.0, face="f2")
    states.push(EmotionStep(one.stamp_ns, (one, other), other, None))
    states.push(step_of(t=1.1))
    state = states.of()
    assert state is not None
    assert state.key == "p2"


def test_a_clock_that_jumps_back_makes_everyone_new() -> None:
    states = StateSmoother(BRISK)
    played(states, *of_one("happy", 10.0, 12.0))
    back = step_of(estimate("sad", t=1.0, confidence=0.8))
    (change,) = states.push(back)
    assert (change.previous, change.label, change.stamp_ns) == ("happy", UNKNOWN, back.stamp_ns)
    assert change.lasted_s == pytest.approx(12.0 - 10.6)
    state = states.of("f1")
    assert state is not None
    assert (state.label, state.since_ns) == (UNKNOWN, back.stamp_ns)


def test_the_number_of_people_is_bounded_and_who_is_dropped_is_told() -> None:
    states = StateSmoother(BRISK.replace(max_people=3, forget_s=60.0))
    changes = []
    for number in range(6):
        face, start = f"f{number}", 2.0 * number
        changes += played(states, *of_one("happy", start, start + 2.0, face=face))
        assert len(states.keys) <= 3
    assert states.keys == ("p3", "p4", "p5")
    lost = [one.face_id for one in changes if one.label == UNKNOWN]
    assert lost == ["f0", "f1", "f2"]


def test_clear_forgets_everyone() -> None:
    states = StateSmoother(BRISK)
    played(states, *of_one("happy", 0.0, 2.0))
    states.clear()
    assert states.keys == ()
    assert states.of("f1") is None


# --- whatever comes


@pytest.mark.parametrize("seed", range(8))
def test_the_changes_of_any_stream_join_without_a_break(seed: int) -> None:
    chance = random.Random(seed)

    def stream() -> list[EmotionStep]:
        steps, t = [], 0.0
        for _ in range(400):
            t += chance.choice([0.1, 0.1, 0.1, 0.3, 2.0])
            people = [
                estimate(
                    chance.choice([*EMOTIONS, UNKNOWN]),
                    t=t,
                    face=face,
                    confidence=chance.uniform(0.2, 1.0),
                    status=Status.LOW_QUALITY,
                )
                for face in ("f1", "f2")
                if chance.random() < 0.8
            ]
            steps.append(step_of(*people, t=t))
        return steps

    steps = stream()
    config = SteadyConfig(debounce_s=0.1, leave_s=0.2, time_constant_s=0.3)
    changes = played(StateSmoother(config), *steps)
    assert changes == played(StateSmoother(config), *steps)
    assert len(changes) > 10
    for face in ("f1", "f2"):
        own = [one for one in changes if one.face_id == face]
        assert own[0].previous == UNKNOWN
        for before, after in pairwise(own):
            assert after.previous == before.label != after.label
            assert after.lasted_s == pytest.approx((after.stamp_ns - before.stamp_ns) / 1e9)


def test_a_limit_to_leave_above_that_to_enter_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"steady\.leave_confidence.*0\.5"):
        PipelineConfig.from_flat({"steady.leave_confidence": 0.6})
