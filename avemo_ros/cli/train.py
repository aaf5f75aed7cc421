"""`avemo train` and `avemo tune`: from a configuration and data sets to a trained model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from avemo_ros.errors import ConfigError
from avemo_ros.train.config_file import load_config, named
from avemo_ros.untrusted import real, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "config", metavar="CONFIG", help=f"YAML file, or one of {', '.join(named())}"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="folder of the run"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in RUN, if there is one"
    )
    parser.add_argument(
        "--fold",
        default="",
        metavar="K",
        help="train only this fold of the configuration, 'final' (on all of them) or 'all' "
        "(default: all)",
    )
    add_shared(parser)


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Declare what `avemo tune` takes too: data, settings, and on what to compute."""
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="[NAME=]DIR",
        help="folder of the data set NAME; without NAME, the folder with ravdess/, fer2013/, "
        "... in it, or the folder of the only data set",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="change one setting, e.g. training.rate=1e-3 or data.train.0.share=0.5; may be "
        "given several times",
    )
    parser.add_argument(
        "--au", type=Path, metavar="CSV", help="table of action units; short for data.units"
    )
    parser.add_argument(
        "--landmarks",
        type=Path,
        metavar="NPZ",
        help="file of landmark sequences; short for data.landmarks",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help=("keep prepared faces and spectrograms in this folder"),
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help=("processes that prepare data (default: 0, this process)"),
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="CPU threads for the network; default: PyTorch's choice",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help=("where to train (default: auto)"),
    )


def run(args: argparse.Namespace) -> int:
    """Train; returns 0.

    Raises:
        AvemoError: a setting, the data, the start or the run folder cannot be used.
        KeyboardInterrupt: the user interrupted; the last finished epoch is kept.
    """
    settings = list(args.settings)
    if args.au is not None:
        settings.append(f"data.units={args.au}")
    if args.landmarks is not None:
        settings.append(f"data.landmarks={args.landmarks}")
    config = load_config(args.config, settings)
    if args.threads < 0:
        raise ConfigError("--threads", args.threads, "0 or more")
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    from avemo_ros.train.optimisation import is_first
    from avemo_ros.train.training_run import Place, run_task

    place = Place(read_roots(args.root), args.out, args.cache, args.workers, args.device)
    lines = run_task(config, place, fold=args.fold, resume=args.resume)
    if is_first():
        say("\n".join(lines))
    return 0


def read_roots(given: Sequence[str]) -> dict[str, Path]:
    """Folders by data set from `--root`; '' is the one without a name.

    Raises:
        ConfigError: one is not there, or is given twice.
    """
    roots: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals:
            name, folder = "", text
        path = Path(folder).expanduser()
        if not path.exists():
            raise ConfigError("--root", text, "a folder that exists")
        if name in roots:
            raise ConfigError("--root", text, "each data set once")
        roots[name] = path
    return roots


# `avemo tune`: search a configuration's best numbers.

DONE: Final = 0
NOTHING: Final = 1
"""No trial was finished."""


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "config",
        metavar="CONFIG",
        help=(
            "YAML file with a `tune:` section (see docs/tuning.md), or the name of one in "
            "config/tune"
        ),
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the study; run the same command again to continue it",
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=30,
        metavar="N",
        help="number of trials, including earlier ones of this study (default: 30)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=0.0,
        metavar="S",
        help="start no new trial after this time [s]; default: no limit",
    )
    parser.add_argument(
        "--objective",
        choices=("ua", "wa", "nll"),
        default="ua",
        help="validation metric to optimise (default: ua)",
    )
    parser.add_argument(
        "--fold",
        default="0",
        metavar="K",
        help="fold to hold out, if the configuration has folds, or 'all' for their mean "
        "(default: 0)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the search (default: 0)"
    )
    add_shared(parser)


def run_tune(args: argparse.Namespace) -> int:
    """Search; returns 0, or 1 if no trial was finished.

    Raises:
        AvemoError: a setting, the data or the folder cannot be used.
        KeyboardInterrupt: the user interrupted; the same call goes on.
    """
    from avemo_ros.train.config_file import dump
    from avemo_ros.train.search_space import ChildTrainer, read_tune
    from avemo_ros.train.training_config import TrainConfig
    from avemo_ros.train.tuning import BASE, BEST, Plan, search

    if args.trials < 1:
        raise ConfigError("--trials", args.trials, "1 or more")
    if args.timeout < 0:
        raise ConfigError("--timeout", args.timeout, "0 or more")
    read_roots(args.root)
    settings = list(args.settings)
    if args.au is not None:
        settings.append(f"data.units={real(args.au.expanduser())}")
    if args.landmarks is not None:
        settings.append(f"data.landmarks={real(args.landmarks.expanduser())}")
    config, space = read_tune(args.config, settings)

    def folds(config: TrainConfig) -> tuple[str, ...]:
        names = [str(number) for number in range(len(config.data.folds))]
        if not names:
            return ("",)
        if args.fold not in ("all", *names):
            raise ConfigError("--fold", args.fold, f"all | {' | '.join(names)}")
        return tuple(names) if args.fold == "all" else (args.fold,)

    arguments = ["--device", args.device, "--workers", str(args.workers)]
    for root in args.root:
        arguments += ["--root", root]
    for name, value in (("--cache", args.cache), ("--threads", args.threads)):
        arguments += [name, str(value)] if value else []
    plan = Plan(
        dump(config),
        space,
        args.objective,
        folds(config),
        args.trials,
        args.timeout,
        args.seed,
    )
    found = search(plan, args.out, ChildTrainer(args.out / BASE, tuple(arguments)))
    if found.best is None:
        say(f"{args.out}: no trial finished")
        return NOTHING
    say(
        f"{args.out / BEST}: {args.objective} {found.best:.4f} in trial {found.number} of "
        f"{found.trials}: {', '.join(found.changes)}"
    )
    return DONE
