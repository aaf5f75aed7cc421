"""Train frame attention, temperatures and fusion; `python -m avemo_ros.train.fusion --help`.

The fusion must not learn from voices that the speech branch was trained on: of those it is too
sure.  So it learns from out-of-fold vectors: of each fold's actors, by the network that never
heard them.  To judge it, it is trained without one fold and tested on that fold, whose speech
vectors come from a network it has never met, as will be the case with the released one.
Faces are those of FER2013's PublicTest, divided in four as the actors are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.labels import EMOTIONS, SPEECH_TO_EMOTION
from avemo_ros.model.branch import FaceBranch, SpeechBranch, collapse
from avemo_ros.model.calibration import calibration_error, fit_temperature
from avemo_ros.model.network import EmotionNet
from avemo_ros.train.corpora import RAVDESS_FOLDS
from avemo_ros.train.face import face_logits
from avemo_ros.train.face_data import Faces, load_faces
from avemo_ros.train.loop import averaged_weights
from avemo_ros.train.metrics import accuracy, recalls, unweighted_recall
from avemo_ros.train.pairs import Bank, Pairs, draw_pairs, face_bank, speech_bank
from avemo_ros.train.speech import actor, load_speech

DROPPED: Final = 0.1
"""Share of pairs that lose their face, and as many their voice, while the fusion learns."""
VIEWS: Final = 8
BATCH: Final = 256
STEPS: Final = 150
"""More, and the fusion learns its few voices by heart (600 at twice the
rate: NLL 0.97 instead of 0.73)."""


def train_attention(branch: FaceBranch, faces: Bank, seed: int = 0, steps: int = 300) -> float:
    """Teach the frame attention which views to trust; CNN and head stay as they are.

    Returns:
        Mean loss of the last 50 steps.
    """
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(branch.attention.parameters(), lr=2e-3, weight_decay=1e-2)
    branch.eval()
    losses = []
    for _ in range(steps):
        pairs = draw_pairs(faces, faces, BATCH, chance)
        vector, _ = branch.pool(pairs.faces, pairs.mask)
        loss = functional.cross_entropy(branch.classify(vector), pairs.labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    return sum(losses[-50:]) / len(losses[-50:])


def train_fusion(
    network: EmotionNet,
    heads: Sequence[SpeechBranch],
    faces: Sequence[Bank],
    speech: Sequence[Bank],
    seed: int = 0,
    steps: int = STEPS,
) -> None:
    """Train `network.fusion` in place.

    Args:
        network: its face branch and temperatures are used as they are.
        heads: the speech branch behind each bank.
        faces: banks of faces, one for each of `speech`.
        speech: banks of vectors of actors their branch never heard.
        seed: of all chance.
        steps: batches.
    """
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    fusion = network.fusion.train()
    optimiser = torch.optim.AdamW(fusion.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    for step in range(steps):
        which = step % len(speech)
        pairs = draw_pairs(faces[which], speech[which], BATCH, chance)
        given = evidence(network, heads[which], pairs)
        logits = fusion(*_drop(given, chance)).logits
        loss = functional.cross_entropy(logits, pairs.labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    fusion.eval()


def evidence(
    network: EmotionNet, head: SpeechBranch, pairs: Pairs
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Speech and face vectors and calibrated log-probabilities of pairs."""
    with torch.no_grad():
        face, _ = network.face.pool(pairs.faces, pairs.mask)
        spoken = collapse(head.classify(pairs.speech)) / network.speech_temperature
        return pairs.speech, face, torch.log_softmax(spoken, 1), network.face_log(face)


def _drop(
    given: tuple[Tensor, Tensor, Tensor, Tensor], chance: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Modality dropout: zeros for the vector, no preference among the classes."""
    speech, face, speech_log, face_log = given
    lot = torch.rand(len(speech), 1, generator=chance)
    mute, hidden = lot < DROPPED, lot > 1 - DROPPED
    nothing = torch.full_like(face_log, 1 / len(EMOTIONS)).log()
    return (
        speech.masked_fill(mute, 0.0),
        face.masked_fill(hidden, 0.0),
        torch.where(mute, nothing, speech_log),
        torch.where(hidden, nothing, face_log),
    )


def answers(
    network: EmotionNet, head: SpeechBranch, pairs: Pairs, face_counts: Tensor
) -> dict[str, Tensor]:
    """Logits (B, 7) of each way to answer, and the shares of the face (B,).

    `face_counts` (7,) is how often each emotion is in the face data.
    """
    given = evidence(network, head, pairs)
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
    return {
        "wa": round(accuracy(guessed, labels), 4),
        "ua": round(unweighted_recall(guessed, labels), 4),
        "nll": round(float(functional.cross_entropy(logits, labels)), 4),
        "ece": round(calibration_error(torch.softmax(logits, 1), labels), 4),
        "recall": {
            name: round(float(value), 3)
            for name, value in zip(
                EMOTIONS, recalls(guessed, labels, len(EMOTIONS)), strict=True
            )
        },
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True, help="FER2013 with train/, test/")
    parser.add_argument("--root", type=Path, required=True, help="folder with ravdess/, ...")
    parser.add_argument("--face-run", type=Path, required=True)
    parser.add_argument("--speech-run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--attention-steps", type=int, default=300)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--pairs", type=int, default=3000, help="tested for each fold")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)

    network = EmotionNet().eval()
    network.face.load_state_dict(averaged_weights(given.face_run / "checkpoint.pt"))
    learn = load_faces(given.faces / "train")
    counts = torch.bincount(learn.labels, minlength=len(EMOTIONS)).float()
    some = torch.randperm(len(learn))[:6000]
    learned = face_bank(network.face, Faces(learn.pictures[some], learn.labels[some]), 6, 1)
    loss = train_attention(network.face, learned, given.seed, given.attention_steps)
    print(f"frame attention: loss {loss:.3f}")
    test = load_faces(given.faces / "test")
    single = face_logits(network.face, test)
    temperatures = {"face": fit_temperature(single, test.labels)}
    network.face_temperature.fill_(temperatures["face"])
    faces = face_bank(network.face, test, VIEWS, 2)

    ravdess = load_speech(given.root, ["ravdess"], given.out / "ravdess.pt")
    heads, banks = [], []
    for index, fold in enumerate(RAVDESS_FOLDS):
        head = SpeechBranch().eval()
        head.load_state_dict(
            averaged_weights(given.speech_run / f"fold{index}" / "checkpoint.pt")
        )
        unheard = ravdess.only([actor(item) in fold for item in ravdess.utterances])
        heads.append(head)
        banks.append(speech_bank(head, unheard, VIEWS, 3 + index))
    with torch.no_grad():
        # Undegraded and degraded windows alike: the live system meets both.
        spoken = [
            collapse(head.classify(bank.vectors.flatten(0, 1)))
            for head, bank in zip(heads, banks, strict=True)
        ]
    said = torch.cat([bank.labels.repeat_interleave(VIEWS) for bank in banks])
    temperatures["speech"] = fit_temperature(torch.cat(spoken), said)
    network.speech_temperature.fill_(temperatures["speech"])

    quarter = torch.arange(len(faces)) % len(banks)
    face_banks = [faces.rows(quarter == index) for index in range(len(banks))]
    parts: dict[str, list[Tensor]] = {}
    truth = []
    for index in range(len(banks)):
        others = [i for i in range(len(banks)) if i != index]
        network.fusion.load_state_dict(EmotionNet().fusion.state_dict())
        train_fusion(
            network,
            [heads[i] for i in others],
            [face_banks[i] for i in others],
            [banks[i] for i in others],
            given.seed,
            given.steps,
        )
        chance = torch.Generator().manual_seed(100 + index)
        pairs = draw_pairs(face_banks[index], banks[index], given.pairs, chance)
        truth.append(pairs.labels)
        for name, value in answers(network, heads[index], pairs, counts).items():
            parts.setdefault(name, []).append(value)
    labels = torch.cat(truth)
    joined = {name: torch.cat(values) for name, values in parts.items()}
    temperatures["fused"] = fit_temperature(joined["fused"], labels)
    share = joined.pop("face share")
    joined["fused, calibrated"] = joined["fused"] / temperatures["fused"]
    report: dict[str, object] = {name: figures(value, labels) for name, value in joined.items()}
    report["temperatures"] = temperatures
    report["face share"] = {
        "mean": round(float(share.mean()), 3),
        "percentiles 5, 95": [round(float(share.quantile(q)), 3) for q in (0.05, 0.95)],
    }

    network.fusion.load_state_dict(EmotionNet().fusion.state_dict())
    train_fusion(network, heads, face_banks, banks, given.seed, given.steps)
    torch.save(
        {
            "attention": network.face.attention.state_dict(),
            "fusion": network.fusion.state_dict(),
            "temperatures": temperatures,
        },
        given.out / "fusion.pt",
    )
    (given.out / "figures.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
