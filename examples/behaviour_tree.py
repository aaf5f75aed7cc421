"""Chooses gestures with a behaviour tree; other trees can use its py_trees condition too.

pip install py_trees; python examples/behaviour_tree.py
Ticks ten times a second, and publishes the tree's decision on `gesture` whenever it changes.
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String

from avemo_ros.msg import EmotionEvent

try:
    import py_trees
    from py_trees.common import Access, Status
except ImportError:
    sys.exit("behaviour_tree: py_trees is not installed; run 'pip install py_trees'")


class Feels(py_trees.behaviour.Behaviour):
    """Succeeds while the steady emotion is one of `labels` with enough confidence."""

    def __init__(self, labels: set[str], confidence: float = 0.5) -> None:
        super().__init__(f"feels {' or '.join(sorted(labels))}")
        self.labels, self.confidence = labels, confidence
        self.person = self.attach_blackboard_client()
        for key in ("label", "confidence"):
            self.person.register_key(key, access=Access.READ)

    def update(self) -> Status:
        """Called with every tick."""
        feels = self.person.label in self.labels
        return (
            Status.SUCCESS
            if feels and self.person.confidence >= self.confidence
            else Status.FAILURE
        )


class Gesture(py_trees.behaviour.Behaviour):
    """Makes a gesture once, until another one is chosen."""

    def __init__(self, name: str, node: TreeNode) -> None:
        super().__init__(name)
        self.node = node

    def update(self) -> Status:
        """Called with every tick."""
        self.node.do(self.name)
        return Status.RUNNING


class TreeNode(Node):
    """Puts events on the blackboard and ticks the tree."""

    def __init__(self) -> None:
        super().__init__("behaviour_tree")
        self.out = self.create_publisher(String, "gesture", 10)
        self.done = ""
        self.person = py_trees.blackboard.Client(name="events")
        for key in ("label", "confidence"):
            self.person.register_key(key, access=Access.WRITE)
        self.person.label, self.person.confidence = "unknown", 0.0
        self.create_subscription(EmotionEvent, "emotion_events", self.on_change, 20)
        self.tree = py_trees.composites.Selector("what to do", memory=False)
        for labels, gesture in (
            ({"sad", "fear"}, "lean_in"),
            ({"angry", "disgust"}, "open_palms"),
            ({"happy", "surprise"}, "smile_wide"),
        ):
            branch = py_trees.composites.Sequence(gesture, memory=False)
            branch.add_children([Feels(labels), Gesture(gesture, self)])
            self.tree.add_child(branch)
        self.tree.add_child(Gesture("rest", self))
        self.create_timer(0.1, self.tree.tick_once)

    def on_change(self, event: EmotionEvent) -> None:
        """A steady emotion has changed."""
        self.person.label, self.person.confidence = event.label, event.confidence

    def do(self, gesture: str) -> None:
        """Publish the gesture, unless it was the last one."""
        if gesture != self.done:
            self.done = gesture
            self.out.publish(String(data=gesture))


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(TreeNode())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # Ctrl-C just before rclpy waits raises this error; ignore it then.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
