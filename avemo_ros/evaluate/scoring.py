"""Asks a model about every item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from avemo_ros.data.features import Corpus
from avemo_ros.evaluate.predictions import Predictions, predictions
from avemo_ros.zoo.classifier import Classifier

_AT_ONCE: Final = 64


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


def predict(
    classifier: Classifier, corpus: Corpus, classes: Sequence[str], *, progress: bool = False
) -> Predictions:
    """What a classifier says of every item, judged in `classes`.

    Raises:
        ConfigError: the classifier knows fewer classes.
    """
    return predictions(corpus.items, scores(classifier, corpus, progress=progress), classes)
