"""Weighted sums of what several models say: ensembles, and fusion at decision level.

The members may read different things.  For an item that one of them cannot read, it is left
out and the weights of the others grow so that their sum stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.data.features import Corpus
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.zoo.classifier import Classifier

SUMS: Final = ("log", "linear")
"""'log': sum of log-probabilities (a product of experts); 'linear': sum of probabilities."""
_EQUAL: Final = 1e-5
"""Scores that differ by less say nothing [nats]."""
_STEPS: Final = 500
"""Of the expectation-maximisation of linear weights; it has long settled by then."""
_LOG_BOUND: Final = 20.0
"""Greatest weight of a member in a sum of log-probabilities."""


@dataclass(frozen=True, slots=True)
class Member:
    """A model and how much it counts."""

    classifier: Classifier
    weight: float
    """From 0."""


class Ensemble:
    """Weighted sum of its members' answers; implements `classifier.Classifier`."""

    def __init__(self, name: str, members: Sequence[Member], *, kind: str = "log") -> None:
        """Set up.

        Args:
            name: name and version.
            members: one or more; if one of them does not tell calm from neutral, the ensemble
                does not.
            kind: one of SUMS.

        Raises:
            ConfigError: there is no member, a weight is below 0, all are 0, or the kind is not
                known.
        """
        weights = [member.weight for member in members]
        _check(weights, kind)
        self.name = name
        self.members = tuple(members)
        self.modality = joint_modality([member.classifier.modality for member in members])
        self.classes = joint_classes([member.classifier.classes for member in members])
        self._kind = kind

    def scores(self, corpus: Corpus) -> Tensor:
        """(N, classes) log-probabilities; equal where no member can read the item."""
        given = [
            reconcile(member.classifier.scores(corpus), member.classifier.classes, self.classes)
            for member in self.members
        ]
        weights = [member.weight for member in self.members]
        return combine(given, weights, kind=self._kind)


def joint_classes(sets: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The class set that all have; EMOTIONS if they have several."""
    return sets[0] if len(set(sets)) == 1 else EMOTIONS


def joint_modality(modalities: Sequence[str]) -> str:
    """What models read together, one of `emotion_model.MODALITIES`.

    Raises:
        ConfigError: there is no name for such a set, as for faces with action units.
    """
    parts = set().union(*({"face", "audio"} if m == "av" else m.split("+") for m in modalities))
    names = {
        frozenset({"face"}): "face",
        frozenset({"audio"}): "audio",
        frozenset({"face", "audio"}): "av",
        frozenset({"au"}): "au",
        frozenset({"au", "audio"}): "au+audio",
        frozenset({"landmarks"}): "landmarks",
        frozenset({"landmarks", "audio"}): "landmarks+audio",
    }
    if frozenset(parts) not in names:
        raise ConfigError(
            "model.members", sorted(parts), "models of " + ", ".join(names.values())
        )
    return names[frozenset(parts)]


def reconcile(scores: Tensor, given: tuple[str, ...], wanted: tuple[str, ...]) -> Tensor:
    """Log-probabilities of one class set as those of another: calm counts as neutral, contempt
    is left out.

    Args:
        scores: (N, given classes) log-probabilities.
        given: one of `emotion_model.CLASSES`.
        wanted: the same as `given`, or EMOTIONS.

    Returns:
        (N, wanted classes); a row that says nothing still says nothing.

    Raises:
        ConfigError: neutral would have to be parted into neutral and calm, or contempt be told.
    """
    if given == wanted:
        return scores
    if wanted != EMOTIONS:
        raise ConfigError("classes", ", ".join(wanted), ", ".join(given))
    if given == FACE_CLASSES:
        return torch.log_softmax(scores[:, : len(EMOTIONS)], 1)
    shares = scores.new_zeros(len(scores), len(EMOTIONS))
    index = torch.tensor(SPEECH_TO_EMOTION).expand(len(scores), -1)
    result = shares.scatter_add(1, index, scores.exp()).clamp_min(1e-30).log()
    result[~informative(scores)] = -float(np.log(len(EMOTIONS)))
    return result


def informative(scores: Tensor) -> Tensor:
    """(N,) True for rows of (N, C) scores that are not the same for every class."""
    return scores.amax(1) - scores.amin(1) > _EQUAL


def combine(
    members: Sequence[Tensor], weights: Sequence[float], *, kind: str = "log"
) -> Tensor:
    """Weighted sum of members' answers.

    Args:
        members: (N, C) log-probabilities of each; a row of equal scores is left out.
        weights: of each, from 0.
        kind: one of SUMS.

    Returns:
        (N, C) float32 log-probabilities, equal in a row where every member is left out or has
        the weight 0.
    """
    scores = torch.stack([given.double() for given in members])
    there = torch.stack([informative(given) for given in members])
    shares = _shares(torch.tensor(weights, dtype=torch.float64), there)
    if kind == "log":
        return (shares[:, :, None] * scores).sum(0).log_softmax(1).float()
    total = shares.sum(0)
    mixed = (shares[:, :, None] * scores.exp()).sum(0) / total.clamp_min(1e-12)[:, None]
    mixed[total == 0] = 1 / scores.shape[2]
    return mixed.clamp_min(1e-30).log().log_softmax(1).float()


def learn_weights(
    members: Sequence[Tensor], labels: Tensor, *, kind: str = "log"
) -> tuple[float, ...]:
    """Weights from 0 that make the true classes most likely.

    Args:
        members: (N, C) log-probabilities of each, of items that it was not trained on.
        labels: (N,) true classes.
        kind: one of SUMS.

    Returns:
        One weight a member; those of a linear sum add up to 1, those of a sum of logarithms
        need not: they sharpen or soften the answer too.

    Raises:
        DataError: no item can be read by all members.
    """
    rows = torch.stack([informative(given) for given in members]).all(0)
    if not bool(rows.any()):
        raise DataError("the weights of an ensemble need items that all its members can read")
    scores = torch.stack([given[rows].double().log_softmax(1) for given in members]).numpy()
    true = labels[rows].numpy()
    learn = _learn_log if kind == "log" else _learn_linear
    return tuple(float(weight) for weight in learn(scores, true))


def nested(
    members: Sequence[Tensor],
    labels: Tensor,
    folds: Sequence[NDArray[np.bool_]],
    *,
    kind: str = "log",
) -> tuple[Tensor, list[tuple[float, ...]]]:
    """Decision fusion by honest weights: those of a fold are learnt on the other folds only.

    Args:
        members: (N, C) log-probabilities of each, out of fold: each row by a model that has not
            seen the row's fold.
        labels: (N,) true classes.
        folds: (N,) True for the items of the fold; every item is in exactly one.
        kind: one of SUMS.

    Returns:
        (N, C) log-probabilities of the sum, and the weights of each fold.

    Raises:
        DataError: fewer than two folds, or an item is in none or in several.
    """
    if len(folds) < 2 or not (np.sum(folds, axis=0) == 1).all():
        raise DataError("nested weights need two folds or more, and each item in one of them")
    result = torch.zeros_like(members[0], dtype=torch.float32)
    learnt = []
    for fold in folds:
        inside = torch.from_numpy(fold)
        others = [given[~inside] for given in members]
        weights = learn_weights(others, labels[~inside], kind=kind)
        result[inside] = combine([given[inside] for given in members], weights, kind=kind)
        learnt.append(weights)
    return result, learnt


def _check(weights: Sequence[float], kind: str) -> None:
    if kind not in SUMS:
        raise ConfigError("model.sum", kind, " | ".join(SUMS))
    if not weights:
        raise ConfigError("model.members", [], "one member or more")
    if not all(np.isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
        raise ConfigError("model.members", list(weights), "weights from 0, not all of them 0")


def _shares(weights: Tensor, there: Tensor) -> Tensor:
    """(M, N) weights for each item: those of members that can read it, with the same sum."""
    present = weights[:, None] * there
    total = present.sum(0)
    return torch.where(total > 0, present * weights.sum() / total.clamp_min(1e-12), 0.0)


def _learn_log(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Minimises the (convex) NLL of softmax(sum_m w_m scores_m) over w >= 0."""
    from scipy.optimize import minimize

    rows = np.arange(len(labels))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.tensordot(weights, scores, axes=1)
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        totals = shares.sum(axis=1)
        shares /= totals[:, None]
        value = float((np.log(totals) - logits[rows, labels]).mean())
        hit = scores[:, rows, labels].mean(axis=1)
        return value, (shares * scores).sum(axis=2).mean(axis=1) - hit

    start = np.ones(len(scores)) / len(scores)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, _LOG_BOUND)] * len(scores)
    )
    weights: NDArray[np.float64] = found.x
    # Members worse than chance in every mixture: nothing to sum, all count the same.
    return weights if weights.sum() > 0 else start


def _learn_linear(
    scores: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Minimises the NLL of a mixture by expectation-maximisation."""
    hits = np.exp(scores[:, np.arange(len(labels)), labels])
    weights = np.ones(len(scores)) / len(scores)
    for _ in range(_STEPS):
        mixed = weights @ hits
        weights = (weights[:, None] * hits / np.maximum(mixed, 1e-300)).mean(axis=1)
        weights /= weights.sum()
    return weights
