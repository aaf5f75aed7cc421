"""Figures on what is held out, after every epoch: quick, and the same way each time.

Speech is heard in one window from the middle, and at most 16 faces of a clip are looked at;
`avemo evaluate` measures on whole items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.data.features import Corpus
from avemo_ros.evaluate.metrics import accuracy, unweighted_recall
from avemo_ros.model.emotion_model import Batch, ModelOutput, to_device
from avemo_ros.train.sample_bank import COLUMNS_A_SECOND, SpeechBank
from avemo_ros.zoo.classifier import collate, equal_rows

_FRAMES: Final = 16
_ROWS: Final = 128


class HeldOutSet:
    """Items held out, ready for a network."""

    def __init__(
        self,
        corpus: Corpus,
        modality: str,
        classes: tuple[str, ...],
        face_side: int,
        window_s: float,
    ) -> None:
        """Set up.

        Args:
            corpus: what is held out.
            modality: of the model, one of `emotion_model.MODALITIES`.
            classes: of the model.
            face_side: of the model [pixels].
            window_s: window of speech from the middle [s].
        """
        self._modality, self._side = modality, face_side
        self._corpus = _in_windows(corpus, round(window_s * COLUMNS_A_SECOND))
        self.labels = torch.tensor([item.index_in(classes) for item in corpus.items])

    def __len__(self) -> int:
        return len(self._corpus)

    def logits(
        self, network: nn.Module, device: torch.device, *, bfloat16: bool = False
    ) -> Tensor:
        """(N, classes) float32 on the CPU; the network is in eval mode."""
        result: Tensor | None = None
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=bfloat16),
        ):
            for rows, batch in self._batches():
                answer: ModelOutput = network(to_device(batch, device))
                logits = answer.logits.float().cpu()
                if result is None:
                    result = torch.zeros(len(self), logits.shape[1])
                result[rows] = logits
        assert result is not None
        return result

    def figures(
        self, network: nn.Module, device: torch.device, *, bfloat16: bool = False
    ) -> dict[str, float]:
        """WA, UA and mean negative log-likelihood."""
        logits = self.logits(network, device, bfloat16=bfloat16)
        guessed = logits.argmax(1)
        return {
            "wa": accuracy(guessed, self.labels),
            "ua": unweighted_recall(guessed, self.labels),
            "nll": float(functional.cross_entropy(logits, self.labels)),
        }

    def _batches(self) -> Iterator[tuple[list[int], Batch]]:
        groups = equal_rows(self._corpus, self._modality, _ROWS, self._side, _FRAMES)
        for rows in groups:
            yield rows, collate(self._corpus, rows, self._modality, self._side, _FRAMES)


def _in_windows(corpus: Corpus, columns: int) -> Corpus:
    """Every spectrogram cut to one window from the middle of its speech."""
    bank = SpeechBank(corpus.features)
    features = []
    for item, of_item in enumerate(corpus.features):
        if of_item.spectrogram is None:
            features.append(of_item)
            continue
        cut = bank.windows([item], [bank.middle(item, columns)], columns)[0]
        features.append(replace(of_item, spectrogram=cut.numpy().astype(np.float16)))
    return Corpus(corpus.items, tuple(features))
