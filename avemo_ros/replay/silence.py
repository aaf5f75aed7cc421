"""Says of a recording, as a live node does, when its input had stopped."""

from __future__ import annotations

from typing import Final

from avemo_ros.clock import to_ns
from avemo_ros.config import EmotionConfig
from avemo_ros.state.estimate import Hop
from avemo_ros.state.estimator import EmotionEstimator

_LONGEST_NS: Final = to_ns(600.0)
"""A longer silence is a clock that was set, or a robot that was left alone: only its beginning
is told."""


class Silence:
    """Fills the time between two inputs with hops that say that nothing came."""

    def __init__(self, config: EmotionConfig, estimator: EmotionEstimator) -> None:
        self._hop_ns = to_ns(config.hop_s)
        self._stale_ns = to_ns(config.stale_after_s)
        self._estimator = estimator
        self._newest: tuple[int, int] | None = None

    def until(self, log_ns: int) -> list[Hop]:
        """The hops of the silence before an input that was recorded at `log_ns` [ns]."""
        if self._newest is None:
            return []
        stamp_ns, then_ns = self._newest
        passed_ns = min(log_ns - then_ns, _LONGEST_NS)
        if passed_ns <= self._stale_ns:
            return []
        first = (stamp_ns + self._stale_ns) // self._hop_ns + 1
        last = (stamp_ns + passed_ns) // self._hop_ns
        return [
            hop
            for number in range(first, last + 1)
            for hop in self._estimator.tick(number * self._hop_ns)
        ]

    def heard(self, stamp_ns: int, log_ns: int) -> None:
        """An input reached to `stamp_ns` and was recorded at `log_ns` [ns]."""
        self._newest = (stamp_ns, log_ns)
