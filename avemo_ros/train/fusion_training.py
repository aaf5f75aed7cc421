"""Trains what joins the branches of the live network: frame attention, temperatures, fusion.

Faces and voices are those of one recording, or of different people with the same label.  The
speech branch is too sure of voices that it was trained on.  So the fusion learns from
out-of-fold vectors: of each fold's speakers, by the network that never heard them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from avemo_ros.data.features import Corpus
from avemo_ros.errors import DataError
from avemo_ros.evaluate.metrics import (
    accuracy,
    calibration_error,
    fit_temperature,
    recalls,
    unweighted_recall,
)
from avemo_ros.labels import EMOTIONS, SPEECH_TO_EMOTION
from avemo_ros.model.emotion_model import Batch, to_emotion_logits
from avemo_ros.model.face_cnn import FaceBranch
from avemo_ros.model.face_points import LEAST_FRAMES
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.preprocess import relative, standardise
from avemo_ros.train import augmentation
from avemo_ros.train.sample_bank import COLUMNS_A_SECOND, FaceBank, PointBank, SpeechBank
from avemo_ros.train.training_batch import NEVER
from avemo_ros.train.training_config import (
    AugmentConfig,
    DataConfig,
    FaceAugment,
    LandmarkAugment,
    LiveConfig,
)

_FACES: Final = 128
_VOICES: Final = 64
_PAIRS: Final = 3000
_PLAIN: Final = FaceAugment(probability=0.0)


@dataclass(frozen=True, slots=True)
class EmbeddingBank:
    """Vectors of N items in several views; view 0 is not degraded."""

    vectors: Tensor
    """(N, views, frames, width): the frames of a view are degraded alike.  Of voices there is
    one frame, the window."""
    labels: Tensor
    """(N,) index in EMOTIONS."""

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, keep: Tensor) -> EmbeddingBank:
        """The items that `keep` (indices or bool) picks."""
        return EmbeddingBank(self.vectors[keep], self.labels[keep])

    def as_frames(self) -> EmbeddingBank:
        """Every view as a frame of one view: frames that are degraded each in its own way."""
        return EmbeddingBank(self.vectors.flatten(1, 2).unsqueeze(1), self.labels)


@dataclass(frozen=True, slots=True)
class Pairs:
    """B pairs."""

    faces: Tensor
    """(B, frames, face width)."""
    mask: Tensor
    """(B, frames) bool: frames that are there."""
    speech: Tensor
    """(B, speech width)."""
    labels: Tensor
    """(B,) index in EMOTIONS."""
    landmarks: LandmarkViews | None = None
    """Of (B,), of the one who speaks."""


def embed_face_views(
    branch: FaceBranch,
    corpus: Corpus,
    views: int,
    seed: int,
    how: AugmentConfig,
    frames: int = 1,
) -> EmbeddingBank:
    """Each face as it is and in `views - 1` degraded views; of a clip other frames each."""
    chance = torch.Generator().manual_seed(seed)
    lots = np.random.default_rng(seed)
    side = branch.cnn.side
    bank = FaceBank(corpus.features, side)
    rows = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in _starts(len(corpus), _FACES, "face views"):
            items = list(range(start, min(start + _FACES, len(corpus))))
            vectors = []
            # One view at a time in the layout of the CPU's kernels: several times faster.
            for view in range(views):
                middle = view == 0
                images = bank.pick(items, _frames(bank, items, frames, lots, middle))
                shown = augmentation.degrade_faces(
                    images, chance, _PLAIN if view == 0 else how.face, side
                )
                given = standardise(shown.flatten(0, 1))
                embedded = branch.cnn(given.contiguous(memory_format=torch.channels_last))
                vectors.append(embedded.view(len(items), frames, -1))
            rows.append(torch.stack(vectors, 1).float())
    return EmbeddingBank(torch.cat(rows).clone(), _emotions(corpus))


def embed_speech_windows(
    network: EmotionNet,
    corpus: Corpus,
    views: int,
    seed: int,
    data: DataConfig,
    how: AugmentConfig,
) -> tuple[EmbeddingBank, NDArray[np.float64]]:
    """The window in the middle of each utterance, and `views - 1` degraded ones.

    Returns:
        Vectors, and from when to when each window is (N, views, 2) [s].
    """
    chance = torch.Generator().manual_seed(seed)
    bank = SpeechBank(corpus.features)
    shortest, longest, middle = (
        round(seconds * COLUMNS_A_SECOND)
        for seconds in (data.window_low_s, data.window_high_s, data.window_s)
    )
    rows, spans = [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in _starts(len(corpus), _VOICES, "speech views"):
            items = list(range(start, min(start + _VOICES, len(corpus))))
            places = [bank.middle(item, middle) for item in items]
            shown = [bank.windows(items, places, middle)]
            when = [_spans(places, middle)]
            for _ in range(views - 1):
                columns = int(torch.randint(shortest, longest + 1, (1,), generator=chance))
                lots = torch.rand(len(items), generator=chance).tolist()
                places = [
                    bank.start(item, columns, lot)
                    for item, lot in zip(items, lots, strict=True)
                ]
                cut = bank.windows(items, places, columns)
                when.append(_spans(places, columns))
                shown.append(augmentation.degrade_speech(cut, chance, how.speech))
            vectors = [
                network.encode_audio(
                    relative(view.unsqueeze(1)).contiguous(memory_format=torch.channels_last)
                )
                for view in shown
            ]
            rows.append(torch.stack(vectors, 1).unsqueeze(2).float())
            spans.append(np.stack(when, 1))
    bank_of_vectors = EmbeddingBank(torch.cat(rows).clone(), _emotions(corpus))
    return bank_of_vectors, np.concatenate(spans)


def _spans(places: Sequence[int], columns: int) -> NDArray[np.float64]:
    """(N, 2) from when to when windows of speech are [s]."""
    begin = np.array(places, np.float64) / COLUMNS_A_SECOND
    return np.stack((begin, begin + columns / COLUMNS_A_SECOND), 1)


@dataclass(frozen=True, slots=True)
class LandmarkViews:
    """What the landmarks show while windows of speech are heard."""

    logits: Tensor
    """(..., 7) over EMOTIONS, not calibrated."""
    trust: Tensor
    """(...) how well the resting face of the person is known, 0 to 1; 0 where there are too
    few frames."""


def landmark_views(
    network: EmotionNet,
    corpus: Corpus,
    spans: NDArray[np.float64],
    seed: int,
    how: LandmarkAugment,
) -> LandmarkViews:
    """What the landmarks show: of the first view with the resting face, of the others with
    more or less of it.

    Args:
        network: with the landmark network that has not seen these people.
        corpus: N items with points, or some without.
        spans: (N, views, 2) [s].
        seed: of all chance.
        how: what changes the sequences of all views but the first.

    Returns:
        Of (N, views).
    """
    landmarks = network.landmarks
    assert landmarks is not None
    chance, numbers = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    bank, rows = PointBank(corpus), list(range(len(corpus)))
    resting, plain = bank.resting(rows), LandmarkAugment(tempo=0, thin=0)
    logits, trusts = [], []
    for view in range(spans.shape[1]):
        lots = numbers.random((len(rows), PointBank.LOTS))
        when = [(float(begin), float(end)) for begin, end in spans[:, view]]
        points, mask = bank.pick(rows, when, lots, how if view else plain)
        trust = torch.from_numpy(lots[:, 5] if view else np.ones(len(rows))).float()
        points = landmarks.standardisation.at_rest(points, resting, trust)
        given = {"points": points, "points_mask": mask}
        if view:
            still = torch.zeros_like(resting)
            given = augmentation.degrade_points(points, mask, still, chance, how)
        with torch.inference_mode():
            shown = landmarks(Batch(**given)).logits
        logits.append(shown if shown.shape[1] == len(EMOTIONS) else to_emotion_logits(shown))
        trusts.append(trust * (mask.sum(1) >= LEAST_FRAMES))
    return LandmarkViews(torch.stack(logits, 1).clone(), torch.stack(trusts, 1).clone())


def draw_pairs(
    faces: EmbeddingBank,
    speech: EmbeddingBank,
    size: int,
    chance: torch.Generator,
    *,
    together: bool = False,
    landmarks: LandmarkViews | None = None,
) -> Pairs:
    """Random pairs: emotions alike frequent, some frames of any view of a face, and any view of
    a voice.

    Args:
        faces: of N items.
        speech: of M items; with `together` of the same ones, in the same order.
        size: number of pairs.
        chance: source of chance.
        together: face and voice of a pair are of one item; else they are matched by label.
        landmarks: of (M, views), of those who speak.

    Raises:
        DataError: an emotion has no face or no voice (not with `together`: data sets lack
            some).
    """
    if together:
        known = torch.unique(speech.labels)
        labels = known[torch.randint(0, len(known), (size,), generator=chance)]
        which_speech = _pick(speech.labels, labels, "voice", chance)
        which_face = which_speech
    else:
        labels = torch.randint(0, len(EMOTIONS), (size,), generator=chance)
        which_face = _pick(faces.labels, labels, "face", chance)
        which_speech = _pick(speech.labels, labels, "voice", chance)
    views, frames = faces.vectors.shape[1:3]
    view = torch.randint(0, views, (size, 1), generator=chance)
    order = torch.rand(size, frames, generator=chance).argsort(1)
    present = torch.randint(1, frames + 1, (size, 1), generator=chance)
    window = torch.randint(0, speech.vectors.shape[1], (size,), generator=chance)
    return Pairs(
        faces.vectors[which_face[:, None], view, order],
        torch.arange(frames) < present,
        speech.vectors[which_speech, window, 0],
        labels,
        None
        if landmarks is None
        else LandmarkViews(
            landmarks.logits[which_speech, window], landmarks.trust[which_speech, window]
        ),
    )


def _pick(have: Tensor, want: Tensor, what: str, chance: torch.Generator) -> Tensor:
    """For each wanted label the index of a random item that has it."""
    picked = torch.empty_like(want)
    for label in sorted(set(want.tolist())):
        places = torch.nonzero(have == label).flatten()
        if len(places) == 0:
            raise DataError(f"no {what} is labelled {EMOTIONS[label]}, so no pairs can be made")
        rows = want == label
        chosen = torch.randint(0, len(places), (int(rows.sum()),), generator=chance)
        picked[rows] = places[chosen]
    return picked


def _frames(
    bank: FaceBank, items: list[int], frames: int, lots: np.random.Generator, middle: bool
) -> NDArray[np.int64]:
    """(B, frames) of each item: in the middle of its equal parts, or random ones."""
    counts = np.array([[bank.count(item)] for item in items])
    places = np.tile((np.arange(frames) + 0.5) / frames, (len(items), 1))
    where = places if middle else lots.random(places.shape)
    return np.asarray(np.floor(where * counts), np.int64)


def _emotions(corpus: Corpus) -> Tensor:
    return torch.tensor([item.emotion_index for item in corpus.items])


def _starts(count: int, size: int, what: str) -> tqdm[int]:
    return tqdm(range(0, count, size), desc=what, unit="batch", mininterval=1, leave=False)


def train_attention(
    branch: FaceBranch, faces: EmbeddingBank, settings: LiveConfig, seed: int
) -> float:
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
class HeldOutFold:
    """What one fold held out."""

    listener: EmotionNet
    """Its speech branch never heard these voices."""
    faces: EmbeddingBank
    voices: EmbeddingBank
    together: bool = False
    """Faces and voices are of the same items, in the same order."""
    landmarks: LandmarkViews | None = None
    """Of (M, views), of the voices' people."""

    def draw(self, size: int, chance: torch.Generator) -> Pairs:
        """Random pairs of this fold, see `draw_pairs`."""
        return draw_pairs(
            self.faces,
            self.voices,
            size,
            chance,
            together=self.together,
            landmarks=self.landmarks,
        )


def fit_face(branch: FaceBranch, parts: Sequence[HeldOutFold]) -> float:
    """Temperature of the face branch on single faces as they are."""
    plain = torch.cat([part.faces.vectors[:, 0] for part in parts])
    frames = plain.shape[1]
    with torch.no_grad():
        logits = branch.classify(branch.pool(plain.flatten(0, 1).unsqueeze(1))[0])
    labels = torch.cat([part.faces.labels for part in parts])
    return fit_temperature(logits, labels.repeat_interleave(frames))


def fit_speech(parts: Sequence[HeldOutFold]) -> float:
    """Temperature of the speech branch on undegraded and degraded windows alike: the live
    system meets both."""
    spoken, labels = [], []
    for part in parts:
        vectors = part.voices.vectors.flatten(1, 2)
        with torch.no_grad():
            spoken.append(_voice_logits(part.listener, vectors.flatten(0, 1)))
        labels.append(part.voices.labels.repeat_interleave(vectors.shape[1]))
    return fit_temperature(torch.cat(spoken), torch.cat(labels))


def fit_landmarks(parts: Sequence[HeldOutFold]) -> float:
    """Temperature of the landmark network on all views alike."""
    given, labels = [], []
    for part in parts:
        assert part.landmarks is not None
        there = part.landmarks.trust > 0
        given.append(part.landmarks.logits[there])
        labels.append(part.voices.labels.unsqueeze(1).expand_as(there)[there])
    return fit_temperature(torch.cat(given), torch.cat(labels))


def fit_landmark_weight(network: EmotionNet, parts: Sequence[HeldOutFold]) -> float:
    """How much the landmarks count beside single images of other faces with the same label;
    the temperatures come first.

    Args:
        network: with landmarks.
        parts: what is learned from.

    Returns:
        The weight, 0 to 1, of a grid with the least mean negative log-likelihood.  No more: the
        robot's points are worse than those that are learned from.
    """
    chance = torch.Generator().manual_seed(0)
    images, moved, labels = [], [], []
    for part in parts:
        pairs = part.draw(_PAIRS, chance)
        assert pairs.landmarks is not None
        with torch.no_grad():
            images.append(network.face_log(network.face.pool(pairs.faces, pairs.mask)[0]))
            moved.append(_landmark_log(network, pairs.landmarks))
        labels.append(pairs.labels)
    face, landmarks, wanted = torch.cat(images), torch.cat(moved), torch.cat(labels)
    return min(
        (step / 20 for step in range(21)),
        key=lambda weight: float(functional.cross_entropy(face + weight * landmarks, wanted)),
    )


def _landmark_log(network: EmotionNet, landmarks: LandmarkViews) -> Tensor:
    """Calibrated log-probabilities (B, 7) times how far each is trusted."""
    log = network.landmark_log(landmarks.logits)
    return (log * landmarks.trust.unsqueeze(-1)).detach()


def train_fusion(
    network: EmotionNet, parts: Sequence[HeldOutFold], settings: LiveConfig, seed: int
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
    labels = torch.cat([part.voices.labels for part in parts])
    # What no recording shows is not learned to be impossible.
    absent = torch.bincount(labels, minlength=len(EMOTIONS)) == 0
    for step in range(settings.steps):
        part = parts[step % len(parts)]
        pairs = part.draw(settings.batch, chance)
        pairs = mismatched(pairs, settings.mismatch, chance)
        if pairs.landmarks is not None:
            lot = torch.rand(len(pairs.labels), generator=chance)
            trust = pairs.landmarks.trust * (lot >= settings.landmark_dropout)
            pairs = replace(pairs, landmarks=replace(pairs.landmarks, trust=trust))
        speech, speech_log, face_log = fusion_inputs(network, part.listener, pairs)
        face_log = _tempered(face_log, settings.tempering, chance)
        given = _drop((speech, speech_log, face_log), settings.modality_dropout, chance)
        logits = fusion(*given).logits
        loss = functional.cross_entropy(logits.masked_fill(absent, NEVER), pairs.labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    fusion.eval()


def begin_anew(network: EmotionNet, untrained: nn.Module) -> None:
    """Give the fusion its first weights again."""
    network.fusion.load_state_dict(copy.deepcopy(untrained.state_dict()))


def fusion_inputs(
    network: EmotionNet, listener: EmotionNet, pairs: Pairs
) -> tuple[Tensor, Tensor, Tensor]:
    """Speech vectors, and calibrated log-probabilities of voices and faces of pairs."""
    with torch.no_grad():
        face, _ = network.face.pool(pairs.faces, pairs.mask)
        spoken = _voice_logits(listener, pairs.speech) / network.speech_temperature
        moved = None if pairs.landmarks is None else _landmark_log(network, pairs.landmarks)
        return pairs.speech, torch.log_softmax(spoken, 1), network.face_log(face, moved)


def _voice_logits(listener: EmotionNet, heard: Tensor) -> Tensor:
    """Logits (B, 7), not calibrated, of what its `listen` gave."""
    return to_emotion_logits(listener.speech.classify(heard[:, : listener.speech.width]))


def mismatched(pairs: Pairs, share: float, chance: torch.Generator) -> Pairs:
    """Some rows show the face of another row, whatever it feels: the faces of people who talk
    are misread more often than images."""
    if share == 0.0:
        return pairs
    count = len(pairs.labels)
    rows = torch.arange(count)
    other = torch.rand(count, generator=chance) < share
    rows[other] = torch.randint(0, count, (int(other.sum()),), generator=chance)
    return replace(pairs, faces=pairs.faces[rows], mask=pairs.mask[rows])


def _tempered(face_log: Tensor, deviation: float, chance: torch.Generator) -> Tensor:
    """The face is more or less sure of the same than it was."""
    lot = torch.randn(len(face_log), 1, generator=chance)
    return torch.log_softmax(face_log * torch.exp(deviation * lot), 1)


def _drop(
    given: tuple[Tensor, Tensor, Tensor], share: float, chance: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Modality dropout: zeros for the vector, no preference among the classes."""
    speech, speech_log, face_log = given
    lot = torch.rand(len(speech), 1, generator=chance)
    mute, hidden = lot < share, lot > 1 - share
    nothing = torch.full_like(face_log, 1 / len(EMOTIONS)).log()
    return (
        speech.masked_fill(mute, 0.0),
        torch.where(mute, nothing, speech_log),
        torch.where(hidden, nothing, face_log),
    )


def fusion_outputs(
    network: EmotionNet, listener: EmotionNet, pairs: Pairs, face_counts: Tensor | None
) -> dict[str, Tensor]:
    """Logits (B, 7) of each way to answer, and the shares of the face (B,).

    `face_counts` (7,) is how often each emotion is in the data that the face branch was trained
    on; None: not known, and the way without the priors is left out.
    """
    given = fusion_inputs(network, listener, pairs)
    with torch.no_grad():
        fused = network.fusion(*given)
    _, speech_log, face_log = given
    total = speech_log + face_log
    without_priors = (
        {}
        if face_counts is None
        else {"the same without the priors": total - _log_priors(face_counts)}
    )
    return {
        "fused": fused.logits,
        "face": face_log,
        "voice": speech_log,
        "sum of log-probabilities": total,
        **without_priors,
        "face share": fused.face_share,
    }


def _log_priors(face_counts: Tensor) -> Tensor:
    """(7,) what both branches think of an emotion before they see and hear anything.

    Pairs have all emotions alike often, images have not, and calm is a second neutral.
    """
    spoken = torch.zeros(len(EMOTIONS))
    spoken.index_add_(0, torch.tensor(SPEECH_TO_EMOTION), torch.ones(len(SPEECH_TO_EMOTION)))
    return torch.log(spoken / spoken.sum()) + torch.log(face_counts / face_counts.sum())


def fusion_metrics(logits: Tensor, labels: Tensor) -> dict[str, object]:
    """Figures of the protocol for one set of logits."""
    guessed = logits.argmax(1)
    found = recalls(guessed, labels, len(EMOTIONS)).tolist()
    return {
        "wa": round(accuracy(guessed, labels), 4),
        "ua": round(unweighted_recall(guessed, labels), 4),
        "nll": round(float(functional.cross_entropy(logits, labels)), 4),
        "ece": round(calibration_error(torch.softmax(logits, 1), labels), 4),
        "recall": {
            name: None if math.isnan(value) else round(value, 3)
            for name, value in zip(EMOTIONS, found, strict=True)
        },
    }
