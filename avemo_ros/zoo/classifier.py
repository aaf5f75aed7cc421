"""Anything that can be evaluated, and networks as such: from items of a corpus to scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from avemo_ros.audio.spectrogram import speech_windows
from avemo_ros.data.features import UNITS, Corpus, Features
from avemo_ros.model.emotion_model import Batch, EmotionModel, to_device
from avemo_ros.model.face_points import POINTS, RATE_HZ, VALUES, normalise_points, resample
from avemo_ros.model.preprocess import face_tensor, relative
from avemo_ros.zoo.model_file import LoadedModel


class Classifier(Protocol):
    """Scores items of a data set; is not changed by it."""

    @property
    def name(self) -> str:
        """Name and version, e.g. 'avemo-1.0'."""

    @property
    def modality(self) -> str:
        """One of `emotion_model.MODALITIES`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scores: EMOTIONS or SPEECH_CLASSES."""

    def scores(self, corpus: Corpus) -> Tensor:
        """(N, classes) float32 calibrated log-probabilities (before any more scaling).

        An item that lacks all that the model reads gets equal scores.
        """


READS: Final[dict[str, frozenset[str]]] = {
    "face": frozenset({"faces"}),
    "audio": frozenset({"speech"}),
    "av": frozenset({"faces", "speech"}),
    "au": frozenset({"units"}),
    "au+audio": frozenset({"units", "speech"}),
    "landmarks": frozenset({"points"}),
    "landmarks+audio": frozenset({"points", "speech"}),
    "face+landmarks": frozenset({"faces", "points"}),
    "face+landmarks+audio": frozenset({"faces", "points", "speech"}),
}
"""What a model of a modality reads."""
WINDOW_S: Final = 3.0
"""Speech that a network hears at once, as live and in training [s]."""
_COLUMNS_A_SECOND: Final = 100
_PIXELS: Final = 1 << 23
"""Most pixels of faces in a batch: bounds the memory of long clips."""


def collate(
    corpus: Corpus, rows: Sequence[int], modality: str, face_side: int = 48, frames: int = 0
) -> Batch:
    """A batch of items, without any augmentation.

    Args:
        corpus: items with features.
        rows: which of them; spectrograms among them are equally long (see `equal_rows`).
        modality: what the model reads; the rest is left out.
        face_side: side of the images that it takes [pixels].
        frames: of a clip with more faces as many, evenly spaced; 0: all.

    Returns:
        B rows; what an item lacks is masked.

    Raises:
        ValueError: spectrograms of different lengths.
    """
    features = [corpus.features[row] for row in rows]
    reads = READS[modality]
    batch = Batch()
    if "faces" in reads:
        faces, mask = _faces(features, face_side, frames)
        batch = replace(batch, faces=faces, face_mask=mask)
    if "speech" in reads:
        speech, there = _speech(features)
        batch = replace(batch, speech=speech, speech_mask=there)
    if "units" in reads:
        units, there = _units(features)
        batch = replace(batch, units=units, units_mask=there)
    if "points" in reads:
        points, mask = _points(features)
        batch = replace(batch, points=points, points_mask=mask)
        if any(one.neutral is not None for one in features):
            neutral, weight = _neutral(features)
            batch = replace(batch, neutral=neutral, neutral_weight=weight)
    return batch


def equal_rows(
    corpus: Corpus, modality: str, batch: int, face_side: int = 48, frames: int = 0
) -> list[list[int]]:
    """Rows of a corpus in groups that may go into one batch: of equal length of sound.

    Nothing is padded that a network would see, so an item's logits do not depend on what it
    shares a batch with.

    Args:
        corpus: items with features.
        modality: what the model reads.
        batch: most items in a group.
        face_side: side of the images that the model takes [pixels].
        frames: as in `collate`.

    Returns:
        Every row once.
    """
    reads = READS[modality]

    def columns(row: int) -> int:
        spectrogram = corpus.features[row].spectrogram
        return len(spectrogram) if "speech" in reads and spectrogram is not None else 0

    def frames_of_points(row: int) -> int:
        times = corpus.features[row].point_times_s
        if "points" not in reads or times is None:
            return 0
        return round(float(times[-1] - times[0]) * RATE_HZ)

    def images(row: int) -> int:
        faces = corpus.features[row].faces
        if "faces" not in reads or faces is None:
            return 0
        return min(len(faces), frames) if frames else len(faces)

    def size(row: int) -> tuple[int, int, int, int]:
        return columns(row), images(row), frames_of_points(row), row

    order = sorted(range(len(corpus)), key=size)
    groups: list[list[int]] = []
    for row in order:
        last = groups[-1] if groups else []
        # Sorted by images, so the newest row has the most: it sets the padded size.
        pixels = (len(last) + 1) * images(row) * face_side**2
        fits = len(last) < batch and pixels <= _PIXELS
        if last and fits and columns(last[0]) == columns(row):
            last.append(row)
        else:
            groups.append([row])
    return groups


class NetworkClassifier:
    """A loaded network as a `Classifier`: float32, eval mode."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        batch: int = 64,
        frames: int = 0,
        mirrored: bool = False,
        window_s: float = WINDOW_S,
        progress: bool = False,
        device: str = "cpu",
    ) -> None:
        """Set up.

        Args:
            loaded: the model is moved to the device and put in eval mode.
            batch: most items at once.
            frames: of a clip with more faces as many, evenly spaced; 0: all.
            mirrored: average the logits of faces and their mirror images.
            window_s: sound is heard in windows of this length around its speech [s], and the
                log-probabilities of the windows are averaged; 0: in one piece as it is.
            progress: show a bar on standard error.
            device: 'cpu', 'cuda', ...
        """
        self._model: EmotionModel = loaded.model.to(device).float().eval()
        self._loaded = loaded
        self._batch = batch
        self._frames = frames
        self._mirrored = mirrored
        self._columns = round(window_s * _COLUMNS_A_SECOND)
        self._progress = progress
        self._device = torch.device(device)

    @property
    def name(self) -> str:
        """Name and version."""
        return self._loaded.name

    @property
    def modality(self) -> str:
        """One of `emotion_model.MODALITIES`."""
        return self._model.modality

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scores."""
        return self._model.classes

    def scores(self, corpus: Corpus) -> Tensor:
        """See `Classifier.scores`."""
        if self._columns and "speech" in READS[self.modality]:
            corpus, owners = in_windows(corpus, self._columns)
            return _mean_by(owners, self._whole(corpus))
        return self._whole(corpus)

    def _whole(self, corpus: Corpus) -> Tensor:
        """Log-probabilities (N, classes) of items as they are."""
        side = self._model.face_side
        scores = torch.zeros(len(corpus), len(self.classes))
        groups = equal_rows(corpus, self.modality, self._batch, side, self._frames)
        bar = tqdm(total=len(corpus), desc=self.name, unit="item", disable=not self._progress)
        with torch.inference_mode(), bar:
            for rows in groups:
                batch = collate(corpus, rows, self.modality, side, self._frames)
                scores[rows] = self._logits(to_device(batch, self._device)).float().cpu()
                bar.update(len(rows))
        return torch.log_softmax(scores / self._loaded.temperature, 1)

    def _logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self._model(batch).logits
        if self._mirrored and batch.faces is not None:
            flipped = replace(batch, faces=batch.faces.flip(-1))
            logits = (logits + self._model(flipped).logits) / 2
        return logits


def in_windows(corpus: Corpus, columns: int) -> tuple[Corpus, list[int]]:
    """Items with their sound cut to windows of so many columns around the speech.

    Returns:
        An item for each window, its other features unchanged, and for each the row of the item
        that it was cut from.
    """
    items, features, owners = [], [], []
    for row, (item, of_item) in enumerate(zip(corpus.items, corpus.features, strict=True)):
        spectrogram = of_item.spectrogram
        windows = [None] if spectrogram is None else speech_windows(spectrogram, columns)
        for window in windows:
            items.append(item)
            heard = None if window is None else window.astype(np.float16)
            features.append(replace(of_item, spectrogram=heard))
            owners.append(row)
    return Corpus(tuple(items), tuple(features)), owners


def _mean_by(owners: Sequence[int], scores: Tensor) -> Tensor:
    """Mean log-probabilities of the windows of each item, normalised again."""
    if len(owners) == 0:
        return scores
    place = torch.tensor(owners)
    count = int(place[-1]) + 1
    total = torch.zeros(count, scores.shape[1]).index_add_(0, place, scores)
    return torch.log_softmax(total / torch.bincount(place).unsqueeze(1), 1)


def _faces(features: Sequence[Features], side: int, frames: int) -> tuple[Tensor, Tensor]:
    """(B, n, 1, side, side) and the mask (B, n); n is at least 1."""
    crops = [_spaced(one.faces, frames) for one in features]
    most = max(1, *(len(one) for one in crops))
    faces = torch.zeros(len(crops), most, 1, side, side)
    mask = torch.zeros(len(crops), most, dtype=torch.bool)
    for row, one in enumerate(crops):
        faces[row, : len(one)] = face_tensor(one, side)
        mask[row, : len(one)] = True
    return faces, mask


def _spaced(crops: NDArray[np.uint8] | None, frames: int) -> NDArray[np.uint8]:
    if crops is None:
        return np.zeros((0, 1, 1), np.uint8)
    if not frames or len(crops) <= frames:
        return crops
    picked = (np.arange(frames) * 2 + 1) * len(crops) // (2 * frames)
    return np.ascontiguousarray(crops[picked])


def _speech(features: Sequence[Features]) -> tuple[Tensor, Tensor]:
    given = [one.spectrogram for one in features]
    there = torch.tensor([one is not None for one in given])
    whole = [one for one in given if one is not None]
    lengths = {len(one) for one in whole}
    if len(lengths) > 1:
        raise ValueError(f"spectrograms of a batch have {sorted(lengths)} columns")
    shape = whole[0].shape if whole else (63, 200)
    speech = torch.zeros(len(given), 1, *shape)
    for row, one in enumerate(given):
        if one is not None:
            power_db = torch.from_numpy(np.asarray(one, np.float32))
            speech[row] = relative(power_db[None, None])[0]
    return speech, there


def _units(features: Sequence[Features]) -> tuple[Tensor, Tensor]:
    given = [one.units for one in features]
    units = torch.zeros(len(given), UNITS)
    for row, one in enumerate(given):
        if one is not None:
            units[row] = torch.from_numpy(np.asarray(one, np.float32))
    return units, torch.tensor([one is not None for one in given])


def _neutral(features: Sequence[Features]) -> tuple[Tensor, Tensor]:
    neutral = torch.zeros(len(features), 2 * POINTS)
    weight = torch.zeros(len(features))
    for row, one in enumerate(features):
        if one.neutral is not None:
            neutral[row] = torch.from_numpy(one.neutral)
            weight[row] = one.neutral_weight
    return neutral, weight


def _points(features: Sequence[Features]) -> tuple[Tensor, Tensor]:
    """(B, n, VALUES) and the mask (B, n); n is at least 1."""
    given = []
    for one in features:
        if one.points is None or one.point_times_s is None:
            given.append((np.zeros((0, VALUES), np.float32), np.zeros(0, bool)))
        else:
            given.append(resample(normalise_points(one.points), one.point_times_s))
    most = max(1, *(len(frames) for frames, _ in given))
    points = torch.zeros(len(given), most, VALUES)
    mask = torch.zeros(len(given), most, dtype=torch.bool)
    for row, (frames, there) in enumerate(given):
        points[row, : len(frames)] = torch.from_numpy(frames)
        mask[row, : len(frames)] = torch.from_numpy(there)
    return points, mask
