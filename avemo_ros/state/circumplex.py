"""Valence and arousal of a distribution over the emotions: read off a table, not measured.

Each emotion stands for the mean pleasure and arousal that people gave its adjective in Russell
and Mehrabian 1977, "Evidence for a three-factor theory of emotions", Journal of Research in
Personality 11 (3), 273-294, https://doi.org/10.1016/0092-6566(77)90037-X: of their table of 151
terms those for angry, disgusted, fearful, happy, sad and surprised, on scales from -1 to 1.
The scales' middle stands for neutral.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from avemo_ros.labels import EMOTIONS

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
