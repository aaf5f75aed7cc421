"""The live network: face branch, speech branch, and the fusion of their answers.

Either may be missing; then the other's own head answers.  With both, a gate says how much each
counts (`EvidenceFusion`):

    logits = 2 (g_a (s_a + s_a A) + g_v (s_v + s_v B)) + c

where s are the calibrated log-probabilities of the unimodal heads.  With an even gate and A, B
and c zero this is the sum of the log-probabilities, and training starts there.

The face branch may have a second part that reads how 68 points of the face move
(`landmark_network.py`).  Then s_v + w r s_l takes the place of s_v, where r, from 0 to 1, is
how well the person's resting face is known: a stranger's shape does not tell what they feel.

A network that hears noise may be sure of nonsense, so its own certainty does not say when to
trust it.  The gate therefore also reads SNR features of the spectrogram: noise fills the gaps
of speech, between words, between harmonics, above the voice.

The gate does not read the emotion vectors.  One that does, with factorized bilinear pooling of
the vectors, learned its few training voices by heart and trusted noisy ones too much
(docs/results.md).  That pooling is trained and compared as `fbp`, `adaptive_fbp` and
`multilevel_fbp` (zoo/fusion_models.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import (
    Batch,
    EmotionModel,
    ModelOutput,
    none_present,
    scatter_rows,
    to_emotion_logits,
)
from avemo_ros.model.face_cnn import FaceBranch, embed_frames, face_mask
from avemo_ros.model.face_points import LEAST_FRAMES
from avemo_ros.model.landmark_network import LandmarkSequence
from avemo_ros.model.speech_encoder import AudioFCN, SpeechBranch

SNR_FEATURES: Final = 4


def snr_features(relative: Tensor) -> Tensor:
    """Figures of a spectrogram that noise lowers (but for the first, which it raises).

    Args:
        relative: (B, 1, T, F), dB below the loudest point as `preprocess.relative` scales it
            (-2..2 for 80 dB).

    Returns:
        (B, 4): mean level; deviation of the columns' mean levels (pauses); of the bins' mean
        levels (colour); of what remains (harmonics, onsets).  In units of 20 dB.
    """
    level = relative.squeeze(1)
    mean = level.mean((1, 2), keepdim=True)
    columns = level.mean(2, keepdim=True) - mean
    bins = level.mean(1, keepdim=True) - mean
    rest = level - mean - columns - bins
    parts = [mean.flatten(1)] + [_deviation(part) for part in (columns, bins, rest)]
    return torch.cat(parts, 1)


def _deviation(centred: Tensor) -> Tensor:
    # The slope of the root must stay finite for a flat spectrogram.
    return centred.square().mean((1, 2)).clamp_min(1e-8).sqrt().unsqueeze(1)


FUSIONS: Final = ("clarity", "evidence")
"""With a gate that also reads SNR features of the voice ('clarity'), and without."""
_LEAST_LOG: Final = -6.0
"""The gate does not tell smaller log-probabilities apart."""


@dataclass(frozen=True, slots=True)
class Fused:
    """Outcome of the fusion of B pairs."""

    logits: Tensor
    """(B, 7) over EMOTIONS, not calibrated."""
    face_share: Tensor
    """(B,) weight of the face, 0 to 1; the voice has the rest."""


class EvidenceFusion(nn.Module):
    """Log-probabilities of both branches to fused logits.

        logits = 2 (g_a (s_a + s_a A) + g_v (s_v + s_v B)) + c

    A and B say what each branch takes for what, c undoes what they think of an emotion
    beforehand, and the gate g reads how sure and of what each is: s, its entropy and its
    largest probability.  It starts as the sum of the log-probabilities.  Some 800 weights:
    there are few voices to learn from, which a fusion of the vectors learns by heart.

    In noise the voice's branch may be sure of the wrong thing; the gate can also read from the
    sound itself whether the voice can be heard (`snr_features`).
    """

    def __init__(self, hidden: int = 32, snr_width: int = 0) -> None:
        """Set up.

        Args:
            hidden: width of the gate.
            snr_width: how many SNR features the speech vectors end with.
        """
        super().__init__()
        emotions = len(EMOTIONS)
        self.snr_width = snr_width
        self.read = nn.Linear(2 * (emotions + 2) + snr_width, hidden)
        self.weigh = nn.Linear(hidden, 2)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)
        self.speech_confusion = nn.Parameter(torch.zeros(emotions, emotions))
        self.face_confusion = nn.Parameter(torch.zeros(emotions, emotions))
        self.bias = nn.Parameter(torch.zeros(emotions))

    def forward(self, speech: Tensor, speech_log: Tensor, face_log: Tensor) -> Fused:
        """Join B pairs.

        Args:
            speech: (B, audio width) as `EmotionNet.encode_audio` gives it; only the SNR
                features are read.
            speech_log: (B, 7) calibrated log-probabilities of the speech branch.
            face_log: (B, 7) calibrated log-probabilities of the face branch.
        """
        gate_input = torch.cat((_evidence(speech_log), _evidence(face_log)), 1)
        if self.snr_width:
            gate_input = torch.cat((gate_input, speech[:, -self.snr_width :]), 1)
        shares = torch.softmax(self.weigh(torch.tanh(self.read(gate_input))), 1)
        of_speech, of_face = 2 * shares[:, :1], 2 * shares[:, 1:]
        voice = speech_log + speech_log @ self.speech_confusion
        face = face_log + face_log @ self.face_confusion
        return Fused(of_speech * voice + of_face * face + self.bias, shares[:, 1])


def _evidence(log: Tensor) -> Tensor:
    """(B, 7) log-probabilities to (B, 9): these, minus entropy, and the largest."""
    probabilities = log.exp()
    entropy = (probabilities * log).sum(1, keepdim=True)
    largest = probabilities.amax(1, keepdim=True)
    return torch.cat((log.clamp_min(_LEAST_LOG), entropy, largest), 1)


class EmotionNet(nn.Module):
    """Both branches, the fusion, and the temperatures of the three answers."""

    speech_temperature: Tensor
    face_temperature: Tensor
    fused_temperature: Tensor
    landmark_temperature: Tensor

    def __init__(
        self,
        face: FaceBranch | None = None,
        speech: SpeechBranch | None = None,
        fusion: str = "clarity",
        landmarks: LandmarkSequence | None = None,
    ) -> None:
        """Set up.

        Args:
            face: logits over EMOTIONS; None: `FaceBranch()`.
            speech: logits over SPEECH_CLASSES; None: `SpeechBranch(AudioFCN())`.
            fusion: one of FUSIONS.
            landmarks: logits over SPEECH_CLASSES or EMOTIONS; None: points are not read.

        Raises:
            ValueError: the fusion is not known.
        """
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"fusion is '{fusion}'; allowed: {' | '.join(FUSIONS)}")
        self.face = face if face is not None else FaceBranch()
        self.speech = speech if speech is not None else SpeechBranch(AudioFCN())
        self.snr_width = SNR_FEATURES if fusion == "clarity" else 0
        """SNR features at the end of what `encode_audio` gives."""
        self.fusion = EvidenceFusion(snr_width=self.snr_width)
        self.landmarks = landmarks
        if landmarks is not None:
            self.landmark_weight = nn.Parameter(torch.ones(()))
        parts = ("speech", "face", "fused", *(("landmark",) if landmarks is not None else ()))
        for name in parts:
            self.register_buffer(f"{name}_temperature", torch.ones(()))

    def face_log(self, vector: Tensor, landmark_log: Tensor | None = None) -> Tensor:
        """Face vectors (B, width) to calibrated log-probabilities (B, 7).

        Args:
            vector: of the images.
            landmark_log: (B, 7) as `read_landmarks` gives it, zeros in a row without; None:
                there are none.
        """
        log = torch.log_softmax(self.face.classify(vector) / self.face_temperature, 1)
        return log if landmark_log is None else self.with_landmarks(log, landmark_log)

    def with_landmarks(self, face_log: Tensor, landmark_log: Tensor) -> Tensor:
        """What images and landmarks of a face say together: log-probabilities (B, 7)."""
        return torch.log_softmax(face_log + self.landmark_weight * landmark_log, 1)

    def landmark_log(self, logits: Tensor) -> Tensor:
        """Logits (B, classes) of `landmarks` to calibrated log-probabilities (B, 7)."""
        if logits.shape[1] != len(EMOTIONS):
            logits = to_emotion_logits(logits)
        return torch.log_softmax(logits / self.landmark_temperature, 1)

    def read_landmarks(self, points: Tensor, neutral: Tensor, weight: Tensor) -> Tensor:
        """Frames without gaps to calibrated log-probabilities times `weight` (B, 7).

        Args:
            points: (B, n, VALUES), see `face_points`.
            neutral: (B, 2 POINTS) the resting face of each person; zeros where not known.
            weight: (B,) how far each is trusted, 0 to 1.
        """
        assert self.landmarks is not None
        points = self.landmarks.standardisation.at_rest(points, neutral, weight)
        logits = self.landmarks.classify(self.landmarks.read(points)[0])
        return self.landmark_log(logits) * weight.unsqueeze(1)

    @property
    def audio_width(self) -> int:
        """Length of what `encode_audio` gives."""
        return self.speech.width + self.snr_width

    def encode_audio(self, spectrogram: Tensor) -> Tensor:
        """Spectrograms (B, 1, T, 200), as `preprocess.relative` gives them, to what the fusion
        needs of the voice (B, audio width): the emotion vector and, if it reads that, how
        clear the voice is."""
        vector: Tensor = self.speech.encoder(spectrogram)
        if not self.snr_width:
            return vector
        return torch.cat((vector, snr_features(spectrogram).to(vector.dtype)), 1)

    def speech_log(self, heard: Tensor) -> Tensor:
        """What `encode_audio` gives (B, audio width) to calibrated log-probabilities (B, 7)."""
        logits = to_emotion_logits(self.speech.classify(heard[:, : self.speech.width]))
        return torch.log_softmax(logits / self.speech_temperature, 1)

    def fuse(self, speech: Tensor, face_log: Tensor) -> tuple[Tensor, Tensor]:
        """What `encode_audio` gives and what `face_log` gives to calibrated log-probabilities
        (B, 7) and face shares (B,).

        Args:
            speech: (B, audio width).
            face_log: (B, 7).
        """
        fused = self.fusion(speech, self.speech_log(speech), face_log)
        return torch.log_softmax(fused.logits / self.fused_temperature, 1), fused.face_share


class LiveModel(EmotionModel):
    """`EmotionNet` on batches: the same numbers as `Predictor` gives for each row.

    With both modalities the fusion answers, with one of them that one's own head.
    """

    classes = EMOTIONS

    def __init__(self, network: EmotionNet) -> None:
        """Set up; the network is not copied."""
        super().__init__()
        self.network = network
        self.modality = "av" if network.landmarks is None else "face+landmarks+audio"
        self.face_side = network.face.cnn.side

    def forward(self, batch: Batch) -> ModelOutput:
        """Calibrated log-probabilities as logits; zeros for a row with neither."""
        net = self.network
        nobody = none_present(batch)
        heard = nobody
        if batch.speech is not None:
            heard = ~nobody if batch.speech_mask is None else batch.speech_mask
        face_log, seen = self._face(batch)
        speech_log, fused = torch.zeros_like(face_log), torch.zeros_like(face_log)
        speech = torch.zeros(len(nobody), net.audio_width, device=face_log.device)
        if batch.speech is not None and bool(heard.any()):
            speech = scatter_rows(net.encode_audio(batch.speech[heard]), heard)
            speech_log = _only(net.speech_log(speech), heard)
        share = seen.float()
        both = seen & heard
        if bool(both.any()):
            fused, fused_share = net.fuse(speech[both], face_log[both])
            fused = scatter_rows(fused.float(), both)
            share = torch.where(both, scatter_rows(fused_share.float(), both), share)
        logits = torch.where(both.unsqueeze(1), fused, face_log + speech_log)
        return ModelOutput(logits, {"face": face_log, "audio": speech_log}, share)

    def _face(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (B, 7) of images, landmarks or both, and (B,) bool, where any are
        there; zeros elsewhere."""
        net, mask = self.network, face_mask(batch)
        seen = mask.any(1)
        log = net.face.head.weight.new_zeros(len(seen), len(EMOTIONS))
        if batch.faces is not None and bool(seen.any()):
            vector = net.face.pool(embed_frames(net.face.cnn, batch.faces, mask), mask)[0]
            log = _only(net.face_log(vector), seen)
        landmark_log = self._landmarks(batch)
        if landmark_log is not None:
            log, seen = net.with_landmarks(log, landmark_log), seen | (landmark_log != 0).any(1)
            log = _only(log, seen)
        return log, seen

    def _landmarks(self, batch: Batch) -> Tensor | None:
        """As `EmotionNet.read_landmarks`, zeros for rows with too few frames; None: no row has
        points and a resting face."""
        net, weight = self.network, batch.neutral_weight
        if net.landmarks is None or batch.points is None or weight is None:
            return None
        encoded = net.landmarks.encode(batch)
        mask = batch.points_mask
        frames = batch.points.shape[1] if mask is None else mask.sum(1)
        counts = weight * encoded.there * (frames >= LEAST_FRAMES)
        return net.landmark_log(net.landmarks.classify(encoded.vector)) * counts.unsqueeze(1)


def _only(values: Tensor, there: Tensor) -> Tensor:
    """Zeros in the rows that are not there."""
    return values.float().masked_fill(~there.unsqueeze(1), 0.0)
