"""The example clients, run as they are against the real nodes."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_steps import BOX, estimate, step_of

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
history = pytest.importorskip("test_node_history")
std = pytest.importorskip("std_msgs.msg")
Point = pytest.importorskip("geometry_msgs.msg").Point
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
Run = Callable[..., "Client"]
LONG_S = 60.0


class Client:
    """A running example and what it printed."""

    def __init__(self, path: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(path), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)

    def end(self) -> None:
        # A signal that comes just as rclpy.spin begins to wait does not wake it: once more.
        for _ in range(6):
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
                break
        else:
            self.kill()
            pytest.fail("it does not end")
        self._reader.join(30)
        assert "Traceback" not in self.said, self.said


@pytest.fixture
def run(repository: Path, ros_domain: int) -> Iterator[Run]:
    """Starts an example; ends it with the test."""
    clients: list[Client] = []

    def start(name: str, *arguments: str) -> Client:
        clients.append(Client(repository / "examples" / name, *arguments))
        return clients[-1]

    yield start
    for client in clients:
        client.end()


def listened_to(graph: Any, *topics: str) -> None:
    """Wait until somebody subscribes to all of these."""
    probe = graph.probe
    assert graph.spin(
        lambda: all(probe.count_subscribers(topic) for topic in topics), LONG_S
    ), topics
    graph.spin_for(0.5)


def test_a_dialog_system_hears_of_changes_and_asks_for_the_past(
    start_graph: Start, run: Run
) -> None:
    graph = start_graph()
    node = graph.add(history.Remembering)
    client = run("dialog_client.py")
    listened_to(graph, "emotion_events")
    node.feel("happy", 0.0, 4.0)
    node.feel("sad", 4.0, 8.0)
    assert graph.spin(lambda: client.said.count("sad ") >= 2, LONG_S), client.said
    assert "f1: unknown -> happy (" in client.said
    assert "f1: happy -> sad (" in client.said
    assert client.said.count("/s\n") >= 7


def test_a_dialog_system_is_told_why_there_is_no_past(start_graph: Start, run: Run) -> None:
    graph = start_graph("steady.max_people:=1")
    node = graph.add(history.Remembering)
    client = run("dialog_client.py")
    listened_to(graph, "emotion_events")
    node.feel("happy", 0.0, 4.0)
    # Another one comes: there is room for one, so the first is forgotten.
    node.feel("sad", 4.0, 8.0, face="f2")
    assert graph.spin(lambda: "nobody with id f1" in client.said, LONG_S), client.said
    assert "f1: happy -> unknown (0%)" in client.said


def test_an_agents_tools_tell_who_is_there_and_how_they_feel(
    start_graph: Start, run: Run
) -> None:
    graph = start_graph()
    node = graph.add(history.Remembering)
    node.feel("sad", 0.0, 4.0)
    client = run("agent_tools.py")
    listened_to(graph, "steady_states")

    times = itertools.count(40)

    def told() -> bool:
        begin = next(times) / 10
        node.feel("sad", begin, begin + 0.1)
        return "wait_until_upset {'timeout_s': 5.0} -> " in client.said

    assert graph.spin(told, LONG_S), client.said
    given = dict(line.split(" -> ", 1) for line in client.said.splitlines() if " {" in line)
    people = json.loads(given["who_is_there {}"])["people"]
    assert [one["person"] for one in people] == ["p1"]
    feelings = json.loads(given["how_do_they_feel {}"])["people"]
    assert [one["emotion"] for one in feelings] == ["sad"]
    upset = json.loads(given["wait_until_upset {'timeout_s': 5.0}"])
    assert upset["upset"]
    assert upset["who"]["person"] == "p1"


def test_an_agents_tools_are_in_langchains_shape(
    start_graph: Start, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("langchain_core", reason="no langchain-core")
    monkeypatch.syspath_prepend(str(repository / "examples"))
    start_graph()
    tools = {one.name: one for one in importlib.import_module("agent_tools").emotion_tools()}
    assert set(tools) == {
        "is_sensing_on", "who_is_there", "how_do_they_feel", "wait_until_upset",
    }  # fmt: skip
    assert "empty: everybody" in str(tools["how_do_they_feel"].args)
    assert "estimates" in tools["how_do_they_feel"].description
    assert tools["is_sensing_on"].invoke({})["sensing"] == "no data"


def test_the_ten_lines_of_the_page_run_as_they_are(
    start_graph: Start, repository: Path, tmp_path: Path
) -> None:
    page = (repository / "docs" / "dialog.md").read_text()
    code = re.search(r"## Ten lines.*?```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    script = tmp_path / "ten_lines.py"
    script.write_text(code[1])
    graph = start_graph()
    node = graph.add(history.Remembering)
    client = Client(script)
    try:
        listened_to(graph, "emotion_events")
        node.feel("happy", 0.0, 4.0)
        assert graph.spin(lambda: "f1 unknown -> happy 0." in client.said, LONG_S), client.said
    finally:
        client.kill()


def states_of(graph: Any, out: Any, label: str, start: int, steps: int) -> None:
    for step in range(start, start + steps):
        moment = step_of(estimate(label, t=step / 10, confidence=0.9))
        out.publish(ros.convert.states_message(moment, "camera", 0.05))
        graph.spin_for(0.01)


@pytest.mark.parametrize("shape", ["rasa", "tool"])
def test_the_context_is_printed_as_json_at_every_change(
    start_graph: Start, run: Run, shape: str
) -> None:
    graph = start_graph()
    out = graph.probe.create_publisher(ros.EmotionStateArray, "emotion_states", 200)
    client = run("dialog_client.py", "--json", shape)
    listened_to(graph, "emotion_states")
    states_of(graph, out, "happy", 0, 40)
    states_of(graph, out, "sad", 40, 60)
    assert graph.spin(lambda: client.said.count('"sad') >= 1, LONG_S), client.said
    last = json.loads(client.said.strip().splitlines()[-1])
    if shape == "rasa":
        slots = {event["name"]: event["value"] for event in last["events"]}
        assert slots["emotional_emotion"] == "sad"
        assert last["metadata"]["emotional_context"]["last_change"]["from"] == "happy"
    else:
        call, result = last
        assert call["tool_calls"][0]["function"]["name"] == "get_emotional_context"
        assert json.loads(result["content"])["emotion"] == "sad"
        definition = client.said.split("\n[{", 1)[0]
        assert json.loads(definition)["function"]["name"] == "get_emotional_context"


def test_behaviour_turns_emotion_into_light_gaze_and_gesture(
    start_graph: Start, run: Run
) -> None:
    graph = start_graph()
    node = graph.add(history.Remembering)
    graph.add(ros.Dialog)
    lights = graph.collect(std.ColorRGBA, "led_colour")
    gazes = graph.collect(Point, "gaze")
    gestures = graph.collect(std.String, "gesture")
    probe = graph.probe
    one = probe.create_publisher(ros.EmotionState, "emotion_state", 10)
    everyone = probe.create_publisher(ros.EmotionStateArray, "emotion_states", 200)
    words = probe.create_publisher(std.String, "speech_text", 10)
    run("behaviour_client.py")
    topics = (
        "emotion_events",
        "emotion_state",
        "emotion_states",
        "dialog_reply",
        "speech_text",
    )
    listened_to(graph, *topics)
    assert graph.spin(
        lambda: all(probe.count_publishers(name) for name in ("led_colour", "gaze", "gesture")),
        LONG_S,
    )
    node.feel("happy", 0.0, 4.0)
    assert graph.spin(lambda: lights, LONG_S)
    assert lights[-1].r > lights[-1].b

    one.publish(ros.convert.state_message(estimate("happy"), "camera", 0.0))
    assert graph.spin(lambda: gazes, LONG_S)
    assert gazes[-1].x == pytest.approx(2.0 * (BOX.x + BOX.width / 2.0) - 1.0, abs=1e-6)
    assert gazes[-1].y == pytest.approx(2.0 * (BOX.y + BOX.height / 2.0) - 1.0, abs=1e-6)

    states_of(graph, everyone, "happy", 0, 30)
    words.publish(std.String(data="I passed my exam!"))
    assert graph.spin(lambda: gestures, LONG_S)
    assert gestures[-1].data


def test_a_behaviour_tree_decides_by_the_newest_emotion(start_graph: Start, run: Run) -> None:
    pytest.importorskip("py_trees", reason="py_trees is optional")
    graph = start_graph()
    node = graph.add(history.Remembering)
    gestures = graph.collect(std.String, "gesture")
    run("behaviour_tree.py")
    listened_to(graph, "emotion_events")
    node.feel("sad", 0.0, 4.0)
    assert graph.spin(lambda: "lean_in" in [item.data for item in gestures], LONG_S)
    node.feel("happy", 4.0, 8.0)
    assert graph.spin(lambda: gestures[-1].data == "smile_wide", LONG_S)
    # Out of sight for longer than a steady state is held.
    node.say(step_of(t=20.0))
    assert graph.spin(lambda: gestures[-1].data == "rest", LONG_S)
