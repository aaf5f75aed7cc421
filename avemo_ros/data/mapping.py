"""From the words of the data sets to the labels of this package.

Every loader turns its codes into one of WORDS; what a word counts as is said there and nowhere
else.  Items of a word that is none of the classes are left out, and counted.
"""

from __future__ import annotations

from avemo_ros.labels import SPEECH_CLASSES, WORDS


def label_of(word: str) -> str | None:
    """The label that `word` counts as, one of SPEECH_CLASSES; None: it is left out.

    Raises:
        KeyError: the word is not in WORDS.
    """
    return WORDS[word.strip().casefold()]


def in_order(labels: set[str] | frozenset[str]) -> tuple[str, ...]:
    """The labels in the order of SPEECH_CLASSES."""
    return tuple(label for label in SPEECH_CLASSES if label in labels)
