"""An estimate in the words of `EmotionState.msg`, for nodes and bags alike."""

from __future__ import annotations

from typing import Any

from avemo_ros.state.estimate import EmotionEstimate


def plain_fields(estimate: EmotionEstimate) -> dict[str, Any]:
    """The fields of the message that hold no other message, by name, in Python's own types."""
    return {
        "person_id": estimate.person_id,
        "face_id": estimate.face_id,
        "voice_id": estimate.voice_id,
        "label": estimate.label,
        "confidence": float(estimate.confidence),
        "labels": list(estimate.labels),
        "probabilities": [float(value) for value in estimate.probabilities],
        "valence": float(estimate.valence),
        "arousal": float(estimate.arousal),
        "valence_arousal_valid": estimate.valence_arousal_valid,
        "status": int(estimate.status),
        "face_share": float(estimate.face_share),
        "voice_share": float(estimate.voice_share),
        "speaking": estimate.speaking,
        "box_valid": estimate.box is not None,
        "model_id": estimate.model_id,
    }
