"""The history of each person over the last seconds; in RAM only, with bounded size."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import SteadyConfig
from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import Change, EmotionEstimate, EmotionStep
from avemo_ros.state.smoothing import (
    LONGEST_STEP_NS,
    SmoothedState,
    StateSmoother,
    has_distribution,
    key_of,
)
from avemo_ros.timing import NS_PER_S, to_ns, to_s

_MOST: Final = 20_000
"""Distributions kept of one person, however fast they come: ten minutes at 33 a second."""


@dataclass(frozen=True, slots=True)
class EmotionHistory:
    """One person's emotion over a window that ends with the newest step."""

    key: str
    """As of `smoothing.key_of`."""
    start_ns: int
    end_ns: int
    """Of the window: start < stamp <= end, sensor time [ns]."""
    latest: EmotionEstimate
    """The person's newest estimate, whatever it says."""
    steady: SmoothedState | None
    distribution: tuple[float, ...]
    """Mean probabilities over time, in the order of EMOTIONS, sums to 1; empty where there was
    no distribution."""
    trend: tuple[float, ...]
    """Slope of a straight line through each probability [1/s]; empty with fewer than two."""
    observed_s: float
    """Time for which there were distributions [s]."""
    changes: tuple[Change, ...]
    """Of the steady label, oldest first."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the distribution and of the trend."""
        return EMOTIONS


class EmotionMemory:
    """The recent past of everyone; may be updated on one thread and asked on another.

    Keeps the steady states, too: one `push` serves both.
    """

    def __init__(self, config: SteadyConfig) -> None:
        self.memory_s = config.memory_s
        """How far back it reaches [s]."""
        self._keep_ns = to_ns(config.memory_s)
        self.steady = StateSmoother(config)
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everyone."""
        with self._lock:
            self.steady.clear()
            self._people: dict[str, _Past] = {}
            self._now_ns: int | None = None

    def forget(self, person: str) -> str:
        """Forget one person.

        Args:
            person: person, face or voice id.

        Returns:
            The key of who was forgotten; "" if nobody of that id was known.
        """
        with self._lock:
            key = self.steady.find(person) if person else ""
            self.steady.forget(key)
            self._people.pop(key, None)
            return key

    @property
    def now_ns(self) -> int | None:
        """Sensor time of the newest step [ns]; None before the first."""
        return self._now_ns

    @property
    def people(self) -> int:
        """How many people are remembered."""
        return len(self._people)

    def push(self, step: EmotionStep) -> tuple[Change, ...]:
        """Take the estimates of one moment.

        Args:
            step: stamps rise from call to call; with one that goes back everyone is new.

        Returns:
            The changes of steady labels that became certain with it.
        """
        with self._lock:
            return self._push(step)

    def _push(self, step: EmotionStep) -> tuple[Change, ...]:
        anew = self._now_ns is not None and step.stamp_ns < self._now_ns
        if anew:
            self._people.clear()
        self._now_ns = step.stamp_ns
        changes = self.steady.push(step)
        for estimate in step.estimates:
            key = key_of(estimate)
            if key:
                self._rename(estimate.face_id, key)
                self._people.setdefault(key, _Past(estimate)).add(step.stamp_ns, estimate)
        for change in changes:
            past = self._people.get(change.person_id or change.face_id or change.voice_id)
            if past is not None and not (anew and change.label == UNKNOWN):
                past.changes.append(change)
        self._drop(step.stamp_ns - self._keep_ns)
        return changes

    def rename(self, before_key: str, key: str) -> None:
        """Who was known by one key goes on as the person of another."""
        with self._lock:
            self.steady.rename(before_key, key)
            self._rename(before_key, key)

    def _rename(self, before_key: str, key: str) -> None:
        if before_key == key or before_key not in self._people:
            return
        past = self._people.pop(before_key)
        before = self._people.get(key)
        if before is None:
            self._people[key] = past
        else:
            before.samples.extend(past.samples)
            before.changes.extend(past.changes)

    def history(self, person: str = "", window_s: float = 0.0) -> EmotionHistory | None:
        """A person's emotion over the last seconds.

        Args:
            person: person, face or voice id; "" for the one attended to, or attended to last.
            window_s: how far to look back from the newest step [s]; 0: as far as is kept.

        Returns:
            None if nobody of that id was seen within what is kept.

        Raises:
            ConfigError: the window is below 0 or not a number.
        """
        if not math.isfinite(window_s) or window_s < 0.0:
            raise ConfigError("window_s", window_s, "0 (as far as is kept) or more, in seconds")
        with self._lock:
            return self._history(person, window_s)

    def _history(self, person: str, window_s: float) -> EmotionHistory | None:
        past = self._people.get(self.steady.find(person))
        if past is None or self._now_ns is None:
            return None
        length_ns = min(to_ns(window_s), self._keep_ns) or self._keep_ns
        start_ns = self._now_ns - length_ns
        key = key_of(past.latest)
        samples = [one for one in past.samples if one.stamp_ns > start_ns]
        columns = _columns(samples) if samples else None
        return EmotionHistory(
            key=key,
            start_ns=start_ns,
            end_ns=self._now_ns,
            latest=past.latest,
            steady=self.steady.of(key),
            distribution=() if columns is None else _mean(columns),
            trend=() if columns is None else _slopes(columns),
            observed_s=to_s(sum(one.lasted_ns for one in samples)),
            changes=tuple(one for one in past.changes if one.stamp_ns > start_ns),
        )

    def last_change(self, person: str = "") -> Change | None:
        """The newest change of a person's steady label; None if none is remembered.

        Args:
            person: as for `history`.
        """
        with self._lock:
            past = self._people.get(self.steady.find(person))
        return past.changes[-1] if past is not None and past.changes else None

    def _drop(self, before_ns: int) -> None:
        known = set(self.steady.keys)
        for key, past in list(self._people.items()):
            past.forget(before_ns)
            if key not in known or past.latest.stamp_ns <= before_ns:
                del self._people[key]


@dataclass(frozen=True, slots=True)
class _Sample:
    stamp_ns: int
    lasted_ns: int
    """Time that it stands for, back from the stamp."""
    probabilities: tuple[float, ...]


@dataclass(slots=True)
class _Past:
    """What is kept of one person, oldest first."""

    latest: EmotionEstimate
    samples: deque[_Sample] = field(default_factory=lambda: deque(maxlen=_MOST))
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=_MOST))

    def add(self, stamp_ns: int, estimate: EmotionEstimate) -> None:
        self.latest = estimate
        if has_distribution(estimate):
            before_ns = self.samples[-1].stamp_ns if self.samples else stamp_ns
            lasted_ns = min(stamp_ns - before_ns, LONGEST_STEP_NS)
            self.samples.append(_Sample(stamp_ns, lasted_ns, estimate.probabilities))

    def forget(self, before_ns: int) -> None:
        while self.samples and self.samples[0].stamp_ns <= before_ns:
            self.samples.popleft()
        while self.changes and self.changes[0].stamp_ns <= before_ns:
            self.changes.popleft()


_Columns: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Times before the newest [s] (N,), shares of the time (N,) and probabilities (N, 7)."""


def _columns(samples: Sequence[_Sample]) -> _Columns:
    stamps_ns = np.array([one.stamp_ns for one in samples], np.int64)
    weights = np.array([one.lasted_ns for one in samples], np.int64) / NS_PER_S
    if not weights.any():
        weights = np.ones_like(weights)
    probabilities = np.array([one.probabilities for one in samples])
    return (stamps_ns - stamps_ns[-1]) / NS_PER_S, weights / weights.sum(), probabilities


def _mean(columns: _Columns) -> tuple[float, ...]:
    _, weights, probabilities = columns
    mean = weights @ probabilities
    return tuple((mean / mean.sum()).tolist())


def _slopes(columns: _Columns) -> tuple[float, ...]:
    """Weighted least squares."""
    times, weights, probabilities = columns
    centred = times - weights @ times
    spread = float(weights @ centred**2)
    if spread == 0.0:
        return ()
    return tuple(((weights * centred) @ probabilities / spread).tolist())
