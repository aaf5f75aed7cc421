"""Quality of service: what every topic requests and offers, and the log lines on a mismatch.

Also why nothing comes on a topic although somebody publishes, as far as a node can know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import (
    PublisherEventCallbacks,
    QoSMessageLostInfo,
    QoSRequestedIncompatibleQoSInfo,
    SubscriptionEventCallbacks,
)
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.utilities import get_rmw_implementation_identifier

from avemo_ros.nodes import host

_STEADY: Final = Clock(clock_type=ClockType.STEADY_TIME)

_LOSSES: Final = 10
"""Lost messages that are worth a word; a few get lost whenever somebody joins."""

_TOGETHER: Final = 3
"""Reports in which more than one publish on a topic, until that is worth a word."""

_REMEMBERED: Final = 100
"""Messages that are remembered to tell those that come twice."""

RELIABILITIES: Final = ("auto", "best_effort", "reliable")


def sensor(depth: int, *, reliable: bool = False, latched: bool = False) -> QoSProfile:
    """For inputs: SensorDataQoS (best effort, volatile), or that but reliable, or latched."""
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=durability,
    )


def result(depth: int, *, latched: bool = False) -> QoSProfile:
    """For outputs: reliable; latched ones reach those who subscribe later, too."""
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=durability,
    )


def beside_base(node: Node, name: str) -> str:
    """A topic's name as it is to be used: compressed images go along where their base topic is
    remapped, unless they are remapped themselves."""
    base, _, transport = name.rpartition("/")
    if transport != "compressed" or not base or _is_remapped(node, name):
        return name
    return f"{node.resolve_topic_name(base)}/{transport}" if _is_remapped(node, base) else name


def beside(node: Node, name: str, other: str) -> str:
    """A topic's name as it is to be used: beside another one wherever that is remapped to,
    unless it is remapped itself."""
    if _is_remapped(node, name) or not _is_remapped(node, other):
        return name
    return f"{node.resolve_topic_name(other).rpartition('/')[0]}/{name}"


def _is_remapped(node: Node, name: str) -> bool:
    full = node.resolve_topic_name(name)
    return bool(full != node.resolve_topic_name(name, only_expand=True))


def resolved(node: Node, name: str) -> str:
    """Full name of a topic after remapping, see `beside_base`."""
    return str(node.resolve_topic_name(beside_base(node, name)))


class AdaptiveSubscription:
    """A subscription for sensor data that never stays silent about a QoS mismatch.

    With reliability "auto" it asks for best effort, which fits every publisher, and for
    reliable delivery once all publishers of the topic offer that: a raw image is larger
    than the middleware's default buffers, and over best effort many get lost, and the sound
    that shares the buffers with them.

    With `latched` a second subscription hears what latched publishers said before, be it
    before the node was there or while it was not active.
    """

    def __init__(
        self,
        node: Node,
        message: Any,
        topic: str,
        take: Callable[[Any], None],
        *,
        depth: int,
        reliability: str = "auto",
        parameter: str = "",
        raw: bool = False,
        begin_reliable: bool = False,
        latched: bool = False,
    ) -> None:
        """Set up.

        Args:
            node: that subscribes.
            message: type of the topic.
            topic: its relative name.
            take: called with every message.
            depth: messages the middleware keeps for us.
            reliability: one of RELIABILITIES.
            parameter: name of the parameter that sets it, for log lines; empty if none does.
            raw: `take` gets the bytes of messages as they came, also of those that were said
                before, where all publishers are latched.
            begin_reliable: with "auto", ask for reliable delivery at first: where publishers
                offer it nothing changes, so that even a message that is published once and at
                once does not get lost.
            latched: publishers that are latched are also asked for what they said before,
                whatever the others offer; for states that change at times, like a format.  A
                message that comes both ways is delivered once.
        """
        self._node = node
        self._message = message
        self._topic = topic
        self._take = take
        self._depth = depth
        self._auto = reliability == "auto"
        self._reliable = reliability == "reliable" or (self._auto and begin_reliable)
        self._parameter = parameter
        self._raw = raw
        self.latched = False
        """Also asks for what was published before."""
        self._mismatch_logged = False
        self._loss_logged = False
        self._together = 0
        self.lost = 0
        """Messages that were lost between publisher and node."""
        self._soon: Any = None
        self._past: Any = None
        """The second subscription, for what was published before."""
        self._wants_past = latched
        self._seen: deque[int] = deque(maxlen=_REMEMBERED)
        self._subscription = self._subscribe()
        if latched:
            # Publishers that are known already need not be waited for.
            self.adapt()

    @property
    def name(self) -> str:
        """The topic after remapping."""
        return str(self._subscription.topic_name)

    @property
    def publishers(self) -> int:
        """How many publish on the topic."""
        return int(self._node.count_publishers(self.name))

    def why_silent(self, instead: Mapping[str, str]) -> str:
        """Why nothing comes, see `why_nothing_comes`.

        Args:
            instead: other types that the node can take, each with what to set for it.
        """
        reason = why_nothing_comes(
            self._node, self.name, self._message, reliable=self._reliable, instead=instead
        )
        setting = f" (parameter {self._parameter})" if self._parameter else ""
        return reason + (setting if self._reliable and "reliable delivery" in reason else "")

    def find_rivals(self) -> str:
        """Who publishes on the topic together, for some time already; empty if nobody does.
        To be called once a second."""
        now = rivals(self._node, self.name, type_name(self._message))
        self._together = self._together + 1 if now else 0
        # A driver that was started again is known twice for a while.
        return now if self._together > _TOGETHER else ""

    def close(self) -> None:
        """Stop listening."""
        if self._soon is not None:
            self._node.destroy_timer(self._soon)
            self._soon = None
        self._node.destroy_subscription(self._subscription)
        if self._past is not None:
            self._node.destroy_subscription(self._past)
            self._past = None

    def adapt(self) -> None:
        """Ask for what the publishers offer; to be called when they may have changed."""
        if not self._auto and not self._wants_past:
            return
        offers = [
            info.qos_profile for info in self._node.get_publishers_info_by_topic(self.name)
        ]
        if self._wants_past:
            self._ask_for_past(offers)
        if not self._auto:
            return
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        latched = self._raw and all(
            offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers
        )
        if not offers or (reliable, latched) == (self._reliable, self.latched):
            return
        self._reliable, self.latched = reliable, latched
        # Two at the same time would deliver the same sound twice.
        self._node.destroy_subscription(self._subscription)
        self._subscription = self._subscribe()

    def _ask_for_past(self, offers: Sequence[QoSProfile]) -> None:
        """Beside the subscription that fits everybody, one that fits who is latched.

        Only while there is somebody: publishers that are not warn of it.
        """
        wanted = any(
            offer.durability == DurabilityPolicy.TRANSIENT_LOCAL
            and offer.reliability == ReliabilityPolicy.RELIABLE
            for offer in offers
        )
        if wanted and self._past is None:
            self._past = self._node.create_subscription(
                self._message,
                self._topic,
                self._take_once,
                sensor(self._depth, reliable=True, latched=True),
                # Those that are not latched do not fit, as is meant.
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda _: None),
            )
        elif not wanted and self._past is not None:
            self._node.destroy_subscription(self._past)
            self._past = None

    def _take_once(self, message: Any, info: Mapping[str, int]) -> None:
        """Of both subscriptions, told apart by when it was published."""
        published_ns = info["source_timestamp"]
        if published_ns and published_ns in self._seen:
            return
        self._seen.append(published_ns)
        self._take(message)

    def _subscribe(self) -> Any:
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._mismatch,
            message_lost=self._lost,
            matched=lambda _: self._adapt_soon(),
        )
        return self._node.create_subscription(
            self._message,
            self._topic,
            self._take_once if self._wants_past else self._take,
            sensor(self._depth, reliable=self._reliable, latched=self.latched),
            event_callbacks=events,
            raw=self._raw,
        )

    def _adapt_soon(self) -> None:
        # Not at once: this is called by the subscription that would be replaced.
        if (self._auto or self._wants_past) and self._soon is None:
            self._soon = self._node.create_timer(0.0, self._adapt_now, clock=_STEADY)

    def _adapt_now(self) -> None:
        self._node.destroy_timer(self._soon)
        self._soon = None
        self.adapt()

    def _mismatch(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        if self._auto:
            # A publisher with another offer has come: ask for less.
            self._adapt_soon()
            return
        if self._mismatch_logged:
            return
        self._mismatch_logged = True
        advice = (
            f"set the parameter {self._parameter} to 'best_effort' or 'auto'"
            if self._parameter
            else "make the publisher offer this policy"
        )
        self._node.get_logger().error(
            f"{self.name}: a publisher's QoS does not match this node's "
            f"({qos_policy_name_from_kind(event.last_policy_kind)}), so its messages do not "
            "arrive; " + advice
        )

    def _lost(self, event: QoSMessageLostInfo) -> None:
        self.lost += int(event.total_count_change)
        if self._loss_logged or self._reliable or self.lost < _LOSSES:
            return
        self._loss_logged = True
        advice = f"set {self._parameter} to 'reliable' or " if self._parameter else ""
        self._node.get_logger().warning(
            f"{self.name}: messages to this node are lost (best effort); {advice}give the "
            "middleware larger buffers (docs/nodes.md#middleware)"
        )


def mismatch_warnings(node: Node, topic: str) -> PublisherEventCallbacks:
    """Events of a publisher whose subscribers may ask for more than it offers."""
    logged: list[str] = []

    def mismatch(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        if policy not in logged:
            logged.append(policy)
            node.get_logger().warning(
                f"{topic}: a subscriber requests a {policy} that this node does not offer, so "
                "it receives nothing; subscribe with reliable or best effort, and volatile"
            )

    return PublisherEventCallbacks(incompatible_qos=mismatch)


_SHOWN: Final = 3
_NAMELESS: Final = "somebody"
"""Whose name comes in a message that does not arrive."""


def type_name(message: Any) -> str:
    """Of a message class, as topics have it, e.g. 'sensor_msgs/msg/Image'."""
    return f"{message.__module__.split('.', 1)[0]}/msg/{message.__name__}"


def why_nothing_comes(
    node: Node, topic: str, message: Any, *, reliable: bool, instead: Mapping[str, str]
) -> str:
    """What a node can tell of a topic that is silent, and what to do.

    Args:
        node: that subscribes.
        topic: its full name.
        message: its type.
        reliable: whether the node asks for reliable delivery.
        instead: other types that the node can take, each with what to set for it.
    """
    wanted = type_name(message)
    offers = node.get_publishers_info_by_topic(topic)
    fitting = [offer for offer in offers if offer.topic_type == wanted]
    if fitting:
        who = _who(fitting)
        best_effort = all(
            offer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for offer in fitting
        )
        if reliable and best_effort:
            return f"{who} offers best effort, but this node asks for reliable delivery"
        if who == _NAMELESS:
            why = "neither its name nor a message arrives:"
        else:
            why = "nothing arrives: it sends nothing, or"
        lost = host.out_of_reach(str(get_rmw_implementation_identifier()))
        return f"{who} publishes it, but {why} {lost}"
    if offers:
        theirs = offers[0].topic_type
        advice = instead.get(theirs, "remap the topic, or convert the messages")
        return (
            f"{_who(offers)} publishes {theirs} there, but this node takes {wanted}; {advice}"
        )
    found = []
    own = node.get_fully_qualified_name()
    for name, types in node.get_topic_names_and_types():
        kinds = [kind for kind in types if kind == wanted or kind in instead]
        others = [
            offer
            for offer in (node.get_publishers_info_by_topic(name) if kinds else ())
            # Nor what this package draws itself, and what the doctor takes in.
            if _full_name(offer) != own and not name.endswith("/emotion_overlay")
        ]
        if others:
            found.append((name, kinds[0]))
    # What stands beside the topic is the likeliest.
    found.sort(key=lambda one: (not _are_siblings(one[0], topic), one[1] != wanted, one[0]))
    if not found:
        reach = host.discovery()
        here = "" if reach.level is host.Level.OK else " (here only this computer is heard)"
        return (
            "nobody publishes it, nor anything of its kind; start the driver, and see that it "
            f"has the same ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE{here}"
        )
    shown = ", ".join(name for name, _ in found[:_SHOWN])
    more = ", ..." if len(found) > _SHOWN else ""
    name, kind = found[0]
    # Compressed images follow their base topic.
    base = name.removesuffix("/compressed") if kind.endswith("/CompressedImage") else name
    remap = "" if _are_siblings(name, topic) else f"remap the topic to {base}"
    advice = " and ".join(part for part in (instead.get(kind, ""), remap) if part)
    return f"nobody publishes it, but there is {shown}{more}; {advice or f'remap it to {base}'}"


def rivals(node: Node, topic: str, kind: str) -> str:
    """Who publishes on a topic together; empty if it is not more than one.

    Args:
        node: that asks.
        topic: its full name.
        kind: its type, e.g. 'sensor_msgs/msg/Image'.
    """
    offers = [
        offer for offer in node.get_publishers_info_by_topic(topic) if offer.topic_type == kind
    ]
    if len(offers) < 2:
        return ""
    return (
        f"{len(offers)} publishers send on {topic} at the same time ({_who(offers)}); stop all "
        "but one, or remap the topic"
    )


def mismatches(node: Node, topic: str) -> list[str]:
    """Who asks for what a publisher of the topic does not offer, and hears nothing of it."""
    found = []
    for asked in node.get_subscriptions_info_by_topic(topic):
        for offer in node.get_publishers_info_by_topic(topic):
            if asked.topic_type != offer.topic_type:
                continue
            fits, why = qos_check_compatible(offer.qos_profile, asked.qos_profile)
            if fits == QoSCompatibility.ERROR:
                reason = why.removeprefix("ERROR: ").strip(" ;")
                found.append(
                    f"{_full_name(asked)} hears nothing of {_full_name(offer)} on {topic}: "
                    f"{reason}; change the QoS of one of the two"
                )
    return sorted(set(found))


def _who(offers: Sequence[Any]) -> str:
    names = sorted({_full_name(offer) for offer in offers})
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _full_name(offer: Any) -> str:
    if "_UNKNOWN_" in offer.node_name:
        return _NAMELESS
    return f"{offer.node_namespace.rstrip('/')}/{offer.node_name}"


def _are_siblings(one: str, other: str) -> bool:
    return one == f"{other}/compressed" or other == f"{one}/compressed"
