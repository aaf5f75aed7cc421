"""Every setting of the engine, with its meaning, unit and range in one place.

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
    """Which stamps of images and audio to trust, and how images are turned; for live input,
    files and bags.

    The parameters have no group: `max_input_age_s`, `image_stamps`, `image_rotate`,
    `audio_stamps`.
    """

    max_input_age_s: float = Field(
        5.0,
        ge=0.0,
        le=1e9,
        description=(
            "Ignore input whose stamp is older than this on arrival [s]; 0 accepts any "
            "stamp, e.g. for a bag that is played without /clock."
        ),
    )
    image_stamps: Stamps = Field(
        "header",
        description=(
            "Time of an image: 'header' takes the stamp in its header; 'arrival' takes the "
            "time of arrival, for drivers that do not stamp or use another clock (seconds "
            "since boot)."
        ),
    )
    image_rotate: int = Field(
        0,
        ge=0,
        le=270,
        multiple_of=90,
        description=(
            "Turn images clockwise by this before faces are looked for [degrees], for a camera "
            "that is mounted upside down (180) or on its side (90, 270); face tracks and "
            "overlay are of the turned image."
        ),
    )
    audio_stamps: Stamps = Field(
        "header",
        description=(
            "Time of audio: 'header' takes the stamp in its header; 'arrival' takes the time "
            "of arrival, smoothed by counting samples."
        ),
    )


class VisionConfig(Settings, group="vision"):
    """From an image to face tracks."""

    max_faces: int = Field(
        4, ge=1, le=16, description=("Largest number of faces to track at the same time.")
    )
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
        description=(
            "Lowest detector score of a face; raise it if objects are mistaken for faces."
        ),
    )
    track_timeout_s: float = Field(
        0.7,
        ge=0.05,
        le=5.0,
        description=(
            "A face that is not found for this long is out of view and loses its id [s]; ids "
            "are never reused.  If images arrive more slowly than that, a face may be missed "
            "for two and a half image intervals."
        ),
    )
    crop_size: int = Field(
        96, ge=48, le=256, description="Side length of the aligned grey face crop [pixels]."
    )
    horizontal_fov_deg: float = Field(
        0.0,
        ge=0.0,
        le=170.0,
        description=(
            "Horizontal angle of view of the camera, before image_rotate [degrees], to tell "
            "distances where no camera_info arrives; 0: not known, and distances are NaN."
        ),
    )
    blendshapes: bool = Field(
        False,
        description=(
            "Compute 52 scores of facial movements for each face (FaceTrack.blendshapes); this "
            "takes about 7 ms more for each face and image."
        ),
    )
    max_rate_hz: float = Field(
        15.0,
        ge=1.0,
        le=240.0,
        description=(
            "Process at most this many images per second, by their stamps [Hz]; lower saves "
            "processor time but may lose fast-moving faces."
        ),
    )


class AudioConfig(Settings, group="audio"):
    """From sound to spectrogram chunks.  Inside, sound is 16 kHz mono."""

    chunk_s: float = Field(
        0.03,
        ge=0.01,
        le=0.5,
        description=(
            "Pass on spectrogram columns after this much new audio [s]; lower means less "
            "delay and more messages."
        ),
    )
    level_floor_dbfs: float = Field(
        -60.0,
        ge=-96.0,
        le=0.0,
        description=(
            "Audio quieter than this never counts as speech [dB of full scale]; digital "
            "silence is never speech, whatever the detector says."
        ),
    )
    channel: int = Field(
        -1,
        ge=-1,
        le=63,
        description=(
            "Audio channel to use, counted from 0; -1 mixes all channels and corrects "
            "opposite polarity.  Set it for microphones with a processed channel, or with a "
            "channel for the loudspeaker signal.  Audio from a source without this channel "
            "is ignored."
        ),
    )
    gap_tolerance_s: float = Field(
        0.05,
        ge=0.005,
        le=1.0,
        description=(
            "If stamps differ from the sample count by more than this, audio may be lost or "
            "repeated [s]; it counts as lost if the difference does not shrink within 0.15 s "
            "of audio (or this long), so sources that stamp on arrival need no larger value."
        ),
    )
    max_gap_s: float = Field(
        1.0,
        ge=0.0,
        le=10.0,
        description=(
            "Replace lost audio up to this long by silence and flag it; a longer gap "
            "restarts the stream [s]."
        ),
    )


class EmotionConfig(Settings, group="emotion"):
    """From face tracks and spectrogram chunks to emotion estimates."""

    hop_s: float = Field(
        0.1,
        ge=0.03,
        le=2.0,
        description=(
            "Make one estimate in each period of this length [s of sensor time]. Images "
            "trigger it, or audio if no images arrive; at 15 images per second and 0.1 s, "
            "estimates are 67 or 133 ms apart."
        ),
    )
    window_s: float = Field(
        3.0,
        ge=1.0,
        le=10.0,
        description=(
            "Look this far back for who is there and who speaks [s].  While there is no new "
            "evidence of a person's emotion, the estimate fades with this time constant."
        ),
    )
    face_s: float = Field(
        0.5,
        ge=0.1,
        le=10.0,
        description=(
            "The network reads a face from the images of this last part of the window [s]; "
            "at most emotion.window_s."
        ),
    )
    voice_s: float = Field(
        1.5,
        ge=0.7,
        le=10.0,
        description=(
            "The network hears the voice of this last part of the window [s]; at most "
            "emotion.window_s."
        ),
    )
    filter_s: float = Field(
        0.5,
        ge=0.0,
        le=30.0,
        description=(
            "Time constant of the filter that follows a person's emotion from one of these "
            "short parts to the next [s]; longer is steadier but slower.  0: each estimate is "
            "of its short parts alone."
        ),
    )
    audio_lag_s: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description=(
            "End the voice's window this long before the estimate, so that no image waits "
            "for its audio [s]; if audio usually arrives later than that, the window ends "
            "correspondingly earlier."
        ),
    )
    warm_up_s: float = Field(
        1.0,
        ge=0.3,
        le=10.0,
        description="Predict no label before a person was observed for this long [s].",
    )
    max_wait_s: float = Field(
        0.2,
        ge=0.0,
        le=2.0,
        description=(
            "Wait at most this long for audio or images that arrive later than usual, then "
            "make the estimate without them [s of sensor time]."
        ),
    )
    stale_after_s: float = Field(
        1.0,
        ge=0.2,
        le=30.0,
        description="Report STALE_INPUT if no input came for this long [s].",
    )
    latency_budget_s: float = Field(
        0.15,
        ge=0.02,
        le=5.0,
        description=(
            "Longest time from the arrival of an image to its estimate [s]; a live system "
            "that takes longer reduces its work: first the frame rate, then the voice rate, "
            "then the smallest faces."
        ),
    )
    min_confidence: float = Field(
        0.35,
        ge=0.0,
        le=1.0,
        description=(
            "Below this calibrated confidence, the label is 'unknown' (status UNCERTAIN)."
        ),
    )
    min_face_quality: float = Field(
        0.3,
        ge=0.0,
        le=1.0,
        description=("Ignore frames with a face quality (size, blur, pose, cover) below this."),
    )
    min_face_s: float = Field(
        0.3,
        ge=0.0,
        le=10.0,
        description=("Shortest time of usable face that is needed within the window [s]."),
    )
    speech_threshold: float = Field(
        0.5, ge=0.0, le=1.0, description="Speech probability from which audio counts as speech."
    )
    min_speech_s: float = Field(
        0.6,
        ge=0.0,
        le=10.0,
        description=(
            "Shortest time of speech within emotion.voice_s for which the voice is used [s]."
        ),
    )
    personal_neutral: Literal["none", "slow", "fast"] = Field(
        "slow",
        description=(
            "Compare how a face moves with how it usually looks: its mean shape over the last "
            "minute, which counts half after 30 s (slow) or 5 s (fast). none: landmarks are "
            "not used. Only for models that read landmarks."
        ),
    )
    face_rate_hz: float = Field(
        15.0,
        ge=1.0,
        le=120.0,
        description=(
            "Run the face network on at most this many frames per second and face [Hz]; "
            "lower saves processor time."
        ),
    )
    voice_rate_hz: float = Field(
        5.0,
        ge=0.5,
        le=50.0,
        description=(
            "Run the speech network at most this many times per second [Hz]; estimates in "
            "between use its last result, so the voice takes effect up to 1 / voice_rate_hz "
            "later.  Lower saves processor time."
        ),
    )
    min_mouth_motion: float = Field(
        0.015,
        ge=0.0,
        le=1.0,
        description=(
            "A mouth moves, so that landmarks are read, when its opening varies by this much "
            "(standard deviation, in eye distances). Who speaks does not depend on it."
        ),
    )
    attribution: Literal["mouth", "single"] = Field(
        "mouth",
        description=(
            "How to find the speaker: 'mouth' takes the face whose mouth moves with the "
            "sound; 'single' takes the only face in view, whatever its mouth does."
        ),
    )


class EngagementConfig(Settings, group="engagement"):
    """From where a head is turned to whether its owner is with the robot."""

    enter_look: float = Field(
        0.6,
        ge=0.0,
        le=1.0,
        description="Somebody whose looks_at_robot reaches this begins to engage.",
    )
    leave_look: float = Field(
        0.4,
        ge=0.0,
        le=1.0,
        description=(
            "Somebody whose looks_at_robot falls below this begins to disengage; at most "
            "engagement.enter_look."
        ),
    )
    engage_s: float = Field(
        1.0,
        ge=0.0,
        le=30.0,
        description="Who has looked for this long is engaged [s].",
    )
    disengage_s: float = Field(
        2.0,
        ge=0.0,
        le=30.0,
        description="Who has looked away for this long is disengaged [s].",
    )
    max_distance_m: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description=(
            "Who is known to be farther away does not engage [m]; 0: the distance does not "
            "count."
        ),
    )


class IdentityConfig(Settings, group="identity"):
    """Whether faces are compared with one another, and how long that is remembered."""

    mode: Literal["none", "tracks", "visit", "file"] = Field(
        "none",
        description=(
            "'none': what a face looks like is never computed. 'tracks': a face that crossed "
            "another one, was hidden or away for a moment keeps its face id. 'visit': people "
            "also get a person id, which they keep when they come back while the node runs; "
            "only in memory. 'file': as 'visit', and those who are enrolled are kept in the "
            "encrypted identity.file."
        ),
    )
    track_memory_s: float = Field(
        10.0,
        ge=1.0,
        le=120.0,
        description="Who comes back within this time gets the same face id [s].",
    )
    min_similarity: float = Field(
        0.55,
        ge=0.3,
        le=0.9,
        description=(
            "Faces at least this similar (cosine of their embeddings) are the same person; "
            "raise it if people are mistaken for one another."
        ),
    )
    visit_minutes: float = Field(
        30.0,
        ge=0.1,
        le=1440.0,
        description=(
            "Forget who was not seen for this long [min]; in mode 'file', those who are "
            "enrolled stay."
        ),
    )
    max_people: int = Field(
        50,
        ge=1,
        le=500,
        description="Remember at most so many people; who was seen longest ago goes first.",
    )
    file: str = Field(
        "",
        description="Encrypted file of the people who are enrolled; needed for mode 'file'.",
    )
    key_file: str = Field(
        "",
        description=(
            "File with the key of identity.file (`python -m avemo_ros.state.identity_file` "
            "makes one); empty: the key is in the environment variable identity.key_variable."
        ),
    )
    key_variable: str = Field(
        "AVEMO_IDENTITY_KEY",
        description="Environment variable with the key of identity.file.",
    )
    keep_days: float = Field(
        30.0,
        ge=0.01,
        le=3650.0,
        description="Forget who was enrolled longer ago than this [days].",
    )

    @property
    def compares_faces(self) -> bool:
        """What faces look like is computed."""
        return self.mode != "none"

    @property
    def recognises(self) -> bool:
        """People get person ids."""
        return self.mode in ("visit", "file")


class ModelConfig(Settings, group="model"):
    """Which weights, and where they run."""

    weights: str = Field(
        "",
        description=(
            "Name of a released model, path of a .safetensors file, or a model of your own "
            "(docs/extending.md); empty: the default of models/index.json."
        ),
    )
    device: Literal["cpu", "cuda", "tensorrt", "auto"] = Field(
        "cpu",
        description=(
            "Device to run the network on: 'cuda' needs onnxruntime-gpu or PyTorch with CUDA; "
            "'tensorrt' needs onnxruntime-gpu with TensorRT; 'auto' takes CUDA if it is there."
        ),
    )
    threads: int = Field(
        1,
        ge=1,
        le=64,
        description="CPU threads for the network; 1 leaves the other cores to the robot.",
    )
    runtime: Literal["auto", "onnxruntime", "torch"] = Field(
        "auto",
        description=(
            "Library that runs the network: 'onnxruntime' needs the model's ONNX files next "
            "to its weights; 'torch' runs every model; 'auto' takes ONNX Runtime if possible."
        ),
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description=(
            "Arithmetic of the convolutions: 'float32' gives the same results on every "
            "machine; 'bfloat16' needs PyTorch, is faster on CPUs with matrix tiles (AMX) "
            "and on AMD's since Zen 4, and changes probabilities by up to about 0.02; 'auto' "
            "takes bfloat16 with PyTorch on these CPUs, otherwise float32."
        ),
    )


class SteadyConfig(Settings, group="steady"):
    """From estimates to steady states and their memory."""

    time_constant_s: float = Field(
        2.0,
        ge=0.0,
        le=30.0,
        description=(
            "Time constant for smoothing the log-probabilities [s]; longer is steadier but "
            "follows changes more slowly."
        ),
    )
    enter_confidence: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Smoothed probability that a label needs to become the steady one.",
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
            "Give up a steady label after this long below steady.leave_confidence [s of "
            "observed time]; if this is too short, the label becomes unknown between two "
            "emotions."
        ),
    )
    min_lead: float = Field(
        0.15,
        ge=0.0,
        le=1.0,
        description="Lead over the second label that a label needs to become the steady one.",
    )
    debounce_s: float = Field(
        0.5,
        ge=0.0,
        le=10.0,
        description="Report a change only after it has lasted this long [s of observed time].",
    )
    forget_s: float = Field(
        3.0,
        ge=0.0,
        le=60.0,
        description=(
            "Without a distribution (nobody in view, face not readable), keep the steady "
            "state for this long, then make it unknown [s]."
        ),
    )
    memory_s: float = Field(
        60.0,
        ge=1.0,
        le=600.0,
        description=(
            "Keep estimates for this long, for questions about the past [s]; they stay in RAM."
        ),
    )
    max_people: int = Field(
        16,
        ge=1,
        le=256,
        description=(
            "Largest number of people to remember; the one seen longest ago is forgotten first."
        ),
    )


RETIRED: Final = {
    "emotion.face_hold_s": "no value any more: vision.track_timeout_s says how long a face "
    "may be missed; remove it",
}
"""Parameters of earlier versions, and what to write instead."""


class PipelineConfig(SettingGroups):
    """The whole engine's configuration."""

    retired: ClassVar[Mapping[str, str]] = RETIRED

    input: InputConfig = InputConfig()
    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    emotion: EmotionConfig = EmotionConfig()
    engagement: EngagementConfig = EngagementConfig()
    identity: IdentityConfig = IdentityConfig()
    model: ModelConfig = ModelConfig()
    steady: SteadyConfig = SteadyConfig()

    @model_validator(mode="after")
    def _go_together(self) -> PipelineConfig:
        vision, emotion, steady = self.vision, self.emotion, self.steady
        engagement = self.engagement
        # A frame counts for 0.2 s at most, see state/history.py.
        watched_s = emotion.window_s * min(1.0, 0.2 * vision.max_rate_hz)
        for name, at_most, other in (
            ("emotion.warm_up_s", emotion.window_s, "emotion.window_s"),
            ("emotion.hop_s", emotion.window_s, "emotion.window_s"),
            ("emotion.face_s", emotion.window_s, "emotion.window_s"),
            ("emotion.voice_s", emotion.window_s, "emotion.window_s"),
            ("emotion.min_speech_s", emotion.voice_s, "emotion.voice_s"),
            ("emotion.min_face_s", watched_s, "what emotion.window_s and vision.max_rate_hz"),
            ("emotion.max_wait_s", emotion.stale_after_s, "emotion.stale_after_s"),
            ("engagement.leave_look", engagement.enter_look, "engagement.enter_look"),
            ("steady.leave_confidence", steady.enter_confidence, "steady.enter_confidence"),
        ):
            group, key = name.split(".")
            value = getattr(getattr(self, group), key)
            if value > at_most:
                allows = " allow" if " " in other else ""
                raise ConfigError(name, value, f"at most {other}{allows} ({at_most:g})")
        return self
