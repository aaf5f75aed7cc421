"""What every action of `avemo dialog` takes: strategy table, parameters, chat endpoint."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from avemo_ros.cli.settings import read_values
from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.back_end import BackEnd
from avemo_ros.dialog.config import DialogConfig
from avemo_ros.dialog.endpoint_config import EndpointConfig
from avemo_ros.dialog.evaluation import Setup
from avemo_ros.dialog.strategy import StrategyTable
from avemo_ros.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DialogSettings:
    """The parameters of the dialog by group, as the node has them."""

    dialog: DialogConfig
    steady: SteadyConfig
    endpoint: EndpointConfig

    @classmethod
    def from_flat(cls, values: Mapping[str, object]) -> DialogSettings:
        """From parameter names and values, e.g. `{"dialog.min_confidence": 0.5}`.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        kinds: dict[str, Any] = {
            "dialog": DialogConfig,
            "steady": SteadyConfig,
            "endpoint": EndpointConfig,
        }
        known = [f"{group}.{item.name}" for group in kinds for item in fields(kinds[group])]
        groups: dict[str, dict[str, object]] = {group: {} for group in kinds}
        for name, value in values.items():
            if name not in known:
                # It may hold a key, given by mistake.
                raise ConfigError(name, "...", f"one of the names {', '.join(sorted(known))}")
            group, key = name.split(".", 1)
            groups[group][key] = value
        return cls(**{group: kinds[group](**given) for group, given in groups.items()})


def add_dialog_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that all actions share."""
    options = parser.add_argument_group("dialog")
    options.add_argument(
        "--table",
        type=Path,
        metavar="YAML",
        help="strategies and their table; default: config/dialog.yaml",
    )
    options.add_argument(
        "--params", type=Path, metavar="YAML", help="parameter file, as the node takes it"
    )
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="set one parameter, e.g. dialog.min_confidence=0.5 or endpoint.deadline_s=20; may "
        "be given several times",
    )
    options.add_argument(
        "--endpoint",
        metavar="URL",
        help="OpenAI-compatible chat endpoint, e.g. http://localhost:11434/v1; default: the "
        "offline responder answers. Its key is taken from the environment variable that the "
        "parameter endpoint.key_variable names",
    )
    options.add_argument("--model", metavar="NAME", help="model at the endpoint")


def read_setup(args: argparse.Namespace) -> Setup:
    """What the shared options ask for.

    Raises:
        AvemoError: a file, a parameter or the endpoint's settings cannot be used.
    """
    values = read_values(args.params, args.settings, ("dialog", "steady", "endpoint"))
    for name, value in (
        ("dialog.strategies", args.table),
        ("endpoint.base_url", args.endpoint),
        ("endpoint.model", args.model),
    ):
        if value is not None:
            values[name] = str(value)
    settings = DialogSettings.from_flat(values)
    table = StrategyTable.read(settings.dialog.strategies)
    asked = args.endpoint is not None or bool(settings.endpoint.model)
    back_end = _back_end(settings.endpoint) if asked else None
    return Setup(table, settings.dialog, settings.steady, back_end)


def _back_end(config: EndpointConfig) -> BackEnd:
    # Who talks offline need not load it.
    from avemo_ros.dialog.endpoint import Endpoint

    return Endpoint(config)
