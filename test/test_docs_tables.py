"""The tables of docs/nodes.md are held against the code: launch arguments, profiles, topics."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

arguments = pytest.importorskip("avemo_ros.nodes.launch_arguments")
ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph

NOT_IN_THE_TABLE = ("/rosout", "/parameter_events", "/emotion_stack/transition_event")
OF_ROS = re.compile(r"/(get|set|list|describe)_parameter|/(get|change)_|type_description")


def rows(page: Path, head: str) -> list[list[str]]:
    """The cells of a table that begins with these words."""
    text = page.read_text().split(f"\n| {head}", 1)[1].split("\n\n", 1)[0]
    return [line.strip("|").split(" | ") for line in text.splitlines()[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def page(repository: Path) -> Path:
    return repository / "docs" / "nodes.md"


def test_launch_arguments_are_those_of_the_launch_file(page: Path) -> None:
    table = rows(page, "launch argument |")
    found = [name for cells in table for name in quoted(cells[0])]
    assert sorted(found) == sorted(name for name, _, _ in arguments.EMOTION)
    defaults = {name: value for name, value, _ in arguments.EMOTION}
    for cells in table:
        for name in quoted(cells[0]):
            value = defaults[name]
            if value == name or "same names" in cells[1]:
                assert value == name
            elif value:
                assert value in cells[1], (name, cells[1])
            elif value == "":
                assert re.search("none|^ ?as ", cells[1]), (name, cells[1])


def test_profiles_are_those_that_there_are(page: Path) -> None:
    found = [name for cells in rows(page, "profile |") for name in quoted(cells[0])]
    there = [
        f"{argument}:={name}"
        for argument in arguments.PROFILES
        for name in arguments.profiles(argument)
    ]
    assert sorted(found) == sorted(there)


@pytest.mark.ros
def test_topics_and_services_are_those_of_the_node(
    page: Path, start_graph: Callable[..., Any]
) -> None:
    node = start_graph().add(ros.EmotionStack)
    space, name = node.get_namespace(), node.get_name()
    ends = {
        "in": node.get_subscriber_names_and_types_by_node(name, space),
        "out": node.get_publisher_names_and_types_by_node(name, space),
        "service": node.get_service_names_and_types_by_node(name, space),
    }
    there = {
        (way, topic): kinds[0].rpartition("/")[2]
        for way, found in ends.items()
        for topic, kinds in found
        if topic not in NOT_IN_THE_TABLE and not OF_ROS.search(topic)
    }
    said: dict[tuple[str, str], str] = {}
    for cells in rows(page, "topic (relative) |"):
        way = cells[0].split()[0]
        kinds = [kind.rpartition("/")[2] for kind in quoted(cells[1])]
        names = quoted(cells[0])
        for topic, kind in zip(names, kinds * len(names), strict=False):
            if topic != "image_raw/compressed":
                said[way, f"/{topic.strip('/')}"] = kind
    assert said == there
