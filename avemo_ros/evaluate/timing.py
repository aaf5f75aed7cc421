"""How long a model computes."""

from __future__ import annotations

import statistics
import time
from typing import Final

import numpy as np
import torch

from avemo_ros.data.features import Corpus
from avemo_ros.zoo.classifier import Classifier

SAMPLES: Final = 40
"""Items that are timed, spread over the corpus."""
_WARM_UP: Final = 3


def ms_per_item(classifier: Classifier, corpus: Corpus, samples: int = SAMPLES) -> float:
    """Median time that the model takes for one item [ms], one thread, one item at a time.

    The features are there already; making the network's input of them is counted.

    Args:
        classifier: what is timed.
        corpus: at least one item.
        samples: how many of its items are timed.
    """
    count = len(corpus)
    places = np.unique(np.linspace(0, count - 1, min(samples, count)).round().astype(int))
    singles = [corpus.only(np.arange(count) == place) for place in places]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for single in singles[:_WARM_UP]:
            classifier.scores(single)
        times = []
        for single in singles:
            start = time.perf_counter()
            classifier.scores(single)
            times.append(1e3 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times)
