"""What latched publishers said before the node was there is heard, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def offers(*, latched: bool, reliable: bool = True, depth: int = 10) -> Any:
    reliability, durability = ros.ReliabilityPolicy, ros.DurabilityPolicy
    return ros.QoSProfile(
        depth=depth,
        reliability=reliability.RELIABLE if reliable else reliability.BEST_EFFORT,
        durability=durability.TRANSIENT_LOCAL if latched else durability.VOLATILE,
    )


def inlet(graph: Any, node: Any, heard: list[int], reliability: str = "auto") -> Any:
    qos = pytest.importorskip("avemo_ros.nodes.qos")
    return qos.AdaptiveSubscription(
        node,
        ros.AudioInfo,
        "audio_info",
        lambda message: heard.append(int(message.sample_rate)),
        depth=10,
        reliability=reliability,
        latched=True,
    )


def node_of(graph: Any) -> Any:
    shell = pytest.importorskip("avemo_ros.nodes.base_node")
    return graph.add(lambda: shell.ManagedNode("listener"), start=False)


def say(out: Any, *rates: int) -> None:
    for rate in rates:
        out.publish(ros.AudioInfo(sample_rate=rate))


@pytest.mark.parametrize("reliability", ["auto", "best_effort", "reliable"])
@pytest.mark.parametrize("known", [False, True], ids=["source unknown", "source known"])
def test_what_was_said_before_is_heard_and_what_follows_is_heard_once(
    start_graph: Start, reliability: str, known: bool
) -> None:
    graph = start_graph("autostart:=false")
    offered = offers(latched=True, depth=2)
    out = graph.probe.create_publisher(ros.AudioInfo, "audio_info", offered)
    node = node_of(graph)
    if known:
        assert graph.spin(lambda: node.count_publishers("audio_info"))
    for _ in range(2):  # a node that is activated again has a new inlet
        say(out, 0, 1, 2)
        heard: list[int] = []
        listens = inlet(graph, node, heard, reliability)
        assert graph.spin(lambda heard=heard: heard == [1, 2])
        assert graph.spin(lambda: out.get_subscription_count() == 2)
        graph.spin_for(0.3)
        for rate in range(10, 30):
            say(out, rate)
            graph.spin_for(0.02)
        assert graph.spin(lambda heard=heard: 29 in heard)
        graph.spin_for(0.3)
        assert heard == [1, 2, *range(10, 30)]
        listens.close()
        assert graph.spin(lambda: out.get_subscription_count() == 0)


@pytest.mark.parametrize("other", [True, False], ids=["reliable", "best effort"])
def test_beside_a_publisher_that_is_not_latched_both_are_heard(
    start_graph: Start, other: bool
) -> None:
    graph = start_graph("autostart:=false")
    latched = graph.probe.create_publisher(ros.AudioInfo, "audio_info", offers(latched=True))
    plain = graph.probe.create_publisher(
        ros.AudioInfo, "audio_info", offers(latched=False, reliable=other)
    )
    say(latched, 1)
    heard: list[int] = []
    inlet(graph, node_of(graph), heard)
    assert graph.spin(lambda: heard == [1])
    assert graph.spin(plain.get_subscription_count)
    graph.spin_for(0.5)
    say(plain, 5)
    assert graph.spin(lambda: 5 in heard)
    say(latched, 6)
    assert graph.spin(lambda: 6 in heard)
    graph.spin_for(0.3)
    assert heard == [1, 5, 6]


def test_without_latched_publishers_nobody_is_asked_for_what_he_does_not_offer(
    start_graph: Start,
) -> None:
    graph = start_graph("autostart:=false")
    node = node_of(graph)
    plain = graph.probe.create_publisher(ros.AudioInfo, "audio_info", offers(latched=False))
    heard: list[int] = []
    listens = inlet(graph, node, heard)
    assert graph.spin(plain.get_subscription_count)
    graph.spin_for(0.3)
    assert plain.get_subscription_count() == 1
    assert not graph.said("incompatible QoS")
    latched = graph.probe.create_publisher(ros.AudioInfo, "audio_info", offers(latched=True))
    say(latched, 7)
    assert graph.spin(lambda: heard == [7])
    # Who was latched has gone: so has what was asked of him.
    graph.probe.destroy_publisher(latched)
    assert graph.spin(lambda: node.count_publishers("audio_info") == 1)
    listens.adapt()
    assert graph.spin(lambda: node.count_subscribers("audio_info") == 1)
    say(plain, 8)
    assert graph.spin(lambda: heard[-1] == 8)
