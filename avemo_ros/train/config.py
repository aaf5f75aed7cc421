"""What a training run is made of.

Every group is a dataclass whose fields carry meaning, range and default, as the core's
settings do (`avemo_ros/config.py`).  `config_file.py` reads them from YAML files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

from avemo_ros.config import Validated, setting
from avemo_ros.errors import ConfigError

TASKS: Final = ("classifier", "live_fusion")
FINAL: Final = "final"
"""Name of the run on all folds."""

FOLDS: Final = "lists of subjects, e.g. [[2, 3], [5, 6]], or a number of folds from 2 on"
"""What `data.folds` may be, as messages say it."""

_MOST_FACTOR: Final = 1000


@dataclass(frozen=True, slots=True)
class FaceAugment(Validated):
    """What a live camera and an imperfect alignment do to faces (`augment_face.py`)."""

    _group = "augment.face"

    probability: float = setting(1.0, "Share of rows that are changed at all.", low=0, high=1)
    flip: float = setting(0.5, "Probability of the mirror image.", low=0, high=1)
    move: float = setting(1.0, "Probability of turn, scale and shift.", low=0, high=1)
    turn_deg: float = setting(15.0, "Turned by up to this angle [degrees].", low=0, high=90)
    scale: float = setting(0.15, "Scaled by 1 -+ up to this share.", low=0, high=0.8)
    stretch: float = setting(0.06, "Sides stretched by 1 -+ up to this share.", low=0, high=0.5)
    shift: float = setting(
        0.13, "Shifted by up to this share of half the side, each way.", low=0, high=1
    )
    jitter: float = setting(
        0.3,
        "Share of turn, scale and shift that each frame of a clip has of its own; pictures "
        "shown several times are always moved anew.",
        low=0,
        high=1,
    )
    light: float = setting(1.0, "Probability of another light.", low=0, high=1)
    gamma: float = setting(0.35, "Gamma exp(-+ up to this).", low=0, high=2)
    gain_low: float = setting(0.75, "Least gain of the light.", low=0.1, high=1)
    gain_high: float = setting(1.2, "Greatest gain of the light.", low=1, high=3)
    side_light: float = setting(
        0.2, "A ramp of light from one side, up to this much of full white.", low=0, high=1
    )
    top_light: float = setting(0.1, "The same from above or below.", low=0, high=1)
    coarse: float = setting(
        0.25, "Share of a batch that is made small and large again.", low=0, high=1
    )
    coarse_low: float = setting(
        1 / 3, "Smallest side of a face made small, in shares of the side.", low=0.1, high=1
    )
    blur: float = setting(0.0, "Share of a batch that is blurred.", low=0, high=1)
    blur_sigma: float = setting(
        0.04, "Blurred by up to this deviation, in shares of the side.", low=0, high=0.2
    )
    noise: float = setting(0.25, "Share of a batch that gets camera noise.", low=0, high=1)
    noise_sigma: float = setting(
        0.08, "Deviation of the noise, up to this much of full white.", low=0, high=0.5
    )
    occlude: float = setting(
        0.5, "Probability that a rectangle hides part of a face.", low=0, high=1
    )
    occlude_low: float = setting(
        0.1, "Least side of the rectangle, in shares of the side.", low=0, high=1
    )
    occlude_high: float = setting(
        0.4, "Greatest side of the rectangle, in shares of the side.", low=0, high=1
    )


@dataclass(frozen=True, slots=True)
class SpeechAugment(Validated):
    """What voices, rooms and microphones do to a spectrogram (`augment_speech.py`)."""

    _group = "augment.speech"

    probability: float = setting(
        1.0, "Share of rows whose sound is degraded at all.", low=0, high=1
    )
    stretch: float = setting(
        1.0,
        "Probability of another tempo and vocal tract, within `probability`.",
        low=0,
        high=1,
    )
    stretch_always: bool = setting(
        False, "Tempo and vocal tract are changed in the other rows too."
    )
    tempo_low: float = setting(0.87, "Slowest tempo.", low=0.5, high=1)
    tempo_high: float = setting(1.15, "Fastest tempo.", low=1, high=2)
    tract: float = setting(
        0.1,
        "Frequencies scaled by 1 -+ up to this share (vocal tract length).",
        low=0,
        high=0.5,
    )
    microphone: float = setting(1.0, "Probability of another microphone.", low=0, high=1)
    tilt_db: float = setting(
        8.0, "Tilt of the microphone over the band, up to this [dB].", low=0, high=40
    )
    ripple_db: float = setting(
        4.0, "Ripple of the microphone, up to this [dB].", low=0, high=20
    )
    low_cut: float = setting(
        0.5, "Probability that the microphone loses its lowest bins.", low=0, high=1
    )
    low_cut_db: float = setting(12.0, "Loss at 0 Hz [dB].", low=0, high=60)
    echo: float = setting(0.5, "Probability of a room's echo.", low=0, high=1)
    echo_low_s: float = setting(0.15, "Shortest reverberation time [s].", low=0.05, high=5)
    echo_high_s: float = setting(0.9, "Longest reverberation time [s].", low=0.05, high=5)
    noise: float = setting(0.6, "Probability of steady noise.", low=0, high=1)
    noise_low_db: float = setting(8.0, "Least signal-to-noise ratio [dB].", low=-10, high=60)
    noise_high_db: float = setting(
        45.0, "Greatest signal-to-noise ratio [dB].", low=-10, high=90
    )
    masks: int = setting(
        2, "Bands and spans that are masked in every row (SpecAugment).", low=0, high=10
    )
    mask_bins: float = setting(24.0, "Widest masked band [bins].", low=0, high=200)
    mask_time: float = setting(
        0.15, "Longest masked span, in shares of the window.", low=0, high=0.9
    )


@dataclass(frozen=True, slots=True)
class AugmentConfig(Validated):
    """Changes of the training data; validation never sees them."""

    _group = "augment"

    face: FaceAugment = FaceAugment()
    speech: SpeechAugment = SpeechAugment()
    mixup: float = setting(
        0.0, "Probability that the rows of a batch are mixed in pairs (mixup).", low=0, high=1
    )
    mixup_share: float = setting(
        0.5, "Largest share of the other row in a mix.", low=0, high=0.5
    )
    shift_s: float = setting(
        0.0,
        "Face and voice of one clip are shifted against each other by up to this [s].",
        low=0,
        high=5,
    )


@dataclass(frozen=True, slots=True)
class PartConfig(Validated):
    """A data set, or a part of it, to learn from."""

    _group = "data.train"

    name: str = setting("", "Name of the data set (`avemo data list`).")
    share: float = setting(
        1.0, "How much of each batch is of it, relative to the other ones.", low=0, high=1e6
    )
    split: str = setting(
        "",
        "Its own part to take; empty: 'train' where it has parts, else all.",
        choices=("", "train", "validation", "all"),
    )
    options: Mapping[str, Any] = field(default_factory=dict)
    """Given to the data set's loader as they are."""

    def __post_init__(self) -> None:
        Validated.__post_init__(self)
        if self.share == 0.0:
            raise ConfigError(
                "data.train.share", self.share, f"above 0; leave '{self.name}' out otherwise"
            )


@dataclass(frozen=True, slots=True)
class HeldOut(Validated):
    """What is held out for validation."""

    _group = "data.validation"

    name: str = setting("", "Name of the data set; empty: nothing is held out.")
    split: str = setting(
        "",
        "Its own part to validate on.",
        choices=("", "validation", "train"),
    )
    subjects: tuple[Any, ...] = setting((), "Or these subjects of it, e.g. [KL] or [3, 6].")
    options: Mapping[str, Any] = field(default_factory=dict)
    """Given to the data set's loader as they are; empty: those of the training part."""


@dataclass(frozen=True, slots=True)
class DataConfig(Validated):
    """What is learned from, and what is held out."""

    _group = "data"

    train: tuple[PartConfig, ...] = ()
    validation: HeldOut = HeldOut()
    folds: tuple[tuple[Any, ...], ...] = setting(
        (),
        "Subjects of `validation.name` held out in each fold; one model a fold.  A number: so "
        "many folds, alike in classes and sex (kept as empty folds, whom people are dealt to).",
    )
    final: bool = setting(True, "With folds: also train one model on all of them.")
    pairing: str = setting(
        "none",
        "'label': a face and a voice (of any people) with the same label make one item, for "
        "where no paired data exist.",
        choices=("none", "label"),
    )
    units: str = setting("", "Table (csv) of action units to join to the items by name.")
    frames: int = setting(
        8,
        "Faces of an item in a training batch: one at random of each part of the clip.",
        low=1,
        high=64,
    )
    fewer_frames: float = setting(
        0.0, "Probability that some of them (all but one at most) are hidden.", low=0, high=1
    )
    window_low_s: float = setting(
        1.0, "Shortest window of speech in a batch [s].", low=0.63, high=10
    )
    window_high_s: float = setting(
        3.0, "Longest window of speech in a batch [s].", low=0.63, high=10
    )
    window_s: float = setting(
        3.0, "Middle window of speech that validation hears [s].", low=0.63, high=10
    )
    votes: float = setting(
        0.0, "Weight of raters' votes in the target; the label has the rest.", low=0, high=1
    )

    def __post_init__(self) -> None:
        # The explicit form: `slots=True` makes a new class, which plain super() misses.
        Validated.__post_init__(self)
        if self.window_low_s > self.window_high_s:
            raise ConfigError(
                "data.window_low_s",
                self.window_low_s,
                f"at most data.window_high_s ({self.window_high_s})",
            )
        if not all(isinstance(fold, tuple) for fold in self.folds) or (
            any(self.folds) and not all(self.folds)
        ):
            raise ConfigError("data.folds", as_mapping(self.folds), FOLDS)
        if self.folds and not self.validation.name:
            raise ConfigError(
                "data.validation.name", "", "the data set whose subjects data.folds lists"
            )


@dataclass(frozen=True, slots=True)
class TrainingConfig(Validated):
    """Numbers of the training loop."""

    _group = "training"

    epochs: int = setting(60, "Passes of `draws` items each.", low=1, high=100_000)
    batch: int = setting(32, "Items of a step, over all processes.", low=1, high=65_536)
    draws: int = setting(
        0, "Items of an epoch; 0: as many as there are.", low=0, high=100_000_000
    )
    optimiser: str = setting(
        "adamw", "AdamW, or SGD with Nesterov momentum 0.9.", choices=("adamw", "sgd")
    )
    rate: float = setting(1e-3, "Highest learning rate.", low=1e-9, high=100)
    rates: Mapping[str, float] = field(default_factory=dict)
    """Factors of the rate for parts of the model by the beginning of their names."""
    weight_decay: float = setting(0.01, "Weight decay of matrices and kernels.", low=0, high=10)
    schedule: str = setting(
        "one_cycle",
        "'one_cycle': a rise from 4 % over `warm_up`, then a cosine to 0; 'cosine': a linear "
        "rise, then a cosine to 0; 'plateau': falls by `plateau_factor` when the validation "
        "loss does not; 'constant'.",
        choices=("one_cycle", "cosine", "plateau", "constant"),
    )
    warm_up: float = setting(
        0.2, "Share of the run over which the rate rises.", low=0, high=0.9
    )
    plateau_epochs: int = setting(
        5, "Epochs without a lower validation loss before the rate falls.", low=1, high=1000
    )
    plateau_factor: float = setting(0.3, "The rate falls by this factor.", low=0.01, high=0.99)
    averaging: float = setting(
        0.998,
        "Decay of the averaged weights for each step; 0: no averaging.",
        low=0,
        high=0.99999,
    )
    last_epochs: int = setting(
        0,
        "The weights after each of this many last epochs are averaged too; 0: only the last.",
        low=0,
        high=1000,
    )
    clip: float = setting(5.0, "Longest gradient; 0: any.", low=0, high=1e6)
    smoothing: float = setting(0.0, "Label smoothing.", low=0, high=0.9)
    balance: str = setting(
        "classes",
        "'classes': those of a data set are drawn alike often; 'weights': drawn as they are, "
        "weighted in the loss; 'none'.",
        choices=("classes", "weights", "none"),
    )
    precision: str = setting(
        "auto",
        "'bfloat16' autocast or 'float32'; 'auto': bfloat16 where the processor has it.",
        choices=("auto", "bfloat16", "float32"),
    )
    patience: int = setting(
        0,
        "Stop when the validation figure was not better for this many epochs, and keep the "
        "best; 0: run all epochs and keep the last.",
        low=0,
        high=10_000,
    )
    choose_by: str = setting(
        "ua", "Validation figure that `patience` looks at.", choices=("ua", "wa", "nll")
    )
    seed: int = setting(0, "Of all chance.", low=0, high=2**31 - 1)
    modality_dropout: float = setting(
        0.0,
        "Probability that an item loses its face (or action units), and the same that it "
        "loses its voice.",
        low=0,
        high=0.5,
    )
    auxiliary: float = setting(
        0.0, "Weight of the losses of the parts' own heads.", low=0, high=10
    )
    teacher: str = setting(
        "",
        "Run folder or model file of a larger model whose answers are learned too "
        "(distillation); of a run with folds that of the same fold.",
    )
    teacher_weight: float = setting(
        0.7, "Weight of the teacher's answers; the labels have the rest.", low=0, high=1
    )
    teacher_temperature: float = setting(
        3.0, "Softens the teacher's answers.", low=0.5, high=100
    )
    freeze: tuple[str, ...] = setting(
        (), "Parts that stay as they are, by the beginning of their names."
    )
    small_side: int = setting(
        0,
        "Side of the faces in the first part of the run [pixels], which is faster; 0: always "
        "the model's.",
        low=0,
        high=512,
    )
    small_share: float = setting(0.6, "Share of the epochs with `small_side`.", low=0, high=1)

    def __post_init__(self) -> None:
        Validated.__post_init__(self)
        for prefix, factor in self.rates.items():
            number = isinstance(factor, int | float) and not isinstance(factor, bool)
            if not number or not 0 <= factor <= _MOST_FACTOR:
                raise ConfigError(
                    f"training.rates.{prefix}", factor, f"a number from 0 to {_MOST_FACTOR}"
                )
        if self.patience and self.last_epochs:
            raise ConfigError(
                "training.last_epochs",
                self.last_epochs,
                "0 with training.patience, which keeps the best epoch instead",
            )


@dataclass(frozen=True, slots=True)
class LiveConfig(Validated):
    """The task `live_fusion`: joins trained branches to the model of the live system."""

    _group = "live"

    face_run: str = setting("", "Run folder of the face branch (kind face_cnn).")
    speech_run: str = setting(
        "", "Run folder of the speech branch with fold0/, fold1/, ... and final/."
    )
    attention_steps: int = setting(300, "Steps of the frame attention.", low=0, high=100_000)
    steps: int = setting(
        150,
        "Steps of the fusion; with more it learns the few voices by heart.",
        low=1,
        high=100_000,
    )
    batch: int = setting(256, "Pairs of a step.", low=1, high=65_536)
    rate: float = setting(1e-3, "Highest learning rate of the fusion.", low=1e-9, high=1)
    weight_decay: float = setting(0.1, "Weight decay of the fusion.", low=0, high=10)
    views: int = setting(
        8, "Views of each face and each voice, the first as it is.", low=2, high=64
    )
    frames: int = setting(
        2, "Frames of a view of a face, spoilt alike but for small moves.", low=1, high=64
    )
    attention_faces: int = setting(
        6000, "Training faces that the frame attention learns from.", low=1, high=1_000_000
    )
    modality_dropout: float = setting(
        0.1, "Share of pairs that lose their face, and as many their voice.", low=0, high=0.5
    )
    mismatch: float = setting(
        0.0,
        "Share of the pairs that the fusion learns from whose face is that of another pair, "
        "whatever it feels: the faces of people who talk are misread more often than pictures.",
        low=0,
        high=0.5,
    )
    tempering: float = setting(
        0.0,
        "The log-probabilities of a face are multiplied by exp(normal number of this "
        "deviation): of people who talk they are not as well calibrated as of pictures.",
        low=0,
        high=2,
    )
    pairs: int = setting(3000, "Pairs judged for each fold.", low=1, high=1_000_000)


@dataclass(frozen=True)
class TrainConfig(Validated):
    """A training run."""

    _group = ""

    name: str = setting("", "Name of the model, e.g. 'speech-fcn'.")
    task: str = setting(
        "classifier",
        "'classifier': one model of any family; 'live_fusion': joins trained branches.",
        choices=TASKS,
    )
    model: Mapping[str, Any] = field(default_factory=dict)
    """kind and options, see `model/live_kinds.py` and `zoo/kinds.py`."""
    data: DataConfig = DataConfig()
    prepare: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `data/prepare.py: PrepareConfig` that differ from its defaults."""
    start: tuple[str, ...] = setting(
        (),
        "Run folders or model files to begin with; of a run with folds that of the same fold. "
        "Tensors that fit by name and shape are taken, later ones go before earlier ones.",
    )
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    live: LiveConfig = LiveConfig()


def as_mapping(config: Any) -> Any:
    """Nested mappings and lists of plain values, as `from_mapping` takes them."""
    if is_dataclass(config):
        return {item.name: as_mapping(getattr(config, item.name)) for item in fields(config)}
    if isinstance(config, Mapping):
        return {str(name): as_mapping(value) for name, value in config.items()}
    if isinstance(config, tuple | list):
        return [as_mapping(value) for value in config]
    return config
