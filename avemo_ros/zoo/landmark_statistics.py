"""Statistics of landmark sequences over time, for support vector machines."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.features import Corpus
from avemo_ros.model.face_points import RATE_HZ, VALUES, normalise_points, resample

STATISTICS: Final = ("mean", "deviation", "range", "speed", "change")
"""Over the frames, of each of their values.  The range goes from percentile 10 to 90, the speed
is the mean size of changes, the change is the mean less that of the first half second."""
SIZE: Final = len(STATISTICS) * VALUES
"""Values of an item."""
_BEGINNING: Final = round(RATE_HZ / 2)


def statistics_of(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """STATISTICS of a sequence, one after the other.

    Args:
        frames: (n, VALUES) at RATE_HZ, only those that are there.

    Returns:
        (SIZE,); NaN without a frame.
    """
    if len(frames) == 0:
        return np.full(SIZE, np.nan, np.float32)
    low, high = np.percentile(frames, (10, 90), axis=0)
    mean = frames.mean(axis=0)
    moved = np.abs(np.diff(frames, axis=0)) if len(frames) > 1 else np.zeros_like(frames)
    parts = (
        mean,
        frames.std(axis=0),
        high - low,
        moved.mean(axis=0) * RATE_HZ,
        mean - frames[:_BEGINNING].mean(axis=0),
    )
    result: NDArray[np.float32] = np.concatenate(parts).astype(np.float32)
    return result


class LandmarkStatisticsReader:
    """Reads the landmark sequences of a corpus; implements `svm.FeatureReader`."""

    modality = "landmarks"
    parts = frozenset({"points"})

    def read(self, corpus: Corpus) -> NDArray[np.float32]:
        """(N, SIZE) float32; a row of NaN for an item without landmarks."""
        result = np.full((len(corpus), SIZE), np.nan, np.float32)
        for row, made in zip(result, corpus.features, strict=True):
            if made.points is not None and made.point_times_s is not None:
                frames, there = resample(normalise_points(made.points), made.point_times_s)
                row[:] = statistics_of(frames[there])
        return result
