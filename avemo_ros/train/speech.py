"""Train the speech branch; `python -m avemo_ros.train.speech --help`.

A start is learned on the other corpora, then for each fold of RAVDESS actors a network on the
remaining actors (with some of the other corpora mixed in), and last the one to release, by the
same recipe, on all actors.  Logits of every actor by the network that never heard that actor go
to `<out>/out_of_fold.pt`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.labels import SPEECH_CLASSES
from avemo_ros.model.branch import SpeechBranch
from avemo_ros.model.preprocess import relative
from avemo_ros.train.corpora import CLASSES, RAVDESS_FOLDS, Utterance, read_corpus
from avemo_ros.train.loop import Figures, Recipe, averaged_weights, fit
from avemo_ros.train.metrics import accuracy, unweighted_recall
from avemo_ros.train.speech_data import (
    Spectrogram,
    crop,
    degrade,
    load_spectrograms,
    mask,
    window,
)

BATCH: Final = 32
SMOOTHING: Final = 0.05
WINDOW: Final = 300
"""Columns of a window as the live system uses it (3 s)."""
START_SHARES: Final = {"nemo": 0.6, "emodb": 0.25, "urdu": 0.15}
"""Shares of the corpora in the batches of the start."""
SHARES: Final = {"ravdess": 0.7, "nemo": 0.15, "emodb": 0.1, "urdu": 0.05}
"""Shares of the corpora in the batches after the start."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Labelled utterances with their spectrograms."""

    utterances: Sequence[Utterance]
    spectrograms: Sequence[Spectrogram]

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def labels(self) -> Tensor:
        """(N,) index in SPEECH_CLASSES."""
        return torch.tensor([item.label for item in self.utterances])

    def only(self, keep: Sequence[bool]) -> Speech:
        """Those with a True."""
        return Speech(
            [item for item, kept in zip(self.utterances, keep, strict=True) if kept],
            [item for item, kept in zip(self.spectrograms, keep, strict=True) if kept],
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What the network sees, and what it should say."""

    features: Tensor
    """(B, 1, T, 200)."""
    targets: Tensor
    """(B, 8), rows sum to 1."""
    allowed: Tensor
    """(B, 8) bool: classes that occur in the corpora of the row."""


def load_speech(root: Path, corpora: Sequence[str], cache: Path | None) -> Speech:
    """Corpora under `root`, in the order given."""
    utterances = [item for name in corpora for item in read_corpus(name, root)]
    return Speech(utterances, load_spectrograms(utterances, cache))


def train(
    speech: Speech,
    held_out: Speech | None,
    shares: Mapping[str, float],
    draws: int,
    out: Path,
    recipe: Recipe,
    start: Mapping[str, Tensor] | None = None,
    stop_after: int | None = None,
) -> nn.Module:
    """Train a speech branch.

    Args:
        speech: what is learned from.
        held_out: speech of other speakers, for the figures after each epoch; or None.
        shares: of the corpora in the batches; within one, the classes are equally frequent.
        draws: utterances an epoch.
        out: folder of the run.
        recipe: numbers of the run.
        start: weights to begin with.
        stop_after: end after this epoch, to be continued.

    Returns:
        The branch with averaged weights.
    """
    torch.manual_seed(recipe.seed)
    network = SpeechBranch()
    if start is not None:
        network.load_state_dict(dict(start))
    weights = draw_weights(speech.utterances, shares)
    steps = draws // BATCH

    def batches(_: int, chance: torch.Generator) -> Iterator[Batch]:
        for _step in range(steps):
            yield draw(speech, weights, chance)

    def validate(averaged: nn.Module) -> Figures:
        if held_out is None:
            return {}
        guessed = window_logits(averaged, held_out).argmax(1)
        true = held_out.labels
        return {"wa": accuracy(guessed, true), "ua": unweighted_recall(guessed, true)}

    return fit(network, batches, steps, _loss, validate, recipe, out, stop_after=stop_after)


def draw_weights(utterances: Sequence[Utterance], shares: Mapping[str, float]) -> Tensor:
    """(N,) chance of each utterance: corpora by their shares, classes within one alike."""
    counts: dict[tuple[str, int], int] = {}
    for item in utterances:
        counts[item.corpus, item.label] = counts.get((item.corpus, item.label), 0) + 1
    classes = {name: sum(1 for corpus, _ in counts if corpus == name) for name in shares}
    return torch.tensor(
        [
            shares[item.corpus] / classes[item.corpus] / counts[item.corpus, item.label]
            for item in utterances
        ],
        dtype=torch.float64,
    )


def draw(speech: Speech, weights: Tensor, chance: torch.Generator, size: int = BATCH) -> Batch:
    """A random degraded batch; the windows of a batch are equally long (1 to 3 s)."""
    picked = torch.multinomial(weights, size, replacement=True, generator=chance).tolist()
    columns = int(torch.randint(100, WINDOW + 1, (1,), generator=chance))
    power_db = torch.stack([crop(speech.spectrograms[i], columns, chance) for i in picked])
    features = mask(relative(degrade(power_db, chance).unsqueeze(1)), chance)
    allowed = torch.tensor(
        [
            [name in CLASSES[speech.utterances[i].corpus] for name in SPEECH_CLASSES]
            for i in picked
        ]
    )
    labels = torch.tensor([speech.utterances[i].label for i in picked])
    targets = nn.functional.one_hot(labels, len(SPEECH_CLASSES)).float()
    return _mix(Batch(features, targets, allowed), chance)


def _mix(batch: Batch, chance: torch.Generator) -> Batch:
    """Mixup (Zhang et al. 2018) of every second batch."""
    if float(torch.rand(1, generator=chance)) < 0.5:
        return batch
    size = len(batch.targets)
    other = torch.randperm(size, generator=chance)
    share = 0.5 * torch.rand(size, generator=chance)
    wide = share.view(-1, 1, 1, 1)
    return Batch(
        (1 - wide) * batch.features + wide * batch.features[other],
        (1 - share[:, None]) * batch.targets + share[:, None] * batch.targets[other],
        batch.allowed | batch.allowed[other],
    )


def _loss(network: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy among the classes that the row's corpora know.

    Without this the network would learn to tell the corpus and from it the classes.
    """
    features = batch.features.contiguous(memory_format=torch.channels_last)
    logits: Tensor = network(features).float()
    logits = logits.masked_fill(~batch.allowed, -1e4)
    share = batch.allowed / batch.allowed.sum(1, keepdim=True)
    targets = (1 - SMOOTHING) * batch.targets + SMOOTHING * share
    return -(targets * torch.log_softmax(logits, 1)).sum(1).mean()


def window_logits(network: nn.Module, speech: Speech, columns: int = WINDOW) -> Tensor:
    """Logits (N, 8) of one window from the middle of each utterance's speech."""
    rows = []
    middle = [
        window(item.power_db, (item.first + item.last - columns) // 2, columns)
        for item in speech.spectrograms
    ]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for begin in range(0, len(middle), 64):
            features = relative(torch.stack(middle[begin : begin + 64]).unsqueeze(1))
            rows.append(network(features).float())
    return torch.cat(rows)


def utterance_logits(network: nn.Module, speech: Speech) -> Tensor:
    """Logits (N, 8) of whole utterances, in full precision."""
    with torch.inference_mode():
        return torch.cat(
            [
                network(relative(item.power_db.float()[None, None]))
                for item in speech.spectrograms
            ]
        )


def actor(item: Utterance) -> int:
    """RAVDESS actor of an utterance, 0 for another corpus."""
    return int(item.speaker.split("-")[1]) if item.corpus == "ravdess" else 0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with ravdess/, ...")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--start-epochs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--draws", type=int, default=1300, help="utterances an epoch and fold")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as cores")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    cache = given.out / "spectrograms.pt"
    speech = load_speech(given.root, list(SHARES), cache)
    others = speech.only([item.corpus != "ravdess" for item in speech.utterances])
    train(
        others,
        None,
        START_SHARES,
        len(others),
        given.out / "start",
        Recipe(given.start_epochs, 1e-3, 0.02, averaging=0.99, seed=given.seed),
    )
    start = averaged_weights(given.out / "start" / "checkpoint.pt")
    recipe = Recipe(given.epochs, 6e-4, 0.05, averaging=0.99, seed=given.seed)
    out_of_fold = []
    for index, fold in enumerate(RAVDESS_FOLDS):
        learn = speech.only([actor(item) not in fold for item in speech.utterances])
        held_out = speech.only([actor(item) in fold for item in speech.utterances])
        network = train(
            learn, held_out, SHARES, given.draws, given.out / f"fold{index}", recipe, start
        )
        out_of_fold.append(
            {
                "fold": index,
                "names": [item.path.stem for item in held_out.utterances],
                "labels": held_out.labels,
                "whole": utterance_logits(network, held_out),
                "window": window_logits(network, held_out),
            }
        )
    torch.save(out_of_fold, given.out / "out_of_fold.pt")
    train(speech, None, SHARES, given.draws * 4 // 3, given.out / "final", recipe, start)


if __name__ == "__main__":
    main()
