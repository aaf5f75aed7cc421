"""Time that misbehaves, on the engine: what cameras, drivers, networks and clocks do to stamps.

No network and no waiting: features go in with stamps and arrivals, estimates come out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from state_scene import SceneReader, face, frame, sound

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.config import AudioConfig, InputConfig, PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.engine.feature_extractor import FeatureGate, InputIssues
from avemo_ros.engine.load_shedding import LoadShedder
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import EmotionStep, Status
from avemo_ros.timing import to_ns, to_s

ZERO_S = 1_000_000.0
"""Where the tests' time begins [s]."""


def examples(count: int) -> int:
    """All of them in `make test`, a quarter in `make test-fast`."""
    return count // 4 if os.environ.get("AVEMO_FAST") else count


@dataclass(frozen=True)
class Event:
    """Something that comes to the engine; times count from ZERO_S [s]."""

    arrival: float
    stamp: float | None = None
    """None: only time passes (a tick)."""
    is_sound: bool = False
    speech: float = 0.9
    mouth: float = math.nan


class Machine:
    """The engine behind its gate, fed with events in the order of their arrival."""

    def __init__(self, **inputs: float) -> None:
        self.findings = InputIssues()
        config = PipelineConfig(input=InputConfig(**inputs))  # type: ignore[arg-type]
        self.gate = FeatureGate(
            config.input, self.findings.of("face tracks"), self.findings.of("spectrogram")
        )
        self.stage = EmotionStage(config, SceneReader())
        self.said: list[tuple[float, EmotionStep]] = []
        """Arrival of what made each step [s], and the step."""
        self.resets: list[int] = []
        """How often time had started anew by each step."""

    def play(self, events: Iterable[Event]) -> Machine:
        for event in sorted(events, key=lambda one: one.arrival):
            self.take(event)
        return self

    def take(self, event: Event) -> None:
        arrival_ns = to_ns(ZERO_S + event.arrival)
        if event.stamp is None:
            steps = self.stage.tick(arrival_ns)
        elif event.is_sound:
            at = 0.0 if event.stamp == -ZERO_S else ZERO_S + event.stamp - 0.03
            chunk = self.gate.chunk(sound(max(at, 0.0), 0.03, event.speech), arrival_ns)
            steps = [] if chunk is None else self.stage.push_speech(chunk, arrival_ns)
        else:
            seen = frame(ZERO_S + event.stamp, face(mouth=event.mouth))
            tracks = self.gate.tracks(seen, arrival_ns)
            steps = [] if tracks is None else self.stage.push_tracks(tracks, arrival_ns)
        self.said += [(event.arrival, step) for step in steps]
        self.resets += [self.stage.counters.resets] * len(steps)

    def between(self, start: float, end: float) -> list[EmotionStep]:
        """Steps that were made within a time [s]."""
        return [step for arrival, step in self.said if start <= arrival < end]


def talking(t: float) -> float:
    return 0.1 + 0.1 * math.sin(2 * math.pi * 4 * t)


def images(
    start: float,
    end: float,
    *,
    rate: float = 15.0,
    late: float = 0.02,
    stamp: Callable[[float], float] = lambda t: t,
) -> list[Event]:
    """A face that talks; `late` is from stamp to arrival."""
    times = [start + k / rate for k in range(round((end - start) * rate))]
    return [Event(t + late, stamp(t), mouth=talking(t)) for t in times]


def speech(
    start: float,
    end: float,
    *,
    late: float = 0.02,
    stamp: Callable[[float], float] = lambda t: t,
) -> list[Event]:
    times = [start + 0.03 * (k + 1) for k in range(round((end - start) / 0.03))]
    return [Event(t + late, stamp(t), is_sound=True) for t in times]


def ticks(start: float, end: float) -> list[Event]:
    return [Event(start + k / 10 + 0.001) for k in range(round((end - start) * 10))]


def both(start: float, end: float, **more: float) -> list[Event]:
    return images(start, end, **more) + speech(start, end) + ticks(start, end)


def statuses(steps: Iterable[EmotionStep]) -> set[Status]:
    return {step.attended.status for step in steps}


def check(machine: Machine, *, ahead_s: float = 0.1) -> None:
    """What holds whatever happens."""
    before, resets = None, 0
    for (arrival, step), known in zip(machine.said, machine.resets, strict=True):
        stamp = to_s(step.stamp_ns) - ZERO_S
        if before is not None and stamp <= before:
            # Only time that started anew may be told again, and then everyone is new.
            assert known > resets, f"stamps fell from {before} to {stamp} without a reset"
        before, resets = stamp, known
        assert stamp <= arrival + ahead_s, f"a state of the future: {stamp} at {arrival}"
        for one in (*step.estimates, step.attended):
            if one.label != UNKNOWN:
                assert one.face_id or one.voice_id, "a claim about nobody"
            assert all(map(math.isfinite, one.probabilities))


def test_a_person_who_is_seen_and_heard_is_claimed_in_every_step() -> None:
    machine = Machine().play(both(0, 6))
    check(machine)
    later = machine.between(2.5, 6.0)
    assert len(later) > 30
    assert statuses(later) == {Status.OK}
    assert {len(step.estimates) for step in later} == {1}


def test_no_image_waits_for_its_sound() -> None:
    machine = Machine().play(both(0, 6))
    waited = [arrival - (to_s(step.stamp_ns) - ZERO_S) for arrival, step in machine.said]
    assert max(waited) < 0.03


@pytest.mark.parametrize("ahead_s", [0.3, 3.0, 86_400.0])
@pytest.mark.parametrize("is_sound", [False, True])
def test_one_item_stamped_ahead_changes_nothing(ahead_s: float, is_sound: bool) -> None:
    odd = Event(4.03, 4.0 + ahead_s, is_sound=is_sound, mouth=0.1)
    machine = Machine().play([*both(0, 7), odd])
    check(machine)
    assert machine.stage.counters.resets == 0
    assert statuses(machine.between(2.5, 7.0)) == {Status.OK}
    assert {one.face_id for _, step in machine.said for one in step.estimates} == {"f0001"}


@pytest.mark.parametrize("late_s", [0.0, 0.4, 0.6, 0.9, 1.5])
def test_images_that_come_late_as_a_rule_are_used(late_s: float) -> None:
    machine = Machine().play(both(0, 12, late=late_s))
    check(machine)
    settled = machine.between(5.0, 12.0)
    assert len(settled) > 55
    assert statuses(settled) == {Status.OK}
    assert {len(step.estimates) for step in settled} == {1}


@pytest.mark.parametrize("late_s", [0.15, 0.4, 0.9, 1.5])
def test_sound_that_comes_late_as_a_rule_is_used(late_s: float) -> None:
    machine = Machine().play(images(0, 12) + speech(0, 12, late=late_s) + ticks(0, 12))
    check(machine)
    settled = machine.between(6.0, 12.0)
    assert statuses(settled) == {Status.OK}
    waited = [
        arrival - (to_s(step.stamp_ns) - ZERO_S)
        for arrival, step in machine.said
        if arrival > 6.0
    ]
    assert float(np.median(waited)) < 0.2


def test_one_image_a_second_is_one_person() -> None:
    machine = Machine().play(images(0, 20, rate=1.0) + ticks(0, 20))
    check(machine)
    settled = machine.between(4.0, 20.0)
    assert {step.attended.face_id for step in settled} == {"f0001"}
    assert Status.NO_VOICE in statuses(settled)
    assert Status.STALE_INPUT not in statuses(settled)


def test_a_pause_of_everything_is_said_and_over_within_a_second() -> None:
    machine = Machine().play(both(0, 4) + ticks(4, 9) + both(9, 13))
    check(machine)
    assert statuses(machine.between(5.2, 9.0)) == {Status.STALE_INPUT}
    again = machine.between(9.0, 10.2)
    assert again
    assert Status.STALE_INPUT not in statuses(machine.between(9.2, 13.0))


@pytest.mark.parametrize("pause_s", [1.0, 3.0])
def test_sound_that_pauses_is_heard_again_at_once(pause_s: float) -> None:
    machine = Machine().play(
        images(0, 14) + speech(0, 6) + speech(6 + pause_s, 14) + ticks(0, 14)
    )
    check(machine)
    assert machine.stage.audio_lag_s == pytest.approx(0.1)
    # 0.6 s of speech are needed; the window may still hold some.
    assert statuses(machine.between(6 + pause_s + 0.9, 14.0)) == {Status.OK}
    if pause_s > 2.0:
        assert Status.NO_VOICE in statuses(machine.between(8.6, 9.0))


@pytest.mark.parametrize("by_s", [-1.5, -2.0])
@pytest.mark.parametrize("is_sound", [False, True])
def test_one_streams_clock_that_is_set_back_costs_little(by_s: float, is_sound: bool) -> None:
    events = [
        replace(one, stamp=one.stamp + by_s)
        if one.stamp is not None and one.arrival > 6.0 and one.is_sound is is_sound
        else one
        for one in both(0, 14)
    ]
    machine = Machine().play(events)
    check(machine)
    faces = [step for step in machine.between(9.0, 14.0) if step.attended.face_id]
    assert len(faces) > 40


def test_a_camera_that_dies_leaves_the_voice_and_comes_back() -> None:
    events = images(0, 4) + images(8, 12) + speech(0, 12) + ticks(0, 12)
    machine = Machine().play(events)
    check(machine)
    # For two seconds he may only be hidden.
    assert not any(step.estimates for step in machine.between(5.0, 6.5))
    gone = machine.between(7.0, 8.0)
    assert {(step.attended.face_id, step.attended.status) for step in gone} == {
        ("", Status.NO_FACE)
    }
    assert machine.between(9.5, 12.0)[-1].attended.status == Status.OK


def test_a_recording_that_starts_over_is_a_new_beginning() -> None:
    again = [
        replace(event, arrival=event.arrival + 6.0) for event in images(0, 6) + speech(0, 6)
    ]
    machine = Machine(max_input_age_s=0.0).play(images(0, 6) + speech(0, 6) + again)
    assert machine.stage.counters.resets == 1
    assert machine.between(9.0, 12.0)[-1].attended.status == Status.OK


def test_a_clock_that_leaps_while_an_image_is_looked_at_makes_no_states_of_the_future() -> None:
    machine = Machine().play(both(0.0, 4.0))
    before = len(machine.said)
    machine.take(Event(304.0))  # the clock leaps
    machine.take(Event(4.02, 4.0, mouth=0.1))  # came before, and was looked at meanwhile
    for event in ticks(304.1, 306.0):
        machine.take(event)
    assert machine.said[before:]
    for _, step in machine.said[before:]:
        assert step.stamp_ns < to_ns(ZERO_S + 6.5)


@pytest.mark.parametrize("rate", [1.0, 0.7, 0.5])
def test_somebody_before_a_slow_camera_is_read_all_the_time(rate: float) -> None:
    # Sound makes steps between the images, too.
    machine = Machine().play(both(0, 30, rate=rate))
    later = [step.attended for step in machine.between(10.0, 30.0)]
    assert {(one.face_id, one.status) for one in later} == {("f0001", Status.OK)}


def test_a_few_old_images_that_come_at_once_change_nothing() -> None:
    events = both(0.0, 8.0) + [
        Event(4.03 + k * 0.01, 1.5 + k * 0.01, mouth=0.1) for k in range(4)
    ]
    machine = Machine().play(events)
    assert machine.stage.counters.resets == 0
    assert {step.attended.status for step in machine.between(2.0, 8.0)} == {Status.OK}


def test_clocks_of_two_kinds_are_told() -> None:
    since_boot = images(0, 8, stamp=lambda t: 54_321.0 - ZERO_S + t)
    apart = Machine(max_input_age_s=0.0).play(since_boot + speech(0, 8) + ticks(0, 8))
    lead_ns = apart.stage.audio_lead_ns
    assert lead_ns is not None
    assert lead_ns > to_ns(900_000.0)


def test_a_clock_that_is_set_back_with_the_stamps_costs_a_second() -> None:
    def set_back(event: Event) -> Event:
        stamp = None if event.stamp is None else event.stamp - 3.0
        return replace(event, arrival=event.arrival - 3.0, stamp=stamp)

    machine = Machine()
    machine.play(both(0, 6))
    for event in sorted(both(6, 10), key=lambda one: one.arrival):
        machine.take(set_back(event))
    assert machine.stage.counters.resets == 1
    assert machine.said[-1][1].attended.status == Status.OK


def test_who_falls_behind_leaves_images_out_and_says_what_is_now() -> None:
    machine = Machine()
    for k in range(60):
        t = k / 15
        seen = frame(ZERO_S + t, face())
        now_s = t + (0.8 if 20 <= k < 40 else 0.01)
        steps = machine.stage.push_tracks(
            seen, to_ns(ZERO_S + t), newest_ns=to_ns(ZERO_S + now_s)
        )
        machine.said += [(now_s, step) for step in steps]
    assert machine.stage.counters.behind == 20
    assert not machine.between(2.0, 2.6)
    assert machine.between(2.6, 4.0)


def test_a_face_and_his_voice_are_one_person_however_still_he_is() -> None:
    """A mouth that is not seen to move for a moment makes no ghost beside the man."""

    def mouth(t: float) -> float:
        return talking(t) if int(t) % 2 == 0 else 0.05

    events = [Event(k / 15 + 0.02, k / 15, mouth=mouth(k / 15)) for k in range(180)]
    machine = Machine().play(events + speech(0, 12) + ticks(0, 12))
    assert {len(step.estimates) for step in machine.between(1.0, 12.0)} == {1}
    events = [Event(k / 15 + 0.02, k / 15, mouth=0.05) for k in range(180)]
    machine = Machine().play(events + speech(0, 12) + ticks(0, 12))
    late = machine.between(6.0, 12.0)
    assert {len(step.estimates) for step in late} == {2}, "it has lasted: somebody else speaks"


# --- sound


def blocks_of(seconds: float, block_s: float = 0.02) -> list[AudioBlock]:
    noise = np.random.default_rng(0)
    count = round(16_000 * block_s)
    return [
        AudioBlock(
            to_ns(ZERO_S + k * block_s),
            16_000,
            noise.normal(0, 0.05, (count, 1)).astype(np.float32),
        )
        for k in range(round(seconds / block_s))
    ]


def heard(pairs: Iterable[tuple[int, AudioBlock]], **inputs: str) -> tuple[AudioStage, int]:
    """The stage after these arrivals [ns] and blocks, and its columns."""
    stage = AudioStage(
        AudioConfig(),
        InputConfig(**inputs),  # type: ignore[arg-type]
        InputIssues().of("sound"),
    )
    columns = 0
    for arrival_ns, block in pairs:
        columns += sum(len(chunk.speech) for chunk in stage.push(block, arrival_ns))
    return stage, columns


@pytest.mark.parametrize("off_s", [3.0, -3.0, 86_400.0])
def test_one_block_with_a_wrong_stamp_costs_no_window(off_s: float) -> None:
    blocks = blocks_of(6.0)
    pairs = [(block.stamp_ns + to_ns(0.02), block) for block in blocks]
    at, odd = pairs[150]
    pairs[150] = (at, replace(odd, stamp_ns=odd.stamp_ns + to_ns(off_s)))
    stage, columns = heard(pairs)
    assert stage.counters.restarts == 0
    assert columns > 580


@pytest.mark.parametrize("block_s", [0.02, 0.256, 1.0])
def test_blocks_that_are_stamped_when_they_are_full_are_not_of_the_future(
    block_s: float,
) -> None:
    blocks = blocks_of(6.0, block_s)
    stage, _ = heard([])
    chunks = []
    for block in blocks:
        full_ns = block.stamp_ns + to_ns(block_s)
        chunks += stage.push(replace(block, stamp_ns=full_ns), full_ns)
    assert sum(len(chunk.speech) for chunk in chunks) > 580
    assert stage.counters.restarts == 0
    last_ns = blocks[-1].stamp_ns + to_ns(block_s)
    assert last_ns - to_ns(0.1) < chunks[-1].end_ns <= last_ns


def test_after_reset_the_robot_is_not_deaf() -> None:
    """It was deactivated while the robot spoke, and did not hear that this ended."""
    blocks = blocks_of(4.0)
    stage, _ = heard([])
    stage.mute.set_speaking(blocks[0].stamp_ns, speaking=True)
    stage.reset()
    levels = np.concatenate(
        [
            chunk.level_dbfs
            for block in blocks
            for chunk in stage.push(block, block.stamp_ns + to_ns(0.02))
        ]
    )
    assert levels.min() > -60.0


# --- load


def test_work_is_shed_in_order_said_and_taken_up_again() -> None:
    load = LoadShedder(PipelineConfig())
    now_s, levels, shed = 0.0, [], {}
    for latency_s, seconds in ((0.03, 5), (0.5, 10), (0.05, 40)):
        for _ in range(seconds * 10):
            now_s += 0.1
            load.observe(latency_s, now_s)
            levels.append(load.level)
            shed[load.level] = load.shed
    assert levels[:50] == [0] * 50
    assert max(levels) == 4
    assert levels[-1] == 0
    steps = np.diff(levels)
    assert set(steps.tolist()) <= {-1, 0, 1}
    shares = [shed[level].frame_share for level in range(5)]
    assert shares == sorted(shares, reverse=True)
    assert not shed[0].what
    assert shed[4].max_faces == 1


def test_what_is_too_much_again_and_again_is_tried_ever_more_rarely() -> None:
    load = LoadShedder(PipelineConfig())
    changes = []
    for k in range(6000):
        # All of the work does not fit, half of the frames do.
        latency_s = 0.3 if load.level == 0 else 0.05
        if load.observe(latency_s, k / 10):
            changes.append(k / 10)
    assert load.level in (0, 1)
    assert len(changes) < 30
    tried = changes[1::2]
    assert tried[-1] - tried[-2] > 50 > tried[1] - tried[0]


def test_one_hiccup_sheds_nothing() -> None:
    load = LoadShedder(PipelineConfig())
    for k in range(100):
        assert not load.observe(2.0 if k == 50 else 0.03, k / 10)


# --- whatever may come


class Schedule(list[Event]):
    """Events; too many to be printed where a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} events>"


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Images, sound and ticks of eight seconds, with loss, jitter, bursts and outliers, and
    then four good seconds."""
    rate = draw(st.sampled_from([1.0, 5.0, 15.0, 30.0]))
    late = draw(st.floats(0.0, 1.2))
    events = images(0, 8, rate=rate, late=late)
    events += speech(0, 8, late=draw(st.floats(0.0, 1.2))) + ticks(0, 14)
    odd = draw(st.lists(st.tuples(st.integers(0, len(events) - 1), st.integers(0, 6)),
                        max_size=40))  # fmt: skip
    size = draw(st.floats(0.05, 20.0))
    # A clock that is set for good, of one stream or of both.
    if draw(st.booleans()):
        at, by = draw(st.floats(1.0, 7.0)), draw(st.sampled_from([-30.0, -3.0, -1.5, 0.4]))
        of = draw(st.sampled_from([(False,), (True,), (False, True)]))
        events = [
            replace(one, stamp=one.stamp + by)
            if one.stamp is not None and one.arrival > at and one.is_sound in of
            else one
            for one in events
        ]
    for place, kind in odd:
        event = events[place]
        if event.stamp is None:
            continue
        if kind == 0:
            events[place] = replace(event, stamp=event.stamp + size)
        elif kind == 1:
            events[place] = replace(event, stamp=event.stamp - size)
        elif kind == 2:
            events.append(event)
        elif kind == 3:
            events[place] = replace(event, stamp=-ZERO_S)
        elif kind == 4:
            events[place] = replace(event, arrival=event.arrival + min(size, 2.0))
        elif kind == 5:
            events[place] = Event(event.arrival)
        else:
            held = event.arrival
            events = [
                replace(one, arrival=held + 0.3) if held < one.arrival < held + 0.3 else one
                for one in events
            ]
    return Schedule(events + images(10, 14) + speech(10, 14))


@settings(
    max_examples=examples(60),
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(schedules())
def test_whatever_comes_nothing_raises_and_good_input_is_answered(events: Schedule) -> None:
    machine = Machine().play(events)
    # A stream whose clock is ahead by less than half a second is believed.
    check(machine, ahead_s=0.55)
    # A second after good input there are states of now again, a new person's warm-up later
    # they are claims about the face, and when enough was spoken about the voice, too.
    soon = machine.between(10.2, 11.2)
    assert soon
    assert statuses(soon) != {Status.STALE_INPUT}
    assert statuses(machine.between(12.3, 14.0)) <= {Status.OK, Status.NO_VOICE}
    last = machine.between(13.0, 14.0)
    assert len(last) > 7
    assert Status.OK in statuses(last)
    assert {len(step.estimates) for step in last} == {1}


@settings(max_examples=examples(40), deadline=None, print_blob=True, database=None)
@given(
    at=st.floats(1.0, 6.0),
    lasts=st.floats(0.02, 3.0),
    by=st.one_of(st.floats(0.3, 4000.0), st.floats(-500.0, -0.3)),
)
def test_a_clock_that_leaps_and_comes_back_makes_no_states_of_another_time(
    at: float, lasts: float, by: float
) -> None:
    machine = Machine()
    said: list[tuple[float, EmotionStep]] = []
    for event in sorted(both(0, 14), key=lambda one: one.arrival):
        before, time_s = len(machine.said), event.arrival
        leapt = at <= time_s < at + lasts
        machine.take(replace(event, arrival=time_s + by) if leapt else event)
        said += [(time_s, step) for _, step in machine.said[before:]]
    for time_s, step in said:
        assert step.stamp_ns <= to_ns(ZERO_S + time_s + 0.55)
    # A second after the clock is right again, and a second of warm-up.
    after = {step.attended.status for time_s, step in said if time_s > at + lasts + 2.2}
    assert after <= {Status.OK, Status.NO_VOICE}
    assert said[-1][1].attended.status is Status.OK
