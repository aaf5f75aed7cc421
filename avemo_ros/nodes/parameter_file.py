"""Parameter files: which nodes they are for, and which names there are at all."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from avemo_ros.settings import did_you_mean, flattened, nearest, read_yaml

NODES: Final = (
    "bag_player",
    "bag_recorder",
    "camera",
    "dialog",
    "emotion",
    "emotion_stack",
    "face_tracker",
    "media_player",
    "microphone",
    "speech_buffer",
)
"""Names of this package's nodes, unless remapped."""
_ROS: Final = "ros__parameters"
_OF_RCL: Final = ("use_sim_time", "start_type_description_service", "qos_overrides")
_NEAR: Final = 0.75
"""Likeness of a group's name to one of ours from which it is taken for a slip."""


def shipped() -> Path | None:
    """config/emotion.yaml, with every parameter of every node; None if it is not installed."""
    package = Path(str(resources.files("avemo_ros")))
    places = [package.parent, package]
    places += [parent / "share" / "avemo_ros" for parent in package.parents]
    files = (place / "config" / "emotion.yaml" for place in places)
    return next((file for file in files if file.is_file()), None)


@functools.cache
def names() -> frozenset[str]:
    """Every parameter of every node, e.g. 'emotion.hop_s'; empty if `shipped` is None.

    Raises:
        SettingsError: the shipped file cannot be read.
    """
    file = shipped()
    if file is None:
        return frozenset()
    content = read_yaml(file, f"parameter file '{file}'")
    return frozenset(name for name, _ in flattened(content["/**"][_ROS]))


def strays(given: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    """Given parameters that no node of this package has, each with the nearest that there is,
    or "".

    Names in other groups are other programs' business: one file may serve a whole robot.

    Args:
        given: names.
        own: names that a node declares, which are the likeliest.
    """
    own = list(own)
    known = [*own, *sorted(names() - set(own))]
    groups = {name.split(".", 1)[0] for name in known if "." in name}
    found = {}
    for name in sorted(set(given) - set(known)):
        group = name.split(".", 1)[0]
        if group in _OF_RCL:
            continue
        grouped = "." in name
        slip = difflib.get_close_matches(group, groups, n=1, cutoff=_NEAR)
        if grouped and group not in groups and not slip:
            continue
        found[name] = nearest(name, known)
    return found


def files_of(words: Sequence[str]) -> list[Path]:
    """The parameter files on a command line."""
    return [Path(path) for word, path in pairwise(words) if word == "--params-file"]


def singles_of(words: Sequence[str]) -> list[str]:
    """Names of the single parameters on a command line, those for all of its nodes."""
    given = (item for word, item in pairwise(words) if word in ("-p", "--param"))
    names_given = (item.partition(":=")[0] for item in given)
    return [name for name in names_given if ":" not in name]


def values_for_all(file: Path) -> dict[str, Any]:
    """The parameters that a file has for every node, by their full names.

    Args:
        file: that exists.

    Raises:
        SettingsError: it cannot be read.
    """
    content: Any = read_yaml(file, f"parameter file '{file}'")
    inner = content.get("/**") if isinstance(content, Mapping) else None
    values = inner.get(_ROS) if isinstance(inner, Mapping) else None
    return dict(flattened(values)) if isinstance(values, Mapping) else {}


def receivers(content: object) -> list[str]:
    """Names, with namespace and perhaps with wildcards, of the nodes that a file is for."""
    return list(dict.fromkeys(_receivers(content, "")))


def _receivers(content: object, within: str) -> Iterator[str]:
    if not isinstance(content, Mapping):
        return
    for name, inner in content.items():
        if name == _ROS:
            yield within or "/"
        elif isinstance(inner, Mapping):
            yield from _receivers(inner, f"{within}/{str(name).strip('/')}")


def is_for(receiver: str, node: str) -> bool:
    """Whether parameters for `receiver` reach a node, as rcl sees it.

    Args:
        receiver: as `receivers` gives it.
        node: its name with namespace, e.g. '/head/emotion_stack'.
    """
    parts = re.split(r"(/\*\*|\*)", receiver)
    meant = {"/**": "(?:/.*)?", "*": "[^/]+"}
    # Of itself '/**' stands for every node, before a name for any namespace.
    return (
        re.fullmatch("".join(meant.get(one, re.escape(one)) for one in parts), node) is not None
    )


def useless(file: Path, nodes: Collection[str]) -> str:
    """Why a parameter file changes nothing; empty if it may change something.

    Args:
        file: that exists.
        nodes: full names of those that it is given to.

    Raises:
        SettingsError: it cannot be read.
    """
    content: Any = read_yaml(file, f"parameter file '{file}'")
    found = receivers(content)
    if not found:
        return f"parameter file '{file}' has no 'ros__parameters:' and changes nothing"
    if any(is_for(one, node) for one in found for node in nodes):
        return ""
    shown = ", ".join(f"'{one}'" for one in found[:5]) + (", ..." if len(found) > 5 else "")
    theirs = [node.rpartition("/")[2] for node in nodes]
    here = ", ".join(f"'{node}'" for node in sorted(nodes))
    last = found[0].rpartition("/")[2]
    hint = next(
        (
            f"; write '/**/{name}:'"
            for name in theirs
            if any(one.endswith(f"/{name}") for one in found)
        ),
        did_you_mean(last, theirs) or "; write '/**:'",
    )
    return f"parameter file '{file}' is for {shown} and changes nothing for {here}{hint}"
