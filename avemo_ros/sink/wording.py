"""An estimate in a few words, for people."""

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
