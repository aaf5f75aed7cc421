"""Which trainer a configuration needs."""

from __future__ import annotations

from avemo_ros.errors import ConfigError
from avemo_ros.train.config import TrainConfig
from avemo_ros.train.run import Place, train
from avemo_ros.zoo.kinds import ENSEMBLE, MACHINES


def run_task(
    config: TrainConfig, place: Place, *, fold: str = "", resume: bool = False
) -> list[str]:
    """Carry out a configuration.

    Returns:
        What came out, in lines.

    Raises:
        AvemoError: see `run.train`, `classical.train_classical` and `live.train_live`.
    """
    if config.task == "live_fusion":
        from avemo_ros.train.live import train_live

        if fold:
            raise ConfigError("--fold", fold, "left out: it uses the folds of live.speech_run")
        report = train_live(config, place, resume=resume)
        names = ("fused, calibrated", "face", "voice", "sum of log-probabilities")
        return [
            f"{place.out}: {name}: {_shown(report[name])} (label-matched pairs)"
            for name in names
        ]
    if config.model.get("kind") in (*MACHINES, ENSEMBLE):
        from avemo_ros.train.classical import train_classical

        results = train_classical(config, place, fold=fold, resume=resume)
    else:
        results = train(config, place, fold=fold, resume=resume)
    return [
        f"{place.out / name}: {len(history)} epochs; {_shown(history[-1])}"
        for name, history in results.items()
    ]


def _shown(figures: dict[str, float]) -> str:
    shown = [
        f"{key} {figures[key]:.4f}" for key in ("ua", "wa", "nll", "loss") if key in figures
    ]
    return ", ".join(shown)
