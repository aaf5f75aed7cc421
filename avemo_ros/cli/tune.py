"""`avemo tune`: search a configuration's best numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from avemo_ros.cli.train import add_shared, read_roots
from avemo_ros.errors import ConfigError

DONE: Final = 0
NOTHING: Final = 1
"""No trial was finished."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
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
        settings.append(f"data.units={args.au.expanduser().resolve()}")
    if args.landmarks is not None:
        settings.append(f"data.landmarks={args.landmarks.expanduser().resolve()}")
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
        print(f"{args.out}: no trial finished")
        return NOTHING
    print(
        f"{args.out / BEST}: {args.objective} {found.best:.4f} in trial {found.number} of "
        f"{found.trials}: {', '.join(found.changes)}"
    )
    return DONE
