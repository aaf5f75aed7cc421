"""Checks every answer of a model for what it must not say to a person.

The checks work on words, so they also refuse some harmless answers: an offline one is then
said instead.  They find no paraphrase of which the lists hold no word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.language import find, phrase_of, places, sentences, tokens
from avemo_ros.labels import EMOTIONS

_YOU: Final = frozenset({"you", "your", "youre", "yours", "yourself", "youve", "youd", "youll"})
_OTHERS: Final = frozenset(
    {"i", "im", "ive", "id", "me", "we", "us", "he", "hes", "him", "she", "shes", "her"}
    | {"they", "theyre", "them"}
)
_BETWEEN: Final = frozenset(
    {"am", "is", "are", "was", "be", "been", "feel", "feels", "felt", "would", "will", "always"}
    | {"so", "very", "really", "quite", "just", "truly", "also", "too", "not", "a", "bit"}
)
"""Between somebody and what they feel: 'I am really happy for you', but not 'I see anger'."""
_SHOWS: Final = frozenset(
    {"feel", "feels", "feeling", "feelings", "seem", "seems", "sound", "sounds"}
    | {"look", "looks", "mood", "emotion", "emotions"}
)
_POINTS: Final = frozenset({"this", "that", "thats", "it", "its"})
_OPENING: Final = frozenset({"hear", "help", "see", "meet", "listen", "talk", "assist"})
"""'Happy to help you', 'Sad to hear that' speak of the robot."""
_LEAKED: Final = 6
"""So many words in a row of the system prompt are no chance."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Words that name emotions, and words of diagnoses."""

    names: Mapping[str, tuple[tuple[str, ...], ...]]
    """For each of EMOTIONS the phrases that name it."""
    clinical: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, names: Mapping[str, Iterable[str]], clinical: Iterable[str]) -> Guardrail:
        """From words for each of EMOTIONS, and words of diagnoses.

        A '*' at the end of a word stands for any ending.
        """
        return cls(
            {label: tuple(map(phrase_of, names[label])) for label in EMOTIONS},
            tuple(map(phrase_of, clinical)),
        )

    def refusal(self, answer: str, *, may_name: str, most: int, secret: str) -> str:
        """Why an answer must not be said; "" if it may.

        Args:
            answer: what a model wants to say.
            may_name: the one emotion that may be named to the person; "" for none.
            most: longest answer [characters].
            secret: the system prompt, of which nothing may be repeated.
        """
        if not tokens(answer):
            return "the answer has no words"
        if len(answer) > most:
            return (
                f"the answer has {len(answer)} characters; at most {most} are allowed "
                "(dialog.max_answer)"
            )
        if _repeats(answer, secret):
            return "the answer repeats its instructions"
        for sentence in sentences(answer):
            if self._diagnoses(sentence):
                return "the answer makes a clinical claim"
            for label in EMOTIONS:
                if label != may_name and self._names(sentence, label):
                    return "the answer names the person's emotion"
        return ""

    def named_in(self, text: str) -> str:
        """The first emotion that a text names, to whomever; "" if none."""
        words = tokens(text)
        for label, phrases in self.names.items():
            if any(find(phrase, words) >= 0 for phrase in phrases):
                return label
        return ""

    def is_clinical(self, text: str) -> bool:
        """Whether a text has a word of diagnoses, of whomever."""
        words = tokens(text)
        return any(find(phrase, words) >= 0 for phrase in self.clinical)

    def _diagnoses(self, sentence: tuple[str, ...]) -> bool:
        if (_YOU | _SHOWS | _POINTS).isdisjoint(sentence):
            return False
        return any(find(phrase, sentence) >= 0 for phrase in self.clinical)

    def _names(self, sentence: tuple[str, ...], label: str) -> bool:
        if (_YOU | _SHOWS).isdisjoint(sentence):
            return False
        return any(
            not _of_others(sentence, start, len(phrase))
            for phrase in self.names[label]
            for start in places(phrase, sentence)
        )


def _of_others(sentence: tuple[str, ...], start: int, width: int) -> bool:
    """Whether what is named is the robot's own, or that of somebody else."""
    after = sentence[start + width : start + width + 2]
    if start == 0 and len(after) == 2 and after[0] == "to" and after[1] in _OPENING:
        return True
    if sentence[:2] == ("ill", "be") and start > 1:
        return _BETWEEN.issuperset(sentence[2:start])  # I'll be
    for word in reversed(sentence[:start]):
        if word in _OTHERS:
            return True
        if word not in _BETWEEN:
            return False
    return False


def _repeats(answer: str, secret: str) -> bool:
    words, kept = tokens(answer), tokens(secret)
    runs = {kept[start : start + _LEAKED] for start in range(len(kept) - _LEAKED + 1)}
    return any(
        words[start : start + _LEAKED] in runs for start in range(len(words) - _LEAKED + 1)
    )
