"""A topic that is recorded: with whatever type and quality of service it is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from avemo_ros.bag.offers import Offer
from avemo_ros.nodes import health, qos
from avemo_ros.nodes.record_settings import Comes
from avemo_ros.nodes.restamp import message_class
from avemo_ros.nodes.trouble import Trouble

_DEPTH: Final = 200
_FAIR_S: Final = 10.0
"""Who publishes may start later than the recorder, and load networks first."""
_QUIET_S: Final = 2.0


class RecordedTopic:
    """Is listened to from the moment when somebody publishes it."""

    def __init__(self, name: str, comes: Comes) -> None:
        """Set up.

        Args:
            name: after remapping.
            comes: how its messages should come.
        """
        self.name = name
        self.kind = ""
        """Type of the messages, known once it is published."""
        self.offer = Offer()
        """How it is published."""
        self.heard = health.Meter()
        self.inlet: qos.Inlet | None = None
        self._comes = comes
        self._refusal = ""
        self._last_s: float | None = None

    def look(self, node: Node, trouble: Trouble, take: Callable[[bytes], None]) -> None:
        """Listen if somebody publishes it by now."""
        if self.inlet is not None or not node.count_publishers(self.name):
            return
        kinds = dict(node.get_topic_names_and_types()).get(self.name, [])
        if kinds:
            self._listen(node, trouble, take, kinds)

    def adapt(self) -> None:
        """Ask for what publishers offer now."""
        if self.inlet is not None:
            self.inlet.adapt()

    def close(self) -> None:
        """Stop listening."""
        if self.inlet is not None:
            self.inlet.close()
            self.inlet = None

    def came(self, now_s: float | None) -> None:
        """A message has come.

        Args:
            now_s: seconds of the clock that the recording goes by; None if it does not go yet.
        """
        self.heard.add()
        self._last_s = now_s

    def status(self, began_s: float | None, now_s: float | None) -> DiagnosticStatus:
        """For /diagnostics.

        Args:
            began_s: when the recording began, by the same clock.
            now_s: as for `came`.
        """
        values: dict[str, object] = {
            "type": self.kind,
            "received": self.heard.count,
            "rate_hz": f"{self.heard.rate_hz:.1f}",
            "lost_in_transport": self.inlet.lost if self.inlet is not None else 0,
        }
        if self._refusal:
            return health.status(self.name, health.WARN, self._refusal, values)
        if began_s is not None and now_s is not None:
            silence = self._silence(began_s, now_s)
        else:
            silence = ""
        if silence:
            return health.status(self.name, health.STALE, silence, values)
        message = "is recorded" if self.heard.count else "is waited for"
        return health.status(self.name, health.OK, f"{self.name} {message}", values)

    def _silence(self, began_s: float, now_s: float) -> str:
        """What is wrong if nothing comes; empty if nothing is."""
        steadily = self._comes is Comes.STEADILY
        if self._last_s is None:
            due = steadily or (self._comes is Comes.AT_TIMES and self.inlet is None)
            if due and now_s - began_s > _FAIR_S:
                return f"nothing comes on {self.name}, so nothing of it is recorded"
        elif steadily and not self.offer.latched and now_s - self._last_s > _QUIET_S:
            return f"nothing comes on {self.name} any more"
        return ""

    def _listen(
        self, node: Node, trouble: Trouble, take: Callable[[bytes], None], kinds: Sequence[str]
    ) -> None:
        self.kind = kinds[0]
        message = message_class(self.kind)
        if message is None:
            self._refusal = f"{self.name} is left out: {self.kind} is not installed here"
            trouble.once(self.name, self._refusal)
            return
        self._refusal = ""
        if len(kinds) > 1:
            trouble.once(
                f"{self.name} types",
                f"{self.name} is published with several types; {self.kind} is recorded",
            )
        offers = [info.qos_profile for info in node.get_publishers_info_by_topic(self.name)]
        self.offer = Offer(
            max([offer.depth for offer in offers], default=0) or Offer().depth,
            all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers),
            all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers),
        )
        self.inlet = qos.Inlet(node, message, self.name, take, depth=_DEPTH, raw=True)
        self.inlet.adapt()
        # Nodes may take seconds to find each other: who waits to begin can see it.
        node.get_logger().info(f"{self.name} is there and recorded from now on")
