"""The bond with nav2_lifecycle_manager, from the manager's side (bond_core's BondSM.sm)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
Status = pytest.importorskip("bond.msg", reason="no bond").Status
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
SECONDS = 30.0


class Manager:
    """The manager's side of one bond."""

    def __init__(self, graph: Any, node: Any) -> None:
        self.graph, self.name = graph, node.get_name()
        self.heard: list[Any] = graph.collect(Status, "bond", 100)
        self.publisher = graph.probe.create_publisher(Status, "bond", 5)

    def of_node(self) -> list[Any]:
        ours = [one for one in self.heard if one.id == self.name]
        return [one for one in ours if one.instance_id != "manager"]

    def say(self, *, lives: bool, name: str = "") -> None:
        self.publisher.publish(
            Status(id=name or self.name, instance_id="manager", active=lives)
        )

    def wait(self, done: Callable[[], bool]) -> bool:
        return bool(self.graph.spin(done, SECONDS))


def test_an_active_node_says_that_it_lives_and_at_the_end_that_it_ends(
    start_graph: Start,
) -> None:
    graph = start_graph("autostart:=false", "bond_heartbeat_period:=0.1")
    node = graph.add(ros.SpeechBufferNode, start=False)
    manager = Manager(graph, node)
    node.trigger_configure()
    graph.spin_for(0.3)
    assert not manager.of_node()  # only active nodes are bonded
    node.trigger_activate()
    assert manager.wait(lambda: len(manager.of_node()) >= 3)
    beats = manager.of_node()
    assert all(one.active for one in beats)
    assert len({one.instance_id for one in beats}) == 1
    assert beats[0].heartbeat_period == pytest.approx(0.1)
    assert beats[0].heartbeat_timeout == 4.0
    node.trigger_deactivate()
    assert manager.wait(lambda: not manager.of_node()[-1].active)


def test_when_the_manager_ends_its_side_the_node_agrees_and_is_ready_for_the_next(
    start_graph: Start,
) -> None:
    graph = start_graph("autostart:=false", "bond_heartbeat_period:=0.1")
    node = graph.add(ros.SpeechBufferNode, start=False)
    node.start()
    manager = Manager(graph, node)
    assert manager.wait(lambda: bool(manager.of_node()))
    first = manager.of_node()[0].instance_id
    manager.say(lives=True)
    manager.say(lives=False, name="another_node")
    graph.spin_for(0.3)
    assert all(one.active for one in manager.of_node())
    manager.say(lives=False)
    assert manager.wait(lambda: not all(one.active for one in manager.of_node()))
    (farewell,) = [one for one in manager.of_node() if not one.active]
    assert farewell.instance_id == first
    assert manager.wait(lambda: manager.of_node()[-1].active)
    assert manager.of_node()[-1].instance_id != first
    assert node.active


def test_a_node_goes_on_without_its_manager(start_graph: Start) -> None:
    graph = start_graph("autostart:=false", "bond_heartbeat_period:=0.1")
    node = graph.add(ros.SpeechBufferNode, start=False)
    manager = Manager(graph, node)
    node.start()
    manager.say(lives=True)  # once, and never again
    until = time.monotonic() + 0.5
    assert manager.wait(lambda: time.monotonic() > until)
    assert node.active
    assert manager.of_node()[-1].active


@pytest.mark.parametrize("parameters", [(), ("autostart:=false", "bond_heartbeat_period:=0.0")])
def test_no_bond_without_a_manager_or_with_a_period_of_0(
    start_graph: Start, parameters: tuple[str, ...]
) -> None:
    graph = start_graph(*parameters)
    node = graph.add(ros.SpeechBufferNode, start=False)
    manager = Manager(graph, node)
    node.start()
    graph.spin_for(0.5)
    assert not manager.heard
