"""Distances between points of the face mesh over a clip, as one vector.

Liu et al. 2018 (ICMI, "Multi-feature based emotion recognition for video clips") take distances
between landmarks and their greatest, mean and spread over the frames; the statistics over
frames with the least value too are those of Knyazev et al. 2017 (arXiv:1711.04598).
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.features import Corpus

POINTS: Final[tuple[int, ...]] = (
    *(70, 105, 107),  # right brow: outer end, arch, inner end
    *(300, 334, 336),  # left brow
    *(33, 133, 159, 145),  # right eye: outer and inner corner, upper and lower lid
    *(263, 362, 386, 374),  # left eye
    *(1, 98, 327),  # nose: tip, right and left wing
    *(61, 291),  # right and left corner of the mouth
    *(0, 13, 14, 17),  # lips: upper edge, upper and lower inner edge, lower edge
    152,  # chin
)
"""The 24 points of MediaPipe's mesh that are used; right and left are the person's."""
STATISTICS: Final = ("max", "mean", "min", "deviation")
"""Over the frames of an item."""

_EYES: Final = ((33, 133), (263, 362))
"""Corners of the right and of the left eye: their middle stays where it is in a blink."""
_PAIRS: Final = np.array(list(combinations(range(len(POINTS)), 2)))
DISTANCES: Final = len(_PAIRS)
"""Distances of a frame: between all pairs of POINTS."""
SIZE: Final = DISTANCES * len(STATISTICS)
"""Values of an item."""


def distances(mesh: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Distances between the points of faces, in distances of their eyes.

    They do not change when the face is moved, turned in the picture's plane or scaled.

    Args:
        mesh: (n, 468, 2) points [pixels]; NaN in a frame without a mesh.

    Returns:
        (n, DISTANCES); NaN in a frame without a mesh or whose eyes are at one place.
    """
    points = np.asarray(mesh, np.float64)
    right, left = (points[:, corners].mean(axis=1) for corners in _EYES)
    scale = np.linalg.norm(left - right, axis=1)
    scale = np.where(scale > 0, scale, np.nan)
    used = points[:, POINTS]
    apart = used[:, _PAIRS[:, 0]] - used[:, _PAIRS[:, 1]]
    result: NDArray[np.float64] = np.linalg.norm(apart, axis=2) / scale[:, None]
    return result


def over_frames(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """STATISTICS of each column, one after the other.

    Args:
        values: (n, D); frames with a NaN are left out.

    Returns:
        (4 D,); NaN if no frame is left.
    """
    there = values[np.isfinite(values).all(axis=1)]
    if len(there) == 0:
        return np.full(4 * values.shape[1], np.nan, np.float32)
    parts = (there.max(0), there.mean(0), there.min(0), there.std(0))
    result: NDArray[np.float32] = np.concatenate(parts).astype(np.float32)
    return result


class LandmarkReader:
    """Reads the mesh of a corpus; implements `svm.FeatureReader`."""

    modality = "face"
    parts = frozenset({"landmarks"})

    def read(self, corpus: Corpus) -> NDArray[np.float32]:
        """(N, SIZE) float32; a row of NaN for an item without a mesh."""
        result = np.full((len(corpus), SIZE), np.nan, np.float32)
        for row, features in zip(result, corpus.features, strict=True):
            if features.landmarks is not None:
                row[:] = over_frames(distances(features.landmarks))
        return result
