"""Training runs: from a configuration to trained models, one for each fold."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from avemo_ros.data.features import DAMAGED, UNUSUAL, Corpus, Features, join_units
from avemo_ros.data.landmark_table import add_points
from avemo_ros.data.prepare import prepare
from avemo_ros.data.splits import TRAINED_ON
from avemo_ros.errors import ConfigError
from avemo_ros.model.builder import init_notes
from avemo_ros.model.emotion_model import EmotionModel, ModelSpec
from avemo_ros.model.landmark_network import standardise_points
from avemo_ros.sink.output_file import locked
from avemo_ros.train.encoded_speech import (
    EncodedHeldOut,
    EncodedSampler,
    EncodedSpeech,
    SpeechHead,
    check_versions,
)
from avemo_ros.train.loop import Figures, fit, wants_bfloat16
from avemo_ros.train.optimisation import Processes, freeze, is_first, joined
from avemo_ros.train.precheck import (
    check_folders,
    check_jobs,
    check_landmarks,
    check_units,
    check_writable,
    final_settings,
)
from avemo_ros.train.pretrained import Teacher, load_pretrained, merged, whom_it_saw
from avemo_ros.train.run_folder import (
    CHECKPOINT,
    CONFIG,
    SPLIT,
    START,
    open_run,
    read_json,
    read_log,
    refuse_foreign,
    write_text,
    writing,
)
from avemo_ros.train.sampler import Reads, Sampler
from avemo_ros.train.subject_split import (
    SplitJob,
    TrainingItems,
    describe,
    jobs_of,
    of_fold,
    read_source,
)
from avemo_ros.train.training_batch import TrainingBatch, batch_loss
from avemo_ros.train.training_config import FINAL, TrainConfig
from avemo_ros.train.validation import HeldOutSet
from avemo_ros.untrusted import say
from avemo_ros.zoo.classifier import READS, collate
from avemo_ros.zoo.face_models import standardise_units
from avemo_ros.zoo.model_file import MODEL_FILE, find_model, save_model
from avemo_ros.zoo.model_registry import BUILDER, ENSEMBLE, MACHINES

SUMMARY: Final = "summary.json"
_FIGURES: Final = ("ua", "wa", "nll")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run reads and writes, and on what it computes."""

    roots: Mapping[str, Path]
    """Folders of the data sets by name; '' holds one folder a data set."""
    out: Path
    """Of the run; with folds it holds fold0/, fold1/, ..., final/."""
    cache: Path | None = None
    """Where prepared features are kept."""
    workers: int = 0
    """Processes that prepare data."""
    device: str = "auto"
    """'auto', 'cpu' or 'cuda'."""


def train(
    config: TrainConfig, place: Place, *, fold: str = "", resume: bool = False
) -> dict[str, list[Figures]]:
    """Train the model of a configuration, or one for each fold.

    Args:
        config: of the run.
        place: where it reads and writes.
        fold: 'all', a number or 'final'; '' is 'all' (of those that the configuration has).
        resume: go on with a run that is there.

    Returns:
        For each model ('', 'fold0', ..., 'final') the figures of every epoch.

    Raises:
        ConfigError: a setting is not allowed, or `out` holds another run.
        DataError: the data are missing, or would be used in a way that is not honest.
        WeightsError: the start does not fit the model.
        TrainingError: the loss is not a number.
        OutputError: `out` cannot be written.
    """
    spec = BUILDER.check(ModelSpec.from_mapping(config.model))
    with joined(place.device) as processes:
        if config.training.batch % processes.count:
            raise ConfigError(
                "training.batch",
                config.training.batch,
                f"a multiple of the {processes.count} processes",
            )
        check_folders(config, place.out, fold, resume=resume)
        # The kind says what is read: no data is prepared that no part of the model looks at.
        reads = Reads.of(_modality(spec))
        source = read_source(config, place.roots)
        jobs = jobs_of(config, source, fold)
        if reads.units:
            check_units(config)
        if reads.points:
            check_landmarks(config, source.items)
        check_jobs(config, spec, source, jobs, place.out)
        check_writable(place.out)
        for note in source.notes:
            _say(processes, note)
        corpus = read_corpus(config, source, reads, place, processes)
        results: dict[str, list[Figures]] = {}
        encoded = EncodedSpeech(place.cache)
        for job in jobs:
            results[job.name] = _train_one(
                config, spec, source, corpus, encoded, job, place, processes, resume
            )
            if config.data.folds and processes.first:
                summarise(place.out)
        return results


def read_corpus(
    config: TrainConfig, source: TrainingItems, reads: Reads, place: Place, processes: Processes
) -> Corpus:
    """Features of all items that the model reads.

    Process 0 prepares first and fills the cache for the others.
    """
    file = landmark_file(config)
    parts = reads.parts | ({"landmarks"} if reads.points and file is None else set())
    if not parts:
        corpus = Corpus(source.items, (Features(),) * len(source.items))
    else:
        if not processes.first:
            processes.wait()
        corpus, report = prepare(
            source.items,
            config.prepare,
            place.cache,
            place.workers if processes.first else 0,
            parts,
            progress=processes.first,
        )
        if processes.first:
            processes.wait()
        if report.unusable:
            _say(
                processes,
                f"{len(report.unusable)} of {report.items} items lack a face or a voice that "
                "the model needs; see `avemo data prepare`",
            )
        kinds = (DAMAGED, UNUSUAL)
        odd = {one.item.key for one in report.troubles if one.finding.kind in kinds}
        if odd:
            _say(
                processes,
                f"{len(odd)} of {report.items} items are damaged or unusual, and used; "
                "see `avemo data prepare`",
            )
    if reads.units:
        corpus, lacking = join_units(corpus, Path(config.data.units).expanduser())
        if lacking:
            _say(processes, f"{len(lacking)} items have no row in {config.data.units}")
    if reads.points:
        corpus, lacking = add_points(corpus, file)
        if lacking:
            _say(processes, f"{len(lacking)} items have no landmarks")
    return corpus


def landmark_file(config: TrainConfig) -> Path | None:
    """The file of landmark sequences; None: they are made of meshes."""
    named = config.data.landmarks
    return Path(named).expanduser() if named else None


def _train_one(
    config: TrainConfig,
    spec: ModelSpec,
    source: TrainingItems,
    corpus: Corpus,
    encoded: EncodedSpeech,
    job: SplitJob,
    place: Place,
    processes: Processes,
    resume: bool,
) -> list[Figures]:
    out = place.out / job.name if job.name else place.out
    learn, held = corpus.only(list(job.train)), corpus.only(list(job.validation))
    split = describe(source, job)
    split["pairing"] = config.data.pairing
    if processes.first:
        open_run(out, config, split, resume=resume)
    processes.wait()
    settings = config.training
    if job.name == FINAL:
        settings = final_settings(config, place.out)
        config = config.replace(training=settings)
    torch.manual_seed(settings.seed)
    model = BUILDER.build(spec)
    if not (out / CHECKPOINT).exists():
        _begin(model, config, job, held, out, processes)
    processes.wait()
    began = read_json(out / START, ("notes", "trained_on"))
    for note in began["notes"]:
        _say(processes, note)
    if settings.versions:
        history = _fit_head(model, config, corpus, encoded, job, out, processes)
    else:
        history = _fit_network(model, config, learn, held, job, out, processes)
    if processes.first:
        about = {
            "config": config.name,
            TRAINED_ON: json.dumps(merged([split["train"], *began["trained_on"]])),
            "pairing": config.data.pairing,
        }
        with writing(out / MODEL_FILE):
            save_model(model.cpu(), spec, out / MODEL_FILE, config.name or spec.kind, about)
    processes.wait()
    return history


def _fit_head(
    model: EmotionModel,
    config: TrainConfig,
    corpus: Corpus,
    encoded: EncodedSpeech,
    job: SplitJob,
    out: Path,
    processes: Processes,
) -> list[Figures]:
    """Train what stands on a frozen encoder, which hears every item before."""
    settings = config.training
    freeze(model, settings.freeze)
    network = check_versions(model, settings)
    device = processes.device
    if not processes.first:
        processes.wait()
    given = encoded.versions(network, corpus, config, device)
    if processes.first:
        processes.wait()
    learn, held = corpus.only(list(job.train)), corpus.only(list(job.validation))
    sampler = EncodedSampler(learn, given[:, job.train], config, model.classes, processes)
    _say(processes, _outline(out, sampler.steps, learn, held, config.data.pairing))
    validate = None
    if len(held):
        held_out = EncodedHeldOut(held, given[0, job.validation], model.classes)

        def validate(head: nn.Module) -> Figures:
            return held_out.figures(head, device)

    def loss(head: nn.Module, batch: TrainingBatch) -> torch.Tensor:
        return batch_loss(head, batch, settings)

    of_head = settings.replace(freeze=(), rates={})
    return fit(
        SpeechHead(network),
        sampler.epoch,
        sampler.steps,
        loss,
        validate,
        of_head,
        out,
        processes,
    )


def _fit_network(
    model: EmotionModel,
    config: TrainConfig,
    learn: Corpus,
    held: Corpus,
    job: SplitJob,
    out: Path,
    processes: Processes,
) -> list[Figures]:
    settings = config.training
    _tell_units(model, learn)
    _tell_points(model, learn)
    sampler = Sampler(learn, config, model.modality, model.classes, model.face_side, processes)
    _say(processes, _outline(out, sampler.steps, learn, held, config.data.pairing))
    validate = None
    if len(held):
        held_out = HeldOutSet(
            held, model.modality, model.classes, model.face_side, config.data.window_s
        )
        bfloat16 = wants_bfloat16(settings.precision, processes.device)

        def validate(network: nn.Module) -> Figures:
            return held_out.figures(network, processes.device, bfloat16=bfloat16)

    teacher = None
    if settings.teacher:
        path = find_model(of_fold(settings.teacher, job.fold))
        teacher = Teacher(path, model, processes.device)

    def loss(network: nn.Module, batch: TrainingBatch) -> torch.Tensor:
        return batch_loss(network, batch, settings, teacher)

    return fit(model, sampler.epoch, sampler.steps, loss, validate, settings, out, processes)


def _begin(
    model: EmotionModel,
    config: TrainConfig,
    job: SplitJob,
    held: Corpus,
    out: Path,
    processes: Processes,
) -> None:
    """Give the model the weights it begins with, and put down where they came from."""
    starts = [load_pretrained(model, of_fold(one, job.fold), held) for one in config.start]
    seen = [start.trained_on for start in starts]
    if config.training.teacher:
        teacher = find_model(of_fold(config.training.teacher, job.fold))
        seen.append(whom_it_saw(teacher, held))
    about = {
        "notes": [*init_notes(model), *(start.note for start in starts)],
        "trained_on": [one for one in seen if one is not None],
    }
    if processes.first:
        write_text(out / START, json.dumps(about, indent=1) + "\n")


def _modality(spec: ModelSpec) -> str:
    """What a model of this specification reads."""
    with torch.device("meta"):
        return BUILDER.build(BUILDER.lasting(spec)).modality


def _tell_units(model: EmotionModel, learn: Corpus) -> None:
    rows = [features.units for features in learn.features if features.units is not None]
    if rows:
        standardise_units(model, torch.from_numpy(np.stack(rows)))


def _tell_points(model: EmotionModel, learn: Corpus) -> None:
    rows = [row for row, features in enumerate(learn.features) if features.points is not None]
    if rows and "points" in READS[model.modality]:
        batch = collate(learn, rows, "landmarks")
        assert batch.points is not None
        assert batch.points_mask is not None
        standardise_points(model, batch.points, batch.points_mask)


def _outline(out: Path, steps: int, learn: Corpus, held: Corpus, pairing: str) -> str:
    people = len({item.subject for item in learn.items})
    text = (
        f"{out.name}: {len(learn)} items of {people} people for training, {len(held)} held "
        f"out; {steps} steps per epoch"
    )
    if pairing == "label":
        text += "; label-matched pairs: face and voice are of different people"
    return text


def summarise(out: Path) -> None:
    """Write summary.json: the last figures of each fold so far, their mean and deviation.

    Args:
        out: folder that holds fold0/, fold1/, ...
    """
    folds: dict[str, Figures] = {}
    for path in sorted(out.glob("fold*/")):
        history = read_log(path)
        if history:
            folds[path.name] = history[-1]
    written: dict[str, Any] = {"folds": folds}
    for figure in _FIGURES:
        values = [figures[figure] for figures in folds.values() if figure in figures]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            written[figure] = {"mean": statistics.mean(values), "sd": spread}
    write_text(out / SUMMARY, json.dumps(written, indent=1) + "\n")


def _say(processes: Processes, text: str) -> None:
    if processes.first:
        say(f"avemo: {text}", file=sys.stderr)


def run_task(
    config: TrainConfig, place: Place, *, fold: str = "", resume: bool = False
) -> list[str]:
    """Carry out a configuration.

    Returns:
        What came out, in lines.

    Raises:
        ConfigError: `place.out` holds other files.
        OutputError: another process trains there.
        AvemoError: see `train`, `train_classical` and `train_live`.
    """
    refuse_foreign(place.out, CONFIG, SPLIT, CHECKPOINT, "fold*", FINAL)
    with ExitStack() as locks:
        if is_first():
            # Folds may be trained side by side.
            alone = not config.data.folds or fold in ("", "all")
            locks.enter_context(locked(place.out, shared=not alone))
            if not alone:
                name = FINAL if fold == FINAL else f"fold{fold}"
                locks.enter_context(locked(place.out / name))
        return _carry_out(config, place, fold, resume=resume)


def _carry_out(config: TrainConfig, place: Place, fold: str, *, resume: bool) -> list[str]:
    if config.task == "live_fusion":
        from avemo_ros.train.live_fusion import train_live

        if fold:
            raise ConfigError("--fold", fold, "left out: it uses the folds of live.speech_run")
        report = train_live(config, place, resume=resume)
        names = ("fused, calibrated", "face", "voice", "sum of log-probabilities")
        return [
            f"{place.out}: {name}: {_shown(report[name])} ({report['data'].split(':')[0]})"
            for name in names
        ]
    if config.model.get("kind") in (*MACHINES, ENSEMBLE):
        from avemo_ros.train.classical_training import train_classical

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
