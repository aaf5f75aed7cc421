"""What every action of `avemo dialog` takes: strategy table, parameters, chat endpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import TYPE_CHECKING, Final

from avemo_ros.cli.outputs import add_former
from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.backend import Backend, BackendError
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.endpoint_config import EndpointConfig
from avemo_ros.dialog.evaluation import Setup
from avemo_ros.dialog.policy import Policy
from avemo_ros.settings import SettingGroups, read_values

if TYPE_CHECKING:
    from avemo_ros.dialog.chat_client import ChatClient

_QUIET_S: Final = 1.5
"""A model that is there answers within this; longer waits are announced."""


class DialogSettings(SettingGroups):
    """The parameters of the dialog by group, as the node has them."""

    dialog: DialogConfig = DialogConfig()
    steady: SteadyConfig = SteadyConfig()
    endpoint: EndpointConfig = EndpointConfig()

    @classmethod
    def from_flat(cls, values: Mapping[str, object]) -> DialogSettings:
        """As for all groups, but the value of an unknown name is not shown.

        It may be a key, given by mistake.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        known = {setting.name for setting in cls.settings()}
        shown = {name: value if name in known else "..." for name, value in values.items()}
        return super().from_flat(shown)


def add_dialog_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that all actions share."""
    options = parser.add_argument_group("dialog")
    options.add_argument(
        "--table",
        type=Path,
        metavar="YAML",
        help="file of response strategies and rules; default: config/dialog.yaml",
    )
    options.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, as for the node"
    )
    add_former(options, "config", "--params")
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
        help="OpenAI-compatible chat endpoint, e.g. http://localhost:11434/v1; default: "
        "none, the offline responder answers. Put its key into the environment variable "
        "that the parameter endpoint.key_variable names",
    )
    options.add_argument("--model", metavar="NAME", help="name of the model at the endpoint")


def read_setup(args: argparse.Namespace) -> Setup:
    """What the shared options ask for.

    Raises:
        AvemoError: a file, a parameter or the endpoint's settings cannot be used.
    """
    values = read_values(args.config, args.settings, ("dialog", "steady", "endpoint"))
    for name, value in (
        ("dialog.strategies", args.table),
        ("endpoint.base_url", args.endpoint),
        ("endpoint.model", args.model),
    ):
        if value is not None:
            values[name] = str(value)
    settings = DialogSettings.from_flat(values)
    table = Policy.read(settings.dialog.strategies)
    asked = args.endpoint is not None or bool(settings.endpoint.model)
    back_end = _back_end(settings.endpoint) if asked else None
    return Setup(table, settings.dialog, settings.steady, back_end)


def _back_end(config: EndpointConfig) -> Backend:
    # Who talks offline need not load it.
    from avemo_ros.dialog.chat_client import ChatClient

    endpoint = ChatClient(config)
    _wait_until_loaded(endpoint, config)
    return endpoint


def _wait_until_loaded(endpoint: ChatClient, config: EndpointConfig) -> None:
    """Wait for the model, and say so if it takes long; without it answers are made offline."""
    loading = endpoint.load()
    if loading is None:
        return
    try:
        try:
            loading.result(_QUIET_S)
        except FutureTimeoutError:
            print(
                f"avemo: waiting for {config.host} to load '{config.model}', at most "
                f"{config.load_timeout_s:g} s (endpoint.load_timeout_s)",
                file=sys.stderr,
            )
            loading.result()
    except BackendError as error:
        print(f"avemo: {error}; answers are made offline", file=sys.stderr)
