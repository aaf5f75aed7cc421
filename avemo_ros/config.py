"""Every setting of the core, with its meaning, unit and range in one place.

The ROS parameters (`vision.max_faces`, `emotion.hop_s`, ...) are declared from these fields, so
a parameter, its description and its range cannot drift from the code (`settings.py` says how).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import Field, model_validator

from avemo_ros.errors import ConfigError
from avemo_ros.settings import SettingGroups, Settings

Stamps = Literal["header", "arrival"]
"""Where the time of an input comes from."""


class InputConfig(Settings):
    """Which stamps of images and sound are believed; for every way in.

    The parameters have no group: `max_input_age_s`, `image_stamps`, `audio_stamps`.
    """

    max_input_age_s: float = Field(
        5.0,
        ge=0.0,
        le=1e9,
        description=(
            "Input whose stamp is older than this when it arrives is left out [s]; 0 accepts "
            "any stamp, e.g. of a bag that is played without /clock."
        ),
    )
    image_stamps: Stamps = Field(
        "header",
        description=(
            "Time of an image: 'header' is the stamp in its header; 'arrival' is when it came, "
            "for a driver that does not stamp or uses another clock (seconds since boot)."
        ),
    )
    audio_stamps: Stamps = Field(
        "header",
        description=(
            "Time of sound: 'header' is the stamp in its header; 'arrival' is when it came, "
            "freed of jitter by the count of samples."
        ),
    )


class VisionConfig(Settings, group="vision"):
    """From a picture to face tracks."""

    max_faces: int = Field(4, ge=1, le=16, description="Faces followed at the same time.")
    detector_range: Literal["short", "full"] = Field(
        "full",
        description=(
            "BlazeFace model: 'short' for faces within about 1.4 m of a camera with a 60 "
            "degree lens (cheaper), 'full' for up to about 3.7 m."
        ),
    )
    detector: str = Field(
        "",
        description=(
            "Your own face detector instead of BlazeFace, as 'module:Class'; see "
            "docs/extending.md."
        ),
    )
    detection_confidence: float = Field(
        0.5,
        ge=0.05,
        le=0.99,
        description="Least detector score of a face; raise it when things are taken for faces.",
    )
    track_timeout_s: float = Field(
        0.7,
        ge=0.05,
        le=5.0,
        description=(
            "An id ends, and a face is out of view, when it was not found for this long [s]; "
            "an id is never given again.  Where images come more slowly than that, a face may "
            "be missed for two and a half of their intervals."
        ),
    )
    crop_size: int = Field(
        96, ge=48, le=256, description="Side of the aligned grey face crop [pixels]."
    )
    max_rate_hz: float = Field(
        15.0,
        ge=1.0,
        le=240.0,
        description=(
            "At most this many pictures a second are looked at, by their stamps [Hz]; lower "
            "saves processor time and follows fast faces less surely."
        ),
    )


class AudioConfig(Settings, group="audio"):
    """From sound to spectrogram chunks.  Inside, sound is 16 kHz mono."""

    chunk_s: float = Field(
        0.03,
        ge=0.01,
        le=0.5,
        description=(
            "Spectrogram columns are passed on when this much new sound is there [s]; lower is "
            "less delay and more messages."
        ),
    )
    level_floor_dbfs: float = Field(
        -60.0,
        ge=-96.0,
        le=0.0,
        description=(
            "Sound quieter than this never counts as speech [dB of full scale]; digital "
            "silence is silence whatever the speech detector says."
        ),
    )
    channel: int = Field(
        -1,
        ge=-1,
        le=63,
        description=(
            "Channel of the source that is heard, from 0; -1 mixes all of them, those of "
            "opposite polarity turned around.  Microphones with a processed channel, or one "
            "that holds what the loudspeaker plays, need it.  A source without the channel is "
            "not heard."
        ),
    )
    gap_tolerance_s: float = Field(
        0.05,
        ge=0.005,
        le=1.0,
        description=(
            "Sound whose stamps stray this far from the count of samples may be lost or "
            "repeated [s]; it counts as lost when the count has not begun to catch up after "
            "0.15 s of sound (or this long), so sources that stamp on arrival need no more."
        ),
    )
    max_gap_s: float = Field(
        1.0,
        ge=0.0,
        le=10.0,
        description=(
            "Lost sound up to this long is filled with silence and flagged; more starts the "
            "stream anew [s]."
        ),
    )


class EmotionConfig(Settings, group="emotion"):
    """From face tracks and spectrogram chunks to emotion estimates."""

    hop_s: float = Field(
        0.1,
        ge=0.03,
        le=2.0,
        description=(
            "One estimate in each period of this length [s of sensor time], made when an image "
            "was looked at, and by the sound where no images come; at 15 images a second and "
            "0.1 s estimates are 67 and 133 ms apart."
        ),
    )
    window_s: float = Field(
        3.0,
        ge=1.0,
        le=10.0,
        description=(
            "Face and voice of this long before the estimate are used [s]; longer is steadier "
            "and slower."
        ),
    )
    audio_lag_s: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description=(
            "The voice's window ends this long before the estimate [s], so that no image waits "
            "for its sound; where sound usually comes later than that, it ends by so much "
            "earlier."
        ),
    )
    warm_up_s: float = Field(
        1.0,
        ge=0.3,
        le=10.0,
        description="No claim before a person was observed for this long [s].",
    )
    max_wait_s: float = Field(
        0.2,
        ge=0.0,
        le=2.0,
        description=(
            "An estimate waits this long for sound that is later than usual, and sound for an "
            "image that is, before it does without [s of sensor time]."
        ),
    )
    stale_after_s: float = Field(
        1.0,
        ge=0.2,
        le=30.0,
        description="Input older than this is stale: the state says so [s].",
    )
    latency_budget_s: float = Field(
        0.15,
        ge=0.02,
        le=5.0,
        description=(
            "A live system that needs longer than this from the arrival of an image to the "
            "estimate sheds work: frame rate first, then voice rate, then the smallest faces "
            "[s]."
        ),
    )
    min_confidence: float = Field(
        0.35,
        ge=0.0,
        le=1.0,
        description=(
            "Below this calibrated confidence the label is 'unknown' (status UNCERTAIN)."
        ),
    )
    min_face_quality: float = Field(
        0.3,
        ge=0.0,
        le=1.0,
        description=(
            "Frames whose face quality (size, blur, pose) is below this are not looked at."
        ),
    )
    min_face_s: float = Field(
        0.3, ge=0.0, le=10.0, description="Least time of usable face within the window [s]."
    )
    speech_threshold: float = Field(
        0.5, ge=0.0, le=1.0, description="Speech probability from which sound counts as speech."
    )
    min_speech_s: float = Field(
        0.6,
        ge=0.0,
        le=10.0,
        description="Least time of speech within the window for the voice to count [s].",
    )
    face_rate_hz: float = Field(
        15.0,
        ge=1.0,
        le=120.0,
        description=(
            "At most this many frames a second and face go through the face network [Hz]; "
            "lower saves processor time."
        ),
    )
    voice_rate_hz: float = Field(
        5.0,
        ge=0.5,
        le=50.0,
        description=(
            "At most this often a second the speech network hears the window [Hz]; estimates "
            "in between use what it heard last, so a voice counts up to 1 / voice_rate_hz "
            "later.  Lower saves processor time."
        ),
    )
    min_mouth_motion: float = Field(
        0.015,
        ge=0.0,
        le=1.0,
        description=(
            "A mouth moves when its opening varies by this much (standard deviation, in eye "
            "distances)."
        ),
    )
    attribution: Literal["mouth", "single"] = Field(
        "mouth",
        description=(
            "Whose voice it is: 'mouth' asks for a mouth that moves while speech is heard; "
            "'single' gives the voice to the only face in view without asking."
        ),
    )


class ModelConfig(Settings, group="model"):
    """Which weights, and where they run."""

    weights: str = Field(
        "",
        description=(
            "Released model by name or path of a .safetensors file; empty: the default of "
            "models/index.json."
        ),
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="Where the network runs; 'auto' takes a GPU if there is one."
    )
    threads: int = Field(
        1,
        ge=1,
        le=64,
        description="CPU threads of the network; 1 leaves the other cores to the robot.",
    )
    runtime: Literal["auto", "onnxruntime", "torch"] = Field(
        "auto",
        description=(
            "What runs the network: 'onnxruntime' needs the model's ONNX files beside its "
            "weights, and a CPU; 'torch' runs every model anywhere; 'auto' takes ONNX Runtime "
            "where it can."
        ),
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description=(
            "Arithmetic of the convolutions: 'float32' answers alike on every machine; "
            "'bfloat16' is PyTorch's, faster there on a CPU with matrix tiles (AMX) and on "
            "AMD's from Zen 4 on, and moves probabilities by up to about 0.02; 'auto' takes it "
            "with PyTorch on these CPUs, and float32 elsewhere."
        ),
    )


class SteadyConfig(Settings, group="steady"):
    """From estimates to steady states and their memory."""

    time_constant_s: float = Field(
        2.0,
        ge=0.0,
        le=30.0,
        description=(
            "Log-probabilities are smoothed with this time constant [s]; longer is steadier "
            "and slower to follow a change."
        ),
    )
    enter_confidence: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="A label has to reach this smoothed probability to become the steady one.",
    )
    leave_confidence: float = Field(
        0.35,
        ge=0.0,
        le=1.0,
        description=(
            "A steady label that stays below this for steady.leave_s becomes unknown; keep it "
            "below steady.enter_confidence."
        ),
    )
    leave_s: float = Field(
        2.0,
        ge=0.0,
        le=60.0,
        description=(
            "A steady label below steady.leave_confidence is given up after this long [s of "
            "observed time]; shorter than a change takes, changes go by way of unknown."
        ),
    )
    min_lead: float = Field(
        0.15,
        ge=0.0,
        le=1.0,
        description="A label has to lead the next one by this much to become the steady one.",
    )
    debounce_s: float = Field(
        0.5,
        ge=0.0,
        le=10.0,
        description="A change has to hold for this long before it counts [s of observed time].",
    )
    forget_s: float = Field(
        3.0,
        ge=0.0,
        le=60.0,
        description=(
            "Without a distribution (nobody in view, face not readable) a steady state is held "
            "for this long and then unknown [s]."
        ),
    )
    memory_s: float = Field(
        60.0,
        ge=1.0,
        le=600.0,
        description=(
            "Estimates of this long are kept for questions about the past [s], in RAM only."
        ),
    )
    max_people: int = Field(
        16,
        ge=1,
        le=256,
        description=(
            "People whose last state is kept; beyond it whoever was seen longest ago is "
            "forgotten."
        ),
    )


RETIRED: Final = {
    "emotion.face_hold_s": "no value any more: vision.track_timeout_s says how long a face may "
    "be missed; take it out",
}
"""Parameters of earlier versions, and what to write instead."""


class PipelineConfig(SettingGroups):
    """The whole core's configuration."""

    retired: ClassVar[Mapping[str, str]] = RETIRED

    input: InputConfig = InputConfig()
    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    emotion: EmotionConfig = EmotionConfig()
    model: ModelConfig = ModelConfig()
    steady: SteadyConfig = SteadyConfig()

    @model_validator(mode="after")
    def _go_together(self) -> PipelineConfig:
        vision, emotion, steady = self.vision, self.emotion, self.steady
        # A frame counts for 0.2 s at most, see state/history.py.
        watched_s = emotion.window_s * min(1.0, 0.2 * vision.max_rate_hz)
        for name, at_most, other in (
            ("emotion.warm_up_s", emotion.window_s, "emotion.window_s"),
            ("emotion.hop_s", emotion.window_s, "emotion.window_s"),
            ("emotion.min_speech_s", emotion.window_s, "emotion.window_s"),
            ("emotion.min_face_s", watched_s, "what emotion.window_s and vision.max_rate_hz"),
            ("emotion.max_wait_s", emotion.stale_after_s, "emotion.stale_after_s"),
            ("steady.leave_confidence", steady.enter_confidence, "steady.enter_confidence"),
        ):
            group, key = name.split(".")
            value = getattr(getattr(self, group), key)
            if value > at_most:
                allows = " allow" if " " in other else ""
                raise ConfigError(name, value, f"at most {other}{allows} ({at_most:g})")
        return self
