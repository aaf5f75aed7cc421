"""What people read: an estimate in a few words, counts and lengths of time."""

from __future__ import annotations

from typing import Final

from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import EmotionEstimate, Status

STATUS_TEXT: Final[dict[Status, str]] = {
    Status.OK: "face and voice",
    Status.WARMING_UP: "warming up",
    Status.NO_FACE: "no face",
    Status.NO_VOICE: "not speaking",
    Status.LOW_QUALITY: "face not readable",
    Status.UNCERTAIN: "uncertain",
    Status.STALE_INPUT: "no input",
    Status.NOBODY: "nobody there",
}
"""Each status in at most three words."""


def headline(estimate: EmotionEstimate) -> str:
    """The claim with its confidence, or why there is none: 'happy 82%', 'unknown: no face'."""
    if estimate.label == UNKNOWN:
        return f"{UNKNOWN}: {STATUS_TEXT[estimate.status]}"
    return f"{estimate.label} {estimate.confidence:.0%}"


def name_of(estimate: EmotionEstimate) -> str:
    """The id that tells this person from the others in the stream; '-' for nobody."""
    return estimate.face_id or estimate.person_id or estimate.voice_id or "-"


_MINUTE_S: Final = 60.0


def counted(count: int, noun: str, nouns: str = "") -> str:
    """'1 bag', '3 bags'."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def lasting(seconds: float) -> str:
    """'8.3 s', '12.5 min'."""
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{seconds / _MINUTE_S:.1f} min"
