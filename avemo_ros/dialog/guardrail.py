"""Checks every answer of a model for what it must not say to a person.

The checks work on words, so they also refuse some harmless answers: an offline one is then
said instead.  They find no paraphrase of which the lists hold no word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from avemo_ros.dialog.fields import Phrases
from avemo_ros.dialog.language import begins, find, phrase_of, places, sentences, tokens
from avemo_ros.labels import EMOTIONS
from avemo_ros.settings import Settings

_LEAKED: Final = 6
"""So many words in a row of the system prompt are no chance."""


class GuardrailWords(Settings):
    """Words that tell of whom a sentence speaks."""

    you: Phrases = Field(description="The person who is spoken to.")
    others: Phrases = Field(description="Somebody else, as the last words before an emotion.")
    between: Phrases = Field(description="Words that may stand between them and the emotion.")
    shows: Phrases = Field(description="A sentence with them tells how somebody feels.")
    points: Phrases = Field(description="A diagnosis in a sentence with them is the person's.")
    polite: Phrases = Field(
        (), description="After an emotion at the beginning of a sentence: the robot's own."
    )


_Words = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Words that name emotions, and words of diagnoses."""

    names: Mapping[str, _Words]
    """For each of EMOTIONS the phrases that name it."""
    clinical: _Words
    you_or_shows: _Words
    points: _Words
    others: _Words
    between: frozenset[str]
    polite: _Words

    @classmethod
    def of(
        cls,
        words: GuardrailWords,
        names: Mapping[str, Iterable[str]],
        clinical: Iterable[str],
    ) -> Guardrail:
        """From words for each of EMOTIONS, and words of diagnoses.

        A '*' at the end of a word stands for any ending.
        """
        return cls(
            names={label: tuple(map(phrase_of, names[label])) for label in EMOTIONS},
            clinical=tuple(map(phrase_of, clinical)),
            you_or_shows=tuple(map(phrase_of, (*words.you, *words.shows))),
            points=tuple(map(phrase_of, words.points)),
            others=tuple(map(phrase_of, words.others)),
            between=frozenset(word for text in words.between for word in tokens(text)),
            polite=tuple(map(phrase_of, words.polite)),
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
        about = _has(sentence, self.you_or_shows) or _has(sentence, self.points)
        return about and _has(sentence, self.clinical)

    def _names(self, sentence: tuple[str, ...], label: str) -> bool:
        return _has(sentence, self.you_or_shows) and any(
            not self._is_of_others(sentence, start, len(phrase))
            for phrase in self.names[label]
            for start in places(phrase, sentence)
        )

    def _is_of_others(self, sentence: tuple[str, ...], start: int, width: int) -> bool:
        """Whether what is named is the robot's own, or that of somebody else."""
        if start == 0 and any(begins(one, sentence[width:]) for one in self.polite):
            return True
        for place in range(start, 0, -1):
            before = sentence[:place]
            if any(before[-len(one) :] == one for one in self.others):
                return True
            if before[-1] not in self.between:
                return False
        return False


def _has(sentence: tuple[str, ...], phrases: _Words) -> bool:
    return any(find(phrase, sentence) >= 0 for phrase in phrases)


def _repeats(answer: str, secret: str) -> bool:
    words, kept = tokens(answer), tokens(secret)
    runs = {kept[start : start + _LEAKED] for start in range(len(kept) - _LEAKED + 1)}
    return any(
        words[start : start + _LEAKED] in runs for start in range(len(words) - _LEAKED + 1)
    )
