"""`avemo models` and `avemo export`: which weights are installed, and files for others."""

from __future__ import annotations

import argparse
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from avemo_ros.cli.outputs import add_force
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.network import LiveModel
from avemo_ros.model.released import (
    LIVE,
    check_listed,
    find_weights,
    models_dir,
    onnx_files,
    read_index,
)
from avemo_ros.model.torch_network import has_fast_bfloat16
from avemo_ros.settings import Settings
from avemo_ros.untrusted import say
from avemo_ros.zoo.classical import EnsembleOptions, FunctionalOptions, open_classifier
from avemo_ros.zoo.model_export import (
    FORMATS,
    Exported,
    Speed,
    benchmark,
    benchmark_robot,
    export_beside,
    export_model,
    source_notes,
    verify_beside,
)
from avemo_ros.zoo.model_file import find_model, load_model
from avemo_ros.zoo.model_registry import ENSEMBLE, KINDS, MACHINES

DONE: Final = 0
DAMAGED: Final = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="also load each model and check its classes and shapes, and that its ONNX files "
        "give the same results",
    )
    parser.add_argument(
        "--kinds",
        action="store_true",
        help="list the kinds of models for configuration files, with their options",
    )


def run(args: argparse.Namespace) -> int:
    """List every released model; returns 2 if one of them cannot be used.

    Raises:
        WeightsError: there is no readable index of models.
    """
    if args.kinds:
        _print_kinds()
        return DONE
    folder = models_dir()
    index = read_index(folder)
    say(f"models in {folder}")
    status = DONE
    for name, entry in sorted(index["models"].items()):
        try:
            path = find_weights(name)
            state = "checksum matches"
            if args.verify:
                state += f", loads ({open_classifier(path).modality})"
            if entry.get("onnx"):
                state += _onnx_state(path, verify=args.verify)
            size = f"{path.stat().st_size / 1e6:.1f} MB"
        except (OSError, WeightsError) as error:
            state, size, status = str(error), "-", DAMAGED
        task = str(entry.get("task", LIVE))
        mark = _default_of(index, name)
        say(f"{name:26} {entry['file']:38} {size:>8}  {task:15} {mark:19} {state}")
    return status


def _onnx_state(weights: Path, *, verify: bool) -> str:
    if verify:
        worst = verify_beside(load_model(weights), weights)
        return f", ONNX gives the same results (within {worst:.0e})"
    for path in onnx_files(weights).values():
        check_listed(weights, path)
    return ", ONNX too"


def _default_of(index: Mapping[str, Any], name: str) -> str:
    """'default' for what the robot runs, 'for TASK' for the default of other tasks, or ''."""
    tasks = [task for task, one in index.get("defaults", {}).items() if one == name]
    marks = ["default"] if index["default"] == name else []
    return ", ".join([*marks, *(f"for {task}" for task in tasks if task != LIVE)])


def _print_kinds() -> None:
    for kind in KINDS.values():
        say(f"{kind.name}: {kind.text}")
        _print_settings(kind.options)
        say()
    say(
        f"{', '.join(MACHINES)}: Support vector machines; only the first has the option "
        "'features'."
    )
    _print_settings(FunctionalOptions)
    say()
    say(f"{ENSEMBLE}: Weighted sum of trained members.")
    _print_settings(EnsembleOptions)


def _print_settings(kind: type[Settings]) -> None:
    for one in kind.settings():
        name = one.name.removeprefix(f"{kind.group}.")
        _print_option(name, one.description, one.default, one.allowed)


def _print_option(name: str, text: str, default: Any, allowed: str) -> None:
    if isinstance(default, ModelSpec):
        default = default.to_mapping()
    elif isinstance(default, tuple):
        default = list(default)
    elif isinstance(default, bool):
        default = str(default).lower()
    line = f"{name}: {text} Default: {'none' if default in ('', None) else default}."
    if allowed:
        line += f" Allowed: {allowed}."
    say(textwrap.fill(line, 96, initial_indent="  ", subsequent_indent="      "))


# `avemo export`: a model for other runtimes.


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        default="",
        help="released model, .safetensors file or run folder; default: the live model",
    )
    parser.add_argument(
        "--format", choices=tuple(FORMATS), default="onnx", help="default: onnx"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file to write, .onnx or .pt; a model with several parts gives one FILE-PART each",
    )
    parser.add_argument(
        "--beside",
        action="store_true",
        help="write the ONNX files of a live model next to its weights, where the robot "
        "looks for them, and their SHA-256 into an index.json there that lists the model",
    )
    parser.add_argument(
        "--bench",
        action="store_true",
        help="time each part on one core with PyTorch (float32, bfloat16), TorchScript and "
        "ONNX Runtime in turn; for a live model, also the calls the robot makes",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=40,
        help=("with --bench: number of calls of each (default: 40)"),
    )
    add_force(parser)


def run_export(args: argparse.Namespace) -> int:
    """Export, measure, or both.

    Raises:
        ConfigError: nothing is asked for, --beside does not fit the rest, or a package is not
            installed.
        WeightsError: the model cannot be loaded, or an export's answers differ.
    """
    if args.out is None and not args.bench and not args.beside:
        raise ConfigError("out", args.out, "a file to write, --beside, or --bench alone")
    if args.beside and (args.out is not None or args.format != "onnx"):
        raise ConfigError("beside", True, "alone, without --out, and with --format onnx")
    if args.rounds < 1:
        raise ConfigError("rounds", args.rounds, "at least 1")
    path = find_model(args.model)
    loaded = load_model(path)
    if args.beside:
        _tell(export_beside(loaded, path))
    elif args.out is not None:
        notes = source_notes(loaded, path)
        _tell(export_model(loaded.model, args.format, args.out, notes, force=args.force))
        if loaded.temperature != 1.0:
            say(f"divide the logits by the temperature {loaded.temperature:.4f}")
    if args.bench:
        if isinstance(loaded.model, LiveModel):
            there = all(one.is_file() for one in onnx_files(path).values())
            _print_speeds(
                benchmark_robot(loaded.model.network, args.rounds, path if there else None)
            )
            taken = "bfloat16" if has_fast_bfloat16() else "float32"
            say(f"on this CPU model.precision auto takes {taken} with PyTorch\n")
        with tempfile.TemporaryDirectory() as folder:
            _print_speeds(benchmark(loaded.model, Path(folder), args.rounds))
    return DONE


def _tell(written: list[Exported]) -> None:
    for converted in written:
        say(f"{converted.path}: differs by at most {converted.difference:.1e}")


def _print_speeds(speeds: list[Speed]) -> None:
    say(f"{'part':14} {'runtime':14} {'CPU ms':>9} {'of float32':>11}")
    for speed in speeds:
        say(f"{speed.submodule:14} {speed.runtime:14} {speed.ms:9.3f} {speed.ratio:11.2f}")
