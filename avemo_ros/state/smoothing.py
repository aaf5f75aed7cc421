"""Smoothed states: estimates smoothed in time with hysteresis; every change may be acted upon.

Log-probabilities are averaged with weights that fade exponentially with sensor time (a
logarithmic opinion pool, Genest and Zidek 1986), so neither the rate of steps nor lost steps
change what comes out. A label needs more to become steady than to stay so, and has to need it
for a while. Who is new, by the id of the person, the face or a voice without a face, starts
from nothing; a face whose person becomes known goes on as that person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from avemo_ros.config import SteadyConfig
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import Change, EmotionEstimate, EmotionStep
from avemo_ros.timing import to_ns, to_s

LONGEST_STEP_NS: Final = to_ns(0.5)
"""An estimate stands for at most this time: after lost steps one of them does not outweigh all
that was seen before."""
_FLOOR: Final = 1e-3
"""Least probability that counts: one estimate that is dead sure does not outweigh seconds."""


@dataclass(frozen=True, slots=True)
class SmoothedState:
    """A person's steady label, kept after the person has left."""

    stamp_ns: int
    """Sensor time of the newest distribution, or of the first sight if there was none [ns]."""
    key: str
    """As of `key_of`."""
    label: str
    """One of EMOTIONS, or 'unknown'."""
    confidence: float
    """Smoothed probability of `label`; 0 for 'unknown'."""
    since_ns: int
    """Sensor time from which on the label has been steady [ns]."""
    probabilities: tuple[float, ...]
    """Smoothed, in the order of EMOTIONS, sums to 1; empty where there is none."""


def key_of(estimate: EmotionEstimate) -> str:
    """What tells this person from the others: the person id where that is known, else the face
    id, else the voice id; "" for nobody."""
    return estimate.person_id or estimate.face_id or estimate.voice_id


def has_distribution(estimate: EmotionEstimate) -> bool:
    """Whether there are probabilities, all of them numbers."""
    given = estimate.probabilities
    return len(given) == len(EMOTIONS) and all(map(math.isfinite, given))


class StateSmoother:
    """The steady state of everyone in a stream of steps; not for several threads at once."""

    def __init__(self, config: SteadyConfig) -> None:
        self._config = config
        self.clear()

    def clear(self) -> None:
        """Forget everyone; no changes are reported."""
        self._people: dict[str, _Person] = {}
        """By key; who was seen longest ago first."""
        self._attended = ""
        self._stamp_ns: int | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Everyone who is known; whoever was seen longest ago first."""
        return tuple(self._people)

    def push(self, step: EmotionStep) -> tuple[Change, ...]:
        """Take the estimates of one moment.

        Args:
            step: stamps rise from call to call; with one that goes back everyone is new.

        Returns:
            The changes that became certain with it, at most one for each person that was
            known before; people in view first.
        """
        changes: list[Change | None] = []
        if self._stamp_ns is not None and step.stamp_ns < self._stamp_ns:
            before_ns = self._stamp_ns
            changes += [one.lose(before_ns, step.stamp_ns) for one in self._people.values()]
            self.clear()
        self._stamp_ns = step.stamp_ns
        for estimate in step.estimates:
            key = key_of(estimate)
            if key:
                self.rename(estimate.face_id, key)
                person = self._people.pop(key, None) or _Person(key, step.stamp_ns)
                self._people[key] = person
                changes.append(person.push(step.stamp_ns, estimate, self._config))
        self._attended = key_of(step.attended) or self._attended
        forget_ns = to_ns(self._config.forget_s)
        changes += [
            one.lose(step.stamp_ns)
            for one in self._people.values()
            if step.stamp_ns - one.stamp_ns > forget_ns
        ]
        while len(self._people) > self._config.max_people:
            changes.append(self._people.pop(next(iter(self._people))).lose(step.stamp_ns))
        return tuple(change for change in changes if change is not None)

    def rename(self, before_key: str, key: str) -> None:
        """Who was known by one key, as that of the face, goes on as the person of another."""
        if before_key == key or before_key not in self._people:
            return
        one = self._people.pop(before_key)
        before = self._people.get(key)
        if before is None:
            one.key = key
            self._people[key] = one
        else:
            before.take_over(one)
        if self._attended == before_key:
            self._attended = key

    def forget(self, key: str) -> None:
        """Forget one person; no change is reported."""
        self._people.pop(key, None)
        if self._attended == key:
            self._attended = ""

    def find(self, person: str) -> str:
        """The key of a person.

        Args:
            person: person, face or voice id; "" for the one attended to, or attended to last.

        Returns:
            "" if nobody of that id is known; of several with that id the one seen last.
        """
        wanted = person or self._attended
        if wanted in self._people:
            return wanted
        for key, one in reversed(self._people.items()):
            if wanted and wanted in (one.person_id, one.face_id, one.voice_id):
                return key
        return ""

    def ids(self, key: str) -> tuple[str, str, str]:
        """The person, face and voice id of somebody, "" for each that is not known.

        Args:
            key: as `find` gives it.
        """
        one = self._people.get(key)
        return ("", "", "") if one is None else (one.person_id, one.face_id, one.voice_id)

    def of(self, person: str = "") -> SmoothedState | None:
        """The last state of a person, also after the person has left.

        Args:
            person: as for `find`.

        Returns:
            None if nobody of that id is known.
        """
        one = self._people.get(self.find(person))
        return None if one is None else one.state()


class _Person:
    """One person's smoothed distribution and steady label."""

    def __init__(self, key: str, stamp_ns: int) -> None:
        self.key = key
        self.person_id = self.face_id = self.voice_id = ""
        self.stamp_ns = self._since_ns = stamp_ns
        self._label = UNKNOWN
        self._logs: tuple[float, ...] = ()
        self._next = UNKNOWN
        """The label that would be steady if it held for long enough."""
        self._held_ns = 0

    def push(
        self, stamp_ns: int, estimate: EmotionEstimate, config: SteadyConfig
    ) -> Change | None:
        self.person_id = estimate.person_id or self.person_id
        self.face_id = estimate.face_id or self.face_id
        self.voice_id = estimate.voice_id or self.voice_id
        if not has_distribution(estimate):
            return None
        step_ns = min(stamp_ns - self.stamp_ns, LONGEST_STEP_NS) if self._logs else 0
        self.stamp_ns = stamp_ns
        new = [math.log(max(value, _FLOOR)) for value in estimate.probabilities]
        if self._logs:
            keep = _kept(step_ns, config.time_constant_s)
            new = [
                keep * old + (1.0 - keep) * value
                for old, value in zip(self._logs, new, strict=True)
            ]
        self._logs = tuple(new)
        return self._turn(stamp_ns, step_ns, config)

    def take_over(self, other: _Person) -> None:
        """Go on with what is known of the same person by another id, if nothing newer is."""
        if self._logs:
            return
        self.stamp_ns, self._since_ns = other.stamp_ns, other._since_ns
        self._label, self._logs = other._label, other._logs
        self._next, self._held_ns = other._next, other._held_ns

    def _turn(self, stamp_ns: int, step_ns: int, config: SteadyConfig) -> Change | None:
        wanted = self._wanted(config)
        if wanted == self._label:
            self._next, self._held_ns = wanted, 0
            return None
        if wanted == self._next:
            self._held_ns += step_ns
        else:
            self._next, self._held_ns = wanted, 0
        needed_s = config.leave_s if wanted == UNKNOWN else config.debounce_s
        if self._held_ns < to_ns(needed_s):
            return None
        return self._become(wanted, stamp_ns, stamp_ns)

    def _wanted(self, config: SteadyConfig) -> str:
        """The label that the distribution of this moment calls for."""
        probabilities = _normalised(self._logs)
        first, second = sorted(probabilities, reverse=True)[:2]
        if first >= config.enter_confidence and first - second >= config.min_lead:
            return EMOTIONS[probabilities.index(first)]
        if self._label == UNKNOWN:
            return UNKNOWN
        present = probabilities[EMOTIONS.index(self._label)]
        return self._label if present >= config.leave_confidence else UNKNOWN

    def lose(self, end_ns: int, stamp_ns: int | None = None) -> Change | None:
        """Drop what is known.

        Args:
            end_ns: until when the label was steady [ns].
            stamp_ns: when this is reported [ns]; None: at `end_ns`.
        """
        self._logs = ()
        self._next, self._held_ns = UNKNOWN, 0
        if self._label == UNKNOWN:
            return None
        return self._become(UNKNOWN, end_ns, end_ns if stamp_ns is None else stamp_ns)

    def _become(self, label: str, end_ns: int, stamp_ns: int) -> Change:
        previous, lasted_s = self._label, to_s(end_ns - self._since_ns)
        self._label, self._since_ns = label, stamp_ns
        self._next, self._held_ns = label, 0
        return Change(
            stamp_ns=stamp_ns,
            person_id=self.person_id,
            face_id=self.face_id,
            voice_id=self.voice_id,
            previous=previous,
            label=label,
            confidence=self.state().confidence,
            lasted_s=lasted_s,
        )

    def state(self) -> SmoothedState:
        probabilities = _normalised(self._logs) if self._logs else ()
        known = self._label != UNKNOWN
        return SmoothedState(
            stamp_ns=self.stamp_ns,
            key=self.key,
            label=self._label,
            confidence=probabilities[EMOTIONS.index(self._label)] if known else 0.0,
            since_ns=self._since_ns,
            probabilities=probabilities,
        )


def _kept(step_ns: int, time_constant_s: float) -> float:
    """Weight that the past keeps after a step."""
    return math.exp(-to_s(step_ns) / time_constant_s) if time_constant_s > 0.0 else 0.0


def _normalised(logs: Sequence[float]) -> tuple[float, ...]:
    """Probabilities that sum to 1."""
    top = max(logs)
    weights = [math.exp(value - top) for value in logs]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
