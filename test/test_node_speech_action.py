"""An action says the answers: robot_speaking follows its goals, and who interrupts cancels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from bad_endpoint import Server, chunked, events

from avemo_ros.dialog.agent import SpokenSentence

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
std = pytest.importorskip("std_msgs.msg")
rclpy_action = pytest.importorskip("rclpy.action")
Future = pytest.importorskip("rclpy.task").Future
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
LONG_S = 60.0
LATCHED = ros.QoSProfile(depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL)
SERVER = "/skill/say"


def say_type() -> tuple[str, Any]:
    """The name and type of an action that speaks."""
    for package in ("communication_skills", "speech_test_actions"):
        try:
            return f"{package}/action/Say", importlib.import_module(f"{package}.action").Say
        except ImportError:
            continue
    pytest.skip("no action that speaks is installed: run `make setup`")


class Speaker:
    """A server of the action: each goal goes on until the test ends it."""

    def __init__(self, graph: Any, *, accepts: bool = True) -> None:
        _, self.kind = say_type()
        self.said: list[str] = []
        self.cancelled: list[str] = []
        self._accepts = accepts
        self._ends: list[Any] = []
        self.server = rclpy_action.ActionServer(
            graph.probe,
            self.kind,
            SERVER,
            self._speak,
            goal_callback=self._asked,
            cancel_callback=self._stopped,
        )

    def _asked(self, _: Any) -> Any:
        answers = rclpy_action.GoalResponse
        return answers.ACCEPT if self._accepts else answers.REJECT

    def _stopped(self, handle: Any) -> Any:
        self.cancelled.append(handle.request.input)
        self.end()
        return rclpy_action.CancelResponse.ACCEPT

    async def _speak(self, handle: Any) -> Any:
        self.said.append(handle.request.input)
        end = Future()
        self._ends.append(end)
        done = await end
        if handle.is_cancel_requested:
            handle.canceled()
        elif done:
            handle.succeed()
        else:
            handle.abort()
        return self.kind.Result()

    def end(self, *, well: bool = True) -> None:
        self._ends.pop().set_result(well)


class Talk:
    """A dialog node that speaks by the action, and who listens."""

    def __init__(self, start_graph: Start, *parameters: str, accepts: bool = True) -> None:
        self.graph = start_graph(
            "speak:=true",
            f"speak_action:={SERVER}",
            f"speak_action_type:={say_type()[0]}",
            "dialog.notice:=''",
            *parameters,
        )
        self.speaker = Speaker(self.graph, accepts=accepts)
        self.node = self.graph.add(ros.Dialog)
        self.heard = self.graph.collect(std.Bool, "robot_speaking", LATCHED)
        self.words = self.graph.probe.create_publisher(std.String, "speech_text", 10)
        assert self.graph.spin(lambda: self.heard, LONG_S)
        assert self.graph.spin(self.words.get_subscription_count, LONG_S)

    def say(self, text: str) -> None:
        self.words.publish(std.String(data=text))

    def told(self) -> list[bool]:
        """What robot_speaking told, repetitions left out."""
        said = [message.data for message in self.heard]
        return [said[0], *(b for a, b in pairwise(said) if a != b)]

    def until(self, condition: Callable[[], object]) -> None:
        assert self.graph.spin(condition, LONG_S), (self.told(), self.graph.lines)

    def close(self) -> None:
        self.speaker.server.destroy()


@pytest.fixture
def talk_with(start_graph: Start) -> Any:
    made: list[Talk] = []

    def make(*parameters: str, **given: Any) -> Talk:
        made.append(Talk(start_graph, *parameters, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_robot_speaks_as_long_as_the_action_goes_on(talk_with: Any) -> None:
    talk = talk_with()
    texts = talk.graph.collect(std.String, "dialog_text")
    talk.until(lambda: ros.listeners(talk.node, "dialog_text"))
    talk.say("I had a long day at work.")
    talk.until(lambda: talk.speaker.said and texts and talk.told() == [False, True])
    assert talk.speaker.said == [texts[0].data]
    # However long that is: it is told again and again.
    talk.until(lambda: [one.data for one in talk.heard].count(True) > 2)
    talk.speaker.end()
    talk.until(lambda: talk.told() == [False, True, False])


def test_ssml_is_given_where_it_is_asked_for(talk_with: Any) -> None:
    talk = talk_with("speak_action_ssml:=true")
    talk.say("I had a long day at work.")
    talk.until(lambda: talk.speaker.said)
    assert talk.speaker.said[0].startswith("<speak")


@pytest.mark.parametrize(("accepts", "word"), [(False, "refused"), (True, "aborted")])
def test_a_server_that_does_not_speak_is_told_of(
    talk_with: Any, accepts: bool, word: str
) -> None:
    talk = talk_with(accepts=accepts)
    talk.say("I had a long day at work.")
    if accepts:
        talk.until(lambda: talk.speaker.said)
        talk.speaker.end(well=False)
    talk.until(lambda: talk.graph.said("voice: ", SERVER, word))
    assert not talk.heard[-1].data


def test_a_server_that_is_not_there_is_told_of(talk_with: Any) -> None:
    talk = talk_with("speak_action:=/nobody")
    talk.say("I had a long day at work.")
    talk.until(lambda: talk.graph.said("voice: ", "/nobody"))
    assert talk.told() == [False]


def test_the_node_ends_in_the_middle_of_a_sentence(talk_with: Any) -> None:
    talk = talk_with()
    talk.say("I had a long day at work.")
    talk.until(lambda: talk.speaker.said)
    talk.node.trigger_deactivate()
    talk.until(lambda: talk.speaker.cancelled == talk.speaker.said)


def test_who_begins_to_speak_silences_the_robot(talk_with: Any) -> None:
    """Of a streamed answer the first sentence is being said; the words after it are not."""
    whole = chunked([events("I am ", "here. ", "Tell me more. ", "And then?")])
    with Server(whole) as server:
        talk = talk_with(
            "by_sentence:=true",
            "barge_in:=true",
            f"endpoint.base_url:={server.url}",
            "endpoint.model:=tiny",
            "endpoint.load_timeout_s:=0.0",
        )
        stops = talk.graph.collect(std.Empty, "stop_speaking")
        talk.until(lambda: ros.listeners(talk.node, "stop_speaking"))
        talk.say("It went on like that")
        talk.until(lambda: len(talk.speaker.said) == 1)
        talk.speaker.end()
        talk.until(lambda: len(talk.speaker.said) == 2)
        stops.clear()
        talk.say("Wait a moment")
        talk.until(lambda: talk.speaker.cancelled == ["Tell me more."])
        talk.until(lambda: stops)
        talk.until(lambda: len(server.requests) == 2)
        # What was not said to its end is forgotten.
        asked = [one["content"] for one in server.requests[-1].content["messages"][1:]]
        assert asked == ["It went on like that", "I am here.", "Wait a moment"]
        talk.until(lambda: talk.speaker.said == ["I am here.", "Tell me more.", "I am here."])


@pytest.mark.parametrize(
    ("parameter", "value", "word"),
    [
        ("speak_action_type", "no_such_package/action/Say", "is not"),
        ("speak_action_type", "Say", "package/action/Type"),
        ("speak_action_field", "inputt", "did you mean 'input'"),
    ],
)
def test_an_action_that_cannot_be_used_is_told_of_by_name(
    start_graph: Start, parameter: str, value: str, word: str
) -> None:
    given = {"speak_action_type": say_type()[0], parameter: value}
    graph = start_graph(
        "speak:=true",
        f"speak_action:={SERVER}",
        *(f"{name}:={text}" for name, text in given.items()),
    )
    node = graph.add(ros.Dialog, start=False)
    assert not node.start()
    assert parameter in node.last_error
    assert value in node.last_error
    assert word in node.last_error


def test_sentences_that_wait_are_said_one_after_the_other(talk_with: Any) -> None:
    talk = talk_with("by_sentence:=true")
    for number in range(3):
        talk.node.say(SpokenSentence(f"{number}.", f"<speak>{number}.</speak>"))
    for number in range(3):
        talk.until(lambda count=number: len(talk.speaker.said) == count + 1)
        talk.until(lambda: talk.told() == [False, True])
        talk.speaker.end()
    talk.until(lambda: talk.told() == [False, True, False])
    assert talk.speaker.said == ["0.", "1.", "2."]
