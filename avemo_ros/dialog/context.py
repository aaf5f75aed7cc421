"""The emotional context of one moment of a conversation, for machines and for a prompt.

An emotion that is unknown or not sure enough gives no claim, in none of its forms.  The
paragraph holds no word that the person said: it goes into a system prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from avemo_ros.dialog.situation import (
    Band,
    Engagement,
    Mismatch,
    Situation,
    Tone,
    Trend,
)
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.steady import Change

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
    preceding: Said | None = None
    """What was said last before that change, by whom."""
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
        return 0.0

    def paragraph(self) -> str:
        """One paragraph of plain English for a system prompt."""
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; names are stable."""
        return {}
