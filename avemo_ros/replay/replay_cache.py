"""Results of replays as files, from which an interrupted evaluation continues."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from avemo_ros import __version__
from avemo_ros.replay.replayed import Replayed, SeenFaces
from avemo_ros.sink.output_file import replaced
from avemo_ros.state.estimate import Change, EmotionEstimate, EmotionStep, Status
from avemo_ros.vision.face import Box

if TYPE_CHECKING:
    from avemo_ros.replay.bag_job import BagJob

_LAYOUT: Final = 6
"""Of stored replays; another layout gets another number."""
_PARTS: Final = (".mcap", ".db3", ".zstd", "metadata.yaml")
"""Endings of the files that make a bag; labels may lie among them."""
_KINDS: Final = {
    kind.__name__: kind
    for kind in (Replayed, SeenFaces, EmotionStep, Change, EmotionEstimate, Box, Status)
}
"""Types that are written with their name; all else is JSON's own, and every list a tuple."""
_KIND: Final = "kind"
_VALUES: Final = "values"


def write_replayed(path: Path, replayed: Replayed) -> None:
    """Write the file in one atomic step; numbers are kept to the last bit.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(_plain(replayed), separators=(",", ":"))
    with replaced(path) as partial:
        partial.write_bytes(gzip.compress(text.encode(), 5, mtime=0))


def read_replayed(path: Path) -> Replayed | None:
    """The replay of the file; None where there is no whole file of this layout."""
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        parsed = _parsed(content)
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        return None
    return parsed if isinstance(parsed, Replayed) else None


def _plain(value: Any) -> Any:
    """Dataclasses and enums as named values."""
    if isinstance(value, Enum):
        return {_KIND: type(value).__name__, _VALUES: [value.value]}
    if is_dataclass(value):
        values = [_plain(getattr(value, item.name)) for item in fields(value)]
        return {_KIND: type(value).__name__, _VALUES: values}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _parsed(value: Any) -> Any:
    if isinstance(value, dict):
        if _KIND in value:
            return _KINDS[value[_KIND]](*map(_parsed, value[_VALUES]))
        return {name: _parsed(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(map(_parsed, value))
    return value


def _arithmetic(job: BagJob) -> str:
    """What the networks compute in here; a cache may be shared by machines of several kinds."""
    if job.use == "states":
        return ""
    from avemo_ros.model.predictor import arithmetic_of

    return arithmetic_of(job.config.model)


def cache_key(job: BagJob) -> str:
    """Names a replay of these files with these settings."""
    folder = job.path if job.path.is_dir() else job.path.parent
    files = folder.iterdir() if job.path.is_dir() else [job.path]
    state: list[Any] = [_LAYOUT, __version__, job.weights, job.use]
    state += [job.config.plain(), asdict(job.topics), str(job.path.resolve())]
    state.append(_arithmetic(job))
    state += sorted(
        (item.name, item.stat().st_size, item.stat().st_mtime_ns)
        for item in files
        if item.name.endswith(_PARTS)
    )
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]
