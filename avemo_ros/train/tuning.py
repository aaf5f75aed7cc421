"""Search for the numbers of a configuration: Optuna, one training run a trial.

The sampler is TPE (Bergstra et al. 2011); a trial whose figure after an epoch is below the
median of the others' at that epoch is ended.  A trial is judged on what its configuration holds
out, never on the final test, which training refuses to read.

    study.db      every trial (SQLite)
    base.yaml     the configuration that is varied
    trials/0007/  run folder and train.log of a trial
    trials.csv    a line a trial
    trials.png    the same as a plot
    best.yaml     the configuration of the best trial, for `avemo train`
"""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from avemo_ros.errors import ConfigError, DataError
from avemo_ros.sink.output_file import locked
from avemo_ros.train.config_file import dump, load_config
from avemo_ros.train.run_folder import CHECKPOINT, refuse_foreign, write_text
from avemo_ros.train.search_space import (
    Choices,
    Figures,
    Range,
    RunTrial,
    Space,
    TrialError,
    check_space,
)
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.untrusted import say

OBJECTIVES: Final[dict[str, str]] = {"ua": "maximize", "wa": "maximize", "nll": "minimize"}
"""Figures that can be searched for, and which way."""
STUDY: Final = "study.db"
BASE: Final = "base.yaml"
BEST: Final = "best.yaml"
TABLE: Final = "trials.csv"
PLOT: Final = "trials.png"

_WARM_UP: Final = 5
"""Trials at random, and without an early end, before the search learns from them."""
_FAILURES: Final = 3
"""Trials that may fail in a row."""
_NAME: Final = "avemo"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched, and for how long."""

    config: str
    """The configuration that is varied, as YAML."""
    space: Space
    objective: str = "ua"
    """One of OBJECTIVES."""
    folds: tuple[str, ...] = ("",)
    """Folds that a trial trains, their mean counts; ('',) without folds."""
    trials: int = 30
    """Of the whole study, those of earlier calls included."""
    timeout_s: float = 0.0
    """No trial is begun after this time; 0: any."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What the study found so far."""

    trials: int
    """Finished, those ended early included."""
    best: float | None
    """Figure of the best; None if no trial was finished."""
    number: int
    """Of the best trial; -1 if there is none."""
    changes: tuple[str, ...] = ()
    """Its `NAME=VALUE`."""


def search(plan: Plan, out: Path, run_trial: RunTrial) -> Result:
    """Run trials until there are enough, and write what came out.

    Interrupting is safe at any time: the same call goes on, with the unfinished trial first.

    Args:
        plan: what is searched.
        out: folder of the study; made if missing.
        run_trial: trains one trial.

    Raises:
        ConfigError: `out` holds another study or other files, or a range is not allowed.
        OutputError: another process searches there.
        TrialError: a trial could not begin, or several in a row failed.
        KeyboardInterrupt: the user interrupted; table, plot and best.yaml are written.
    """
    optuna = _optuna()
    refuse_foreign(out, STUDY, BASE)
    with locked(out):
        return _search(plan, out, run_trial, optuna)


def _search(plan: Plan, out: Path, run_trial: RunTrial, optuna: Any) -> Result:
    base = out / BASE
    if not base.exists():
        write_text(base, plan.config)
    check_space(base, plan.space)
    study = optuna.create_study(
        # As a URI, in which '?' and '%' of a folder's name are no signs.
        storage=f"sqlite:///{(out / STUDY).resolve().as_uri()}?uri=true",
        study_name=_NAME,
        direction=OBJECTIVES[plan.objective],
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=_WARM_UP, n_warmup_steps=1, n_min_trials=3
        ),
    )
    _same(study, plan, out)
    # Another seed for each call: a resumed search would draw the first numbers again.
    done = len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=plan.seed + done, n_startup_trials=_WARM_UP)
    _take_up(study, optuna)
    try:
        _trials(study, plan, out, run_trial, optuna)
    finally:
        result = _result(study, optuna)
        _write(study, plan, out, result)
    return result


def value_of(history: Sequence[Figures], config: TrainConfig, objective: str) -> float:
    """Figure of the model that a run keeps: of its best epoch with patience, else of its last.

    Raises:
        DataError: nothing was held out.
    """
    if not history or objective not in history[-1]:
        raise DataError(
            f"a trial has no '{objective}': the configuration holds nothing out "
            "(data.validation)"
        )
    kept = history[-1]
    if config.training.patience:
        by = config.training.choose_by
        sign = -1 if by == "nll" else 1
        kept = max(history, key=lambda figures: sign * figures[by])
    return float(kept[objective])


def _trials(study: Any, plan: Plan, out: Path, run_trial: RunTrial, optuna: Any) -> None:
    began, failures = time.monotonic(), 0
    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    while sum(trial.state in finished for trial in study.trials) < plan.trials:
        if plan.timeout_s and time.monotonic() - began > plan.timeout_s:
            return
        trial = study.ask()
        changes = _draw(trial, plan.space)
        folder = trial.user_attrs.get("folder", f"{trial.number:04d}")
        trial.set_user_attr("folder", folder)
        trial.set_user_attr("changes", changes)
        try:
            value = _one(trial, plan, out, folder, changes, run_trial)
        except TrialError as error:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            _say(f"trial {trial.number}: {', '.join(changes)}: failed: {error}")
            if not error.began:
                raise
            failures += 1
            if failures >= _FAILURES:
                raise TrialError(
                    f"{failures} trials in a row failed, the last: {error}"
                ) from error
            continue
        failures = 0
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            _say(f"trial {trial.number}: {', '.join(changes)}: ended early")
        else:
            study.tell(trial, value)
            _say(f"trial {trial.number}: {', '.join(changes)}: {plan.objective} {value:.4f}")
        # What is finished is not gone on with.
        for path in (out / "trials" / folder).rglob(CHECKPOINT):
            path.unlink()
        _write(study, plan, out, _result(study, optuna), plot=False)


def _one(
    trial: Any, plan: Plan, out: Path, folder: str, changes: Sequence[str], run_trial: RunTrial
) -> float | None:
    """Figure of a trial; None if it was ended early."""
    config = load_config(out / BASE, changes)
    values: list[float] = []
    for place, fold in enumerate(plan.folds):
        reported = 0

        def watch(epoch: int, figures: Figures, place: int = place) -> bool:
            nonlocal reported
            if plan.objective not in figures or epoch <= reported:
                return False
            reported = epoch
            mean = (sum(values) + figures[plan.objective]) / (len(values) + 1)
            trial.report(mean, place * config.training.epochs + epoch)
            return bool(trial.should_prune())

        history = run_trial(changes, out / "trials" / folder, fold, watch)
        if history is None:
            return None
        values.append(value_of(history, config, plan.objective))
    return sum(values) / len(values)


def _draw(trial: Any, space: Space) -> list[str]:
    """`NAME=VALUE` of a trial."""
    changes = []
    for name, one in space.items():
        if isinstance(one, Choices):
            text = trial.suggest_categorical(name, list(one.values))
        elif one.whole:
            text = json.dumps(trial.suggest_int(name, int(one.low), int(one.high), log=one.log))
        else:
            drawn = trial.suggest_float(name, one.low, one.high, log=one.log)
            # Four digits say enough, and can be read.
            text = json.dumps(min(max(float(f"{drawn:.4g}"), one.low), one.high))
        changes.append(f"{name}={text}")
    return changes


def _take_up(study: Any, optuna: Any) -> None:
    """Trials that were interrupted come first, in their folders."""
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        if "folder" in trial.user_attrs:
            study.enqueue_trial(trial.params, user_attrs={"folder": trial.user_attrs["folder"]})


def _same(study: Any, plan: Plan, out: Path) -> None:
    """Raises ConfigError where the folder holds a study of something else."""
    now = {
        "config": plan.config,
        "space": repr(dict(plan.space)),
        "objective": plan.objective,
        "folds": list(plan.folds),
    }
    for name, value in now.items():
        before = study.user_attrs.get(name)
        if before is None:
            study.set_user_attr(name, value)
        elif before != value:
            raise ConfigError(
                "--out", str(out), f"another folder: the study in this one has another {name}"
            )


def _result(study: Any, optuna: Any) -> Result:
    states = optuna.trial.TrialState
    complete = study.get_trials(states=(states.COMPLETE,))
    pruned = study.get_trials(states=(states.PRUNED,))
    if not complete:
        return Result(len(pruned), None, -1)
    best = study.best_trial
    changes = tuple(best.user_attrs["changes"])
    return Result(len(complete) + len(pruned), float(best.value), best.number, changes)


def _write(study: Any, plan: Plan, out: Path, result: Result, *, plot: bool = True) -> None:
    """Table, plot and the best configuration so far."""
    rows = [trial for trial in study.trials if "changes" in trial.user_attrs]
    if not rows:
        return
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("trial", "state", plan.objective, *plan.space))
    for trial in rows:
        values = [change.partition("=")[2] for change in trial.user_attrs["changes"]]
        figure = "" if trial.value is None else f"{trial.value:.6g}"
        table.writerow((trial.number, trial.state.name.lower(), figure, *values))
    write_text(out / TABLE, text.getvalue())
    if result.best is None:
        return
    if plot:
        _plot(rows, plan, out / PLOT)
    config = load_config(out / BASE, result.changes)
    folds = "" if plan.folds == ("",) else f", folds {' '.join(plan.folds)}"
    head = (
        f"# Trial {result.number} of {result.trials}: validation {plan.objective} "
        f"{result.best:.4f}{folds}.  Chosen on these data, so evaluate it on others.\n"
    )
    write_text(out / BEST, head + dump(config))


def _plot(rows: Sequence[Any], plan: Plan, path: Path) -> None:
    """Figure against trial, and against each setting."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    done = [trial for trial in rows if trial.state.name == "COMPLETE"]
    ended = [
        trial for trial in rows if trial.state.name == "PRUNED" and trial.value is not None
    ]
    panels = 1 + len(plan.space)
    across = min(3, panels)
    down = -(-panels // across)
    figure = Figure(figsize=(4 * across, 3.2 * down), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for shape in axes[panels:]:
        shape.set_visible(False)
    best = max if OBJECTIVES[plan.objective] == "maximize" else min
    so_far = [best(one.value for one in done[: place + 1]) for place in range(len(done))]
    axes[0].plot([one.number for one in done], so_far, color="C1", label="best so far")
    for axis, name in zip(axes, ("", *plan.space), strict=False):
        groups = ((done, "C0", "finished"), (ended, "0.7", "ended early"))
        for group, colour, label in groups:
            if not group:
                continue
            given = [one.params[name] if name else one.number for one in group]
            axis.scatter(given, [one.value for one in group], s=14, color=colour, label=label)
        axis.set_xlabel(name or "trial")
        axis.set_ylabel(plan.objective)
        one = plan.space.get(name)
        if isinstance(one, Range) and one.log:
            axis.set_xscale("log")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(fontsize="small")
    part = path.with_name(path.name + ".part")
    figure.savefig(part, format="png", dpi=110)
    part.replace(path)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise DataError("the search needs Optuna: pip install 'avemo_ros[train]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _say(text: str) -> None:
    say(f"avemo: {text}", file=sys.stderr)
