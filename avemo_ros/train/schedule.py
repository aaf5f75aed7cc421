"""The learning rate over a run."""

from __future__ import annotations

import math
from typing import Final

from avemo_ros.train.config import TrainingConfig

_START: Final = 0.04
"""Share of the highest rate that a cycle begins with."""
_END: Final = 1e-4


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the highest rate at `progress` (0 to 1): cosine from 0.04 up to 1, then to 0."""
    if progress < warm_up:
        return _START + (1 - _START) * 0.5 * (1 - math.cos(math.pi * progress / warm_up))
    return _fall(progress, warm_up)


def cosine(progress: float, warm_up: float) -> float:
    """Share of the highest rate: a straight line up to 1, then cosine to 0."""
    if progress < warm_up:
        return _START + (1 - _START) * progress / warm_up
    return _fall(progress, warm_up)


def _fall(progress: float, warm_up: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) + _END


class Schedule:
    """Share of the highest rate for each step; `plateau` learns from the validation loss."""

    def __init__(self, settings: TrainingConfig) -> None:
        self._kind, self._warm_up = settings.schedule, settings.warm_up
        self._wait, self._factor = settings.plateau_epochs, settings.plateau_factor
        self._share = 1.0
        self._best = math.inf
        self._epochs_without = 0

    def share(self, progress: float) -> float:
        """At `progress` (0 to 1) through the run."""
        if self._kind == "one_cycle":
            return one_cycle(progress, self._warm_up)
        if self._kind == "cosine":
            return cosine(progress, self._warm_up)
        rise = _START + (1 - _START) * progress / self._warm_up if self._warm_up else 1.0
        return min(1.0, rise) * self._share

    def see(self, validation_loss: float) -> None:
        """The validation loss after an epoch: `plateau` falls when it stays up."""
        if validation_loss < self._best:
            self._best, self._epochs_without = validation_loss, 0
            return
        self._epochs_without += 1
        if self._kind == "plateau" and self._epochs_without >= self._wait:
            self._share *= self._factor
            self._epochs_without = 0

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {
            "share": self._share,
            "best": self._best,
            "epochs_without": self._epochs_without,
        }

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self._share, self._best = float(state["share"]), float(state["best"])
        self._epochs_without = int(state["epochs_without"])
