"""Support vector machines that tell emotions, as plain arrays.

Trained by scikit-learn (`train/classical_training.py`), evaluated here with NumPy alone, so
that a stored machine needs neither a pickle nor the library it came from.

One machine for each pair of classes (Knerr et al. 1990); a multinomial logistic regression on
the signed distances of all pairs makes probabilities of them (Platt 1999, for many classes at
once).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import combinations
from typing import Annotated, Final, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from avemo_ros.data.features import UNITS, Corpus
from avemo_ros.errors import WeightsError
from avemo_ros.model.emotion_model import CLASSES
from avemo_ros.settings import OneOf, Settings

_UNSEEN: Final = 1e-3
"""Probability of a class that the training data do not have."""
_ROWS: Final = 256
"""Items scored at a time: their kernel is a matrix with one column a support vector."""


class SvmOptions(Settings, group="model"):
    """What a configuration says of a machine, beside its kind."""

    classes: Annotated[str, OneOf(tuple(CLASSES))] = Field(
        "speech", description="'speech': with calm apart from neutral; 'emotions': without."
    )
    kernel: Literal["rbf", "linear"] = Field("rbf", description="Radial or linear kernel.")
    cost: float = Field(
        1.0, ge=1e-6, le=1e6, description="C: higher fits the training items more closely."
    )
    gamma: float = Field(
        0.0,
        ge=0,
        le=1e3,
        description="Gamma of the radial kernel; 0: one over the number of features.",
    )
    calibration: float = Field(
        0.1,
        ge=1e-6,
        le=1e6,
        description=(
            "C of the logistic regression that computes probabilities; lower is less confident."
        ),
    )


class FeatureReader(Protocol):
    """Makes a machine's input of a corpus."""

    @property
    def modality(self) -> str:
        """One of `emotion_model.MODALITIES`."""

    @property
    def parts(self) -> frozenset[str]:
        """Prepared features that it looks at, of 'landmarks', 'units' and 'points'."""

    def read(self, corpus: Corpus) -> NDArray[np.float32]:
        """(N, D) features; a row of NaN where the item has none."""


class UnitReader:
    """Reads the action units of a corpus."""

    modality = "au"
    parts = frozenset({"units"})

    def read(self, corpus: Corpus) -> NDArray[np.float32]:
        """(N, 35) as the table has them; a row of NaN for an item that is not in it."""
        result = np.full((len(corpus), UNITS), np.nan, np.float32)
        for row, features in zip(result, corpus.features, strict=True):
            if features.units is not None:
                row[:] = features.units
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """Arrays of K classes, D features, S support vectors and P = K (K - 1) / 2 pairs.

    The pairs are in the order (0, 1), (0, 2), ..., (1, 2), ...
    """

    mean: NDArray[np.float32]
    """(D,) of the training data."""
    scale: NDArray[np.float32]
    """(D,) standard deviation of the training data, 1 where it is 0."""
    vectors: NDArray[np.float32]
    """(S, D) standardised support vectors; (0, D) for the linear kernel."""
    weights: NDArray[np.float64]
    """(S, P) coefficients, for the linear kernel (D, P)."""
    intercepts: NDArray[np.float64]
    """(P,)."""
    gamma: NDArray[np.float64]
    """(1,) of the kernel exp(-gamma |x - v|^2)."""
    classes: NDArray[np.int64]
    """(K,) index of each class among those of the scores, ascending."""
    slope: NDArray[np.float64]
    """(P, K) from the pairs' distances to logits."""
    offset: NDArray[np.float64]
    """(K,) added to the logits."""

    def pairs(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Signed distances (N, P) of features (N, D): positive for the pair's first class."""
        given = (values - self.mean) / self.scale
        kernel = given.astype(np.float64)
        if len(self.vectors):
            kernel = _radial(kernel, self.vectors.astype(np.float64), float(self.gamma[0]))
        distances: NDArray[np.float64] = kernel @ self.weights + self.intercepts
        return distances

    def votes(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, K) one value a class: pairs won, ties told apart by the distances.

        The same as scikit-learn's `decision_function` of shape 'ovr' (for K from 3).
        """
        pairs = self.pairs(values)
        won = np.zeros((len(pairs), len(self.classes)))
        sums = np.zeros_like(won)
        for place, (first, second) in enumerate(combinations(range(len(self.classes)), 2)):
            sums[:, first] += pairs[:, place]
            sums[:, second] -= pairs[:, place]
            won[:, first] += pairs[:, place] >= 0
            won[:, second] += pairs[:, place] < 0
        return np.asarray(won + sums / (3 * (np.abs(sums) + 1)), np.float64)

    def log_probabilities(
        self, values: NDArray[np.float32], classes: int
    ) -> NDArray[np.float32]:
        """Calibrated log-probabilities.

        Args:
            values: (N, D) features; a row with a NaN has no information.
            classes: of the scores, more than any of `self.classes`.

        Returns:
            (N, classes); equal in a row without information.  A class that was not trained has
            the probability 0.001.
        """
        result = np.full((len(values), classes), -np.log(classes), np.float32)
        known = np.flatnonzero(np.isfinite(values).all(axis=1))
        unseen = classes - len(self.classes)
        for start in range(0, len(known), _ROWS):
            rows = known[start : start + _ROWS]
            logits = self.pairs(values[rows]) @ self.slope + self.offset
            logits -= logits.max(axis=1, keepdims=True)
            logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
            scores = np.full((len(rows), classes), np.log(_UNSEEN))
            scores[:, self.classes] = logits + np.log1p(-unseen * _UNSEEN)
            result[rows] = scores
        return result

    def tensors(self) -> dict[str, Tensor]:
        """For a file of weights."""
        return {
            item.name: torch.from_numpy(np.ascontiguousarray(getattr(self, item.name)))
            for item in fields(self)
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Machine:
        """From a file of weights.

        Raises:
            WeightsError: an array is missing, not known, or its shape does not fit the others.
        """
        wanted = {item.name for item in fields(cls)}
        if tensors.keys() != wanted:
            wrong = sorted(tensors.keys() ^ wanted)
            raise WeightsError(f"not the arrays of an SVM: {', '.join(wrong)} missing or extra")
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        machine = cls(**arrays)
        machine._check()
        return machine

    def _check(self) -> None:
        classes, features = len(self.classes), len(self.mean)
        pairs = classes * (classes - 1) // 2
        inner = len(self.vectors) or features
        shapes = {
            "scale": (features,),
            "vectors": (len(self.vectors), features),
            "weights": (inner, pairs),
            "intercepts": (pairs,),
            "gamma": (1,),
            "slope": (pairs, classes),
            "offset": (classes,),
        }
        for name, shape in shapes.items():
            given = getattr(self, name).shape
            if given != shape:
                raise WeightsError(f"array '{name}' of an SVM is {given}, not {shape}")


class SvmClassifier:
    """A machine and what it reads; implements `classifier.Classifier`."""

    def __init__(
        self, name: str, classes: tuple[str, ...], reader: FeatureReader, machine: Machine
    ) -> None:
        """Set up.

        Args:
            name: name and version.
            classes: names of the scores.
            reader: makes the features of the machine from a corpus.
            machine: the arrays.
        """
        self.name = name
        self.modality = reader.modality
        self.reads = reader.parts
        self.classes = classes
        self.machine = machine
        self._reader = reader

    def scores(self, corpus: Corpus) -> Tensor:
        """(N, classes) log-probabilities; equal where the item lacks what is read."""
        values = self._reader.read(corpus)
        return torch.from_numpy(self.machine.log_probabilities(values, len(self.classes)))


def _radial(
    given: NDArray[np.float64], vectors: NDArray[np.float64], gamma: float
) -> NDArray[np.float64]:
    """exp(-gamma |x - v|^2) of rows x and rows v."""
    squares = (given**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * given @ vectors.T
    kernel: NDArray[np.float64] = np.exp(-gamma * np.maximum(squares, 0))
    return kernel
