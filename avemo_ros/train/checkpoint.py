"""What a run folder holds, and going on with it.

    config.yaml        the configuration as used
    split.json         who is learned from and who is held out
    start.json         where the first weights came from
    checkpoint.pt      the whole state after the last finished epoch
    log.jsonl          a line an epoch
    tensorboard/       the same for TensorBoard
    model.safetensors  the trained model

Files are replaced in one step, so that an interruption leaves the last whole one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.train.config import TrainConfig, as_mapping, differences, dump

CONFIG: Final = "config.yaml"
SPLIT: Final = "split.json"
CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "log.jsonl"


def open_run(out: Path, config: TrainConfig, split: Mapping[str, Any], *, resume: bool) -> None:
    """Begin a run folder, or make sure that it can be gone on with.

    Args:
        out: the run's folder; made if missing.
        config: of the run.
        split: who is in which part; kept in split.json.
        resume: go on with what is there; where there is nothing, begin.

    Raises:
        ConfigError: there is a run already, or it is one of another configuration or data.
    """
    path = out / CONFIG
    if not path.exists():
        if (out / CHECKPOINT).exists():
            raise ConfigError("--out", str(out), f"a folder without a {CHECKPOINT} of its own")
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / SPLIT, json.dumps(split, indent=1) + "\n")
        write_text(path, dump(config))
        return
    if not resume:
        raise ConfigError(
            "--out", str(out), "a new folder, or --resume to go on with the run that is there"
        )
    import yaml

    old = yaml.safe_load(path.read_text(encoding="utf-8"))
    changed = differences(old, as_mapping(config))
    if changed:
        raise ConfigError(
            "--resume",
            str(out),
            f"the run's own configuration, but {'; '.join(changed)}; take another --out",
        )
    before = json.loads((out / SPLIT).read_text(encoding="utf-8"))
    for name, value in split.items():
        if before.get(name) != value:
            raise ConfigError(
                "--resume",
                str(out),
                f"the data that the run began with, but '{name}' in {SPLIT} differs: "
                f"{_short(before.get(name))} then, {_short(value)} now",
            )


def save_checkpoint(out: Path, state: dict[str, Any]) -> None:
    """Write the state and the log of the run."""
    part = out / (CHECKPOINT + ".part")
    torch.save(state, part)
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
    """The figures of every epoch; none where there is no log."""
    path = out / LOG
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_text(path: Path, text: str) -> None:
    """Write a file in one atomic step; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
