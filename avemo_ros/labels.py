"""The emotion classes, in the order of every probability vector of this package."""

from __future__ import annotations

from typing import Final

EMOTIONS: Final[tuple[str, ...]] = (
    "angry",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
)
"""Labels of the published distribution: alphabetical, the order of AFEW."""

SPEECH_CLASSES: Final[tuple[str, ...]] = (*EMOTIONS, "calm")
"""Classes of the speech branch: RAVDESS tells calm from neutral, the robot does not."""

UNKNOWN: Final = "unknown"
"""The label where no claim can be made."""

SPEECH_TO_EMOTION: Final[tuple[int, ...]] = (*range(len(EMOTIONS)), EMOTIONS.index("neutral"))
"""For each of SPEECH_CLASSES the index in EMOTIONS that it counts as (calm as neutral)."""
