"""The MCP server, by the official client over standard input and output, and over real DDS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_steps import estimate, step_of

from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.state.memory import EmotionMemory

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
mcp = pytest.importorskip("mcp", reason="no mcp: the extra of that name")
anyio_threads = pytest.importorskip("anyio.from_thread")
messages = pytest.importorskip("avemo_ros.msg")
std = pytest.importorskip("std_msgs.msg")
History = pytest.importorskip("avemo_ros.nodes.emotion_history").EmotionHistoryStage
ManagedNode = pytest.importorskip("avemo_ros.nodes.base_node").ManagedNode
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
LONG_S = 60.0
LATCHED = ros.QoSProfile(
    depth=1,
    reliability=ros.ReliabilityPolicy.RELIABLE,
    durability=ros.DurabilityPolicy.TRANSIENT_LOCAL,
)
TOOLS = {"is_sensing_on", "who_is_there", "how_do_they_feel", "wait_until_upset"}


class MadeUp(ManagedNode):
    """Publishes made-up states as the emotion node does, at five times the pace."""

    def __init__(self) -> None:
        super().__init__("made_up", groups=["steady"])

    def prepare(self) -> None:
        self.memory = EmotionMemory(self.config().steady)
        self.stage = History(self, lambda: self.memory)
        self.labels: dict[str, str] | None = None
        self.t = 0.0

    def open(self) -> None:
        self.stage.open()
        self.switch = self.create_publisher(std.Bool, "sensing", LATCHED)
        self.forgotten = self.create_publisher(std.String, "forgotten_person", 10)
        self.timer = self.create_timer(0.02, self._tick)

    def close(self) -> None:
        self.stage.close()
        self.destroy_publisher(self.switch)
        self.destroy_publisher(self.forgotten)
        self.destroy_timer(self.timer)

    def feel(self, **labels: str) -> None:
        """From now on, by face id; nothing: nobody is there."""
        self.labels = labels

    def since_s(self, face: str) -> float:
        """How long the label has been steady [s]."""
        steady, now_ns = self.memory.steady.of(face), self.memory.now_ns
        assert steady is not None
        assert now_ns is not None
        return (now_ns - steady.since_ns) / 1e9

    def _tick(self) -> None:
        """The next tenth of a second."""
        if self.labels is None:
            return
        self.t += 0.1
        people = [
            replace(
                estimate(label, t=self.t, face=face, confidence=0.9),
                distance=1.234,
                engagement=EngagementLevel.ENGAGED,
            )
            for face, label in self.labels.items()
        ]
        said = step_of(*people, t=self.t)
        self.stage.push(replace(said, changes=self.memory.push(said)), "camera", 0.05)


class Agent:
    """The official client, in a thread of its own."""

    def __init__(self, graph: Any, portal: Any, client: Any) -> None:
        self.graph, self.portal, self.client = graph, portal, client

    def begin(self, tool: str, **arguments: Any) -> Future[Any]:
        begun: Future[Any] = self.portal.start_task_soon(self.client.call_tool, tool, arguments)
        return begun

    def end(self, begun: Future[Any]) -> dict[str, Any]:
        assert self.graph.spin(begun.done, LONG_S)
        result = begun.result()
        assert not result.is_error, result
        told: dict[str, Any] = result.structured_content
        # What agents without structured output read is the same.
        assert json.loads(result.content[0].text) == told
        return told

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.end(self.begin(tool, **arguments))

    def until(self, is_so: Callable[[dict[str, Any]], object], tool: str) -> dict[str, Any]:
        """Its answer once that is so: topics take their time."""
        for _ in range(200):
            told = self.call(tool)
            if is_so(told):
                return told
            self.graph.spin_for(0.05)
        raise AssertionError(told)


@pytest.fixture
def started(start_graph: Start, tmp_path: Path) -> Iterator[tuple[MadeUp, Agent]]:
    graph = start_graph()
    node = graph.add(MadeUp)
    parameters = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "avemo_ros.cli.main", "mcp"],
        env=dict(os.environ),
        cwd=tmp_path,
    )
    with anyio_threads.start_blocking_portal() as portal:
        client = mcp.Client(mcp.stdio_client(parameters))
        with portal.wrap_async_context_manager(client):
            agent = Agent(graph, portal, client)
            assert graph.spin(lambda: ros.listeners(node, "steady_states"), LONG_S)
            assert graph.spin(lambda: ros.listeners(node, "emotion_events"), LONG_S)
            assert graph.spin(lambda: ros.listeners(node, "sensing"), LONG_S)
            yield node, agent


def test_its_tools_only_read(started: tuple[MadeUp, Agent]) -> None:
    _, agent = started
    tools = agent.portal.call(agent.client.list_tools).tools
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.annotations.read_only_hint, tool.name
        assert tool.description
        assert tool.output_schema


def test_before_anything_is_heard_it_knows_nothing(started: tuple[MadeUp, Agent]) -> None:
    _, agent = started
    assert agent.call("is_sensing_on")["sensing"] == "no data"
    assert agent.call("who_is_there")["people"] == []
    told = agent.call("wait_until_upset", timeout_s=0.1)
    assert (told["upset"], told["sensing"]) == (False, "no data")


def test_it_tells_who_is_there_and_how_they_feel_since_when(
    started: tuple[MadeUp, Agent],
) -> None:
    node, agent = started

    def feels(label: str) -> Callable[[dict[str, Any]], bool]:
        return lambda told: [one["emotion"] for one in told["people"]] == [label, "neutral"]

    node.feel(f1="happy", f2="neutral")
    agent.until(feels("happy"), "how_do_they_feel")
    assert agent.call("who_is_there") == {
        "sensing": "on",
        "note": "",
        "people": [
            {"person": person, "distance_m": 1.23, "engagement": "engaged", "speaking": False}
            for person in ("p1", "p2")
        ],
    }
    node.feel(f1="sad", f2="neutral")
    agent.until(feels("sad"), "how_do_they_feel")
    before_s = node.since_s("f1")
    first, second = agent.call("how_do_they_feel")["people"]
    steady = node.memory.steady.of("f1")
    assert steady is not None
    assert 0.5 < first["confidence"] <= steady.confidence + 0.001
    # The node itself knows since when; states come every half second.
    assert before_s - 0.7 <= first["since_s"] <= node.since_s("f1")
    assert not first["since_at_least"]
    assert (first["trend"], second["trend"]) == ("worsening", "steady")
    assert first["mood_per_s"] < 0.0
    for whose in ("p2", "f2"):
        one = agent.call("how_do_they_feel", person=whose)
        assert [who["person"] for who in one["people"]] == ["p2"]
    nobody = agent.call("how_do_they_feel", person="f9")
    assert nobody["people"] == []
    assert "f9" in nobody["note"]
    node.feel()
    agent.until(lambda told: not told["people"], "who_is_there")


def test_it_waits_until_somebody_becomes_upset(started: tuple[MadeUp, Agent]) -> None:
    node, agent = started
    node.feel(f1="happy", f2="neutral")
    agent.until(lambda told: len(told["people"]) == 2, "who_is_there")
    assert not agent.call("wait_until_upset", timeout_s=0.2)["upset"]
    waiting = agent.begin("wait_until_upset", timeout_s=LONG_S)
    happy = agent.begin("wait_until_upset", timeout_s=LONG_S, person="f1", emotions=["happy"])
    assert agent.end(happy)["who"]["person"] == "p1"
    # Others are served meanwhile.
    assert agent.call("is_sensing_on")["sensing"] == "on"
    assert not waiting.done()
    node.feel(f1="happy", f2="angry")
    told = agent.end(waiting)
    assert told["upset"]
    assert (told["who"]["person"], told["who"]["emotion"]) == ("p2", "angry")
    # Who is upset already counts at once.
    assert agent.call("wait_until_upset", timeout_s=LONG_S)["who"]["person"] == "p2"


def test_switched_off_it_says_so_and_gives_nothing(started: tuple[MadeUp, Agent]) -> None:
    node, agent = started
    node.feel(f1="happy")
    agent.until(lambda told: told["people"], "how_do_they_feel")
    waiting = agent.begin("wait_until_upset", timeout_s=LONG_S)
    node.switch.publish(std.Bool(data=False))
    told = agent.end(waiting)
    assert (told["sensing"], told["upset"], told["who"]) == ("off", False, None)
    # Not even what still arrives.
    node.feel(f1="sad")
    agent.graph.spin_for(0.5)
    for tool in TOOLS - {"wait_until_upset"}:
        answer = agent.call(tool)
        assert answer["sensing"] == "off"
        assert "off" in answer["note"]
        assert answer.get("people", []) == []
    node.switch.publish(std.Bool(data=True))
    felt = agent.until(lambda told: told["people"], "how_do_they_feel")["people"][0]
    # What was before is forgotten: nobody told it since when.
    assert felt["since_at_least"]


def test_who_is_forgotten_is_forgotten_here_too(started: tuple[MadeUp, Agent]) -> None:
    node, agent = started
    node.feel(f1="sad", f2="happy")

    def told_since(told: dict[str, Any]) -> bool:
        return len(told["people"]) == 2 and not any(
            one["since_at_least"] or one["emotion"] == "unknown" for one in told["people"]
        )

    agent.until(told_since, "how_do_they_feel")
    node.forgotten.publish(std.String(data="p1"))

    def f1_is_new(told: dict[str, Any]) -> bool:
        return [one["since_at_least"] for one in told["people"]] == [True, False]

    agent.until(f1_is_new, "how_do_they_feel")


def test_it_ends_when_the_client_closes_its_input(
    ros_domain: int,
) -> None:
    """And writes nothing but the protocol on standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "avemo_ros.cli.main", "mcp", "--namespace", "robot"],
        input="",
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "/robot" in done.stderr
