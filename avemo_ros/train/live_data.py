"""The data that the live model's fusion learns from, and whom its branches know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo_ros.data.features import Corpus
from avemo_ros.data.prepare import prepare
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.held_out import read_split
from avemo_ros.train.config import FINAL, TrainConfig
from avemo_ros.train.live_branches import Branches
from avemo_ros.train.people import Source
from avemo_ros.train.run import Place
from avemo_ros.train.start import whom_it_saw
from avemo_ros.zoo.bundle import find_model


@dataclass(frozen=True, slots=True, eq=False)
class LiveData:
    """What the fusion learns from."""

    source: Source
    learned: Corpus
    """Faces that the face branch was trained on."""
    faces: tuple[Corpus, ...]
    """Faces that it was not trained on: the share of each fold."""
    voices: tuple[Corpus, ...]
    """Of each fold's speakers."""


def read_live_data(
    config: TrainConfig, source: Source, branches: Branches, place: Place
) -> LiveData:
    """The faces and the voices, dealt to the folds of the speech run.

    Args:
        config: of the run.
        source: of its items.
        branches: what was trained before.
        place: where it reads.

    Raises:
        ConfigError: no faces are held out.
        DataError: there are no faces or voices, or nobody whom a fold held out is there.
    """
    corpora = []
    for part, rows in (("faces", "face"), ("speech", "voice")):
        items = [
            item
            for item in source.items
            if (item.has_face and not item.has_voice) == (rows == "face")
        ]
        corpus, _ = prepare(
            items, config.prepare, place.cache, place.workers, frozenset({part})
        )
        features = corpus.features
        there = [
            (one.faces if part == "faces" else one.spectrogram) is not None for one in features
        ]
        if not any(there):
            raise DataError(f"data.train has no data set that gives a {rows}")
        corpora.append(corpus.only(there))
    faces, voices = corpora
    held_keys = {
        (item.dataset, item.key)
        for item, held in zip(source.items, source.held, strict=True)
        if held
    }
    held = [(item.dataset, item.key) in held_keys for item in faces.items]
    if not any(held):
        raise ConfigError(
            "data.validation",
            config.data.validation.name,
            "the faces that the face run was not trained on, which the fusion learns from",
        )
    kept = faces.only(held)
    shares = [
        kept.only([row % len(branches.folds) == fold for row in range(len(kept))])
        for fold in range(len(branches.folds))
    ]
    unheard = []
    for _, folder in branches.folds:
        inside = {item.subject for item in read_split(folder).held_out(voices.items)}
        if not inside:
            raise DataError(f"nobody whom {folder} held out is among the voices at hand")
        unheard.append(voices.only([item.subject in inside for item in voices.items]))
    learned = faces.only([not one for one in held])
    return LiveData(source, learned, tuple(shares), tuple(unheard))


def whom_they_saw(
    config: TrainConfig, branches: Branches, data: LiveData
) -> list[dict[str, Mapping[str, Any]]]:
    """Whom the branches 'face' and 'speech' of each fold, and of the final model, say that they
    were trained on.

    Raises:
        DataError: on faces or voices that are held out from them.
    """
    path = find_model(config.live.face_run)
    told = [whom_it_saw(path, faces) for faces in data.faces]
    spoken = [
        whom_it_saw(find_model(folder), voices)
        for (_, folder), voices in zip(branches.folds, data.voices, strict=True)
    ]
    final = Path(config.live.speech_run).expanduser() / FINAL
    spoken.append(whom_it_saw(find_model(final)))
    return [
        {name: one for name, one in (("face", told[0]), ("speech", heard)) if one is not None}
        for heard in spoken
    ]
