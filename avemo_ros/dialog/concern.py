"""What a person says that comes before everything else: danger, loss, illness, a wish to be
left alone.

The kinds stand in the strategies file in the order of their urgency, each with phrases in plain
words, and with phrases that mean something else ('my phone died').  docs/dialog.md says how
phrases are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field, model_validator

from avemo_ros.dialog.fields import Phrases, Style, Texts
from avemo_ros.dialog.phrase import BLOT, END, PhraseIndex, PhraseReader, Seen, Spelling
from avemo_ros.labels import EMOTIONS
from avemo_ros.settings import Line, OneOf, Settings, Text, refuse

HAND_OVER: Final = "hand_over"
"""The strategy's name in answers that pass a person on to people."""


class Concern(Settings):
    """One kind of sayings, and how they are met."""

    words: Phrases
    unless: Phrases = Field(
        (), description="Phrases that mean something else; they are looked for first."
    )
    hand_over: bool = Field(False, description="Pass the person on to people.")
    message: Line = Field("", description="Said when handing over, instead of crisis.message.")
    strategy: Line = Field("", description="How it is said, and what a language model is told.")
    intensity: float = Field(1.0, ge=0, le=1, description="How strongly.")
    by_model: bool = Field(
        True, description="Let a language model write the answer, if there is one."
    )
    guidance: Line = Field("", description="What else a language model is told.")
    texts: Texts = Field((), description="What the offline responder says.")
    then: Texts = Field(
        (), description="Said to what comes next, if that is of no kind itself."
    )
    mood: Annotated[str, OneOf(("", *EMOTIONS))] = Field(
        "", description="Emotion by which small talk is answered meanwhile; '': what is sensed."
    )
    lasts: int = Field(0, ge=0, le=100, description="For how many turns.")
    source: Text = Field(description="Published guidance, or 'design choice'.")

    @model_validator(mode="after")
    def _have_an_answer(self) -> Concern:
        if self.hand_over:
            return self
        if not self.strategy:
            refuse(("strategy",), self.strategy, "a strategy, unless hand_over is true")
        if len(self.texts) < 2:
            refuse(("texts",), list(self.texts), "a list of 2 or more texts")
        return self


@dataclass(frozen=True, slots=True)
class FoundConcern:
    """What was recognised."""

    name: str
    """Of the kind."""
    concern: Concern
    phrase: str
    """As it stands in the file."""
    words: str
    """That fit it, in lower case and without contractions."""


class Concerns(Settings):
    """Kinds of sayings in the order of their urgency."""

    same: Mapping[str, Texts] = Field(
        {}, description="By the way that phrases use, other ways to write or say it."
    )
    skipped: Texts = Field((), description="Words that are passed over.")
    mended: Texts = Field((), description="Words that are recognised with one letter wrong.")
    correct: Texts = Field(
        (), description="Words that look like misspelt ones of `mended`, and are not."
    )
    lists: Mapping[str, Texts] = Field({}, description="Words that phrases name as <list>.")
    kinds: Annotated[Mapping[str, Concern], Field(min_length=1)]

    @model_validator(mode="after")
    def _be_read(self) -> Concerns:
        _ = self._recogniser
        return self

    @cached_property
    def _recogniser(self) -> tuple[Spelling, tuple[_Rules, ...]]:
        spelling = Spelling(self.same, self.skipped)
        reader = PhraseReader(spelling, self.lists)
        rules = tuple(_Rules(name, one, reader) for name, one in self.kinds.items())
        spelling.learn(reader.known | set(self.correct), self.mended)
        return spelling, rules

    def find(self, text: str) -> FoundConcern | None:
        """The most urgent kind that a person's words are of; None for all else.

        The first 100,000 characters count.
        """
        spelling, rules = self._recogniser
        sentences = [(sentence, Seen()) for sentence in spelling.sentences(text)]
        found = (one.find(*sentence) for one in rules for sentence in sentences)
        return next(filter(None, found), None)


class _Rules:
    """The phrases of one kind."""

    def __init__(self, name: str, concern: Concern, reader: PhraseReader) -> None:
        self._name, self._concern = name, concern
        self._wanted = PhraseIndex(
            reader.phrase(phrase, ("kinds", name, "words", number))
            for number, phrase in enumerate(concern.words)
        )
        self._others = PhraseIndex(
            reader.phrase(phrase, ("kinds", name, "unless", number))
            for number, phrase in enumerate(concern.unless)
        )

    def find(self, sentence: tuple[str, ...], seen: Seen) -> FoundConcern | None:
        if next(self._wanted.matches(sentence, sentence, seen), None) is None:
            return None
        left = list(sentence)
        for _, start, end in self._others.matches(sentence, sentence, seen):
            for place in range(start, end):
                left[place] = BLOT if left[place] != END else END
        match = next(self._wanted.matches(left, sentence, {}), None)
        if match is None:
            return None
        phrase, start, end = match
        said = " ".join(word for word in sentence[start:end] if word != END)
        return FoundConcern(self._name, self._concern, phrase.text, said)


class Crisis(Settings):
    """What is said when a person is handed over."""

    message: Text
    again: Texts = Field(
        (), description="Said instead, if the message was said in the last turns."
    )
    style: Style
    gesture: Line = ""
