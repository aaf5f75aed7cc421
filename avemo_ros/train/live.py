"""The task `live_fusion`: a trained face branch and a trained speech branch become the model
that the robot runs.

What is paired are the faces held out from the face run's training (`data.validation`) and the
voices of the speech run's folds, each voice by the network that never heard its speaker.  Each
fold has a share of these faces of its own.  Its live model joins the speech network of the fold
by a fusion that learned from the other folds, whose speech networks are other ones: as the
fusion of the final model meets a speech network that it was not trained with.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avemo_ros.data.features import Corpus
from avemo_ros.data.item import Item
from avemo_ros.data.prepare import PrepareConfig, prepare
from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.evaluate.held_out import TRAINED_ON, read_split
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.bundle import MODEL_FILE, LoadedModel, find_model, load_model, save_model
from avemo_ros.model.calibration import fit_temperature
from avemo_ros.model.frame_models import FaceModel
from avemo_ros.model.live import LiveModel
from avemo_ros.model.network import FUSIONS, EmotionNet
from avemo_ros.model.spec import ModelSpec
from avemo_ros.model.speech_fcn import SpeechFCN
from avemo_ros.train.checkpoint import open_run, write_log, write_text
from avemo_ros.train.config import FINAL, TrainConfig
from avemo_ros.train.config_file import read_group
from avemo_ros.train.fusion import (
    Part,
    answers,
    begin_anew,
    figures,
    fit_face,
    fit_speech,
    train_attention,
    train_fusion,
)
from avemo_ros.train.pairs import draw_pairs, face_bank, speech_bank
from avemo_ros.train.people import Job, Source, describe, describe_parts, read_source
from avemo_ros.train.run import Place, summarise
from avemo_ros.train.start import PARTS, merged, whom_it_saw

FIGURES: Final = "figures.json"
_ATTENTION_VIEWS: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class _Branches:
    """What was trained before."""

    face: LoadedModel
    speech: LoadedModel
    """The one that is released."""
    folds: tuple[tuple[LoadedModel, Path], ...]
    """Those that left out a fold of speakers each, with their run folders."""
    fusion: str
    """One of `network.FUSIONS`."""

    def network(self, fold: int | None) -> EmotionNet:
        """The live network of a fold, None for the final one, with an untrained fusion."""
        face, speech = self.face.model, self.of(fold).model
        assert isinstance(face, FaceModel)
        assert isinstance(speech, SpeechFCN)
        # The layout of the CPU's kernels: several times faster.
        made = EmotionNet(face.branch, speech.branch, self.fusion).eval()
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def of(self, fold: int | None) -> LoadedModel:
        """The speech model of a fold, or the released one."""
        return self.speech if fold is None else self.folds[fold][0]


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """What the fusion learns from."""

    source: Source
    learned: Corpus
    """Faces that the face branch was trained on."""
    faces: tuple[Corpus, ...]
    """Faces that it was not trained on: the share of each fold."""
    voices: tuple[Corpus, ...]
    """Of each fold's speakers."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A fold's model and what it said of label-matched pairs of its fold."""

    network: EmotionNet
    labels: Tensor
    answers: dict[str, Tensor]
    """See `fusion.answers`."""


def train_live(config: TrainConfig, place: Place, *, resume: bool = False) -> dict[str, Any]:
    """Train frame attention, temperatures and fusion, and write the live model.

    Args:
        config: with the group `live`; `data.train` names the data set of the faces and that of
            the voices, `data.validation` the faces that the fusion learns from.
        place: where it reads and writes; computes on the CPU (it takes minutes).
        resume: a finished run is read back instead of refused.

    Returns:
        Figures of each way to answer, from pairs of unheard voices.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: the data or the folds are missing.
        WeightsError: a branch is missing or of another kind.
    """
    branches = _read_branches(config)
    source = read_source(config, place.roots)
    open_run(place.out, config, describe_parts(source), resume=resume)
    if (place.out / FINAL / MODEL_FILE).exists():
        return dict(json.loads((place.out / FIGURES).read_text(encoding="utf-8")))
    data = _read_data(config, source, branches, place)
    seen = _whom_they_saw(config, branches, data)
    torch.manual_seed(config.training.seed)
    final = branches.network(None)
    untrained = copy.deepcopy(final.fusion)
    loss = _attend(final, data.learned, config)
    _say(f"frame attention: loss {loss:.3f}")
    parts = _parts(branches, data, config)
    counts = torch.bincount(_labels(data.learned), minlength=len(EMOTIONS)).float()
    judged = []
    for index, part in enumerate(parts):
        network = branches.network(index)
        _learn(network, untrained, [one for one in parts if one is not part], config)
        judged.append(_judge(network, part, counts, index, config))
    for index, one in enumerate(judged):
        # The temperature, too, is fitted on the other folds.
        temperature = _temperature([other for other in judged if other is not one])
        one.network.fused_temperature.fill_(temperature)
        figures_of_fold = _report([one], temperature)
        _write(one.network, branches, data, index, seen[index], figures_of_fold, config, place)
    _learn(final, untrained, parts, config)
    temperature = _temperature(judged)
    final.fused_temperature.fill_(temperature)
    report = _report(judged, temperature)
    report["temperatures"] |= {
        "face": float(final.face_temperature),
        "speech": float(final.speech_temperature),
    }
    write_text(place.out / FIGURES, json.dumps(report, indent=2) + "\n")
    _write(final, branches, data, None, seen[-1], None, config, place)
    summarise(place.out)
    return report


def _read_branches(config: TrainConfig) -> _Branches:
    if config.model.get("kind", "live") != "live":
        raise ConfigError("model.kind", config.model["kind"], "live, for task live_fusion")
    settings = config.live
    unknown = sorted(set(config.model) - {"kind", "fusion"})
    if unknown:
        raise ConfigError(f"model.{unknown[0]}", config.model[unknown[0]], "kind and fusion")
    fusion = config.model.get("fusion", FUSIONS[0])
    if fusion not in FUSIONS:
        raise ConfigError("model.fusion", fusion, " | ".join(FUSIONS))
    for name in ("face_run", "speech_run"):
        if not getattr(settings, name):
            raise ConfigError(f"live.{name}", "", f"a run folder (--set live.{name}=RUN)")
    face = load_model(find_model(settings.face_run))
    if not isinstance(face.model, FaceModel) or face.model.classes != EMOTIONS:
        raise WeightsError(
            f"{settings.face_run} is '{face.spec.kind}' with {len(face.model.classes)} "
            "classes; the live model takes a face_cnn or inception with 7"
        )
    run = Path(settings.speech_run).expanduser()
    folders = sorted(path for path in run.glob("fold*") if path.is_dir())
    if len(folders) < 2:
        raise DataError(
            f"{run} has {len(folders)} folders fold0/, fold1/, ...: the fusion needs networks "
            "that never heard some of the speakers, two at least"
        )
    speech = _speech(run / FINAL)
    parts = tuple((_speech(path), path) for path in folders)
    return _Branches(face, speech, parts, fusion)


def _speech(run: Path) -> LoadedModel:
    loaded = load_model(find_model(run))
    if not isinstance(loaded.model, SpeechFCN) or len(loaded.model.classes) == len(EMOTIONS):
        raise WeightsError(
            f"{run} is '{loaded.spec.kind}' with {len(loaded.model.classes)} classes; the live "
            "model takes a speech_fcn with 8"
        )
    return loaded


def _read_data(config: TrainConfig, source: Source, branches: _Branches, place: Place) -> _Data:
    made = read_group(PrepareConfig, config.prepare, "prepare")
    corpora = []
    for part, rows in (("faces", "face"), ("speech", "voice")):
        items = [
            item
            for item in source.items
            if (item.has_face and not item.has_voice) == (rows == "face")
        ]
        corpus, _ = prepare(items, made, place.cache, place.workers, frozenset({part}))
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
    return _Data(source, learned, tuple(shares), tuple(unheard))


def _whom_they_saw(
    config: TrainConfig, branches: _Branches, data: _Data
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


def _attend(network: EmotionNet, learned: Corpus, config: TrainConfig) -> float:
    """Train the frame attention on views of some of the faces."""
    seed, settings = config.training.seed, config.live
    chance = torch.Generator().manual_seed(seed)
    some = torch.zeros(len(learned), dtype=torch.bool)
    some[torch.randperm(len(learned), generator=chance)[: settings.attention_faces]] = True
    bank = face_bank(
        network.face, learned.only(some.tolist()), _ATTENTION_VIEWS, 1 + seed, config.augment
    )
    return train_attention(network.face, bank.as_frames(), settings, seed)


def _parts(branches: _Branches, data: _Data, config: TrainConfig) -> list[Part]:
    """Vectors of each fold's share of the faces and of its voices."""
    seed, settings = config.training.seed, config.live
    parts = []
    for index, (faces, voices) in enumerate(zip(data.faces, data.voices, strict=True)):
        network = branches.network(index)
        shown = face_bank(
            network.face,
            faces,
            settings.views,
            20 + seed + index,
            config.augment,
            settings.frames,
        )
        heard = speech_bank(
            network,
            voices,
            settings.views,
            3 + seed + index,
            config.data,
            config.augment,
        )
        parts.append(Part(network, shown, heard))
    return parts


def _learn(
    network: EmotionNet, untrained: nn.Module, parts: Sequence[Part], config: TrainConfig
) -> None:
    """Fit the temperatures of both branches and train the fusion."""
    network.face_temperature.fill_(fit_face(network.face, parts))
    network.speech_temperature.fill_(fit_speech(parts))
    begin_anew(network, untrained)
    train_fusion(network, parts, config.live, config.training.seed)


def _judge(
    network: EmotionNet, part: Part, counts: Tensor, index: int, config: TrainConfig
) -> _Judged:
    """What a fold's model says of pairs that it has learned nothing from."""
    chance = torch.Generator().manual_seed(100 + index + config.training.seed)
    pairs = draw_pairs(part.faces, part.voices, config.live.pairs, chance)
    return _Judged(network, pairs.labels, answers(network, part.listener, pairs, counts))


def _temperature(judged: Sequence[_Judged]) -> float:
    """Of the fused answers of these folds."""
    return fit_temperature(
        torch.cat([one.answers["fused"] for one in judged]),
        torch.cat([one.labels for one in judged]),
    )


def _report(judged: Sequence[_Judged], temperature: float) -> dict[str, Any]:
    """Figures of some folds together, of each way to answer."""
    labels = torch.cat([one.labels for one in judged])
    joined = {
        name: torch.cat([one.answers[name] for one in judged]) for name in judged[0].answers
    }
    share = joined.pop("face share")
    joined["fused, calibrated"] = joined["fused"] / temperature
    report: dict[str, Any] = {name: figures(value, labels) for name, value in joined.items()}
    report["data"] = "label-matched pairs: face and voice are of different people"
    report["temperatures"] = {"fused": temperature}
    report["face share"] = {
        "mean": round(float(share.mean()), 3),
        "percentiles 5, 95": [round(float(share.quantile(q)), 3) for q in (0.05, 0.95)],
    }
    return report


def _write(
    network: EmotionNet,
    branches: _Branches,
    data: _Data,
    fold: int | None,
    seen: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, Any] | None,
    config: TrainConfig,
    place: Place,
) -> None:
    """The run folder of a fold, or the final one."""
    out = place.out / (FINAL if fold is None else f"fold{fold}")
    split, trained_on = _describe(data, fold, seen)
    open_run(out, config, split, resume=True)
    if report is not None:
        fused = report["fused, calibrated"]
        write_log(out, [{"epoch": 1, **{key: fused[key] for key in ("ua", "wa", "nll")}}])
    spec = ModelSpec(
        "live",
        {
            "face": branches.face.spec,
            "speech": branches.of(fold).spec,
            "fusion": branches.fusion,
        },
    )
    about = {"config": config.name, "pairing": "label", TRAINED_ON: json.dumps(trained_on)}
    save_model(LiveModel(network.eval()), spec, out / MODEL_FILE, config.name, about)


def _describe(
    data: _Data, fold: int | None, seen: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """split.json, and whom the model and its branches were trained on.

    The whole has seen the faces that its fusion learned from; its face branch alone has not.
    """
    items = data.source.items
    if fold is None:
        split = describe(data.source, Job(FINAL, _rows(items, None), ~_rows(items, None)))
        return split, {**merged([split["train"], *seen.values()]), PARTS: dict(seen)}
    faces = sorted(item.subject for item in data.faces[fold].items)
    people = {item.subject for item in data.voices[fold].items}.union(faces)
    held = _rows(items, people)
    split = describe(data.source, Job(f"fold{fold}", ~held, held))
    # Too many to be listed otherwise, but a share of a part has no other name.
    split["validation"]["subjects"] = sorted(people)
    split["train"]["but"] = faces
    everybody = merged([split["train"], *seen.values()])
    return split, {**everybody, "but": faces, PARTS: dict(seen)}


def _rows(items: Sequence[Item], people: Set[str] | None) -> NDArray[np.bool_]:
    """(N,) True for items of these people; None: of all."""
    return np.array([people is None or item.subject in people for item in items], bool)


def _labels(corpus: Corpus) -> Tensor:
    return torch.tensor([item.emotion_index for item in corpus.items])


def _say(text: str) -> None:
    print(f"avemo: {text}", file=sys.stderr)
