"""Trains what joins the branches of the live network: frame attention, gate, pooling, head.

The fusion must not learn from voices that the speech branch was trained on: of those it is too
sure.  So it learns from out-of-fold vectors: of each fold's speakers, by the network that never
heard them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.evaluate.metrics import accuracy, calibration_error, recalls, unweighted_recall
from avemo_ros.labels import EMOTIONS, SPEECH_TO_EMOTION
from avemo_ros.model.calibration import fit_temperature
from avemo_ros.model.face_cnn import FaceBranch
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.unimodal import collapse
from avemo_ros.train.config import LiveConfig
from avemo_ros.train.pairs import Bank, Pairs, draw_pairs


def train_attention(branch: FaceBranch, faces: Bank, settings: LiveConfig, seed: int) -> float:
    """Teach the frame attention which views to trust; CNN and head stay as they are.

    Returns:
        Mean loss of the last 50 steps; NaN without steps, or where the frames have no
        attention that could learn.
    """
    chance = torch.Generator().manual_seed(seed)
    attention = branch.attention
    assert isinstance(attention, nn.Module)
    parameters = list(attention.parameters())
    branch.eval()
    losses: list[float] = []
    if not parameters:
        return float("nan")
    optimiser = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-2)
    for _ in range(settings.attention_steps):
        pairs = draw_pairs(faces, faces, settings.batch, chance)
        vector, _ = branch.pool(pairs.faces, pairs.mask)
        loss = functional.cross_entropy(branch.classify(vector), pairs.labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    return sum(losses[-50:]) / len(losses[-50:]) if losses else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one fold held out."""

    listener: EmotionNet
    """Its speech branch never heard these voices."""
    faces: Bank
    voices: Bank


def fit_face(branch: FaceBranch, parts: Sequence[Part]) -> float:
    """Temperature of the face branch on single faces as they are."""
    plain = torch.cat([part.faces.vectors[:, 0, :1] for part in parts])
    with torch.no_grad():
        logits = branch.classify(branch.pool(plain)[0])
    return fit_temperature(logits, torch.cat([part.faces.labels for part in parts]))


def fit_speech(parts: Sequence[Part]) -> float:
    """Temperature of the speech branch on undegraded and degraded windows alike: the live
    system meets both."""
    spoken, said = [], []
    for part in parts:
        vectors = part.voices.vectors.flatten(1, 2)
        with torch.no_grad():
            spoken.append(_said(part.listener, vectors.flatten(0, 1)))
        said.append(part.voices.labels.repeat_interleave(vectors.shape[1]))
    return fit_temperature(torch.cat(spoken), torch.cat(said))


def train_fusion(
    network: EmotionNet, parts: Sequence[Part], settings: LiveConfig, seed: int
) -> None:
    """Train `network.fusion` in place.

    Args:
        network: its face branch and temperatures are used as they are.
        parts: what it learns from.
        settings: steps, rate, modality dropout.
        seed: of all chance.
    """
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    fusion = network.fusion.train()
    optimiser = torch.optim.AdamW(
        fusion.parameters(), lr=settings.rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=settings.steps
    )
    for step in range(settings.steps):
        part = parts[step % len(parts)]
        pairs = draw_pairs(part.faces, part.voices, settings.batch, chance)
        pairs = mismatched(pairs, settings.mismatch, chance)
        given = _temper(evidence(network, part.listener, pairs), settings.tempering, chance)
        logits = fusion(*_drop(given, settings.modality_dropout, chance)).logits
        loss = functional.cross_entropy(logits, pairs.labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    fusion.eval()


def begin_anew(network: EmotionNet, untrained: nn.Module) -> None:
    """Give the fusion its first weights again."""
    network.fusion.load_state_dict(copy.deepcopy(untrained.state_dict()))


def evidence(
    network: EmotionNet, listener: EmotionNet, pairs: Pairs
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Speech and face vectors and calibrated log-probabilities of pairs."""
    with torch.no_grad():
        face, _ = network.face.pool(pairs.faces, pairs.mask)
        spoken = _said(listener, pairs.speech) / network.speech_temperature
        return pairs.speech, face, torch.log_softmax(spoken, 1), network.face_log(face)


def _said(listener: EmotionNet, heard: Tensor) -> Tensor:
    """Logits (B, 7), not calibrated, of what its `listen` gave."""
    return collapse(listener.speech.classify(heard[:, : listener.speech.width]))


def mismatched(pairs: Pairs, share: float, chance: torch.Generator) -> Pairs:
    """Some rows show the face of another row, whatever it feels: the faces of people who talk
    are misread more often than pictures."""
    if share == 0.0:
        return pairs
    count = len(pairs.labels)
    rows = torch.arange(count)
    other = torch.rand(count, generator=chance) < share
    rows[other] = torch.randint(0, count, (int(other.sum()),), generator=chance)
    return replace(pairs, faces=pairs.faces[rows], mask=pairs.mask[rows])


def _temper(
    given: tuple[Tensor, Tensor, Tensor, Tensor], deviation: float, chance: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The face is more or less sure of the same than it was."""
    speech, face, speech_log, face_log = given
    lot = torch.randn(len(face_log), 1, generator=chance)
    tempered = torch.log_softmax(face_log * torch.exp(deviation * lot), 1)
    return speech, face, speech_log, tempered


def _drop(
    given: tuple[Tensor, Tensor, Tensor, Tensor], share: float, chance: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Modality dropout: zeros for the vector, no preference among the classes."""
    speech, face, speech_log, face_log = given
    lot = torch.rand(len(speech), 1, generator=chance)
    mute, hidden = lot < share, lot > 1 - share
    nothing = torch.full_like(face_log, 1 / len(EMOTIONS)).log()
    return (
        speech.masked_fill(mute, 0.0),
        face.masked_fill(hidden, 0.0),
        torch.where(mute, nothing, speech_log),
        torch.where(hidden, nothing, face_log),
    )


def answers(
    network: EmotionNet, listener: EmotionNet, pairs: Pairs, face_counts: Tensor
) -> dict[str, Tensor]:
    """Logits (B, 7) of each way to answer, and the shares of the face (B,).

    `face_counts` (7,) is how often each emotion is in the face data.
    """
    given = evidence(network, listener, pairs)
    with torch.no_grad():
        fused = network.fusion(*given)
    total = given[2] + given[3]
    return {
        "fused": fused.logits,
        "face": given[3],
        "voice": given[2],
        "sum of log-probabilities": total,
        "the same without the priors": total - _log_priors(face_counts),
        "face share": fused.face_share,
    }


def _log_priors(face_counts: Tensor) -> Tensor:
    """(7,) what both branches think of an emotion before they see and hear anything.

    Pairs have all emotions alike often, pictures have not, and calm is a second neutral.
    """
    spoken = torch.zeros(len(EMOTIONS))
    spoken.index_add_(0, torch.tensor(SPEECH_TO_EMOTION), torch.ones(len(SPEECH_TO_EMOTION)))
    return torch.log(spoken / spoken.sum()) + torch.log(face_counts / face_counts.sum())


def figures(logits: Tensor, labels: Tensor) -> dict[str, object]:
    """Figures of the protocol for one set of logits."""
    guessed = logits.argmax(1)
    found = recalls(guessed, labels, len(EMOTIONS)).tolist()
    return {
        "wa": round(accuracy(guessed, labels), 4),
        "ua": round(unweighted_recall(guessed, labels), 4),
        "nll": round(float(functional.cross_entropy(logits, labels)), 4),
        "ece": round(calibration_error(torch.softmax(logits, 1), labels), 4),
        "recall": {name: round(value, 3) for name, value in zip(EMOTIONS, found, strict=True)},
    }
