"""Words that the file knows an answer to, and what is true of the moment in which they come.

Small talk and questions about the robot are such subjects: phrases, and rows of texts of which
the first that fits the moment is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.template import FEELING, Template
from avemo_ros.dialog.words import phrase_of
from avemo_ros.labels import EMOTIONS, UNKNOWN

_CONDITIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "emotion": (*EMOTIONS, UNKNOWN),
    "person": ("sensed", "not_sensed"),
    "feeling": ("named", "not_named"),
    "worded_by": ("templates", "model"),
}


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


@dataclass(frozen=True, slots=True)
class TextRow:
    """Texts for some moments."""

    when: Mapping[str, frozenset[str]]
    """Allowed names by condition; a condition that is not there may be anything."""
    texts: tuple[Template, ...]

    @classmethod
    def read(cls, fields: Fields, least: int) -> TextRow:
        """From a row of the file.

        Raises:
            DialogError: a value is not allowed.
        """
        when = fields.conditions("when", _CONDITIONS)
        slots = _slots(when)
        texts = tuple(
            Template.read(text, fields, "texts", slots) for text in fields.texts("texts", least)
        )
        fields.finish()
        return cls(when, texts)

    def fits(self, moment: Moment) -> bool:
        """Whether every condition holds."""
        features = moment.features
        return all(features[name] in allowed for name, allowed in self.when.items())


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of words, and what is said to them."""

    name: str
    phrases: tuple[tuple[str, ...], ...]
    rows: tuple[TextRow, ...]
    forget: bool
    """Everything that is remembered of the person is forgotten with the answer."""
    by_model: bool
    """A language model words the answer, if there is one."""
    question: bool
    """Only words that end with a question mark are meant."""

    @classmethod
    def read(cls, name: str, fields: Fields, least: int) -> Subject:
        """From `words`, `says` and what else the file has of it.

        Args:
            name: of the subject.
            fields: its part of the file.
            least: texts that each row has to have.

        Raises:
            DialogError: a value is not allowed.
        """
        rows = tuple(TextRow.read(row, least) for row in fields.rows("says"))
        if rows[-1].when:
            fields.refuse("says", "a last row with 'when'", "a last row for all else, without")
        subject = cls(
            name,
            phrases(fields, "words"),
            rows,
            forget=fields.flag("forget", False),
            by_model=fields.flag("by_model", False),
            question=fields.flag("question", False),
        )
        fields.finish()
        return subject

    def texts(self, moment: Moment) -> list[str]:
        """What may be said at a moment."""
        row = next(row for row in self.rows if row.fits(moment))
        return [text.filled(moment.values) for text in row.texts]


def subjects(fields: Fields, least: int) -> tuple[Subject, ...]:
    """All subjects of a part of the file, in its order."""
    return tuple(Subject.read(name, fields.inner(name), least) for name in fields.names())


def phrases(fields: Fields, name: str) -> tuple[tuple[str, ...], ...]:
    """A list of phrases, each of one or more words.

    Raises:
        DialogError: one has no word.
    """
    texts = fields.texts(name)
    for text in texts:
        if not phrase_of(text):
            fields.refuse(name, text, "phrases of words")
    return tuple(phrase_of(text) for text in texts)


def all_texts(known: Iterable[Subject]) -> Iterator[tuple[str, Template]]:
    """Every text with the name of its subject."""
    for subject in known:
        for row in subject.rows:
            for text in row.texts:
                yield subject.name, text


def duration(seconds: float) -> str:
    """A time as it is spoken, e.g. '5 minutes'."""
    count, unit = (seconds, "second") if seconds < 120 else (seconds / 60, "minute")
    return f"{count:.0f} {unit}" + ("" if round(count) == 1 else "s")


def _slots(when: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The slots that are known wherever the conditions hold."""
    slots = ["turns", "silence", "memory"]
    if when.get("feeling") == frozenset(["named"]):
        slots.append(FEELING)
    if when.get("worded_by") == frozenset(["model"]):
        slots.append("model")
    return tuple(slots)
