"""From the network's answers to a label, or to the reason why there is none.

The answers for one person are filtered in time, then the result is certain enough or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.model.predictor import Prediction
from avemo_ros.state.estimate import EmotionEstimate, Status
from avemo_ros.timing import to_ns, to_s
from avemo_ros.vision.face import Box

_LONGEST_NS: Final = to_ns(0.5)
"""One answer stands for at most this time, however long ago the one before was."""
_FLOOR: Final = 1e-3
"""Least probability that counts: one answer that is dead sure does not outweigh seconds."""
_LEAST_SHARE: Final = 0.05
"""Of face or voice; with less it counts as forgotten."""


class EmotionFilter:
    """One person's emotion as a hidden state that is followed through evidence in time.

    It knows nothing of anybody else.  The forward algorithm of a hidden Markov model (Rabiner
    1989, Proc. IEEE 77(2), section III.A) in continuous time.  Between two moments the emotion
    may have become any other one; then the network's answer for the newest short window is
    taken as evidence:

        b = stay b + (1 - stay) / 7,   stay = exp(-dt / T)
        b = b p^(dt / T), normalised

    Windows of successive steps overlap, so one answer counts in proportion to the time that it
    stands for, not in full: the power is a tempered likelihood (Grünwald 2012, "The safe
    Bayesian").  It also makes the result independent of the rate of steps.  With the same T in
    both lines, lasting evidence is believed about as much as the network believes it: three
    seconds of "perhaps angry" do not become "surely angry".

    Args:
        time_constant_s: T above [s]; longer is steadier and follows later; 0: only the newest
            evidence counts.
        hold_s: T while there is no evidence: what is known fades more slowly than it is
            overruled [s].
    """

    def __init__(self, time_constant_s: float, hold_s: float) -> None:
        self._time_constant_s = time_constant_s
        self._hold_s = hold_s
        self.clear()

    def clear(self) -> None:
        """Know nothing."""
        self._belief = np.full(len(EMOTIONS), 1.0 / len(EMOTIONS))
        self._newest: Prediction | None = None
        self._face_share = 0.0
        self._stamp_ns: int | None = None

    def push(self, stamp_ns: int, evidence: Prediction | None) -> Prediction | None:
        """Go on to a moment.

        Args:
            stamp_ns: of the moment [ns]; one that goes back starts from nothing.
            evidence: the network's answer for the newest window; None without any.

        Returns:
            The distribution at that moment, with the shares that face and voice have in
            it; None before any evidence.
        """
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self.clear()
        # The first answer is about a time before it, too.
        first = self._newest is None
        passed_ns = _LONGEST_NS if first else stamp_ns - (self._stamp_ns or 0)
        self._stamp_ns = stamp_ns
        lasting_s = self._hold_s if evidence is None else self._time_constant_s
        stay = math.exp(-to_s(passed_ns) / lasting_s) if lasting_s else 0.0
        belief = stay * self._belief + (1.0 - stay) / len(EMOTIONS)
        if evidence is not None:
            stands_s = to_s(min(passed_ns, _LONGEST_NS))
            power = stands_s / self._time_constant_s if self._time_constant_s else 1.0
            belief *= np.maximum(evidence.probabilities, _FLOOR) ** power
            old = 0.0 if first else stay
            self._face_share = old * self._face_share + (1.0 - old) * evidence.face_share
            self._newest = evidence
        self._belief = belief / belief.sum()
        if self._newest is None:
            return None
        face = self._face_share
        face = 0.0 if face < _LEAST_SHARE else 1.0 if face > 1.0 - _LEAST_SHARE else face
        return Prediction(
            tuple(self._belief.tolist()), face, 1.0 - face, self._newest.frame_weights
        )


FROM_DISTRIBUTION: Final = "distribution"
"""`valence_arousal_source` of what `valence_arousal` computes."""

_CIRCUMPLEX: Final = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "neutral": (0.0, 0.0),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}
"""Valence and arousal of each of EMOTIONS."""
assert tuple(_CIRCUMPLEX) == EMOTIONS


def valence_arousal(probabilities: Sequence[float]) -> tuple[float, float]:
    """Expected valence and arousal, -1 to 1, of probabilities in the order of EMOTIONS.

    They tell nothing that the distribution does not: two faces that the model takes for equally
    happy have the same valence, whoever smiles more.

    Both are read off a table, not measured.  Each emotion stands for the mean pleasure and
    arousal that people gave its adjective in Russell and Mehrabian 1977, "Evidence for a
    three-factor theory of emotions", Journal of Research in Personality 11 (3), 273-294,
    https://doi.org/10.1016/0092-6566(77)90037-X: of their table of 151 terms those for angry,
    disgusted, fearful, happy, sad and surprised, on scales from -1 to 1.  The scales' middle
    stands for neutral.
    """
    shares = dict(zip(EMOTIONS, probabilities, strict=True))
    valence, arousal = (
        sum(share * _CIRCUMPLEX[emotion][axis] for emotion, share in shares.items())
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
