"""What the live model's fusion is trained from: branches trained before, and data.

Which subjects the branches have learned from is recorded, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from avemo_ros.data.features import Corpus
from avemo_ros.data.landmark_table import add_points
from avemo_ros.data.prepare import prepare
from avemo_ros.data.splits import read_split
from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.builder import SPEECH_KINDS
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.face_cnn import FaceCNN, FaceModel
from avemo_ros.model.landmark_network import LandmarkSequence
from avemo_ros.model.network import FUSIONS, EmotionNet, LiveModel
from avemo_ros.model.speech_encoder import SpeechModel
from avemo_ros.train.pretrained import whom_it_saw
from avemo_ros.train.subject_split import TrainingItems
from avemo_ros.train.training_config import FINAL, TrainConfig
from avemo_ros.train.training_run import Place
from avemo_ros.zoo.model_file import LoadedModel, find_model, load_model
from avemo_ros.zoo.model_registry import BUILDER


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """What was trained before."""

    face: LoadedModel
    speech: LoadedModel
    """The one that is released."""
    folds: tuple[tuple[LoadedModel, Path], ...]
    """Those that left out a fold of speakers each, with their run folders."""
    fusion: str
    """One of `network.FUSIONS`."""
    landmarks: tuple[tuple[LoadedModel, Path], ...] = ()
    """Of each fold, then the one that is released, with their files; none: landmarks are not
    read."""

    def network(self, fold: int | None) -> EmotionNet:
        """The live network of a fold, None for the final one, with an untrained fusion."""
        face, speech = self.face.model, self.of(fold).model
        assert isinstance(face, FaceModel)
        assert isinstance(speech, SpeechModel)
        # The layout of the CPU's kernels: several times faster.
        network = EmotionNet(
            face.branch, speech.branch, self.fusion, self._of_points(fold)
        ).eval()
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _of_points(self, fold: int | None) -> LandmarkSequence | None:
        if not self.landmarks:
            return None
        model = self.landmarks[-1 if fold is None else fold][0].model
        assert isinstance(model, LandmarkSequence)
        return model

    def of(self, fold: int | None) -> LoadedModel:
        """The speech model of a fold, or the released one."""
        return self.speech if fold is None else self.folds[fold][0]


def read_branches(config: TrainConfig) -> Branches:
    """The branches that a configuration names.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: the speech run has no folds.
        WeightsError: a branch is missing or of another kind.
    """
    if config.model.get("kind", "live") != "live":
        raise ConfigError("model.kind", config.model["kind"], "live, for task live_fusion")
    settings = config.live
    unknown = sorted(set(config.model) - {"kind", "fusion"})
    if unknown:
        raise ConfigError(f"model.{unknown[0]}", config.model[unknown[0]], "kind and fusion")
    fusion = config.model.get("fusion", FUSIONS[0])
    if fusion not in FUSIONS:
        instead = "; bilinear pooling of vectors is trained as kind adaptive_fbp"
        allowed = " | ".join(FUSIONS) + (instead if fusion == "vectors" else "")
        raise ConfigError("model.fusion", fusion, allowed)
    for name in ("face_run", "speech_run"):
        if not getattr(settings, name):
            raise ConfigError(f"live.{name}", "", f"a run folder (--set live.{name}=RUN)")
    face = _face(settings.face_run)
    if not isinstance(face.model, FaceModel) or face.model.classes != EMOTIONS:
        raise WeightsError(
            f"{settings.face_run} is '{face.spec.kind}' with {len(face.model.classes)} "
            "classes; the live model takes a face_cnn or inception with 7"
        )
    face = _as_branch(face, settings.face_run, mirrored=settings.mirrored)
    run = Path(settings.speech_run).expanduser()
    folders = sorted(path for path in run.glob("fold*") if path.is_dir())
    if len(folders) < 2:
        raise DataError(
            f"{run} has {len(folders)} folders fold0/, fold1/, ...: the fusion needs at least "
            "two networks, each trained without some of the speakers"
        )
    speech = _speech(run / FINAL)
    parts = tuple((_speech(path), path) for path in folders)
    return Branches(face, speech, parts, fusion, _landmark_networks(config, folders))


def _landmark_networks(
    config: TrainConfig, speech_folds: Sequence[Path]
) -> tuple[tuple[LoadedModel, Path], ...]:
    """The landmark network of each fold of the speech run, and the released one."""
    if not config.live.landmark_run:
        return ()
    run = Path(config.live.landmark_run).expanduser()
    found = []
    for folder in (*(run / path.name for path in speech_folds), run / FINAL):
        loaded = load_model(find_model(folder))
        if not isinstance(loaded.model, LandmarkSequence):
            raise WeightsError(
                f"{folder} is '{loaded.spec.kind}'; live.landmark_run takes landmark_sequence"
            )
        found.append((loaded, find_model(folder)))
    return tuple(found)


def _face(name: str) -> LoadedModel:
    """A face model; of a live model its face branch."""
    loaded = load_model(find_model(name))
    if not isinstance(loaded.model, LiveModel):
        return loaded
    spec = loaded.spec.options["face"]
    model = BUILDER.build(spec).eval()
    assert isinstance(model, FaceModel)
    model.branch.load_state_dict(loaded.model.network.face.state_dict())
    return replace(loaded, model=model, spec=spec)


def _as_branch(face: LoadedModel, name: str, *, mirrored: bool) -> LoadedModel:
    """The face model without its head of votes, which stays behind."""
    assert isinstance(face.model, FaceModel)
    options = {key: value for key, value in face.spec.options.items() if key != "votes"}
    if mirrored:
        if not isinstance(face.model.branch.cnn, FaceCNN):
            raise ConfigError("live.mirrored", True, f"false: {name} is '{face.spec.kind}'")
        face.model.branch.cnn.mirrored = options["mirrored"] = True
    return replace(face, spec=ModelSpec(face.spec.kind, options))


def _speech(run: Path) -> LoadedModel:
    loaded = load_model(find_model(run))
    if not isinstance(loaded.model, SpeechModel) or len(loaded.model.classes) == len(EMOTIONS):
        raise WeightsError(
            f"{run} is '{loaded.spec.kind}' with {len(loaded.model.classes)} classes; the live "
            f"model takes a {' or '.join(SPEECH_KINDS)} with 8"
        )
    return loaded


@dataclass(frozen=True, slots=True, eq=False)
class LiveData:
    """What the fusion learns from."""

    source: TrainingItems
    learned: Corpus
    """Faces that the face branch was trained on; none with `together`."""
    faces: tuple[Corpus, ...]
    """Faces that it was not trained on: the share of each fold."""
    voices: tuple[Corpus, ...]
    """Of each fold's speakers."""
    together: bool = False
    """Faces and voices of a fold are those of the same recordings, in the same order."""


def read_live_data(
    config: TrainConfig, source: TrainingItems, branches: Branches, place: Place
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
    if config.data.pairing == "none":
        return _recordings(config, source, branches, place)
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
    if branches.landmarks:
        if not config.data.landmarks:
            raise ConfigError(
                "data.landmarks", "", "a file of landmark sequences (--landmarks FILE.npz)"
            )
        voices, _ = add_points(voices, Path(config.data.landmarks).expanduser())
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
            "faces that the face run was not trained on; the fusion learns from them",
        )
    kept = faces.only(held)
    shares = [
        kept.only([row % len(branches.folds) == fold for row in range(len(kept))])
        for fold in range(len(branches.folds))
    ]
    learned = faces.only([not one for one in held])
    return LiveData(source, learned, tuple(shares), _unheard(branches, voices))


def _recordings(
    config: TrainConfig, source: TrainingItems, branches: Branches, place: Place
) -> LiveData:
    """Recordings that have a face and a voice, dealt to the folds of the speech run."""
    items = [item for item in source.items if item.has_face and item.has_voice]
    file = Path(config.data.landmarks).expanduser() if config.data.landmarks else None
    meshes = {"landmarks"} if branches.landmarks and file is None else set()
    parts = frozenset({"faces", "speech", *meshes})
    corpus, _ = prepare(items, config.prepare, place.cache, place.workers, parts)
    if branches.landmarks:
        corpus, _ = add_points(corpus, file)
    both = [one.faces is not None and one.spectrogram is not None for one in corpus.features]
    if not any(both):
        raise DataError(
            "data.train has no recording in which a face is seen and a voice is heard; "
            "data.pairing=label takes them from different data sets"
        )
    folds = _unheard(branches, corpus.only(both))
    return LiveData(source, Corpus((), ()), folds, folds, together=True)


def _unheard(branches: Branches, voices: Corpus) -> tuple[Corpus, ...]:
    """The items of the people whom each fold of the speech run has left out."""
    found = []
    for _, folder in branches.folds:
        inside = {item.subject for item in read_split(folder).held_out(voices.items)}
        if not inside:
            raise DataError(f"none of the people held out by {folder} is among the voices")
        found.append(voices.only([item.subject in inside for item in voices.items]))
    return tuple(found)


def whom_they_saw(
    config: TrainConfig, branches: Branches, data: LiveData
) -> list[dict[str, Mapping[str, Any]]]:
    """Whom the branches 'face', 'speech' and 'landmarks' of each fold, and of the final model,
    say that they were trained on.

    Raises:
        DataError: on faces or voices that are held out from them.
    """
    path = find_model(config.live.face_run)
    parts = [whom_it_saw(path, faces, "face") for faces in data.faces]
    spoken = [
        whom_it_saw(find_model(folder), voices)
        for (_, folder), voices in zip(branches.folds, data.voices, strict=True)
    ]
    final = Path(config.live.speech_run).expanduser() / FINAL
    spoken.append(whom_it_saw(find_model(final)))
    held = (*data.voices, None)
    moved = [
        whom_it_saw(path, voices)
        for (_, path), voices in zip(branches.landmarks, held, strict=False)
    ] or [None] * len(held)
    return [
        {
            name: one
            for name, one in (("face", parts[0]), ("speech", heard), ("landmarks", followed))
            if one is not None
        }
        for heard, followed in zip(spoken, moved, strict=True)
    ]
