"""The task `live_fusion`: a trained face branch and a trained speech branch become the model
that the robot runs.

What is paired are the faces held out from the face run's training (`data.validation`) and the
voices of the speech run's folds, each voice by the network that never heard its speaker.  To
judge the fusion, it is trained without one fold and tested on that fold, whose speech vectors
come from a network it has never met, as will be the case with the released one.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from avemo_ros.data.features import Corpus
from avemo_ros.data.prepare import PrepareConfig, prepare
from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.evaluate.held_out import read_split
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.branch import SpeechBranch, collapse
from avemo_ros.model.bundle import MODEL_FILE, LoadedModel, find_model, load_model, save_model
from avemo_ros.model.calibration import fit_temperature
from avemo_ros.model.frame_models import FaceModel
from avemo_ros.model.live import LiveModel
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.spec import ModelSpec
from avemo_ros.model.speech_fcn import SpeechFCN
from avemo_ros.train.checkpoint import open_run, write_log, write_text
from avemo_ros.train.config import FINAL, TrainConfig, read_group
from avemo_ros.train.fusion import (
    answers,
    begin_anew,
    figures,
    train_attention,
    train_fusion,
)
from avemo_ros.train.pairs import Bank, draw_pairs, face_bank, speech_bank
from avemo_ros.train.people import Source, describe_parts, read_source
from avemo_ros.train.run import Place

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

    def network(self) -> EmotionNet:
        """The live network with an untrained fusion."""
        face, speech = self.face.model, self.speech.model
        assert isinstance(face, FaceModel)
        assert isinstance(speech, SpeechFCN)
        return EmotionNet(face.branch, speech.branch).eval()

    def heads(self) -> list[SpeechBranch]:
        """The speech branch of each fold."""
        made = []
        for loaded, _ in self.folds:
            assert isinstance(loaded.model, SpeechFCN)
            made.append(loaded.model.branch)
        return made


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """What the fusion learns from."""

    learned: Corpus
    """Faces that the face branch was trained on."""
    faces: Corpus
    """Faces that it was not trained on."""
    voices: tuple[Corpus, ...]
    """Of each fold's speakers."""


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
    seed, settings = config.training.seed, config.live
    branches = _read_branches(config)
    source = read_source(config, place.roots)
    open_run(place.out, config, describe_parts(source), resume=resume)
    if (place.out / MODEL_FILE).exists():
        return dict(json.loads((place.out / FIGURES).read_text(encoding="utf-8")))
    data = _read_data(config, source, branches, place)
    torch.manual_seed(seed)
    network = branches.network()
    for module in (network, *branches.heads()):
        # The layout of the CPU's kernels: several times faster.
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    untrained = copy.deepcopy(network.fusion)
    loss = _attend(network, data.learned, config)
    _say(f"frame attention: loss {loss:.3f}")
    temperatures = {"face": _fit_face(network, data.faces, config)}
    network.face_temperature.fill_(temperatures["face"])
    faces = face_bank(network.face, data.faces, settings.views, 2 + seed, config.augment)
    heads = branches.heads()
    voices = [
        speech_bank(head, corpus, settings.views, 3 + seed + index, config.data, config.augment)
        for index, (head, corpus) in enumerate(zip(heads, data.voices, strict=True))
    ]
    temperatures["speech"] = _fit_speech(heads, voices)
    network.speech_temperature.fill_(temperatures["speech"])
    part = torch.arange(len(faces)) % len(voices)
    face_parts = [faces.rows(part == index) for index in range(len(voices))]
    counts = torch.bincount(_labels(data.learned), minlength=len(EMOTIONS)).float()
    report = _judge(network, untrained, heads, face_parts, voices, counts, config)
    network.fused_temperature.fill_(report["temperatures"]["fused"])
    report["temperatures"].update(temperatures)
    begin_anew(network, untrained)
    train_fusion(network, heads, face_parts, voices, settings, seed)
    _write(network.eval(), branches, source, report, config, place.out)
    return report


def _read_branches(config: TrainConfig) -> _Branches:
    if config.model.get("kind", "live") != "live":
        raise ConfigError("model.kind", config.model["kind"], "live, for task live_fusion")
    settings = config.live
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
    return _Branches(face, speech, tuple((_speech(path), path) for path in folders))


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
    unheard = []
    for _, folder in branches.folds:
        inside = {item.subject for item in read_split(folder).held_out(voices.items)}
        if not inside:
            raise DataError(f"nobody whom {folder} held out is among the voices at hand")
        unheard.append(voices.only([item.subject in inside for item in voices.items]))
    return _Data(faces.only([not one for one in held]), faces.only(held), tuple(unheard))


def _attend(network: EmotionNet, learned: Corpus, config: TrainConfig) -> float:
    """Train the frame attention on views of some of the faces."""
    seed, settings = config.training.seed, config.live
    chance = torch.Generator().manual_seed(seed)
    some = torch.zeros(len(learned), dtype=torch.bool)
    some[torch.randperm(len(learned), generator=chance)[: settings.attention_faces]] = True
    bank = face_bank(
        network.face, learned.only(some.tolist()), _ATTENTION_VIEWS, 1 + seed, config.augment
    )
    return train_attention(network.face, bank, settings, seed)


def _fit_face(network: EmotionNet, faces: Corpus, config: TrainConfig) -> float:
    """Temperature of the face branch on single faces as they are."""
    plain = face_bank(network.face, faces, 1, 0, config.augment)
    with torch.no_grad():
        pooled, _ = network.face.pool(plain.vectors)
        return fit_temperature(network.face.classify(pooled), plain.labels)


def _fit_speech(heads: Sequence[SpeechBranch], voices: Sequence[Bank]) -> float:
    """Temperature of the speech branch on undegraded and degraded windows alike: the live
    system meets both."""
    with torch.no_grad():
        spoken = [
            collapse(head.classify(bank.vectors.flatten(0, 1)))
            for head, bank in zip(heads, voices, strict=True)
        ]
    said = [bank.labels.repeat_interleave(bank.vectors.shape[1]) for bank in voices]
    return fit_temperature(torch.cat(spoken), torch.cat(said))


def _judge(
    network: EmotionNet,
    untrained: nn.Module,
    heads: Sequence[SpeechBranch],
    faces: Sequence[Bank],
    voices: Sequence[Bank],
    counts: Tensor,
    config: TrainConfig,
) -> dict[str, Any]:
    """Figures of each fold by a fusion trained on the other folds."""
    seed, settings = config.training.seed, config.live
    parts: dict[str, list[Tensor]] = {}
    truth = []
    for index, head in enumerate(heads):
        others = [other for other in range(len(heads)) if other != index]
        begin_anew(network, untrained)
        train_fusion(
            network,
            [heads[other] for other in others],
            [faces[other] for other in others],
            [voices[other] for other in others],
            settings,
            seed,
        )
        chance = torch.Generator().manual_seed(100 + index + seed)
        pairs = draw_pairs(faces[index], voices[index], settings.pairs, chance)
        truth.append(pairs.labels)
        for name, value in answers(network, head, pairs, counts).items():
            parts.setdefault(name, []).append(value)
    labels = torch.cat(truth)
    joined = {name: torch.cat(values) for name, values in parts.items()}
    temperature = fit_temperature(joined["fused"], labels)
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
    source: Source,
    report: dict[str, Any],
    config: TrainConfig,
    out: Path,
) -> None:
    write_text(out / FIGURES, json.dumps(report, indent=2) + "\n")
    fused = report["fused, calibrated"]
    shown = {key: fused[key] for key in ("ua", "wa", "nll")}
    write_log(out, [{"epoch": 1, **shown}])
    spec = ModelSpec("live", {"face": branches.face.spec, "speech": branches.speech.spec})
    about = {
        "config": config.name,
        "pairing": "label",
        "trained_on": json.dumps(describe_parts(source)["train"]),
    }
    save_model(LiveModel(network), spec, out / MODEL_FILE, config.name, about)


def _labels(corpus: Corpus) -> Tensor:
    return torch.tensor([item.emotion_index for item in corpus.items])


def _say(text: str) -> None:
    print(f"avemo: {text}", file=sys.stderr)
