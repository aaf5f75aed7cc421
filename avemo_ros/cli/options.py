"""`NAME=VALUE` arguments."""

from __future__ import annotations

from collections.abc import Sequence

from avemo_ros.errors import ConfigError


def read_options(given: Sequence[str], argument: str = "--option") -> dict[str, str]:
    """Values by name.

    Args:
        given: each `NAME=VALUE`; of a name that is given twice the last.
        argument: what it is called on the command line.

    Raises:
        ConfigError: one has no name or no '='.
    """
    options = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(argument, text, "NAME=VALUE")
        options[name] = value
    return options
