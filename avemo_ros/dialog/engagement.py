"""Whether a person is with the robot, from the stream of hops.

The rule, at a moment: who was neither seen nor heard within `absent_after_s` is absent.  Who
spoke within `engaged_s`, or faced the robot in at least half of the hops of that time, is
engaged; who is left is distracted.  A face faces the robot if its head pose is known and within
YAW and PITCH, as in visual attention from head pose (Sidner et al. 2005 take gaze at the robot
for engagement); without a pose, if it can be read, which a face turned away cannot.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from avemo_ros.clock import to_ns
from avemo_ros.dialog.config import DialogConfig
from avemo_ros.dialog.situation import Engagement
from avemo_ros.state.estimate import Hop, Status
from avemo_ros.state.steady import key_of

YAW: Final = math.radians(25.0)
PITCH: Final = math.radians(20.0)
"""Largest turn of a head that faces the robot, whose camera is near its face."""
_POSE_HOLDS_NS: Final = to_ns(0.5)
"""A pose says something of the hops up to this much later."""
_MOST_PEOPLE: Final = 32
_MOST_HOPS: Final = 2000


class Attention:
    """Who is there, and with the robot; not for several threads at once."""

    def __init__(self, config: DialogConfig) -> None:
        self._engaged_ns = to_ns(config.engaged_s)
        self._absent_ns = to_ns(config.absent_after_s)
        self._stale_ns = to_ns(config.stale_after_s)
        self.clear()

    def clear(self) -> None:
        """Forget everyone."""
        self._people: dict[str, _Seen] = {}
        """By key; who was seen longest ago first."""
        self._now_ns: int | None = None

    def look(self, face_id: str, stamp_ns: int, yaw: float, pitch: float) -> None:
        """Take a head pose.

        Args:
            face_id: whose it is.
            stamp_ns: sensor time [ns].
            yaw: turn to the side [rad]; 0 looks into the camera.
            pitch: turn up or down [rad].
        """
        seen = self._seen(face_id)
        seen.posed_ns = stamp_ns
        seen.faces = abs(yaw) <= YAW and abs(pitch) <= PITCH

    def push(self, hop: Hop) -> None:
        """Take one moment; with a stamp that goes back everyone is new."""
        if self._now_ns is not None and hop.stamp_ns < self._now_ns:
            self.clear()
        if hop.attended.status is Status.STALE_INPUT and not hop.estimates:
            return
        self._now_ns = hop.stamp_ns
        for estimate in hop.estimates:
            key = key_of(estimate)
            if not key:
                continue
            seen = self._seen(key)
            # Recordings hold no boxes.
            has_face = bool(estimate.face_id)
            faces = has_face and estimate.status is not Status.LOW_QUALITY
            if seen.posed_ns is not None and hop.stamp_ns - seen.posed_ns <= _POSE_HOLDS_NS:
                faces = seen.faces
            speaks = estimate.speaking or not has_face
            seen.moments.append(_Moment(hop.stamp_ns, speaks, faces))

    def of(self, key: str, stamp_ns: int) -> Engagement:
        """A person's engagement.

        Args:
            key: face id, or voice id of a voice without a face; "" where nobody is known.
            stamp_ns: the moment [ns].
        """
        if self._now_ns is None or stamp_ns - self._now_ns > self._stale_ns:
            return Engagement.UNKNOWN
        seen = self._people.get(key)
        if seen is None or not seen.moments:
            return Engagement.ABSENT
        if stamp_ns - seen.moments[-1].stamp_ns > self._absent_ns:
            return Engagement.ABSENT
        since_ns = seen.moments[-1].stamp_ns - self._engaged_ns
        recent = [one for one in seen.moments if one.stamp_ns > since_ns]
        facing = sum(one.faces for one in recent)
        if any(one.speaks for one in recent) or 2 * facing >= len(recent):
            return Engagement.ENGAGED
        return Engagement.DISTRACTED

    def _seen(self, key: str) -> _Seen:
        seen = self._people.pop(key, None) or _Seen()
        self._people[key] = seen
        if len(self._people) > _MOST_PEOPLE:
            del self._people[next(iter(self._people))]
        return seen


@dataclass(frozen=True, slots=True)
class _Moment:
    stamp_ns: int
    speaks: bool
    """Is heard, with or without a face."""
    faces: bool
    """The face is turned to the robot."""


@dataclass(slots=True)
class _Seen:
    moments: deque[_Moment] = field(default_factory=lambda: deque(maxlen=_MOST_HOPS))
    posed_ns: int | None = None
    faces: bool = False
