"""What each voice of ROS4HRI says: `/humans/voices/<id>/speech`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pydantic import Field

from avemo_ros.errors import ConfigError
from avemo_ros.nodes import qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.ros4hri import HumansSettings
from avemo_ros.untrusted import MAX_ID_LENGTH

_ID: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)
"""What may be a part of a topic's name."""
_MOST: Final = 32
"""Voices that are listened to; of those that are not tracked any more the newest stay, for the
last words of a voice may come after it has gone."""


class LiveVoicesSettings(HumansSettings):
    """Parameters of the voices."""

    hear_voices: bool = Field(
        False,
        description=(
            "Also answer what the voices of ROS4HRI say, each in the conversation of the "
            "person whose voice it is; needs hri_msgs."
        ),
    )


class LiveVoices:
    """Listens to every voice that is tracked, or was until a moment ago."""

    def __init__(self, node: ManagedNode, take: Callable[[Any, str], None]) -> None:
        """Set up.

        Args:
            node: that listens.
            take: called with each LiveSpeech and the id of its voice.

        Raises:
            ConfigError: hri_msgs is not installed.
        """
        self._node = node
        self._take = take
        self._base = f"{node.read(LiveVoicesSettings).humans}/voices"
        try:
            self._hri: Any = importlib.import_module("hri_msgs.msg")
        except ImportError as error:
            raise ConfigError(
                "hear_voices",
                True,
                f"false, as hri_msgs cannot be imported ({error}); install "
                "ros-$ROS_DISTRO-hri-msgs, or build and source its workspace",
            ) from error
        self._ids: qos.AdaptiveSubscription | None = None
        self._voices: dict[str, qos.AdaptiveSubscription] = {}
        """By id, who was tracked longest ago first."""

    def open(self) -> None:
        """Make the topics."""
        self._ids = self._subscribe(self._hri.IdsList, "tracked", self._track)

    def close(self) -> None:
        """Remove the topics; may be called twice."""
        for inlet in (self._ids, *self._voices.values()):
            if inlet is not None:
                inlet.close()
        self._ids = None
        self._voices.clear()

    def adapt(self) -> None:
        """Follow what the publishers offer."""
        for inlet in (self._ids, *self._voices.values()):
            if inlet is not None:
                inlet.adapt()

    def _track(self, message: Any) -> None:
        for voice_id in message.ids[-_MOST:]:
            if len(voice_id) > MAX_ID_LENGTH or not _ID.fullmatch(voice_id):
                continue
            inlet = self._voices.pop(voice_id, None)
            if inlet is None:
                hear = partial(self._hear, voice_id=voice_id)
                inlet = self._subscribe(self._hri.LiveSpeech, f"{voice_id}/speech", hear)
            self._voices[voice_id] = inlet
        while len(self._voices) > _MOST:
            self._voices.pop(next(iter(self._voices))).close()

    def _hear(self, message: Any, voice_id: str) -> None:
        self._take(message, voice_id)

    def _subscribe(
        self, kind: Any, topic: str, take: Callable[[Any], None]
    ) -> qos.AdaptiveSubscription:
        # Lost words would get no answer: reliable, unless a publisher offers less.
        return qos.AdaptiveSubscription(
            self._node, kind, f"{self._base}/{topic}", take, depth=10, begin_reliable=True
        )
