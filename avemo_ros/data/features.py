"""The features of items, and how they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from avemo_ros.config import AudioConfig, EmotionConfig, VisionConfig
from avemo_ros.data.corpus_files import number_of, read_rows
from avemo_ros.data.dataset import Item
from avemo_ros.errors import DataError
from avemo_ros.settings import Settings


class PrepareConfig(Settings, group="prepare"):
    """How features are made."""

    fps: float = Field(
        0.0,
        ge=0.0,
        le=240.0,
        description="Images to use per second, evenly spaced [Hz]; 0 uses all of them.",
    )
    min_quality: float = Field(
        EmotionConfig().min_face_quality,
        ge=0.0,
        le=1.0,
        description=("Leave out images with a face quality below this, as live."),
    )
    detect: bool = Field(
        False,
        description=(
            "Detect and align the face in single images; if false, they must be aligned "
            "faces already."
        ),
    )
    vision: VisionConfig = VisionConfig()
    """How faces are found and cut out; `crop_size` is the side of the crops."""
    audio: AudioConfig = AudioConfig()
    """How sound is heard."""


# Features of items, the input of every model before the network's own preprocessing.
#
# Action units come from a table, one row a clip (OpenFace, averaged over the clip); landmark
# sequences come from a file too (`landmark_table.py`), or from face meshes.

MIN_COLUMNS: Final = 63
"""Shortest spectrogram of an item [columns of 10 ms]; less is filled up with silence."""
MAX_COLUMNS: Final = 1000
"""Longest spectrogram of an item [columns of 10 ms]; of more the first of the speech count."""
UNITS: Final = 35
"""Action-unit features of an item."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of one item; a part that the item has not got is None."""

    faces: NDArray[np.uint8] | None = None
    """(n, side, side) grey aligned crops as the live path makes them, oldest first, n at least
    1; FER2013's images are (1, 48, 48)."""
    face_times_s: NDArray[np.float32] | None = None
    """(n,) time of each crop since the item's start [s]."""
    landmarks: NDArray[np.float32] | None = None
    """(n, 468, 2) face mesh of each crop, in pixels of the image; NaN without a mesh."""
    spectrogram: NDArray[np.float16] | None = None
    """(T, 200) log spectrogram of the whole item [dB of a full-scale sine], columns of 10 ms,
    63 to 1000 columns."""
    units: NDArray[np.float32] | None = None
    """(35,) facial action units averaged over the item (OpenFace), from a table."""
    points: NDArray[np.float32] | None = None
    """(n, 68, 2) landmarks of a frame in the order of iBUG 300-W [pixels], n at least 1; NaN in
    a frame without a face."""
    point_times_s: NDArray[np.float32] | None = None
    """(n,) time of each frame of `points` since the item's start, ascending [s]."""
    neutral: NDArray[np.float32] | None = None
    """(136,) resting face of the person: mean shape over other items, aligned as
    `face_points.normalise_points` does."""
    neutral_weight: float = 0.0
    """How far `neutral` is to be trusted, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Items with their features, in one order."""

    items: tuple[Item, ...]
    features: tuple[Features, ...]

    def __post_init__(self) -> None:
        if len(self.items) != len(self.features):
            raise ValueError(f"{len(self.items)} items but {len(self.features)} features")

    def __len__(self) -> int:
        return len(self.items)

    def only(self, keep: NDArray[np.bool_] | list[bool]) -> Corpus:
        """Those with True, in the same order."""
        picked = [i for i, kept in enumerate(keep) if kept]
        return Corpus(
            tuple(self.items[i] for i in picked), tuple(self.features[i] for i in picked)
        )


NO_FACE: Final = "no face"
NO_SOUND: Final = "no sound"
BROKEN: Final = "broken"
SILENT: Final = "silent"
DAMAGED: Final = "damaged"
SHORTENED: Final = "shortened"
FILLED: Final = "filled up"
UNUSUAL: Final = "unusual"
FINDING_KINDS: Final = (
    NO_FACE,
    NO_SOUND,
    BROKEN,
    SILENT,
    DAMAGED,
    UNUSUAL,
    SHORTENED,
    FILLED,
)
"""Kinds of findings.  The first four say that a part is missing; the others are remarks on
a part that is there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is to say about an item."""

    kind: str
    """One of FINDING_KINDS."""
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class PreparedItem:
    """What could be made of an item."""

    features: Features = field(default_factory=Features)
    findings: tuple[Finding, ...] = ()
    length_s: float = 0.0
    """How long the item is; 0 for an image or where that is not known [s]."""


_KEY: Final = "clip"
_PAIRING: Final = 6
"""Fields at the end of a RAVDESS name that the takes of one performance share; the first says
which of image and sound are in the file."""


def pairing_key(name: str) -> str:
    """What a clip's name and its row in the table have in common.

    Of RAVDESS names ('01-01-EE-II-SS-RR-AA', '03-01-...') that is the last six fields; any
    other name stands for itself.
    """
    fields = name.split("-")
    if len(fields) == _PAIRING + 1 and all(field.isdigit() for field in fields):
        return "-".join(fields[1:])
    return name


_Row = TypeVar("_Row")


def _find_row(table: Mapping[str, _Row], item: Item) -> _Row | None:
    """What a table by `pairing_key` has of an item: by its key, or else its file's stem."""
    row = table.get(pairing_key(item.key))
    return table.get(pairing_key(item.path.stem)) if row is None else row


def match_rows(
    items: Sequence[Item], rows: Mapping[str, _Row], path: Path, word: str
) -> tuple[list[_Row | None], tuple[str, ...]]:
    """What a file beside a data set has for each item.

    Args:
        items: of the data set.
        rows: of the file, by `pairing_key`.
        path: of the file.
        word: what the file calls a row, for the message.

    Returns:
        A row or None for each item, and the keys of items without one.

    Raises:
        DataError: the file has a row for none of the items.
    """
    found = [_find_row(rows, item) for item in items]
    unmatched = [item.key for item, row in zip(items, found, strict=True) if row is None]
    if items and len(unmatched) == len(items):
        raise DataError(
            f"'{path}' has no {word} for any of the {len(items)} items (first item: "
            f"'{items[0].key}', first {word}: '{next(iter(rows))}')"
        )
    return found, tuple(unmatched)


def read_units(path: Path) -> dict[str, NDArray[np.float32]]:
    """The table's rows by `pairing_key`; nothing is standardised.

    Args:
        path: csv with the column `clip` and 35 columns of numbers, in the order of the header.

    Returns:
        (35,) float32 for each clip.

    Raises:
        DataError: the table cannot be read, lacks a column, or a line of it has a value that
            is no finite number, another count of values, or a clip that came before.
    """
    found: dict[str, NDArray[np.float32]] = {}
    lines: dict[str, int] = {}
    rows = read_rows(path)
    _, names = next(rows, (0, []))
    at = _key_column(path, names)
    for line, cells in rows:
        key, values = _row(f"'{path}', line {line}", names, cells, at)
        if key in found:
            raise DataError(
                f"'{path}', line {line}: clip '{cells[at]}' is already in line {lines[key]}"
            )
        found[key], lines[key] = values, line
    if not found:
        raise DataError(f"'{path}' has no rows")
    return found


def join_units(corpus: Corpus, path: Path) -> tuple[Corpus, tuple[str, ...]]:
    """The corpus with the table's action units in it.

    Args:
        corpus: its items' keys, or else their files' stems, name the clips.
        path: the table, see `read_units`.

    Returns:
        The corpus, in the same order, and the keys of items that the table has no row for;
        their units are None.

    Raises:
        DataError: the table is broken, or has a row for none of the items.
    """
    rows, unmatched = match_rows(corpus.items, read_units(path), path, "row")
    features = (
        replace(features, units=row)
        for features, row in zip(corpus.features, rows, strict=True)
    )
    return Corpus(corpus.items, tuple(features)), unmatched


def _key_column(path: Path, names: list[str]) -> int:
    lower = [name.lower() for name in names]
    if _KEY not in lower:
        raise DataError(f"'{path}', line 1: there is no column '{_KEY}'")
    if len(set(lower)) != len(names):
        raise DataError(f"'{path}', line 1: a column is named twice")
    if len(names) - 1 != UNITS:
        raise DataError(
            f"'{path}', line 1: {len(names) - 1} columns beside '{_KEY}'; allowed: {UNITS}"
        )
    return lower.index(_KEY)


def _row(
    place: str, names: list[str], cells: list[str], at: int
) -> tuple[str, NDArray[np.float32]]:
    if len(cells) != len(names):
        raise DataError(f"{place}: {len(cells)} values; allowed: {len(names)}")
    values = np.empty(UNITS, np.float32)
    others = [
        (name, cell)
        for index, (name, cell) in enumerate(zip(names, cells, strict=True))
        if index != at
    ]
    for index, (name, cell) in enumerate(others):
        values[index] = number_of(cell)
        if not np.isfinite(values[index]):
            raise DataError(f"{place}: {name} is {cell!r}; allowed: a finite number")
    clip = cells[at]
    if not clip:
        raise DataError(f"{place}: the clip has no name")
    return pairing_key(clip), values
