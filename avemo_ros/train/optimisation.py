"""Optimisers, schedules of the rate, averages of weights, and processes that share the work.

torchrun starts several processes that train one model, DistributedDataParallel joins them.
Every process draws the same items, takes its share of them and degrades it with chance of its
own; gradients are averaged.  Process 0 alone validates, logs and writes.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from avemo_ros.errors import ConfigError
from avemo_ros.train.training_config import TrainingConfig

_WAIT: Final = timedelta(hours=2)
"""Others wait while process 0 prepares data or validates."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """This is the one that validates, logs and writes."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network for the forward pass: its gradients are averaged over the processes."""
        if self.count == 1:
            return network
        # A row of missing faces, or modality dropout, leaves parameters without a gradient.
        return DistributedDataParallel(network, find_unused_parameters=True)

    def mean(self, value: Tensor) -> Tensor:
        """Mean of a tensor over the processes."""
        if self.count > 1:
            distributed.all_reduce(value)
            value = value / self.count
        return value

    def from_first(self, value: Any) -> Any:
        """What process 0 has, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def share_buffers(self, network: nn.Module) -> None:
        """Running statistics of process 0 to all: they follow from each one's own rows."""
        if self.count > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, src=0)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """'cpu', 'cuda', or 'auto': a GPU if there is one.

    Raises:
        ConfigError: there is no GPU for 'cuda', or fewer than processes.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError("--device", name, "auto | cpu | cuda")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("--device", name, "cpu: PyTorch finds no GPU here")
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            "--nproc-per-node", local_rank + 1, f"at most {torch.cuda.device_count()} (GPUs)"
        )
    return torch.device("cuda", local_rank)


def is_first() -> bool:
    """This process is the only one, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """The processes that torchrun started, or this one alone.

    Args:
        device: 'auto', 'cpu' or 'cuda'.

    Raises:
        ConfigError: the device is not there.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    picked = pick_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if count == 1:
        yield Processes(picked)
        return
    if picked.type == "cuda":
        torch.cuda.set_device(picked)
    distributed.init_process_group("nccl" if picked.type == "cuda" else "gloo", timeout=_WAIT)
    try:
        yield Processes(picked, rank, count)
    finally:
        distributed.destroy_process_group()


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


_START: Final = 0.04
"""Share of the highest rate that a cycle begins with."""
_END: Final = 1e-4


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the highest rate at `progress` (0 to 1): cosine from 0.04 up to 1, then to 0."""
    if progress < warm_up:
        return _START + (1 - _START) * 0.5 * (1 - math.cos(math.pi * progress / warm_up))
    return _fall(progress, warm_up)


def cosine(progress: float, warm_up: float) -> float:
    """Share of the highest rate: a straight line up to 1, then cosine to 0."""
    if progress < warm_up:
        return _START + (1 - _START) * progress / warm_up
    return _fall(progress, warm_up)


def _fall(progress: float, warm_up: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) + _END


class Schedule:
    """Share of the highest rate for each step; `plateau` learns from the validation loss."""

    def __init__(self, settings: TrainingConfig) -> None:
        self._kind, self._warm_up = settings.schedule, settings.warm_up
        self._wait, self._factor = settings.plateau_epochs, settings.plateau_factor
        self._share = 1.0
        self._best = math.inf
        self._epochs_without = 0

    def share(self, progress: float) -> float:
        """At `progress` (0 to 1) through the run."""
        if self._kind == "one_cycle":
            return one_cycle(progress, self._warm_up)
        if self._kind == "cosine":
            return cosine(progress, self._warm_up)
        rise = _START + (1 - _START) * progress / self._warm_up if self._warm_up else 1.0
        return min(1.0, rise) * self._share

    def see(self, validation_loss: float) -> None:
        """The validation loss after an epoch: `plateau` falls when it stays up."""
        if validation_loss < self._best:
            self._best, self._epochs_without = validation_loss, 0
            return
        self._epochs_without += 1
        if self._kind == "plateau" and self._epochs_without >= self._wait:
            self._share *= self._factor
            self._epochs_without = 0

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {
            "share": self._share,
            "best": self._best,
            "epochs_without": self._epochs_without,
        }

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self._share, self._best = float(state["share"]), float(state["best"])
        self._epochs_without = int(state["epochs_without"])


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
