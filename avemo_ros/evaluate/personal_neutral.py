"""The resting face of a person, from what was seen of them before, without any label.

A face says more by how it differs from its own usual shape than by the shape itself.  Items of
a person are taken one after the other; each gets the mean shape over those before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus
from avemo_ros.model.face_points import POINTS as N_POINTS
from avemo_ros.model.face_points import normalise_points

PRIOR_S: Final = 5.0
"""The mean face of everybody counts as much as this long of the person's own [s]."""


def with_personal_neutral(corpus: Corpus, seconds: float) -> Corpus:
    """The corpus in which items have the resting face of their person.

    Data sets do not say in which order their clips were recorded; a random one is taken.

    Args:
        corpus: items with points, in any order.
        seconds: the newest clips before an item that are as long as this together count, and
            no older ones; infinite: all of them; 0: none.

    Returns:
        The same items in the same order.  The first of a person has no resting face.
    """
    features = list(corpus.features)
    people: dict[str, list[int]] = {}
    for row, item in enumerate(corpus.items):
        people.setdefault(item.subject, []).append(row)
    for rows in people.values():
        ordered = sorted(rows, key=lambda row: _order(corpus.items[row]))
        seen: list[tuple[NDArray[np.float64], float]] = []
        for row in ordered:
            made = features[row]
            neutral, length = _mean_of(seen, seconds)
            if neutral is not None:
                weight = length / (length + PRIOR_S)
                features[row] = replace(made, neutral=neutral, neutral_weight=weight)
            if made.points is None or made.point_times_s is None:
                continue
            shapes = normalise_points(made.points)[:, : 2 * N_POINTS]
            there = np.isfinite(shapes).all(axis=1)
            if there.any():
                span = float(made.point_times_s[-1] - made.point_times_s[0])
                seen.append((shapes[there].mean(axis=0, dtype=np.float64), span))
    return Corpus(corpus.items, tuple(features))


def _mean_of(
    seen: Sequence[tuple[NDArray[np.float64], float]], seconds: float
) -> tuple[NDArray[np.float32] | None, float]:
    """Mean shape of the newest clips, and how long they are [s]."""
    total, length = np.zeros(2 * N_POINTS), 0.0
    for shape, span in reversed(seen):
        used = min(span, seconds - length)
        if used <= 0:
            break
        total += used * shape
        length += used
    if length == 0:
        return None, 0.0
    return (total / length).astype(np.float32), length


def _order(item: Item) -> bytes:
    """Random, and the same every time.  Names begin with the emotion, so in their order what
    was seen before would say something about what comes."""
    return hashlib.sha256(f"{item.dataset} {item.key}".encode()).digest()
