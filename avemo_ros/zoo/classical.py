"""Models that are no networks, and their files: support vector machines and ensembles.

A file holds arrays (safetensors) and, as metadata, the format, the name, the specification, the
names of the classes and a digest over all of it.  Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import BeforeValidator, Field
from safetensors import safe_open
from torch import Tensor

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.emotion_model import CLASSES, ModelSpec
from avemo_ros.model.face_points import POINTS
from avemo_ros.model.released import LIVE
from avemo_ros.model.tensor_file import TENSOR_TROUBLES, read_tensors, write_tensors
from avemo_ros.settings import Allowed, OneOf, Settings
from avemo_ros.untrusted import parse_json, real
from avemo_ros.zoo.classifier import READS, Classifier, NetworkClassifier
from avemo_ros.zoo.ensemble import SUMS, Ensemble, Member
from avemo_ros.zoo.model_file import find_model, load_model
from avemo_ros.zoo.model_registry import ENSEMBLE, MACHINES
from avemo_ros.zoo.svm import FeatureReader, Machine, SvmClassifier, SvmOptions, UnitReader
from avemo_ros.zoo.svm_features import (
    FEATURE_SETS,
    FunctionalReader,
    LandmarkMeasuresReader,
    LandmarkReader,
    LandmarkStatisticsReader,
)

FORMAT: Final = "avemo-classical-1"
"""Layout of the file; another layout gets another name."""
Opener = Callable[[str], Classifier]
"""Opens a model by name, path or run folder."""


class FunctionalOptions(SvmOptions):
    """Options of functionals_svm."""

    features: Annotated[str, OneOf(tuple(FEATURE_SETS))] = Field(
        "eGeMAPSv02", description="Set of openSMILE functionals."
    )


class MemberOptions(Settings):
    """One of an ensemble."""

    model: Annotated[str, Field(min_length=1), Allowed("a name, a path or a run folder")] = (
        Field(description="Name, path or run folder.")
    )
    weight: float = Field(1.0, ge=0, description="Weight in the sum.")


def _members(given: Any) -> Any:
    """A model's name stands for it with the default weight."""
    if not isinstance(given, list | tuple):
        return given
    return tuple({"model": one} if isinstance(one, str) else one for one in given)


class EnsembleOptions(Settings, group="model"):
    """Options of an ensemble."""

    members: Annotated[
        tuple[MemberOptions, ...],
        Field(min_length=1),
        BeforeValidator(_members),
        Allowed("a list of {model: NAME, PATH or RUN FOLDER, weight: NUMBER}"),
    ] = Field(description="The models and their weights.")
    sum: Annotated[str, OneOf(SUMS)] = Field(
        "log", description="Sum of log-probabilities, or ('linear') of probabilities."
    )
    learn: bool = Field(
        False, description="Learn the weights on items that the members were not trained on."
    )


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How features that are made when a model is asked are made."""

    cache: Path | None = None
    """Folder that keeps functionals; None: they are made anew."""
    workers: int = 1
    """Processes that make functionals."""
    quiet: bool = True
    """Without a progress bar."""


def svm_options(spec: ModelSpec) -> SvmOptions:
    """Checked options of one of MACHINES.

    Raises:
        ConfigError: the kind or an option is not known, or a value is not allowed.
    """
    if spec.kind not in MACHINES:
        raise ConfigError("model.kind", spec.kind, " | ".join(MACHINES))
    kind = FunctionalOptions if spec.kind == "functionals_svm" else SvmOptions
    return kind.from_mapping(spec.options)


def ensemble_options(spec: ModelSpec) -> EnsembleOptions:
    """Checked options of an ensemble.

    Raises:
        ConfigError: an option is not known, or a value is not allowed.
    """
    return EnsembleOptions.from_mapping(spec.options)


def make_reader(spec: ModelSpec, reading: ReadingOptions | None = None) -> FeatureReader:
    """What makes the features of one of MACHINES.

    Raises:
        ConfigError: the kind or an option is not known, or a value is not allowed.
    """
    options, reading = svm_options(spec), reading or ReadingOptions()
    if isinstance(options, FunctionalOptions):
        return FunctionalReader(
            options.features,
            cache=reading.cache,
            workers=reading.workers,
            quiet=reading.quiet,
        )
    readers: dict[str, type[FeatureReader]] = {
        "landmark_svm": LandmarkReader,
        "landmark_measures_svm": LandmarkMeasuresReader,
        "landmark_statistics_svm": LandmarkStatisticsReader,
        "au_svm": UnitReader,
    }
    return readers[spec.kind]()


def make_svm(
    name: str, spec: ModelSpec, machine: Machine, reading: ReadingOptions | None = None
) -> SvmClassifier:
    """A classifier of a trained machine."""
    classes = CLASSES[svm_options(spec).classes]
    reader = make_reader(spec, reading)
    if isinstance(reader, LandmarkMeasuresReader):
        # The first of its statistics are the means of the points.
        reader = LandmarkMeasuresReader(machine.mean[: 2 * POINTS])
    return SvmClassifier(name, classes, reader, machine)


def save_svm(
    path: Path,
    name: str,
    spec: ModelSpec,
    machine: Machine,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a trained machine in one atomic step.

    Args:
        path: of the file; its folder is made.
        name: name and version.
        spec: kind and options.
        machine: the arrays.
        notes: more metadata, for the reader.
    """
    options = svm_options(spec)
    full = ModelSpec(spec.kind, options.plain())
    _write(path, name, full, CLASSES[options.classes], machine.tensors(), notes)


def save_ensemble(
    path: Path,
    name: str,
    members: Sequence[tuple[str | Path, float]],
    classes: tuple[str, ...],
    *,
    kind: str = "log",
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write an ensemble in one atomic step: names of its members and their weights.

    Args:
        path: of the file; its folder is made.
        name: name and version.
        members: a released model by name, or the path of a model's file; paths are kept
            relative to the file's folder, so that both may move together.
        classes: of the ensemble.
        kind: one of `ensemble.SUMS`.
        notes: more metadata, for the reader.
    """
    names = [
        os.path.relpath(real(model), real(path).parent) if isinstance(model, Path) else model
        for model, _ in members
    ]
    spec = ModelSpec(ENSEMBLE, {"members": [{"model": model} for model in names], "sum": kind})
    weights = torch.tensor([weight for _, weight in members], dtype=torch.float64)
    _write(path, name, spec, classes, {"weights": weights}, notes)


def open_classifier(
    name: str | Path,
    *,
    task: str = LIVE,
    reading: ReadingOptions | None = None,
    device: str = "cpu",
) -> Classifier:
    """Any model: a network, a support vector machine or an ensemble.

    Args:
        name: a released model's name, a model file, the folder of a training run, or "" for
            the released default of the task.
        task: see `model_file.find_model`.
        reading: how features are made that the corpus does not hold.
        device: where networks run.

    Raises:
        WeightsError: the model, or a member of it, is missing, damaged or of another version.
    """
    path = find_model(name, task)
    if not is_classical(path):
        return NetworkClassifier(load_model(path), device=device)

    def open_member(member: str) -> Classifier:
        return open_classifier(member, reading=reading, device=device)

    return load_classical(path, open_member, reading)


def reads_of(classifier: Classifier) -> frozenset[str]:
    """What has to be prepared for a model, of 'faces', 'landmarks', 'speech', 'units' and
    'points'.

    Functionals are made of the items' files, so that nothing is prepared for them.
    """
    if isinstance(classifier, Ensemble):
        return frozenset().union(*(reads_of(one.classifier) for one in classifier.members))
    if isinstance(classifier, SvmClassifier):
        return classifier.reads
    return READS[classifier.modality]


def is_classical(path: Path) -> bool:
    """Whether a file holds a model of this module rather than a network."""
    try:
        with safe_open(str(path), "pt") as opened:
            return (opened.metadata() or {}).get("format") == FORMAT
    except TENSOR_TROUBLES:
        return False


def load_classical(
    path: Path, open_member: Opener, reading: ReadingOptions | None = None
) -> Classifier:
    """The classifier of a file.

    Args:
        path: of the file.
        open_member: opens a member of an ensemble, by a released name or a path.
        reading: how features are made that the corpus does not hold.

    Raises:
        WeightsError: the file is missing, damaged or of another format; or a member is.
    """
    content = read_tensors(path, (FORMAT,))
    about, tensors = content.about, content.tensors
    try:
        name, spec = about["name"], ModelSpec.from_mapping(parse_json(about["spec"]))
        classes = tuple(parse_json(about["classes"]))
        if spec.kind != ENSEMBLE:
            classifier: Classifier = make_svm(
                name, spec, Machine.from_tensors(tensors), reading
            )
        else:
            options = ensemble_options(spec)
            weights = tensors["weights"].tolist()
            members = [
                Member(open_member(_located(one.model, path.parent)), weight)
                for one, weight in zip(options.members, weights, strict=True)
            ]
            classifier = Ensemble(name, members, kind=options.sum)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise WeightsError(f"model file {path} cannot be used: {error}") from error
    if classifier.classes != classes:
        raise WeightsError(
            f"model file {path} has the classes {', '.join(classes)}; this code, or a member, "
            f"has {', '.join(classifier.classes)}"
        )
    return classifier


def copy_classical(
    source: Path, path: Path, name: str, members: Sequence[str], notes: Mapping[str, str]
) -> None:
    """Write a support vector machine or an ensemble under another name.

    Args:
        source: its file.
        path: of the new one; written in one atomic step.
        name: new name and version.
        members: of an ensemble: released names that take the place of its members, in their
            order.
        notes: more metadata, for the reader; what the file had is kept.

    Raises:
        ConfigError: the number of members is another.
        WeightsError: the file is missing, damaged or of another format.
    """
    content = read_tensors(source, (FORMAT,))
    about = dict(content.about)
    spec = ModelSpec.from_mapping(parse_json(about["spec"]))
    there = len(ensemble_options(spec).members) if spec.kind == ENSEMBLE else 0
    if len(members) != there:
        wanted = f"{there} released names" if there else "nothing: this is no ensemble"
        raise ConfigError("--members", list(members), wanted)
    if there:
        kept = [{"model": member} for member in members]
        spec = ModelSpec(spec.kind, {**spec.options, "members": kept})
    classes = tuple(parse_json(about["classes"]))
    _write(path, name, spec, classes, content.tensors, {**about, **notes})


def _located(model: str, folder: Path) -> str:
    beside = folder / model
    return str(beside) if beside.exists() else model


def _write(
    path: Path,
    name: str,
    spec: ModelSpec,
    classes: tuple[str, ...],
    tensors: Mapping[str, Tensor],
    notes: Mapping[str, str] | None,
) -> None:
    about = {
        **(notes or {}),
        "format": FORMAT,
        "name": name,
        "spec": spec.to_json(),
        "classes": json.dumps(classes),
    }
    kept = {key: value.contiguous() for key, value in tensors.items()}
    write_tensors(path, kept, about)
