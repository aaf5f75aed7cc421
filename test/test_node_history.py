"""Events, steady states, answers about the past, and forgetting: over real DDS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made_steps import BOX, START_NS, estimate, nobody, step_of
from state_scene import distribution

from avemo_ros.labels import EMOTIONS
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status
from avemo_ros.state.memory import EmotionMemory

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
Trigger = pytest.importorskip("std_srvs.srv").Trigger
messages = pytest.importorskip("avemo_ros.msg")
GetEmotionHistory = pytest.importorskip("avemo_ros.srv").GetEmotionHistory
EmotionHistoryStage = pytest.importorskip("avemo_ros.nodes.emotion_history").EmotionHistoryStage
ManagedNode = pytest.importorskip("avemo_ros.nodes.base_node").ManagedNode
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
LONG_S = 60.0
EAGER = ("steady.enter_confidence:=0.2", "steady.leave_confidence:=0.1", "steady.min_lead:=0.0")
"""Of the sample's states some label becomes steady, whatever the model makes of it."""


class Remembering(ManagedNode):
    """A node that has nothing but the stage."""

    live_groups = ("steady",)

    def __init__(self) -> None:
        super().__init__("remembering", groups=["steady"])

    def prepare(self) -> None:
        self.memory = EmotionMemory(self.config().steady)
        self.forgotten = 0
        self.stage = EmotionHistoryStage(self, lambda: self.memory, self.forget)

    def open(self) -> None:
        self.memory = EmotionMemory(self.config().steady)
        self.stage.open()

    def close(self) -> None:
        if hasattr(self, "stage"):
            self.stage.close()

    def settings_changed(self) -> None:
        self.memory = EmotionMemory(self.config().steady)
        self.stage.clear()

    def forget(self) -> None:
        """What is known of people beside the memory, such as their resting faces."""
        self.forgotten += 1

    def feel(self, label: str, begin: float, end: float, **more: Any) -> None:
        """Ten estimates a second say so, with a confidence of 0.9."""
        for step in range(round(10 * begin), round(10 * end)):
            self.say(step_of(person(label, t=step / 10, **more)))

    def say(self, said: EmotionStep) -> None:
        """One step, as the engine hands it on."""
        self.stage.push(replace(said, changes=self.memory.push(said)), "camera", 0.05)


def person(label: str, *, t: float, **more: Any) -> EmotionEstimate:
    return estimate(label, t=t, confidence=0.9, **more)


def asked(graph: Any, person: str = "", window: float = 0.0) -> Any:
    request = GetEmotionHistory.Request(person=person, window=window)
    return graph.call(GetEmotionHistory, "emotion_history", request)


def test_a_change_that_lasts_is_one_event_on_the_topic(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    events = graph.collect(messages.EmotionEvent, "emotion_events")
    assert graph.spin(lambda: ros.listeners(node, "emotion_events"), LONG_S)
    node.feel("happy", 0.0, 4.0)
    node.feel("sad", 4.0, 8.0)
    assert graph.spin(lambda: len(events) >= 2, LONG_S)
    graph.spin_for(0.3)
    assert [(event.previous, event.label) for event in events] == [
        ("unknown", "happy"),
        ("happy", "sad"),
    ]
    last = events[-1]
    assert (last.face_id, last.person_id, last.header.frame_id) == ("f1", "p1", "camera")
    assert 0.5 <= last.confidence <= 0.9
    assert 3.0 < last.lasted < 6.0
    assert START_NS + 4 * 10**9 < ros.to_ns(last.header.stamp) < START_NS + 8 * 10**9


def test_a_moment_of_another_emotion_is_no_event(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    events = graph.collect(messages.EmotionEvent, "emotion_events")
    assert graph.spin(lambda: ros.listeners(node, "emotion_events"), LONG_S)
    node.feel("happy", 0.0, 4.0)
    node.feel("angry", 4.0, 4.2)
    node.feel("happy", 4.2, 6.0)
    assert graph.spin(lambda: events, LONG_S)
    graph.spin_for(0.3)
    assert [event.label for event in events] == ["happy"]


def test_a_late_subscriber_gets_the_last_steady_states(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 0.0, 4.0)
    latched = ros.QoSProfile(depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL)
    arrays = graph.collect(messages.EmotionStateArray, "steady_states", latched)
    assert graph.spin(lambda: arrays, LONG_S)
    (state,) = arrays[0].states
    assert (state.label, state.face_id) == ("happy", "f1")
    assert state.confidence == pytest.approx(max(state.probabilities))
    assert math.isclose(sum(state.probabilities), 1.0, abs_tol=1e-5)
    assert state.box.width == pytest.approx(BOX.width)


def test_steady_states_come_at_changes_and_else_twice_a_second(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    reliable = ros.QoSProfile(depth=200)
    arrays = graph.collect(messages.EmotionStateArray, "steady_states", reliable)
    assert graph.spin(lambda: ros.listeners(node, "steady_states"), LONG_S)
    for second in range(10):
        node.feel("happy", second, second + 1)
        graph.spin_for(0.02)
    wanted = START_NS + round(9.5e9)
    assert graph.spin(lambda: arrays and ros.to_ns(arrays[-1].header.stamp) >= wanted, LONG_S)
    # Ten seconds twice, and the one change in between.
    assert len(arrays) <= 22
    stamps = [ros.to_ns(array.header.stamp) for array in arrays]
    assert stamps == sorted(set(stamps))


def test_the_history_tells_distribution_trend_and_changes(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 0.0, 5.0)
    node.feel("sad", 5.0, 10.0)
    answer = asked(graph)
    assert answer.success, answer.message
    assert list(answer.labels) == list(EMOTIONS)
    assert math.isclose(sum(answer.distribution), 1.0, abs_tol=1e-5)
    happy, sad = EMOTIONS.index("happy"), EMOTIONS.index("sad")
    assert answer.trend[happy] < 0.0 < answer.trend[sad]
    assert answer.steady_label == "sad"
    assert 0.5 < answer.steady_confidence <= 0.9
    assert 2.0 < answer.steady_since < 5.0
    assert list(answer.changes) == ["unknown", "happy", "sad"]
    assert answer.observed == pytest.approx(9.9, abs=0.2)
    assert (answer.latest.face_id, answer.latest.label) == ("f1", "sad")

    short = asked(graph, "f1", 2.0)
    assert short.distribution[sad] == pytest.approx(0.9, abs=1e-3)
    assert short.observed == pytest.approx(2.0, abs=0.2)
    assert list(short.changes) == ["sad"]
    assert asked(graph, "p1", 2.0).distribution == short.distribution


@pytest.mark.parametrize(
    ("who", "window", "words"),
    [
        ("f0007", 5.0, ("nobody with id f0007", "5 s")),
        ("", -1.0, ("window is -1 s",)),
        ("", math.nan, ("window is nan",)),
        ("", math.inf, ("window is inf",)),
    ],
)
def test_what_the_history_cannot_answer_it_says(
    start_graph: Start, who: str, window: float, words: tuple[str, ...]
) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 0.0, 2.0)
    answer = asked(graph, who, window)
    assert not answer.success
    assert all(word in answer.message for word in words), answer.message
    assert not answer.distribution


def test_before_anybody_was_seen_the_history_says_so(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.say(step_of(t=1.0))
    answer = asked(graph)
    assert not answer.success
    assert answer.message == "nobody at all was seen in the last 60 s"


def test_a_person_without_a_distribution_has_a_history_without_one(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("unknown", 0.0, 1.0, status=Status.WARMING_UP)
    answer = asked(graph)
    assert answer.success
    assert answer.steady_label == "unknown"
    assert not answer.distribution
    assert not answer.trend
    assert answer.observed == 0.0
    assert list(answer.changes) == ["unknown"]


def test_forgetting_empties_the_memory_and_the_latched_states(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 0.0, 4.0)
    answer = graph.call(Trigger, "forget_people", Trigger.Request())
    assert answer.success
    assert answer.message == "1 person forgotten"
    assert node.forgotten == 1
    assert not asked(graph).success
    latched = ros.QoSProfile(depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL)
    arrays = graph.collect(messages.EmotionStateArray, "steady_states", latched)
    assert graph.spin(lambda: arrays, LONG_S)
    assert not arrays[0].states
    assert node.stage.values()["people_remembered"] == 0


def test_a_stream_that_starts_over_starts_with_nobody(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 20.0, 24.0)
    node.feel("sad", 0.0, 4.0)
    answer = asked(graph)
    assert answer.steady_label == "sad"
    assert answer.observed == pytest.approx(3.9, abs=0.2)
    assert "happy" not in answer.changes[1:]


def test_the_memory_holds_no_more_people_than_it_may(start_graph: Start) -> None:
    graph = start_graph("steady.max_people:=3")
    node = graph.add(Remembering)
    for number in range(10):
        node.feel("happy", number, number + 0.5, face=f"f{number}")
    assert node.stage.values()["people_remembered"] == 3
    assert not asked(graph, "f0").success
    assert asked(graph, "f9").success


def test_settings_change_while_running_and_the_past_is_forgotten(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 0.0, 4.0)
    assert graph.set(node, "steady.memory_s", 5.0).successful
    assert not asked(graph).success
    node.feel("happy", 4.0, 14.0)
    assert asked(graph).observed == pytest.approx(5.0, abs=0.2)
    refused = graph.set(node, "steady.leave_confidence", 0.9)
    assert not refused.successful
    assert "steady.enter_confidence" in refused.reason


def test_a_new_run_remembers_nobody_of_the_one_before(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    node.feel("happy", 0.0, 4.0)
    node.trigger_deactivate()
    node.trigger_activate()
    assert not asked(graph).success


def test_two_people_and_a_voice_have_steady_states_of_their_own(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(Remembering)
    for step in range(40):
        t = step / 10
        one, two = person("happy", t=t), person("sad", t=t, face="f2")
        voice = replace(
            person("angry", t=t, face="", voice="v1"),
            probabilities=distribution("angry", 0.9),
        )
        node.say(step_of(one, two, voice))
    node.say(step_of(nobody(4.1), t=4.1))
    labels = [asked(graph, who).steady_label for who in ("f1", "f2", "v1")]
    assert labels == ["happy", "sad", "angry"]


def test_the_sample_makes_events_and_a_history_while_the_network_computes(
    start_graph: Start,
) -> None:
    graph = start_graph(*ros.QUICK, *EAGER)
    graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    feed.wait_for_sound_to_be_heard()
    events = graph.collect(messages.EmotionEvent, "emotion_events")
    arrays = graph.collect(messages.EmotionStateArray, "steady_states")
    answers: list[Any] = []
    client = graph.probe.create_client(GetEmotionHistory, "emotion_history")
    request = GetEmotionHistory.Request()

    def ask() -> bool:
        # While images still come, as a dialog would.
        client.call_async(request).add_done_callback(lambda done: answers.append(done.result()))
        return bool(events) and any(answer.success for answer in answers)

    assert feed.play_until(ask, 4.0, voice=True, speed=1.0)
    assert graph.spin(lambda: events and arrays, LONG_S)
    assert graph.spin(lambda: any(answer.success for answer in answers), LONG_S)
    assert events[0].previous == "unknown"
    assert events[0].label in EMOTIONS
    answer = asked(graph)
    assert answer.success, answer.message
    assert answer.latest.face_id
    assert math.isclose(sum(answer.distribution), 1.0, abs_tol=1e-5)
    states = "emotion_stack: states"
    assert graph.spin(
        lambda: states in graph.health and int(graph.figure(states, "events")) >= 1, LONG_S
    )
    assert int(graph.figure(states, "people_remembered")) >= 1
