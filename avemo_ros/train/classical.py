"""Runs of models that are no networks: support vector machines, and weights of ensembles.

A run folder has `model.safetensors` and `log.jsonl` (one line), as that of a network has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.item import Item
from avemo_ros.data.prepare import prepare
from avemo_ros.data.units import join_units
from avemo_ros.evaluate.held_out import TRAINED_ON
from avemo_ros.model.spec import ModelSpec
from avemo_ros.train.checkpoint import open_run, read_log
from avemo_ros.train.config import TrainConfig
from avemo_ros.train.ensemble import train_ensemble
from avemo_ros.train.figures import Figures
from avemo_ros.train.people import describe, jobs_of, of_fold, read_source
from avemo_ros.train.precheck import check_units
from avemo_ros.train.run import Place, summarise
from avemo_ros.train.svm import train_svm
from avemo_ros.zoo.bundle import MODEL_FILE
from avemo_ros.zoo.classical import (
    ReadingOptions,
    ensemble_options,
    make_reader,
    open_classifier,
    reads_of,
)
from avemo_ros.zoo.kinds import ENSEMBLE


def train_classical(
    config: TrainConfig, place: Place, *, fold: str = "", resume: bool = False
) -> dict[str, list[Figures]]:
    """Train the model of a configuration that is no network, or one for each fold.

    Args:
        config: of the run; of its groups only `model`, `data`, `prepare` and `training.seed`
            count here.
        place: where it reads and writes.
        fold: 'all', a number or 'final'; '' is 'all'.
        resume: go on with a run that is there: finished folds are kept.

    Returns:
        For each model ('', 'fold0', ..., 'final') one set of figures, as `run.train` gives one
        for each epoch.

    Raises:
        ConfigError: a setting is not allowed, or `out` holds another run.
        DataError: the data are missing, or would be used in a way that is not honest.
        WeightsError: a member of an ensemble is missing or cannot be used.
    """
    spec = ModelSpec.from_mapping(config.model)
    name = config.name or spec.kind
    reading = ReadingOptions(place.cache, max(1, place.workers), quiet=False)
    source = read_source(config, place.roots)
    jobs = jobs_of(config, source, fold)
    splits = [describe(source, job) for job in jobs]
    reads = _reads(spec, jobs[0].fold, reading)
    if "units" in reads:
        check_units(config)
    for note in source.notes:
        _say(note)
    corpus: Corpus | None = None
    results: dict[str, list[Figures]] = {}
    for job, split in zip(jobs, splits, strict=True):
        out = place.out / job.name
        open_run(out, config, split, resume=resume)
        if (out / MODEL_FILE).exists():
            results[job.name] = read_log(out)
            continue
        if corpus is None:
            corpus = _features(config, source.items, reads, place)
        train, held = corpus.only(list(job.train)), corpus.only(list(job.validation))
        _say(f"{out.name}: {len(train)} items to learn from, {len(held)} held out")
        notes = {"config": config.name, TRAINED_ON: json.dumps(split["train"])}
        if spec.kind == ENSEMBLE:
            figures = train_ensemble(
                name, spec, train, held, out, fold=job.fold, reading=reading, notes=notes
            )
        else:
            seed = config.training.seed
            figures = train_svm(
                name, spec, train, held, out, seed=seed, reading=reading, notes=notes
            )
        results[job.name] = [figures]
        if config.data.folds:
            summarise(place.out)
    return results


def _reads(spec: ModelSpec, fold: str, reading: ReadingOptions) -> frozenset[str]:
    """What has to be prepared; options are checked on the way."""
    if spec.kind != ENSEMBLE:
        return make_reader(spec, reading).parts
    members = [one.model for one in ensemble_options(spec).members]
    opened = [open_classifier(of_fold(model, fold), reading=reading) for model in members]
    return frozenset().union(*map(reads_of, opened))


def _features(
    config: TrainConfig, items: tuple[Item, ...], reads: frozenset[str], place: Place
) -> Corpus:
    corpus = Corpus(items, (Features(),) * len(items))
    if reads - {"units"}:
        parts = reads - {"units"}
        corpus, report = prepare(items, config.prepare, place.cache, place.workers, parts)
        if report.unusable:
            _say(f"{len(report.unusable)} of {report.items} items lack what the model reads")
    if "units" in reads:
        corpus, lacking = join_units(corpus, Path(config.data.units).expanduser())
        if lacking:
            _say(f"{len(lacking)} items have no row in {config.data.units}")
    return corpus


def _say(text: str) -> None:
    print(f"avemo: {text}", file=sys.stderr)
