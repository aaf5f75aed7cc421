"""What a search varies, and one trial of it: a training run in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.interrupt import PARENT_VARIABLE
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.settings import SettingsError, read_yaml
from avemo_ros.train.config_file import load_config
from avemo_ros.train.run_folder import TRAIN_LOG, read_log
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.zoo.classical import ensemble_options, svm_options
from avemo_ros.zoo.model_file import MODEL_FILE
from avemo_ros.zoo.model_registry import BUILDER, ENSEMBLE, MACHINES


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    """Evenly over the logarithm."""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """One of some values, as JSON."""

    values: tuple[str, ...]


Space = Mapping[str, Range | Choices]


def read_tune(name: str, overrides: Sequence[str] = ()) -> tuple[TrainConfig, Space]:
    """A configuration and the space to search.

    Args:
        name: a YAML file, or the name of one in config/tune.  It has `tune:`, names of settings
            with `{low: , high: , log: }` or `{choices: [...]}`, and either `base:` (a name or
            file of a configuration) or the configuration itself.
        overrides: `NAME=VALUE` for all trials.

    Raises:
        ConfigError: the file cannot be read, or a name or value is not allowed.
    """
    path = _tune_path(name)
    try:
        content = read_yaml(path, str(path))
    except SettingsError as error:
        text = " ".join(str(error).split())
        raise ConfigError(
            "CONFIG", str(path), f"a YAML file that can be read ({text})"
        ) from error
    if not isinstance(content, dict) or "tune" not in content:
        raise ConfigError(
            "tune",
            None,
            f"names with ranges in {path}, e.g. training.rate: "
            "{low: 1e-4, high: 3e-3, log: true}",
        )
    raw = content.pop("tune")
    if "base" in content:
        base = content.pop("base")
        if content:
            raise ConfigError(
                "base",
                base,
                f"a file with base and tune alone; it has {', '.join(content)} too",
            )
        beside = path.parent / str(base)
        config = load_config(beside if beside.is_file() else str(base), overrides)
    else:
        config = _from_content(content, path, overrides)
    return config, _space(raw)


def check_space(base: Path, space: Space) -> None:
    """Make sure that every end of every range, and every choice, is allowed.

    Raises:
        ConfigError: a name is not known or a value not allowed.
    """
    for name, one in space.items():
        if isinstance(one, Choices):
            texts = one.values
        else:
            ends = (one.low, one.high)
            texts = tuple(json.dumps(int(end) if one.whole else end) for end in ends)
        for text in texts:
            _check_model(load_config(base, [f"{name}={text}"]))


def _space(raw: object) -> Space:
    if not isinstance(raw, Mapping) or not raw:
        raise ConfigError("tune", raw, "one setting or more, each with low and high or choices")
    return {str(name): _range(f"tune.{name}", one) for name, one in raw.items()}


def _choice(where: str, value: object) -> str:
    """A value as `--set` takes it; YAML also knows dates, sets and bytes."""
    try:
        return json.dumps(_number(value))
    except (TypeError, ValueError, RecursionError) as error:
        allowed = "text, numbers, true, false, and lists of these"
        raise ConfigError(where, value, allowed) from error


def _range(where: str, raw: object) -> Range | Choices:
    allowed = "{low: NUMBER, high: NUMBER, log: true | false} or {choices: [...]}"
    if not isinstance(raw, Mapping):
        raise ConfigError(where, raw, allowed)
    if set(raw) == {"choices"}:
        values = raw["choices"]
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{where}.choices", values, "a list with one value or more")
        return Choices(tuple(_choice(f"{where}.choices", value) for value in values))
    low, high, log = _number(raw.get("low")), _number(raw.get("high")), raw.get("log", False)
    if not set(raw) <= {"low", "high", "log"} or not isinstance(log, bool):
        raise ConfigError(where, dict(raw), allowed)
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{where}.{name}", value, "a number")
    if not low < high or (log and low <= 0):
        raise ConfigError(where, dict(raw), "low below high, and above 0 with log")
    return Range(float(low), float(high), log, isinstance(low, int) and isinstance(high, int))


def _number(value: Any) -> Any:
    """With 1e-4 as a number, which YAML 1.1 takes for text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _check_model(config: TrainConfig) -> None:
    spec = ModelSpec.from_mapping(config.model)
    if spec.kind == ENSEMBLE:
        ensemble_options(spec)
    elif spec.kind in MACHINES:
        svm_options(spec)
    else:
        BUILDER.check(spec)


def _from_content(
    content: Mapping[str, Any], path: Path, overrides: Sequence[str]
) -> TrainConfig:
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name
        plain.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
        return load_config(plain, overrides)


def _tune_path(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    package = Path(__file__).resolve().parent.parent
    places = [package.parent / "config", package / "config"]
    places += [one / "share" / "avemo_ros" / "config" for one in package.parents]
    known = {
        file.stem: file for place in places[::-1] for file in (place / "tune").glob("*.yaml")
    }
    if path.suffix in (".yaml", ".yml") or name not in known:
        names = ", ".join(sorted(known))
        raise ConfigError("CONFIG", name, f"a YAML file that exists, or one of {names}")
    return known[name]


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
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
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
    return f"{lines[-1] if lines else 'no output'} (see {folder / TRAIN_LOG})"
