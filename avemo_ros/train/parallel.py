"""Several processes that train one model: torchrun starts, DistributedDataParallel joins them.

Every process draws the same items, takes its share of them and degrades it with chance of its
own; gradients are averaged.  Process 0 alone validates, logs and writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from avemo_ros.errors import ConfigError

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
