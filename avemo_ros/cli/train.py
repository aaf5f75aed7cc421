"""`avemo train`: from a configuration and data sets to a trained model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from avemo_ros.errors import ConfigError
from avemo_ros.train.config_file import load_config, named


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
    from avemo_ros.train.parallel import is_first
    from avemo_ros.train.training_run import Place, run_task

    place = Place(read_roots(args.root), args.out, args.cache, args.workers, args.device)
    lines = run_task(config, place, fold=args.fold, resume=args.resume)
    if is_first():
        print("\n".join(lines))
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
