"""Trains the head of a speech network on what its frozen encoder makes of every item.

The encoder answers the same each time, so each item is encoded before training: once as it is
and some times with random changes.  The head then learns in seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from avemo_ros.data.features import Corpus
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.metrics import accuracy, unweighted_recall
from avemo_ros.model.emotion_model import Batch, EmotionModel, ModelOutput
from avemo_ros.model.preprocess import relative
from avemo_ros.model.speech_encoder import SpeechEncoder, SpeechModel
from avemo_ros.train.augmentation import degrade_speech, mask_spectrogram
from avemo_ros.train.loop import EpochRng, Figures, wants_bfloat16
from avemo_ros.train.optimisation import Processes
from avemo_ros.train.run_folder import writing
from avemo_ros.train.sample_bank import COLUMNS_A_SECOND, SpeechBank, allowed_of, targets_of
from avemo_ros.train.sampler import ItemPool, class_weights
from avemo_ros.train.training_batch import TrainingBatch, mix_rows
from avemo_ros.train.training_config import DataConfig, TrainConfig, TrainingConfig

_ROWS: Final = 32
"""Items encoded together."""
_LAYOUT: Final = 1
"""To be raised when the same settings give something else."""


def check_versions(model: EmotionModel, settings: TrainingConfig) -> SpeechModel:
    """Make sure that the encoder of a model can be asked once and for all.

    Raises:
        ConfigError: the model is no speech network that pools mean and deviation over time
            alike, or a part of its encoder would learn.
    """
    if not isinstance(model, SpeechModel) or model.branch.encoder.join is None:
        raise ConfigError(
            "training.versions",
            settings.versions,
            "0; or with a speech network alone, model.statistics: true",
        )
    encoder = model.branch.encoder
    learning = [
        name.split(".")[0]
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad and not name.startswith("join.")
    ]
    if learning:
        raise ConfigError(
            "training.versions",
            settings.versions,
            f"0; or freeze branch.encoder.{learning[0]}, too (training.freeze)"
            if learning[0] != "attention"
            else "0; or model.attention: mean, which has nothing to learn",
        )
    if settings.teacher:
        raise ConfigError("training.teacher", settings.teacher, "'' with training.versions")
    return model


class SpeechHead(nn.Module):
    """The part of a speech network behind its pooling, with the same weights.

    It reads what `SpeechEncoder.pooled` gives where a batch has the spectrogram.
    """

    def __init__(self, model: SpeechModel) -> None:
        super().__init__()
        encoder = model.branch.encoder
        assert encoder.join is not None  # see `check_versions`
        self.standardise, self.join = encoder.standardise, encoder.join
        self.activation = encoder.activation
        self.dropout, self.head = model.branch.dropout, model.branch.head

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits of (B, 2 width) in place of the spectrogram."""
        vector = self.activation(self.join(self.standardise(batch.speech)))
        return ModelOutput(self.head(self.dropout(vector)))


class EncodedSpeech:
    """What frozen encoders make of items: computed once, kept in memory and on disk.

    Args:
        folder: keeps it from one run to the next; None: only as long as this lives.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, NDArray[np.float16]] = {}

    def versions(
        self, model: SpeechModel, corpus: Corpus, config: TrainConfig, device: torch.device
    ) -> NDArray[np.float16]:
        """The versions of every item.

        Args:
            model: with a frozen encoder.
            corpus: N items with spectrograms.
            config: `training.versions`, windows and changes of the run.
            device: where the encoder computes.

        Returns:
            (versions, N, 2 width): of the middle window as it is, then of a random window with
            random changes each; NaN for an item without sound, and beyond the versions of its
            data set.

        Raises:
            OutputError: the folder cannot be written.
        """
        encoder = model.branch.encoder.to(device).eval()
        counts = _counts(config)
        most = max((config.training.versions, *counts.values()))
        result = np.full((most, len(corpus), 2 * encoder.width), np.nan, np.float16)
        rows: dict[str, list[int]] = {}
        for row, (item, features) in enumerate(zip(corpus.items, corpus.features, strict=True)):
            if features.spectrogram is not None:
                rows.setdefault(item.dataset, []).append(row)
        for name, given in rows.items():
            part = Corpus(
                tuple(corpus.items[row] for row in given),
                tuple(corpus.features[row] for row in given),
            )
            for version in range(counts.get(name, config.training.versions)):
                result[version, given] = self._of(name, encoder, part, config, version)
        return result

    def _of(
        self,
        name: str,
        encoder: SpeechEncoder,
        part: Corpus,
        config: TrainConfig,
        version: int,
    ) -> NDArray[np.float16]:
        """One version of the items of a data set."""
        digest = _digest(encoder, part, config, version)
        size = (len(part), 2 * encoder.width)
        if digest not in self._known:
            path = None
            if self._folder is not None:
                path = self._folder / f"{name}-encoded" / f"{digest}.npy"
            found = None if path is None else _stored(path, size)
            if found is None:
                found = _encode(encoder, part, config, version)
                if path is not None:
                    _store(path, found)
            self._known[digest] = found
        return self._known[digest]


def _counts(config: TrainConfig) -> dict[str, int]:
    """Versions of the items of each data set that is learned from."""
    return {
        find_dataset(part.name).name: part.versions or config.training.versions
        for part in config.data.train
    }


def _stored(path: Path, size: tuple[int, int]) -> NDArray[np.float16] | None:
    try:
        found: NDArray[np.float16] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == size and found.dtype == np.float16 else None


def _store(path: Path, values: NDArray[np.float16]) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, values)
        part.replace(path)


def _encode(
    encoder: SpeechEncoder, part: Corpus, config: TrainConfig, version: int
) -> NDArray[np.float16]:
    result = np.zeros((len(part), 2 * encoder.width), np.float16)
    device = next(encoder.parameters()).device
    bank = SpeechBank(part.features)
    chance = torch.Generator().manual_seed(1_000_003 * config.training.seed + version)
    own = torch.Generator(device).manual_seed(1_000_033 * config.training.seed + version)
    bar = tqdm(
        total=len(part),
        desc=f"encoding {part.items[0].dataset}, version {version}",
        unit="item",
        mininterval=0.5 if sys.stderr.isatty() else 30,
    )
    bfloat16 = wants_bfloat16(config.training.precision, device)
    with bar, torch.inference_mode():
        for at in range(0, len(part), _ROWS):
            rows = list(range(at, min(at + _ROWS, len(part))))
            heard = _windows(bank, rows, config.data, version, chance).to(device)
            if version:
                heard = degrade_speech(heard, own, config.augment.speech)
            shown = relative(heard.unsqueeze(1))
            if version:
                shown = mask_spectrogram(shown, own, config.augment.speech)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                cells = encoder.cells(shown)
            result[rows] = encoder.pooled(cells.float())[0].cpu().numpy()
            bar.update(len(rows))
    return result


def _windows(
    bank: SpeechBank,
    rows: Sequence[int],
    data: DataConfig,
    version: int,
    chance: torch.Generator,
) -> Tensor:
    """(B, columns, bins) dB: the middle of each item for version 0, else by chance."""
    if version == 0:
        columns = round(data.window_s * COLUMNS_A_SECOND)
        starts = [bank.middle(row, columns) for row in rows]
    else:
        low, high = (
            round(seconds * COLUMNS_A_SECOND)
            for seconds in (data.window_low_s, data.window_high_s)
        )
        columns = int(torch.randint(low, high + 1, (1,), generator=chance))
        lots = torch.rand(len(rows), generator=chance).tolist()
        starts = [bank.start(row, columns, lot) for row, lot in zip(rows, lots, strict=True)]
    return bank.windows(rows, starts, columns)


def _digest(encoder: SpeechEncoder, part: Corpus, config: TrainConfig, version: int) -> str:
    """Of all that a version of a data set depends on."""
    data = config.data
    device = next(encoder.parameters()).device
    bfloat16 = wants_bfloat16(config.training.precision, device)
    about: list[object] = [_LAYOUT, version, bfloat16]
    if version:
        about += [config.training.seed, data.window_low_s, data.window_high_s]
        about.append(config.augment.speech.plain())
    else:
        about.append(data.window_s)
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        if not name.startswith(("join.", "standardise.")):
            found.update(name.encode())
            found.update(tensor.cpu().numpy().tobytes())
    for item, features in zip(part.items, part.features, strict=True):
        assert features.spectrogram is not None
        found.update(item.key.encode())
        found.update(features.spectrogram.tobytes())
    return found.hexdigest()[:32]


class EncodedSampler:
    """Draws the batches of a run; every row is one of the versions of an item."""

    def __init__(
        self,
        corpus: Corpus,
        encoded: NDArray[np.float16],
        config: TrainConfig,
        classes: tuple[str, ...],
        processes: Processes,
    ) -> None:
        """Set up.

        Args:
            corpus: N items that are learned from.
            encoded: (versions, N, 2 width) of them, see `EncodedSpeech.versions`.
            config: of the run.
            classes: of the model.
            processes: this one among others; each makes its share of every batch.

        Raises:
            DataError: no item has sound.
        """
        self._config, self._encoded, self._processes = config, encoded, processes
        usable = np.array([one.spectrogram is not None for one in corpus.features], bool)
        if not usable.any():
            raise DataError("no training item has the input that an 'audio' model needs")
        shares = {find_dataset(part.name).name: part.share for part in config.data.train}
        settings = config.training
        balanced = settings.balance == "classes"
        self._pool = ItemPool.of(corpus.items, np.flatnonzero(usable), shares, balanced)
        weights = np.ones(len(corpus))
        if settings.balance == "weights":
            weights = class_weights(corpus.items, self._pool)
        self._weights = torch.from_numpy(weights).float()
        self._targets = targets_of(corpus.items, classes, config.data.votes)
        self._allowed = allowed_of(corpus.items, classes)
        counts = _counts(config)
        self._counts = np.array(
            [counts.get(item.dataset, settings.versions) for item in corpus.items], np.int64
        )
        draws = settings.draws or len(self._pool.members)
        self.steps = max(1, draws // settings.batch)

    def epoch(self, _number: int, chance: EpochRng) -> Iterator[TrainingBatch]:
        """The batches of an epoch, on the device of the processes."""
        size = self._config.training.batch
        device = self._processes.device
        order = self._pool.draw(self.steps * size, chance.common)
        versions = self._versions(order, chance.common)
        ours = slice(self._processes.rank, None, self._processes.count)
        for step in range(self.steps):
            rows = order[step * size : (step + 1) * size][ours]
            version = versions[step * size : (step + 1) * size][ours]
            index = torch.from_numpy(rows)
            given = torch.from_numpy(self._encoded[version, rows].astype(np.float32))
            drawn = TrainingBatch(
                Batch(speech=given.to(device)),
                self._targets[index].to(device),
                self._allowed[index].to(device),
                self._weights[index].to(device),
            )
            yield mix_rows(drawn, self._config, chance.own)

    def _versions(self, order: NDArray[np.int64], common: torch.Generator) -> NDArray[np.int64]:
        """Which version of each of these items is heard."""
        counts = self._counts[order]
        if (self._counts == len(self._encoded)).all():
            drawn = torch.randint(len(self._encoded), (len(order),), generator=common).numpy()
        else:
            lots = torch.rand(len(order), generator=common, dtype=torch.float64).numpy()
            drawn = (lots * counts).astype(np.int64)
        share = self._config.training.clean_share
        if share > 0.0:
            drawn[torch.rand(len(order), generator=common).numpy() < share] = 0
        versions: NDArray[np.int64] = drawn
        return versions


class EncodedHeldOut:
    """Figures on what is held out, as `validation.HeldOutSet` gives them."""

    def __init__(
        self, corpus: Corpus, encoded: NDArray[np.float16], classes: tuple[str, ...]
    ) -> None:
        """Set up.

        Args:
            corpus: N items that are held out.
            encoded: (N, 2 width) of them as they are; NaN for an item without sound.
            classes: of the model.
        """
        given = torch.from_numpy(encoded.astype(np.float32))
        self._silent = torch.isnan(given).any(1)
        self._given = given.nan_to_num()
        self._labels = torch.tensor([item.index_in(classes) for item in corpus.items])

    def figures(self, network: nn.Module, device: torch.device) -> Figures:
        """WA, UA and mean negative log-likelihood; an item without sound has even scores."""
        with torch.inference_mode():
            answer: ModelOutput = network(Batch(speech=self._given.to(device)))
        logits = answer.logits.float().cpu().masked_fill(self._silent[:, None], 0.0)
        guessed = logits.argmax(1)
        return {
            "wa": accuracy(guessed, self._labels),
            "ua": unweighted_recall(guessed, self._labels),
            "nll": float(functional.cross_entropy(logits, self._labels)),
        }
