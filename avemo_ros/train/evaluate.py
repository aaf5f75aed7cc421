"""Figures of the branches by the protocol; `python -m avemo_ros.train.evaluate --help`.

FER2013: PublicTest, on which the recipe was chosen (PrivateTest is kept apart); intervals over
pictures, since the set names no persons.  RAVDESS: every actor by the network that never heard
that actor; intervals over actors.  Temperatures are fitted on one part and judged on another.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.model.branch import FaceBranch, collapse
from avemo_ros.model.calibration import calibration_error, fit_temperature
from avemo_ros.train.face import face_logits
from avemo_ros.train.face_data import load_faces
from avemo_ros.train.loop import averaged_weights
from avemo_ros.train.metrics import (
    accuracy,
    confusion,
    interval,
    recalls,
    unweighted_recall,
)


def report(
    logits: Tensor, labels: Tensor, names: Sequence[str], groups: Sequence[str]
) -> dict[str, Any]:
    """Every figure of the protocol for one set of answers.

    Args:
        logits: (N, C).
        labels: (N,) true classes.
        names: of the classes.
        groups: (N,) of the bootstrap: speakers, or one for each picture.
    """
    guessed = logits.argmax(1)
    figures: dict[str, Any] = {
        "items": len(labels),
        "wa": accuracy(guessed, labels),
        "wa_95": interval(lambda rows: accuracy(guessed[rows], labels[rows]), groups),
        "ua": unweighted_recall(guessed, labels),
        "ua_95": interval(lambda rows: unweighted_recall(guessed[rows], labels[rows]), groups),
        "recall": dict(zip(names, recalls(guessed, labels, len(names)).tolist(), strict=True)),
        "confusion": confusion(guessed, labels, len(names)).tolist(),
        "ece_before": calibration_error(torch.softmax(logits, 1), labels),
        "ece_after": _cross_calibrated(logits, labels, groups),
        "temperature": fit_temperature(logits, labels),
    }
    return figures


def _cross_calibrated(logits: Tensor, labels: Tensor, groups: Sequence[str]) -> float:
    """Calibration error with the temperature of the other half of the groups."""
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    half = torch.from_numpy(members % 2 == 0)
    scaled = torch.empty_like(logits)
    for part in (half, ~half):
        scaled[part] = logits[part] / fit_temperature(logits[~part], labels[~part])
    return calibration_error(torch.softmax(scaled, 1), labels)


def faces(root: Path, run: Path) -> dict[str, Any]:
    """Figures of the face branch on `<root>/test`, single pictures, plain and with flip."""
    branch = FaceBranch().eval()
    branch.load_state_dict(averaged_weights(run / "checkpoint.pt"))
    test = load_faces(root / "test")
    plain = face_logits(branch, test)
    mirrored = face_logits(branch, test, mirrored=True)
    each = [str(index) for index in range(len(test))]
    both = torch.log((torch.softmax(plain, 1) + torch.softmax(mirrored, 1)) / 2)
    return {
        "plain": report(plain, test.labels, EMOTIONS, each),
        "with flip": report(both, test.labels, EMOTIONS, each),
    }


def speech(run: Path) -> dict[str, Any]:
    """Figures of the speech branch from `<run>/out_of_fold.pt`."""
    folds = torch.load(run / "out_of_fold.pt", weights_only=True)
    labels = torch.cat([fold["labels"] for fold in folds])
    actors = [name.split("-")[-1] for fold in folds for name in fold["names"]]
    figures: dict[str, Any] = {}
    for kind in ("whole", "window"):
        logits = torch.cat([fold[kind] for fold in folds])
        coarse = torch.tensor(SPEECH_TO_EMOTION)[labels]
        by_fold = [unweighted_recall(fold[kind].argmax(1), fold["labels"]) for fold in folds]
        male = torch.tensor([int(actor) % 2 == 1 for actor in actors])
        figures[kind] = {
            "8 classes": report(logits, labels, SPEECH_CLASSES, actors),
            "7 classes": report(collapse(logits), coarse, EMOTIONS, actors),
            "ua by fold, 8 classes": by_fold,
            "ua by sex, 8 classes": {
                sex: unweighted_recall(logits[rows].argmax(1), labels[rows])
                for sex, rows in (("male", male), ("female", ~male))
            },
        }
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True, help="FER2013 with test/")
    parser.add_argument("--face-run", type=Path, required=True)
    parser.add_argument("--speech-run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args()
    torch.manual_seed(0)
    figures = {"face": faces(given.faces, given.face_run), "speech": speech(given.speech_run)}
    rounded = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(rounded, indent=1) + "\n")
    print(json.dumps(_short(rounded), indent=1))


def _short(figures: Any) -> Any:
    """Without the confusion matrices."""
    if isinstance(figures, dict):
        return {name: _short(value) for name, value in figures.items() if name != "confusion"}
    return figures


if __name__ == "__main__":
    main()
