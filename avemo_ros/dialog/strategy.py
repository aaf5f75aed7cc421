"""From a situation to a strategy, by a table that a designer edits (config/dialog.yaml).

The first row that fits wins.  The file is checked whole when it is read: names, ranges, a last
row that fits everything, and that every row can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from avemo_ros.dialog.about_robot import INFORM, AboutRobot
from avemo_ros.dialog.crisis import HAND_OVER, Crisis
from avemo_ros.dialog.fields import Texts, TwoTexts, read_file
from avemo_ros.dialog.foreign import Foreign
from avemo_ros.dialog.prosody import Style
from avemo_ros.dialog.row import NAME, Gesture, Row, check_rows
from avemo_ros.dialog.screen import Screen
from avemo_ros.dialog.situation import Situation
from avemo_ros.dialog.small_talk import SmallTalk
from avemo_ros.dialog.subject import Subject, all_texts
from avemo_ros.dialog.template import Template, Templates
from avemo_ros.dialog.valence import Lexicon
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS
from avemo_ros.settings import Allowed, ListOf, OneOf, Settings, Text, refuse

ASK: Final = "ask"
"""The strategy for words that cannot be understood; every table has it."""
_FILE: Final = "dialog.yaml"
_LANGUAGE: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
_TAKEN: Final = (HAND_OVER, INFORM)
"""Names that the dialog itself gives to answers."""


def _strategy_name(name: str) -> str:
    if not NAME.fullmatch(name) or name in _TAKEN:
        raise ValueError(name)
    return name


class Strategy(Settings):
    """One way to answer."""

    guidance: Text = Field(description="What a language model is told to do.")
    style: Style = Field(description="Speaking style at full intensity.")
    gesture: Gesture = ""
    source: Text = Field(description="Published work that speaks for it, or 'design choice'.")
    templates: Templates = Field(description="What the offline responder says.")

    @model_validator(mode="after")
    def _always_know_two_answers(self) -> Strategy:
        for number, one in enumerate(self.templates):
            one.check(("templates", number))
        if sum(not one.slots for one in self.templates) < 2:
            texts = [one.text for one in self.templates]
            refuse(("templates",), texts, "two or more texts without {slots}")
        return self


@dataclass(frozen=True, slots=True)
class Choice:
    """What the table says to a situation."""

    strategy: str
    intensity: float
    """0 to 1."""
    style: Style
    """The strategy's, scaled by the intensity."""
    gesture: str
    row: int
    """The row's number, from 1."""
    source: str


class StrategyTable(Settings):
    """Everything that config/dialog.yaml says."""

    language: Annotated[str, Field(pattern=_LANGUAGE), Allowed("a tag such as en or en-GB")] = (
        Field(description="BCP 47 tag of what is said.")
    )
    valence: Text = Field(description="File of the lexicon, beside this one.")
    strategies: Mapping[
        Annotated[
            str,
            AfterValidator(_strategy_name),
            Allowed(f"names such as de_escalate, none of them {' or '.join(_TAKEN)}"),
        ],
        Strategy,
    ]
    table: Annotated[ListOf[Row], Field(min_length=1), Allowed("a list of one or more rows")]
    unheard: TwoTexts = Field(description="What is said to words that are empty.")
    feelings: Mapping[Annotated[str, OneOf(EMOTIONS)], Text] = Field(
        description="How an emotion is named to a person, for templates with {feeling}."
    )
    # A table of one's own may leave these out.
    small_talk: SmallTalk = SmallTalk()
    about_robot: AboutRobot = AboutRobot()
    foreign: Foreign = Foreign()
    crisis: Crisis
    emotion_words: Mapping[Annotated[str, OneOf(EMOTIONS)], Texts]
    clinical_words: Texts
    _lexicon: Lexicon = PrivateAttr(Lexicon({}, frozenset()))

    @classmethod
    def read(cls, path: str | Path | None = None) -> StrategyTable:
        """From a YAML file.

        Args:
            path: None or "" takes the one that comes with the package.

        Raises:
            DialogError: the file or its lexicon cannot be read, or a value is not allowed.
        """
        file = Path(path) if path else default_path()
        table = read_file(file, cls)
        table._lexicon = Lexicon.read(file.parent / table.valence)  # noqa: SLF001  its own
        return table

    @property
    def rows(self) -> tuple[Row, ...]:
        """Of the table."""
        return self.table

    @property
    def lexicon(self) -> Lexicon:
        """Pleasant and unpleasant words."""
        return self._lexicon

    @cached_property
    def screen(self) -> Screen:
        """What an answer must not say."""
        return Screen.of(self.emotion_words, self.clinical_words)

    @model_validator(mode="after")
    def _go_together(self) -> StrategyTable:
        if ASK not in self.strategies:
            refuse(("strategies",), list(self.strategies), f"names, one of them '{ASK}'")
        for label in EMOTIONS:
            if label not in self.emotion_words:
                refuse(("emotion_words", label), None, "a list of 1 or more texts")
        check_rows(self.table, self.strategies)
        self._keep_limits()
        return self

    def _keep_limits(self) -> None:
        """Make sure that no template names an emotion or a diagnosis by itself."""
        texts: list[tuple[tuple[str, ...], Template]] = [
            (("strategies", name, "templates"), template)
            for name, strategy in self.strategies.items()
            for template in strategy.templates
        ]
        for part, subjects in (
            (("small_talk", "kinds"), self.small_talk.kinds),
            (("about_robot", "subjects"), self.about_robot.subjects),
        ):
            texts += [((*part, name), text) for name, text in all_texts(subjects.values())]
        for place, template in texts:
            if self.screen.refusal(template.text, may_name="", most=10**6, secret=""):
                refuse(
                    place,
                    template.text,
                    "texts without words of emotion_words or clinical_words to the person "
                    "({feeling} names an emotion where the confidence allows it)",
                )

    def choose(self, situation: Situation) -> Choice:
        """What to do in a situation."""
        for number, row in enumerate(self.rows, 1):
            if row.fits(situation):
                strategy = self.strategies[row.strategy]
                return Choice(
                    strategy=row.strategy,
                    intensity=row.intensity,
                    style=strategy.style.scaled(row.intensity),
                    gesture=strategy.gesture if row.gesture is None else row.gesture,
                    row=number,
                    source=row.source,
                )
        raise AssertionError("the last row fits everything")

    def subject(self, words: str) -> Subject | None:
        """What words are about, where there is an answer to that; None for all else."""
        return (
            self.about_robot.rules(words)
            or self.small_talk.find(words)
            or self.about_robot.find(words)
        )


def default_path() -> Path:
    """config/dialog.yaml of a checkout, or of an installed package.

    Raises:
        DialogError: there is none.
    """
    package = Path(str(resources.files("avemo_ros")))
    places = [package.parent / "config", package / "config"]
    places += [parent / "share" / "avemo_ros" / "config" for parent in package.parents]
    for place in places:
        if (place / _FILE).is_file():
            return place / _FILE
    raise DialogError(f"config/{_FILE} is not installed; give the path of a strategy file")
