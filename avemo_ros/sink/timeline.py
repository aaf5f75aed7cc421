"""The estimates of a whole run, person by person; the data of the timeline report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from avemo_ros.labels import UNKNOWN
from avemo_ros.sink.presentation import STATUS_TEXT, name_of
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.timing import mean_step_s, to_s


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
