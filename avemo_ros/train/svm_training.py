"""Trains support vector machines with scikit-learn; what comes out are plain arrays."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.data.features import Corpus
from avemo_ros.errors import DataError
from avemo_ros.evaluate.metrics import (
    accuracy,
    likelihood_loss,
    predicted_classes,
    unweighted_recall,
)
from avemo_ros.model.emotion_model import CLASSES
from avemo_ros.model.spec import ModelSpec
from avemo_ros.train.run_folder import LOG, write_text, writing
from avemo_ros.zoo.classical import ReadingOptions, make_reader, make_svm, save_svm, svm_options
from avemo_ros.zoo.classifier import Classifier
from avemo_ros.zoo.model_file import MODEL_FILE
from avemo_ros.zoo.svm import Machine, SvmOptions

Figures = dict[str, float]
"""By name, as `log.jsonl` has them."""


def metrics_of(classifier: Classifier, corpus: Corpus) -> Figures:
    """`ua`, `wa` and `nll` of what a classifier says of items."""
    scores = classifier.scores(corpus)
    labels = labels_of(corpus, classifier.classes)
    predicted = predicted_classes(scores)
    return {
        "ua": unweighted_recall(predicted, labels),
        "wa": accuracy(predicted, labels),
        "nll": likelihood_loss(scores, labels),
    }


def labels_of(corpus: Corpus, classes: tuple[str, ...]) -> Tensor:
    """(N,) index of each item's label among the classes."""
    return torch.tensor([item.index_in(classes) for item in corpus.items])


_INNER: Final = 5
"""Folds of subjects that the calibration is fitted on."""


def train_svm(
    name: str,
    spec: ModelSpec,
    train: Corpus,
    validation: Corpus | None,
    out: Path,
    *,
    seed: int = 0,
    reading: ReadingOptions | None = None,
    notes: Mapping[str, str] | None = None,
) -> Figures:
    """Train a machine and write it to the run folder.

    Args:
        name: of the model.
        spec: one of `classical.MACHINES`.
        train: what is learned from, with the features that the kind reads.
        validation: what is held out; None: nothing.
        out: run folder.
        seed: of the calibration's folds.
        reading: how functionals are made.
        notes: for the model file.

    Returns:
        `ua`, `wa`, `nll` of the validation part, `loss` (NLL of the training part), `vectors`,
        `seconds`.

    Raises:
        ConfigError: an option is not known or not allowed.
        DataError: no item has what the kind reads, or too few subjects or classes have.
    """
    began = time.monotonic()
    options = svm_options(spec)
    values = make_reader(spec, reading).read(train)
    known = np.isfinite(values).all(axis=1)
    if not known.any():
        raise DataError(f"none of {len(train)} items has the input that {spec.kind} needs")
    labels = labels_of(train, CLASSES[options.classes]).numpy()
    subjects = [item.subject for item in train.items]
    machine = fit_machine(values, labels, subjects, options, seed=seed)
    fitted = machine.log_probabilities(values[known], len(CLASSES[options.classes]))
    figures: Figures = {
        "epoch": 1,
        "loss": float(-fitted[np.arange(len(fitted)), labels[known]].mean()),
        "vectors": len(machine.vectors),
    }
    if validation is not None and len(validation):
        figures.update(metrics_of(make_svm(name, spec, machine, reading), validation))
    figures["seconds"] = round(time.monotonic() - began, 3)
    with writing(out / MODEL_FILE):
        save_svm(out / MODEL_FILE, name, spec, machine, notes)
    write_text(out / LOG, json.dumps(figures) + "\n")
    return figures


def fit_machine(
    values: NDArray[np.float32],
    labels: NDArray[np.int64],
    subjects: Sequence[str],
    options: SvmOptions | None = None,
    *,
    seed: int = 0,
) -> Machine:
    """A support vector machine with calibrated probabilities.

    Classes count the same however many items they have.  The calibration is fitted on items
    whose subject the machine did not see: up to 5 folds of subjects within the given items.

    Args:
        values: (N, D) features; rows with a NaN are left out.
        labels: (N,) index of each item's class.
        subjects: who each item is of.
        options: of the machine; None: the defaults.
        seed: of how subjects are dealt to folds.

    Raises:
        DataError: fewer than two classes, or too few subjects for a fold that has seen every
            class.
    """
    from sklearn.svm import SVC

    options = options or SvmOptions()
    there = np.isfinite(values).all(axis=1)
    given, true = values[there], labels[there]
    groups = np.asarray(subjects)[there]
    classes = np.unique(true)
    if len(classes) < 2:
        raise DataError(
            f"an SVM needs items of two classes; there are {len(true)} of {len(classes)}"
        )
    mean = given.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = given.std(axis=0, dtype=np.float64).astype(np.float32)
    scale[~(scale > 1e-6 * np.abs(mean))] = 1
    standard = (given - mean) / scale
    gamma = options.gamma or 1 / standard.shape[1]
    svc = SVC(
        C=options.cost,
        kernel=options.kernel,
        gamma=gamma,
        class_weight="balanced",
        decision_function_shape="ovo",
    )
    pairs, seen = _unseen_pairs(svc, standard, true, groups, seed)
    slope, offset = _calibration(pairs, true[seen], classes, options.calibration)
    svc.fit(standard, true)
    vectors, weights, intercepts = _arrays(svc, options.kernel)
    return Machine(
        mean=mean,
        scale=scale,
        vectors=vectors,
        weights=weights,
        intercepts=intercepts,
        gamma=np.array([gamma]),
        classes=classes.astype(np.int64),
        slope=slope,
        offset=offset,
    )


def _unseen_pairs(
    svc: Any,
    values: NDArray[np.float32],
    labels: NDArray[np.int64],
    subjects: NDArray[np.str_],
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Distances of the pairs by machines that did not see the subject, and of which items."""
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedGroupKFold

    classes = len(np.unique(labels))
    people = len(np.unique(subjects))
    if people < 2:
        raise DataError("the calibration of an SVM needs items of at least two subjects")
    folds = StratifiedGroupKFold(min(_INNER, people), shuffle=True, random_state=seed)
    pairs = np.zeros((len(values), classes * (classes - 1) // 2))
    seen = np.zeros(len(values), bool)
    for train, rest in folds.split(values, labels, subjects):
        if len(np.unique(labels[train])) < classes or len(rest) == 0:
            continue
        fitted = clone(svc).fit(values[train], labels[train])
        pairs[rest] = fitted.decision_function(values[rest]).reshape(len(rest), -1)
        if classes == 2:
            # For two classes scikit-learn turns the sign: positive for the second.
            pairs[rest] *= -1
        seen[rest] = True
    if len(np.unique(labels[seen])) < classes:
        raise DataError(
            "the calibration of an SVM needs each class from two subjects or more that can be "
            "held out in turn"
        )
    return pairs[seen], seen


def _calibration(
    pairs: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: NDArray[np.int64],
    cost: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope (P, K) and offset (K,) of the multinomial logistic regression."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=cost, max_iter=2000).fit(pairs, labels)
    if len(classes) > 2:
        return np.ascontiguousarray(fitted.coef_.T), np.asarray(fitted.intercept_)
    slope = np.concatenate((np.zeros_like(fitted.coef_), fitted.coef_)).T
    return slope, np.concatenate((np.zeros(1), fitted.intercept_))


def _arrays(
    svc: Any, kernel: str
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Vectors, weights and intercepts of a `Machine` from a fitted scikit-learn SVC.

    Its `dual_coef_` (K - 1, S) has for a support vector of class c one row for each other
    class, in their order without c.
    """
    counts = svc.n_support_
    ends = np.cumsum(counts)
    spans = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    classes = len(counts)
    columns = []
    for first in range(classes):
        for second in range(first + 1, classes):
            column = np.zeros(ends[-1])
            column[spans[first]] = svc.dual_coef_[second - 1, spans[first]]
            column[spans[second]] = svc.dual_coef_[first, spans[second]]
            columns.append(column)
    sign = -1.0 if classes == 2 else 1.0
    weights = sign * np.stack(columns, axis=1)
    intercepts = sign * np.asarray(svc.intercept_, np.float64)
    vectors = np.asarray(svc.support_vectors_)
    if kernel == "linear":
        return np.zeros((0, vectors.shape[1]), np.float32), vectors.T @ weights, intercepts
    return vectors.astype(np.float32), weights, intercepts
