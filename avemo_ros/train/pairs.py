"""Pairs of a face sequence and a speech window that share a label, for the live fusion.

No training data at hand has both face and voice of one person, so a pair is made: the views of
one face (as the frames of a window) and a window of speech with the same emotion.  Given the
label the two are independent, which real pairs are not.

The frames of a view share what spoils them, blur, darkness or a hand: that is how it is in a
room, and many frames of a blurred face are no better evidence than one.

Everything before the fusion is computed once, into banks of vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from avemo_ros.data.features import Corpus
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.face_cnn import FaceBranch
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.preprocess import relative, standardise
from avemo_ros.train import augment_face, augment_speech
from avemo_ros.train.config import AugmentConfig, DataConfig, FaceAugment
from avemo_ros.train.face_bank import FaceBank
from avemo_ros.train.speech_bank import COLUMNS_A_SECOND, SpeechBank

_FACES: Final = 128
_VOICES: Final = 64
_PLAIN: Final = FaceAugment(probability=0.0)


@dataclass(frozen=True, slots=True)
class Bank:
    """Vectors of N items in several views; view 0 is not degraded."""

    vectors: Tensor
    """(N, views, frames, width): the frames of a view are degraded alike.  Of voices there is
    one frame, the window."""
    labels: Tensor
    """(N,) index in EMOTIONS."""

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, keep: Tensor) -> Bank:
        """The items that `keep` (indices or bool) picks."""
        return Bank(self.vectors[keep], self.labels[keep])

    def as_frames(self) -> Bank:
        """Every view as a frame of one view: frames that are degraded each in its own way."""
        return Bank(self.vectors.flatten(1, 2).unsqueeze(1), self.labels)


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


def face_bank(
    branch: FaceBranch,
    corpus: Corpus,
    views: int,
    seed: int,
    how: AugmentConfig,
    frames: int = 1,
) -> Bank:
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
                pictures = bank.pick(items, _frames(bank, items, frames, lots, middle))
                shown = augment_face.degrade(
                    pictures, chance, _PLAIN if view == 0 else how.face, side
                )
                given = standardise(shown.flatten(0, 1))
                made = branch.cnn(given.contiguous(memory_format=torch.channels_last))
                vectors.append(made.view(len(items), frames, -1))
            rows.append(torch.stack(vectors, 1).float())
    return Bank(torch.cat(rows).clone(), _emotions(corpus))


def speech_bank(
    network: EmotionNet,
    corpus: Corpus,
    views: int,
    seed: int,
    data: DataConfig,
    how: AugmentConfig,
) -> Bank:
    """The window in the middle of each utterance, and `views - 1` degraded ones."""
    chance = torch.Generator().manual_seed(seed)
    bank = SpeechBank(corpus.features)
    shortest, longest, middle = (
        round(seconds * COLUMNS_A_SECOND)
        for seconds in (data.window_low_s, data.window_high_s, data.window_s)
    )
    rows = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in _starts(len(corpus), _VOICES, "speech views"):
            items = list(range(start, min(start + _VOICES, len(corpus))))
            places = [bank.middle(item, middle) for item in items]
            shown = [bank.windows(items, places, middle)]
            for _ in range(views - 1):
                columns = int(torch.randint(shortest, longest + 1, (1,), generator=chance))
                lots = torch.rand(len(items), generator=chance).tolist()
                places = [
                    bank.start(item, columns, lot)
                    for item, lot in zip(items, lots, strict=True)
                ]
                cut = bank.windows(items, places, columns)
                shown.append(augment_speech.degrade(cut, chance, how.speech))
            vectors = [
                network.listen(
                    relative(view.unsqueeze(1)).contiguous(memory_format=torch.channels_last)
                )
                for view in shown
            ]
            rows.append(torch.stack(vectors, 1).unsqueeze(2).float())
    return Bank(torch.cat(rows).clone(), _emotions(corpus))


def draw_pairs(faces: Bank, speech: Bank, size: int, chance: torch.Generator) -> Pairs:
    """Random pairs: emotions alike frequent, some frames of any view of a face, and any view of
    a voice.

    Raises:
        DataError: an emotion has no face or no voice.
    """
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
    )


def _pick(have: Tensor, want: Tensor, what: str, chance: torch.Generator) -> Tensor:
    """For each wanted label the index of a random item that has it."""
    picked = torch.empty_like(want)
    for label in sorted(set(want.tolist())):
        places = torch.nonzero(have == label).flatten()
        if len(places) == 0:
            raise DataError(f"no {what} is labelled {EMOTIONS[label]}: no pairs can be made")
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
