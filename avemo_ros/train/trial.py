"""A trial of the search as a process of its own.

What it takes from memory, or breaks, ends with it, and an interruption reaches it as it would
reach `avemo train` from the keyboard: the last finished epoch is kept.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from avemo_ros.errors import AvemoError
from avemo_ros.train.checkpoint import read_log
from avemo_ros.zoo.bundle import MODEL_FILE

TRAIN_LOG: Final = "train.log"

_LOOK_S: Final = 0.5
"""Time between looks at the figures of a run."""
_END_S: Final = 120.0
"""Time that a process gets to keep what it has."""


class TrialError(AvemoError):
    """A trial could not be trained to its end."""

    def __init__(self, message: str, *, began: bool = True) -> None:
        """Set up.

        Args:
            message: what went wrong.
            began: it finished an epoch; else the next trial would do no better.
        """
        super().__init__(message)
        self.began = began


Figures = Mapping[str, float]
Watch = Callable[[int, Figures], bool]
"""Told the number of an epoch, from 1, and its figures; True: end the trial."""


class RunTrial(Protocol):
    """Trains one fold of a trial."""

    def __call__(
        self, changes: Sequence[str], folder: Path, fold: str, watch: Watch
    ) -> Sequence[Figures] | None:
        """Train, or go on with what the folder has.

        Args:
            changes: `NAME=VALUE` of the trial.
            folder: run folder of the trial.
            fold: '0', '1', ..., or '' without folds.
            watch: asked after each epoch.

        Returns:
            The figures of every epoch; None if `watch` ended it.

        Raises:
            TrialError: it could not be trained.
        """


@dataclass(frozen=True, slots=True)
class ChildTrainer:
    """Trains with `avemo train`; implements `RunTrial`."""

    config: Path
    """The configuration that is varied."""
    arguments: tuple[str, ...]
    """Of `avemo train`, the same for all trials: --root, --cache, --device, ..."""

    def __call__(
        self, changes: Sequence[str], folder: Path, fold: str, watch: Watch
    ) -> Sequence[Figures] | None:
        """See `RunTrial`."""
        run = folder / f"fold{fold}" if fold else folder
        if not (run / MODEL_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / TRAIN_LOG).open("ab") as log:
                ended = self._train(changes, folder, fold, run, watch, log)
            if ended:
                return None
        history = read_log(run)
        # The last epochs may have been finished between two looks.
        _tell(history, watch)
        return history

    def _train(
        self,
        changes: Sequence[str],
        folder: Path,
        fold: str,
        run: Path,
        watch: Watch,
        log: IO[bytes],
    ) -> bool:
        """Whether `watch` ended it."""
        command = [sys.executable, "-m", "avemo_ros.cli.main", "train", str(self.config)]
        command += ["--out", str(folder), "--resume", *self.arguments]
        command += ["--fold", fold] if fold else []
        for change in changes:
            command += ["--set", change]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    status = child.wait(_LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    if _tell(read_log(run), watch):
                        return True
        finally:
            _end(child)
        if status != 0:
            text = f"avemo train ended with status {status}: {_last(folder)}"
            raise TrialError(text, began=bool(read_log(run)))
        return False


def _tell(history: Sequence[Figures], watch: Watch) -> bool:
    return any(watch(epoch, figures) for epoch, figures in enumerate(history, start=1))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and see that it does."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _last(folder: Path) -> str:
    """The last thing that a training said."""
    text = (folder / TRAIN_LOG).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'it said nothing'} (see {folder / TRAIN_LOG})"
