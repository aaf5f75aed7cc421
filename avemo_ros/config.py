"""Every setting of the core, with its meaning, unit and range in one place.

The ROS parameters (`vision.max_faces`, `emotion.hop_s`, ...) are declared from these fields,
so a parameter, its description and its range cannot drift from the code.  A configuration is
validated when it is made; afterwards it is trusted.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from avemo_ros.errors import ConfigError


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field that carries its description and allowed values."""
    metadata = {"description": description, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


class Validated:
    """Checks every `setting` of a dataclass when an instance is made."""

    _group = ""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            if "description" not in item.metadata:
                continue
            object.__setattr__(self, item.name, self._checked(item, getattr(self, item.name)))

    def _checked(self, item: Any, value: object) -> object:
        name = f"{self._group}.{item.name}" if self._group else item.name
        meta = item.metadata
        kind = type(item.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ConfigError(name, value, f"a value of type {kind.__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(name, value, "a finite number")
        if meta["choices"] is not None and value not in meta["choices"]:
            raise ConfigError(name, value, " | ".join(meta["choices"]))
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = meta["low"], meta["high"]
            if (low is not None and value < low) or (high is not None and value > high):
                raise ConfigError(name, value, f"{low} to {high}")
        return value


STAMPS: Final = ("header", "arrival")
"""Where the time of an input comes from."""


@dataclass(frozen=True, slots=True)
class InputConfig(Validated):
    """Which stamps of images and sound are believed; for every way in.

    The parameters have no group: `max_input_age_s`, `image_stamps`, `audio_stamps`.
    """

    max_input_age_s: float = setting(
        5.0,
        "Input whose stamp is older than this when it arrives is left out [s]; 0 accepts any "
        "stamp, e.g. of a bag that is played without /clock.",
        low=0.0,
        high=1e9,
    )
    image_stamps: str = setting(
        "header",
        "Time of an image: 'header' is the stamp in its header; 'arrival' is when it came, for "
        "a driver that does not stamp or uses another clock (seconds since boot).",
        choices=STAMPS,
    )
    audio_stamps: str = setting(
        "header",
        "Time of sound: 'header' is the stamp in its header; 'arrival' is when it came, freed "
        "of jitter by the count of samples.",
        choices=STAMPS,
    )


@dataclass(frozen=True, slots=True)
class VisionConfig(Validated):
    """From a picture to face tracks."""

    _group = "vision"

    max_faces: int = setting(4, "Faces followed at the same time.", low=1, high=16)
    detector_range: str = setting(
        "full",
        "BlazeFace model: 'short' for faces within about 1.4 m of a camera with a 60 degree "
        "lens (cheaper), 'full' for up to about 3.7 m.",
        choices=("short", "full"),
    )
    detector: str = setting(
        "",
        "Your own face detector instead of BlazeFace, as 'module:Class'; see "
        "docs/extending.md.",
    )
    detection_confidence: float = setting(
        0.5,
        "Least detector score of a face; raise it when things are taken for faces.",
        low=0.05,
        high=0.99,
    )
    track_timeout_s: float = setting(
        0.7,
        "An id ends, and a face is out of view, when it was not found for this long [s]; an id "
        "is never given again.  Where images come more slowly than that, a face may be missed "
        "for two and a half of their intervals.",
        low=0.05,
        high=5.0,
    )
    crop_size: int = setting(
        96, "Side of the aligned grey face crop [pixels].", low=48, high=256
    )
    max_rate_hz: float = setting(
        15.0,
        "At most this many pictures a second are looked at, by their stamps [Hz]; lower saves "
        "processor time and follows fast faces less surely.",
        low=1.0,
        high=240.0,
    )


@dataclass(frozen=True, slots=True)
class AudioConfig(Validated):
    """From sound to spectrogram chunks.  Inside, sound is 16 kHz mono."""

    _group = "audio"

    chunk_s: float = setting(
        0.03,
        "Spectrogram columns are passed on when this much new sound is there [s]; lower is "
        "less delay and more messages.",
        low=0.01,
        high=0.5,
    )
    level_floor_dbfs: float = setting(
        -60.0,
        "Sound quieter than this never counts as speech [dB of full scale]; digital silence "
        "is silence whatever the speech detector says.",
        low=-96.0,
        high=0.0,
    )
    channel: int = setting(
        -1,
        "Channel of the source that is heard, from 0; -1 mixes all of them, those of opposite "
        "polarity turned around.  Microphones with a processed channel, or one that holds what "
        "the loudspeaker plays, need it.  A source without the channel is not heard.",
        low=-1,
        high=63,
    )
    gap_tolerance_s: float = setting(
        0.05,
        "Sound whose stamps stray this far from the count of samples may be lost or repeated "
        "[s]; it counts as lost when the count has not begun to catch up after 0.15 s of sound "
        "(or this long), so sources that stamp on arrival need no more.",
        low=0.005,
        high=1.0,
    )
    max_gap_s: float = setting(
        1.0,
        "Lost sound up to this long is filled with silence and flagged; more starts the "
        "stream anew [s].",
        low=0.0,
        high=10.0,
    )


@dataclass(frozen=True, slots=True)
class EmotionConfig(Validated):
    """From face tracks and spectrogram chunks to emotion estimates."""

    _group = "emotion"

    hop_s: float = setting(
        0.1,
        "One estimate in each period of this length [s of sensor time], made when an image was "
        "looked at, and by the sound where no images come; at 15 images a second and 0.1 s "
        "estimates are 67 and 133 ms apart.",
        low=0.03,
        high=2.0,
    )
    window_s: float = setting(
        3.0,
        "Face and voice of this long before the estimate are used [s]; longer is steadier "
        "and slower.",
        low=1.0,
        high=10.0,
    )
    audio_lag_s: float = setting(
        0.1,
        "The voice's window ends this long before the estimate [s], so that no image waits for "
        "its sound; where sound usually comes later than that, it ends by so much earlier.",
        low=0.0,
        high=1.0,
    )
    warm_up_s: float = setting(
        1.0, "No claim before a person was observed for this long [s].", low=0.3, high=10.0
    )
    max_wait_s: float = setting(
        0.2,
        "An estimate waits this long for sound that is later than usual, and sound for an "
        "image that is, before it does without [s of sensor time].",
        low=0.0,
        high=2.0,
    )
    stale_after_s: float = setting(
        1.0, "Input older than this is stale: the state says so [s].", low=0.2, high=30.0
    )
    latency_budget_s: float = setting(
        0.15,
        "A live system that needs longer than this from the arrival of an image to the "
        "estimate sheds work: frame rate first, then voice rate, then the smallest faces [s].",
        low=0.02,
        high=5.0,
    )
    min_confidence: float = setting(
        0.35,
        "Below this calibrated confidence the label is 'unknown' (status UNCERTAIN).",
        low=0.0,
        high=1.0,
    )
    min_face_quality: float = setting(
        0.3,
        "Frames whose face quality (size, blur, pose) is below this are not looked at.",
        low=0.0,
        high=1.0,
    )
    min_face_s: float = setting(
        0.3, "Least time of usable face within the window [s].", low=0.0, high=10.0
    )
    speech_threshold: float = setting(
        0.5, "Speech probability from which sound counts as speech.", low=0.0, high=1.0
    )
    min_speech_s: float = setting(
        0.6,
        "Least time of speech within the window for the voice to count [s].",
        low=0.0,
        high=10.0,
    )
    face_rate_hz: float = setting(
        15.0,
        "At most this many frames a second and face go through the face network [Hz]; "
        "lower saves processor time.",
        low=1.0,
        high=120.0,
    )
    voice_rate_hz: float = setting(
        5.0,
        "At most this often a second the speech network hears the window [Hz]; estimates in "
        "between use what it heard last, so a voice counts up to 1 / voice_rate_hz later.  "
        "Lower saves processor time.",
        low=0.5,
        high=50.0,
    )
    min_mouth_motion: float = setting(
        0.015,
        "A mouth moves when its opening varies by this much (standard deviation, in eye "
        "distances).",
        low=0.0,
        high=1.0,
    )
    attribution: str = setting(
        "mouth",
        "Whose voice it is: 'mouth' asks for a mouth that moves while speech is heard; "
        "'single' gives the voice to the only face in view without asking.",
        choices=("mouth", "single"),
    )


@dataclass(frozen=True, slots=True)
class ModelConfig(Validated):
    """Which weights, and where they run."""

    _group = "model"

    weights: str = setting(
        "",
        "Released model by name or path of a .safetensors file; empty: the default of "
        "models/index.json.",
    )
    device: str = setting(
        "cpu",
        "Where the network runs; 'auto' takes a GPU if there is one.",
        choices=("cpu", "cuda", "auto"),
    )
    threads: int = setting(
        1, "CPU threads of the network; 1 leaves the other cores to the robot.", low=1, high=64
    )
    runtime: str = setting(
        "auto",
        "What runs the network: 'onnxruntime' needs the model's ONNX files beside its weights, "
        "and a CPU; 'torch' runs every model anywhere; 'auto' takes ONNX Runtime where it can.",
        choices=("auto", "onnxruntime", "torch"),
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the convolutions: 'float32' answers alike on every machine; 'bfloat16' "
        "is PyTorch's, faster there on a CPU with matrix tiles (AMX) and on AMD's from Zen 4 "
        "on, and moves probabilities by up to about 0.02; 'auto' takes it with PyTorch on "
        "these CPUs, and float32 elsewhere.",
        choices=("auto", "float32", "bfloat16"),
    )


@dataclass(frozen=True, slots=True)
class SteadyConfig(Validated):
    """From estimates to steady states and their memory."""

    _group = "steady"

    time_constant_s: float = setting(
        2.0,
        "Log-probabilities are smoothed with this time constant [s]; longer is steadier and "
        "slower to follow a change.",
        low=0.0,
        high=30.0,
    )
    enter_confidence: float = setting(
        0.5,
        "A label has to reach this smoothed probability to become the steady one.",
        low=0.0,
        high=1.0,
    )
    leave_confidence: float = setting(
        0.35,
        "A steady label that stays below this for steady.leave_s becomes unknown; keep it "
        "below steady.enter_confidence.",
        low=0.0,
        high=1.0,
    )
    leave_s: float = setting(
        2.0,
        "A steady label below steady.leave_confidence is given up after this long [s of "
        "observed time]; shorter than a change takes, changes go by way of unknown.",
        low=0.0,
        high=60.0,
    )
    min_lead: float = setting(
        0.15,
        "A label has to lead the next one by this much to become the steady one.",
        low=0.0,
        high=1.0,
    )
    debounce_s: float = setting(
        0.5,
        "A change has to hold for this long before it counts [s of observed time].",
        low=0.0,
        high=10.0,
    )
    forget_s: float = setting(
        3.0,
        "Without a distribution (nobody in view, face not readable) a steady state is held for "
        "this long and then unknown [s].",
        low=0.0,
        high=60.0,
    )
    memory_s: float = setting(
        60.0,
        "Estimates of this long are kept for questions about the past [s], in RAM only.",
        low=1.0,
        high=600.0,
    )
    max_people: int = setting(
        16,
        "People whose last state is kept; beyond it whoever was seen longest ago is forgotten.",
        low=1,
        high=256,
    )


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """The whole core's configuration."""

    input: InputConfig = InputConfig()
    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    emotion: EmotionConfig = EmotionConfig()
    model: ModelConfig = ModelConfig()
    steady: SteadyConfig = SteadyConfig()

    def __post_init__(self) -> None:
        """Refuse pairs of values that contradict each other."""
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

    @classmethod
    def from_flat(cls, values: Mapping[str, object]) -> PipelineConfig:
        """From parameter names and values, e.g. `{"emotion.hop_s": 0.2}`.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        groups: dict[str, dict[str, object]] = {item.name: {} for item in fields(cls)}
        places = {name: (group, item.name) for group, name, item in cls._all()}
        for name, value in values.items():
            if name in RETIRED:
                raise ConfigError(name, value, RETIRED[name])
            if name not in places:
                near = difflib.get_close_matches(name, places, n=1, cutoff=0.6)
                names = f"'{near[0]}'" if near else ", ".join(sorted(places))
                raise ConfigError(name, value, f"no parameter of this name here, but {names}")
            group, key = places[name]
            groups[group][key] = value
        kinds: dict[str, Any] = {item.name: type(item.default) for item in fields(cls)}
        return cls(**{group: kinds[group](**given) for group, given in groups.items()})

    def flat(self) -> dict[str, Any]:
        """Every parameter by name, as `from_flat` takes them."""
        return {
            name: getattr(getattr(self, group), item.name) for group, name, item in self._all()
        }

    @classmethod
    def settings(cls) -> Iterator[tuple[str, Any]]:
        """Every parameter as (dotted name, dataclass field with description and range)."""
        for _, name, item in cls._all():
            yield name, item

    @classmethod
    def _all(cls) -> Iterator[tuple[str, str, Any]]:
        """Group, parameter name and field of every setting."""
        for group in fields(cls):
            prefix = "" if group.name == "input" else f"{group.name}."
            for item in fields(type(group.default)):  # type: ignore[arg-type]
                yield group.name, f"{prefix}{item.name}", item


RETIRED: Final = {
    "emotion.face_hold_s": "no value any more: vision.track_timeout_s says how long a face may "
    "be missed; take it out",
}
"""Parameters of earlier versions, and what to write instead."""
