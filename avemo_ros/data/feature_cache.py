"""Prepared features on disk, so that they are made once."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import BINS
from avemo_ros.data.corpus_files import ARCHIVE_TROUBLES
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Features, Finding, PreparedItem
from avemo_ros.errors import DataError
from avemo_ros.sink.output_file import OutputError, replaced, sweep
from avemo_ros.vision.face import LANDMARKS

_LOG = logging.getLogger(__name__)

_ABOUT: Final = "about.json"
_EMPTY: Final = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class ItemSource:
    """What an item was made of; another file, or another part of it, is another source."""

    key: str
    state: str
    """Size and time of change of its file, and the part of it."""


@dataclass(slots=True)
class ItemSources:
    """Looks up the sources of items; a file that holds many is looked at once."""

    _files: dict[Path, str] = field(default_factory=dict)

    def of(self, item: Item) -> ItemSource:
        """The item's source; a file that is missing has one too."""
        if item.path not in self._files:
            self._files[item.path] = _file_state(item.path)
        part = f"{item.start_s}:{item.end_s}:{item.row}:{item.has_face:d}{item.has_voice:d}"
        if item.ids or item.box is not None:
            part += f":{item.ids}:{item.box}"
        return ItemSource(item.key, f"{self._files[item.path]}:{part}")


def _file_state(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "missing"
    return f"{path.name}:{found.st_size}:{found.st_mtime_ns}"


class MemoryCache:
    """Keeps what was made for as long as it lives."""

    def __init__(self) -> None:
        self._items: dict[ItemSource, PreparedItem] = {}

    def write(self, computed: Sequence[tuple[ItemSource, PreparedItem]]) -> None:
        """Keep these."""
        self._items.update(computed)

    def read(self, wanted: Collection[ItemSource]) -> Iterator[tuple[ItemSource, PreparedItem]]:
        """Those of the wanted that are there."""
        yield from ((source, self._items[source]) for source in wanted if source in self._items)


class DiskCache:
    """A folder of `.npz` files (shards), each with the features of one or more items.

    A shard is written whole or not at all and never changed, so several processes may write
    and read at the same time.  An entry counts only for the very source it was made of; one
    that is out of date is left lying until nothing in its shard is of use.  A shard that
    cannot be read is deleted.  No pickles.

    Args:
        folder: of one data set and one configuration; made if it is not there.
        about: the configuration, to be read by people.

    Raises:
        DataError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            text = json.dumps(about, indent=2, sort_keys=True)
            self._replace(_ABOUT, lambda path: path.write_text(text + "\n", encoding="utf-8"))
        except (OSError, OutputError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise DataError(f"cannot write the cache '{folder}': {text}") from error

    def write(self, computed: Sequence[tuple[ItemSource, PreparedItem]]) -> None:
        """Add a shard with these.

        Raises:
            DataError: the folder cannot be written, or the disk is full.
        """
        if not computed:
            return
        arrays = _packed(computed)

        def save(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        try:
            self._replace(f"{secrets.token_hex(8)}.npz", save)
        except (OSError, OutputError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise DataError(f"cannot write to the cache '{self._folder}': {text}") from error

    def read(self, wanted: Collection[ItemSource]) -> Iterator[tuple[ItemSource, PreparedItem]]:
        """Those of the wanted that are there, shard by shard, each once."""
        left = set(wanted)
        asked = frozenset(left)
        keys = {source.key for source in wanted}
        if not left:
            return
        for path in sorted(self._folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as shard:
                    sources = _sources(shard)
                    hits = [index for index, source in enumerate(sources) if source in left]
                    unpacked = _unpacked(shard, hits) if hits else []
            except FileNotFoundError:
                continue
            except ARCHIVE_TROUBLES as error:
                _LOG.warning("'%s' is damaged and is computed again: %s", path, error)
                path.unlink(missing_ok=True)
                continue
            if not any(source in asked for source in sources) and all(
                source.key in keys for source in sources
            ):
                # Its files have changed since.
                path.unlink(missing_ok=True)
            for index, one in zip(hits, unpacked, strict=True):
                if sources[index] in left:
                    left.discard(sources[index])
                    yield sources[index], one

    def _replace(self, name: str, save: Any) -> None:
        with replaced(self._folder / name, keep=False) as part:
            save(part)


def _packed(computed: Sequence[tuple[ItemSource, PreparedItem]]) -> dict[str, NDArray[Any]]:
    """Arrays of a shard: everything one after the other, and how much of it is whose."""
    features = [one.features for _, one in computed]
    faces = [_EMPTY if one.faces is None else one.faces for one in features]
    times = [one.face_times_s for one in features if one.face_times_s is not None]
    landmarks = [one.landmarks for one in features if one.landmarks is not None]
    speech = [one.spectrogram for one in features if one.spectrogram is not None]
    heads = [
        {
            "key": source.key,
            "state": source.state,
            "findings": [[finding.kind, finding.reason] for finding in one.findings],
            "length_s": one.length_s,
        }
        for source, one in computed
    ]
    return {
        "heads": np.frombuffer(json.dumps(heads).encode(), np.uint8),
        "shapes": np.array([_shape(one) for one in features], np.int64).reshape(-1, 5),
        "faces": np.concatenate([face.reshape(-1) for face in faces]),
        "times": np.concatenate([*times, np.zeros(0)], dtype=np.float32),
        "landmarks": np.concatenate(
            [*landmarks, np.zeros((0, LANDMARKS, 2))], dtype=np.float32
        ),
        "speech": np.concatenate([*speech, np.zeros((0, BINS))], dtype=np.float16),
    }


def _shape(features: Features) -> tuple[int, int, int, int, int]:
    """Crops, their side, times, meshes and columns; -1 for a part that is not there."""
    faces, times = features.faces, features.face_times_s
    return (
        -1 if faces is None else len(faces),
        -1 if faces is None else faces.shape[1],
        -1 if times is None else len(times),
        -1 if features.landmarks is None else len(features.landmarks),
        -1 if features.spectrogram is None else len(features.spectrogram),
    )


def _sources(shard: Any) -> list[ItemSource]:
    heads = json.loads(shard["heads"].tobytes())
    return [ItemSource(head["key"], head["state"]) for head in heads]


def _unpacked(shard: Any, wanted: Sequence[int]) -> list[PreparedItem]:
    """Some entries of a shard.

    Raises:
        ValueError: the arrays do not belong together.
    """
    heads = json.loads(shard["heads"].tobytes())
    shapes = shard["shapes"]
    there = np.maximum(shapes, 0)
    sizes = np.stack(
        [there[:, 0] * there[:, 1] * there[:, 1], there[:, 2], there[:, 3], there[:, 4]], 1
    )
    stops = np.cumsum(sizes, axis=0)
    starts = stops - sizes
    faces, times, landmarks, speech = (
        shard[name] for name in ("faces", "times", "landmarks", "speech")
    )
    lengths = [len(faces), len(times), len(landmarks), len(speech)]
    if len(shapes) != len(heads) or stops[-1].tolist() != lengths:
        raise ValueError("its arrays do not match")
    unpacked = []
    for index in wanted:
        crops, side, moments, meshes, columns = shapes[index].tolist()
        (f0, t0, l0, s0), (f1, t1, l1, s1) = starts[index].tolist(), stops[index].tolist()
        head = heads[index]
        features = Features(
            faces=None if crops < 0 else faces[f0:f1].reshape(crops, side, side),
            face_times_s=None if moments < 0 else times[t0:t1],
            landmarks=None if meshes < 0 else landmarks[l0:l1],
            spectrogram=None if columns < 0 else speech[s0:s1],
        )
        findings = tuple(Finding(kind, reason) for kind, reason in head["findings"])
        unpacked.append(PreparedItem(features, findings, head["length_s"]))
    return unpacked
