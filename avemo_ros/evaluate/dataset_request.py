"""What to evaluate on a data set, and which modalities that asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from avemo_ros.data.features import PrepareConfig
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError
from avemo_ros.evaluate.bootstrap import ROUNDS
from avemo_ros.evaluate.collect import (
    FACES,
    LANDMARKS,
    POINTS,
    SPEECH,
    DatasetPart,
    select_items,
)
from avemo_ros.evaluate.opened_models import InputLength, OpenedModel
from avemo_ros.model.emotion_model import MODALITIES
from avemo_ros.zoo.classifier import READS

PAIRS: Final = "pairs"
"""Name of the made-up data set."""
PAIRS_TITLE: Final = "label-matched pairs"


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What is to be evaluated."""

    dataset: str
    """A key of DATASETS, or 'pairs'."""
    roots: Mapping[str, Path]
    """Folders by data set; '' is the folder of the data set, or holds one folder a set."""
    model: str = ""
    """Released model, model file or run folder; '': the released default."""
    others: tuple[str, ...] = ()
    """Models that it is compared with on the same items."""
    split: str = ""
    subjects: tuple[str, ...] = ()
    folds: bool = False
    """The models are run folders with folds, each judged on what it held out."""
    modality: str = ""
    """One of MODALITIES; '': what the model reads of what the data have."""
    classes: int | None = None
    units: Path | None = None
    landmarks: Path | None = None
    personal_neutral: float = 0.0
    """Seconds of a person that count for their resting face; 0: none is used."""
    corruptions: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the data set's loader."""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    cache: Path | None = None
    workers: int = 0
    limit: int = 0
    pairs: int = 1400
    """How many label-matched pairs are made."""
    allow_seen: bool = False
    skip_missing: bool = False
    input_length: InputLength = field(default_factory=InputLength)
    """How much of an item a network is given."""
    known_classes: bool = False
    """Judge answers among the classes of the data set alone."""
    rounds: int = ROUNDS
    seed: int = 0
    """Of pairs and of the bootstrap."""
    progress: bool = True

    def root(self, name: str) -> Path:
        """The folder of a data set.

        Raises:
            ConfigError: folders of others are given only.
        """
        if name in self.roots:
            return self.roots[name]
        if "" not in self.roots:
            raise ConfigError("--root", ", ".join(self.roots), f"{name}=DIR, or one DIR")
        inside = self.roots[""] / find_dataset(name).name
        if inside.is_dir() or self.dataset == PAIRS:
            return inside
        return self.roots[""]


def asked_modality(request: DatasetRequest) -> str:
    """What is asked for, or what the data have.

    Raises:
        ConfigError: it is none of MODALITIES.
        DataError: the data set cannot be read.
    """
    if request.modality:
        if request.modality not in MODALITIES:
            raise ConfigError("--modality", request.modality, " | ".join(MODALITIES))
        unseen = request.modality == "av" and request.landmarks is not None
        if unseen and not request.model and _what_lies_there(request) == "audio":
            # Without films the landmarks are what is seen.
            return "landmarks+audio"
        return request.modality
    if request.dataset == PAIRS:
        return "av"
    contents = find_dataset(request.dataset).contents
    for table, name in ((request.units, "au"), (request.landmarks, "landmarks")):
        if table is not None:
            return f"{name}+audio" if "voices" in contents else name
    if contents != "faces and voices":
        return {"faces": "face", "voices": "audio"}[contents]
    return _what_lies_there(request)


def _what_lies_there(request: DatasetRequest) -> str:
    """What the files of a data set have: RAVDESS may be its audio only."""
    part = DatasetPart(
        request.dataset, request.root(request.dataset), "av", options=request.options
    )
    items = select_items(replace(part, split="all")).items
    seen, heard = any(i.has_face for i in items), any(i.has_voice for i in items)
    return "av" if seen and heard else "face" if seen else "audio"


def narrowed_modality(request: DatasetRequest, modality: str, model: OpenedModel) -> str:
    """What the model is asked to read.

    Raises:
        ConfigError: it cannot read what was asked for.
    """
    of_model = model.classifier.modality
    shared = _as_seen(READS[modality], of_model) & READS[of_model]
    if request.modality and _as_seen(READS[request.modality], of_model) - READS[of_model]:
        known = [name for name in MODALITIES if READS[name] <= READS[of_model]]
        raise ConfigError(
            "--modality",
            request.modality,
            f"{' | '.join(known)}: that is what {model.classifier.name} reads",
        )
    if not shared:
        raise ConfigError(
            "--model",
            model.classifier.name,
            f"a model that reads {modality}, as these data need; this one reads {of_model}",
        )
    return modality_of(shared)


def _as_seen(reads: frozenset[str], of_model: str) -> frozenset[str]:
    """What is read, with landmarks for the face, or beside it, where that is how a model sees
    it."""
    if FACES not in reads or POINTS not in READS[of_model]:
        return reads
    return (reads | {POINTS}) & (READS[of_model] | {SPEECH})


def reads_of(model: OpenedModel, modality: str) -> frozenset[str]:
    """What of the items one model looks at.

    Raises:
        ConfigError: nothing of them.
    """
    of_model = READS[model.classifier.modality]
    shared = READS[modality] & of_model
    if not shared:
        raise ConfigError(
            "--compare",
            model.classifier.name,
            f"models that read some of {modality}; this one reads {model.classifier.modality}",
        )
    return shared | {LANDMARKS} if "landmark_svm" in model.kinds else shared


def modality_of(reads: frozenset[str]) -> str:
    """The name of what is read."""
    return next(name for name in MODALITIES if READS[name] == reads - {LANDMARKS})
