"""One training loop for every network: schedules, averaged weights, early stop, resumable.

After every epoch the whole state goes to `<out>/checkpoint.pt` in one atomic step.  All chance
of an epoch comes from (seed, epoch, process), so a run that was interrupted and resumed gives
what it would have given uninterrupted.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from avemo_ros.errors import AvemoError, ConfigError, WeightsError
from avemo_ros.train.optimisation import (
    Processes,
    Schedule,
    freeze,
    make_optimiser,
    moving_average,
    train_mode,
)
from avemo_ros.train.run_folder import (
    FAILED,
    TensorBoardLogger,
    load_checkpoint,
    save_checkpoint,
    write_text,
)
from avemo_ros.train.training_config import TrainingConfig

Figures = dict[str, float]
Loss = Callable[[nn.Module, Any], Tensor]
Validate = Callable[[nn.Module], Figures]
State = dict[str, Tensor]

_EXPLODED: Final = 1.25
"""A loss so many times that of guessing, and that of the first step, is no slow start."""
_NO_BETTER: Final = 0.92
"""A loss that exploded and ended at so large a share of that of guessing has not recovered.  If
classes are uneven, always answering with their frequencies is a little better than guessing."""
_CUDA_CHECK: Final = 25
"""Steps between looks at the loss on a GPU; each look waits for the GPU."""


class TrainingError(AvemoError):
    """Training cannot go on."""


@dataclass(frozen=True, slots=True)
class EpochRng:
    """Sources of chance of one epoch."""

    common: torch.Generator
    """On the CPU, the same in every process: which items are drawn."""
    own: torch.Generator
    """On the device, of this process: how its rows are degraded."""


Batches = Callable[[int, EpochRng], Iterable[Any]]
"""Batches of an epoch, given its number and its chance."""


def fit(
    network: nn.Module,
    batches: Batches,
    steps: int,
    loss: Loss,
    validate: Validate | None,
    settings: TrainingConfig,
    out: Path,
    processes: Processes | None = None,
    *,
    stop_after: int | None = None,
) -> list[Figures]:
    """Train, or go on with the checkpoint in `out`.

    Args:
        network: trained in place; has the chosen weights and is in eval mode afterwards, in
            process 0 and all others.
        batches: gives the batches of an epoch, already on the device.
        steps: their number.
        loss: mean loss of a batch; under autocast with `precision: bfloat16`.
        validate: figures of the averaged network (in eval mode) after each epoch; None:
            nothing is held out.
        settings: numbers of the run.
        out: folder of checkpoint and log; must exist.
        processes: this one among others; None: alone, on the CPU.
        stop_after: end after this epoch though there are more (a later call goes on).

    Returns:
        The figures of every epoch.

    Raises:
        ConfigError: the schedule or the early stop needs a validation part and there is none.
        TrainingError: the loss is not a number; or it rose far above that of guessing and did
            not fall below it again: training has diverged.  `out` then holds FAILED.
    """
    return _Run(
        network, batches, steps, loss, validate, settings, out, processes, stop_after
    ).run()


def check_held_out(settings: TrainingConfig) -> None:
    """Raises ConfigError for settings that need figures, where nothing is held out."""
    if settings.patience or settings.schedule == "plateau":
        name = "patience" if settings.patience else "schedule"
        raise ConfigError(
            f"training.{name}",
            getattr(settings, name),
            f"{'0' if settings.patience else 'a schedule other than plateau'} where "
            "nothing is held out",
        )


class _Run:
    """The state of one run."""

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        steps: int,
        loss: Loss,
        validate: Validate | None,
        settings: TrainingConfig,
        out: Path,
        processes: Processes | None,
        stop_after: int | None,
    ) -> None:
        if validate is None:
            check_held_out(settings)
        if steps < 1:
            raise ConfigError("training.batch", settings.batch, "at most the items of an epoch")
        self._processes = processes or Processes(torch.device("cpu"))
        self._settings, self._steps, self._out = settings, steps, out
        self._batches, self._loss, self._validate = batches, loss, validate
        self._device = self._processes.device
        self._network = network.to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(network, settings.freeze)
        self._optimiser = make_optimiser(network, settings)
        self._wrapped = self._processes.wrap(network)
        self._averaged: AveragedModel | None = None
        if settings.averaging > 0.0:
            self._averaged = moving_average(network, settings.averaging)
        self._schedule = Schedule(settings)
        self._tail: State = {}
        self._tail_count = 0
        self._best: State = {}
        self._best_epoch = 0
        self._best_figure = -math.inf
        self._history: list[Figures] = []
        self._first_loss = self._guess_loss = math.nan
        self._last = min(stop_after or settings.epochs, settings.epochs)
        self._bfloat16 = wants_bfloat16(settings.precision, self._device)

    def run(self) -> list[Figures]:
        self._restore()
        if self._processes.first:
            (self._out / FAILED).unlink(missing_ok=True)
        first = len(self._history)
        board = TensorBoardLogger(self._out, first) if self._processes.first else None
        bar = tqdm(
            total=self._settings.epochs * self._steps,
            initial=first * self._steps,
            unit="step",
            disable=not self._processes.first,
            mininterval=0.5 if sys.stderr.isatty() else 30,
            smoothing=0.05,
        )
        try:
            for epoch in range(first, self._last):
                if self._is_over():
                    break
                bar.set_description(f"{self._out.name} {epoch + 1}/{self._settings.epochs}")
                figures = self._epoch(epoch, bar)
                self._keep(figures)
                if board is not None:
                    board.add(figures)
                    tqdm.write(_line(self._out.name, figures), file=sys.stderr)
            if self._history:
                self._check_learned()
        except TrainingError as error:
            if self._processes.first:
                write_text(self._out / FAILED, f"{error}\n")
            raise
        except KeyboardInterrupt:
            if self._processes.first:
                done = len(self._history)
                kept = f"epoch {done} is kept" if done else "no epoch was finished"
                tqdm.write(
                    f"{self._out}: interrupted; {kept}; add --resume to the same command to "
                    "continue",
                    file=sys.stderr,
                )
            raise
        finally:
            bar.close()
            if board is not None:
                board.close()
        self._network.load_state_dict(self._chosen())
        self._network.eval()
        return self._history

    def _epoch(self, epoch: int, bar: tqdm[Any]) -> Figures:
        began, data_s = time.monotonic(), 0.0
        settings, processes = self._settings, self._processes
        chance = _chance(settings.seed, epoch, processes)
        train_mode(self._network, settings.freeze)
        total = torch.zeros((), device=self._device)
        healthy = torch.ones((), dtype=torch.bool, device=self._device)
        every = 1 if self._device.type == "cpu" else _CUDA_CHECK
        batches = iter(self._batches(epoch, chance))
        rate, first = 0.0, math.isnan(self._first_loss)
        for step in range(self._steps):
            asked = time.monotonic()
            batch = next(batches)
            data_s += time.monotonic() - asked
            progress = (epoch * self._steps + step) / (settings.epochs * self._steps)
            rate = settings.rate * self._schedule.share(progress)
            for group in self._optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
                value = self._first(batch) if first else self._loss(self._wrapped, batch)
            first = False
            self._optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(
                self._network.parameters(), settings.clip or math.inf
            )
            healthy &= torch.isfinite(norm)
            # The norm is that of all processes, so that they all stop at the same step.
            if (step + 1) % every == 0 or step + 1 == self._steps:
                if not bool(healthy):
                    raise TrainingError(self._unhealthy(epoch, step, float(value.detach())))
                bar.set_postfix(loss=f"{float(value.detach()):.3f}", refresh=False)
            self._optimiser.step()
            if self._averaged is not None:
                self._averaged.update_parameters(self._network)
            total += value.detach()
            bar.update()
        processes.share_buffers(self._network)
        if self._averaged is not None:
            processes.share_buffers(self._averaged.module)
        figures: Figures = {
            "epoch": epoch + 1,
            "loss": float(processes.mean(total)) / self._steps,
            "rate": rate,
        }
        if self._validate is not None:
            found = self._validate(self._current()) if processes.first else {}
            figures.update(processes.from_first(found))
        figures["data_seconds"] = round(data_s, 3)
        figures["seconds"] = round(time.monotonic() - began, 3)
        return figures

    def _first(self, batch: Any) -> Tensor:
        """Loss of the first batch; takes down that of guessing, too: of answers all alike."""
        answers: list[Any] = []
        hook = self._network.register_forward_hook(lambda _, __, answer: answers.append(answer))
        value = self._loss(self._wrapped, batch)
        hook.remove()
        with torch.no_grad():
            guess = self._loss(_Guess(answers[0]), batch)
        mean = self._processes.mean
        self._first_loss = float(mean(value.detach().clone()))
        self._guess_loss = float(mean(guess.detach().clone()))
        return value

    def _check_learned(self) -> None:
        """Look whether anything was learned in all.

        Raises:
            TrainingError: the loss exploded, and has not become better than that of guessing.
        """
        chosen = self._best_epoch if self._settings.patience and self._best else 0
        loss = self._history[chosen - 1]["loss"]
        # Of a run that an earlier version began, the loss of guessing is not known, but NaN.
        if not loss >= _NO_BETTER * self._guess_loss:
            return
        peak = max(figures["loss"] for figures in self._history)
        rate = self._settings.rate
        if peak > _EXPLODED * max(self._first_loss, self._guess_loss):
            raise TrainingError(
                f"training has diverged: the loss rose to {peak:.4g} and ended at {loss:.4g}, "
                f"that of guessing is {self._guess_loss:.4g}; lower training.rate (it is "
                f"{rate:g}), or set training.clip"
            )
        if loss >= self._guess_loss and self._processes.first:
            tqdm.write(
                f"{self._out}: warning: nothing was learned: the loss of the last epoch is "
                f"{loss:.4g}, that of guessing {self._guess_loss:.4g}; train longer, or change "
                f"training.rate (it is {rate:g})",
                file=sys.stderr,
            )

    def _keep(self, figures: Figures) -> None:
        """What follows from the figures of an epoch, and the checkpoint."""
        settings = self._settings
        self._history.append(figures)
        epoch = len(self._history)
        if "nll" in figures:
            self._schedule.see(figures["nll"])
        if settings.patience:
            sign = -1 if settings.choose_by == "nll" else 1
            figure = sign * figures[settings.choose_by]
            if figure > self._best_figure:
                self._best_figure, self._best_epoch = figure, epoch
                self._best = _copied(self._current())
        if settings.last_epochs and epoch > settings.epochs - settings.last_epochs:
            self._tail_count += 1
            _add(self._tail, self._current(), self._tail_count)
        if self._processes.first:
            save_checkpoint(self._out, self._state())
        self._processes.wait()

    def _is_over(self) -> bool:
        patience = self._settings.patience
        return bool(patience) and len(self._history) - self._best_epoch >= patience

    def _current(self) -> nn.Module:
        network = self._network if self._averaged is None else self._averaged.module
        return network.eval()

    def _chosen(self) -> State:
        """Weights of the run: the best epoch's, the mean of the last ones, or the last."""
        if self._settings.patience and self._best:
            return self._best
        if self._tail_count:
            current = _copied(self._current())
            return {name: value.to(current[name].dtype) for name, value in self._tail.items()}
        return _copied(self._current())

    def _unhealthy(self, epoch: int, step: int, value: float) -> str:
        kept = (
            f"the checkpoint of epoch {epoch} is kept in {self._out}"
            if epoch
            else ("no epoch was finished")
        )
        what = "loss is" if not math.isfinite(value) else "gradient is not finite, loss"
        return (
            f"{what} {value} in epoch {epoch + 1}, step {step + 1}; {kept}; lower "
            "training.rate, set training.clip, or try training.precision=float32"
        )

    def _state(self) -> dict[str, Any]:
        return {
            "history": self._history,
            "first_loss": self._first_loss,
            "guess_loss": self._guess_loss,
            "network": _copied(self._network),
            "averaged": None if self._averaged is None else self._averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state(),
            "best": self._best,
            "best_epoch": self._best_epoch,
            "best_figure": self._best_figure,
            "tail": self._tail,
            "tail_count": self._tail_count,
        }

    def _restore(self) -> None:
        state = load_checkpoint(self._out)
        if state is None:
            return
        try:
            self._network.load_state_dict(state["network"])
            if self._averaged is not None:
                self._averaged.load_state_dict(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._schedule.restore(state["schedule"])
            self._best = {name: t.to(self._device) for name, t in state["best"].items()}
            self._best_epoch = int(state["best_epoch"])
            self._best_figure = float(state["best_figure"])
            self._tail = {name: t.to(self._device) for name, t in state["tail"].items()}
            self._tail_count = int(state["tail_count"])
            self._history = [dict(figures) for figures in state["history"]]
            # Checkpoints of earlier versions do not have them.
            self._first_loss = float(state.get("first_loss", math.nan))
            self._guess_loss = float(state.get("guess_loss", math.nan))
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise WeightsError(
                f"the checkpoint in {self._out} does not fit this model "
                f"({' '.join(str(error).split())[:200]}); choose another --out"
            ) from error


class _Guess(nn.Module):
    """Answers alike for every class."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._answer = _zeros(answer)

    def forward(self, _: Any) -> Any:
        return self._answer


def _zeros(answer: Any) -> Any:
    """The same with zeros for numbers."""
    if isinstance(answer, Tensor):
        return torch.zeros_like(answer)
    if isinstance(answer, Mapping):
        return {name: _zeros(value) for name, value in answer.items()}
    if is_dataclass(answer) and not isinstance(answer, type):
        parts = {part.name: _zeros(getattr(answer, part.name)) for part in fields(answer)}
        return replace(answer, **parts)
    return answer


def wants_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: asked for, or 'auto' where the hardware has it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(has()) if has is not None else False


def _chance(seed: int, epoch: int, processes: Processes) -> EpochRng:
    # Layers such as dropout only know the global generator.
    torch.manual_seed(seed * 100_003 + epoch + 7_919 * processes.rank)
    common = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    own = torch.Generator(processes.device).manual_seed(
        seed * 1_000_033 + epoch + 15_485_863 * (processes.rank + 1)
    )
    return EpochRng(common, own)


def _copied(network: nn.Module) -> State:
    return copy.deepcopy({name: value.detach() for name, value in network.state_dict().items()})


def _add(mean: State, network: nn.Module, count: int) -> None:
    """Take a network's weights into a running mean of `count` of them."""
    for name, value in network.state_dict().items():
        value = value.detach().float()
        if count == 1:
            mean[name] = value.clone()
        else:
            mean[name] += (value - mean[name]) / count


def _line(name: str, figures: Figures) -> str:
    shown = [f"{key} {value:.4g}" for key, value in figures.items() if key != "data_seconds"]
    return f"{name}: {' '.join(shown)}"
