"""What must hold of everything that a node publishes, and how its memory is judged; no ROS."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from avemo_ros.labels import UNKNOWN
from avemo_ros.timing import to_s

FUTURE_S: Final = 0.1
"""No stamp may be further ahead of the clock [s]."""
SUM_TOLERANCE: Final = 1e-3
"""Probabilities may miss a sum of 1 by so much."""
IN_A_ROW: Final = 5
"""So many good states one after the other are a recovery: half a second of them."""
FRESH_S: Final = 0.5
"""A good state is about a moment no further than this from the clock [s]."""

MEMORY_LIMIT_MB: Final = 600.0
"""Resident memory at the end."""
SLOPE_LIMIT: Final = 3.0
"""Memory that grows faster over the last half still climbs [MB per minute]."""
SLOPE_LEAST_S: Final = 120.0
"""A shorter last half tells no slope from noise [s]."""


@dataclass(frozen=True, slots=True)
class SeenState:
    """One state, as it was published."""

    stamp_ns: int
    label: str
    ids: tuple[str, ...]
    """Of person, face and voice; empty ones where unknown."""
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    numbers: Mapping[str, float]
    """All its other numbers that are to be read, by name."""


@dataclass(slots=True)
class Violation:
    """An invariant that did not hold, once or more often during one kind of fault."""

    kind: str
    topic: str
    fault: str
    """What was going on, or had just been."""
    at_s: float
    """When it was seen first, from the start of the run [s]."""
    text: str
    """Of the first."""
    count: int = 1


@dataclass(slots=True)
class Invariants:
    """Looks at all that is published; what does not hold is kept by kind, topic and fault."""

    fault: str = ""
    """What is going on."""
    may_go_back: bool = False
    """A fault has set time back, so stamps may follow it."""
    found: dict[tuple[str, str, str], Violation] = field(default_factory=dict)
    _last_ns: dict[str, int] = field(default_factory=dict)

    def started_anew(self) -> None:
        """The node was activated: stamps of before say nothing about those to come."""
        self._last_ns.clear()

    def stamp(
        self, topic: str, at_s: float, stamp_ns: int, now_ns: int, *, may_repeat: bool = False
    ) -> None:
        """Look at the stamp of a message.

        Args:
            topic: on which it came.
            at_s: since the start of the run [s].
            stamp_ns: of the message.
            now_ns: the clock when it came.
            may_repeat: several messages of one moment are usual on this topic.
        """
        last_ns = self._last_ns.get(topic)
        self._last_ns[topic] = stamp_ns
        ahead_s = to_s(stamp_ns - now_ns)
        if ahead_s > FUTURE_S:
            self.broken("of the future", topic, at_s, f"stamped {ahead_s:.2f} s ahead")
        if last_ns is None:
            return
        if stamp_ns == last_ns and not may_repeat:
            self.broken("said twice", topic, at_s, f"stamp {to_s(stamp_ns):.3f} came again")
        elif stamp_ns < last_ns and not self.may_go_back:
            back_s = to_s(last_ns - stamp_ns)
            self.broken("stamp fell", topic, at_s, f"{back_s:.3f} s before the last")

    def state(self, topic: str, at_s: float, state: SeenState) -> None:
        """Look at what a state claims."""
        if state.label != UNKNOWN:
            if not any(state.ids):
                self.broken("about nobody", topic, at_s, f"'{state.label}' of nobody")
            if state.label not in state.labels:
                self.broken("no such label", topic, at_s, f"'{state.label}'")
        self.numbers(topic, at_s, state.numbers)
        shares = state.probabilities
        if not shares:
            if state.label != UNKNOWN:
                self.broken("no distribution", topic, at_s, f"'{state.label}' without one")
            return
        total = math.fsum(shares)
        # `not <=` holds for NaN, too.
        if not all(0.0 <= share <= 1.0 for share in shares):
            self.broken("no probability", topic, at_s, f"{[round(s, 4) for s in shares]}")
        elif not abs(total - 1.0) <= SUM_TOLERANCE:
            self.broken("sum is not 1", topic, at_s, f"probabilities sum to {total:.4f}")
        if len(shares) != len(state.labels):
            self.broken(
                "no such label", topic, at_s, f"{len(shares)} for {len(state.labels)} labels"
            )

    def numbers(self, topic: str, at_s: float, numbers: Mapping[str, float]) -> None:
        """All of these must be finite."""
        for name, value in numbers.items():
            if not math.isfinite(value):
                self.broken("not finite", topic, at_s, f"{name} is {value}")

    def broken(self, kind: str, topic: str, at_s: float, text: str) -> None:
        """Keep a violation."""
        key = (kind, topic, self.fault)
        if key in self.found:
            self.found[key].count += 1
        else:
            self.found[key] = Violation(kind, topic, self.fault, round(at_s, 2), text)

    def table(self) -> list[dict[str, Any]]:
        """All that was found, in the order of time."""
        return [asdict(item) for item in self.found.values()]


@dataclass(slots=True)
class Recovery:
    """How long after good input has come back good states come."""

    since_s: float
    """When good input came back [s]."""
    seconds: float | None = None
    """None while not recovered."""
    _first_s: float = 0.0
    _row: int = 0

    def state(self, at_s: float, *, good: bool) -> None:
        """Hear a state; the first of IN_A_ROW good ones is the recovery."""
        if self.seconds is not None:
            return
        if not good:
            self._row = 0
            return
        self._first_s = at_s if self._row == 0 else self._first_s
        self._row += 1
        if self._row >= IN_A_ROW:
            self.seconds = max(0.0, self._first_s - self.since_s)


def slope_per_minute(points: Sequence[tuple[float, float]]) -> float | None:
    """How fast a value grows over the last half, by least squares [per minute].

    Args:
        points: seconds and value, oldest first.

    Returns:
        None where the last half is shorter than SLOPE_LEAST_S.
    """
    if not points:
        return None
    middle = (points[0][0] + points[-1][0]) / 2
    half = np.array([point for point in points if point[0] >= middle])
    if len(half) < 3 or half[-1, 0] - half[0, 0] < SLOPE_LEAST_S:
        return None
    return float(60.0 * np.polyfit(half[:, 0] - middle, half[:, 1], 1)[0])


def findings(
    faults: Sequence[Mapping[str, Any]],
    violations: Sequence[Mapping[str, Any]],
    memory: Mapping[str, float | None],
    died: str,
) -> list[str]:
    """All that makes a run fail, in words; empty where all is well.

    Args:
        faults: applied ones, with 'name', 'at_s', 'limit_s' and 'recovery_s' (None: never).
        violations: as of `Invariants.table`.
        memory: 'end_mb' and 'slope_mb_per_min', None where not known.
        died: what is known of the node's death; empty where it lives.
    """
    found = [died] if died else []
    for one in violations:
        during = f"during '{one['fault']}'" if one["fault"] else "without a fault"
        times = f", {one['count']} times" if one["count"] > 1 else ""
        found.append(f"{one['topic']}: {one['kind']} {during}{times}: {one['text']}")
    for fault in faults:
        took_s, limit_s = fault["recovery_s"], fault["limit_s"]
        where = f"'{fault['name']}' at {fault['at_s']:.0f} s"
        if took_s is None:
            found.append(f"{where}: no recovery; allowed: {limit_s:g} s")
        elif took_s > limit_s:
            found.append(f"{where}: recovery took {took_s:.2f} s; allowed: {limit_s:g} s")
    end_mb, slope = memory["end_mb"], memory["slope_mb_per_min"]
    if end_mb is not None and end_mb > MEMORY_LIMIT_MB:
        found.append(f"memory is {end_mb:.0f} MB at the end; allowed: {MEMORY_LIMIT_MB:.0f}")
    if slope is not None and slope > SLOPE_LIMIT:
        found.append(
            f"memory still grows by {slope:.1f} MB a minute over the last half; allowed: "
            f"{SLOPE_LIMIT:g}"
        )
    return found
