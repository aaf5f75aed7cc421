"""One training loop for all parts: OneCycle rate, averaged weights, resumable.

After every epoch the whole state goes to `<out>/checkpoint.pt` in one atomic step, and a line
of figures to `<out>/log.jsonl`.  All chance of an epoch comes from (seed, epoch), so a run that
was interrupted and resumed gives what it would have given uninterrupted.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

Batches = Callable[[int, torch.Generator], Iterable[Any]]
"""Batches of an epoch, given its number and its source of chance."""
Loss = Callable[[nn.Module, Any], Tensor]
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of a training run."""

    epochs: int
    rate: float
    """Highest learning rate of the cycle."""
    weight_decay: float
    optimiser: str = "adamw"
    """'adamw' or 'sgd' (Nesterov momentum 0.9)."""
    warm_up: float = 0.2
    """Share of the run over which the rate rises."""
    averaging: float = 0.998
    """Decay of the averaged weights for each step."""
    clip: float = 5.0
    """Longest gradient."""
    seed: int = 0


def fit(
    network: nn.Module,
    batches: Batches,
    steps_per_epoch: int,
    loss: Loss,
    validate: Callable[[nn.Module], Figures],
    recipe: Recipe,
    out: Path,
    *,
    stop_after: int | None = None,
) -> nn.Module:
    """Train, or go on with a run found in `out`.

    Args:
        network: trained in place.
        batches: gives the batches of an epoch.
        steps_per_epoch: their number, for the learning rate.
        loss: scalar loss of a batch; computed under bfloat16 autocast.
        validate: figures of the averaged network (in eval mode) after each epoch.
        recipe: numbers of the run.
        out: folder of checkpoint and log; made if missing.
        stop_after: end after this epoch though the recipe has more (a later call goes on).

    Returns:
        The network with averaged weights, in eval mode.
    """
    out.mkdir(parents=True, exist_ok=True)
    device = next(network.parameters()).device
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(network, recipe)
    average = get_ema_multi_avg_fn(recipe.averaging)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    first = _resume(out / "checkpoint.pt", network, averaged, optimiser)
    total = recipe.epochs * steps_per_epoch
    last = recipe.epochs if stop_after is None else min(stop_after, recipe.epochs)
    for epoch in range(first, last):
        began = time.monotonic()
        # Two generators: layers such as dropout only know the global one.
        torch.manual_seed(recipe.seed * 100_003 + epoch)
        chance = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
        network.train()
        sum_loss, steps = 0.0, 0
        bar = tqdm(
            batches(epoch, chance),
            total=steps_per_epoch,
            desc=f"{out.name} {epoch + 1}/{recipe.epochs}",
            mininterval=10,
        )
        for batch in bar:
            rate = recipe.rate * one_cycle(
                (epoch * steps_per_epoch + steps) / total, recipe.warm_up
            )
            for group in optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, torch.bfloat16):
                value = loss(network, batch)
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            averaged.update_parameters(network)
            sum_loss += float(value.detach())
            steps += 1
        averaged.eval()
        figures = {
            "epoch": epoch + 1,
            "loss": sum_loss / max(steps, 1),
            **validate(averaged.module),
            "seconds": time.monotonic() - began,
        }
        _save(
            out / "checkpoint.pt",
            {
                "epoch": epoch + 1,
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(),
            },
        )
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(figures) + "\n")
        tqdm.write(" ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    averaged.eval()
    return averaged.module


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the highest rate at `progress` (0 to 1): cosine from 0.04 up to 1, then to 0."""
    if progress < warm_up:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / warm_up))
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) + 1e-4


def averaged_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Averaged weights in a checkpoint that `fit` wrote."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
    return {
        name.removeprefix("module."): value
        for name, value in state.items()
        if name.startswith("module.")
    }


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=True)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.rate)
    raise ValueError(f"optimiser is {recipe.optimiser!r}; allowed: 'adamw', 'sgd'")


def _resume(
    path: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["epoch"])


def _save(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
