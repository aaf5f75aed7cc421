import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.train.loop import Recipe, averaged_weights, fit, one_cycle

STEPS = 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 3)
    )


def batches(_: int, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    for _step in range(STEPS):
        labels = torch.randint(0, 3, (16,), generator=chance)
        yield torch.randn(16, 1, 8, 8, generator=chance) + labels.view(-1, 1, 1, 1), labels


def loss(trained: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return functional.cross_entropy(trained(batch[0]), batch[1])


def run(out: Path, epochs: int = 4, stop_after: int | None = None) -> nn.Module:
    recipe = Recipe(epochs, 1e-2, 1e-2, averaging=0.8)
    return fit(
        network(),
        batches,
        STEPS,
        loss,
        lambda _: {"ua": 0.5},
        recipe,
        out,
        stop_after=stop_after,
    )


def test_a_run_interrupted_and_resumed_gives_what_an_uninterrupted_one_gives(
    tmp_path: Path,
) -> None:
    whole = run(tmp_path / "whole").state_dict()
    run(tmp_path / "parts", stop_after=2)
    resumed = run(tmp_path / "parts").state_dict()
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [
        [json.loads(line)["loss"] for line in (tmp_path / run_ / "log.jsonl").open()]
        for run_ in ("whole", "parts")
    ]
    assert logs[0] == logs[1]


def test_a_finished_run_is_read_back_and_not_trained_again(tmp_path: Path) -> None:
    first = run(tmp_path).state_dict()
    again = run(tmp_path).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_the_loss_falls_and_averaged_weights_can_be_read_from_the_checkpoint(
    tmp_path: Path,
) -> None:
    trained = run(tmp_path, epochs=12)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").open()]
    assert losses[-1] < 0.6 * losses[0]
    fresh = network()
    fresh.load_state_dict(averaged_weights(tmp_path / "checkpoint.pt"))
    for ours, theirs in zip(
        trained.state_dict().values(), fresh.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert not (tmp_path / "checkpoint.part").exists()


def test_the_rate_rises_to_its_highest_and_falls_to_nearly_nothing() -> None:
    rates = [one_cycle(step / 100, 0.2) for step in range(101)]
    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates.index(max(rates)) == 20
    assert rates[-1] < 1e-3


def test_an_unknown_optimiser_is_refused(tmp_path: Path) -> None:
    recipe = Recipe(1, 0.1, 0.0, optimiser="magic")
    with pytest.raises(ValueError, match="magic"):
        fit(network(), batches, STEPS, loss, lambda _: {}, recipe, tmp_path)
