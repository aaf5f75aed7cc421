"""How estimates are named, coloured and put together, in videos, pages and terminals alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status
from avemo_ros.timing import mean_step_s, to_s

BGR = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour as it reads on a light and on a dark ground, each `#rrggbb`."""

    light: str
    dark: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue of the dark-ground variant, 0 to 255."""
        return (int(self.dark[1:3], 16), int(self.dark[3:5], 16), int(self.dark[5:7], 16))

    @property
    def bgr(self) -> BGR:
        """The dark-ground variant in OpenCV's order."""
        red, green, blue = self.rgb
        return (blue, green, red)


INKS: Final[dict[str, Ink]] = {
    "angry": Ink("#d03b3b", "#f06a6a"),
    "disgust": Ink("#3f7d20", "#6fb63f"),
    "fear": Ink("#6a4fc4", "#a48cf0"),
    "happy": Ink("#d99a00", "#f2bd2c"),
    "neutral": Ink("#7d8590", "#a9b1bb"),
    "sad": Ink("#2a6fd0", "#5c9df5"),
    "surprise": Ink("#d1569a", "#f08cc0"),
    UNKNOWN: Ink("#b9bec6", "#6b737d"),
}
"""Ink of each of EMOTIONS and of 'unknown'."""

# The colours of the reports; `report/templates/style.css` uses them by name.

COLOURS: Final[dict[str, Ink]] = {
    "bg": Ink("#f6f7f9", "#0f1318"),
    "card": Ink("#ffffff", "#181d24"),
    "ink": Ink("#1c2128", "#e8ecf1"),
    "soft": Ink("#59636e", "#9aa5b1"),
    "line": Ink("#d8dee4", "#2f3742"),
    "row": Ink("#eef1f4", "#222932"),
    "bar": Ink("#7aa2cf", "#4f7fb3"),
    "mark": Ink("#c2410c", "#f59e5b"),
    "face": Ink("#7fa8a3", "#5f9089"),
    "voice": Ink("#c3a27a", "#a98455"),
    "heat": Ink("#2a70d1", "#5c9df5"),
    "good": Ink("#1a7f4b", "#5dc48f"),
    "bad": Ink("#b42318", "#f38b80"),
    "warn": Ink("#9a3412", "#fdba74"),
    **INKS,
}
"""Each colour by its name: those of the page, and those of the emotions.

Figures are made in the light ones; the page swaps each for its dark one.  So no two names may
have the same light colour.
"""
LIGHT: Final = {name: ink.light for name, ink in COLOURS.items()}
"""What figures are made with."""
DARK_OF_LIGHT: Final = {ink.light: ink.dark for ink in COLOURS.values()}


STATUS_TEXT: Final[dict[Status, str]] = {
    Status.OK: "face and voice",
    Status.WARMING_UP: "warming up",
    Status.NO_FACE: "no face",
    Status.NO_VOICE: "not speaking",
    Status.LOW_QUALITY: "face not readable",
    Status.UNCERTAIN: "uncertain",
    Status.STALE_INPUT: "no input",
    Status.NOBODY: "nobody there",
}
"""Each status in at most three words."""


def headline(estimate: EmotionEstimate) -> str:
    """The claim with its confidence, or why there is none: 'happy 82%', 'unknown: no face'."""
    if estimate.label == UNKNOWN:
        return f"{UNKNOWN}: {STATUS_TEXT[estimate.status]}"
    return f"{estimate.label} {estimate.confidence:.0%}"


def name_of(estimate: EmotionEstimate) -> str:
    """The id that tells this person from the others in the stream; '-' for nobody."""
    return estimate.face_id or estimate.person_id or estimate.voice_id or "-"


_MINUTE_S: Final = 60.0


def counted(count: int, noun: str, nouns: str = "") -> str:
    """'1 bag', '3 bags'."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def lasting(seconds: float) -> str:
    """'8.3 s', '12.5 min'."""
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{seconds / _MINUTE_S:.1f} min"


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of time in which one claim, or one reason for none, held."""

    start_s: float
    end_s: float
    label: str
    """One of EMOTIONS, or 'unknown'."""
    text: str
    """The label; for 'unknown' the reason."""


@dataclass(slots=True)
class Person:
    """Everything that was claimed of one person."""

    name: str
    estimates: list[EmotionEstimate] = field(default_factory=list)
    attended_ns: set[int] = field(default_factory=set)
    """Stamps at which this was whom the robot should attend to."""


@dataclass(slots=True)
class Timeline:
    """Collects steps; times are counted from `start_ns`."""

    title: str
    start_ns: int
    duration_s: float = 0.0
    """Of the recording; grows with the steps."""
    steps: int = 0
    model_id: str = ""
    people: dict[str, Person] = field(default_factory=dict)
    """By id, in the order of appearance."""
    nobody: Counter[str] = field(default_factory=Counter)
    """Steps with nobody in view, by status name."""
    latencies_s: list[float] = field(default_factory=list)
    """From the window's end to publication, where it was measured."""
    _stamps: list[int] = field(default_factory=list)

    def add(self, step: EmotionStep, latency_s: float | None = None) -> None:
        """Take one step, and how late it was published if that is known [s]."""
        self.steps += 1
        self.model_id = step.attended.model_id or self.model_id
        self.duration_s = max(self.duration_s, to_s(step.stamp_ns - self.start_ns))
        self._stamps.append(step.stamp_ns)
        if latency_s is not None:
            self.latencies_s.append(latency_s)
        if not step.estimates:
            self.nobody[step.attended.status.name] += 1
        for estimate in step.estimates:
            person = self.people.setdefault(name_of(estimate), Person(name_of(estimate)))
            person.estimates.append(estimate)
            if estimate == step.attended:
                person.attended_ns.add(estimate.stamp_ns)

    @property
    def mean_step_s(self) -> float:
        """Mean time from one step to the next [s]."""
        return mean_step_s(self._stamps)

    @property
    def claimed_share(self) -> float:
        """Share of the persons' estimates that claim a label, 0 to 1; 0 without any."""
        labels = [item.label for person in self.people.values() for item in person.estimates]
        return sum(label != UNKNOWN for label in labels) / len(labels) if labels else 0.0

    def t(self, stamp_ns: int) -> float:
        """Sensor time as seconds from the start."""
        return to_s(stamp_ns - self.start_ns)

    def stretches(self, person: Person) -> list[list[EmotionEstimate]]:
        """The person's estimates, cut where they were out of view."""
        apart = 2.5 * self.mean_step_s * 1e9
        cut: list[list[EmotionEstimate]] = []
        for item in person.estimates:
            if not cut or item.stamp_ns - cut[-1][-1].stamp_ns > apart:
                cut.append([])
            cut[-1].append(item)
        return cut

    def runs(self, person: Person) -> list[Run]:
        """The person's claims without repetitions."""
        runs: list[Run] = []
        mean_step_s = self.mean_step_s
        for stretch in self.stretches(person):
            open_run: Run | None = None
            for item in stretch:
                known = item.label != UNKNOWN
                text = item.label if known else STATUS_TEXT[item.status]
                end = self.t(item.stamp_ns)
                if open_run is not None and (open_run.label, open_run.text) == (
                    item.label,
                    text,
                ):
                    open_run = Run(open_run.start_s, end, item.label, text)
                    runs[-1] = open_run
                else:
                    start = open_run.end_s if open_run else max(0.0, end - mean_step_s)
                    open_run = Run(start, end, item.label, text)
                    runs.append(open_run)
        return runs
