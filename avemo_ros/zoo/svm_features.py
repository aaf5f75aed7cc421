"""What support vector machines read: functionals of a sound, statistics of landmarks.

eGeMAPS: Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set" (88 values);
ComParE 2016: Schuller et al. 2016 (6373 values).

Liu et al. 2018 (ICMI, "Multi-feature based emotion recognition for video clips") take
distances between landmarks and their greatest, mean and spread over the frames; the
statistics over frames with the least value too are those of Knyazev et al. 2017
(arXiv:1711.04598).
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros import process_pool
from avemo_ros.audio.spectrogram import SAMPLE_RATE
from avemo_ros.data.audio_features import read_sound
from avemo_ros.data.corpus_files import ARCHIVE_TROUBLES
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus
from avemo_ros.errors import BagError, ConfigError, DataError, SourceError
from avemo_ros.model.face_points import POINTS as N_POINTS
from avemo_ros.model.face_points import RATE_HZ, VALUES, normalise_points, resample
from avemo_ros.process_pool import Done, Failed

_LOG = logging.getLogger(__name__)

FEATURE_SETS: Final[dict[str, int]] = {"eGeMAPSv02": 88, "ComParE_2016": 6373}
"""Name of each set and the number of its values."""
_LAYOUT: Final = "2"
"""Part of every key of the cache; another way to compute gets another number."""


def read_functionals(
    items: Sequence[Item],
    feature_set: str,
    *,
    cache: Path | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> NDArray[np.float32]:
    """Functionals of the items' sound.

    What was computed once is read from the cache; an interrupted call goes on where it was.

    Args:
        items: whose sound; each is heard from `start_s` to `end_s`, at 16 kHz, one channel.
        feature_set: one of FEATURE_SETS.
        cache: folder that keeps one small file for each item; None: nothing is kept.
        workers: processes; 1 computes in this one.
        quiet: without a progress bar.

    Returns:
        (N, values of the set); a row of NaN where there is no sound or too little of it, or
        where it cannot be read or crashes the process that reads it, which a warning tells.

    Raises:
        ConfigError: the feature set is not known.
        DataError: a file is missing, or openSMILE is not installed.
    """
    _check(feature_set)
    result = np.full((len(items), FEATURE_SETS[feature_set]), np.nan, np.float32)
    todo: list[int] = []
    paths: dict[int, Path] = {}
    for index, item in enumerate(items):
        if not item.has_voice:
            continue
        if not item.path.is_file():
            raise DataError(f"sound file {item.path} does not exist")
        if cache is not None:
            paths[index] = cache / cache_name(item, feature_set)
        stored = _stored(paths[index], result.shape[1]) if index in paths else None
        if stored is None:
            todo.append(index)
        else:
            result[index] = stored
    if not todo:
        return result
    _opensmile()
    rows_computed = _computed([items[index] for index in todo], feature_set, workers)
    bar = tqdm(rows_computed, total=len(todo), desc=feature_set, mininterval=1, disable=quiet)
    for place, values in bar:
        index = todo[place]
        result[index] = values
        if index in paths:
            _store(paths[index], values)
    return result


class FunctionalReader:
    """Reads the functionals of a corpus's sound; implements `svm.FeatureReader`."""

    modality = "audio"
    parts = frozenset[str]()

    def __init__(
        self,
        feature_set: str,
        *,
        cache: Path | None = None,
        workers: int = 1,
        quiet: bool = True,
    ) -> None:
        """Set up; the arguments are those of `read_functionals`.

        Raises:
            ConfigError: the feature set is not known.
        """
        _check(feature_set)
        self._feature_set = feature_set
        self._cache, self._workers, self._quiet = cache, workers, quiet

    def read(self, corpus: Corpus) -> NDArray[np.float32]:
        """(N, values of the set) float32; a row of NaN for an item without sound.

        Raises:
            DataError: a file is missing, or openSMILE is not installed.
        """
        return read_functionals(
            corpus.items,
            self._feature_set,
            cache=self._cache,
            workers=self._workers,
            quiet=self._quiet,
        )


def cache_name(item: Item, feature_set: str) -> str:
    """File of an item's functionals within the cache.

    It changes with the file's place, size and time of change, the part that is heard, the
    feature set and the version of openSMILE.

    Raises:
        DataError: openSMILE is not installed.
    """
    state = item.path.stat()
    version = _opensmile().__version__
    parts = (_LAYOUT, version, feature_set, str(item.path.resolve()), state.st_size)
    known = repr((*parts, state.st_mtime_ns, item.start_s, item.end_s))
    digest = hashlib.sha256(known.encode()).hexdigest()
    return f"functionals/{feature_set}/{digest[:2]}/{digest[2:34]}.npy"


def sound_functionals(sound: NDArray[np.float32], feature_set: str) -> NDArray[np.float32]:
    """Functionals of one sound.

    Args:
        sound: (n,) at 16 kHz, full scale -1 to 1.
        feature_set: one of FEATURE_SETS.

    Returns:
        (values of the set,); NaN where the sound is too short.
    """
    with warnings.catch_warnings():
        # Told by the NaN.
        warnings.filterwarnings("ignore", message="Segment too short")
        table = _extractor(feature_set).process_signal(sound, SAMPLE_RATE)
    return np.asarray(table.to_numpy()[0], np.float32)


def _check(feature_set: str) -> None:
    if feature_set not in FEATURE_SETS:
        raise ConfigError("model.features", feature_set, " | ".join(FEATURE_SETS))


def _computed(
    items: Sequence[Item], feature_set: str, workers: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Place and values of each item, in the order in which they are ready; none of one whose
    process crashed."""
    if workers <= 1:
        yield from ((place, _of_item((item, feature_set))) for place, item in enumerate(items))
        return
    jobs = [(item, feature_set) for item in items]
    with closing(process_pool.run_jobs(jobs, _of_item, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                yield event.number, event.result
            elif isinstance(event, Failed):
                key = items[event.number].key
                _LOG.warning("no functionals of '%s': %s", key, event.reason)


def _of_item(
    job: tuple[Item, str], _progress: process_pool.Progress | None = None
) -> NDArray[np.float32]:
    item, feature_set = job
    try:
        sound = read_sound(item.path, item.start_s, item.end_s)
    except (DataError, SourceError, BagError) as error:
        _LOG.warning("no functionals of '%s': %s", item.key, error)
        return np.full(FEATURE_SETS[feature_set], np.nan, np.float32)
    return sound_functionals(sound, feature_set)


def _stored(path: Path, size: int) -> NDArray[np.float32] | None:
    try:
        values: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except ARCHIVE_TROUBLES:
        return None
    return values if values.shape == (size,) and values.dtype == np.float32 else None


def _store(path: Path, values: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, values)
    part.replace(path)


@lru_cache(maxsize=len(FEATURE_SETS))
def _extractor(feature_set: str) -> Any:
    library = _opensmile()
    return library.Smile(
        feature_set=getattr(library.FeatureSet, feature_set),
        feature_level=library.FeatureLevel.Functionals,
    )


def _opensmile() -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise DataError("functionals need openSMILE: pip install 'avemo_ros[train]'") from error
    return opensmile


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

    They do not change when the face is moved, turned in the image's plane or scaled.

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


# Statistics of landmark sequences over time, for support vector machines.

SEQUENCE_STATISTICS: Final = ("mean", "deviation", "range", "speed", "change")
"""Over the frames, of each of their values.  The range goes from percentile 10 to 90, the speed
is the mean size of changes, the change is the mean less that of the first half second."""
SEQUENCE_SIZE: Final = len(SEQUENCE_STATISTICS) * VALUES
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
        return np.full(SEQUENCE_SIZE, np.nan, np.float32)
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
        result = np.full((len(corpus), SEQUENCE_SIZE), np.nan, np.float32)
        for row, of_item in zip(result, corpus.features, strict=True):
            if of_item.points is not None and of_item.point_times_s is not None:
                frames, there = resample(
                    normalise_points(of_item.points), of_item.point_times_s
                )
                row[:] = statistics_of(frames[there])
        return result


# The same with a few measures of a face, and of faces as if everybody looked alike at rest.

MEASURES: Final = (
    *("mouth open", "mouth width", "brows", "inner brows", "outer brows", "eyes open"),
    *("between brows", "corners of the mouth", "upper lip", "chin"),
    *("mouth askew", "brows askew", "eyes askew"),
)
"""Of a frame, in distances of the eyes: what action units do to a face, and differences between
its sides."""
_PERCENTILES: Final = (5, 25, 50, 75, 95)
_OF_MEASURES: Final = len(_PERCENTILES) + 4
MEASURED_SIZE: Final = SEQUENCE_SIZE + _OF_MEASURES * len(MEASURES)
"""Values of an item."""


def measures_of(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """MEASURES of frames.

    Args:
        frames: (n, VALUES), see `face_points.normalise_points`.

    Returns:
        (n, MEASURES).
    """
    shape = frames[:, : 2 * N_POINTS].reshape(len(frames), N_POINTS, 2)
    x, y = shape[..., 0], shape[..., 1]
    brows = y[:, 17:27]
    # Of the image's left and right eye: how far the lower lid is below the upper one.
    left = y[:, [40, 41]].mean(1) - y[:, [37, 38]].mean(1)
    right = y[:, [46, 47]].mean(1) - y[:, [43, 44]].mean(1)
    columns = (
        y[:, 66] - y[:, 62],
        x[:, 54] - x[:, 48],
        brows.mean(1),
        brows[:, [4, 5]].mean(1),
        brows[:, [0, 9]].mean(1),
        left + right,
        x[:, 22] - x[:, 21],
        (y[:, 48] + y[:, 54]) / 2 - y[:, [51, 57]].mean(1),
        y[:, 51] - y[:, 33],
        y[:, 8],
        y[:, 48] - y[:, 54],
        brows[:, :5].mean(1) - brows[:, 5:].mean(1),
        left - right,
    )
    return np.stack(columns, axis=1)


class LandmarkMeasuresReader:
    """Reads landmark sequences with measures; implements `svm.FeatureReader`."""

    modality = "landmarks"
    parts = frozenset({"points"})

    def __init__(self, mean_face: NDArray[np.float32] | None = None) -> None:
        """Set up.

        Args:
            mean_face: (2 POINTS,) of the training data; a face whose person's resting face is
                known is read as if that were this one. None: every face as it is.
        """
        self._mean_face = mean_face

    def read(self, corpus: Corpus) -> NDArray[np.float32]:
        """(N, MEASURED_SIZE) float32; a row of NaN for an item without landmarks."""
        result = np.full((len(corpus), MEASURED_SIZE), np.nan, np.float32)
        for row, of_item in zip(result, corpus.features, strict=True):
            if of_item.points is None or of_item.point_times_s is None:
                continue
            values, there = resample(normalise_points(of_item.points), of_item.point_times_s)
            frames = values[there]
            if len(frames) == 0:
                continue
            if self._mean_face is not None and of_item.neutral is not None:
                apart = self._mean_face - of_item.neutral
                frames[:, : 2 * N_POINTS] += np.float32(of_item.neutral_weight) * apart
            row[:SEQUENCE_SIZE] = statistics_of(frames)
            row[SEQUENCE_SIZE:] = _over_measures(measures_of(frames))
        return result


def _over_measures(values: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = np.diff(values, axis=0) if len(values) > 1 else np.zeros_like(values)
    half = len(values) // 2
    later = values[half:].mean(0) - values[:half].mean(0) if half else np.zeros(values.shape[1])
    parts = (
        np.percentile(values, _PERCENTILES, axis=0).ravel(),
        values.std(0),
        np.abs(moved).mean(0),
        moved.std(0),
        later,
    )
    return np.concatenate(parts).astype(np.float32)
