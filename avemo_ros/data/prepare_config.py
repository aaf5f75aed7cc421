"""How features of items are made."""

from __future__ import annotations

from pydantic import Field

from avemo_ros.config import AudioConfig, EmotionConfig, VisionConfig
from avemo_ros.settings import Settings


class PrepareConfig(Settings, group="prepare"):
    """How features are made."""

    fps: float = Field(
        0.0,
        ge=0.0,
        le=240.0,
        description="Pictures looked at a second, evenly picked [Hz]; 0 looks at all of them.",
    )
    min_quality: float = Field(
        EmotionConfig().min_face_quality,
        ge=0.0,
        le=1.0,
        description=(
            "Pictures whose face quality is below this are left out, as in the live path."
        ),
    )
    detect: bool = Field(
        False,
        description=(
            "Find and align the face in single pictures; off: they are aligned faces as they "
            "are."
        ),
    )
    vision: VisionConfig = VisionConfig()
    """How faces are found and cut out; `crop_size` is the side of the crops."""
    audio: AudioConfig = AudioConfig()
    """How sound is heard."""
