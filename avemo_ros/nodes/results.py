"""Recorded results of nodes that publish the same topics live."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rclpy.node import Node

_OURS: Final = "avemo_ros/msg/"
_NAMELESS: Final = "_NODE_NAME_UNKNOWN_"
"""A topic is known of a little before the node that publishes it."""
_OVERLAY: Final = ("sensor_msgs/msg/Image", "emotion_overlay")


def is_result(topic: str, kind: str) -> bool:
    """Whether this is what nodes of this package make of pictures and sound."""
    return kind.startswith(_OURS) or (kind, topic.rsplit("/", 1)[-1]) == _OVERLAY


class LiveResults:
    """Finds the recorded results that would mix with those of a node that runs."""

    def __init__(self, node: Node, topics: Collection[str]) -> None:
        """Set up.

        Args:
            node: that would play them; what it publishes itself does not count.
            topics: of results, after remapping.
        """
        self._node = node
        self._left = set(topics)
        self._unsaid: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Some of the topics are played still."""
        return bool(self._left)

    def found(self) -> set[str]:
        """Topics that somebody else has come to publish since the last call."""
        live = {topic: self._publisher(topic) for topic in self._left}
        new = {topic: name for topic, name in live.items() if name}
        self._left -= set(new)
        self._unsaid.update(new)
        return set(new)

    def take_words(self) -> str:
        """What is to be said of all that was found since the last call; mostly nothing."""
        if not self._unsaid:
            return ""
        topics = ", ".join(sorted(self._unsaid))
        names = ", ".join(sorted(set(self._unsaid.values())))
        self._unsaid = {}
        return (
            f"recorded results are left out, as they are published live by {names}: {topics} "
            "(to have them all the same, name all topics to play: --topics, or play_topics:=)"
        )

    def _publisher(self, topic: str) -> str:
        """Another node that publishes it; empty if there is none."""
        ours = (self._node.get_name(), self._node.get_namespace())
        for info in self._node.get_publishers_info_by_topic(topic):
            if info.node_name == _NAMELESS:
                return "a running node"
            if (info.node_name, info.node_namespace) != ours:
                return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        return ""
