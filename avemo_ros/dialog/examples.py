"""Tells the kind of a saying that no phrase fits, by the examples that it is most like.

Each kind of config/dialog/examples_en.yaml has sayings.  A saying is compared with all of
them (`sentence_encoder`); the likeness of the nearest of each kind, and the mean of the three
nearest, become the probability of that kind (softmax), as in a classifier of nearest
neighbours (Cover and Hart 1967).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from avemo_ros.dialog.fields import Texts, read_file
from avemo_ros.dialog.language import sentence_texts
from avemo_ros.dialog.sentence_encoder import SentenceEncoder
from avemo_ros.settings import Settings

HARMLESS: Final = "harmless"
"""Name of the kind of all sayings that are of none."""
_NEAREST: Final = 3
_SHARPNESS: Final = 16.0
"""By which likeness is multiplied: of kinds that differ by 0.1, one is five times as likely."""
_FEW: Final = 0.05
"""Taken off for each of the three nearest that a kind does not have."""
_MOST_SENTENCES: Final = 12
_MOST_LETTERS: Final = 2000
"""More of what is said is not compared."""


class ExampleFile(Settings):
    """What a file of examples holds."""

    kinds: Mapping[str, Texts]
    harmless: Texts = Field(description="Sayings of no kind, like those of one in their words.")


@dataclass(frozen=True, slots=True)
class Likeness:
    """What one saying is like."""

    probabilities: Mapping[str, float]
    """Of every kind, sum 1."""
    examples: Mapping[str, str]
    """The nearest saying of every kind."""
    likeness: float
    """Of the nearest saying of all, 1 for the same words."""

    @property
    def kind(self) -> str:
        """The likeliest."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


class Examples:
    """Sayings by kind, and how like them others are; for any thread.

    The network reads them all when the first saying is compared, or at `warm_up`.

    Args:
        sayings: by kind, each with one or more.
    """

    def __init__(self, sayings: Mapping[str, Sequence[str]]) -> None:
        self.kinds = tuple(sayings)
        self._sayings = [text for texts in sayings.values() for text in texts]
        counts = [len(texts) for texts in sayings.values()]
        self._starts = np.concatenate(([0], np.cumsum(counts)))
        self._lock = threading.Lock()
        self._encoder: SentenceEncoder | None = None
        self._vectors: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def warm_up(self) -> SentenceEncoder:
        """Load the network and read the examples, unless that was done.

        Raises:
            WeightsError: the network's file is missing or damaged.
        """
        with self._lock:
            if self._encoder is None:
                encoder = SentenceEncoder()
                self._vectors = encoder.embed(self._sayings)
                self._encoder = encoder
            return self._encoder

    def compare(self, text: str) -> tuple[Likeness, ...]:
        """The whole text, and each of its sentences if there are several.

        Returns:
            As many as there were texts; none for a text without letters.

        Raises:
            WeightsError: the network's file is missing or damaged.
        """
        parts = sentence_texts(text[:_MOST_LETTERS])[:_MOST_SENTENCES]
        if not parts:
            return ()
        texts = [" ".join(parts), *parts] if len(parts) > 1 else parts
        vectors = self.warm_up().embed(texts)
        return tuple(map(self._likeness, vectors @ self._vectors.T))

    def _likeness(self, near: NDArray[np.float32]) -> Likeness:
        """Of (N,) scalar products with all examples."""
        scores = np.zeros(len(self.kinds))
        nearest: dict[str, str] = {}
        for number, kind in enumerate(self.kinds):
            start, end = self._starts[number : number + 2]
            found = np.sort(near[start:end])[::-1][:_NEAREST]
            mean = found.mean() - _FEW * (_NEAREST - len(found))
            scores[number] = (found[0] + mean) / 2
            nearest[kind] = self._sayings[start + int(near[start:end].argmax())]
        shares = np.exp(_SHARPNESS * (scores - scores.max()))
        shares /= shares.sum()
        return Likeness(
            dict(zip(self.kinds, map(float, shares), strict=True)), nearest, float(near.max())
        )


@lru_cache(maxsize=8)
def examples_of(path: Path, _changed_ns: int) -> Examples:
    """Of a file; read once for all dialogs of a process, as long as it does not change.

    Raises:
        DialogError: it cannot be read, or a value is not allowed.
    """
    file = read_file(path, ExampleFile)
    return Examples({**file.kinds, HARMLESS: file.harmless})
