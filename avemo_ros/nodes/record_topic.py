"""A topic that is recorded: with whatever type and quality of service it is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from avemo_ros.bag.offers import Offer
from avemo_ros.nodes import health, qos
from avemo_ros.nodes.record_settings import Comes, Wanted
from avemo_ros.nodes.record_stamp import StampWatch
from avemo_ros.nodes.restamp import message_class
from avemo_ros.nodes.trouble import Trouble

_DEPTH: Final = 200
_FAIR_S: Final = 10.0
"""Who publishes may start later than the recorder, and load networks first."""
_QUIET_S: Final = 2.0


class RecordedTopic:
    """Is listened to at once where its type is known, or when somebody publishes it."""

    def __init__(self, name: str, wanted: Wanted) -> None:
        """Set up.

        Args:
            name: after remapping.
            wanted: what is known of it.
        """
        self.name = name
        self.kind = wanted.kind
        """Type of the messages; "" while that is not known."""
        self.offer = Offer()
        """How it is published."""
        self.there = False
        """Somebody publishes it, or has done so."""
        self.heard = health.Meter()
        self.inlet: qos.Inlet | None = None
        self._wanted = wanted
        self._elsewhere = False
        self._refusal = ""
        self._last_s: float | None = None
        self._watch: StampWatch | None = None

    def listen(self, node: Node, take: Callable[[bytes], None]) -> None:
        """Listen before anybody publishes it, where the type is known.

        Who publishes may begin with the first subscriber, and nodes need seconds to find each
        other on a busy machine.
        """
        message = message_class(self.kind) if self.kind else None
        if message is not None:
            self._subscribe(node, message, take, begin_reliable=True)

    def look(self, node: Node, trouble: Trouble, take: Callable[[bytes], None]) -> None:
        """Learn how it is published, once somebody does."""
        if self.there:
            return
        infos = node.get_publishers_info_by_topic(self.name)
        if not infos:
            other = self._wanted.instead
            self._elsewhere = bool(other) and node.count_publishers(other) > 0
            return
        kinds = sorted({info.topic_type for info in infos})
        if self.inlet is None or not (self.kind in kinds or self.heard.count):
            self._listen(node, trouble, take, kinds)
            if self.inlet is None:
                return
        self.there = True
        if len(kinds) > 1:
            trouble.once(
                f"{self.name} types",
                f"{self.name} is published with several types; {self.kind} is recorded",
            )
        offers = [info.qos_profile for info in infos if info.topic_type == self.kind]
        self.offer = Offer(
            max([offer.depth for offer in offers], default=0) or Offer().depth,
            all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers),
            all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers),
        )
        # Nodes may take seconds to find each other: who waits to begin can see it.
        node.get_logger().info(f"{self.name} is there and recorded from now on")

    def adapt(self) -> None:
        """Ask for what publishers offer now."""
        if self.inlet is not None:
            self.inlet.adapt()

    def close(self) -> None:
        """Stop listening."""
        if self.inlet is not None:
            self.inlet.close()
            self.inlet = None

    def complaint(self, data: bytes, log_ns: int) -> str:
        """What is wrong with the stamp of a message, once; what is latched may be old."""
        if self._watch is None or self.offer.latched:
            return ""
        return self._watch.complaint(data, log_ns)

    def missing(self) -> bool:
        """Nothing came of what should have come."""
        comes = self._wanted.comes
        due = comes is Comes.STEADILY or (comes is Comes.AT_TIMES and not self.there)
        return due and not self.heard.count

    def advice(self) -> str:
        """What to do where the same is published on another topic; empty if it is not."""
        if not self._elsewhere or self.there:
            return ""
        return f"{self._wanted.instead} is there: {self._wanted.advice}"

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
        if self._last_s is None:
            if self.missing() and now_s - began_s > _FAIR_S:
                advice = f"; {self.advice()}" if self.advice() else ""
                return f"nothing comes on {self.name}, so nothing of it is recorded{advice}"
        elif (
            self._wanted.comes is Comes.STEADILY
            and not self.offer.latched
            and now_s - self._last_s > _QUIET_S
        ):
            return f"nothing comes on {self.name} any more"
        return ""

    def _listen(
        self, node: Node, trouble: Trouble, take: Callable[[bytes], None], kinds: Sequence[str]
    ) -> None:
        """Listen with a type that it is published with."""
        self.close()
        self.kind = kinds[0]
        message = message_class(self.kind)
        if message is None:
            self._refusal = f"{self.name} is left out: {self.kind} is not installed here"
            trouble.once(self.name, self._refusal)
            return
        self._refusal = ""
        self._subscribe(node, message, take)

    def _subscribe(
        self,
        node: Node,
        message: Any,
        take: Callable[[bytes], None],
        *,
        begin_reliable: bool = False,
    ) -> None:
        simulated = node.get_clock().ros_time_is_active
        self._watch = StampWatch(self.kind, message, simulated=simulated)
        self.inlet = qos.Inlet(
            node,
            message,
            self.name,
            take,
            depth=_DEPTH,
            raw=True,
            begin_reliable=begin_reliable,
        )
        self.inlet.adapt()
