"""Durations of the stages, for diagnostics and the bench; no result depends on them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LIVE: Final = 300
"""Durations that tell how a running system does now."""
WHOLE: Final = 36_000
"""Durations that hold all of most recordings: of 40 minutes of images."""


class Stopwatch:
    """Keeps the newest durations of every named stage.

    Args:
        kept: how many of each.
    """

    def __init__(self, kept: int = LIVE) -> None:
        self._kept = kept
        self._stages: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            kept = self._stages.setdefault(stage, deque(maxlen=self._kept))
            kept.append(1e3 * (time.perf_counter() - start))

    def stages_ms(self) -> dict[str, tuple[float, ...]]:
        """The newest durations of every stage [ms]."""
        return {stage: tuple(kept) for stage, kept in list(self._stages.items())}
