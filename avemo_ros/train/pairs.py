"""Pairs of a face sequence and a speech window that share a label, for the fusion.

No training data at hand has both face pictures and voice of one person, so a pair is made: one
FER2013 picture in several views (as the frames of a window) and a RAVDESS window with the same
emotion.  Given the label the two are independent, which real pairs are not.

Everything before the fusion is computed once, into banks of vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from avemo_ros.labels import EMOTIONS, SPEECH_TO_EMOTION
from avemo_ros.model.branch import FaceBranch, SpeechBranch
from avemo_ros.model.preprocess import relative, standardise
from avemo_ros.train import face_data, speech_data
from avemo_ros.train.face_data import Faces
from avemo_ros.train.speech import WINDOW, Speech


@dataclass(frozen=True, slots=True)
class Bank:
    """Vectors of N items in several views; view 0 is not degraded."""

    vectors: Tensor
    """(N, views, width)."""
    labels: Tensor
    """(N,) index in EMOTIONS."""

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, keep: Tensor) -> Bank:
        """The items that `keep` (indices or bool) picks."""
        return Bank(self.vectors[keep], self.labels[keep])


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


def face_bank(branch: FaceBranch, faces: Faces, views: int, seed: int) -> Bank:
    """Each picture as it is and in `views - 1` degraded views."""
    chance = torch.Generator().manual_seed(seed)
    branch.cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in tqdm(range(0, len(faces), 128), desc="face views", mininterval=10):
            pictures = faces.pictures[start : start + 128]
            shown = [pictures.unsqueeze(1).float() / 255]
            for _ in range(views - 1):
                # What is degraded by place in the batch must not always hit the same picture.
                order = torch.randperm(len(pictures), generator=chance)
                degraded = face_data.degrade(pictures[order], chance)
                shown.append(degraded[torch.argsort(order)])
            # One view at a time in the layout of the CPU's kernels: several times faster.
            vectors = [
                branch.cnn(standardise(view).contiguous(memory_format=torch.channels_last))
                for view in shown
            ]
            rows.append(torch.stack(vectors, 1).float())
    return Bank(torch.cat(rows).clone(), faces.labels)


def speech_bank(branch: SpeechBranch, speech: Speech, views: int, seed: int) -> Bank:
    """The 3 s in the middle of each utterance, and `views - 1` degraded windows of 1 to 3 s."""
    chance = torch.Generator().manual_seed(seed)
    branch.fcn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    to_emotion = torch.tensor(SPEECH_TO_EMOTION)
    rows = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in tqdm(range(0, len(speech), 64), desc="speech views", mininterval=10):
            given = speech.spectrograms[start : start + 64]
            shown = [
                torch.stack(
                    [
                        speech_data.window(
                            item.power_db, (item.first + item.last - WINDOW) // 2, WINDOW
                        )
                        for item in given
                    ]
                )
            ]
            for _ in range(views - 1):
                columns = int(torch.randint(100, WINDOW + 1, (1,), generator=chance))
                cut = [speech_data.crop(item, columns, chance) for item in given]
                shown.append(speech_data.degrade(torch.stack(cut), chance))
            features = [
                relative(view.unsqueeze(1)).contiguous(memory_format=torch.channels_last)
                for view in shown
            ]
            vectors = [branch.fcn(item).float() for item in features]
            rows.append(torch.stack(vectors, 1))
    return Bank(torch.cat(rows).clone(), to_emotion[speech.labels])


def draw_pairs(
    faces: Bank, speech: Bank, size: int, chance: torch.Generator, frames: int = 8
) -> Pairs:
    """Random pairs: emotions alike frequent, 1 to `frames` views of a face, any speech view."""
    labels = torch.randint(0, len(EMOTIONS), (size,), generator=chance)
    which_face = _pick(faces.labels, labels, chance)
    which_speech = _pick(speech.labels, labels, chance)
    views = torch.randint(0, faces.vectors.shape[1], (size, frames), generator=chance)
    present = torch.randint(1, frames + 1, (size, 1), generator=chance)
    window = torch.randint(0, speech.vectors.shape[1], (size,), generator=chance)
    return Pairs(
        faces.vectors[which_face[:, None], views],
        torch.arange(frames) < present,
        speech.vectors[which_speech, window],
        labels,
    )


def _pick(have: Tensor, want: Tensor, chance: torch.Generator) -> Tensor:
    """For each wanted label the index of a random item that has it."""
    picked = torch.empty_like(want)
    for label in sorted(set(want.tolist())):
        places = torch.nonzero(have == label).flatten()
        if len(places) == 0:
            raise ValueError(f"no item is labelled {EMOTIONS[label]}")
        rows = want == label
        chosen = torch.randint(0, len(places), (int(rows.sum()),), generator=chance)
        picked[rows] = places[chosen]
    return picked
