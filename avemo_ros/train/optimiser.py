"""Which weights move, and how fast."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import torch
from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.train.config import TrainingConfig


def make_optimiser(network: nn.Module, settings: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over what is not frozen; biases and norms do not decay.

    Each group's 'factor' is its share of the learning rate.

    Raises:
        ConfigError: a prefix fits no part of the network, or everything is frozen.
    """
    check_prefixes(network, settings.rates, "training.rates")
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            factor = 1.0
            for prefix, value in settings.rates.items():
                if is_of(name, prefix):
                    factor = float(value)
            groups.setdefault((parameter.ndim > 1, factor), []).append(parameter)
    if not groups:
        raise ConfigError("training.freeze", list(settings.freeze), "not all of the model")
    listed = [
        {
            "params": members,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "factor": factor,
        }
        for (decays, factor), members in sorted(groups.items(), key=lambda item: item[0])
    ]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(listed, lr=settings.rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(listed, lr=settings.rate)


def freeze(network: nn.Module, prefixes: Iterable[str]) -> None:
    """Parts that shall not be trained.

    Raises:
        ConfigError: a prefix fits no part of the network.
    """
    check_prefixes(network, prefixes, "training.freeze")
    for name, parameter in network.named_parameters():
        if any(is_of(name, prefix) for prefix in prefixes):
            parameter.requires_grad_(False)


def train_mode(network: nn.Module, frozen: Iterable[str]) -> None:
    """Training mode, but for what is frozen: its running statistics stay too."""
    network.train()
    for name, module in network.named_modules():
        if name and any(is_of(name, prefix) for prefix in frozen):
            module.eval()


def check_prefixes(network: nn.Module, prefixes: Iterable[str], parameter: str) -> None:
    """Raises ConfigError for a prefix that is no part of the network."""
    names = [name for name, _ in network.named_modules() if name]
    names += [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(is_of(name, prefix) for name in names):
            near = difflib.get_close_matches(prefix, names, n=3, cutoff=0.3)
            top = sorted({name.split(".")[0] for name in names})
            raise ConfigError(
                parameter, prefix, f"a part of the model, e.g. {', '.join(near or top)}"
            )


def is_of(name: str, prefix: str) -> bool:
    """A module or parameter is this part of the network, or of it."""
    prefix = prefix.rstrip(".")
    return name == prefix or name.startswith(prefix + ".")
