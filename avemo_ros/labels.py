"""The emotion classes, in the order of every probability vector, and the words for them."""

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

FACE_CLASSES: Final[tuple[str, ...]] = (*EMOTIONS, "contempt")
"""Classes of FER+, which has contempt besides; the robot does not tell it."""

LABELS: Final[tuple[str, ...]] = (*SPEECH_CLASSES, "contempt")
"""Everything that an item can be labelled."""

UNKNOWN: Final = "unknown"
"""The label where no claim can be made."""

SPEECH_TO_EMOTION: Final[tuple[int, ...]] = (*range(len(EMOTIONS)), EMOTIONS.index("neutral"))
"""For each of SPEECH_CLASSES the index in EMOTIONS that it counts as (calm as neutral)."""

WORDS: Final[dict[str, str | None]] = {
    "angry": "angry",
    "anger": "angry",
    "furious": "angry",
    "annoyed": "angry",
    "disgust": "disgust",
    "disgusted": "disgust",
    "revulsion": "disgust",
    "fear": "fear",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "anxiety": "fear",
    "anxious": "fear",
    "frightened": "fear",
    "terrified": "fear",
    "happy": "happy",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "excited": "happy",
    "excitement": "happy",
    "glad": "happy",
    "cheerful": "happy",
    "amused": "happy",
    "delighted": "happy",
    "neutral": "neutral",
    "no emotion": "neutral",
    "sad": "sad",
    "sadness": "sad",
    "unhappy": "sad",
    "sorrow": "sad",
    "surprise": "surprise",
    "surprised": "surprise",
    "astonished": "surprise",
    "amazed": "surprise",
    "startled": "surprise",
    "calm": "calm",
    "boredom": None,
    "bored": None,
    "contempt": None,
    "frustration": None,
    "frustrated": None,
    "other": None,
    "unknown": None,
    "no agreement": None,
    "not a face": None,
}
"""What each word counts as; None: none of the classes, left out.

`calm` is a class of its own for speech (SPEECH_CLASSES) and counts as neutral among EMOTIONS.
Excitement counts as happy.  Boredom, contempt, frustration and "something else" are none of
the classes.
"""
