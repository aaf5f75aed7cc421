"""A person's emotion as a hidden state that is followed through evidence in time.

The forward algorithm of a hidden Markov model (Rabiner 1989, Proc. IEEE 77(2), section III.A)
in continuous time.  Between two moments the emotion may have become any other one; then the
network's answer for the newest short window is taken as evidence:

    b = stay b + (1 - stay) / 7,   stay = exp(-dt / T)
    b = b p^(dt / T), normalised

Windows of successive steps overlap, so one answer counts in proportion to the time that it
stands for, not in full: the power is a tempered likelihood (Grünwald 2012, "The safe
Bayesian").  It also makes the result independent of the rate of steps.  With the same T in both
lines, lasting evidence is believed about as much as the network believes it: three seconds of
"perhaps angry" do not become "surely angry".
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from avemo_ros.labels import EMOTIONS
from avemo_ros.model.predictor import Prediction
from avemo_ros.timing import to_ns, to_s

_LONGEST_NS: Final = to_ns(0.5)
"""One answer stands for at most this time, however long ago the one before was."""
_FLOOR: Final = 1e-3
"""Least probability that counts: one answer that is dead sure does not outweigh seconds."""
_LEAST_SHARE: Final = 0.05
"""Of face or voice; with less it counts as forgotten."""


class EmotionFilter:
    """One person's distribution; knows nothing of anybody else.

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
