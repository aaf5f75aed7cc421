"""What a person's words ask for where the answer is configured: a question about the robot,
small talk, another language.

Each has its phrases and its texts in the strategies file.  Questions about the robot come
before the policy's rules, small talk words the offline answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from avemo_ros.dialog.fields import (
    ANSWER,
    FEELING,
    Conditions,
    Phrases,
    SomeOf,
    Style,
    Template,
    Templates,
    Texts,
    TwoTexts,
)
from avemo_ros.dialog.language import begins, phrase_of, sentences, tokens
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.settings import Allowed, Line, ListOf, Settings, refuse


class MomentConditions(Conditions):
    """When a row of texts is said."""

    emotion: Annotated[frozenset[str], SomeOf((*EMOTIONS, UNKNOWN))] = frozenset()
    person: Annotated[frozenset[str], SomeOf(("sensed", "not_sensed"))] = frozenset()
    feeling: Annotated[frozenset[str], SomeOf(("named", "not_named"))] = frozenset()
    worded_by: Annotated[frozenset[str], SomeOf(("templates", "model"))] = frozenset()


@dataclass(frozen=True, slots=True)
class Moment:
    """What decides which text is true."""

    emotion: str = UNKNOWN
    """Steady emotion that is taken into account, or 'unknown'."""
    sensed: bool = False
    """The person is seen or heard."""
    feeling: str = ""
    """How the person may be said to feel; "" if nothing may be said."""
    model: str = ""
    """Name of the language model that words the answers; "" for none."""
    turns: int = 0
    """Turns that are remembered at most."""
    keep_s: float = 0.0
    """Silence after which the conversation is forgotten [s]."""
    memory_s: float = 0.0
    """How long estimates are remembered [s]."""

    @property
    def features(self) -> Mapping[str, str]:
        """By condition its name."""
        return {
            "emotion": self.emotion,
            "person": "sensed" if self.sensed else "not_sensed",
            "feeling": "named" if self.feeling else "not_named",
            "worded_by": "model" if self.model else "templates",
        }

    @property
    def values(self) -> Mapping[str, str]:
        """What fills the slots of texts about the robot."""
        return {
            "feeling": self.feeling,
            "model": self.model,
            "turns": "1 turn" if self.turns == 1 else f"{self.turns} turns",
            "silence": duration(self.keep_s),
            "memory": duration(self.memory_s),
        }


class TextRule(Settings):
    """Texts for some moments."""

    when: MomentConditions = MomentConditions()
    texts: Templates

    @model_validator(mode="after")
    def _have_only_slots_that_are_known(self) -> TextRule:
        for number, text in enumerate(self.texts):
            text.check(("texts", number), _slots(self.when))
        return self


class Intent(Settings):
    """One kind of words, and what is said to them."""

    words: Phrases
    says: Annotated[
        ListOf[TextRule], Field(min_length=1), Allowed("a list of one or more rows")
    ]
    forget: bool = Field(
        False,
        description="Forget everything about the person after the answer.",
    )
    by_model: bool = Field(
        False, description="Let a language model write the answer, if there is one."
    )
    question: bool = Field(False, description="Match only words that end with a question mark.")
    _name: str = PrivateAttr("")

    @model_validator(mode="after")
    def _know_an_answer_to_all_else(self) -> Intent:
        if self.says[-1].when.given:
            refuse(
                ("says",), "a last row with 'when'", "a last row for everything else, without"
            )
        return self

    @property
    def name(self) -> str:
        """Under which it stands in the file."""
        return self._name

    @cached_property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """The words, each phrase word by word."""
        return tuple(map(phrase_of, self.words))

    def texts(self, moment: Moment) -> list[str]:
        """What may be said at a moment."""
        row = next(row for row in self.says if row.when.fits(moment.features))
        return [text.filled(moment.values) for text in row.texts]


def _with_names(subjects: Mapping[str, Intent]) -> Mapping[str, Intent]:
    for name, intent in subjects.items():
        intent._name = name  # noqa: SLF001  they are just being made
    return subjects


Subjects = Annotated[Mapping[str, Intent], AfterValidator(_with_names)]
"""By name, in the order of the file."""


def all_texts(known: Iterable[Intent]) -> Iterator[tuple[str, Template]]:
    """Every text with the name of its subject."""
    for intent in known:
        for row in intent.says:
            for text in row.texts:
                yield intent.name, text


def duration(seconds: float) -> str:
    """A time as it is spoken, e.g. '5 minutes'."""
    count, unit = (seconds, "second") if seconds < 120 else (seconds / 60, "minute")
    return f"{count:.0f} {unit}" + ("" if round(count) == 1 else "s")


def _slots(when: MomentConditions) -> tuple[str, ...]:
    """The slots that are known wherever the conditions hold."""
    slots = ["turns", "silence", "memory"]
    if when.feeling == frozenset(["named"]):
        slots.append(FEELING)
    if when.worded_by == frozenset(["model"]):
        slots.append("model")
    return tuple(slots)


INFORM: Final = "inform"
"""The strategy's name in answers about the robot."""
_MOST_OPENINGS: Final = 6
"""Words that are nothing but openings need not be taken apart to their end."""


class AboutRobot(Settings):
    """The questions, and how they are answered."""

    subjects: Subjects = Field({})
    openings: Phrases = Field(
        (),
        description=("Words that may precede a question: 'hey', 'please', 'tell me'."),
    )
    again: Templates = Field(
        (), description="How an answer is said once more soon after; {answer} is the answer."
    )
    style: Style = Style()
    gesture: Line = ""

    @model_validator(mode="after")
    def _say_the_answer_again(self) -> AboutRobot:
        for number, text in enumerate(self.again):
            text.check(("again", number), (ANSWER,))
        return self

    @cached_property
    def _begins(self) -> tuple[tuple[str, ...], ...]:
        return tuple(map(phrase_of, self.openings))

    def find(self, text: str) -> Intent | None:
        """What is asked of the robot, the first of the subjects; None where nothing is."""
        asked = [part for sentence in sentences(text) for part in self._parts(sentence)]
        question = text.rstrip().endswith("?")
        for intent in self.subjects.values():
            if intent.question and not question:
                continue
            if any(begins(phrase, one) for one in asked for phrase in intent.phrases):
                return intent
        return None

    def rules(self, text: str) -> Intent | None:
        """The same, where not even a language model may word the answer."""
        found = self.find(text)
        return None if found is None or found.by_model else found

    def _parts(self, sentence: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The sentence, and what is left of it after each of its openings."""
        parts = [sentence]
        while len(parts) <= _MOST_OPENINGS:
            left = parts[-1]
            sizes = [len(phrase) for phrase in self._begins if begins(phrase, left)]
            if not sizes:
                break
            parts.append(left[max(sizes) :])
        return parts


_LONGEST: Final = 30
"""Words beyond which it is no small talk any more, however often they are said."""


class SmallTalk(Settings):
    """What is recognised, and the words that may stand beside it."""

    kinds: Subjects = Field(
        {}, description="If several kinds match, the first of these counts."
    )
    fillers: Phrases = ()

    @model_validator(mode="after")
    def _alternate(self) -> SmallTalk:
        for name, kind in self.kinds.items():
            for number, row in enumerate(kind.says):
                if len(row.texts) < 2:
                    texts = [text.text for text in row.texts]
                    place = ("kinds", name, "says", number, "texts")
                    refuse(place, texts, "a list of 2 or more texts")
        return self

    @cached_property
    def _filling(self) -> tuple[tuple[str, ...], ...]:
        return tuple(map(phrase_of, self.fillers))

    def find(self, text: str) -> Intent | None:
        """The kind of words that are nothing but small talk; None for all else."""
        left = tokens(text)
        if len(left) > _LONGEST:
            return None
        found: set[str] = set()
        while left:
            # The longest phrase: 'thanks for listening' is more than 'thanks'.
            sizes = {
                len(phrase): kind.name
                for kind in reversed(list(self.kinds.values()))
                for phrase in kind.phrases
                if begins(phrase, left)
            }
            fillers = [len(phrase) for phrase in self._filling if begins(phrase, left)]
            size = max([*sizes, *fillers], default=0)
            if size == 0:
                return None
            if size in sizes:
                found.add(sizes[size])
            left = left[size:]
        return next((kind for kind in self.kinds.values() if kind.name in found), None)


_LEAST: Final = 2
"""One word of the list may be a name or a loan."""


class ForeignWords(Settings):
    """Frequent words of other languages that the table's own does not have."""

    words: Texts = ()
    texts: TwoTexts = ()

    @cached_property
    def tokens(self) -> frozenset[str]:
        """All of the words, one by one."""
        return frozenset(word for text in self.words for word in tokens(text))

    def found_in(self, text: str) -> bool:
        """Whether words are two of the list or more, none but those, or of another script.

        Nothing is found where the file gives no list.
        """
        words = tokens(text)
        if not self.tokens or not words:
            return False
        known = [word for word in words if word in self.tokens]
        if len(known) >= _LEAST or len(known) == len(words):
            return True
        letters = [sign for word in words for sign in word if sign.isalpha()]
        return bool(letters) and not any(sign.isascii() for sign in letters)
