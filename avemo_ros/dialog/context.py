"""The emotional context of one moment of a conversation, for machines and for a prompt.

An emotion that is unknown or not sure enough gives no claim, in none of its forms.  The
paragraph holds no word that the person said: it goes into a system prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from avemo_ros.clock import to_s
from avemo_ros.dialog.situation import (
    Band,
    Engagement,
    Mismatch,
    Situation,
    Tone,
    Trend,
)
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import Change

PERSON: Final = "person"
ROBOT: Final = "robot"
"""Who said something."""


@dataclass(frozen=True, slots=True)
class Said:
    """Words of the conversation."""

    stamp_ns: int
    """When they were said [ns]."""
    speaker: str
    """PERSON or ROBOT."""
    text: str


@dataclass(frozen=True, slots=True)
class EmotionalContext:
    """How one person feels, how that has changed, and whether the words fit."""

    stamp_ns: int = 0
    """Moment that this is about, sensor time [ns]."""
    person: str = ""
    """Face id, or voice id of a voice without a face; "" where nobody is known."""
    label: str = UNKNOWN
    """Steady emotion: one of EMOTIONS, or 'unknown' where nothing is claimed."""
    confidence: float = 0.0
    """Of the label, 0 to 1; 0 for 'unknown'."""
    band: Band = Band.NONE
    since_s: float = 0.0
    """How long the label has been steady [s]; 0 for 'unknown'."""
    trend: Trend = Trend.UNKNOWN
    mood_per_s: float = 0.0
    """Slope of the mood, pleasant (1) to unpleasant (-1) [1/s]."""
    last_change: Change | None = None
    """The change to the present label, if it is recent; None for 'unknown'."""
    preceding: tuple[Said, ...] = ()
    """What was said last before that change: the person's words and the robot's answer."""
    turns_ago: int = 0
    """How many turns ago that was: 1 is the last one; 0 where nothing was said."""
    words: Tone = Tone.NEUTRAL
    engagement: Engagement = Engagement.UNKNOWN
    observed_s: float = 0.0
    """Time of the last seconds in which the person could be judged [s]."""

    @property
    def situation(self) -> Situation:
        """What a strategy is chosen by."""
        return Situation(self.label, self.band, self.trend, self.words, self.engagement)

    @property
    def mismatch(self) -> Mismatch:
        """Between words and what face and voice show."""
        return self.situation.mismatch

    @property
    def change_s(self) -> float:
        """How long ago the last change was [s]; 0 without one."""
        change = self.last_change
        return 0.0 if change is None else max(to_s(self.stamp_ns - change.stamp_ns), 0.0)

    def paragraph(self) -> str:
        """One paragraph of plain English for a system prompt."""
        return " ".join((*self._feeling(), *_ENGAGED[self.engagement]))

    def _feeling(self) -> list[str]:
        if self.label == UNKNOWN:
            return ["Nothing is known of how the person feels; assume nothing about it."]
        sure = "clearly" if self.band is Band.HIGH else "probably"
        told = [
            f"The person seems {_SEEMS[self.label]}, {sure} so (confidence "
            f"{self.confidence:.2f}), for {self.since_s:.0f} s now."
        ]
        change = self.last_change
        if change is not None:
            if change.previous != UNKNOWN:
                told.append(
                    f"Until {self.change_s:.0f} s ago they seemed {_SEEMS[change.previous]}, "
                    f"for {change.lasted_s:.0f} s."
                )
            if self.preceding:
                told.append(f"That came after your answer {_ago(self.turns_ago)}.")
        return [*told, *_MOVED[self.trend], *_MISMATCHED[self.mismatch]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; the names are stable, times are in seconds."""
        change = self.last_change
        return {
            "stamp": to_s(self.stamp_ns),
            "person": self.person,
            "emotion": self.label,
            "confidence": round(self.confidence, 3),
            "confidence_band": self.band.value,
            "since": round(self.since_s, 3),
            "trend": self.trend.value,
            "mood_per_second": round(self.mood_per_s, 4),
            "last_change": None
            if change is None
            else {
                "from": change.previous,
                "to": change.label,
                "lasted": round(change.lasted_s, 3),
                "ago": round(self.change_s, 3),
            },
            "preceded_by": [{"who": one.speaker, "text": one.text} for one in self.preceding],
            "words": self.words.value,
            "mismatch": self.mismatch.value,
            "engagement": self.engagement.value,
            "observed": round(self.observed_s, 3),
        }


def _ago(turns: int) -> str:
    return "before these words" if turns == 1 else f"{turns} answers ago"


_SEEMS: Final = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
_MOVED: Final = {
    Trend.IMPROVING: ("Their mood is getting better.",),
    Trend.STEADY: ("Their mood is steady.",),
    Trend.WORSENING: ("Their mood is getting worse.",),
    Trend.UNKNOWN: (),
}
_MISMATCHED: Final = {
    Mismatch.NONE: (),
    Mismatch.WORDS_BETTER: (
        "Their words sound pleasant, but face and voice do not: do not take the words alone.",
    ),
    Mismatch.WORDS_WORSE: (
        "Their words sound unpleasant, but face and voice do not: they may be joking.",
    ),
}
_ENGAGED: Final = {
    Engagement.ENGAGED: ("They are turned to you.",),
    Engagement.DISTRACTED: ("They are turned away from you.",),
    Engagement.ABSENT: ("They are not in view at the moment.",),
    Engagement.UNKNOWN: (),
}
