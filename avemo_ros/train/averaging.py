"""Averages of the weights over the steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of the network that follows its weights and running statistics.

    Early on the copy follows faster (decay at most (1 + n) / (10 + n) after n steps), so that
    the random weights of the beginning are soon forgotten in short runs too.

    Args:
        network: what is followed.
        decay: share of itself that the copy keeps at each step, 0 to 1.
    """
    return AveragedModel(network, multi_avg_fn=_follow(decay), use_buffers=True)


def _follow(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    @torch.no_grad()
    def update(kept: Sequence[Tensor], new: Sequence[Tensor], steps: Any) -> None:
        n = int(steps)
        share = 1 - min(decay, (1 + n) / (10 + n))
        for one, other in zip(kept, new, strict=True):
            if one.is_floating_point():
                one.lerp_(other, share)
            else:
                one.copy_(other)

    return update
