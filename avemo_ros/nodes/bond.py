"""The bond with nav2_lifecycle_manager: it notices at once when a node has died."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from rclpy.duration import Duration

from avemo_ros.nodes import qos
from avemo_ros.settings import Settings

if TYPE_CHECKING:
    from avemo_ros.nodes.base_node import ManagedNode

TOPIC: Final = "bond"
HEARTBEAT_TIMEOUT_S: Final = 4.0
"""Silence after which the other side takes this one for dead; nav2's nodes say the same."""
_FAREWELL_S: Final = 0.2


class BondSettings(Settings):
    """Parameters of the bond, as nav2's nodes have them."""

    bond_heartbeat_period: float = Field(
        0.25,
        ge=0,
        le=2,
        frozen=True,
        description=(
            "[s] while the node is active, tell nav2_lifecycle_manager that often that it "
            "lives (its bond); 0: never. Counts only with autostart: false and where the "
            "package bond is installed."
        ),
    )


def is_installed() -> bool:
    """The message of bonds can be imported."""
    try:
        import bond.msg  # noqa: F401
    except ImportError:
        return False
    return True


class Bond:
    """One side of a bond (package bond_core): heartbeats on the topic `bond`.

    The manager makes its side when it has activated the node.  If it hears nothing from the
    node for its `bond_timeout`, it brings its other nodes down.  This side never ends the node:
    one whose manager died goes on, as nav2's own nodes do.

    Args:
        node: that is bonded; its name is the id of the bond.
        period_s: of the heartbeats [s].
    """

    def __init__(self, node: ManagedNode, period_s: float) -> None:
        self._node = node
        self._period_s = period_s
        self._instance = ""
        self._open: tuple[Any, Any, Any] | None = None

    def begin(self) -> None:
        """Begin to send heartbeats."""
        from bond.msg import Status

        node = self._node
        self.end()
        self._instance = str(uuid.uuid4())
        self._open = (
            node.create_publisher(Status, TOPIC, qos.result(5)),
            node.create_subscription(Status, TOPIC, self._hear, qos.result(100)),
            node.create_timer(self._period_s, lambda: self._say(lives=True), clock=node.steady),
        )

    def end(self) -> None:
        """Say that this side ends; may be called twice."""
        if self._open is None:
            return
        publisher, subscription, timer = self._open
        self._say(lives=False)
        # Without it the manager would notice only after its timeout.
        publisher.wait_for_all_acked(Duration(seconds=_FAREWELL_S))
        self._open = None
        self._node.destroy_timer(timer)
        self._node.destroy_subscription(subscription)
        self._node.destroy_publisher(publisher)

    def _hear(self, status: Any) -> None:
        """The manager ends its side: agree, and be ready for the next one."""
        ours = status.id == self._node.get_name() and status.instance_id != self._instance
        if ours and not status.active and self._open is not None:
            self._say(lives=False)
            self._instance = str(uuid.uuid4())

    def _say(self, *, lives: bool) -> None:
        from bond.msg import Status

        if self._open is None:
            return
        status = Status(
            id=self._node.get_name(),
            instance_id=self._instance,
            active=lives,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_S,
            heartbeat_period=self._period_s,
        )
        status.header.stamp = self._node.steady.now().to_msg()
        self._open[0].publish(status)
