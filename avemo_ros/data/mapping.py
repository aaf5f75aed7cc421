"""From the words of the data sets to the labels of this package.

Every loader turns its codes into one of the words below; what a word counts as is said here
and nowhere else.  `calm` is a class of its own for speech (SPEECH_CLASSES) and counts as
neutral among EMOTIONS.  Excitement counts as happy.  Boredom, contempt, frustration and
"something else" are none of the classes: such items are left out, and counted.
"""

from __future__ import annotations

from typing import Final

from avemo_ros.labels import SPEECH_CLASSES

WORDS: Final[dict[str, str | None]] = {
    "angry": "angry",
    "anger": "angry",
    "disgust": "disgust",
    "disgusted": "disgust",
    "fear": "fear",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "anxiety": "fear",
    "happy": "happy",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "excited": "happy",
    "excitement": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "sadness": "sad",
    "surprise": "surprise",
    "surprised": "surprise",
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
"""What each word counts as; None: none of the classes, left out."""


def label_of(word: str) -> str | None:
    """The label that `word` counts as, one of SPEECH_CLASSES; None: it is left out.

    Raises:
        KeyError: the word is not in WORDS.
    """
    return WORDS[word.strip().casefold()]


def words_of(label: str) -> tuple[str, ...]:
    """The words that count as `label`, which is one of SPEECH_CLASSES."""
    return tuple(word for word, counts_as in WORDS.items() if counts_as == label)


def in_order(labels: set[str] | frozenset[str]) -> tuple[str, ...]:
    """The labels in the order of SPEECH_CLASSES."""
    return tuple(label for label in SPEECH_CLASSES if label in labels)
