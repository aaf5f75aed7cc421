"""Leaves of behaviour trees, in trees of py_trees that tick, with states over real DDS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
py_trees = pytest.importorskip("py_trees")
from made_steps import estimate, step_of  # noqa: E402

from avemo_ros.errors import ConfigError  # noqa: E402
from avemo_ros.nodes.behaviours import (  # noqa: E402
    IsEngaged,
    IsFeeling,
    IsUpset,
    WaitForEmotion,
)
from avemo_ros.state.engagement import EngagementLevel  # noqa: E402

start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
SUCCESS, FAILURE, RUNNING = (
    py_trees.common.Status.SUCCESS,
    py_trees.common.Status.FAILURE,
    py_trees.common.Status.RUNNING,
)


class Scene:
    """Somebody who says who feels what, and leaves that listen."""

    def __init__(self, start_graph: Start, *leaves: Any) -> None:
        self.graph = start_graph()
        probe = self.graph.probe
        self.out = probe.create_publisher(
            ros.EmotionStateArray, "steady_states", ros.QoSProfile(
                depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL
            )
        )  # fmt: skip
        for leaf in leaves:
            leaf.setup(node=probe)
        assert self.graph.spin(lambda: self.out.get_subscription_count() == len(leaves))

    def say(self, *estimates: Any) -> None:
        self.out.publish(ros.convert.states_message(step_of(*estimates), "camera", 0.0))
        self.graph.spin_for(0.3)


def ticked(leaf: Any) -> Any:
    leaf.tick_once()
    return leaf.status


def test_who_is_upset_is_found_by_any_of_the_ids(start_graph: Start) -> None:
    leaves = {person: IsUpset(person) for person in ("", "f1", "p2", "v3", "f9")}
    scene = Scene(start_graph, *leaves.values())
    assert {ticked(leaf) for leaf in leaves.values()} == {FAILURE}
    assert leaves[""].feedback_message == "nothing has come on steady_states"
    scene.say(
        estimate("happy", face="f1"),
        estimate("sad", face="f2"),
        estimate("angry", face="", voice="v3"),
    )
    found = {person: ticked(leaf) for person, leaf in leaves.items()}
    assert found == {"": SUCCESS, "f1": FAILURE, "p2": SUCCESS, "v3": SUCCESS, "f9": FAILURE}
    assert leaves["f1"].feedback_message == "p1 is happy (0.70)"
    assert leaves["f9"].feedback_message == "f9 is not there"


def test_a_feeling_needs_the_confidence_that_is_asked_for(start_graph: Start) -> None:
    sure, unsure = IsFeeling("sure", ("happy",), "f1", 0.8), IsFeeling("any", ("happy",), "f1")
    scene = Scene(start_graph, sure, unsure)
    scene.say(estimate("happy", face="f1", confidence=0.7))
    assert (ticked(sure), ticked(unsure)) == (FAILURE, SUCCESS)
    scene.say(estimate("happy", face="f1", confidence=0.9))
    assert (ticked(sure), ticked(unsure)) == (SUCCESS, SUCCESS)


def test_a_tree_waits_for_an_emotion_and_then_goes_on(start_graph: Start) -> None:
    wait, done = WaitForEmotion("happy", "f1"), py_trees.behaviours.Success("smile back")
    scene = Scene(start_graph, wait)
    root = py_trees.composites.Sequence("greet", memory=True, children=[wait, done])
    tree = py_trees.trees.BehaviourTree(root)
    for label, expected in (("neutral", RUNNING), ("unknown", RUNNING), ("happy", SUCCESS)):
        scene.say(estimate(label, face="f1"))
        tree.tick()
        assert root.status == expected, label


def test_old_states_say_nothing(start_graph: Start) -> None:
    leaf = IsFeeling("happy", ("happy",), max_age_s=0.5)
    scene = Scene(start_graph, leaf)
    scene.say(estimate("happy"))
    assert ticked(leaf) == SUCCESS
    scene.graph.spin_for(0.6)
    assert ticked(leaf) == FAILURE
    assert "nothing has come on steady_states for" in leaf.feedback_message


@pytest.mark.parametrize("level", list(EngagementLevel))
def test_who_is_engaged_stays_so_while_only_just_looking_away(
    start_graph: Start, level: EngagementLevel
) -> None:
    leaf = IsEngaged("f1")
    scene = Scene(start_graph, leaf)
    scene.say(replace(estimate(face="f1"), engagement=level))
    engaged = level in (EngagementLevel.ENGAGED, EngagementLevel.DISENGAGING)
    assert ticked(leaf) == (SUCCESS if engaged else FAILURE)


def test_who_listens_later_has_the_newest_states_and_nothing_after_the_end(
    start_graph: Start,
) -> None:
    scene = Scene(start_graph)
    scene.say(estimate("sad", face="f1"))
    leaf = IsUpset("f1")
    leaf.setup(node=scene.graph.probe)
    assert scene.graph.spin(lambda: ticked(leaf) == SUCCESS)
    leaf.shutdown()
    assert scene.graph.spin(lambda: not scene.out.get_subscription_count())


def test_a_label_that_there_is_not_and_a_missing_node_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'hapy'.*did you mean 'happy'"):
        WaitForEmotion("hapy")
    with pytest.raises(KeyError, match="needs a node"):
        IsEngaged().setup()
