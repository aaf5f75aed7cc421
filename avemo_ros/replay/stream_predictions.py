"""Predictions on labelled steps and segments, as arrays: what every metric is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from avemo_ros.evaluate.metrics import NO_PREDICTION, predicted_classes
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.matching import MatchedRecording, MatchedStep
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.timing import to_s

ABSENT: Final = "ABSENT"
"""In place of a status where the stream does not know the person."""
_LEAST: Final = 1e-30
"""Probabilities count as no less, so that their logarithm is finite."""
_APART: Final = 2.5
"""After so many steps without an estimate, a stretch ends."""


@dataclass(frozen=True, slots=True, eq=False)
class StreamPredictions:
    """N predictions, of steps or of segments, with the annotated classes."""

    y_true: Tensor
    """(N,) index of the true class in EMOTIONS."""
    log_probabilities: Tensor
    """(N, 7) float64; all equal where there is no distribution."""
    y_emitted: Tensor
    """(N,) index of the emitted class; -1 where the stream abstained."""
    groups: tuple[str, ...]
    """(N,) what belongs together in the bootstrap."""
    shares: Tensor
    """(N,) float64, how far the class is true: 1, or less where labels are soft and a question
    stands here once for each."""

    @property
    def weights(self) -> Tensor | None:
        """How much each prediction counts; None: all count as one."""
        return None if bool((self.shares == 1).all()) else self.shares

    def count(self, keep: Tensor | None = None) -> int:
        """How many questions there are, or how many of those with True in the (N,) `keep`;
        each once, in however many parts it stands here."""
        return round(float((self.shares if keep is None else self.shares[keep]).sum()))

    def __len__(self) -> int:
        return len(self.y_true)

    @property
    def y_pred(self) -> Tensor:
        """(N,) likeliest class, emitted or not; -1 without a distribution."""
        return predicted_classes(self.log_probabilities)

    @property
    def has_prediction(self) -> Tensor:
        """(N,) whether there is a distribution."""
        return self.y_pred != NO_PREDICTION

    def only(self, keep: Tensor) -> StreamPredictions:
        """Those with True, in the same order; `keep` is (N,)."""
        return self.at(torch.nonzero(keep).flatten().tolist())

    def at(self, places: Sequence[int]) -> StreamPredictions:
        """Those at some places."""
        index = torch.tensor(places, dtype=torch.long)
        return StreamPredictions(
            self.y_true[index],
            self.log_probabilities[index],
            self.y_emitted[index],
            tuple(self.groups[place] for place in places),
            self.shares[index],
        )


def step_predictions(
    matched: Sequence[MatchedRecording], groups: Iterable[str]
) -> StreamPredictions:
    """One prediction for each labelled step.

    Args:
        matched: recordings.
        groups: of each step, recording after recording.
    """
    steps = [(one, step) for one in matched for step in one.steps]
    return _stream_predictions(
        [one.annotations[step.segment].label for one, step in steps],
        [distribution(step.estimate) for _, step in steps],
        [step.estimate.label if step.estimate is not None else "" for _, step in steps],
        groups,
        [one.annotations[step.segment].weight for one, step in steps],
    )


def segment_predictions(
    matched: Sequence[MatchedRecording], groups: Iterable[str]
) -> StreamPredictions:
    """One prediction for each segment with steps: the mean of their distributions.

    Args:
        matched: recordings.
        groups: of each segment that has steps, recording after recording.
    """
    labels, means, shares = [], [], []
    for one in matched:
        distributions: dict[int, list[tuple[float, ...]]] = {}
        for step in one.steps:
            distributions.setdefault(step.segment, []).append(distribution(step.estimate))
        for place in sorted(distributions):
            given = [row for row in distributions[place] if row]
            labels.append(one.annotations[place].label)
            shares.append(one.annotations[place].weight)
            means.append(tuple(np.mean(given, axis=0).tolist()) if given else ())
    emitted = [EMOTIONS[int(np.argmax(row))] if row else "" for row in means]
    return _stream_predictions(labels, means, emitted, groups, shares)


def distribution(estimate: EmotionEstimate | None) -> tuple[float, ...]:
    """The probabilities of EMOTIONS; empty where there are none, or none that can be used."""
    if estimate is None or len(estimate.probabilities) != len(EMOTIONS):
        return ()
    row, whole = estimate.probabilities, sum(estimate.probabilities)
    usable = min(row) >= 0 and 0 < whole < math.inf
    return tuple(share / whole for share in row) if usable else ()


def status_of(estimate: EmotionEstimate | None) -> str:
    """Name of the status; ABSENT where the stream does not know the person."""
    return ABSENT if estimate is None else estimate.status.name


def _stream_predictions(
    labels: Sequence[str],
    rows: Sequence[tuple[float, ...]],
    emitted: Sequence[str],
    groups: Iterable[str],
    weights: Sequence[float],
) -> StreamPredictions:
    even = (1 / len(EMOTIONS),) * len(EMOTIONS)
    shares = torch.tensor([row or even for row in rows], dtype=torch.float64)
    return StreamPredictions(
        torch.tensor([EMOTIONS.index(label) for label in labels], dtype=torch.long),
        shares.reshape(-1, len(EMOTIONS)).clamp_min(_LEAST).log(),
        torch.tensor(
            [
                EMOTIONS.index(label) if label in EMOTIONS else NO_PREDICTION
                for label in emitted
            ],
            dtype=torch.long,
        ),
        tuple(groups),
        torch.tensor(weights, dtype=torch.float64),
    )


def emitted_labels(
    steps: Iterable[MatchedStep], zero_ns: int, start_s: float, step_s: float
) -> list[dict[str, Any]]:
    """Stretches of one emitted label, or of none, for JSON: `start_s`, `end_s`, `label`.

    Args:
        steps: of one labelled stretch, oldest first.
        zero_ns: from which seconds count [ns].
        start_s: of the labelled stretch.
        step_s: usual time from one step to the next; a step tells of what was before it.
    """
    found: list[dict[str, Any]] = []
    for step in steps:
        emitted = "" if step.estimate is None else step.estimate.label
        label = emitted if emitted in EMOTIONS else ""
        end_s = to_s(step.stamp_ns - zero_ns)
        last = found[-1] if found else None
        if last and last["label"] == label and end_s - last["end_s"] < _APART * step_s:
            last["end_s"] = end_s
            continue
        # Steps vary a little: what follows at once leaves no gap.
        begin_s = max(end_s - step_s, start_s)
        if last and end_s - last["end_s"] < _APART * step_s:
            begin_s = last["end_s"]
        found.append({"start_s": begin_s, "end_s": end_s, "label": label})
    return found
