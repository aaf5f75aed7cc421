"""Landmark sequences of clips from a file: 68 points of every frame (npz).

The file has three arrays, and may have a fourth:

- `clip` (K,): names of the clips, matched to the items as those of action units are.
- `start` (K + 1,): number of each clip's first frame; the last is the number of all frames.
- `step` (68, 2, frames): the points' movements from frame to frame.  Those of a clip, summed up
  along the last axis, are its points in pixels.
- `fps` (): frames a second; 29.97 if it is not there.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.corpus_files import ARCHIVE_TROUBLES
from avemo_ros.data.features import Corpus, match_rows, pairing_key
from avemo_ros.errors import DataError
from avemo_ros.model.face_points import POINTS, points_of_mesh
from avemo_ros.untrusted import MAX_FILE_FREELY, MAX_FILE_RATIO

_USUAL_FPS: Final = 30000 / 1001
_SLOWEST, _FASTEST = 1.0, 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class PointSequence:
    """Points of a clip over time."""

    points: NDArray[np.float32]
    """(n, 68, 2) pixels, n at least 1."""
    times_s: NDArray[np.float32]
    """(n,) since the clip's start [s]."""


def read_points(path: Path) -> dict[str, PointSequence]:
    """The sequences of a file by `pairing_key`.

    Args:
        path: npz, see above.  Nothing in it is executed.

    Raises:
        DataError: the file cannot be read, lacks an array, or an array is not as it should be;
            the message names the file, the array and what is allowed.
    """
    arrays = _arrays(path)
    clips, start, fps = _clips(path, arrays), arrays["start"], _fps(path, arrays)
    step = arrays["step"]
    _check_step(path, step)
    _check_start(path, start, len(clips), step.shape[2])
    found: dict[str, PointSequence] = {}
    for name, first, last in zip(clips, start[:-1].tolist(), start[1:].tolist(), strict=True):
        key = pairing_key(name)
        if key in found:
            raise DataError(f"'{path}': clip '{name}' is in 'clip' twice; allowed: once")
        moved = np.cumsum(step[:, :, first:last], axis=2, dtype=np.float64)
        points = np.ascontiguousarray(moved.transpose(2, 0, 1), np.float32)
        if not np.isfinite(points).all():
            raise DataError(
                f"'{path}': 'step' of clip '{name}' has a value that is not finite; allowed: "
                "finite numbers"
            )
        found[key] = PointSequence(points, (np.arange(len(points)) / fps).astype(np.float32))
    return found


def join_points(corpus: Corpus, path: Path) -> tuple[Corpus, tuple[str, ...]]:
    """The corpus with the file's points in it.

    Args:
        corpus: its items' keys, or else their files' stems, name the clips.
        path: the file, see `read_points`.

    Returns:
        The corpus, in the same order, and the keys of items that the file has no clip for;
        their points are None.

    Raises:
        DataError: the file is broken, or has a clip for none of the items.
    """
    rows, unmatched = match_rows(corpus.items, read_points(path), path, "clip")
    features = (
        replace(features_of_item, points=None, point_times_s=None)
        if row is None
        else replace(features_of_item, points=row.points, point_times_s=row.times_s)
        for features_of_item, row in zip(corpus.features, rows, strict=True)
    )
    return Corpus(corpus.items, tuple(features)), unmatched


def add_points(corpus: Corpus, path: Path | None) -> tuple[Corpus, tuple[str, ...]]:
    """The corpus with points: those of a file, see `join_points`, or else of its meshes."""
    return points_from_meshes(corpus) if path is None else join_points(corpus, path)


def points_from_meshes(corpus: Corpus) -> tuple[Corpus, tuple[str, ...]]:
    """The corpus with points made of the face meshes that items have.

    Returns:
        The corpus, in the same order, and the keys of items without a mesh, whose points are
        None.
    """
    features, lacking = [], []
    for item, features_of_item in zip(corpus.items, corpus.features, strict=True):
        mesh, times = features_of_item.landmarks, features_of_item.face_times_s
        points = None if mesh is None or times is None else points_of_mesh(mesh)
        if points is None or not np.isfinite(points).all(axis=(1, 2)).any():
            lacking.append(item.key)
            features.append(replace(features_of_item, points=None, point_times_s=None))
        else:
            features.append(replace(features_of_item, points=points, point_times_s=times))
    return Corpus(corpus.items, tuple(features)), tuple(lacking)


_NEEDED: Final = ("clip", "start", "step")


def _refuse_bomb(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > max(MAX_FILE_FREELY, MAX_FILE_RATIO * path.stat().st_size):
        raise DataError(
            f"'{path}' unpacks to {size >> 20} MiB, {MAX_FILE_RATIO} times its size"
        )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        _refuse_bomb(path)
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise DataError(f"'{path}' is a single array; allowed: an npz file")
        with opened:
            missing = [name for name in _NEEDED if name not in opened.files]
            if missing:
                raise DataError(
                    f"'{path}' lacks '{missing[0]}'; needed: {', '.join(_NEEDED)}; it has: "
                    f"{', '.join(opened.files) or 'none'}"
                )
            names = [name for name in (*_NEEDED, "fps") if name in opened.files]
            return {name: opened[name] for name in names}
    except ARCHIVE_TROUBLES as error:
        # A pickle, which is never loaded, is a ValueError too.
        raise DataError(f"'{path}' cannot be read as an npz file: {error}") from error


def _clips(path: Path, arrays: dict[str, NDArray[Any]]) -> list[str]:
    given = arrays["clip"]
    if given.ndim != 1 or given.dtype.kind != "U" or len(given) == 0:
        raise DataError(
            f"'{path}': 'clip' is {_type_of(given)}; allowed: names (K,), one or more"
        )
    names = [str(name).strip() for name in given]
    if not all(names):
        raise DataError(f"'{path}': 'clip' has a clip without a name")
    return names


def _fps(path: Path, arrays: dict[str, NDArray[Any]]) -> float:
    given = arrays.get("fps")
    if given is None:
        return _USUAL_FPS
    if given.size != 1 or given.dtype.kind not in "iuf":
        raise DataError(f"'{path}': 'fps' is {_type_of(given)}; allowed: one number")
    value = float(given.reshape(-1)[0])
    if not _SLOWEST <= value <= _FASTEST:
        raise DataError(f"'{path}': 'fps' is {value}; allowed: {_SLOWEST:g} to {_FASTEST:g}")
    return value


def _check_step(path: Path, step: NDArray[Any]) -> None:
    fits = step.ndim == 3 and step.shape[:2] == (POINTS, 2) and step.shape[2] > 0
    if not fits or step.dtype.kind not in "iuf":
        raise DataError(
            f"'{path}': 'step' is {_type_of(step)}; allowed: numbers ({POINTS}, 2, frames)"
        )


def _check_start(path: Path, start: NDArray[Any], clips: int, frames: int) -> None:
    if start.shape != (clips + 1,) or start.dtype.kind not in "iu":
        raise DataError(
            f"'{path}': 'start' is {_type_of(start)}; allowed: integers ({clips + 1},), one "
            "more than there are clips"
        )
    if int(start[0]) != 0 or int(start[-1]) != frames:
        raise DataError(
            f"'{path}': 'start' goes from {start[0]} to {start[-1]}; allowed: from 0 to "
            f"{frames}, the number of frames in 'step'"
        )
    if not (np.diff(start.astype(np.int64)) > 0).all():
        raise DataError(f"'{path}': 'start' does not rise; each clip needs a frame or more")


def _type_of(given: NDArray[Any]) -> str:
    return f"{given.dtype} {given.shape}"
