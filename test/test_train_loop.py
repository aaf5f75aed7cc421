import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.train.loop import EpochRng, Figures, TrainingError, fit, wants_bfloat16
from avemo_ros.train.optimisation import Schedule, cosine, one_cycle
from avemo_ros.train.training_config import TrainingConfig

STEPS = 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 3)
    )


def batches(_: int, chance: EpochRng) -> Iterator[tuple[Tensor, Tensor]]:
    for _step in range(STEPS):
        labels = torch.randint(0, 3, (16,), generator=chance.common)
        noise = torch.randn(16, 1, 8, 8, generator=chance.own)
        yield noise + labels.view(-1, 1, 1, 1), labels


def loss(trained: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return functional.cross_entropy(trained(batch[0]), batch[1])


def settings(**changed: Any) -> TrainingConfig:
    given: dict[str, Any] = {"epochs": 4, "rate": 1e-2, "averaging": 0.8, **changed}
    return TrainingConfig(**given)


def scripted(values: list[float]) -> Any:
    """Validation whose figures are these, one an epoch."""
    left = iter(values)

    def validate(_: nn.Module) -> Figures:
        value = next(left)
        return {"ua": value, "wa": value, "nll": 1 - value}

    return validate


def run(
    out: Path,
    trained: nn.Module | None = None,
    validate: Any = None,
    stop_after: int | None = None,
    **changed: Any,
) -> tuple[nn.Module, list[Figures]]:
    out.mkdir(parents=True, exist_ok=True)
    trained = trained or network()
    history = fit(
        trained,
        batches,
        STEPS,
        loss,
        validate,
        settings(**changed),
        out,
        stop_after=stop_after,
    )
    return trained, history


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "changed",
    [
        {"schedule": "one_cycle"},
        {"schedule": "plateau", "plateau_epochs": 1, "optimiser": "sgd"},
        {"last_epochs": 3},
        {"averaging": 0.0, "precision": "float32"},
        {"patience": 3},
    ],
)
def test_a_run_interrupted_and_resumed_gives_what_an_uninterrupted_one_gives(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    figures = [0.5, 0.4, 0.6, 0.3]
    whole, history = run(tmp_path / "whole", validate=scripted(figures), **changed)
    run(tmp_path / "parts", validate=scripted(figures), stop_after=2, **changed)
    torch.manual_seed(999)  # what happens in between must not matter
    resumed, again = run(tmp_path / "parts", validate=scripted(figures[2:]), **changed)
    assert same(whole, resumed)
    for one, other in zip(history, again, strict=True):
        assert {**one, "seconds": 0, "data_seconds": 0} == {
            **other,
            "seconds": 0,
            "data_seconds": 0,
        }
    logged = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in logged] == [1, 2, 3, 4]


def test_a_finished_run_is_read_back_and_not_trained_again(tmp_path: Path) -> None:
    first, _ = run(tmp_path)
    written = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    again, history = run(tmp_path)
    assert same(first, again)
    assert len(history) == 4
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == written


def test_the_loss_falls(tmp_path: Path) -> None:
    _, history = run(tmp_path, epochs=12)
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert not list(tmp_path.glob("*.part"))


def test_early_stop_keeps_the_best_epoch(tmp_path: Path) -> None:
    kept, history = run(
        tmp_path / "stopped",
        validate=scripted([0.2, 0.7, 0.5, 0.6, 0.9]),
        epochs=5,
        patience=2,
        schedule="constant",
    )
    assert len(history) == 4, "two epochs without a better one"
    second, _ = run(tmp_path / "short", epochs=5, schedule="constant", stop_after=2)
    assert same(kept, second)


def test_without_averaging_the_last_weights_are_kept_and_with_it_a_mean(tmp_path: Path) -> None:
    plain, _ = run(tmp_path / "plain", averaging=0.0)
    averaged, _ = run(tmp_path / "averaged", averaging=0.8)
    state = torch.load(tmp_path / "averaged" / "checkpoint.pt", weights_only=True)
    assert torch.equal(state["network"]["4.weight"], plain.state_dict()["4.weight"])
    assert not torch.equal(averaged.state_dict()["4.weight"], plain.state_dict()["4.weight"])


def test_the_last_epochs_are_averaged(tmp_path: Path) -> None:
    parts = [run(tmp_path / f"to{n}", averaging=0.0, stop_after=n)[0] for n in (3, 4)]
    mean, _ = run(tmp_path / "mean", averaging=0.0, last_epochs=2)
    wanted = sum(part.state_dict()["4.weight"] for part in parts) / 2
    assert torch.allclose(mean.state_dict()["4.weight"], wanted, atol=1e-6)


def test_frozen_parts_stay_as_they_are_their_statistics_too(tmp_path: Path) -> None:
    before = network().state_dict()
    after, _ = run(tmp_path, freeze=("0", "1"), averaging=0.0)
    changed = {
        name
        for name, value in after.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"4.weight", "4.bias"}


def test_a_prefix_that_fits_nothing_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.freeze.*'7'.*0"):
        run(tmp_path, freeze=("7",))
    with pytest.raises(ConfigError, match="not all of the model"):
        run(tmp_path, freeze=("0", "1", "4"))


def test_slower_parts_move_less(tmp_path: Path) -> None:
    start = network().state_dict()["4.weight"]
    usual, _ = run(tmp_path / "usual", averaging=0.0)
    slow, _ = run(tmp_path / "slow", averaging=0.0, rates={"4": 0.01})
    assert (slow.state_dict()["4.weight"] - start).norm() < 0.1 * (
        usual.state_dict()["4.weight"] - start
    ).norm()


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    def spoilt(trained: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return loss(trained, batch) * math.nan

    run(tmp_path, stop_after=2)
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"nan in epoch 3, step 1; .*epoch 2 is kept"):
        fit(network(), batches, STEPS, spoilt, None, settings(), tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(epoch: int, chance: EpochRng) -> Iterator[tuple[Tensor, Tensor]]:
        if epoch == 1:
            raise KeyboardInterrupt
        return batches(epoch, chance)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), interrupted, STEPS, loss, None, settings(), tmp_path)
    said = capsys.readouterr().err
    assert "epoch 1 is kept" in said
    assert "--resume" in said


def test_plateau_and_early_stop_need_something_held_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.schedule"):
        run(tmp_path, schedule="plateau")
    with pytest.raises(ConfigError, match=r"training\.patience"):
        run(tmp_path, patience=2)


def test_a_damaged_checkpoint_and_one_of_another_model_are_told_apart(tmp_path: Path) -> None:
    run(tmp_path / "damaged")
    path = tmp_path / "damaged" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        run(tmp_path / "damaged")
    run(tmp_path / "other")
    with pytest.raises(WeightsError, match="does not fit this model"):
        run(tmp_path / "other", trained=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))


def test_the_rate_rises_to_its_highest_and_falls_to_nearly_nothing() -> None:
    for schedule in (one_cycle, cosine):
        rates = [schedule(step / 100, 0.2) for step in range(101)]
        assert rates[0] == pytest.approx(0.04)
        assert max(rates) == pytest.approx(1.0, abs=1e-3)
        assert rates.index(max(rates)) == 20
        assert rates[-1] < 1e-3


def test_the_rate_falls_when_the_validation_loss_stays_up() -> None:
    schedule = Schedule(settings(schedule="plateau", plateau_epochs=2, plateau_factor=0.5))
    shares = []
    for value in (1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.1):
        schedule.see(value)
        shares.append(schedule.share(0.5))
    assert shares == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    assert schedule.share(0.0) == pytest.approx(0.25 * 0.04), "it rises first"


def test_precision_can_be_chosen() -> None:
    cpu = torch.device("cpu")
    assert wants_bfloat16("bfloat16", cpu)
    assert not wants_bfloat16("float32", cpu)


def test_training_that_diverges_ends_with_an_error_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"diverged: the loss rose to .*lower training\.rate"
    ):
        run(tmp_path, rate=60.0, epochs=6, optimiser="adamw", clip=0.0)
    assert "diverged" in (tmp_path / "failed.txt").read_text()
    assert (tmp_path / "checkpoint.pt").exists()


def test_a_diverged_run_diverges_when_resumed_and_not_when_begun_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(TrainingError, match="diverged"):
            run(tmp_path, rate=60.0, epochs=6, optimiser="adamw", clip=0.0)
    (tmp_path / "checkpoint.pt").unlink()
    run(tmp_path)
    assert not (tmp_path / "failed.txt").exists()


def test_a_network_that_learns_nothing_is_told_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def random(trained: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        return functional.cross_entropy(trained(torch.randn_like(images)), labels)

    fit(network(), batches, STEPS, random, None, settings(rate=1e-9), tmp_path)
    assert "warning: nothing was learned" in capsys.readouterr().err
    run(tmp_path / "learns")
    assert "nothing was learned" not in capsys.readouterr().err
    assert not (tmp_path / "failed.txt").exists()
