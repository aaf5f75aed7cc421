"""FER2013's pictures: how they frame their faces, and what is made of other framings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.config import VisionConfig
from avemo_ros.data.item import Item
from avemo_ros.data.prepare import prepare
from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError
from avemo_ros.train.framing_faces import COLUMNS, FacePlace, enlarged, find_faces
from avemo_ros.train.framing_judge import Crops, Judge
from avemo_ros.train.framing_scores import score
from avemo_ros.train.framing_ways import FRAMINGS, LEVEL, PRESENT, Framing, outside, whole
from avemo_ros.vision.alignment import align

_FACING: Final = np.radians(20)
_TILTED: Final = np.radians(15)


def fer2013(root: Path, split: str, every: int) -> tuple[list[Item], Crops]:
    """Every n-th picture of a part, with its item.

    Args:
        root: of FER2013, as folders or table.
        split: 'train' or 'validation' (PublicTest).
        every: n.

    Raises:
        DataError: there is none.
    """
    items = [item for item in list_items("fer2013", root).items if item.split == split]
    corpus, _ = prepare(items[::every], want=frozenset({"faces"}), progress=False)
    found = [
        (item, one.faces[0])
        for item, one in zip(corpus.items, corpus.features, strict=True)
        if one.faces is not None
    ]
    if not found:
        raise DataError(f"no picture of FER2013's {split} part in {root}")
    return [item for item, _ in found], [picture for _, picture in found]


def eyes(root: Path, every: int) -> dict[str, Any]:
    """Where FER2013's training pictures have eyes and box: medians, means, deviations."""
    _, pictures = fer2013(root, "train", every)
    rows = find_faces(pictures)
    found = rows[np.isfinite(rows[:, 0])]
    facing = found[np.abs(found[:, COLUMNS.index("yaw")]) < _FACING]
    return {
        "pictures": len(pictures),
        "all": _spread(found),
        "yaw below 20 degrees": _spread(facing),
    }


def _spread(rows: NDArray[np.float64]) -> dict[str, Any]:
    columns = dict(zip(COLUMNS, rows.T, strict=True))
    columns["distance / box"] = columns["eye distance"] / columns["box side"]
    columns["above / box"] = (columns["box y"] - columns["eyes y"]) / columns["box side"]
    return {
        "faces": len(rows),
        "columns": {
            name: [float(np.median(values)), float(values.mean()), float(values.std())]
            for name, values in columns.items()
        },
    }


def pictures(root: Path, every: int, judge: Judge, cache: Path | None) -> dict[str, Any]:
    """What a model makes of PublicTest under every framing.

    Returns:
        Rows in the order of FRAMINGS, after the pictures as they are and as they are but cut
        by `align`, which costs sharpness; all of them over the same faces.
    """
    items, given = fer2013(root, "validation", every)
    rows = find_faces(given, cache)
    seen = np.flatnonzero(np.isfinite(rows[:, 0]))
    if len(seen) == 0:
        raise DataError(f"the mesh holds on none of {len(given)} pictures of {root}")
    kept = [items[index] for index in seen]
    labels = np.array([item.emotion_index for item in kept])
    small = [given[index] for index in seen]
    side = enlarged(small[0]).shape[0]
    places = [FacePlace.of_row(rows[index], side) for index in seen]
    sets: list[tuple[str, Framing | None, Crops, float]] = [
        ("picture as it is", None, small, 0.0),
        ("the same, cut by align", None, _cut(small, [whole(side)] * len(small)), 0.0),
    ]
    answers = []
    for framing in tqdm(FRAMINGS, desc="framings", disable=None):
        around = [framing.eyes(place) for place in places]
        beyond = float(np.mean([outside(one, side, side) for one in around]))
        sets.append((framing.by, framing, [], beyond))
        answers.append(_right(judge, _cut(small, around), kept, labels))
    plain = [_right(judge, crops, kept, labels) for _, _, crops, _ in sets[:2]]
    right = np.stack([*plain, *answers], axis=1)
    scores = score(right, labels, 2 + FRAMINGS.index(PRESENT))
    tilted = np.abs(rows[seen, COLUMNS.index("roll")]) > _TILTED
    return {
        "model": judge.name,
        "pictures": len(given),
        "faces": len(seen),
        "rows": [
            {
                "by": name,
                "margin": None if framing is None else framing.margin,
                "shift": None if framing is None else framing.shift,
                "outside": beyond,
                **asdict(figures),
            }
            for (name, framing, _, beyond), figures in zip(sets, scores, strict=True)
        ],
        "tilted": _of_tilted(right[tilted], labels[tilted]),
    }


def _of_tilted(right: NDArray[np.bool_], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Of the faces that are tilted by much: what turning them upright is for."""
    kept = 2 + FRAMINGS.index(Framing(LEVEL))
    if len(labels) == 0:
        return {"faces": 0}
    upright = score(right[:, [kept, 2 + FRAMINGS.index(PRESENT)]], labels, 0)[1]
    return {"faces": len(labels), **asdict(upright)}


def _cut(small: Crops, around: Sequence[Any]) -> Crops:
    side = VisionConfig().crop_size
    return [
        align(enlarged(picture), one, side) for picture, one in zip(small, around, strict=True)
    ]


def _right(
    judge: Judge, crops: Crops, items: Sequence[Item], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    found = judge([[crop] for crop in crops], items).argmax(axis=1)
    return np.asarray(found == labels, np.bool_)
