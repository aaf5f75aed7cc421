"""Calibration: a confidence of 0.7 shall be right seven times in ten (Guo et al. 2017)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

BINS: Final = 15
"""Equal-width bins of the calibration error."""


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes `softmax(logits / temperature)` most likely (LBFGS on NLL).

    Args:
        logits: (N, C) of data that the network was not trained on.
        labels: (N,) true classes.

    Returns:
        Above 0; over 1 for a network that is too sure of itself.
    """
    given = logits.detach().double()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [log_temperature], max_iter=200, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(given / log_temperature.exp(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp())


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over 15 bins.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) true classes.

    Returns:
        0 to 1.
    """
    confidence, guessed = probabilities.max(1)
    right = (guessed == labels).float()
    places = (confidence * BINS).long().clamp_max(BINS - 1)
    error = 0.0
    for place in range(BINS):
        inside = places == place
        if bool(inside.any()):
            gap = float((right[inside].mean() - confidence[inside].mean()).abs())
            error += gap * float(inside.float().mean())
    return error
