"""Whether people are with the robot: levels with hysteresis, and their changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from avemo_ros.config import EngagementConfig
from avemo_ros.timing import to_ns, to_s

_SMOOTH_S: Final = 0.3
"""Time constant over which looks are averaged [s]: a single odd image changes nothing."""
_KNOWN_NS: Final = to_ns(1.0)
"""What was seen says something for this long."""


class EngagementLevel(IntEnum):
    """The levels of hri_msgs/EngagementLevel and EmotionState.msg, with their numbers."""

    UNKNOWN = 0
    """Nothing is known of where the head is turned."""
    DISENGAGED = 1
    """Does not look at the robot."""
    ENGAGING = 2
    """Has begun to look at it."""
    ENGAGED = 3
    """Has looked at it for some time."""
    DISENGAGING = 4
    """Has begun to look away."""


@dataclass(frozen=True, slots=True)
class EngagementChange:
    """A person's level became another one."""

    stamp_ns: int
    """Sensor time [ns]."""
    face_id: str
    previous: EngagementLevel
    level: EngagementLevel


class FaceEngagement:
    """One face's level.

    Args:
        config: when levels change.
    """

    def __init__(self, config: EngagementConfig) -> None:
        self._config = config
        self._level = EngagementLevel.UNKNOWN
        self._look = 0.0
        self._seen_ns: int | None = None
        self._since_ns = 0
        """Since when the level is on its way, ENGAGING or DISENGAGING [ns]."""

    def see(self, stamp_ns: int, look: float, distance: float = math.nan) -> None:
        """Take what one image shows; stamps rise from call to call.

        Args:
            stamp_ns: sensor time [ns].
            look: how much the head is turned to the robot, 0 to 1; NaN: not known, and the
                call changes nothing.
            distance: from the camera [m]; NaN: not known, and it does not count.
        """
        if math.isnan(look):
            return
        if 0.0 < self._config.max_distance_m < distance:
            look = 0.0
        if self.at(stamp_ns) is EngagementLevel.UNKNOWN:
            self._begin(stamp_ns, look)
        else:
            assert self._seen_ns is not None  # else nothing would be known
            passed_s = to_s(stamp_ns - self._seen_ns)
            self._look += (look - self._look) * -math.expm1(-passed_s / _SMOOTH_S)
            self._move(stamp_ns)
        self._seen_ns = stamp_ns

    def at(self, now_ns: int) -> EngagementLevel:
        """The level at a moment [ns]; UNKNOWN if nothing was known for a second."""
        if self._seen_ns is None or now_ns - self._seen_ns > _KNOWN_NS:
            return EngagementLevel.UNKNOWN
        return self._level

    def _begin(self, stamp_ns: int, look: float) -> None:
        looks = look >= self._config.enter_look
        self._look = look
        self._level = EngagementLevel.ENGAGING if looks else EngagementLevel.DISENGAGED
        self._since_ns = stamp_ns

    def _move(self, stamp_ns: int) -> None:
        level, look = EngagementLevel, self._look
        config = self._config
        lasted_s = to_s(stamp_ns - self._since_ns)
        before = self._level
        if before in (level.DISENGAGED, level.DISENGAGING) and look >= config.enter_look:
            # Who only glanced away is engaged at once.
            self._level = level.ENGAGED if before is level.DISENGAGING else level.ENGAGING
        elif before in (level.ENGAGED, level.ENGAGING) and look < config.leave_look:
            self._level = level.DISENGAGING if before is level.ENGAGED else level.DISENGAGED
        elif before is level.ENGAGING and lasted_s >= config.engage_s:
            self._level = level.ENGAGED
        elif before is level.DISENGAGING and lasted_s >= config.disengage_s:
            self._level = level.DISENGAGED
        if self._level is not before:
            self._since_ns = stamp_ns
