"""Words that the file knows an answer to, and what is true of the moment in which they come.

Small talk and questions about the robot are such subjects: phrases, and rows of texts of which
the first that fits the moment is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from avemo_ros.dialog.fields import Conditions, Phrases, SomeOf
from avemo_ros.dialog.template import FEELING, Template, Templates
from avemo_ros.dialog.words import phrase_of
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.settings import Allowed, ListOf, Settings, refuse


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


class TextRow(Settings):
    """Texts for some moments."""

    when: MomentConditions = MomentConditions()
    texts: Templates

    @model_validator(mode="after")
    def _have_only_slots_that_are_known(self) -> TextRow:
        for number, text in enumerate(self.texts):
            text.check(("texts", number), _slots(self.when))
        return self


class Subject(Settings):
    """One kind of words, and what is said to them."""

    words: Phrases
    says: Annotated[ListOf[TextRow], Field(min_length=1), Allowed("a list of one or more rows")]
    forget: bool = Field(
        False,
        description="Everything that is remembered of the person is forgotten with the answer.",
    )
    by_model: bool = Field(
        False, description="A language model words the answer, if there is one."
    )
    question: bool = Field(
        False, description="Only words that end with a question mark are meant."
    )
    _name: str = PrivateAttr("")

    @model_validator(mode="after")
    def _know_an_answer_to_all_else(self) -> Subject:
        if self.says[-1].when.given:
            refuse(("says",), "a last row with 'when'", "a last row for all else, without")
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


def _with_names(subjects: Mapping[str, Subject]) -> Mapping[str, Subject]:
    for name, subject in subjects.items():
        subject._name = name  # noqa: SLF001  they are just being made
    return subjects


Subjects = Annotated[Mapping[str, Subject], AfterValidator(_with_names)]
"""By name, in the order of the file."""


def all_texts(known: Iterable[Subject]) -> Iterator[tuple[str, Template]]:
    """Every text with the name of its subject."""
    for subject in known:
        for row in subject.says:
            for text in row.texts:
                yield subject.name, text


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
