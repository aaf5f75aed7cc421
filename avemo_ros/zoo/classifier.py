"""Anything that can be evaluated: networks, classical models and ensembles of both."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from avemo_ros.data.features import Corpus


class Classifier(Protocol):
    """Scores items of a data set; is not changed by it."""

    @property
    def name(self) -> str:
        """Name and version, e.g. 'avemo-1.0'."""

    @property
    def modality(self) -> str:
        """One of `batch.MODALITIES`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scores: EMOTIONS or SPEECH_CLASSES."""

    def scores(self, corpus: Corpus) -> Tensor:
        """(N, classes) float32 calibrated log-probabilities (before any more scaling).

        An item that lacks all that the model reads gets equal scores.
        """
