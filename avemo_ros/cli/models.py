"""`avemo models`: which weights are installed, and whether they are whole."""

from __future__ import annotations

import argparse
import json
from typing import Final

from avemo_ros.errors import WeightsError
from avemo_ros.model.weights import INDEX, find_weights, load_weights, models_dir

DONE: Final = 0
DAMAGED: Final = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="load each model too: checksum, classes and shapes",
    )


def run(args: argparse.Namespace) -> int:
    """List every released model; returns 2 if one of them cannot be used.

    Raises:
        WeightsError: there is no readable index of models.
    """
    folder = models_dir()
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        default, models = index["default"], sorted(index["models"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{folder / INDEX} cannot be read ({error})") from error
    print(f"models in {folder}")
    status = DONE
    for name, entry in models:
        mark = "default" if name == default else ""
        try:
            path = find_weights(name)
            state = "checksum matches"
            if args.verify:
                load_weights(path)
                state += ", loads"
            size = f"{path.stat().st_size / 1e6:.1f} MB"
        except WeightsError as error:
            state, size, status = str(error), "-", DAMAGED
        print(f"{name:24} {entry['file']:36} {size:>8}  {mark:8} {state}")
    return status
