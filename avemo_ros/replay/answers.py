"""What was said of what is true, as arrays: what every figure is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from avemo_ros.evaluate.metrics import NO_ANSWER, answers
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.matching import Judged
from avemo_ros.state.estimate import EmotionEstimate

ABSENT: Final = "ABSENT"
"""In place of a status where the stream does not know the person."""
_LEAST: Final = 1e-30
"""Probabilities count as no less, so that their logarithm is finite."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """N questions: what is true, and what was said."""

    y_true: Tensor
    """(N,) index of the true class in EMOTIONS."""
    log_probabilities: Tensor
    """(N, 7) float64; all equal where there is no distribution."""
    claimed: Tensor
    """(N,) index of the class that was claimed; -1 where none was."""
    groups: tuple[str, ...]
    """(N,) what belongs together in the bootstrap."""

    def __len__(self) -> int:
        return len(self.y_true)

    @property
    def said(self) -> Tensor:
        """(N,) likeliest class, claimed or not; -1 without a distribution."""
        return answers(self.log_probabilities)

    @property
    def told(self) -> Tensor:
        """(N,) whether there is a distribution."""
        return self.said != NO_ANSWER

    def only(self, keep: Tensor) -> Answers:
        """Those with True, in the same order; `keep` is (N,)."""
        return self.at(torch.nonzero(keep).flatten().tolist())

    def at(self, places: Sequence[int]) -> Answers:
        """Those at some places."""
        index = torch.tensor(places, dtype=torch.long)
        return Answers(
            self.y_true[index],
            self.log_probabilities[index],
            self.claimed[index],
            tuple(self.groups[place] for place in places),
        )


def of_hops(judged: Sequence[Judged], groups: Iterable[str]) -> Answers:
    """One question a hop.

    Args:
        judged: sessions.
        groups: of each hop, session after session.
    """
    hops = [(one, hop) for one in judged for hop in one.hops]
    return _answers(
        [one.truth[hop.segment].label for one, hop in hops],
        [distribution(hop.estimate) for _, hop in hops],
        [hop.estimate.label if hop.estimate is not None else "" for _, hop in hops],
        groups,
    )


def of_segments(judged: Sequence[Judged], groups: Iterable[str]) -> Answers:
    """One question a segment with hops: the mean of its distributions is the answer.

    Args:
        judged: sessions.
        groups: of each segment that has hops, session after session.
    """
    truths, means = [], []
    for one in judged:
        told: dict[int, list[tuple[float, ...]]] = {}
        for hop in one.hops:
            told.setdefault(hop.segment, []).append(distribution(hop.estimate))
        for place in sorted(told):
            given = [row for row in told[place] if row]
            truths.append(one.truth[place].label)
            means.append(tuple(np.mean(given, axis=0).tolist()) if given else ())
    claimed = [EMOTIONS[int(np.argmax(row))] if row else "" for row in means]
    return _answers(truths, means, claimed, groups)


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


def _answers(
    truths: Sequence[str],
    rows: Sequence[tuple[float, ...]],
    claimed: Sequence[str],
    groups: Iterable[str],
) -> Answers:
    even = (1 / len(EMOTIONS),) * len(EMOTIONS)
    shares = torch.tensor([row or even for row in rows], dtype=torch.float64)
    return Answers(
        torch.tensor([EMOTIONS.index(label) for label in truths], dtype=torch.long),
        shares.reshape(-1, len(EMOTIONS)).clamp_min(_LEAST).log(),
        torch.tensor(
            [EMOTIONS.index(label) if label in EMOTIONS else NO_ANSWER for label in claimed],
            dtype=torch.long,
        ),
        tuple(groups),
    )
