"""Predictions of a model on labelled items, and the table that keeps them."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from avemo_ros.data.corpus_files import number_of, read_rows
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.metrics import NO_PREDICTION, predicted_classes
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.model.emotion_model import CLASSES, as_emotions
from avemo_ros.sink.output_file import replaced
from avemo_ros.zoo.classifier import Classifier

_FIXED: Final = ("key", "subject", "sex", "true", "said")
_LEAST: Final = 1e-30
"""Probabilities count as no less, so that their logarithm is finite."""
_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """N items with the answers of one model."""

    keys: tuple[str, ...]
    subjects: tuple[str, ...]
    sexes: tuple[str, ...]
    """'male', 'female' or ''."""
    labels: Tensor
    """(N,) index of the true class in `classes`."""
    log_probabilities: Tensor
    """(N, C) float64; all equal for an item that the model could not read."""
    classes: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each kind ('age', ...) the N names of the subjects' groups, '' where not known."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def y_pred(self) -> Tensor:
        """(N,) likeliest class; -1 where there is no answer."""
        return predicted_classes(self.log_probabilities)

    def only(self, keep: Tensor | Sequence[bool]) -> Predictions:
        """Those with True, in the same order."""
        mask = torch.as_tensor(keep, dtype=torch.bool)
        places = torch.nonzero(mask).flatten().tolist()
        return Predictions(
            tuple(self.keys[i] for i in places),
            tuple(self.subjects[i] for i in places),
            tuple(self.sexes[i] for i in places),
            self.labels[mask],
            self.log_probabilities[mask],
            self.classes,
            {kind: tuple(names[i] for i in places) for kind, names in self.groups.items()},
        )

    def among(self, classes: Collection[str]) -> Predictions:
        """The same answers given that the truth is one of `classes`; no answer stays none."""
        unknown = torch.tensor([name not in classes for name in self.classes])
        answered = (self.y_pred != NO_PREDICTION)[:, None]
        log = self.log_probabilities.masked_fill(unknown & answered, math.log(_LEAST))
        return self.with_scores(torch.log_softmax(log, 1))

    def with_scores(self, log_probabilities: Tensor) -> Predictions:
        """The same items with other answers, (N, C)."""
        return replace(self, log_probabilities=log_probabilities.double())


def predictions(
    items: Sequence[Item],
    scores: Tensor,
    classes: Sequence[str],
    of_model: Sequence[str] = SPEECH_CLASSES,
) -> Predictions:
    """Items with their scores.

    Args:
        items: N items.
        scores: (N, C) log-probabilities, C classes of the model.
        classes: one of `emotion_model.CLASSES`, those that the items are judged in.
        of_model: classes of a model with 8.

    Raises:
        ConfigError: the model does not know the classes that are wanted.
        DataError: a score is not finite.
    """
    unread = predicted_classes(scores) == NO_PREDICTION
    if not bool(torch.isfinite(scores).all()):
        place = int(torch.nonzero(~torch.isfinite(scores).all(1)).flatten()[0])
        raise DataError(f"the model's scores of item '{items[place].key}' are not finite")
    wanted = tuple(classes)
    given = EMOTIONS if scores.shape[1] == len(EMOTIONS) else tuple(of_model)
    log = scores.double()
    if wanted == EMOTIONS:
        log = as_emotions(log, given)
    elif given != wanted:
        raise ConfigError("classes", len(wanted), f"those of the model: {', '.join(given)}")
    # Summed classes make even scores uneven: a pair of classes looks likelier than one.
    log = torch.log_softmax(log.masked_fill(unread[:, None], 0.0), 1)
    truth = [item.index_in(wanted) for item in items]
    return Predictions(
        tuple(item.key for item in items),
        tuple(item.subject for item in items),
        tuple(item.sex for item in items),
        torch.tensor(truth, dtype=torch.long),
        log,
        tuple(classes),
        _groups(items),
    )


def _groups(items: Sequence[Item]) -> dict[str, tuple[str, ...]]:
    given = [dict(item.groups) for item in items]
    kinds = dict.fromkeys(kind for one in given for kind in one)
    return {kind: tuple(one.get(kind, "") for one in given) for kind in kinds}


def judged_classes(
    wanted: int | None, of_model: Sequence[str], items: Sequence[Item]
) -> tuple[str, ...]:
    """In which classes items are judged.

    Args:
        wanted: 7, 8, or None: those of the model, but 7 where the data know neither calm nor
            contempt.
        of_model: classes of the model.
        items: what is judged.

    Raises:
        ConfigError: 8 are wanted of a model that knows 7, or the data know contempt and the
            model does not.
    """
    known, labels = tuple(of_model), {item.label for item in items}
    eighth = "contempt" if known == FACE_CLASSES else "calm"
    if "contempt" in labels and (known != FACE_CLASSES or wanted == len(EMOTIONS)):
        why = "the model does not predict" if known != FACE_CLASSES else "7 classes lack"
        raise ConfigError("labels", "ferplus8", f"ferplus: {why} contempt")
    if wanted == len(SPEECH_CLASSES) and len(known) < wanted:
        raise ConfigError("classes", wanted, f"{len(known)}: the model does not predict calm")
    fine = len(known) > len(EMOTIONS) and (eighth in labels or wanted == len(known))
    if fine and known == FACE_CLASSES and "calm" in labels:
        raise ConfigError("classes", wanted, "7: the model does not predict calm")
    return known if fine and wanted != len(EMOTIONS) else EMOTIONS


def match_predictions(first: Predictions, second: Predictions) -> Predictions:
    """`second` in the order of `first`, in the classes of `first`.

    Raises:
        DataError: the two are not of the same items, labels or classes.
    """
    place = {key: index for index, key in enumerate(second.keys)}
    if set(place) != set(first.keys) or len(second) != len(first):
        ours, theirs = set(first.keys), set(second.keys)
        odd = sorted(ours ^ theirs)
        raise DataError(
            f"the two are not predictions of the same items: {len(odd)} are in one only, "
            f"e.g. '{odd[0]}'"
            if odd
            else "the two are not predictions of the same items: a key occurs twice"
        )
    second = _as_classes(second, first.classes)
    order = torch.tensor([place[key] for key in first.keys])
    if not torch.equal(second.labels[order], first.labels):
        raise DataError("the two predictions do not agree on the true labels")
    return first.with_scores(second.log_probabilities[order])


def _as_classes(given: Predictions, classes: tuple[str, ...]) -> Predictions:
    if given.classes == classes:
        return given
    if len(classes) != len(EMOTIONS):
        raise DataError(
            f"the two predictions are of {len(classes)} and {len(given.classes)} classes; "
            "evaluate both with 7 (--classes 7)"
        )
    unread = given.y_pred == NO_PREDICTION
    log = as_emotions(given.log_probabilities, given.classes).masked_fill(unread[:, None], 0.0)
    labels = given.labels
    if given.classes == SPEECH_CLASSES:
        labels = torch.tensor(SPEECH_TO_EMOTION)[labels]
    elif bool((labels >= len(EMOTIONS)).any()):
        raise DataError("the two predictions do not agree on the true labels: one has contempt")
    return replace(
        given,
        labels=labels,
        log_probabilities=torch.log_softmax(log, 1),
        classes=classes,
    )


def write_predictions(path: Path, given: Predictions) -> None:
    """Write a table: key, subject, sex, true class, answer, probability of each class, groups.

    Raises:
        OutputError: the file cannot be written.
    """
    predicted = given.y_pred.tolist()
    with replaced(path) as partial, partial.open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow((*_FIXED, *(f"p_{name}" for name in given.classes), *given.groups))
        rows = given.log_probabilities.exp().tolist()
        for index, row in enumerate(rows):
            answer = (
                "" if predicted[index] == NO_PREDICTION else given.classes[predicted[index]]
            )
            writer.writerow(
                (
                    given.keys[index],
                    given.subjects[index],
                    given.sexes[index],
                    given.classes[int(given.labels[index])],
                    answer,
                    *(f"{share:.9g}" for share in row),
                    *(names[index] for names in given.groups.values()),
                )
            )


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        DataError: the file is missing, or is not such a table.
    """
    rows = list(read_rows(path))
    if not rows:
        raise DataError(f"predictions {path} cannot be read (it is empty)")
    head = [name.lower() for name in rows.pop(0)[1]]
    scored = [name for name in head[len(_FIXED) :] if name.startswith("p_")]
    end = len(_FIXED) + len(scored)
    classes = tuple(name.removeprefix("p_") for name in scored)
    if tuple(head[: len(_FIXED)]) != _FIXED or classes not in CLASSES.values():
        raise DataError(
            f"{path} is not a table of predictions: its columns are {', '.join(head[:8])}; "
            "made with `avemo evaluate ... --predictions`, they begin with " + ", ".join(_FIXED)
        )
    if not rows:
        raise DataError(f"predictions {path} has no rows")
    shares, labels = [], []
    for number, row in rows:
        try:
            labels.append(classes.index(row[3]))
            shares.append([number_of(value) for value in row[len(_FIXED) : end]])
            if len(row) != len(head):
                raise ValueError(f"{len(row)} fields instead of {len(head)}")
            if not np.isfinite(shares[-1]).all():
                raise ValueError("a probability is not a number")
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}, line {number}: {error}") from error
    probabilities = torch.tensor(shares, dtype=torch.float64).clamp_min(_LEAST)
    return Predictions(
        tuple(row[0] for _, row in rows),
        tuple(row[1] for _, row in rows),
        tuple(row[2] for _, row in rows),
        torch.tensor(labels),
        probabilities.div(probabilities.sum(1, keepdim=True)).log(),
        classes,
        {
            kind: tuple(row[place] for _, row in rows)
            for place, kind in enumerate(head[end:], start=end)
        },
    )


def scores(classifier: Classifier, corpus: Corpus, *, progress: bool = False) -> Tensor:
    """(N, classes) log-probabilities of every item of a corpus.

    Args:
        classifier: what is asked.
        corpus: at least one item.
        progress: show a bar on a terminal.
    """
    count = len(corpus)
    found = []
    with tqdm(
        total=count,
        desc=classifier.name,
        unit="item",
        leave=False,
        disable=None if progress else True,
    ) as bar:
        for start in range(0, count, _AT_ONCE):
            places = np.zeros(count, bool)
            places[start : start + _AT_ONCE] = True
            found.append(classifier.scores(corpus.only(places)))
            bar.update(len(found[-1]))
    return torch.cat(found)


def predict_items(
    classifier: Classifier, corpus: Corpus, classes: Sequence[str], *, progress: bool = False
) -> Predictions:
    """What a classifier says of every item, judged in `classes`.

    Raises:
        ConfigError: the classifier knows fewer classes.
    """
    found = scores(classifier, corpus, progress=progress)
    return predictions(corpus.items, found, classes, classifier.classes)
