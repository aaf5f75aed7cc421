"""Figures for /diagnostics: rates, durations, and how they are written down."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

OK: Final = DiagnosticStatus.OK
WARN: Final = DiagnosticStatus.WARN
ERROR: Final = DiagnosticStatus.ERROR
STALE: Final = DiagnosticStatus.STALE

_RATE_SPAN_S: Final = 5.0


class Meter:
    """Counts events and knows their rate of the last five seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._times: deque[float] = deque()
        self.count = 0

    def add(self) -> None:
        """One more event, now."""
        now = self._now()
        self.count += 1
        self._times.append(now)
        while now - self._times[0] > _RATE_SPAN_S:
            self._times.popleft()

    @property
    def quiet_s(self) -> float:
        """Time since the last event [s]; infinite if there was none."""
        return self._now() - self._times[-1] if self._times else float("inf")

    @property
    def rate_hz(self) -> float:
        """Events per second; 0 when they stopped or there were fewer than two."""
        times = list(self._times)
        if len(times) < 2 or self._now() - times[-1] > _RATE_SPAN_S:
            return 0.0
        span = times[-1] - times[0]
        return (len(times) - 1) / span if span > 0 else 0.0


class Samples:
    """The newest values of something, for its percentiles."""

    def __init__(self, kept: int = 300) -> None:
        self._values: deque[float] = deque(maxlen=kept)

    def add(self, value: float) -> None:
        """One more value."""
        self._values.append(value)

    def values(self) -> tuple[float, ...]:
        """What is kept, oldest first."""
        return tuple(self._values)


def percentiles(name: str, values: Sequence[float]) -> dict[str, str]:
    """`{name}_p50` and `{name}_p95`; empty without values."""
    if not values:
        return {}
    p50, p95 = np.percentile(values, (50, 95))
    return {f"{name}_p50": f"{p50:.1f}", f"{name}_p95": f"{p95:.1f}"}


def stages(durations_ms: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Percentiles of every stage, as `stage_ms.{stage}_p50` and so on."""
    written: dict[str, str] = {}
    for stage, values in durations_ms.items():
        written.update(percentiles(f"stage_ms.{stage}", values))
    return written


def status(
    name: str, level: bytes, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """One entry of a DiagnosticArray."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def worst(levels: Iterable[bytes]) -> bytes:
    """The most serious of several levels; OK of none."""
    return max(levels, default=OK)
