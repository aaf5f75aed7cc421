"""`avemo models`: which weights are installed, if they are whole, and what can be built."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from avemo_ros.errors import WeightsError
from avemo_ros.model.released import (
    LIVE,
    check_listed,
    find_weights,
    models_dir,
    onnx_files,
    read_index,
)
from avemo_ros.model.spec import ModelSpec
from avemo_ros.settings import Settings
from avemo_ros.zoo.classical import (
    EnsembleOptions,
    FunctionalOptions,
    open_classifier,
)
from avemo_ros.zoo.model_export import verify_beside
from avemo_ros.zoo.model_file import load_model
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
    print(f"models in {folder}")
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
        print(f"{name:26} {entry['file']:38} {size:>8}  {task:15} {mark:19} {state}")
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
        print(f"{kind.name}: {kind.text}")
        _print_settings(kind.options)
        print()
    print(
        f"{', '.join(MACHINES)}: Support vector machines; the last two have no option "
        "'features'."
    )
    _print_settings(FunctionalOptions)
    print()
    print(f"{ENSEMBLE}: Weighted sum of trained members.")
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
    print(textwrap.fill(line, 96, initial_indent="  ", subsequent_indent="      "))
