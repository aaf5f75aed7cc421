"""How features of items are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from avemo_ros.config import AudioConfig, EmotionConfig, Validated, VisionConfig, setting


@dataclass(frozen=True, slots=True)
class PrepareConfig(Validated):
    """How features are made."""

    _group = "prepare"

    fps: float = setting(
        0.0,
        "Pictures looked at a second, evenly picked [Hz]; 0 looks at all of them.",
        low=0.0,
        high=240.0,
    )
    min_quality: float = setting(
        EmotionConfig().min_face_quality,
        "Pictures whose face quality is below this are left out, as in the live path.",
        low=0.0,
        high=1.0,
    )
    detect: bool = setting(
        False,
        "Find and align the face in single pictures; off: they are aligned faces as they are.",
    )
    vision: VisionConfig = field(default_factory=VisionConfig)
    """How faces are found and cut out; `crop_size` is the side of the crops."""
    audio: AudioConfig = field(default_factory=AudioConfig)
    """How sound is heard."""
