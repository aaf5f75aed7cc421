"""What a training run is made of: meaning, range and default of each setting (`settings.py`).

`config_file.py` reads them from YAML files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from avemo_ros.data.prepare_config import PrepareConfig
from avemo_ros.errors import ConfigError
from avemo_ros.settings import Allowed, ListOf, Settings

FINAL: Final = "final"
"""Name of the run on all folds."""

FOLDS: Final = "lists of subjects, e.g. [[2, 3], [5, 6]], or a number of folds from 2 on"
"""What `data.folds` may be, as messages say it."""

_MOST_FOLDS: Final = 1000
_Factor = Annotated[float, Field(ge=0, le=1000)]


def _folds(value: Any) -> Any:
    if type(value) is int and 2 <= value <= _MOST_FOLDS:
        return ((),) * value
    folds = [] if value == "" else value
    listed = isinstance(folds, list | tuple) and all(
        isinstance(fold, list | tuple) for fold in folds
    )
    if not listed or (any(folds) and not all(folds)):
        raise ValueError
    return tuple(tuple(fold) for fold in folds)


def _parts(value: Any) -> Any:
    """A name stands for a data set, and one data set for a list of one."""
    parts = [value] if isinstance(value, Mapping | str) else value
    if not isinstance(parts, list | tuple):
        return value
    return tuple({"name": part} if isinstance(part, str) else part for part in parts)


Folds = Annotated[tuple[tuple[Any, ...], ...], BeforeValidator(_folds), Allowed(FOLDS)]


class FaceAugment(Settings, group="augment.face"):
    """What a live camera and an imperfect alignment do to faces (`augment_face.py`)."""

    probability: float = Field(
        1.0, ge=0, le=1, description="Share of rows that are changed at all."
    )
    flip: float = Field(0.5, ge=0, le=1, description="Probability of the mirror image.")
    move: float = Field(1.0, ge=0, le=1, description="Probability of turn, scale and shift.")
    turn_deg: float = Field(
        15.0, ge=0, le=90, description="Turned by up to this angle [degrees]."
    )
    scale: float = Field(0.15, ge=0, le=0.8, description="Scaled by 1 -+ up to this share.")
    stretch: float = Field(
        0.06, ge=0, le=0.5, description="Sides stretched by 1 -+ up to this share."
    )
    shift: float = Field(
        0.13, ge=0, le=1, description="Shifted by up to this share of half the side, each way."
    )
    jitter: float = Field(
        0.3,
        ge=0,
        le=1,
        description=(
            "Share of turn, scale and shift that each frame of a clip has of its own; pictures "
            "shown several times are always moved anew."
        ),
    )
    light: float = Field(1.0, ge=0, le=1, description="Probability of another light.")
    gamma: float = Field(0.35, ge=0, le=2, description="Gamma exp(-+ up to this).")
    gain_low: float = Field(0.75, ge=0.1, le=1, description="Least gain of the light.")
    gain_high: float = Field(1.2, ge=1, le=3, description="Greatest gain of the light.")
    side_light: float = Field(
        0.2,
        ge=0,
        le=1,
        description="A ramp of light from one side, up to this much of full white.",
    )
    top_light: float = Field(0.1, ge=0, le=1, description="The same from above or below.")
    coarse: float = Field(
        0.25, ge=0, le=1, description="Share of a batch that is made small and large again."
    )
    coarse_low: float = Field(
        1 / 3,
        ge=0.1,
        le=1,
        description="Smallest side of a face made small, in shares of the side.",
    )
    blur: float = Field(0.0, ge=0, le=1, description="Share of a batch that is blurred.")
    blur_sigma: float = Field(
        0.04,
        ge=0,
        le=0.2,
        description="Blurred by up to this deviation, in shares of the side.",
    )
    noise: float = Field(
        0.25, ge=0, le=1, description="Share of a batch that gets camera noise."
    )
    noise_sigma: float = Field(
        0.08, ge=0, le=0.5, description="Deviation of the noise, up to this much of full white."
    )
    occlude: float = Field(
        0.5, ge=0, le=1, description="Probability that a rectangle hides part of a face."
    )
    occlude_low: float = Field(
        0.1, ge=0, le=1, description="Least side of the rectangle, in shares of the side."
    )
    occlude_high: float = Field(
        0.4, ge=0, le=1, description="Greatest side of the rectangle, in shares of the side."
    )


class SpeechAugment(Settings, group="augment.speech"):
    """What voices, rooms and microphones do to a spectrogram (`augment_speech.py`)."""

    probability: float = Field(
        1.0, ge=0, le=1, description="Share of rows whose sound is degraded at all."
    )
    stretch: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Probability of another tempo and vocal tract, within `probability`.",
    )
    stretch_always: bool = Field(
        False, description="Tempo and vocal tract are changed in the other rows too."
    )
    tempo_low: float = Field(0.87, ge=0.5, le=1, description="Slowest tempo.")
    tempo_high: float = Field(1.15, ge=1, le=2, description="Fastest tempo.")
    tract: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Frequencies scaled by 1 -+ up to this share (vocal tract length).",
    )
    microphone: float = Field(1.0, ge=0, le=1, description="Probability of another microphone.")
    tilt_db: float = Field(
        8.0, ge=0, le=40, description="Tilt of the microphone over the band, up to this [dB]."
    )
    ripple_db: float = Field(
        4.0, ge=0, le=20, description="Ripple of the microphone, up to this [dB]."
    )
    low_cut: float = Field(
        0.5, ge=0, le=1, description="Probability that the microphone loses its lowest bins."
    )
    low_cut_db: float = Field(12.0, ge=0, le=60, description="Loss at 0 Hz [dB].")
    echo: float = Field(0.5, ge=0, le=1, description="Probability of a room's echo.")
    echo_low_s: float = Field(
        0.15, ge=0.05, le=5, description="Shortest reverberation time [s]."
    )
    echo_high_s: float = Field(
        0.9, ge=0.05, le=5, description="Longest reverberation time [s]."
    )
    noise: float = Field(0.6, ge=0, le=1, description="Probability of steady noise.")
    noise_low_db: float = Field(
        8.0, ge=-10, le=60, description="Least signal-to-noise ratio [dB]."
    )
    noise_high_db: float = Field(
        45.0, ge=-10, le=90, description="Greatest signal-to-noise ratio [dB]."
    )
    masks: int = Field(
        2,
        ge=0,
        le=10,
        description="Bands and spans that are masked in every row (SpecAugment).",
    )
    mask_bins: float = Field(24.0, ge=0, le=200, description="Widest masked band [bins].")
    mask_time: float = Field(
        0.15, ge=0, le=0.9, description="Longest masked span, in shares of the window."
    )


class AugmentConfig(Settings, group="augment"):
    """Changes of the training data; validation never sees them."""

    face: FaceAugment = FaceAugment()
    speech: SpeechAugment = SpeechAugment()
    mixup: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability that the rows of a batch are mixed in pairs (mixup).",
    )
    mixup_share: float = Field(
        0.5, ge=0, le=0.5, description="Largest share of the other row in a mix."
    )
    shift_s: float = Field(
        0.0,
        ge=0,
        le=5,
        description=(
            "Face and voice of one clip are shifted against each other by up to this [s]."
        ),
    )


class PartConfig(Settings, group="data.train"):
    """A data set, or a part of it, to learn from."""

    name: str = Field("", description="Name of the data set (`avemo data list`).")
    share: float = Field(
        1.0,
        ge=0,
        le=1e6,
        description="How much of each batch is of it, relative to the other ones.",
    )
    split: Literal["", "train", "validation", "all"] = Field(
        "", description="Its own part to take; empty: 'train' where it has parts, else all."
    )
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Given to the data set's loader as they are."""

    @model_validator(mode="after")
    def _have_a_share(self) -> PartConfig:
        if self.share == 0.0:
            raise ConfigError(
                "share", self.share, f"above 0; leave '{self.name}' out otherwise"
            )
        return self


class HeldOut(Settings, group="data.validation"):
    """What is held out for validation."""

    name: str = Field("", description="Name of the data set; empty: nothing is held out.")
    split: Literal["", "validation", "train"] = Field(
        "", description="Its own part to validate on."
    )
    subjects: ListOf[Any] = Field(
        (), description="Or these subjects of it, e.g. [KL] or [3, 6]."
    )
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Given to the data set's loader as they are; empty: those of the training part."""


class DataConfig(Settings, group="data"):
    """What is learned from, and what is held out."""

    train: Annotated[
        tuple[PartConfig, ...],
        BeforeValidator(_parts),
        Allowed("a list of data sets, each with a name"),
    ] = ()
    validation: HeldOut = HeldOut()
    folds: Folds = Field(
        (),
        description=(
            "Subjects of `validation.name` held out in each fold; one model a fold.  A number: "
            "so many folds, alike in classes and sex (kept as empty folds, whom people are "
            "dealt to)."
        ),
    )
    final: bool = Field(True, description="With folds: also train one model on all of them.")
    pairing: Literal["none", "label"] = Field(
        "none",
        description=(
            "'label': a face and a voice (of any people) with the same label make one item, "
            "for where no paired data exist."
        ),
    )
    units: str = Field(
        "", description="Table (csv) of action units to join to the items by name."
    )
    frames: int = Field(
        8,
        ge=1,
        le=64,
        description=(
            "Faces of an item in a training batch: one at random of each part of the clip."
        ),
    )
    fewer_frames: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability that some of them (all but one at most) are hidden.",
    )
    window_low_s: float = Field(
        1.0, ge=0.63, le=10, description="Shortest window of speech in a batch [s]."
    )
    window_high_s: float = Field(
        3.0, ge=0.63, le=10, description="Longest window of speech in a batch [s]."
    )
    window_s: float = Field(
        3.0, ge=0.63, le=10, description="Middle window of speech that validation hears [s]."
    )
    votes: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of raters' votes in the target; the label has the rest.",
    )

    @model_validator(mode="after")
    def _go_together(self) -> DataConfig:
        if self.window_low_s > self.window_high_s:
            raise ConfigError(
                "window_low_s",
                self.window_low_s,
                f"at most data.window_high_s ({self.window_high_s})",
            )
        if self.folds and not self.validation.name:
            raise ConfigError(
                "validation.name", "", "the data set whose subjects data.folds lists"
            )
        return self


class TrainingConfig(Settings, group="training"):
    """Numbers of the training loop."""

    epochs: int = Field(60, ge=1, le=100_000, description="Passes of `draws` items each.")
    batch: int = Field(32, ge=1, le=65_536, description="Items of a step, over all processes.")
    draws: int = Field(
        0, ge=0, le=100_000_000, description="Items of an epoch; 0: as many as there are."
    )
    optimiser: Literal["adamw", "sgd"] = Field(
        "adamw", description="AdamW, or SGD with Nesterov momentum 0.9."
    )
    rate: float = Field(1e-3, ge=1e-9, le=100, description="Highest learning rate.")
    rates: Mapping[str, _Factor] = Field(default_factory=dict)
    """Factors of the rate for parts of the model by the beginning of their names."""
    weight_decay: float = Field(
        0.01, ge=0, le=10, description="Weight decay of matrices and kernels."
    )
    schedule: Literal["one_cycle", "cosine", "plateau", "constant"] = Field(
        "one_cycle",
        description=(
            "'one_cycle': a rise from 4 % over `warm_up`, then a cosine to 0; 'cosine': a "
            "linear rise, then a cosine to 0; 'plateau': falls by `plateau_factor` when the "
            "validation loss does not; 'constant'."
        ),
    )
    warm_up: float = Field(
        0.2, ge=0, le=0.9, description="Share of the run over which the rate rises."
    )
    plateau_epochs: int = Field(
        5,
        ge=1,
        le=1000,
        description="Epochs without a lower validation loss before the rate falls.",
    )
    plateau_factor: float = Field(
        0.3, ge=0.01, le=0.99, description="The rate falls by this factor."
    )
    averaging: float = Field(
        0.998,
        ge=0,
        le=0.99999,
        description="Decay of the averaged weights for each step; 0: no averaging.",
    )
    last_epochs: int = Field(
        0,
        ge=0,
        le=1000,
        description=(
            "The weights after each of this many last epochs are averaged too; 0: only the "
            "last."
        ),
    )
    clip: float = Field(5.0, ge=0, le=1e6, description="Longest gradient; 0: any.")
    smoothing: float = Field(0.0, ge=0, le=0.9, description="Label smoothing.")
    balance: Literal["classes", "weights", "none"] = Field(
        "classes",
        description=(
            "'classes': those of a data set are drawn alike often; 'weights': drawn as they "
            "are, weighted in the loss; 'none'."
        ),
    )
    precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto",
        description=(
            "'bfloat16' autocast or 'float32'; 'auto': bfloat16 where the processor has it."
        ),
    )
    patience: int = Field(
        0,
        ge=0,
        le=10_000,
        description=(
            "Stop when the validation figure was not better for this many epochs, and keep the "
            "best; 0: run all epochs and keep the last."
        ),
    )
    choose_by: Literal["ua", "wa", "nll"] = Field(
        "ua", description="Validation figure that `patience` looks at."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of all chance.")
    modality_dropout: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description=(
            "Probability that an item loses its face (or action units), and the same that it "
            "loses its voice."
        ),
    )
    auxiliary: float = Field(
        0.0, ge=0, le=10, description="Weight of the losses of the parts' own heads."
    )
    teacher: str = Field(
        "",
        description=(
            "Run folder or model file of a larger model whose answers are learned too "
            "(distillation); of a run with folds that of the same fold."
        ),
    )
    teacher_weight: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Weight of the teacher's answers; the labels have the rest.",
    )
    teacher_temperature: float = Field(
        3.0, ge=0.5, le=100, description="Softens the teacher's answers."
    )
    freeze: ListOf[str] = Field(
        (), description="Parts that stay as they are, by the beginning of their names."
    )
    small_side: int = Field(
        0,
        ge=0,
        le=512,
        description=(
            "Side of the faces in the first part of the run [pixels], which is faster; 0: "
            "always the model's."
        ),
    )
    small_share: float = Field(
        0.6, ge=0, le=1, description="Share of the epochs with `small_side`."
    )

    @model_validator(mode="after")
    def _go_together(self) -> TrainingConfig:
        if self.patience and self.last_epochs:
            raise ConfigError(
                "last_epochs",
                self.last_epochs,
                "0 with training.patience, which keeps the best epoch instead",
            )
        return self


class LiveConfig(Settings, group="live"):
    """The task `live_fusion`: joins trained branches to the model of the live system."""

    face_run: str = Field("", description="Run folder of the face branch (kind face_cnn).")
    speech_run: str = Field(
        "", description="Run folder of the speech branch with fold0/, fold1/, ... and final/."
    )
    attention_steps: int = Field(
        300, ge=0, le=100_000, description="Steps of the frame attention."
    )
    steps: int = Field(
        150,
        ge=1,
        le=100_000,
        description="Steps of the fusion; with more it learns the few voices by heart.",
    )
    batch: int = Field(256, ge=1, le=65_536, description="Pairs of a step.")
    rate: float = Field(1e-3, ge=1e-9, le=1, description="Highest learning rate of the fusion.")
    weight_decay: float = Field(0.1, ge=0, le=10, description="Weight decay of the fusion.")
    views: int = Field(
        8, ge=2, le=64, description="Views of each face and each voice, the first as it is."
    )
    frames: int = Field(
        2,
        ge=1,
        le=64,
        description="Frames of a view of a face, spoilt alike but for small moves.",
    )
    attention_faces: int = Field(
        6000,
        ge=1,
        le=1_000_000,
        description="Training faces that the frame attention learns from.",
    )
    modality_dropout: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Share of pairs that lose their face, and as many their voice.",
    )
    mismatch: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description=(
            "Share of the pairs that the fusion learns from whose face is that of another "
            "pair, whatever it feels: the faces of people who talk are misread more often than "
            "pictures."
        ),
    )
    tempering: float = Field(
        0.0,
        ge=0,
        le=2,
        description=(
            "The log-probabilities of a face are multiplied by exp(normal number of this "
            "deviation): of people who talk they are not as well calibrated as of pictures."
        ),
    )
    pairs: int = Field(3000, ge=1, le=1_000_000, description="Pairs judged for each fold.")


class TrainConfig(Settings):
    """A training run."""

    name: str = Field("", description="Name of the model, e.g. 'speech-fcn'.")
    task: Literal["classifier", "live_fusion"] = Field(
        "classifier",
        description=(
            "'classifier': one model of any family; 'live_fusion': joins trained branches."
        ),
    )
    model: Mapping[str, Any] = Field(default_factory=dict)
    """kind and options, see `model/builder.py` and `zoo/model_registry.py`."""
    data: DataConfig = DataConfig()
    prepare: PrepareConfig = PrepareConfig()
    start: ListOf[str] = Field(
        (),
        description=(
            "Run folders or model files to begin with; of a run with folds that of the same "
            "fold. Tensors that fit by name and shape are taken, later ones go before earlier "
            "ones."
        ),
    )
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    live: LiveConfig = LiveConfig()
