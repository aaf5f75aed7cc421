"""A network as the judge of how faces are framed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.item import Item
from avemo_ros.errors import WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.bundle import find_model, load_model
from avemo_ros.model.collate import NetworkClassifier

Crops = list[NDArray[np.uint8]]
"""Of one face or of several."""


class Judge:
    """A network that reads faces.

    Args:
        name: released model, model file or run folder; '' for the robot's own.

    Raises:
        WeightsError: there is none, or it does not read faces.
    """

    def __init__(self, name: str) -> None:
        self._classifier = NetworkClassifier(load_model(find_model(name)))
        self.name = self._classifier.name
        if self._classifier.modality not in ("face", "av"):
            raise WeightsError(
                f"model {self.name} reads no faces; allowed: a face or live model"
            )
        if self._classifier.classes != EMOTIONS:
            raise WeightsError(
                f"model {self.name} has other classes than {', '.join(EMOTIONS)}"
            )

    def __call__(self, groups: Sequence[Crops], items: Sequence[Item]) -> NDArray[np.float64]:
        """(N, 7) probabilities of N items, of the faces of each together."""
        features = tuple(Features(faces=np.stack(crops)) for crops in groups)
        scores = self._classifier.scores(Corpus(tuple(items), features))
        return np.asarray(scores.double().exp().numpy(), np.float64)
