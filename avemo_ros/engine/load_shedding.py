"""A latency budget: how a live system reduces its work when it is too slow."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final

from avemo_ros.config import PipelineConfig

_SPAN_S: Final = 1.0
"""Latencies of so long decide; their median, so that one hiccup sheds nothing."""
_LEAST: Final = 5
_BACK_S: Final = 5.0
_MOST_BACK_S: Final = 60.0
"""Work is taken up again when there was time to spare for so long; twice as long after each
time that it was too much at once."""
_SPARE: Final = 0.6
"""Latencies below this share of the budget are time to spare."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How much is done."""

    what: str
    """What is left out, for the log; "" for nothing."""
    frame_share: float
    """Share of `vision.max_rate_hz` that is looked at."""
    voice_rate_hz: float
    """The speech network hears at most so often [Hz]."""
    max_faces: int | None
    """The largest faces that are followed; None: as many as `vision.max_faces`."""


class LoadShedder:
    """Sheds work in a fixed order while latency is over the budget, and takes it up again.

    The order: half of the frame rate; hearing the voice at most twice a second; a third of the
    frame rate; the largest face only.

    Args:
        config: `emotion.latency_budget_s` and the rates.
        frames: images can be shed, too; they cannot where another process looks at them.
    """

    def __init__(self, config: PipelineConfig, *, frames: bool = True) -> None:
        self._budget_s = config.emotion.latency_budget_s
        rate_hz = config.emotion.voice_rate_hz
        slow_hz = min(2.0, rate_hz)
        self._levels: tuple[Workload, ...] = (
            Workload("", 1.0, rate_hz, None),
            Workload("half the frame rate", 0.5, rate_hz, None),
            Workload("half the frame rate and voice rate", 0.5, slow_hz, None),
            Workload("two thirds of the frame rate and voice rate", 0.34, slow_hz, None),
            Workload(
                "two thirds of the frame rate and voice rate, and all faces but the largest",
                0.34,
                slow_hz,
                1,
            ),
        )
        if not frames:
            self._levels = (self._levels[0], Workload("voice rate", 1.0, slow_hz, None))
        self.level = 0
        """0: everything is done."""
        self._latencies: deque[tuple[float, float]] = deque()
        self._since_s: float | None = None
        self._spare_since_s: float | None = None
        self._back_s = _BACK_S
        self._taken_up_s: float | None = None

    @property
    def shed(self) -> Workload:
        """What is done at present."""
        return self._levels[self.level]

    def observe(self, latency_s: float, now_s: float) -> bool:
        """One image has become an estimate.

        Args:
            latency_s: from its arrival to the estimate [s].
            now_s: on a steady clock [s].

        Returns:
            Whether the level has changed.
        """
        self._latencies.append((now_s, latency_s))
        # However few images come: the slower, the more it matters.
        while len(self._latencies) > _LEAST and now_s - self._latencies[0][0] > _SPAN_S:
            self._latencies.popleft()
        usual_s = statistics.median(latency for _, latency in self._latencies)
        if usual_s > self._budget_s:
            self._spare_since_s = None
            return len(self._latencies) >= _LEAST and self._change(1, now_s)
        if usual_s > _SPARE * self._budget_s:
            self._spare_since_s = None
            return False
        if self._spare_since_s is None:
            self._spare_since_s = now_s
        if self.level and now_s - self._spare_since_s >= self._back_s:
            self._spare_since_s = self._taken_up_s = now_s
            return self._change(-1, now_s)
        return False

    def _change(self, by: int, now_s: float) -> bool:
        level = min(max(self.level + by, 0), len(self._levels) - 1)
        # What was decided needs time to show.
        settled = self._since_s is None or now_s - self._since_s >= _SPAN_S
        if level == self.level or not settled:
            return False
        if by > 0 and self._taken_up_s is not None:
            soon = now_s - self._taken_up_s < self._back_s
            self._back_s = min(2 * self._back_s, _MOST_BACK_S) if soon else _BACK_S
            self._taken_up_s = None
        self.level, self._since_s = level, now_s
        self._latencies.clear()
        return True
