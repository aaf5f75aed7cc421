"""What a training run is made of: meaning, range and default of each setting (`settings.py`).

`config_file.py` reads them from YAML files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from avemo_ros.data.features import PrepareConfig
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
    """What a live camera and an imperfect alignment do to faces (`augmentation.py`)."""

    probability: float = Field(1.0, ge=0, le=1, description="Share of rows to augment.")
    flip: float = Field(0.5, ge=0, le=1, description="Probability of the mirror image.")
    move: float = Field(
        1.0, ge=0, le=1, description=("Probability of rotation, scaling and shift.")
    )
    turn_deg: float = Field(15.0, ge=0, le=90, description="Largest rotation [degrees].")
    scale: float = Field(
        0.15, ge=0, le=0.8, description=("Largest change of scale, as a share: 1 -+ this.")
    )
    stretch: float = Field(
        0.06, ge=0, le=0.5, description="Largest stretch of a side, as a share: 1 -+ this."
    )
    shift: float = Field(
        0.13,
        ge=0,
        le=1,
        description=("Largest shift in each direction, as a share of half the side."),
    )
    jitter: float = Field(
        0.3,
        ge=0,
        le=1,
        description=(
            "Share of rotation, scaling and shift that is drawn for each frame of a clip "
            "separately; images shown several times are always moved differently."
        ),
    )
    light: float = Field(1.0, ge=0, le=1, description="Probability of a change of brightness.")
    gamma: float = Field(0.35, ge=0, le=2, description="Gamma exp(-+ up to this).")
    gain_low: float = Field(0.75, ge=0.1, le=1, description="Lowest gain of the brightness.")
    gain_high: float = Field(1.2, ge=1, le=3, description="Highest gain of the brightness.")
    side_light: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Strongest light gradient from one side, as a share of full white.",
    )
    top_light: float = Field(
        0.1,
        ge=0,
        le=1,
        description=("Strongest light gradient from above or below, as a share of full white."),
    )
    coarse: float = Field(
        0.25, ge=0, le=1, description="Share of a batch to scale down and up again."
    )
    coarse_low: float = Field(
        1 / 3,
        ge=0.1,
        le=1,
        description="Smallest side of a face scaled down, as a share of the side.",
    )
    blur: float = Field(0.0, ge=0, le=1, description="Share of a batch to blur.")
    blur_sigma: float = Field(
        0.04,
        ge=0,
        le=0.2,
        description="Largest standard deviation of the blur, as a share of the side.",
    )
    noise: float = Field(0.25, ge=0, le=1, description="Share of a batch with camera noise.")
    noise_sigma: float = Field(
        0.08,
        ge=0,
        le=0.5,
        description=("Largest standard deviation of the noise, as a share of full white."),
    )
    occlude: float = Field(
        0.5, ge=0, le=1, description="Probability that a rectangle hides part of a face."
    )
    occlude_low: float = Field(
        0.1,
        ge=0,
        le=1,
        description=("Smallest side of the rectangle, as a share of the face's side."),
    )
    occlude_high: float = Field(
        0.4,
        ge=0,
        le=1,
        description=("Largest side of the rectangle, as a share of the face's side."),
    )


class SpeechAugment(Settings, group="augment.speech"):
    """What voices, rooms and microphones do to a spectrogram (`augmentation.py`)."""

    probability: float = Field(
        1.0, ge=0, le=1, description="Share of rows with degraded audio."
    )
    stretch: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Probability of another tempo and vocal tract, within `probability`.",
    )
    stretch_always: bool = Field(
        False, description="Change tempo and vocal tract in the other rows, too."
    )
    tempo_low: float = Field(0.87, ge=0.5, le=1, description="Slowest tempo.")
    tempo_high: float = Field(1.15, ge=1, le=2, description="Fastest tempo.")
    tract: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description=(
            "Largest scaling of frequencies (vocal tract length), as a share: 1 -+ this."
        ),
    )
    microphone: float = Field(
        1.0, ge=0, le=1, description=("Probability of simulating another microphone.")
    )
    tilt_db: float = Field(
        8.0, ge=0, le=40, description="Largest tilt of the microphone over the band [dB]."
    )
    ripple_db: float = Field(
        4.0, ge=0, le=20, description="Largest ripple of the microphone [dB]."
    )
    low_cut: float = Field(
        0.5, ge=0, le=1, description="Probability that the microphone loses its lowest bins."
    )
    low_cut_db: float = Field(12.0, ge=0, le=60, description="Attenuation at 0 Hz [dB].")
    echo: float = Field(0.5, ge=0, le=1, description="Probability of a room's echo.")
    echo_low_s: float = Field(
        0.15, ge=0.05, le=5, description="Shortest reverberation time [s]."
    )
    echo_high_s: float = Field(
        0.9, ge=0.05, le=5, description="Longest reverberation time [s]."
    )
    echo_share: float = Field(
        0.5,
        ge=0.05,
        le=4,
        description="Most energy of the echo, as a share of that of the direct sound.",
    )
    noise: float = Field(0.6, ge=0, le=1, description="Probability of steady noise.")
    noise_low_db: float = Field(
        8.0, ge=-10, le=60, description="Lowest signal-to-noise ratio [dB]."
    )
    noise_high_db: float = Field(
        45.0, ge=-10, le=90, description="Highest signal-to-noise ratio [dB]."
    )
    noise_power_law: float = Field(
        0.0,
        ge=0,
        le=1,
        description=(
            "Share of the noises that are between white, pink and brown; the others fall or "
            "rise evenly over the band."
        ),
    )
    telephone: float = Field(
        0.0, ge=0, le=1, description="Probability of a telephone's band, about 300 to 3,400 Hz."
    )
    masks: int = Field(
        2,
        ge=0,
        le=10,
        description="Number of bands and of spans to mask in every row (SpecAugment).",
    )
    mask_bins: float = Field(24.0, ge=0, le=200, description="Widest masked band [bins].")
    mask_time: float = Field(
        0.15, ge=0, le=0.9, description="Longest masked span, as a share of the window."
    )


class LandmarkAugment(Settings, group="augment.landmarks"):
    """What people, cameras and predictors do to landmarks (`augmentation.py`)."""

    mirror: float = Field(0.5, ge=0, le=1, description="Probability of the mirror image.")
    person: float = Field(
        0.7,
        ge=0,
        le=1,
        description=(
            "Probability that a face gets some of the resting shape of another training person."
        ),
    )
    person_share: float = Field(
        1.0,
        ge=0,
        le=2,
        description="Largest share of the difference to the other person's mean shape.",
    )
    neutral: float = Field(
        0.0,
        ge=0,
        le=1,
        description=(
            "Probability that a face gets the mean resting shape of all training people, as "
            "with `avemo evaluate --personal-neutral`; `person` counts for the rest."
        ),
    )
    crop_low: float = Field(
        0.6,
        ge=0.1,
        le=1,
        description="Shortest part of a sequence, as a share of it; not with a voice.",
    )
    tempo: float = Field(
        0.2, ge=0, le=0.7, description="Movements are faster by a factor exp(-+ up to this)."
    )
    thin: float = Field(
        0.3, ge=0, le=1, description="Probability of a slower camera, from 5 to 30 Hz."
    )
    drop: float = Field(0.1, ge=0, le=0.9, description="Mean share of frames that are hidden.")
    noise: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="Largest standard deviation of the points' noise [distances of the eyes].",
    )
    offset: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description=(
            "Largest standard deviation of an offset of each point that stays the same over a "
            "sequence, as between two predictors of landmarks [distances of the eyes]."
        ),
    )
    stretch: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Standard deviation of stretch and shear, as shares.",
    )


class AugmentConfig(Settings, group="augment"):
    """Changes of the training data; validation never sees them."""

    face: FaceAugment = FaceAugment()
    speech: SpeechAugment = SpeechAugment()
    landmarks: LandmarkAugment = LandmarkAugment()
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
        description=("Largest time shift between face and voice of a clip [s]."),
    )


class PartConfig(Settings, group="data.train"):
    """A data set, or a part of it, to learn from."""

    name: str = Field("", description="Name of the data set (`avemo data list`).")
    share: float = Field(
        1.0,
        ge=0,
        le=1e6,
        description="Weight of this data set in each batch, relative to the others.",
    )
    split: Literal["", "train", "validation", "all"] = Field(
        "", description="Part of the data set to use; empty: 'train' if it has parts, else all."
    )
    versions: int = Field(
        0,
        ge=0,
        le=100,
        description="`training.versions` for the items of this data set; 0: as there.",
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
        "", description="Part of the data set to validate on."
    )
    subjects: ListOf[Any] = Field(
        (), description="Or the subjects to validate on, e.g. [KL] or [3, 6]."
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
            "Subjects of `validation.name` to hold out in each fold; each fold trains one "
            "model.  A number makes that many folds with similar classes and sexes (kept as "
            "empty folds, which are filled with subjects later)."
        ),
    )
    final: bool = Field(True, description="With folds: also train one model on all of them.")
    pairing: Literal["none", "label"] = Field(
        "none",
        description=(
            "'label': combine a face and a voice (of any people) with the same label to one "
            "item, if there are no paired data."
        ),
    )
    units: str = Field(
        "", description="Table (CSV) of action units, matched to the items by name."
    )
    landmarks: str = Field(
        "",
        description=(
            "File (npz) of landmark sequences, matched to the items by name; empty: those of "
            "the face meshes of images."
        ),
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
        description="Probability of hiding some of these faces (all but one at most).",
    )
    window_low_s: float = Field(
        1.0, ge=0.63, le=10, description="Shortest window of speech in a batch [s]."
    )
    window_high_s: float = Field(
        3.0, ge=0.63, le=10, description="Longest window of speech in a batch [s]."
    )
    window_s: float = Field(
        3.0,
        ge=0.63,
        le=10,
        description=("Length of the middle window of speech for validation [s]."),
    )
    votes: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of the raters' votes in the target; the label gets the rest.",
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

    epochs: int = Field(
        60, ge=1, le=100_000, description=("Number of epochs, with `draws` items each.")
    )
    batch: int = Field(32, ge=1, le=65_536, description="Items per step, over all processes.")
    draws: int = Field(
        0, ge=0, le=100_000_000, description="Items per epoch; 0: as many as there are."
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
            "'one_cycle': rise from 4 % over `warm_up`, then a cosine to 0; 'cosine': linear "
            "rise, then a cosine to 0; 'plateau': multiply by `plateau_factor` when the "
            "validation loss stops falling; 'constant'."
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
        0.3, ge=0.01, le=0.99, description="Factor by which the rate falls."
    )
    averaging: float = Field(
        0.998,
        ge=0,
        le=0.99999,
        description="Decay of the weight average per step; 0: no averaging.",
    )
    last_epochs: int = Field(
        0,
        ge=0,
        le=1000,
        description=(
            "Also average the weights after each of this many last epochs; 0: only the last."
        ),
    )
    clip: float = Field(
        5.0, ge=0, le=1e6, description=("Largest norm of the gradient; 0: no limit.")
    )
    smoothing: float = Field(0.0, ge=0, le=0.9, description="Label smoothing.")
    balance: Literal["classes", "weights", "none"] = Field(
        "classes",
        description=(
            "'classes': draw the classes of a data set equally often; 'weights': draw them "
            "as they are, and weight them in the loss; 'none'."
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
            "Stop when the validation metric has not improved for this many epochs, and keep "
            "the best; 0: run all epochs and keep the last."
        ),
    )
    choose_by: Literal["ua", "wa", "nll"] = Field(
        "ua", description="Validation metric for `patience`."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of all random numbers.")
    modality_dropout: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description=(
            "Probability that an item loses its face (or action units, or landmarks), and the "
            "same that it loses its voice."
        ),
    )
    auxiliary: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Weight of the losses of the parts' own heads, and of the head of votes.",
    )
    teacher: str = Field(
        "",
        description=(
            "Run folder or model file of a larger model to learn from, too (distillation); "
            "of a run with folds, the same fold is used."
        ),
    )
    teacher_weight: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Weight of the teacher's outputs; the labels get the rest.",
    )
    teacher_temperature: float = Field(
        3.0, ge=0.5, le=100, description="Temperature that softens the teacher's outputs."
    )
    freeze: ListOf[str] = Field(
        (), description="Parts to freeze, by the beginning of their names."
    )
    versions: int = Field(
        0,
        ge=0,
        le=100,
        description=(
            "With a frozen speech encoder: encode each item this many times before training, "
            "once as it is, then with random changes; the head learns on that. 0: encode it in "
            "every epoch."
        ),
    )
    clean_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description=(
            "With `training.versions`: this share of the rows is the item as it is, the others "
            "are any of its versions."
        ),
    )
    small_side: int = Field(
        0,
        ge=0,
        le=512,
        description=(
            "Side of the faces in the first part of the run [pixels]; smaller is faster; 0: "
            "always the model's size."
        ),
    )
    small_share: float = Field(
        0.6, ge=0, le=1, description="Share of the epochs that use `small_side`."
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

    face_run: str = Field(
        "",
        description=(
            "Run folder of the face branch (kind face_cnn), or a live model, e.g. avemo-0.5, "
            "whose face branch is taken."
        ),
    )
    speech_run: str = Field(
        "", description="Run folder of the speech branch with fold0/, fold1/, ... and final/."
    )
    landmark_run: str = Field(
        "",
        description=(
            "Run folder of a landmark network (kind landmark_sequence) with the same folds as "
            "the speech run; '': the model does not read landmarks. They come from "
            "data.landmarks, or from the images of recordings."
        ),
    )
    mirrored: bool = Field(
        False,
        description=(
            "Have the face branch (kind face_cnn) read the mirror image of each face, too, as "
            "with its option `mirrored`; twice the time."
        ),
    )
    attention_steps: int = Field(
        300, ge=0, le=100_000, description="Steps of the frame attention."
    )
    steps: int = Field(
        150,
        ge=1,
        le=100_000,
        description="Steps of the fusion; more would overfit the few voices.",
    )
    batch: int = Field(256, ge=1, le=65_536, description="Pairs per step.")
    rate: float = Field(1e-3, ge=1e-9, le=1, description="Highest learning rate of the fusion.")
    weight_decay: float = Field(0.1, ge=0, le=10, description="Weight decay of the fusion.")
    views: int = Field(
        8,
        ge=2,
        le=64,
        description=("Augmented views of each face and each voice; the first is unchanged."),
    )
    frames: int = Field(
        2,
        ge=1,
        le=64,
        description=(
            "Frames per view of a face, all with the same augmentation except for "
            "small movements."
        ),
    )
    attention_faces: int = Field(
        6000,
        ge=1,
        le=1_000_000,
        description="Number of training faces for the frame attention.",
    )
    modality_dropout: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Share of pairs without the face; the same share lacks the voice.",
    )
    mismatch: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description=(
            "Share of training pairs of the fusion that get the face of another pair, with "
            "any emotion: faces of people who talk are misread more often than images."
        ),
    )
    landmark_dropout: float = Field(
        0.3,
        ge=0,
        le=0.9,
        description="Share of pairs without landmarks, as of a face that does not talk.",
    )
    tempering: float = Field(
        0.0,
        ge=0,
        le=2,
        description=(
            "Multiply the log-probabilities of a face by exp(a normal number with this "
            "standard deviation): for people who talk they are less well calibrated than for "
            "images."
        ),
    )
    pairs: int = Field(3000, ge=1, le=1_000_000, description="Pairs to evaluate for each fold.")


class TrainConfig(Settings):
    """A training run."""

    name: str = Field("", description="Name of the model, e.g. 'speech-fcn'.")
    task: Literal["classifier", "live_fusion"] = Field(
        "classifier",
        description=(
            "'classifier': train one model of any kind; 'live_fusion': join trained branches."
        ),
    )
    model: Mapping[str, Any] = Field(default_factory=dict)
    """kind and options, see `model/builder.py` and `zoo/model_registry.py`."""
    data: DataConfig = DataConfig()
    prepare: PrepareConfig = PrepareConfig()
    start: ListOf[str] = Field(
        (),
        description=(
            "Run folders or model files to start from; of a run with folds, the same fold is "
            "used. Tensors that match by name and shape are taken; later files override "
            "earlier ones."
        ),
    )
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    live: LiveConfig = LiveConfig()
