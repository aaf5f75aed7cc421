"""Figures of a model that is no network, on what was held out from it."""

from __future__ import annotations

import torch
from torch import Tensor

from avemo_ros.data.features import Corpus
from avemo_ros.evaluate.metrics import (
    accuracy,
    likelihood_loss,
    predicted_classes,
    unweighted_recall,
)
from avemo_ros.labels import EMOTIONS
from avemo_ros.zoo.classifier import Classifier

Figures = dict[str, float]
"""By name, as `log.jsonl` has them."""


def figures_of(classifier: Classifier, corpus: Corpus) -> Figures:
    """`ua`, `wa` and `nll` of what a classifier says of items."""
    scores = classifier.scores(corpus)
    labels = labels_of(corpus, classifier.classes)
    said = predicted_classes(scores)
    return {
        "ua": unweighted_recall(said, labels),
        "wa": accuracy(said, labels),
        "nll": likelihood_loss(scores, labels),
    }


def labels_of(corpus: Corpus, classes: tuple[str, ...]) -> Tensor:
    """(N,) index of each item's label among the classes."""
    coarse = classes == EMOTIONS
    return torch.tensor(
        [item.emotion_index if coarse else item.class_index for item in corpus.items]
    )
