"""Factorized bilinear pooling of a face and a speech vector.

Zhang, Wang, Du 2019 (arXiv 1901.04889), in the form of MFB (Yu et al., ICCV 2017):
z = SumPool(dropout(U^T a * V^T v), k), then signed square root, then l2 norm.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS: Final = 64
"""o: length of the pooled vector (64 to 256 suits hundreds to thousands of clips)."""
FACTORS: Final = 4
"""k: products summed for each output."""
ROOT_EPS: Final = 1e-4
"""Keeps the slope of the square root finite (at most 50) at zero."""


class FactorizedBilinearPooling(nn.Module):
    """Two vectors to one that holds their products.

    Three pitfalls are handled: a 1 is appended to each vector, so that a missing one (zeros)
    leaves the linear terms of the other instead of wiping both out; the signed root is
    bounded in slope at zero; and since the l2 norm makes the result small, a learned scale
    follows it.
    """

    def __init__(
        self,
        speech_width: int,
        face_width: int,
        outputs: int = OUTPUTS,
        factors: int = FACTORS,
        dropout: float = 0.1,
        eps: float = ROOT_EPS,
    ) -> None:
        """Set up.

        Args:
            speech_width: m, length of the speech vector.
            face_width: n, length of the face vector.
            outputs: o.
            factors: k.
            dropout: of the products, before they are summed.
            eps: of the signed root.
        """
        super().__init__()
        self.eps = eps
        self.outputs = outputs
        self.factors = factors
        # Linear layers with a bias are the appended 1.
        self.speech = nn.Linear(speech_width, outputs * factors)
        self.face = nn.Linear(face_width, outputs * factors)
        self.dropout = nn.Dropout(dropout)
        self.scale = nn.Parameter(torch.tensor(4.0))
        for layer in (self.speech, self.face):
            # Begin with U^T a + 1, not U^T a: near the sum of the two, where gradients flow.
            nn.init.ones_(layer.bias)

    def forward(self, speech: Tensor, face: Tensor) -> Tensor:
        """(B, speech_width) and (B, face_width) to (B, outputs); zeros for a missing one."""
        product = self.dropout(self.speech(speech) * self.face(face))
        pooled = product.view(-1, self.outputs, self.factors).sum(2)
        normalised: Tensor = functional.normalize(signed_root(pooled, self.eps), dim=1)
        return self.scale * normalised


class Gate(nn.Module):
    """Shares of speech and face, read from their vectors.

    AG-FBP (Zhou et al. 2021, arXiv 2111.08910), in the form g = softmax(W [tanh(W_a a);
    tanh(W_v v)]); the paper's own equation was not at hand.
    """

    def __init__(self, speech_width: int, face_width: int, hidden: int = 32) -> None:
        super().__init__()
        self.speech = nn.Linear(speech_width, hidden)
        self.face = nn.Linear(face_width, hidden)
        self.weigh = nn.Linear(2 * hidden, 2)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)

    def forward(self, speech: Tensor, face: Tensor, there: Tensor | None = None) -> Tensor:
        """Weigh B pairs.

        Args:
            speech: (B, speech width).
            face: (B, face width).
            there: (B, 2) bool, whether speech and face are there; None: all are.

        Returns:
            (B, 2): shares of speech and of face, which sum to 1; a missing one has none.
        """
        hidden = torch.cat((torch.tanh(self.speech(speech)), torch.tanh(self.face(face))), 1)
        energy = self.weigh(hidden)
        if there is not None:
            energy = energy.masked_fill(~there, torch.finfo(energy.dtype).min)
        return torch.softmax(energy, dim=1)


def signed_root(z: Tensor, eps: float = ROOT_EPS) -> Tensor:
    """sign(z) (sqrt(|z| + eps) - sqrt(eps)): zero at zero, with a finite slope there."""
    root: Tensor = torch.sqrt(z.abs() + eps) - float(eps**0.5)
    return torch.sign(z) * root
