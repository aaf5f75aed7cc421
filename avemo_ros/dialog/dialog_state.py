"""The state that a strategy is chosen by: a few coarse, named features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Final

from avemo_ros.labels import EMOTIONS, UNKNOWN

POSITIVE: Final = frozenset({"happy"})
NEGATIVE: Final = frozenset({"angry", "disgust", "fear", "sad"})
"""Which emotions feel good and which bad; neutral and surprise are neither."""


class Band(Enum):
    """How sure the steady emotion is."""

    NONE = "none"
    """Nothing is claimed; the emotion is 'unknown'."""
    MEDIUM = "medium"
    HIGH = "high"


class Trend(Enum):
    """Where the mood goes: probability of pleasant emotions less that of unpleasant ones."""

    IMPROVING = "improving"
    STEADY = "steady"
    WORSENING = "worsening"
    UNKNOWN = "unknown"


class Tone(Enum):
    """What the words alone say, by a small lexicon."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Mismatch(Enum):
    """Words and what face and voice show do not go together."""

    NONE = "none"
    WORDS_BETTER = "words_better"
    """Pleasant words with an unpleasant emotion: politeness, irony, hiding."""
    WORDS_WORSE = "words_worse"
    """Unpleasant words with a pleasant emotion: joking, playing down."""


class Engagement(Enum):
    """Whether the person is with the robot."""

    ENGAGED = "engaged"
    """Speaks, or faces the robot."""
    DISTRACTED = "distracted"
    """In view, but silent and turned away or not to be read."""
    ABSENT = "absent"
    """Neither seen nor heard."""
    UNKNOWN = "unknown"
    """No states, or old ones."""


@dataclass(frozen=True, slots=True)
class DialogState:
    """The features of one moment."""

    emotion: str = UNKNOWN
    """One of EMOTIONS, or 'unknown'."""
    confidence: Band = Band.NONE
    trend: Trend = Trend.UNKNOWN
    words: Tone = Tone.NEUTRAL
    engagement: Engagement = Engagement.UNKNOWN

    @property
    def mismatch(self) -> Mismatch:
        """Between words and emotion."""
        if self.words is Tone.POSITIVE and self.emotion in NEGATIVE:
            return Mismatch.WORDS_BETTER
        if self.words is Tone.NEGATIVE and self.emotion in POSITIVE:
            return Mismatch.WORDS_WORSE
        return Mismatch.NONE


def mood_of(probabilities: tuple[float, ...]) -> float:
    """Pleasant less unpleasant, -1 to 1 for a distribution; of slopes their common slope.

    Args:
        probabilities: in the order of EMOTIONS; empty gives 0.
    """
    signs = [(label in POSITIVE) - (label in NEGATIVE) for label in EMOTIONS]
    return sum(sign * value for sign, value in zip(signs, probabilities, strict=False))


def all_states() -> Iterator[DialogState]:
    """Every situation that can be: an unknown emotion has neither confidence nor trend."""
    for words, engagement in product(Tone, Engagement):
        yield DialogState(UNKNOWN, Band.NONE, Trend.UNKNOWN, words, engagement)
        for emotion, band, trend in product(EMOTIONS, (Band.MEDIUM, Band.HIGH), Trend):
            yield DialogState(emotion, band, trend, words, engagement)
