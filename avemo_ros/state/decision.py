"""From a distribution to a label, or to the reason why there is none.

Valence and arousal of a distribution are read off a table, not measured.  Each emotion stands
for the mean pleasure and arousal that people gave its adjective in Russell and Mehrabian 1977,
"Evidence for a three-factor theory of emotions", Journal of Research in Personality 11 (3),
273-294, https://doi.org/10.1016/0092-6566(77)90037-X: of their table of 151 terms those for
angry, disgusted, fearful, happy, sad and surprised, on scales from -1 to 1. The scales' middle
stands for neutral.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.model.predictor import Prediction
from avemo_ros.state.estimate import EmotionEstimate, Status
from avemo_ros.vision.face import Box

FROM_DISTRIBUTION: Final = "distribution"
"""`valence_arousal_source` of what `valence_arousal` computes."""

_POINTS: Final = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "neutral": (0.0, 0.0),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}
"""Valence and arousal of each of EMOTIONS."""


def valence_arousal(probabilities: Sequence[float]) -> tuple[float, float]:
    """Expected valence and arousal, -1 to 1, of probabilities in the order of EMOTIONS.

    They tell nothing that the distribution does not: two faces that the model takes for equally
    happy have the same valence, whoever smiles more.
    """
    shares = dict(zip(EMOTIONS, probabilities, strict=True))
    valence, arousal = (
        sum(share * _POINTS[emotion][axis] for emotion, share in shares.items())
        for axis in (0, 1)
    )
    return valence, arousal


@dataclass(frozen=True, slots=True)
class PersonWindow:
    """Who an estimate is about, and when."""

    stamp_ns: int
    window_start_ns: int
    model_id: str
    face_id: str = ""
    voice_id: str = ""
    person_id: str = ""
    box: Box | None = None
    speaking: bool = False
    speaking_score: float | None = None


def abstain(person: PersonWindow, status: Status) -> EmotionEstimate:
    """The state of a person without a label; `status` says why."""
    return _estimate(person, UNKNOWN, 0.0, (), (0.0, 0.0), status)


def decide(
    person: PersonWindow, prediction: Prediction, min_confidence: float
) -> EmotionEstimate:
    """The state of a person by a prediction.

    Below `min_confidence` (0 to 1) the distribution is given without a label.
    """
    shares = (prediction.face_share, prediction.voice_share)
    confidence = max(prediction.probabilities)
    label = EMOTIONS[prediction.probabilities.index(confidence)]
    if confidence < min_confidence:
        label, status = UNKNOWN, Status.UNCERTAIN
    elif prediction.face_share == 0.0:
        status = Status.NO_FACE
    elif prediction.voice_share == 0.0:
        status = Status.NO_VOICE
    else:
        status = Status.OK
    return _estimate(person, label, confidence, prediction.probabilities, shares, status)


def _estimate(
    person: PersonWindow,
    label: str,
    confidence: float,
    probabilities: tuple[float, ...],
    shares: tuple[float, float],
    status: Status,
) -> EmotionEstimate:
    valence, arousal = valence_arousal(probabilities) if probabilities else (0.0, 0.0)
    return EmotionEstimate(
        stamp_ns=person.stamp_ns,
        window_start_ns=person.window_start_ns,
        person_id=person.person_id,
        face_id=person.face_id,
        voice_id=person.voice_id,
        label=label,
        confidence=confidence,
        probabilities=probabilities,
        face_share=shares[0],
        voice_share=shares[1],
        status=status,
        box=person.box,
        speaking=person.speaking,
        speaking_score=person.speaking_score,
        model_id=person.model_id,
        valence=valence,
        arousal=arousal,
        valence_arousal_valid=bool(probabilities),
        valence_arousal_source=FROM_DISTRIBUTION if probabilities else "",
    )
