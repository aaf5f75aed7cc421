"""Which items make a batch, how often each is drawn, and what the network is shown of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import UNITS, Corpus, Features
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS, FACE_CLASSES
from avemo_ros.model.emotion_model import Batch
from avemo_ros.model.preprocess import relative, standardise
from avemo_ros.train import augmentation
from avemo_ros.train.augmentation import degrade_points
from avemo_ros.train.loop import EpochRng
from avemo_ros.train.optimisation import Processes
from avemo_ros.train.sample_bank import (
    COLUMNS_A_SECOND,
    FaceBank,
    PointBank,
    SpeechBank,
    allowed_of,
    one_of_each_part,
    targets_of,
    votes_of,
)
from avemo_ros.train.training_batch import TrainingBatch, drop_modality, mix_rows
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.zoo.classifier import READS


@dataclass(frozen=True, slots=True, eq=False)
class ItemPool:
    """Items that can be drawn."""

    members: NDArray[np.int64]
    weights: NDArray[np.float64]
    """Chance of each, relative to the other ones."""

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        members: NDArray[np.int64],
        shares: dict[str, float],
        balanced: bool,
    ) -> ItemPool:
        """Data sets by their shares; within one all items, or all classes, alike."""
        sets = np.array([items[i].dataset for i in members])
        labels = np.array([items[i].class_index for i in members])
        weights = np.zeros(len(members))
        for name in sorted(set(sets.tolist())):
            of_set = sets == name
            share = shares.get(name, 1.0)
            if not balanced:
                weights[of_set] = share / of_set.sum()
                continue
            present = np.unique(labels[of_set])
            for label in present:
                rows = of_set & (labels == label)
                weights[rows] = share / len(present) / rows.sum()
        return cls(members, weights)

    def draw(self, count: int, common: torch.Generator) -> NDArray[np.int64]:
        """Indices of items: each once before any comes again where all are alike frequent."""
        if np.allclose(self.weights, self.weights[0]):
            rounds = math.ceil(count / len(self.members))
            order = [torch.randperm(len(self.members), generator=common) for _ in range(rounds)]
            picked = torch.cat(order)[:count]
        else:
            weights = torch.from_numpy(self.weights)
            picked = torch.multinomial(weights, count, replacement=True, generator=common)
        members: NDArray[np.int64] = self.members[picked.numpy()]
        return members


def class_weights(items: Sequence[Item], pool: ItemPool) -> NDArray[np.float64]:
    """(N,) weights in the loss by which the classes of a set count alike, 1 on average."""
    result = np.ones(len(items))
    groups: dict[tuple[str, int], list[int]] = {}
    for member in pool.members.tolist():
        item = items[member]
        groups.setdefault((item.dataset, item.class_index), []).append(member)
    for name in {name for name, _ in groups}:
        sizes = {label: len(rows) for (of, label), rows in groups.items() if of == name}
        total = sum(sizes.values())
        for label, size in sizes.items():
            result[groups[name, label]] = total / (len(sizes) * size)
    return result


@dataclass(frozen=True, slots=True)
class Reads:
    """What a model reads."""

    faces: bool
    speech: bool
    units: bool
    points: bool = False

    @classmethod
    def of(cls, modality: str) -> Reads:
        """By one of `emotion_model.MODALITIES`."""
        read = READS[modality]
        return cls("faces" in read, "speech" in read, "units" in read, "points" in read)

    @property
    def parts(self) -> frozenset[str]:
        """As `data.prepare` calls what is made of the files."""
        wanted = {"faces": self.faces, "speech": self.speech}
        return frozenset(name for name, is_read in wanted.items() if is_read)


class Sampler:
    """Draws the batches of a run."""

    def __init__(
        self,
        corpus: Corpus,
        config: TrainConfig,
        modality: str,
        classes: tuple[str, ...],
        face_side: int,
        processes: Processes,
    ) -> None:
        """Set up.

        Args:
            corpus: what is learned from.
            config: of the run.
            modality: of the model, one of `emotion_model.MODALITIES`.
            classes: of the model.
            face_side: of the model [pixels].
            processes: this one among others; each makes its share of every batch.

        Raises:
            DataError: nothing in the corpus can be used, or no pairs can be made.
        """
        self._config, self._classes, self._side = config, classes, face_side
        self._reads, self._processes = Reads.of(modality), processes
        self._corpus = corpus
        self._faces = FaceBank(corpus.features, face_side)
        self._speech = SpeechBank(corpus.features if self._reads.speech else ())
        self._points = PointBank(corpus if self._reads.points else Corpus((), ()))
        self._targets = targets_of(corpus.items, classes, config.data.votes)
        self._votes = votes_of(corpus.items, FACE_CLASSES)
        self._allowed = allowed_of(corpus.items, classes)
        shares = {find_dataset(part.name).name: part.share for part in config.data.train}
        usable = np.array(
            [_usable(self._reads, features) for features in corpus.features], bool
        )
        if not usable.any():
            raise DataError(f"no training item has the input that a '{modality}' model needs")
        self._pools: tuple[ItemPool, ...]
        balanced = config.training.balance == "classes"
        if config.data.pairing == "label":
            self._pools = self._paired_pools(shares)
        else:
            self._pools = (ItemPool.of(corpus.items, np.flatnonzero(usable), shares, balanced),)
        self._frames = config.data.frames
        if config.data.pairing == "none":
            self._frames = max(1, min(self._frames, self._faces.longest))
        weights = np.ones(len(corpus))
        if config.training.balance == "weights":
            weights = class_weights(corpus.items, self._pools[-1])
        self._weights = torch.from_numpy(weights).float()
        draws = config.training.draws or len(self._pools[-1].members)
        self.steps = max(1, draws // config.training.batch)

    def _paired_pools(self, shares: dict[str, float]) -> tuple[ItemPool, ItemPool]:
        """Those that give a face (action units, landmarks) and those that give a voice."""
        features, reads = self._corpus.features, self._reads
        seen = [_usable(replace(reads, speech=False), one) for one in features]
        heard = [reads.speech and f.spectrogram is not None for f in features]
        if not any(seen) or not any(heard):
            lacking = "faces" if not any(seen) else "voices"
            raise DataError(
                "data.pairing 'label' needs faces and voices; the data sets have no "
                f"{lacking} that this model can use"
            )
        items = self._corpus.items
        pools = tuple(
            ItemPool.of(items, np.flatnonzero(kept), shares, balanced=True)
            for kept in (seen, heard)
        )
        return pools[0], pools[1]

    @property
    def paired(self) -> bool:
        """A row is a face and a voice of different people."""
        return len(self._pools) == 2

    def epoch(self, number: int, chance: EpochRng) -> Iterator[TrainingBatch]:
        """The batches of an epoch, on the device of the processes."""
        settings = self._config.training
        size = settings.batch
        order = self._pools[-1].draw(self.steps * size, chance.common)
        matching = self._matching(order, chance.common) if self.paired else order
        side = self._side
        if settings.small_side and number < int(settings.epochs * settings.small_share):
            side = settings.small_side
        for step in range(self.steps):
            rows = slice(step * size, (step + 1) * size)
            yield self._training_batch(matching[rows], order[rows], side, chance)

    def _matching(
        self, voices: NDArray[np.int64], common: torch.Generator
    ) -> NDArray[np.int64]:
        """For each voice a face with the same emotion."""
        items, pool = self._corpus.items, self._pools[0]
        wanted = np.array([items[i].emotion_index for i in voices])
        result = np.empty_like(voices)
        emotions = np.array([items[i].emotion_index for i in pool.members])
        for emotion in sorted(set(wanted.tolist())):
            rows = np.flatnonzero(wanted == emotion)
            weights = torch.from_numpy(pool.weights * (emotions == emotion))
            if float(weights.sum()) == 0.0:
                raise DataError(f"no face is labelled {EMOTIONS[emotion]}, but voices are")
            picked = torch.multinomial(weights, len(rows), replacement=True, generator=common)
            result[rows] = pool.members[picked.numpy()]
        return result

    def _training_batch(
        self, seen: NDArray[np.int64], heard: NDArray[np.int64], side: int, chance: EpochRng
    ) -> TrainingBatch:
        """A batch; this process's rows of it.

        Which frames and windows are shown is drawn for all rows in all processes alike.
        """
        data, reads = self._config.data, self._reads
        size, frames = len(heard), self._frames
        lots = torch.rand(size, frames + 4, generator=chance.common).double().numpy()
        low, high = (
            round(seconds * COLUMNS_A_SECOND)
            for seconds in (data.window_low_s, data.window_high_s)
        )
        columns = int(torch.randint(low, high + 1, (1,), generator=chance.common))
        ours = slice(self._processes.rank, None, self._processes.count)
        seen, heard, lots = seen[ours], heard[ours], lots[ours]
        batch = Batch()
        starts: list[int] = []
        if reads.speech:
            starts = [
                self._speech.start(item, columns, lot)
                for item, lot in zip(heard.tolist(), lots[:, 0], strict=True)
            ]
            batch = replace(batch, **self._shown_speech(heard, starts, columns, chance.own))
        if reads.faces:
            numbers = self._pick_frames(seen, starts, columns, lots)
            batch = replace(batch, **self._shown_faces(seen, numbers, lots, side, chance.own))
        if reads.units:
            batch = replace(batch, **self._shown_units(seen))
        if reads.points:
            more = torch.rand(size, PointBank.LOTS, generator=chance.common).double().numpy()
            batch = replace(
                batch, **self._shown_points(seen, starts, columns, more[ours], chance.own)
            )
        device = self._processes.device
        index = torch.from_numpy(heard)
        allowed = self._allowed[index]
        if self.paired:
            allowed = allowed & self._allowed[torch.from_numpy(seen)]
        drawn = TrainingBatch(
            batch,
            self._targets[index].to(device),
            allowed.to(device),
            self._weights[index].to(device),
            self._votes[index].to(device),
        )
        drawn = mix_rows(drawn, self._config, chance.own)
        dropped = self._config.training.modality_dropout
        return replace(drawn, batch=drop_modality(drawn.batch, dropped, chance.own))

    def _pick_frames(
        self,
        seen: NDArray[np.int64],
        starts: Sequence[int],
        columns: int,
        lots: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """(B, frames) numbers of faces; those of a clip whose voice is heard are of the time
        of the window, shifted by up to `augment.shift_s`."""
        frames, most = self._frames, self._config.augment.shift_s
        together = bool(starts) and not self.paired
        result = np.zeros((len(seen), frames), np.int64)
        for row, item in enumerate(seen.tolist()):
            first, last = 0, self._faces.count(item)
            if last == 0:
                continue
            if together and self._corpus.features[item].spectrogram is not None:
                begin, end = heard_span(starts[row], columns, most, lots[row, 1])
                first, last = self._faces.within(item, begin, end)
            result[row] = one_of_each_part(first, last, lots[row, 4:])
        return result

    def _shown_faces(
        self,
        seen: NDArray[np.int64],
        numbers: NDArray[np.int64],
        lots: NDArray[np.float64],
        side: int,
        own: torch.Generator,
    ) -> dict[str, Tensor]:
        device = self._processes.device
        items = seen.tolist()
        counts = np.array([self._faces.count(item) for item in items])
        images = self._faces.pick(items, numbers).to(device, non_blocking=True)
        repeated = torch.from_numpy(counts == 1).to(device)
        shown = augmentation.degrade_faces(
            images, own, self._config.augment.face, side, repeated
        )
        there = np.repeat(counts[:, None] > 0, self._frames, axis=1)
        fewer = self._config.data.fewer_frames
        if fewer > 0.0 and self._frames > 1:
            kept = np.where(
                lots[:, 2] < fewer, 1 + np.floor(lots[:, 3] * (self._frames - 1)), self._frames
            )
            # Those with the least lots: any of them, not always the first ones.
            ranks = lots[:, 4:].argsort(axis=1).argsort(axis=1)
            there &= ranks < kept[:, None]
        return {
            "faces": standardise(shown.flatten(0, 1)).view(shown.shape),
            "face_mask": torch.from_numpy(there).to(device),
        }

    def _shown_speech(
        self, heard: NDArray[np.int64], starts: list[int], columns: int, own: torch.Generator
    ) -> dict[str, Tensor]:
        device, how = self._processes.device, self._config.augment.speech
        power_db = self._speech.windows(heard.tolist(), starts, columns)
        power_db = power_db.to(device, non_blocking=True)
        degraded = augmentation.degrade_speech(power_db, own, how)
        features = relative(degraded.unsqueeze(1))
        there = [self._corpus.features[item].spectrogram is not None for item in heard]
        return {
            "speech": augmentation.mask_spectrogram(features, own, how),
            "speech_mask": torch.tensor(there, device=device),
        }

    def _shown_units(self, seen: NDArray[np.int64]) -> dict[str, Tensor]:
        values = np.zeros((len(seen), UNITS), np.float32)
        there = np.zeros(len(seen), bool)
        for row, item in enumerate(seen.tolist()):
            units = self._corpus.features[item].units
            if units is not None:
                values[row], there[row] = units, True
        device = self._processes.device
        return {
            "units": torch.from_numpy(values).to(device),
            "units_mask": torch.from_numpy(there).to(device),
        }

    def _shown_points(
        self,
        seen: NDArray[np.int64],
        starts: Sequence[int],
        columns: int,
        lots: NDArray[np.float64],
        own: torch.Generator,
    ) -> dict[str, Tensor]:
        """Landmarks; those of a clip whose voice is heard are of the time of the window."""
        how, most = self._config.augment.landmarks, self._config.augment.shift_s
        together = bool(starts) and not self.paired
        spans: list[tuple[float, float] | None] = [None] * len(seen)
        for row, item in enumerate(seen.tolist()):
            if together and self._corpus.features[item].spectrogram is not None:
                spans[row] = heard_span(starts[row], columns, most, lots[row, 0])
        points, mask = self._points.pick(seen.tolist(), spans, lots, how)
        shapes = self._points.person_shifts(seen.tolist(), lots, how)
        device = self._processes.device
        return degrade_points(points.to(device), mask.to(device), shapes.to(device), own, how)


def heard_span(start: int, columns: int, most: float, lot: float) -> tuple[float, float]:
    """From when to when a face is shown to a window of speech [s].

    Args:
        start: of the window [columns].
        columns: its length.
        most: largest shift between face and voice, `augment.shift_s` [s].
        lot: 0 to 1, chooses the shift.
    """
    begin = start / COLUMNS_A_SECOND + most * (2 * lot - 1)
    return begin, begin + columns / COLUMNS_A_SECOND


def _usable(reads: Reads, features: Features) -> bool:
    return (
        (reads.faces and features.faces is not None)
        or (reads.speech and features.spectrogram is not None)
        or (reads.units and features.units is not None)
        or (reads.points and features.points is not None)
    )
