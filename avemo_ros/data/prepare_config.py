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
        description="Images to use per second, evenly spaced [Hz]; 0 uses all of them.",
    )
    min_quality: float = Field(
        EmotionConfig().min_face_quality,
        ge=0.0,
        le=1.0,
        description=("Leave out images with a face quality below this, as live."),
    )
    detect: bool = Field(
        False,
        description=(
            "Detect and align the face in single images; if false, they must be aligned "
            "faces already."
        ),
    )
    vision: VisionConfig = VisionConfig()
    """How faces are found and cut out; `crop_size` is the side of the crops."""
    audio: AudioConfig = AudioConfig()
    """How sound is heard."""
