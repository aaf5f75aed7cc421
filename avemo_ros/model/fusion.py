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
    ) -> None:
        super().__init__()
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
        normalised: Tensor = functional.normalize(signed_root(pooled), dim=1)
        return self.scale * normalised


def signed_root(z: Tensor) -> Tensor:
    """sign(z) (sqrt(|z| + eps) - sqrt(eps)): zero at zero, with a finite slope there."""
    root: Tensor = torch.sqrt(z.abs() + ROOT_EPS) - float(ROOT_EPS**0.5)
    return torch.sign(z) * root
