"""The task `live_fusion`: a trained face branch and a trained speech branch become the model
that the robot runs.

With `data.pairing: none`, face and voice are of one recording.  With `data.pairing: label`, the
faces held out from the face run's training (`data.validation`) are paired with the voices, and
each fold has a share of these faces of its own.

Either way, each voice is heard by the network of the fold that left out its speaker.  The live
model of a fold joins the speech network of the fold by a fusion that learned from the other
folds, whose speech networks are other ones: as the fusion of the final model meets a speech
network that it was not trained with.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus
from avemo_ros.data.splits import TRAINED_ON
from avemo_ros.evaluate.metrics import fit_temperature
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.train.fusion_training import (
    HeldOutFold,
    begin_anew,
    embed_face_views,
    embed_speech_windows,
    fit_face,
    fit_landmark_weight,
    fit_landmarks,
    fit_speech,
    fusion_metrics,
    fusion_outputs,
    landmark_views,
    train_attention,
    train_fusion,
)
from avemo_ros.train.live_data import (
    Branches,
    LiveData,
    read_branches,
    read_live_data,
    whom_they_saw,
)
from avemo_ros.train.pretrained import PARTS, merged
from avemo_ros.train.run_folder import open_run, write_log, write_text
from avemo_ros.train.subject_split import SplitJob, describe, describe_parts, read_source
from avemo_ros.train.training_config import FINAL, TrainConfig
from avemo_ros.train.training_run import Place, summarise
from avemo_ros.untrusted import say
from avemo_ros.zoo.model_file import MODEL_FILE, save_model

FIGURES: Final = "figures.json"
_ATTENTION_VIEWS: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A fold's model and its predictions for label-matched pairs of its fold."""

    network: EmotionNet
    labels: Tensor
    answers: dict[str, Tensor]
    """See `fusion.answers`."""


def train_live(config: TrainConfig, place: Place, *, resume: bool = False) -> dict[str, Any]:
    """Train frame attention, temperatures and fusion, and write the live model.

    Args:
        config: with the group `live`; `data.train` names the data set of recordings with face
            and voice, or with `pairing: label` that of the faces and that of the voices;
            `data.validation` then names the faces that the fusion learns from.
        place: where it reads and writes; computes on the CPU (it takes minutes).
        resume: a finished run is read back instead of refused.

    Returns:
        Figures of each way to answer, from pairs of unheard voices.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: the data or the folds are missing.
        WeightsError: a branch is missing or of another kind.
    """
    branches = read_branches(config)
    source = read_source(config, place.roots)
    open_run(place.out, config, describe_parts(source), resume=resume)
    if (place.out / FINAL / MODEL_FILE).exists():
        return dict(json.loads((place.out / FIGURES).read_text(encoding="utf-8")))
    data = read_live_data(config, source, branches, place)
    seen = whom_they_saw(config, branches, data)
    torch.manual_seed(config.training.seed)
    final = branches.network(None)
    untrained = copy.deepcopy(final.fusion)
    loss = _attend(final, data.learned, config)
    _say(f"frame attention: loss {loss:.3f}")
    parts = _parts(branches, data, config)
    counts = None
    if not data.together:
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
        figures_of_fold = _report([one], temperature, together=data.together)
        _write(one.network, branches, data, index, seen[index], figures_of_fold, config, place)
    _learn(final, untrained, parts, config)
    temperature = _temperature(judged)
    final.fused_temperature.fill_(temperature)
    report = _report(judged, temperature, together=data.together)
    report["temperatures"] |= {
        "face": float(final.face_temperature),
        "speech": float(final.speech_temperature),
    }
    write_text(place.out / FIGURES, json.dumps(report, indent=2) + "\n")
    _write(final, branches, data, None, seen[-1], None, config, place)
    summarise(place.out)
    return report


def _attend(network: EmotionNet, learned: Corpus, config: TrainConfig) -> float:
    """Train the frame attention on views of some of the faces; without any that the face
    branch was trained on, it stays as it is."""
    if not len(learned):
        return float("nan")
    seed, settings = config.training.seed, config.live
    chance = torch.Generator().manual_seed(seed)
    some = torch.zeros(len(learned), dtype=torch.bool)
    some[torch.randperm(len(learned), generator=chance)[: settings.attention_faces]] = True
    bank = embed_face_views(
        network.face, learned.only(some.tolist()), _ATTENTION_VIEWS, 1 + seed, config.augment
    )
    return train_attention(network.face, bank.as_frames(), settings, seed)


def _parts(branches: Branches, data: LiveData, config: TrainConfig) -> list[HeldOutFold]:
    """Vectors of each fold's share of the faces and of its voices."""
    seed, settings = config.training.seed, config.live
    parts = []
    for index, (faces, voices) in enumerate(zip(data.faces, data.voices, strict=True)):
        network = branches.network(index)
        shown = embed_face_views(
            network.face,
            faces,
            settings.views,
            20 + seed + index,
            config.augment,
            settings.frames,
        )
        heard, spans = embed_speech_windows(
            network,
            voices,
            settings.views,
            3 + seed + index,
            config.data,
            config.augment,
        )
        moved = None
        if network.landmarks is not None:
            how = config.augment.landmarks
            moved = landmark_views(network, voices, spans, 40 + seed + index, how)
        parts.append(HeldOutFold(network, shown, heard, data.together, moved))
    return parts


def _learn(
    network: EmotionNet,
    untrained: nn.Module,
    parts: Sequence[HeldOutFold],
    config: TrainConfig,
) -> None:
    """Fit the temperatures of the branches and train what joins them."""
    network.face_temperature.fill_(fit_face(network.face, parts))
    network.speech_temperature.fill_(fit_speech(parts))
    if network.landmarks is not None:
        network.landmark_temperature.fill_(fit_landmarks(parts))
        network.landmark_weight.data.fill_(fit_landmark_weight(network, parts))
    begin_anew(network, untrained)
    train_fusion(network, parts, config.live, config.training.seed)


def _judge(
    network: EmotionNet,
    part: HeldOutFold,
    counts: Tensor | None,
    index: int,
    config: TrainConfig,
) -> _Judged:
    """What a fold's model says of pairs that it has learned nothing from."""
    chance = torch.Generator().manual_seed(100 + index + config.training.seed)
    pairs = part.draw(config.live.pairs, chance)
    return _Judged(network, pairs.labels, fusion_outputs(network, part.listener, pairs, counts))


def _temperature(judged: Sequence[_Judged]) -> float:
    """Of the fused answers of these folds."""
    return fit_temperature(
        torch.cat([one.answers["fused"] for one in judged]),
        torch.cat([one.labels for one in judged]),
    )


def _report(judged: Sequence[_Judged], temperature: float, *, together: bool) -> dict[str, Any]:
    """Figures of some folds together, of each way to answer."""
    labels = torch.cat([one.labels for one in judged])
    joined = {
        name: torch.cat([one.answers[name] for one in judged]) for name in judged[0].answers
    }
    share = joined.pop("face share")
    joined["fused, calibrated"] = joined["fused"] / temperature
    report: dict[str, Any] = {
        name: fusion_metrics(value, labels) for name, value in joined.items()
    }
    report["data"] = (
        "face and voice of the same recordings"
        if together
        else "label-matched pairs: face and voice are of different people"
    )
    report["temperatures"] = {"fused": temperature}
    report["face share"] = {
        "mean": round(float(share.mean()), 3),
        "percentiles 5, 95": [round(float(share.quantile(q)), 3) for q in (0.05, 0.95)],
    }
    return report


def _write(
    network: EmotionNet,
    branches: Branches,
    data: LiveData,
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
            "landmarks": branches.landmarks[-1][0].spec if branches.landmarks else None,
        },
    )
    about = {
        "config": config.name,
        "pairing": config.data.pairing,
        TRAINED_ON: json.dumps(trained_on),
    }
    save_model(LiveModel(network.eval()), spec, out / MODEL_FILE, config.name, about)


def _describe(
    data: LiveData, fold: int | None, seen: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """split.json, and whom the model and its branches were trained on.

    The whole has seen the faces that its fusion learned from; its face branch alone has not.
    """
    items = data.source.items
    if fold is None:
        split = describe(data.source, SplitJob(FINAL, _rows(items, None), ~_rows(items, None)))
        return split, {**merged([split["train"], *seen.values()]), PARTS: dict(seen)}
    faces = sorted({item.subject for item in data.faces[fold].items})
    people = {item.subject for item in data.voices[fold].items}.union(faces)
    held = _rows(items, people)
    split = describe(data.source, SplitJob(f"fold{fold}", ~held, held))
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
    say(f"avemo: {text}", file=sys.stderr)
