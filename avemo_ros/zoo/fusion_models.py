"""Fusion of a voice with a face, action units or landmarks, where either may be missing.

A missing modality is a vector of zeros, and has no say in decisions.  What each way makes of
two vectors a (voice) and v (face, action units or landmarks):

- `Decision`: logits = w_a log p_a + w_v log p_v.
- `Concatenation`: dense layers over [a; v].
- `Bilinear`: factorized bilinear pooling (FBP; Zhang, Wang, Du 2019, arXiv 1901.04889, in the
  form of MFB, Yu et al., ICCV 2017): z = SumPool(dropout(U^T a * V^T v), k), then signed square
  root, then l2 norm.  With a gate it is the adaptive form, over segments the multi-level one
  (AG-FBP and AM-FBP; Zhou et al. 2021, arXiv 2111.08910; their equations were not at hand, so
  these forms are our reading).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.model.attention import FrameAttention
from avemo_ros.model.emotion_model import (
    CLASSES,
    Batch,
    EmotionModel,
    Encoded,
    ModelOutput,
    Unimodal,
    to_emotion_logits,
)

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


@dataclass(frozen=True, slots=True)
class FusionInput:
    """What both parts say of B items; all float32."""

    audio: Encoded
    visual: Encoded
    audio_log: Tensor
    """(B, classes) log-probabilities; zeros where missing."""
    visual_log: Tensor

    @property
    def there(self) -> Tensor:
        """(B, 2) bool: voice, face."""
        return torch.stack((self.audio.there, self.visual.there), 1)


@dataclass(frozen=True, slots=True)
class FusionOutput:
    """What a fusion makes of the evidence."""

    logits: Tensor
    """(B, classes)."""
    visual_share: Tensor | None = None
    """(B,) where the fusion has shares."""


class Decision(nn.Module):
    """Weighted sum of log-probabilities."""

    def __init__(self, weights: tuple[float, float], *, learnt: bool) -> None:
        """Set up.

        Args:
            weights: of voice and face, above 0; with one missing the other keeps its own.
            learnt: begin with these and learn; else they stay.
        """
        super().__init__()
        logs = torch.tensor(weights).log()
        self.logs = nn.Parameter(logs, requires_grad=learnt)

    def forward(self, evidence: FusionInput) -> FusionOutput:
        """Join B items."""
        weights = self.logs.exp()
        logits = weights[0] * evidence.audio_log + weights[1] * evidence.visual_log
        held = weights * evidence.there
        share = held[:, 1] / held.sum(1).clamp_min(1e-9)
        return FusionOutput(logits, share)


class Concatenation(nn.Module):
    """Dense layers over both vectors."""

    def __init__(
        self, audio: Unimodal, visual: Unimodal, classes: int, hidden: int, dropout: float
    ) -> None:
        """Set up; `hidden` 0: one dense layer only."""
        super().__init__()
        self.audio_norm = nn.LayerNorm(audio.width)
        self.visual_norm = nn.LayerNorm(visual.width)
        given = audio.width + visual.width + 2
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden:
            layers += [nn.Linear(given, hidden), nn.ReLU(), nn.Dropout(dropout)]
            given = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(given, classes))

    def forward(self, evidence: FusionInput) -> FusionOutput:
        """Join B items."""
        there = evidence.there.float()
        a = self.audio_norm(evidence.audio.vector) * there[:, :1]
        v = self.visual_norm(evidence.visual.vector) * there[:, 1:]
        return FusionOutput(self.layers(torch.cat((a, v, there), 1)))


@dataclass(frozen=True, slots=True)
class BilinearOptions:
    """Numbers of a bilinear fusion."""

    outputs: int = 64
    """o."""
    factors: int = 4
    """k."""
    dropout: float = 0.1
    """Of products."""
    eps: float = 1e-4
    """Of the signed root."""
    head_dropout: float = 0.0
    """Before the head."""
    decisions: bool = False
    """Add the log-probabilities of both parts (by the gate's shares, if there is a gate) to the
    logits; training then starts at their sum."""
    gate: bool = False
    """Shares of both, read from their vectors, scale the vectors (AG-FBP)."""
    segments: int = 0
    """FBP of as many segments as well, with weights of their own (AM-FBP); 0: none."""
    over_segments: str = "mean"
    """'mean' or 'attention'."""


class Bilinear(nn.Module):
    """Factorized bilinear pooling in its three forms."""

    def __init__(
        self, audio: Unimodal, visual: Unimodal, classes: int, options: BilinearOptions
    ) -> None:
        """Set up."""
        super().__init__()
        self.options = options
        self.audio_norm = nn.LayerNorm(audio.width)
        self.visual_norm = nn.LayerNorm(visual.width)
        self.gate = Gate(audio.width, visual.width) if options.gate else None
        self.pooling = _pooling(audio.width, visual.width, options)
        width = options.outputs
        self.segment_norms: nn.ModuleList | None = None
        if options.segments:
            widths = audio.segment_width, visual.segment_width
            self.segment_norms = nn.ModuleList(nn.LayerNorm(one) for one in widths)
            self.segment_pooling = _pooling(*widths, options)
            self.over_segments = (
                FrameAttention(options.outputs)
                if options.over_segments == "attention"
                else None
            )
            width += options.outputs
        self.dropout = nn.Dropout(options.head_dropout)
        self.head = nn.Linear(width, classes)
        if options.decisions:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, evidence: FusionInput) -> FusionOutput:
        """Join B items."""
        there = evidence.there
        a = self.audio_norm(evidence.audio.vector) * there[:, :1]
        v = self.visual_norm(evidence.visual.vector) * there[:, 1:]
        # Shares times the number of those there: 1 each where they are even.
        weights = there.float()
        share = None
        if self.gate is not None:
            shares = self.gate(a, v, there)
            weights = shares * there.sum(1, keepdim=True)
            share = shares[:, 1]
        pooled = self.pooling(weights[:, :1] * a, weights[:, 1:] * v)
        if self.segment_norms is not None:
            pooled = torch.cat((pooled, self._of_segments(evidence, there)), 1)
        logits = self.head(self.dropout(pooled))
        if self.options.decisions:
            logits = logits + weights[:, :1] * evidence.audio_log
            logits = logits + weights[:, 1:] * evidence.visual_log
        return FusionOutput(logits, share)

    def _of_segments(self, evidence: FusionInput, there: Tensor) -> Tensor:
        a, v = evidence.audio.segments, evidence.visual.segments
        assert a is not None
        assert v is not None
        assert self.segment_norms is not None
        a = self.segment_norms[0](a) * there[:, :1, None]
        v = self.segment_norms[1](v) * there[:, 1:, None]
        pooled = self.segment_pooling(a.flatten(0, 1), v.flatten(0, 1))
        pooled = pooled.view(*a.shape[:2], -1)
        over = self.over_segments
        joined: Tensor = pooled.mean(1) if over is None else over(pooled)[0]
        return joined


class FusedModel(EmotionModel):
    """Two unimodal models and the fusion of both."""

    def __init__(
        self, audio: Unimodal, visual: Unimodal, fusion: nn.Module, classes: str, segments: int
    ) -> None:
        """Set up.

        Args:
            audio: of the voice.
            visual: of faces, action units or landmarks.
            fusion: `Evidence` to `Joined`.
            classes: 'emotions' (7; then a part's 8 are collapsed) or 'speech' (8, as both
                parts').
            segments: how many the fusion needs.
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.audio = audio
        self.visual = visual
        self.fusion = fusion
        self.segments = segments
        self.modality = "av" if visual.part == "face" else f"{visual.part}+audio"
        self.face_side = visual.face_side

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits of a batch; a row with neither gets zeros."""
        audio = self.audio.encode(batch, self.segments)
        visual = self.visual.encode(batch, self.segments)
        # Roots and norms lose too much in bfloat16, and cost nothing here.
        with torch.autocast(audio.vector.device.type, enabled=False):
            audio, visual = _precise(audio), _precise(visual)
            heard, seen = self._logits(self.audio, audio), self._logits(self.visual, visual)
            evidence = FusionInput(
                audio,
                visual,
                torch.log_softmax(heard, 1) * audio.there.unsqueeze(1),
                torch.log_softmax(seen, 1) * visual.there.unsqueeze(1),
            )
            joined: FusionOutput = self.fusion(evidence)
            either = evidence.there.any(1, keepdim=True)
            parts = {self.audio.part: heard, self.visual.part: seen}
            return ModelOutput(joined.logits * either, parts, joined.visual_share)

    def _logits(self, part: Unimodal, encoded: Encoded) -> Tensor:
        logits = part.classify(encoded.vector)
        if len(part.classes) != len(self.classes):
            logits = to_emotion_logits(logits)
        return logits * encoded.there.unsqueeze(1)


def _precise(encoded: Encoded) -> Encoded:
    segments = encoded.segments
    return Encoded(
        encoded.vector.float(),
        encoded.there,
        None if segments is None else segments.float(),
    )


def _pooling(
    audio_width: int, visual_width: int, options: BilinearOptions
) -> FactorizedBilinearPooling:
    return FactorizedBilinearPooling(
        audio_width,
        visual_width,
        options.outputs,
        options.factors,
        options.dropout,
        options.eps,
    )
