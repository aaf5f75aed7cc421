"""From a situation to a strategy, by a table that a designer edits (config/dialog.yaml).

The first row that fits wins.  The file is checked whole when it is read: names, ranges, a last
row that fits everything, and that every row can be reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from avemo_ros.dialog.about_robot import INFORM, AboutRobot
from avemo_ros.dialog.crisis import HAND_OVER, Crisis
from avemo_ros.dialog.fields import Fields, read_fields
from avemo_ros.dialog.foreign import Foreign
from avemo_ros.dialog.prosody import Style
from avemo_ros.dialog.row import NAME, Row, read_gesture, read_rows
from avemo_ros.dialog.screen import Screen
from avemo_ros.dialog.situation import Situation
from avemo_ros.dialog.small_talk import SmallTalk
from avemo_ros.dialog.subject import Subject, all_texts
from avemo_ros.dialog.template import Template
from avemo_ros.dialog.valence import Lexicon
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS

ASK: Final = "ask"
"""The strategy for words that cannot be understood; every table has it."""
_FILE: Final = "dialog.yaml"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to answer."""

    name: str
    guidance: str
    """What a language model is told to do."""
    style: Style
    """Speaking style at full intensity."""
    gesture: str
    """A hint for the body; "" for none."""
    source: str
    """Published work that speaks for it, or 'design choice'."""
    templates: tuple[Template, ...]
    """What the offline responder says."""

    @classmethod
    def read(cls, name: str, fields: Fields) -> Strategy:
        """From the strategy's part of the file.

        Raises:
            DialogError: a value is not allowed.
        """
        texts = fields.texts("templates", 2)
        templates = tuple(Template.read(text, fields) for text in texts)
        if sum(not one.slots for one in templates) < 2:
            fields.refuse("templates", list(texts), "two or more texts without {slots}")
        strategy = cls(
            name=name,
            guidance=fields.text("guidance"),
            style=Style.read(fields.inner("style")),
            gesture=read_gesture(fields),
            source=fields.text("source"),
            templates=templates,
        )
        fields.finish()
        return strategy


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


@dataclass(frozen=True, slots=True)
class StrategyTable:
    """Everything that config/dialog.yaml says."""

    language: str
    """BCP 47 tag of what is said."""
    strategies: Mapping[str, Strategy]
    rows: tuple[Row, ...]
    unheard: tuple[str, ...]
    """What is said to words that are empty."""
    feelings: Mapping[str, str]
    """How an emotion is named to a person, for templates with {feeling}."""
    small_talk: SmallTalk
    about_robot: AboutRobot
    foreign: Foreign
    crisis: Crisis
    screen: Screen
    lexicon: Lexicon

    @classmethod
    def read(cls, path: str | Path | None = None) -> StrategyTable:
        """From a YAML file.

        Args:
            path: None or "" takes the one that comes with the package.

        Raises:
            DialogError: the file or its lexicon cannot be read, or a value is not allowed.
        """
        file = Path(path) if path else default_path()
        fields = read_fields(file)
        inner = fields.inner("strategies")
        strategies = {
            name: Strategy.read(name, inner.inner(name))
            for name in inner.names()
            if _checked_name(inner, name)
        }
        if ASK not in strategies:
            inner.refuse("", list(strategies), f"names, one of them '{ASK}'")
        language = fields.text("language")
        if not _LANGUAGE.fullmatch(language):
            fields.refuse("language", language, "a tag such as en or en-GB")
        feelings = fields.inner("feelings")
        table = cls(
            language=language,
            strategies=strategies,
            rows=read_rows(fields, strategies),
            unheard=fields.texts("unheard", 2),
            feelings={name: feelings.text(name) for name in EMOTIONS if feelings.has(name)},
            # A table of one's own may leave these out.
            small_talk=SmallTalk.read(fields.inner("small_talk"))
            if fields.has("small_talk")
            else SmallTalk(),
            about_robot=AboutRobot.read(fields.inner("about_robot"))
            if fields.has("about_robot")
            else AboutRobot(),
            foreign=Foreign.read(fields.inner("foreign"))
            if fields.has("foreign")
            else Foreign(),
            crisis=Crisis.read(fields.inner("crisis")),
            screen=Screen.read(fields.inner("emotion_words"), fields.texts("clinical_words")),
            lexicon=Lexicon.read(file.parent / fields.text("valence")),
        )
        feelings.finish()
        fields.finish()
        table.check_limits(file.name)
        return table

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

    def check_limits(self, file: str) -> None:
        """Make sure that no template names an emotion or a diagnosis by itself.

        Raises:
            DialogError: one does.
        """
        texts = [
            (f"strategies.{name}.templates", template)
            for name, strategy in self.strategies.items()
            for template in strategy.templates
        ]
        for part, subjects in (
            ("small_talk.kinds", self.small_talk.kinds),
            ("about_robot.subjects", self.about_robot.subjects),
        ):
            texts += [(f"{part}.{name}", text) for name, text in all_texts(subjects)]
        for key, template in texts:
            if self.screen.refusal(template.text, may_name="", most=10**6, secret=""):
                raise DialogError(
                    f"{file}: {key} is '{template.text}'; allowed: "
                    "texts without words of emotion_words or clinical_words to the person "
                    "({feeling} names an emotion where the confidence allows it)"
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


def _checked_name(fields: Fields, name: str) -> bool:
    taken = (HAND_OVER, INFORM)
    if not NAME.fullmatch(name) or name in taken:
        fields.refuse("", name, f"names such as de_escalate, none of them {' or '.join(taken)}")
    return True
