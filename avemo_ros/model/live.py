"""The live network as a model that can be trained and evaluated like any other."""

from __future__ import annotations

import torch
from torch import Tensor

from avemo_ros.labels import EMOTIONS
from avemo_ros.model.batch import Answer, Batch, EmotionModel
from avemo_ros.model.frame_models import embed_frames, face_mask
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.unimodal import none_there, spread


class LiveModel(EmotionModel):
    """`EmotionNet` on batches: the same numbers as `Predictor` gives for each row.

    With both modalities the fusion answers, with one of them that one's own head.
    """

    modality = "av"
    classes = EMOTIONS

    def __init__(self, network: EmotionNet) -> None:
        """Set up; the network is not copied."""
        super().__init__()
        self.network = network
        self.face_side = network.face.cnn.side

    def forward(self, batch: Batch) -> Answer:
        """Calibrated log-probabilities as logits; zeros for a row with neither."""
        net = self.network
        nobody = none_there(batch)
        seen, heard = face_mask(batch).any(1), nobody
        if batch.speech is not None:
            heard = ~nobody if batch.speech_there is None else batch.speech_there
        face_log = net.face.head.weight.new_zeros(len(nobody), len(EMOTIONS))
        speech_log, fused = face_log, face_log
        faces = torch.zeros(len(nobody), net.face.width, device=face_log.device)
        speech = torch.zeros(len(nobody), net.heard_width, device=face_log.device)
        if batch.faces is not None and bool(seen.any()):
            mask = face_mask(batch)
            frames = embed_frames(net.face.cnn, batch.faces, mask)
            faces = net.face.pool(frames, mask)[0]
            face_log = _only(net.face_log(faces), seen)
        if batch.speech is not None and bool(heard.any()):
            speech = spread(net.listen(batch.speech[heard]), heard)
            speech_log = _only(net.speech_log(speech), heard)
        share = seen.float()
        both = seen & heard
        if bool(both.any()):
            fused, fused_share = net.fuse(speech[both], faces[both])
            fused = spread(fused.float(), both)
            share = torch.where(both, spread(fused_share.float(), both), share)
        logits = torch.where(both.unsqueeze(1), fused, face_log + speech_log)
        return Answer(logits, {"face": face_log, "audio": speech_log}, share)


def _only(values: Tensor, there: Tensor) -> Tensor:
    """Zeros in the rows that are not there."""
    return values.float().masked_fill(~there.unsqueeze(1), 0.0)
