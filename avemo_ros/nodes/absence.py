"""Why nothing comes on a topic although somebody publishes, as far as a node can know."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

_SHOWN: Final = 3
_SHARED: Final = Path("/dev/shm")  # noqa: S108  where the middleware has its shared memory
_SMALL_BYTES: Final = 16e6
"""Shared memory below this holds hardly an image."""
_NAMELESS: Final = "somebody"
"""Whose name comes in a message that does not arrive."""
_CONTAINERS: Final = ("/.dockerenv", "/run/.containerenv")


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
            return (
                f"{who} publishes it, but neither its name nor a message arrives: {_hidden()}"
            )
        return f"{who} publishes it, but nothing arrives: it sends nothing, or {_hidden()}"
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
        return (
            "nobody publishes it, nor anything of its kind; start the driver, and see that it "
            "has the same ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE"
        )
    shown = ", ".join(name for name, _ in found[:_SHOWN])
    more = ", ..." if len(found) > _SHOWN else ""
    name, kind = found[0]
    remap = "" if _are_siblings(name, topic) else f"remap the topic to {name}"
    advice = " and ".join(part for part in (instead.get(kind, ""), remap) if part)
    return f"nobody publishes it, but there is {shown}{more}; {advice or f'remap it to {name}'}"


def rivals(node: Node, topic: str, message: Any) -> str:
    """Who publishes on a topic together; empty if it is not more than one."""
    offers = [
        offer
        for offer in node.get_publishers_info_by_topic(topic)
        if offer.topic_type == type_name(message)
    ]
    if len(offers) < 2:
        return ""
    return (
        f"{len(offers)} publishers send on {topic} at the same time ({_who(offers)}); stop all "
        "but one, or remap the topic"
    )


def _hidden() -> str:
    """Why messages of somebody who is known do not arrive, by what this computer shows."""
    ways = []
    if _of_others(_files()):
        ways.append("run both as the same user")
    elif any(Path(file).exists() for file in _CONTAINERS):
        ways.append("start this node's container with --ipc=host and --net=host")
    if 0 < _size() < _SMALL_BYTES:
        ways.append(f"make {_SHARED} larger (it has {_size() / 1e6:.0f} MB)")
    if not ways:
        ways.append("start both in one container (or with --ipc=host) and as the same user")
    return (
        "its shared memory is out of reach: " + "; ".join(ways) + "; or set "
        "FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for both"
    )


def _files() -> list[Path]:
    try:
        return [file for file in _SHARED.iterdir() if "fastrtps" in file.name]
    except OSError:
        return []


def _of_others(files: Iterable[Path]) -> bool:
    return any(not os.access(file, os.R_OK | os.W_OK) for file in files)


def _size() -> float:
    """Of the shared memory [bytes]; 0 if there is none."""
    try:
        room = os.statvfs(_SHARED)
    except OSError:
        return 0.0
    return float(room.f_frsize * room.f_blocks)


def _who(offers: Sequence[Any]) -> str:
    names = sorted({_full_name(offer) for offer in offers})
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _full_name(offer: Any) -> str:
    if "_UNKNOWN_" in offer.node_name:
        return _NAMELESS
    return f"{offer.node_namespace.rstrip('/')}/{offer.node_name}"


def _are_siblings(one: str, other: str) -> bool:
    return one == f"{other}/compressed" or other == f"{one}/compressed"
