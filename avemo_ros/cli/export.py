"""`avemo export`: a model for other runtimes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Final

from avemo_ros.cli.outputs import add_force
from avemo_ros.errors import ConfigError
from avemo_ros.model.network import LiveModel
from avemo_ros.model.released import onnx_files
from avemo_ros.model.torch_network import has_fast_bfloat16
from avemo_ros.zoo.model_export import (
    FORMATS,
    Exported,
    Speed,
    benchmark,
    benchmark_robot,
    export_beside,
    export_model,
    source_notes,
)
from avemo_ros.zoo.model_file import find_model, load_model

DONE: Final = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
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
            print(f"divide the logits by the temperature {loaded.temperature:.4f}")
    if args.bench:
        if isinstance(loaded.model, LiveModel):
            there = all(one.is_file() for one in onnx_files(path).values())
            _print(benchmark_robot(loaded.model.network, args.rounds, path if there else None))
            taken = "bfloat16" if has_fast_bfloat16() else "float32"
            print(f"on this CPU model.precision auto takes {taken} with PyTorch\n")
        with tempfile.TemporaryDirectory() as folder:
            _print(benchmark(loaded.model, Path(folder), args.rounds))
    return DONE


def _tell(written: list[Exported]) -> None:
    for made in written:
        print(f"{made.path}: differs by at most {made.difference:.1e}")


def _print(speeds: list[Speed]) -> None:
    print(f"{'part':14} {'runtime':14} {'CPU ms':>9} {'of float32':>11}")
    for speed in speeds:
        print(f"{speed.submodule:14} {speed.runtime:14} {speed.ms:9.3f} {speed.ratio:11.2f}")
