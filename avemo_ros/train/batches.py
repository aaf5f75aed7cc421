"""Which items make a batch, and what the network is shown of them.

One sampler serves every family: an item gives its faces, its voice, its action units, or what
it has of them.  With `pairing: label` a face and a voice of any two people with the same label
make one item; given the label the two are independent, which those of real clips are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avemo_ros.data.features import UNITS, Corpus, Features
from avemo_ros.data.item import Item
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.model.batch import Batch
from avemo_ros.model.collate import READS
from avemo_ros.model.preprocess import relative, standardise
from avemo_ros.train import augment_face, augment_speech
from avemo_ros.train.config import TrainConfig
from avemo_ros.train.face_bank import FaceBank, one_of_each_part
from avemo_ros.train.loop import Chance
from avemo_ros.train.parallel import Processes
from avemo_ros.train.speech_bank import COLUMNS_A_SECOND, SpeechBank


@dataclass(frozen=True, slots=True)
class Lesson:
    """B rows to learn from."""

    batch: Batch
    targets: Tensor
    """(B, classes), rows sum to 1."""
    allowed: Tensor
    """(B, classes) bool: classes that occur in the data sets of the row."""
    weights: Tensor
    """(B,) of the rows in the loss, 1 on average."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What a model reads."""

    faces: bool
    speech: bool
    units: bool

    @classmethod
    def of(cls, modality: str) -> Reads:
        """By one of `batch.MODALITIES`."""
        read = READS[modality]
        return cls("faces" in read, "speech" in read, "units" in read)

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
            modality: of the model, one of `batch.MODALITIES`.
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
        self._targets = _targets(corpus.items, classes, config.data.votes)
        self._allowed = _allowed(corpus.items, classes)
        shares = {part.name: part.share for part in config.data.train}
        usable = np.array([_usable(self._reads, made) for made in corpus.features], bool)
        if not usable.any():
            raise DataError(
                f"nothing of what is learned from has what a '{modality}' model reads"
            )
        self._pools: tuple[_Pool, ...]
        balanced = config.training.balance == "classes"
        if config.data.pairing == "label":
            self._pools = self._paired_pools(shares)
        else:
            self._pools = (_Pool.of(corpus.items, np.flatnonzero(usable), shares, balanced),)
        self._frames = config.data.frames
        if config.data.pairing == "none":
            self._frames = max(1, min(self._frames, self._faces.longest))
        weights = np.ones(len(corpus))
        if config.training.balance == "weights":
            weights = class_weights(corpus.items, self._pools[-1])
        self._weights = torch.from_numpy(weights).float()
        draws = config.training.draws or len(self._pools[-1].members)
        self.steps = max(1, draws // config.training.batch)

    def _paired_pools(self, shares: dict[str, float]) -> tuple[_Pool, _Pool]:
        """Those that give a face (or action units) and those that give a voice."""
        made, reads = self._corpus.features, self._reads
        seen = [
            (reads.faces and f.faces is not None) or (reads.units and f.units is not None)
            for f in made
        ]
        heard = [reads.speech and f.spectrogram is not None for f in made]
        if not any(seen) or not any(heard):
            lacking = "faces" if not any(seen) else "voices"
            raise DataError(
                f"data.pairing 'label' needs faces and voices; the data sets at hand give no "
                f"{lacking} that this model reads"
            )
        items = self._corpus.items
        pools = tuple(
            _Pool.of(items, np.flatnonzero(kept), shares, balanced=True)
            for kept in (seen, heard)
        )
        return pools[0], pools[1]

    @property
    def paired(self) -> bool:
        """A row is a face and a voice of different people."""
        return len(self._pools) == 2

    def epoch(self, number: int, chance: Chance) -> Iterator[Lesson]:
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
            yield self._lesson(matching[rows], order[rows], side, chance)

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

    def _lesson(
        self, seen: NDArray[np.int64], heard: NDArray[np.int64], side: int, chance: Chance
    ) -> Lesson:
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
        device = self._processes.device
        index = torch.from_numpy(heard)
        allowed = self._allowed[index]
        if self.paired:
            allowed = allowed & self._allowed[torch.from_numpy(seen)]
        lesson = Lesson(
            batch,
            self._targets[index].to(device),
            allowed.to(device),
            self._weights[index].to(device),
        )
        lesson = _mixed(lesson, self._config, chance.own)
        dropped = self._config.training.modality_dropout
        return replace(lesson, batch=drop_modality(lesson.batch, dropped, chance.own))

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
                begin = starts[row] / COLUMNS_A_SECOND + most * (2 * lots[row, 1] - 1)
                end = begin + columns / COLUMNS_A_SECOND
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
        pictures = self._faces.pick(items, numbers).to(device, non_blocking=True)
        repeated = torch.from_numpy(counts == 1).to(device)
        shown = augment_face.degrade(pictures, own, self._config.augment.face, side, repeated)
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
        degraded = augment_speech.degrade(power_db, own, how)
        features = relative(degraded.unsqueeze(1))
        there = [self._corpus.features[item].spectrogram is not None for item in heard]
        return {
            "speech": augment_speech.mask(features, own, how),
            "speech_there": torch.tensor(there, device=device),
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
            "units_there": torch.from_numpy(there).to(device),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
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
    ) -> _Pool:
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


def class_weights(items: Sequence[Item], pool: _Pool) -> NDArray[np.float64]:
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


def drop_modality(batch: Batch, share: float, own: torch.Generator) -> Batch:
    """Modality dropout: some rows lose their voice, as many their face or action units.

    A row that has only one of them keeps it.
    """
    if share == 0.0 or batch.speech is None or (batch.faces is None and batch.units is None):
        return batch
    lot = torch.rand(len(batch.speech), generator=own, device=own.device)
    mute, hidden = lot < share, lot > 1 - share
    heard = batch.speech_there
    assert heard is not None
    if batch.faces is not None:
        assert batch.face_mask is not None
        seen = batch.face_mask.any(1)
        keeps = ~(hidden & heard)
        batch = replace(batch, face_mask=batch.face_mask & keeps[:, None])
    else:
        assert batch.units_there is not None
        seen = batch.units_there
        batch = replace(batch, units_there=seen & ~(hidden & heard))
    return replace(batch, speech_there=heard & ~(mute & seen))


def _mixed(lesson: Lesson, config: TrainConfig, own: torch.Generator) -> Lesson:
    """Mixup (Zhang et al. 2018): each row with some of another one that has the same parts."""
    how = config.augment
    if how.mixup == 0.0 or float(torch.rand(1, generator=own, device=own.device)) >= how.mixup:
        return lesson
    batch, size = lesson.batch, len(lesson.targets)
    other = torch.randperm(size, generator=own, device=own.device)
    share = how.mixup_share * torch.rand(size, generator=own, device=own.device)
    for mask in (batch.face_mask, batch.speech_there, batch.units_there):
        if mask is not None:
            whole = mask.view(size, -1)
            share = share * (whole == whole[other]).all(1)

    def mix(given: Tensor | None) -> Tensor | None:
        if given is None:
            return None
        wide = share.view(-1, *[1] * (given.ndim - 1))
        return (1 - wide) * given + wide * given[other]

    targets, mixed = mix(lesson.targets), share > 0
    assert targets is not None
    return Lesson(
        replace(
            batch, faces=mix(batch.faces), speech=mix(batch.speech), units=mix(batch.units)
        ),
        targets,
        lesson.allowed | (lesson.allowed[other] & mixed[:, None]),
        (1 - share) * lesson.weights + share * lesson.weights[other],
    )


def _usable(reads: Reads, made: Features) -> bool:
    return (
        (reads.faces and made.faces is not None)
        or (reads.speech and made.spectrogram is not None)
        or (reads.units and made.units is not None)
    )


def _to_classes(classes: tuple[str, ...]) -> Tensor:
    """(8, classes) 1 where a class of SPEECH_CLASSES counts as one of `classes`."""
    if classes == SPEECH_CLASSES:
        return torch.eye(len(classes))
    return functional.one_hot(torch.tensor(SPEECH_TO_EMOTION), len(EMOTIONS)).float()


def _targets(items: Sequence[Item], classes: tuple[str, ...], votes: float) -> Tensor:
    """(N, classes); `votes` is the weight of the raters' votes, where there are any."""
    labels = torch.tensor([item.class_index for item in items])
    rows = functional.one_hot(labels, len(SPEECH_CLASSES)).float()
    if votes > 0.0:
        for row, item in zip(rows, items, strict=True):
            if item.votes is not None and sum(item.votes) > 0:
                counts = torch.tensor(item.votes)
                row.mul_(1 - votes).add_(counts / counts.sum(), alpha=votes)
    return rows @ _to_classes(classes)


def _allowed(items: Sequence[Item], classes: tuple[str, ...]) -> Tensor:
    """(N, classes) bool: the classes that occur in the item's data set."""
    to, rows = _to_classes(classes), {}
    for name in {item.dataset for item in items}:
        known = find_dataset(name).classes
        there = torch.tensor([float(label in known) for label in SPEECH_CLASSES])
        rows[name] = (there @ to) > 0
    return torch.stack([rows[item.dataset] for item in items])
