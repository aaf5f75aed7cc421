"""People who come back, are enrolled and forgotten: over real DDS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
services = pytest.importorskip("avemo_ros.srv")
messages = pytest.importorskip("avemo_ros.msg")
String = pytest.importorskip("std_msgs.msg").String
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
VISIT = ("identity.mode:=visit", "identity.track_memory_s:=1.0", *ros.QUICK)


class Visits:
    """A stack that recognises people, and who comes before it."""

    def __init__(self, start_graph: Start, *parameters: str) -> None:
        self.graph = start_graph(*VISIT, *parameters)
        self.node = self.graph.add(ros.EmotionStack)
        self.states = self.graph.collect(messages.EmotionStateArray, "emotion_states")
        self.feed = ros.Feed(self.graph)
        self.feed.wait_for_images_to_be_heard()

    def come(self, found: Callable[[Any], object]) -> Any:
        """Somebody comes; the first state that is `found`."""
        self.states.clear()
        # What was said of visits before may still be on its way.
        since_ns = self.graph.now_ns() - 100_000_000
        assert self.feed.play_until(lambda: self._first(found, since_ns), 4.0, speed=1.0)
        return self._first(found, since_ns)

    def _first(self, found: Callable[[Any], object], since_ns: int) -> Any:
        states = [one for step in self.states for one in step.states]
        new = (one for one in states if ros.to_ns(one.header.stamp) > since_ns)
        return next((one for one in new if found(one)), None)

    def leave(self) -> None:
        """Nobody is there for longer than a face id lasts."""
        self.graph.spin_for(2.0)

    def call(self, kind: str, name: str, **request: str) -> Any:
        service = getattr(services, kind)
        return self.graph.call(service, name, service.Request(**request))


def is_known(state: Any) -> bool:
    return bool(state.person_id)


def test_who_comes_back_is_the_same_person_with_another_face_id(start_graph: Start) -> None:
    visits = Visits(start_graph)
    first = visits.come(is_known)
    visits.leave()
    again = visits.come(is_known)
    assert again.person_id == first.person_id
    assert again.face_id != first.face_id
    # What is remembered hangs on the person: both visits.
    history = visits.call("GetEmotionHistory", "emotion_history", person=first.person_id)
    assert history.success
    assert history.latest.face_id == again.face_id
    assert history.observed > 0.5


def test_who_is_enrolled_has_the_given_id_and_who_is_forgotten_has_none(
    start_graph: Start,
) -> None:
    visits = Visits(start_graph)
    first = visits.come(is_known)
    wrong = visits.call("EnrolPerson", "enrol_person", person_id="f0001")
    assert not wrong.success
    assert "given by the robot" in wrong.message
    done = visits.call("EnrolPerson", "enrol_person", person_id="eileen")
    assert (done.success, done.person_id) == (True, "eileen")
    visits.leave()
    again = visits.come(is_known)
    assert again.person_id == "eileen"
    assert again.face_id != first.face_id

    forgotten = visits.graph.collect(String, "forgotten_person")
    answer = visits.call("ForgetPerson", "forget_person", person="eileen")
    assert answer.success
    assert visits.graph.spin(lambda: [one.data for one in forgotten] == ["eileen"])
    history = visits.call("GetEmotionHistory", "emotion_history", person="eileen")
    assert not history.success
    # She is still in view: a face that nobody looks at.
    visits.states.clear()
    visits.feed.play(3.0, speed=1.0)
    names = {one.person_id for step in visits.states for one in step.states}
    assert names == {""}
    refused = visits.call("EnrolPerson", "enrol_person")
    assert not refused.success


def test_people_are_wiped_with_all_else(start_graph: Start) -> None:
    visits = Visits(start_graph)

    def known() -> str:
        values = {one.key: one.value for entry in visits.node.report() for one in entry.values}
        return values["people_recognised"]

    first = visits.come(is_known)
    assert known() == "1"
    assert visits.node.trigger_deactivate() == ros.SUCCESS
    assert known() == "0"
    assert visits.node.trigger_activate() == ros.SUCCESS
    visits.feed.wait_for_images_to_be_heard()
    # A stranger, with an id that nobody had.
    assert visits.come(is_known).person_id not in ("", first.person_id)


def test_a_file_without_a_key_is_refused(start_graph: Start) -> None:
    graph = start_graph("identity.mode:=file", "identity.file:=people", "autostart:=false")
    node = graph.add(ros.EmotionStack, start=False)
    assert not node.start()
    assert "identity.key_variable" in node.last_error


def test_people_are_known_in_the_stack_only(start_graph: Start) -> None:
    graph = start_graph("identity.mode:=visit")
    node = graph.add(ros.FaceTracker, start=False)
    assert not node.start()
    assert "identity.mode" in node.last_error


def test_without_the_parameter_nobody_has_a_person_id(start_graph: Start) -> None:
    visits = Visits(start_graph, "identity.mode:=none")
    visits.come(lambda state: state.probabilities)
    assert not any(one.person_id for step in visits.states for one in step.states)
    refused = visits.call("EnrolPerson", "enrol_person")
    assert not refused.success
    assert "identity.mode" in refused.message
