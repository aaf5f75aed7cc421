"""One switch for everything that senses people: off, and what is known of them is wiped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from avemo_ros.nodes import qos
from avemo_ros.settings import Settings

if TYPE_CHECKING:
    from avemo_ros.nodes.base_node import ManagedNode

TOPIC: Final = "sensing"
SERVICE: Final = "set_sensing"
FORGOTTEN: Final = "forgotten_person"
"""Topic with the id of somebody whom the other nodes, too, are to forget."""


class SensingSettings(Settings):
    """Parameters of a node that senses people."""

    sensing: bool = Field(
        True,
        frozen=True,
        description=(
            "Sense people from the start; false waits until the service set_sensing turns it "
            "on."
        ),
    )


class SensingSwitch:
    """Whether a node senses people.

    One node serves `set_sensing` and says on `sensing`, which is latched, what it was told;
    the others follow.  What a node was told outlasts its life cycle, but not its process.

    Args:
        node: whose topic and service these are.
        serves: this node has the service; else it follows the topic.
        turned: called when it was turned on or off; returns why it cannot be, "" if it can.
    """

    def __init__(
        self, node: ManagedNode, *, serves: bool, turned: Callable[[bool], str]
    ) -> None:
        self._node = node
        self._serves = serves
        self._turned = turned
        self._told: Any = None
        self._asked: Any = None
        self.is_on = bool(node.read(SensingSettings).sensing)

    def open(self) -> None:
        """Make the topic and the service."""
        node, latched = self._node, qos.result(1, latched=True)
        if not self._serves:
            self._told = node.create_subscription(Bool, TOPIC, self._follow, latched)
            return
        self._told = node.create_publisher(Bool, TOPIC, latched)
        self._told.publish(Bool(data=self.is_on))
        self._asked = node.create_service(SetBool, SERVICE, self._set)

    def close(self) -> None:
        """Remove the topic and the service; may be called twice."""
        if self._told is not None:
            undo = (
                self._node.destroy_publisher
                if self._serves
                else self._node.destroy_subscription
            )
            undo(self._told)
            self._told = None
        if self._asked is not None:
            self._node.destroy_service(self._asked)
            self._asked = None

    def _set(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if not request.data:
            # First the others: what they have just sent is wiped here, too.
            self._told.publish(Bool(data=False))
        response.message = self._turn(on=request.data)
        response.success = not response.message
        if response.success:
            self._told.publish(Bool(data=request.data))
            response.message = (
                "sensing is on"
                if request.data
                else "sensing is off; what was known of people is forgotten"
            )
        return response

    def _follow(self, message: Bool) -> None:
        self._turn(on=message.data)

    def _turn(self, *, on: bool) -> str:
        if on == self.is_on:
            return ""
        self.is_on = on
        failure = self._turned(on)
        if failure:
            self.is_on = False
        return failure
