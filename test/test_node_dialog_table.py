"""The table of topics and services in docs/dialog.md, held against what the nodes offer."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
Row = tuple[str, str, str]
"""Kind, name, type."""
LONG_S = 60.0
HEAD = ["Node", "Kind", "Name", "Type"]
OF_EVERY_NODE = {"/diagnostics", "/parameter_events", "/rosout"}
TOLD_ELSEWHERE = {
    "emotion_overlay", "emotion_state", "emotion_states", "face_tracks", "spectrogram",
}  # fmt: skip
"""What the emotion nodes publish besides, told in README.md."""


def table(repository: Path, node: str) -> set[Row]:
    """The rows of a node."""
    rows: set[Row] = set()
    inside = False
    for line in (repository / "docs" / "dialog.md").read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if cells[:4] == HEAD:
            inside = True
        elif inside and not line.startswith("|"):
            inside = False
        elif inside and cells[0] == node:
            rows.add((cells[1], cells[2], cells[3]))
    assert rows, f"docs/dialog.md has no row of {node}"
    return rows


def offered(graph: Any, node: Any) -> set[Row]:
    """What a running node has, apart from what every node has."""
    name = node.get_name()
    probe = graph.probe
    found: set[Row] = set()
    for kind, ask in (
        ("publishes", probe.get_publisher_names_and_types_by_node),
        ("subscribes", probe.get_subscriber_names_and_types_by_node),
        ("serves", probe.get_service_names_and_types_by_node),
    ):
        for topic, types in ask(name, "/"):
            if topic not in OF_EVERY_NODE and not topic.startswith(f"/{name}/"):
                found |= {(kind, topic.removeprefix("/"), one) for one in types}
    return found


def test_the_dialog_node_has_what_the_table_says(start_graph: Start, repository: Path) -> None:
    graph = start_graph("speak:=true", "by_sentence:=true", "barge_in:=true")
    node = graph.add(ros.Dialog)
    wanted = table(repository, "dialog")
    if importlib.util.find_spec("hri_msgs") is None:
        wanted = {row for row in wanted if not row[2].startswith("hri_msgs/")}
    assert graph.spin(lambda: offered(graph, node) == wanted, LONG_S), (
        offered(graph, node) ^ wanted
    )


@pytest.mark.parametrize("make", [ros.Emotion, ros.EmotionStack], ids=["alone", "stack"])
def test_the_emotion_nodes_have_what_the_table_says(
    start_graph: Start, repository: Path, make: Any
) -> None:
    graph = start_graph()
    node = graph.add(make)
    wanted = table(repository, "emotion")

    def found() -> set[Row]:
        return {
            row
            for row in offered(graph, node)
            if row[0] != "subscribes" and row[1] not in TOLD_ELSEWHERE
        }

    assert graph.spin(lambda: found() == wanted, LONG_S), found() ^ wanted


def test_head_poses_are_subscribed_to_only_when_asked_for(start_graph: Start) -> None:
    graph = start_graph("use_head_pose:=true")
    node = graph.add(ros.Dialog)
    row = ("subscribes", "face_tracks", "avemo_ros/msg/FaceTrackArray")
    assert graph.spin(lambda: row in offered(graph, node), LONG_S)
