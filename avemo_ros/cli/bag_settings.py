"""Settings of a replay: those of the core, and how far stamps may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from avemo_ros.cli.settings import read_values
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError
from avemo_ros.source.stamps import MAX_AGE_S

_MAX_AGE: Final = "max_input_age_s"
_HIGHEST_AGE_S: Final = 1e9


def read_replay_settings(
    path: Path | None, settings: Sequence[str]
) -> tuple[PipelineConfig, float]:
    """The core's configuration, and `max_input_age_s` [s].

    Args:
        path: YAML file, as the nodes take it; None for none.
        settings: each `NAME=VALUE`; they go before the file.

    Raises:
        SettingsError: the file or a setting cannot be read.
        ConfigError: a name is unknown or a value is not allowed.
    """
    groups = {item.name for item in fields(PipelineConfig)} | {_MAX_AGE}
    values = read_values(path, settings, groups)
    age = values.pop(_MAX_AGE, MAX_AGE_S)
    if isinstance(age, bool) or not isinstance(age, int | float):
        raise ConfigError(_MAX_AGE, age, "a number of seconds; 0 takes any stamp")
    if not (math.isfinite(age) and 0 <= age <= _HIGHEST_AGE_S):
        raise ConfigError(_MAX_AGE, age, f"0 (any stamp) to {_HIGHEST_AGE_S:g} s")
    return PipelineConfig.from_flat(values), float(age)
