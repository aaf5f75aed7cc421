"""Figures of a run for TensorBoard, where that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes `<out>/tensorboard`; does nothing without the package `tensorboard`."""

    def __init__(self, out: Path, first: int) -> None:
        """Set up.

        Args:
            out: the run's folder.
            first: epochs that are already there; what a broken-off run wrote after them is
                hidden.
        """
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(out / "tensorboard"), purge_step=first + 1)

    def add(self, figures: Mapping[str, float]) -> None:
        """Put down the figures of an epoch."""
        if self._writer is None:
            return
        for name, value in figures.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(figures["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
