"""One of several processes that train together; started by torchrun in a test.

torchrun --nproc-per-node 2 training_worker.py OUT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.train.loop import EpochRng, fit
from avemo_ros.train.optimisation import Processes, joined
from avemo_ros.train.training_config import TrainingConfig

SETTINGS = TrainingConfig(
    epochs=3, batch=16, rate=0.05, averaging=0.5, precision="float32", optimiser="sgd"
)


def network() -> nn.Module:
    """Without anything whose outcome depends on who else is in the batch."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))


def train(out: Path, processes: Processes) -> dict[str, object]:
    """A tiny run; what this process ended with."""

    def batches(_: int, chance: EpochRng) -> Iterator[tuple[Tensor, Tensor]]:
        for _step in range(5):
            labels = torch.randint(0, 3, (SETTINGS.batch,), generator=chance.common)
            given = torch.randn(SETTINGS.batch, 6, generator=chance.common) + labels[:, None]
            rows = slice(processes.rank, None, processes.count)
            yield given[rows], labels[rows]

    def loss(trained: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(trained(batch[0]), batch[1])

    def validate(_: nn.Module) -> dict[str, float]:
        return {"ua": 0.5, "wa": 0.5, "nll": 1.0 + processes.rank}

    trained = network()
    out.mkdir(parents=True, exist_ok=True)
    history = fit(trained, batches, 5, loss, validate, SETTINGS, out, processes)
    weights = torch.cat([value.flatten() for value in trained.state_dict().values()])
    return {
        "losses": [figures["loss"] for figures in history],
        "nll": [figures["nll"] for figures in history],
        "weights": weights.tolist(),
    }


def main() -> None:
    """Train with the others, and write what this one ended with."""
    out = Path(sys.argv[1])
    with joined("cpu") as processes:
        ended = train(out / "run", processes)
        (out / f"rank{processes.rank}.json").write_text(json.dumps(ended))


if __name__ == "__main__":
    main()
