"""Leaves of behaviour trees (py_trees): what people feel, and whether they are with the robot.

They listen to `steady_states`.  As in py_trees_ros, `setup` gets the node that listens:

    tree = py_trees.trees.BehaviourTree(root)
    tree.setup(node=node)

py_trees is needed only by who imports this module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from py_trees.behaviour import Behaviour
from py_trees.common import Status

from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS
from avemo_ros.msg import EmotionState, EmotionStateArray
from avemo_ros.nodes import qos
from avemo_ros.settings import did_you_mean

UPSET: Final = ("angry", "disgust", "fear", "sad")
"""Labels of somebody who is upset."""
_TOPIC: Final = "steady_states"


class PersonLeaf(Behaviour):
    """A leaf that looks at the newest steady states.

    Args:
        name: of the leaf.
        person: person, face or voice id; "": anybody.
        max_age_s: states that came longer ago say nothing, as when the robot's node has ended
            [s].
    """

    def __init__(self, name: str, person: str = "", max_age_s: float = 2.0) -> None:
        super().__init__(name)
        self._person = person
        self._max_age_s = max_age_s
        self._node: Any = None
        self._inlet: Any = None
        self._newest: Any = None
        self._came_ns = 0

    def setup(self, **kwargs: Any) -> None:
        """Listen.

        Args:
            kwargs: `node`, an rclpy node that somebody spins.

        Raises:
            KeyError: there is no `node`.
        """
        if "node" not in kwargs:
            raise KeyError(f"{self.name} needs a node: call setup(node=...)")
        self._node = kwargs["node"]
        # The newest is latched: who asks later has it at once.
        self._inlet = self._node.create_subscription(
            EmotionStateArray, _TOPIC, self._take, qos.result(1, latched=True)
        )

    def shutdown(self) -> None:
        """Listen no more."""
        if self._inlet is not None:
            self._node.destroy_subscription(self._inlet)
            self._inlet = None

    def states(self) -> Iterator[EmotionState]:
        """Those that the leaf is about; none if they are too old."""
        if self._newest is None:
            self.feedback_message = f"nothing has come on {_TOPIC}"
            return
        age_s = (self._now_ns() - self._came_ns) / 1e9
        if not 0.0 <= age_s <= self._max_age_s:
            self.feedback_message = f"nothing has come on {_TOPIC} for {age_s:.1f} s"
            return
        whom = self._person or "anybody"
        self.feedback_message = f"{whom} is not there"
        for state in self._newest.states:
            if not self._person or self._person in (
                state.person_id,
                state.face_id,
                state.voice_id,
            ):
                yield state

    def _take(self, message: EmotionStateArray) -> None:
        self._newest, self._came_ns = message, self._now_ns()

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


class IsFeeling(PersonLeaf):
    """SUCCESS while somebody's steady emotion is one of some, else FAILURE.

    Args:
        name: of the leaf.
        labels: of EMOTIONS.
        person: person, face or voice id; "": anybody.
        min_confidence: smoothed probability that the emotion needs, 0 to 1.
        max_age_s: as for `PersonLeaf`.

    Raises:
        ConfigError: a label is none of EMOTIONS.
    """

    def __init__(
        self,
        name: str,
        labels: Collection[str],
        person: str = "",
        min_confidence: float = 0.0,
        max_age_s: float = 2.0,
    ) -> None:
        super().__init__(name, person, max_age_s)
        for label in labels:
            if label not in EMOTIONS:
                near = did_you_mean(label, EMOTIONS)
                raise ConfigError("labels", label, f"{', '.join(EMOTIONS)}{near}")
        self._labels = tuple(labels)
        self._min_confidence = min_confidence

    def update(self) -> Status:
        """Look at the newest states."""
        for state in self.states():
            who = state.person_id or state.face_id or state.voice_id
            self.feedback_message = f"{who} is {state.label} ({state.confidence:.2f})"
            if state.label in self._labels and state.confidence >= self._min_confidence:
                return Status.SUCCESS
        return Status.FAILURE


class IsUpset(IsFeeling):
    """SUCCESS while somebody is steadily angry, disgusted, afraid or sad.

    Args:
        person: person, face or voice id; "": anybody.
        min_confidence: as for `IsFeeling`.
        name: of the leaf.
    """

    def __init__(
        self, person: str = "", min_confidence: float = 0.0, name: str = "is upset"
    ) -> None:
        super().__init__(name, UPSET, person, min_confidence)


class WaitForEmotion(IsFeeling):
    """RUNNING until somebody's steady emotion is the one that is waited for.

    Args:
        label: one of EMOTIONS.
        person: person, face or voice id; "": anybody.
        min_confidence: as for `IsFeeling`.
        name: of the leaf; "": after the label.

    Raises:
        ConfigError: the label is none of EMOTIONS.
    """

    def __init__(
        self, label: str, person: str = "", min_confidence: float = 0.0, name: str = ""
    ) -> None:
        super().__init__(name or f"wait for {label}", (label,), person, min_confidence)

    def update(self) -> Status:
        """Look at the newest states."""
        return Status.SUCCESS if super().update() is Status.SUCCESS else Status.RUNNING


class IsEngaged(PersonLeaf):
    """SUCCESS while somebody is with the robot: ENGAGED, or only just looking away.

    Args:
        person: person, face or voice id; "": anybody.
        name: of the leaf.
    """

    def __init__(self, person: str = "", name: str = "is engaged") -> None:
        super().__init__(name, person)

    def update(self) -> Status:
        """Look at the newest states."""
        for state in self.states():
            who = state.person_id or state.face_id or state.voice_id
            self.feedback_message = f"engagement of {who} is {state.engagement}"
            if state.engagement in (EmotionState.ENGAGED, EmotionState.DISENGAGING):
                return Status.SUCCESS
        return Status.FAILURE
