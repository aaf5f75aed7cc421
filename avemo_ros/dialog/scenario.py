"""Scripted conversations: what a person says, and what they feel meanwhile; tables of sayings.

A file holds one conversation (`config/scenarios/*.yaml`); docs/dialog.md describes its keys.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, model_validator

from avemo_ros.dialog.fields import SomeOf, Texts, read_file
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.settings import Allowed, ListOf, OneOf, Settings, Text, refuse
from avemo_ros.settings import Line as OneLine
from avemo_ros.state.estimate import Status

BY: Final = ("both", "face", "voice")
"""By what a person can be judged."""
_NO_CLAIM: Final = tuple(
    status.name
    for status in (Status.WARMING_UP, Status.NOBODY, Status.LOW_QUALITY, Status.STALE_INPUT)
)
_ROWS: Final = "a list of one or more rows"
_LONGEST_S: Final = 3600.0
_LEAST_CONFIDENCE: Final = 0.15
"""A little more than what seven classes get by chance."""


@dataclass(frozen=True, slots=True)
class Feeling:
    """What a person feels from `at_s` on, and how well that can be seen."""

    at_s: float
    """Since the conversation began [s]."""
    emotion: str
    """One of EMOTIONS, or 'unknown' where nothing can be seen or heard of the person."""
    confidence: float = 0.7
    """Mean probability that the classifier gives to this emotion, 0.15 to 1."""
    noise: float = 1.0
    """How much its answers stray: 0 not at all, 1 as those of a calibrated classifier."""
    person: str = "f1"
    """Face id; with `by` 'voice' the id of the voice."""
    by: str = "both"
    """One of BY."""
    status: Status = Status.OK
    """Other than OK: why nothing is claimed; NOBODY: nobody is there."""
    turned: float = 0.0
    """How far the head is turned away from the robot [degrees]."""


@dataclass(frozen=True, slots=True)
class Line:
    """Words of the person."""

    at_s: float
    """When they end, since the conversation began [s]."""
    text: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One conversation."""

    name: str
    title: str
    duration_s: float
    lines: tuple[Line, ...]
    """In the order of time."""
    feelings: tuple[Feeling, ...] = ()
    """In the order of time, the first at 0; empty where nobody knows."""
    seed: int = 0
    states: Path | None = None
    """Recorded states (`avemo predict --json`) that are taken in place of made ones."""

    def feeling_at(self, t_s: float) -> Feeling | None:
        """What the person feels at a time [s]; None where nobody knows."""
        place = bisect_right(self.feelings, t_s, key=lambda feeling: feeling.at_s)
        return self.feelings[place - 1] if place else None


class FeelingRow(Settings):
    """A row of `feelings` in a file; confidence and noise are the file's unless given."""

    at: float = Field(ge=0, le=_LONGEST_S, description="Start time [s].")
    emotion: Annotated[str, OneOf(EMOTIONS)] | None = None
    status: Annotated[str, OneOf(_NO_CLAIM)] | None = None
    confidence: float | None = Field(None, ge=_LEAST_CONFIDENCE, le=1)
    noise: float | None = Field(None, ge=0, le=10)
    person: OneLine = "f1"
    by: Annotated[str, OneOf(BY)] = BY[0]
    turned: float = Field(
        0.0, ge=0, le=90, description=("How far the head is turned away [degrees].")
    )

    @model_validator(mode="after")
    def _go_together(self) -> FeelingRow:
        if self.status is None and self.emotion is None:
            refuse(("emotion",), None, " | ".join(EMOTIONS))
        if self.status is not None and self.emotion is not None:
            text = "no emotion together with a status: nothing is seen"
            refuse(("emotion",), self.emotion, text)
        if self.turned and self.by == "voice":
            refuse(("turned",), self.turned, "0 with by: voice, because there is no face")
        return self


class LineRow(Settings):
    """A row of `words` in a file."""

    at: float = Field(ge=0, le=_LONGEST_S, description="End time [s].")
    say: Text


class ScenarioFile(Settings):
    """What a file holds."""

    title: Text
    duration_s: float = Field(ge=0.1, le=_LONGEST_S)
    confidence: float = Field(0.7, ge=_LEAST_CONFIDENCE, le=1)
    noise: float = Field(1.0, ge=0, le=10)
    seed: int = Field(0, ge=0, le=2**31)
    feelings: Annotated[ListOf[FeelingRow], Allowed(_ROWS)] = ()
    states: Text | None = None
    words: Annotated[ListOf[LineRow], Field(min_length=1), Allowed(_ROWS)]

    @model_validator(mode="after")
    def _go_together(self) -> ScenarioFile:
        if self.states is None and not self.feelings:
            text = "a list of feelings, or 'states' with a recording"
            refuse(("feelings",), None, text)
        if self.feelings and self.feelings[0].at != 0.0:
            text = "0: the conversation starts with the first feeling"
            refuse(("feelings", 0, "at"), self.feelings[0].at, text)
        for name, rows in (("feelings", self.feelings), ("words", self.words)):
            times = [row.at for row in rows]
            for number, time in enumerate(times):
                place = (name, number, "at")
                if time > self.duration_s:
                    refuse(place, time, f"a number from 0 to {self.duration_s:g}")
                if number and time <= times[number - 1]:
                    refuse(place, time, f"later than {times[number - 1]:g}")
        return self


def read_scenario(path: Path) -> Scenario:
    """One scripted conversation.

    Raises:
        DialogError: the file cannot be read, or a value is not allowed; the message names it.
    """
    file = read_file(path, ScenarioFile)
    states = None if file.states is None else path.parent / file.states
    if states is not None and not states.is_file():
        raise DialogError(
            f"{path.name}: states is '{states}'; allowed: a file that exists (`avemo predict "
            "--json`)"
        )
    return Scenario(
        name=path.stem,
        title=file.title,
        duration_s=file.duration_s,
        lines=tuple(Line(row.at, row.say) for row in file.words),
        feelings=tuple(
            Feeling(
                at_s=row.at,
                emotion=row.emotion or UNKNOWN,
                confidence=file.confidence if row.confidence is None else row.confidence,
                noise=file.noise if row.noise is None else row.noise,
                person=row.person,
                by=row.by,
                status=Status.OK if row.status is None else Status[row.status],
                turned=row.turned,
            )
            for row in file.feelings
        ),
        seed=file.seed,
        states=states,
    )


def read_scenarios(paths: Sequence[Path]) -> tuple[Scenario, ...]:
    """The conversations of files and of folders of `.yaml` files, by name within a folder.

    Raises:
        DialogError: one cannot be read, there is none, or two have the same name.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise DialogError(f"no .yaml file in {', '.join(map(str, paths)) or 'nothing'}")
    names = [file.stem for file in files]
    for name in names:
        if names.count(name) > 1:
            raise DialogError(f"two scenarios are named '{name}'; rename one of the files")
    return tuple(read_scenario(file) for file in files)


NO_KIND: Final = "none"
"""In place of a kind of `concerns`: the words are of none."""


class SayingSet(Settings):
    """Sayings that should be met alike."""

    say: Texts
    before: Texts = Field((), description="Said first, one after the other.")
    kind: Annotated[
        ListOf[Text], Field(min_length=1), Allowed("kinds of `concerns`, or none, or a list")
    ] = Field(description="What they may be recognised as.")
    handed_over: bool | None = Field(
        None, description="Whether the person has to be handed over; left out: either way."
    )
    emotion: Annotated[frozenset[str], SomeOf((*EMOTIONS, UNKNOWN))] = Field(
        frozenset((UNKNOWN,)), description="What is sensed; each saying is tried with each."
    )
    source: OneLine = Field("", description="Who published these or the like.")


class Sayings(Settings):
    """What a file of sayings holds."""

    sets: Annotated[ListOf[SayingSet], Field(min_length=1), Allowed(_ROWS)]


def read_sayings(path: Path) -> Sayings:
    """A table of sayings.

    Raises:
        DialogError: the file cannot be read, or a value is not allowed; the message names it.
    """
    return read_file(path, Sayings)
