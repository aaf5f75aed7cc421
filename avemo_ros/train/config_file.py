"""Training configurations from YAML files and `NAME=VALUE` changes, and back.

A name that is not known is refused with the nearest one that is; a value out of range with
what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from avemo_ros.errors import ConfigError
from avemo_ros.settings import (
    SettingsError,
    did_you_mean,
    flattened,
    parse_yaml,
    split_assignment,
)
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.untrusted import read_text


def config_path(name: str) -> Path:
    """The file of a configuration: a path, or the name of one in config/models.

    Raises:
        ConfigError: there is none; the message lists those that exist.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_file():
            return path
        raise ConfigError(
            "CONFIG", name, "a file that exists" + did_you_mean(path.stem, named())
        )
    for folder in _folders():
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = named()
    raise ConfigError(
        "CONFIG", name, f"a YAML file, or one of {', '.join(known)}{did_you_mean(name, known)}"
    )


def named() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """A configuration from its file and `NAME=VALUE` changes.

    Args:
        name: a YAML file, or the name of one in config/models.
        overrides: e.g. `training.rate=1e-3`, `data.train.0.share=0.5`; values are YAML.

    Raises:
        ConfigError: the file cannot be read, or a name or value is not allowed.
    """
    path = config_path(str(name))
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("CONFIG", str(path), f"a file that can be read ({error})") from error
    content = _parsed(text, "CONFIG", str(path))
    if not isinstance(content, dict):
        raise ConfigError("CONFIG", str(path), "a YAML mapping of names to values")
    for change in overrides:
        _apply(content, change)
    content.setdefault("name", path.stem)
    return TrainConfig.from_mapping(content)


def dump(config: TrainConfig) -> str:
    """The configuration as YAML text."""
    text: str = yaml.safe_dump(config.plain(), sort_keys=False, allow_unicode=True)
    return text


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, e.g. 'training.rate is 0.001, was 0.0006'."""
    before, after = dict(flattened(old)), dict(flattened(new))
    return [
        f"{name} is {after.get(name)!r}, was {before.get(name)!r}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _folders() -> list[Path]:
    """config/models of a checkout, and of an installed package."""
    package = Path(str(resources.files("avemo_ros")))
    places = [package.parent / "config" / "models", package / "config" / "models"]
    places += [
        parent / "share" / "avemo_ros" / "config" / "models" for parent in package.parents
    ]
    return [place for place in places if place.is_dir()]


def _parsed(text: str, argument: str, given: str) -> Any:
    try:
        return parse_yaml(text, "it")
    except SettingsError as error:
        reason = str(error).partition(": ")[2]
        raise ConfigError(argument, given, f"valid YAML ({reason})") from error


def _apply(content: dict[str, Any], change: str) -> None:
    name, text = split_assignment(change, allowed="NAME=VALUE, e.g. training.rate=1e-3")
    *path, last = name.split(".")
    place: Any = content
    for depth, key in enumerate(path):
        if isinstance(place, list):
            place = _element(place, key, change)
            continue
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict | list):
            raise ConfigError(
                "--set", change, f"'{'.'.join(path[: depth + 1])}' is a value, not a group"
            )
    value = _parsed(text, "--set", change)
    if isinstance(place, list):
        _element(place, last, change)
        place[int(last)] = value
    else:
        place[last] = value


def _element(place: list[Any], key: str, change: str) -> Any:
    if not key.isdigit() or int(key) >= len(place):
        raise ConfigError("--set", change, f"'{key}' to be 0 to {len(place) - 1}: it is a list")
    return place[int(key)]
