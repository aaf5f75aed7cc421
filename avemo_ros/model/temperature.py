"""Calibration: a prediction with confidence 0.7 should be right in 70 % (Guo et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
