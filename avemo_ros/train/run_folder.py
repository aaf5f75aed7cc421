"""What a run folder holds, and going on with it; the log for TensorBoard, where installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.released import write_atomic
from avemo_ros.settings import SettingsError, read_yaml
from avemo_ros.sink.output_file import OutputError
from avemo_ros.train.config_file import differences, dump
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.untrusted import parse_json, read_text

_NAMED: Final = 5
CONFIG: Final = "config.yaml"
SPLIT: Final = "split.json"
CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "log.jsonl"
TRAIN_LOG: Final = "train.log"
"""What `avemo tune` keeps of a trial's messages, before the run begins."""
START: Final = "start.json"
"""What the model begins with: notes, and whom those have seen that it starts from."""
FAILED: Final = "failed.txt"
"""Why the training of a run has ended without a model."""
_KEPT: Final = "checkpoint.failed.pt"
_BEGUN: Final = frozenset((CONFIG, SPLIT, START, TRAIN_LOG, "tensorboard"))
"""What a run has before its first epoch is done."""


def open_run(out: Path, config: TrainConfig, split: Mapping[str, Any], *, resume: bool) -> None:
    """Begin a run folder, or make sure that it can be gone on with.

    A run that failed, or that ended before anything was done, is not in the way of a new one,
    be it with other settings.  A checkpoint of it is set aside.

    Args:
        out: the run's folder; made if missing.
        config: of the run.
        split: who is in which part; kept in split.json.
        resume: go on with what is there; where there is nothing, begin.

    Raises:
        ConfigError: there is a run already, it is one of another configuration or data, or
            its files are damaged.
        OutputError: the folder cannot be written.
    """
    path = out / CONFIG
    if not resume and may_begin_again(out):
        _set_aside(out)
    if not path.exists():
        if (out / CHECKPOINT).exists():
            raise ConfigError("--out", str(out), f"a folder without a {CHECKPOINT} of its own")
        write_text(out / SPLIT, json.dumps(split, indent=1) + "\n")
        write_text(path, dump(config))
        return
    if not resume:
        raise ConfigError(
            "--out", str(out), "a new folder, or --resume to continue the existing run"
        )
    changed = differences(_as_used(path), config.plain())
    if changed:
        raise ConfigError(
            "--resume",
            str(out),
            f"the run's own configuration, but {'; '.join(changed)}; choose another --out",
        )
    before = read_json(out / SPLIT)
    for name, value in split.items():
        if before.get(name) != value:
            raise ConfigError(
                "--resume",
                str(out),
                f"the data that the run started with, but '{name}' in {SPLIT} differs: "
                f"{_short(before.get(name))} then, {_short(value)} now",
            )


def may_begin_again(out: Path) -> bool:
    """Whether a folder holds a run that has failed, or that ended before anything was done."""
    if not (out / CONFIG).exists():
        return False
    return (out / FAILED).exists() or all(item.name in _BEGUN for item in out.iterdir())


def _set_aside(out: Path) -> None:
    """Make room for a new run; the last checkpoint of the failed one is kept."""
    with writing(out):
        if (out / CHECKPOINT).exists():
            (out / CHECKPOINT).replace(out / _KEPT)
        for name in (CONFIG, SPLIT, START, LOG, FAILED):
            (out / name).unlink(missing_ok=True)


def refuse_foreign(out: Path, *known: str) -> None:
    """Make sure that a folder is not one of something else, among whose files a run would get
    lost.

    Args:
        out: where something is to begin, or to go on; need not exist.
        known: patterns of what there may be, at least one of which makes it a folder to go on
            with.

    Raises:
        ConfigError: there are other files, and none of the known.
    """
    if not out.is_dir() or any(next(out.glob(name), None) for name in known):
        return
    foreign = sorted(path.name for path in out.iterdir() if path.name != TRAIN_LOG)
    if foreign:
        named = ", ".join(foreign[:_NAMED]) + (", ..." if len(foreign) > _NAMED else "")
        raise ConfigError(
            "--out", str(out), f"a new folder; this one holds other files: {named}"
        )


def save_checkpoint(out: Path, state: dict[str, Any]) -> None:
    """Write the state and the log of the run.

    Raises:
        OutputError: the folder cannot be written, e.g. as the disk is full.
    """
    part = out / (CHECKPOINT + ".part")
    with writing(out / CHECKPOINT):
        try:
            torch.save(state, part)
        except RuntimeError as error:  # what torch's writer makes of a full disk
            part.unlink(missing_ok=True)
            raise OSError(" ".join(str(error).split())[:200]) from error
        part.replace(out / CHECKPOINT)
    write_log(out, state["history"])


def load_checkpoint(out: Path) -> dict[str, Any] | None:
    """The state after the last finished epoch; None where there is none.

    Raises:
        WeightsError: the file is damaged.
    """
    path = out / CHECKPOINT
    if not path.exists():
        return None
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise WeightsError(
            f"checkpoint {path} is damaged ({' '.join(str(error).split())[:200]}); remove the "
            "run folder and train again"
        ) from error


def write_log(out: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Rewrite log.jsonl: a line an epoch."""
    write_text(out / LOG, "".join(json.dumps(figures) + "\n" for figures in history))


def read_log(out: Path) -> list[dict[str, float]]:
    """The figures of every epoch; none where there is no log.

    Raises:
        ConfigError: the log is damaged.
    """
    path = out / LOG
    if not path.exists():
        return []
    try:
        rows = [parse_json(line) for line in read_text(path).splitlines()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a line is no mapping")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return rows


def read_json(path: Path, needs: Sequence[str] = ()) -> dict[str, Any]:
    """A file of a run folder.

    Args:
        path: of the file.
        needs: names that it must have.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        content = dict(parse_json(read_text(path)))
        lacking = [name for name in needs if name not in content]
        if lacking:
            raise ValueError(f"it has no '{lacking[0]}'")
    except (OSError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    return content


def write_text(path: Path, text: str) -> None:
    """Write a file in one atomic step; its folder is made.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path):
        write_atomic(path, text.encode())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes `path`.

    Raises:
        OutputError: it cannot be written: no such place, no right, no space.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _as_used(path: Path) -> Mapping[str, Any]:
    """A run's own configuration; settings that are newer than it have their defaults."""
    try:
        old = dict(read_yaml(path, path.name))
    except (SettingsError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    try:
        mapping: Mapping[str, Any] = TrainConfig.from_mapping(old).plain()
    except ConfigError:
        return old  # what is not known any more is named as a difference
    return mapping


def _damaged(path: Path, error: Exception) -> ConfigError:
    text = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return ConfigError(
        "--out",
        str(path.parent),
        f"a run whose {path.name} can be read ({text}); remove the folder and train again",
    )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


class TensorBoardLogger:
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
