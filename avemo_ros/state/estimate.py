"""The estimate of a person's emotion at one moment, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.engagement import EngagementChange, EngagementLevel
from avemo_ros.vision.face import Box


class Status(IntEnum):
    """Why a state says what it says; the numbers are those of EmotionState.msg."""

    OK = 0
    """The label comes from face and voice."""
    WARMING_UP = 1
    """The person was not observed for long enough yet; no label."""
    NO_FACE = 2
    """The label comes from the voice alone: there is no usable face."""
    NO_VOICE = 3
    """The label comes from the face alone: the person did not speak."""
    LOW_QUALITY = 4
    """The face is there but too small, blurred, turned away or hidden, and no voice helps; no
    label."""
    UNCERTAIN = 5
    """The confidence is below the limit; the distribution is given, but no label."""
    STALE_INPUT = 6
    """Input stopped coming, or the images did and nobody is heard; no label."""
    NOBODY = 7
    """Nobody is seen or heard; no label."""


def recorded_status(status: Status, ids: Sequence[str]) -> Status:
    """A status as it is called now: in older recordings NOBODY is NO_FACE without an id."""
    return Status.NOBODY if status is Status.NO_FACE and not any(ids) else status


@dataclass(frozen=True, slots=True)
class EmotionEstimate:
    """One person's emotion over one window."""

    stamp_ns: int
    """Sensor time of the window's end [ns]."""
    window_start_ns: int
    """Sensor time of the oldest input used [ns]."""
    person_id: str
    face_id: str
    voice_id: str
    """Ids; empty when unknown."""
    label: str
    """One of EMOTIONS, or 'unknown'."""
    confidence: float
    """Calibrated probability of the most probable class; 0 where there is no distribution."""
    probabilities: tuple[float, ...]
    """In the order of EMOTIONS, sums to 1; empty where there is none."""
    face_share: float
    voice_share: float
    """Shares of the two in the decision; they sum to 1, or are both 0 without a decision."""
    status: Status
    box: Box | None
    """Newest face box in the window; None without a face."""
    speaking: bool
    """This person's voice is heard at the window's end."""
    model_id: str
    valence: float = 0.0
    arousal: float = 0.0
    """-1 to 1; to be read only when valid."""
    valence_arousal_valid: bool = False
    valence_arousal_source: str = ""
    """How the two were obtained: 'distribution' (`state/decision.py`), '' where they are not
    valid, or in recordings that do not tell."""
    engagement: EngagementLevel = EngagementLevel.UNKNOWN
    looks_at_robot: float | None = None
    """How much the head is turned to the camera, 0 to 1; None where it is not known."""
    distance: float | None = None
    """From the camera [m]; None where it is not known."""
    speaking_score: float | None = None
    """How likely this person speaks at the window's end, 0 to 1; None where it is not known:
    without sound, or in recordings that do not tell."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities."""
        return EMOTIONS


@dataclass(frozen=True, slots=True)
class Change:
    """A person's steady label became another one."""

    stamp_ns: int
    """Sensor time at which it became certain [ns]."""
    person_id: str
    face_id: str
    voice_id: str
    """Ids; empty where unknown."""
    previous: str
    label: str
    """Steady labels before and now: one of EMOTIONS, or 'unknown'."""
    confidence: float
    """Smoothed probability of `label`; 0 for 'unknown'."""
    lasted_s: float
    """How long `previous` had been steady [s]."""


@dataclass(frozen=True, slots=True)
class EmotionStep:
    """The estimates of everyone at one moment."""

    stamp_ns: int
    estimates: tuple[EmotionEstimate, ...]
    """Everyone in view, largest face first; a voice without a face last."""
    attended: EmotionEstimate
    """Whom the robot should attend to: who speaks, else the largest face, else nobody (a
    state without ids whose status says why)."""
    frame_ns: int | None
    """Sensor time of the newest image used [ns]; None without any."""
    unseen_score: float | None = None
    """How likely somebody who is not in view speaks at that moment, 0 to 1; None without
    sound."""
    changes: tuple[Change, ...] = ()
    """Events: the steady labels that changed with it."""
    engagement_changes: tuple[EngagementChange, ...] = ()
    """Events: who began or ceased to be with the robot."""


def attended(estimates: Sequence[EmotionEstimate]) -> EmotionEstimate | None:
    """Whom the robot should attend to.

    Args:
        estimates: of one moment, largest face first, a voice without a face last.

    Returns:
        The face that speaks, else the largest face, else the voice; None with nobody.
    """
    speaks = (one for one in estimates if one.speaking and one.face_id)
    return next(speaks, estimates[0] if estimates else None)


def nobody(stamp_ns: int, status: Status, model_id: str = "") -> EmotionEstimate:
    """The state without ids that stands for an empty room, or for not knowing.

    Args:
        stamp_ns: the moment that it is about [ns].
        status: why there is nobody.
        model_id: of the model that was used.
    """
    return EmotionEstimate(
        stamp_ns=stamp_ns,
        window_start_ns=stamp_ns,
        person_id="",
        face_id="",
        voice_id="",
        label=UNKNOWN,
        confidence=0.0,
        probabilities=(),
        face_share=0.0,
        voice_share=0.0,
        status=status,
        box=None,
        speaking=False,
        model_id=model_id,
    )


def plain_fields(estimate: EmotionEstimate) -> dict[str, Any]:
    """The fields of the message that hold no other message, by name, in Python's own types."""
    return {
        "person_id": estimate.person_id,
        "face_id": estimate.face_id,
        "voice_id": estimate.voice_id,
        "label": estimate.label,
        "confidence": float(estimate.confidence),
        "labels": list(estimate.labels),
        "probabilities": [float(value) for value in estimate.probabilities],
        "valence": float(estimate.valence),
        "arousal": float(estimate.arousal),
        "valence_arousal_valid": estimate.valence_arousal_valid,
        "valence_arousal_source": estimate.valence_arousal_source,
        "status": int(estimate.status),
        "face_share": float(estimate.face_share),
        "voice_share": float(estimate.voice_share),
        "speaking": estimate.speaking,
        "speaking_score": (
            math.nan if estimate.speaking_score is None else float(estimate.speaking_score)
        ),
        "box_valid": estimate.box is not None,
        "model_id": estimate.model_id,
        "engagement": int(estimate.engagement),
        "looks_at_robot": _or_nan(estimate.looks_at_robot),
        "distance": _or_nan(estimate.distance),
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
