"""Durations of the stages, for diagnostics and the bench; no result depends on them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_KEPT: Final = 300


class Stopwatch:
    """Keeps the newest durations of every named stage."""

    def __init__(self) -> None:
        self._stages: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            kept = self._stages.setdefault(stage, deque(maxlen=_KEPT))
            kept.append(1e3 * (time.perf_counter() - start))

    def stages_ms(self) -> dict[str, tuple[float, ...]]:
        """The newest durations of every stage, at most 300 each [ms]."""
        return {stage: tuple(kept) for stage, kept in list(self._stages.items())}
