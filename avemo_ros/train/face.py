"""Train the face branch on FER2013; `python -m avemo_ros.train.face --help`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.model.branch import FaceBranch
from avemo_ros.model.preprocess import FACE_SIDE, standardise
from avemo_ros.train.face_data import Faces, degrade, load_faces
from avemo_ros.train.loop import Figures, Recipe, fit
from avemo_ros.train.metrics import accuracy, unweighted_recall

SMALL_SIDE = 40
"""Side of the pictures in the first three fifths of a run, which makes it faster [pixels]."""
SMOOTHING = 0.1


def train(
    train_faces: Faces,
    test_faces: Faces,
    out: Path,
    recipe: Recipe,
    batch: int = 128,
    stop_after: int | None = None,
) -> nn.Module:
    """Train a face branch; returns it with averaged weights."""
    torch.manual_seed(recipe.seed)
    steps = len(train_faces) // batch

    def batches(epoch: int, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        side = SMALL_SIDE if epoch < recipe.epochs * 3 // 5 else FACE_SIDE
        order = torch.randperm(len(train_faces), generator=chance)
        for step in range(steps):
            picked = order[step * batch : (step + 1) * batch]
            pictures = degrade(train_faces.pictures[picked], chance, side)
            shown = standardise(pictures).contiguous(memory_format=torch.channels_last)
            yield shown, train_faces.labels[picked]

    def loss(network: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        pictures, labels = given
        return functional.cross_entropy(network(pictures), labels, label_smoothing=SMOOTHING)

    def validate(network: nn.Module) -> Figures:
        guessed = face_logits(network, test_faces).argmax(1)
        return {
            "wa": accuracy(guessed, test_faces.labels),
            "ua": unweighted_recall(guessed, test_faces.labels),
        }

    return fit(FaceBranch(), batches, steps, loss, validate, recipe, out, stop_after=stop_after)


def face_logits(network: nn.Module, faces: Faces, *, mirrored: bool = False) -> Tensor:
    """Logits (N, 7) of undegraded faces; `mirrored` takes their mirror images."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(faces), 256):
            pictures = faces.pictures[start : start + 256].unsqueeze(1).float() / 255
            if mirrored:
                pictures = pictures.flip(3)
            with torch.autocast("cpu", torch.bfloat16):
                rows.append(network(standardise(pictures)).float())
    return torch.cat(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with train/ and test/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as cores")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    recipe = Recipe(
        epochs=given.epochs,
        rate=given.rate,
        weight_decay=5e-4,
        optimiser="sgd",
        averaging=0.998,
        seed=given.seed,
    )
    learn, test = load_faces(given.root / "train"), load_faces(given.root / "test")
    train(learn, test, given.out, recipe, given.batch)


if __name__ == "__main__":
    main()
