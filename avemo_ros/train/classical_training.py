"""Runs of models that are no networks: support vector machines, and weights of ensembles.

The weights of an ensemble are found on items that its members were not trained on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features, join_units
from avemo_ros.data.landmark_table import add_points
from avemo_ros.data.prepare import prepare
from avemo_ros.data.splits import SPLIT, TRAINED_ON, read_split, refuse_seen
from avemo_ros.errors import DataError
from avemo_ros.evaluate.evaluation_data import with_personal_neutral
from avemo_ros.evaluate.metrics import (
    accuracy,
    likelihood_loss,
    predicted_classes,
    unweighted_recall,
)
from avemo_ros.model.emotion_model import CLASSES, ModelSpec
from avemo_ros.model.face_points import POINTS
from avemo_ros.train.precheck import check_landmarks, check_units
from avemo_ros.train.run_folder import LOG, open_run, read_log, write_text, writing
from avemo_ros.train.subject_split import describe, jobs_of, of_fold, read_source
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.train.training_run import Place, landmark_file, summarise
from avemo_ros.untrusted import say
from avemo_ros.zoo.classical import (
    ReadingOptions,
    ensemble_options,
    make_reader,
    make_svm,
    open_classifier,
    reads_of,
    save_ensemble,
    save_svm,
    svm_options,
)
from avemo_ros.zoo.classifier import Classifier
from avemo_ros.zoo.ensemble import Ensemble, Member, joint_classes, learn_weights, reconcile
from avemo_ros.zoo.model_file import MODEL_FILE, find_model
from avemo_ros.zoo.model_registry import ENSEMBLE
from avemo_ros.zoo.svm import Machine, SvmOptions
from avemo_ros.zoo.svm_features import LandmarkMeasuresReader

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


_RESTING_S: Final = 60.0
"""Of a person's other items, from which the resting face is taken [s]."""
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
    reader = make_reader(spec, reading)
    values = reader.read(train)
    if isinstance(reader, LandmarkMeasuresReader):
        # Faces as they are, and again as if everybody looked alike at rest.
        mean_face = np.nanmean(values[:, : 2 * POINTS], axis=0)
        at_rest = LandmarkMeasuresReader(mean_face)
        rested = at_rest.read(with_personal_neutral(train, _RESTING_S))
        values = np.concatenate((values, rested))
        train = Corpus(train.items * 2, train.features * 2)
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
    ensemble = Ensemble(name, list(map(Member, members, weights)), kind=options.sum)
    figures: Figures = {"epoch": 1}
    figures.update({f"weight{place}": weight for place, weight in enumerate(weights)})
    if validation is not None and len(validation):
        figures.update(metrics_of(ensemble, validation))
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
            "ensemble weights must be learned on items that the members were not trained on: "
            "use run folders with folds, or a validation part"
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


def train_classical(
    config: TrainConfig, place: Place, *, fold: str = "", resume: bool = False
) -> dict[str, list[Figures]]:
    """Train the model of a configuration that is no network, or one for each fold.

    Args:
        config: of the run; of its groups only `model`, `data`, `prepare` and `training.seed`
            count here.
        place: where it reads and writes.
        fold: 'all', a number or 'final'; '' is 'all'.
        resume: go on with a run that is there: finished folds are kept.

    Returns:
        For each model ('', 'fold0', ..., 'final') one set of figures, as
        `training_run.train` gives one for each epoch.

    Raises:
        ConfigError: a setting is not allowed, or `out` holds another run.
        DataError: the data are missing, or would be used in a way that is not honest.
        WeightsError: a member of an ensemble is missing or cannot be used.
    """
    spec = ModelSpec.from_mapping(config.model)
    name = config.name or spec.kind
    reading = ReadingOptions(place.cache, max(1, place.workers), quiet=False)
    source = read_source(config, place.roots)
    jobs = jobs_of(config, source, fold)
    splits = [describe(source, job) for job in jobs]
    reads = _reads(spec, jobs[0].fold, reading)
    if "units" in reads:
        check_units(config)
    if "points" in reads:
        check_landmarks(config, source.items)
    for note in source.notes:
        _say(note)
    corpus: Corpus | None = None
    results: dict[str, list[Figures]] = {}
    for job, split in zip(jobs, splits, strict=True):
        out = place.out / job.name
        open_run(out, config, split, resume=resume)
        if (out / MODEL_FILE).exists():
            results[job.name] = read_log(out)
            continue
        if corpus is None:
            corpus = _features(config, source.items, reads, place)
        train, held = corpus.only(list(job.train)), corpus.only(list(job.validation))
        _say(f"{out.name}: {len(train)} items for training, {len(held)} held out")
        notes = {"config": config.name, TRAINED_ON: json.dumps(split["train"])}
        if spec.kind == ENSEMBLE:
            figures = train_ensemble(
                name, spec, train, held, out, fold=job.fold, reading=reading, notes=notes
            )
        else:
            seed = config.training.seed
            figures = train_svm(
                name, spec, train, held, out, seed=seed, reading=reading, notes=notes
            )
        results[job.name] = [figures]
        if config.data.folds:
            summarise(place.out)
    return results


def _reads(spec: ModelSpec, fold: str, reading: ReadingOptions) -> frozenset[str]:
    """What has to be prepared; options are checked on the way."""
    if spec.kind != ENSEMBLE:
        return make_reader(spec, reading).parts
    members = [one.model for one in ensemble_options(spec).members]
    opened = [open_classifier(of_fold(model, fold), reading=reading) for model in members]
    return frozenset().union(*map(reads_of, opened))


def _features(
    config: TrainConfig, items: tuple[Item, ...], reads: frozenset[str], place: Place
) -> Corpus:
    corpus = Corpus(items, (Features(),) * len(items))
    file = landmark_file(config)
    parts = reads - {"units", "points"}
    if "points" in reads and file is None:
        parts |= {"landmarks"}
    if parts:
        corpus, report = prepare(items, config.prepare, place.cache, place.workers, parts)
        if report.unusable:
            _say(
                f"{len(report.unusable)} of {report.items} items lack input that the model "
                "needs"
            )
    if "units" in reads:
        corpus, lacking = join_units(corpus, Path(config.data.units).expanduser())
        if lacking:
            _say(f"{len(lacking)} items have no row in {config.data.units}")
    if "points" in reads:
        corpus, lacking = add_points(corpus, file)
        if lacking:
            _say(f"{len(lacking)} items have no landmarks")
    return corpus


def _say(text: str) -> None:
    say(f"avemo: {text}", file=sys.stderr)
