"""Refuses, before any data are prepared, a run that would fail afterwards."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features, read_units
from avemo_ros.data.landmark_table import read_points
from avemo_ros.errors import ConfigError
from avemo_ros.model.emotion_model import EmotionModel, ModelSpec, Unimodal
from avemo_ros.train.encoded_speech import check_versions
from avemo_ros.train.loop import check_held_out
from avemo_ros.train.optimisation import freeze, is_of, make_optimiser
from avemo_ros.train.pretrained import Teacher, load_pretrained, whom_it_saw
from avemo_ros.train.run_folder import CHECKPOINT, load_checkpoint, may_begin_again, writing
from avemo_ros.train.subject_split import SplitJob, TrainingItems, of_fold
from avemo_ros.train.training_config import FINAL, TrainConfig, TrainingConfig
from avemo_ros.zoo.model_file import find_model
from avemo_ros.zoo.model_registry import BUILDER


def check_folders(config: TrainConfig, out: Path, fold: str, *, resume: bool) -> None:
    """Make sure that there is no run yet, or one to go on with.

    Raises:
        ConfigError: `out` is a file, or holds a run without `resume`.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError("--out", str(out), "a folder")
    names = [""]
    if config.data.folds:
        names = [f"fold{number}" for number in range(len(config.data.folds))] + [FINAL]
        if fold not in ("", "all"):
            names = [fold if fold == FINAL else f"fold{fold}"]
    there = [
        name
        for name in names
        if (out / name / "config.yaml").exists() and not may_begin_again(out / name)
    ]
    if there and not resume:
        raise ConfigError(
            "--out",
            str(out / there[0]),
            "a new folder, or --resume to continue the existing run",
        )


def check_writable(out: Path) -> None:
    """Make the run's folder.

    Raises:
        OutputError: it cannot be made.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)


def check_units(config: TrainConfig) -> None:
    """Make sure that there is a table of action units.

    Raises:
        ConfigError: none is named.
        DataError: it cannot be read.
    """
    if not config.data.units:
        raise ConfigError("data.units", "", "a table of action units (--au FILE.csv)")
    read_units(Path(config.data.units).expanduser())


def check_landmarks(config: TrainConfig, items: Sequence[Item]) -> None:
    """Make sure that landmarks come from somewhere: a file, or the items' images.

    Raises:
        ConfigError: no file is named, and no item has an image.
        DataError: the file cannot be read.
    """
    if config.data.landmarks:
        read_points(Path(config.data.landmarks).expanduser())
    elif not any(item.has_face for item in items):
        raise ConfigError(
            "data.landmarks",
            "",
            "a file of landmark sequences (--landmarks FILE.npz): the items have no images",
        )


def check_jobs(
    config: TrainConfig,
    spec: ModelSpec,
    source: TrainingItems,
    jobs: Sequence[SplitJob],
    out: Path,
) -> None:
    """Make sure that each model can begin: its start, its teacher, and what is frozen.

    Args:
        config: of the run.
        spec: of its model.
        source: all items.
        jobs: the models to train.
        out: folder of the run.

    Raises:
        ConfigError: a setting does not go with the model, or with what is held out.
        DataError: a start or teacher has seen who is held out.
        WeightsError: a start or teacher is missing or does not fit.
    """
    settings = config.training
    for job in jobs:
        if job.name == FINAL:
            # Folds that are trained now will say how long it takes; else they must be there.
            if len(jobs) == 1 or settings.schedule == "plateau":
                final_settings(config, out)
        elif not job.validation.any():
            check_held_out(settings)
    model = BUILDER.build(spec)
    freeze(model, settings.freeze)
    make_optimiser(model, settings)
    if settings.versions:
        check_versions(model, settings)
    for job in jobs:
        if (out / job.name / CHECKPOINT).exists():
            continue
        held = _corpus(source, job.validation)
        filled = set(_published(model))
        for start in config.start:
            filled |= load_pretrained(model, of_fold(start, job.fold), held).taken
        _check_frozen(settings.freeze, filled)
        if settings.teacher:
            whom_it_saw(find_model(of_fold(settings.teacher, job.fold)), held)
    if settings.teacher:
        teacher = find_model(of_fold(settings.teacher, jobs[0].fold))
        Teacher(teacher, model, torch.device("cpu"))


def final_settings(config: TrainConfig, out: Path) -> TrainingConfig:
    """Nothing is held out of the final run: it ends after as many epochs as the folds took.

    Args:
        config: of the run.
        out: its folder, with fold0/, fold1/, ...

    Raises:
        ConfigError: the schedule needs something held out, or the folds are not trained yet.
    """
    settings = config.training
    if settings.schedule == "plateau":
        raise ConfigError(
            "training.schedule",
            "plateau",
            "another one for the final run, which holds nothing out, or data.final: false",
        )
    if not settings.patience:
        return settings
    best = []
    for number in range(len(config.data.folds)):
        state = load_checkpoint(out / f"fold{number}")
        if state is None:
            raise ConfigError(
                "--fold", FINAL, "the folds first: they determine its number of epochs"
            )
        best.append(int(state["best_epoch"]))
    epochs = max(1, round(sum(best) / len(best)))
    return settings.replace(epochs=epochs, patience=0)


def _check_frozen(prefixes: Sequence[str], filled: Collection[str]) -> None:
    """What is frozen must come from somewhere: random weights that stay are a mistake."""
    for prefix in prefixes:
        if not any(is_of(name, prefix) for name in filled):
            raise ConfigError(
                "training.freeze",
                prefix,
                "a part that starts from trained weights, from `start` (--set start=[RUN, "
                "...]) or published ones; this one would stay random",
            )


def _published(model: EmotionModel) -> list[str]:
    """Names of the weights that a file which the model's options name has filled."""
    return [
        f"{path}.{name}" if path else name
        for path, part in model.named_modules()
        if isinstance(part, Unimodal) and part.start_note
        for name, _ in part.named_parameters()
        if "head" not in name.split(".")
    ]


def _corpus(source: TrainingItems, rows: NDArray[np.bool_]) -> Corpus:
    items = tuple(source.items[i] for i in np.flatnonzero(rows))
    return Corpus(items, (Features(),) * len(items))
