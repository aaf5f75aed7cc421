"""How the topics of a bag were published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos


@dataclass(frozen=True, slots=True)
class Offer:
    """Quality of service with which a topic is published."""

    depth: int = 10
    """Messages that are kept for slow or late subscribers."""
    reliable: bool = True
    latched: bool = False
    """Who subscribes later gets the last messages, too."""

    def as_qos(self) -> Qos:
        """As rosbags writes it into a bag."""
        default = QosTime(0, 0)
        return Qos(
            QosHistory.KEEP_LAST,
            self.depth,
            QosReliability.RELIABLE if self.reliable else QosReliability.BEST_EFFORT,
            QosDurability.TRANSIENT_LOCAL if self.latched else QosDurability.VOLATILE,
            default,
            default,
            QosLiveliness.SYSTEM_DEFAULT,
            default,
            avoid_ros_namespace_conventions=False,
        )


def read_offers(folder: Path) -> dict[str, Offer]:
    """What metadata.yaml says of each topic; of several publishers what serves most.

    Topics are missing where it does not say, all of them where there is none.

    Args:
        folder: of the bag; a single file tells nothing.
    """
    try:
        text = (folder / "metadata.yaml").read_text(encoding="utf-8")
        entries = yaml.safe_load(text)["rosbag2_bagfile_information"]
        return {
            entry["topic_metadata"]["name"]: offer
            for entry in entries["topics_with_message_count"]
            if (offer := _best(entry["topic_metadata"].get("offered_qos_profiles")))
        }
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def _best(profiles: Any) -> Offer | None:
    try:
        offers = parse_qos(profiles)
    except (ReaderError, KeyError, TypeError):
        return None
    if not offers:
        return None
    return Offer(
        max(offer.depth for offer in offers),
        any(offer.reliability is not QosReliability.BEST_EFFORT for offer in offers),
        any(offer.durability is QosDurability.TRANSIENT_LOCAL for offer in offers),
    )
