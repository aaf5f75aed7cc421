"""Scripted conversations: what a person says, and what they feel meanwhile.

A file holds one conversation (`config/scenarios/*.yaml`); docs/dialog.md describes its keys.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from avemo_ros.dialog.fields import Fields, read_fields
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import Status

BY: Final = ("both", "face", "voice")
"""By what a person can be judged."""
_NO_CLAIM: Final = tuple(
    status.name
    for status in (Status.WARMING_UP, Status.NOBODY, Status.LOW_QUALITY, Status.STALE_INPUT)
)
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


def read_scenario(path: Path) -> Scenario:
    """One scripted conversation.

    Raises:
        DialogError: the file cannot be read, or a value is not allowed; the message names it.
    """
    fields = read_fields(path)
    duration = fields.number("duration_s", 0.1, _LONGEST_S)
    confidence = fields.number("confidence", _LEAST_CONFIDENCE, 1.0, 0.7)
    noise = fields.number("noise", 0.0, 10.0, 1.0)
    feelings = tuple(
        _feeling(row, duration, confidence, noise)
        for row in (fields.rows("feelings") if fields.has("feelings") else ())
    )
    states = _states(fields, path)
    if states is None and not feelings:
        fields.refuse("feelings", None, "a list of feelings, or 'states' with a recording")
    if feelings and feelings[0].at_s != 0.0:
        fields.refuse("feelings[1].at", feelings[0].at_s, "0: the conversation starts with it")
    lines = tuple(_line(row, duration) for row in fields.rows("words"))
    for name, times in (
        ("feelings", [feeling.at_s for feeling in feelings]),
        ("words", [line.at_s for line in lines]),
    ):
        for number, (before, after) in enumerate(pairwise(times), 2):
            if after <= before:
                fields.refuse(f"{name}[{number}].at", after, f"later than {before:g}")
    scenario = Scenario(
        name=path.stem,
        title=fields.text("title"),
        duration_s=duration,
        lines=lines,
        feelings=feelings,
        seed=int(fields.number("seed", 0, 2**31, 0)),
        states=states,
    )
    fields.finish()
    return scenario


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


def _feeling(row: Fields, duration: float, confidence: float, noise: float) -> Feeling:
    at_s = row.number("at", 0.0, duration)
    status = Status.OK
    emotion = UNKNOWN
    if row.has("status"):
        status = Status[_one(row, "status", _NO_CLAIM)]
        if row.has("emotion"):
            row.refuse("emotion", status.name, "no emotion beside a status: nothing is seen")
    else:
        emotion = _one(row, "emotion", EMOTIONS)
    feeling = Feeling(
        at_s=at_s,
        emotion=emotion,
        confidence=row.number("confidence", _LEAST_CONFIDENCE, 1.0, confidence),
        noise=row.number("noise", 0.0, 10.0, noise),
        person=row.text("person", "f1"),
        by=_one(row, "by", BY) if row.has("by") else BY[0],
        status=status,
        turned=row.number("turned", 0.0, 90.0, 0.0),
    )
    if feeling.turned and feeling.by == "voice":
        row.refuse("turned", feeling.turned, "0 with by: voice, which has no face")
    row.finish()
    return feeling


def _line(row: Fields, duration: float) -> Line:
    line = Line(row.number("at", 0.0, duration), row.text("say"))
    row.finish()
    return line


def _states(fields: Fields, path: Path) -> Path | None:
    if not fields.has("states"):
        return None
    states = path.parent / fields.text("states")
    if not states.is_file():
        fields.refuse("states", str(states), "a file that exists (`avemo predict --json`)")
    return states


def _one(row: Fields, name: str, allowed: Sequence[str]) -> str:
    given = row.choices(name, allowed)
    if len(given) != 1:
        row.refuse(name, sorted(given), f"one of {', '.join(allowed)}")
    return next(iter(given))
