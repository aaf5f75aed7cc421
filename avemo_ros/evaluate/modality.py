"""Which modalities are judged: what is asked for, what the data have, what a model reads."""

from __future__ import annotations

from dataclasses import replace

from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError
from avemo_ros.evaluate import pairs
from avemo_ros.evaluate.gather import LANDMARKS, Part, choose
from avemo_ros.evaluate.opened import Opened
from avemo_ros.evaluate.request import Request
from avemo_ros.model.batch import MODALITIES
from avemo_ros.zoo.collate import READS


def asked_modality(request: Request) -> str:
    """What is asked for, or what the data have.

    Raises:
        ConfigError: it is none of MODALITIES.
        DataError: the data set cannot be read.
    """
    if request.modality:
        if request.modality not in MODALITIES:
            raise ConfigError("--modality", request.modality, " | ".join(MODALITIES))
        return request.modality
    if request.dataset == pairs.NAME:
        return "av"
    contents = find_dataset(request.dataset).contents
    if request.units is not None:
        return "au+audio" if "voices" in contents else "au"
    if contents != "faces and voices":
        return {"faces": "face", "voices": "audio"}[contents]
    # What lies there: RAVDESS may be its sound only.
    part = Part(request.dataset, request.root(request.dataset), "av", options=request.options)
    items = choose(replace(part, split="all")).items
    seen, heard = any(i.has_face for i in items), any(i.has_voice for i in items)
    return "av" if seen and heard else "face" if seen else "audio"


def narrowed_modality(request: Request, modality: str, model: Opened) -> str:
    """What the model is asked to read.

    Raises:
        ConfigError: it cannot read what was asked for.
    """
    of_model = model.classifier.modality
    shared = READS[modality] & READS[of_model]
    if request.modality and READS[request.modality] - READS[of_model]:
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


def reads_of(model: Opened, modality: str) -> frozenset[str]:
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
