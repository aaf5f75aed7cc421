"""Finds the weights of ensembles, on items that the members were not trained on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from avemo_ros.data.features import Corpus
from avemo_ros.errors import DataError
from avemo_ros.evaluate.held_out import SPLIT, read_split, refuse_seen
from avemo_ros.model.spec import ModelSpec
from avemo_ros.train.checkpoint import LOG, write_text, writing
from avemo_ros.train.figures import Figures, figures_of, labels_of
from avemo_ros.train.people import of_fold
from avemo_ros.zoo.bundle import MODEL_FILE, find_model
from avemo_ros.zoo.classical import (
    ReadingOptions,
    ensemble_options,
    open_classifier,
    save_ensemble,
)
from avemo_ros.zoo.classifier import Classifier
from avemo_ros.zoo.ensemble import Ensemble, Member, joint_classes, learn_weights, reconcile


def train_ensemble(
    name: str,
    spec: ModelSpec,
    train: Corpus,
    validation: Corpus | None,
    out: Path,
    *,
    fold: str,
    reading: ReadingOptions | None = None,
    notes: Mapping[str, str] | None = None,
) -> Figures:
    """Find the weights of an ensemble and write it to the run folder.

    A member that is a run folder with folds stands for its model of the same fold.  With
    `learn: true` each item's scores are those of the members' fold that held its subject out;
    the weights of a fold come from the other folds only, those of 'final' from all.  Members
    without folds are scored on the validation part, whose figures are then flattering.

    Args:
        name: of the model.
        spec: kind 'ensemble'.
        train: items of the run without the held-out part.
        validation: what is held out; None: nothing.
        out: run folder.
        fold: '0', '1', ..., 'final', or '' for a run without folds.
        reading: how functionals are made.
        notes: for the model file.

    Returns:
        `ua`, `wa`, `nll` of the validation part, `weight0`, `weight1`, ..., `seconds`.

    Raises:
        ConfigError: an option is not known or not allowed.
        DataError: there are no items on which weights may be learned.
        WeightsError: a member is missing or cannot be used.
    """
    began = time.monotonic()
    options = ensemble_options(spec)
    names = [one.model for one in options.members]
    runs = [of_fold(model, fold) for model in names]
    members = [open_classifier(run, reading=reading) for run in runs]
    weights = [one.weight for one in options.members]
    classes = joint_classes([member.classes for member in members])
    if options.learn:
        scores, labels = _held_out(names, fold, train, validation, classes, reading)
        weights = list(learn_weights(scores, labels, kind=options.sum))
    made = Ensemble(name, list(map(Member, members, weights)), kind=options.sum)
    figures: Figures = {"epoch": 1}
    figures.update({f"weight{place}": weight for place, weight in enumerate(weights)})
    if validation is not None and len(validation):
        figures.update(figures_of(made, validation))
    figures["seconds"] = round(time.monotonic() - began, 3)
    # A released model stays a name; what lies in a folder is found from there.
    kept = [find_model(run) if Path(run).exists() else run for run in runs]
    pairs = list(zip(kept, weights, strict=True))
    with writing(out / MODEL_FILE):
        save_ensemble(out / MODEL_FILE, name, pairs, classes, kind=options.sum, notes=notes)
    write_text(out / LOG, json.dumps(figures) + "\n")
    return figures


def _common_folds(names: Sequence[str]) -> list[str]:
    """Numbers of the folds that all members have."""
    found: list[str] = []
    while all(
        of_fold(model, str(len(found))) != model
        and Path(of_fold(model, str(len(found)))).is_dir()
        for model in names
    ):
        found.append(str(len(found)))
    return found


def _held_out(
    names: Sequence[str],
    fold: str,
    train: Corpus,
    validation: Corpus | None,
    classes: tuple[str, ...],
    reading: ReadingOptions | None,
) -> tuple[list[Tensor], Tensor]:
    """Scores of members that have not seen the items' subjects, and the labels."""
    parts: list[tuple[Corpus, list[str]]] = []
    if not fold:
        if validation is not None and len(validation):
            parts.append((validation, list(names)))
    else:
        for other in _common_folds(names):
            if other == fold:
                continue
            runs = [of_fold(model, other) for model in names]
            held = read_split(Path(runs[0])).validation
            parts.append((train.only([held.has(item) for item in train.items]), runs))
    parts = [(corpus, runs) for corpus, runs in parts if len(corpus)]
    if not parts:
        raise DataError(
            "the weights of an ensemble are learned on items that its members were not trained "
            "on: give run folders with folds, or a validation part"
        )
    scores: list[list[Tensor]] = [[] for _ in names]
    for corpus, runs in parts:
        for place, run in enumerate(runs):
            if (Path(run) / SPLIT).is_file():
                refuse_seen(run, read_split(Path(run)).train, corpus.items)
            member: Classifier = open_classifier(run, reading=reading)
            scores[place].append(reconcile(member.scores(corpus), member.classes, classes))
    labels = torch.cat([labels_of(corpus, classes) for corpus, _ in parts])
    return [torch.cat(given) for given in scores], labels
