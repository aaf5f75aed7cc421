"""Definitions of message types that are installed on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from avemo_ros.bag import messages
from avemo_ros.errors import BagError


def definition_of(kind: str, prefixes: Sequence[Path] | None = None) -> tuple[str, str]:
    """The text of a type with those that it is made of, as rosbag2 stores it, and its hash.

    What is installed goes before what we know: another package of the same name may be there.

    Args:
        kind: e.g. 'sensor_msgs/msg/Image'.
        prefixes: of ROS installations; those of AMENT_PREFIX_PATH if None.  Nothing of ROS is
            imported.

    Raises:
        BagError: it is neither installed nor known.
    """
    if prefixes is None:
        given = os.environ.get("AMENT_PREFIX_PATH", "")
        prefixes = [Path(prefix) for prefix in given.split(os.pathsep) if prefix]
    store = get_typestore(Stores.EMPTY)
    found = _installed(kind, prefixes)
    if found:
        store.register(found)
    else:
        store = messages.typestore()
    if kind not in store.types:
        raise BagError(
            f"nothing is known of the type {kind}: source the workspace that holds its package"
        )
    text, _ = store.generate_msgdef(kind, ros_version=2)
    return text, store.hash_rihs01(kind)


def _installed(kind: str, prefixes: Sequence[Path]) -> dict[str, Any]:
    """The type and those that it is made of; empty if one of them is not installed."""
    found: dict[str, Any] = {}
    wanted = [kind]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        path = next((p for p in _places(name, prefixes) if p.is_file()), None)
        if path is None:
            return {}
        try:
            found.update(get_types_from_msg(path.read_text(encoding="utf-8"), name))
        except (OSError, ValueError, TypesysError):
            return {}
        wanted += [inner for _, field in found[name][1] for inner in _names(field)]
    return found


def _places(kind: str, prefixes: Sequence[Path]) -> Iterator[Path]:
    package, _, name = kind.partition("/msg/")
    for prefix in prefixes:
        yield prefix / "share" / package / "msg" / f"{name}.msg"


def _names(field: Any) -> Iterator[str]:
    """Message types that a field is made of."""
    kind, inside = field
    if kind == Nodetype.NAME:
        yield inside
    elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _names(inside[0])
