"""Why nothing comes on a topic although somebody publishes, as far as a node can know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, ReliabilityPolicy, qos_check_compatible

from avemo_ros.nodes import host

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
        return f"{who} publishes it, but {why} {host.out_of_reach()}"
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
            if _full_name(offer) != own
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
    remap = "" if _are_siblings(name, topic) else f"remap the topic to {name}"
    advice = " and ".join(part for part in (instead.get(kind, ""), remap) if part)
    return f"nobody publishes it, but there is {shown}{more}; {advice or f'remap it to {name}'}"


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
