"""What a model is made from, takes and gives, and the interface of networks of one modality.

A kind, and options that say how (`ModelSpec`), make a model.  Networks of one modality
(`Unimodal`) answer by their own head when they stand alone, and by their vector in a fusion.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Final

import torch
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from torch import Tensor, nn

from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.settings import Allowed, Settings


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Kind and options of a model, as a configuration names them (`model_registry.KINDS`)."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """By name; a part of a fusion is a ModelSpec or a mapping with a 'kind'."""

    @classmethod
    def from_mapping(cls, raw: object, where: str = "model") -> ModelSpec:
        """From what a YAML or JSON file holds: {'kind': ..., option: value, ...}.

        Raises:
            ConfigError: it is no mapping, or has no kind.
        """
        if not isinstance(raw, Mapping):
            raise ConfigError(where, raw, "a mapping with 'kind' and options")
        kind = raw.get("kind")
        if not isinstance(kind, str) or not kind:
            raise ConfigError(f"{where}.kind", kind, "the name of a kind of model")
        return cls(kind, {str(name): value for name, value in raw.items() if name != "kind"})

    def to_mapping(self) -> dict[str, Any]:
        """As a configuration file has it, with plain values only."""
        plain = {name: _plain(value) for name, value in self.options.items()}
        return {"kind": self.kind, **plain}

    def to_json(self) -> str:
        """On one line."""
        return json.dumps(self.to_mapping())


def _plain(value: Any) -> Any:
    if isinstance(value, ModelSpec):
        return value.to_mapping()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class OnlyToStart:
    """Beside the type of an option: it says what training starts with, no part of the model."""


Start = Annotated[
    str, Allowed("path of a .safetensors, .pt or .pth file, or '' for none"), OnlyToStart()
]
"""A file with weights to start from; '' for none."""


@dataclass(frozen=True, slots=True)
class Part:
    """Beside `ModelSpec`: another model within this one, with its own kind and options."""

    kinds: tuple[str, ...]
    inherits: tuple[str, ...] = ()
    """Options that it takes over from the whole unless it has its own."""
    optional: bool = False
    """None is allowed: the whole has no such part."""

    @property
    def allowed(self) -> str:
        """What messages say is allowed."""
        none = ", or null" if self.optional else ""
        kinds = " | ".join(self.kinds)
        return f"a mapping with kind {kinds} and the options of that kind{none}"

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def _read(self, value: Any) -> ModelSpec | None:
        if value is None and self.optional:
            return None
        kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
        if kind not in self.kinds:
            raise ValueError(value)
        return value if isinstance(value, ModelSpec) else ModelSpec.from_mapping(value)


def parts_of(options: type[Settings]) -> dict[str, Part]:
    """The options that are models themselves, by name."""
    return {
        name: note
        for name, item in options.model_fields.items()
        for note in item.metadata
        if isinstance(note, Part)
    }


def starts_of(options: type[Settings]) -> tuple[str, ...]:
    """The options that only say what training starts with."""
    return tuple(
        name
        for name, item in options.model_fields.items()
        if any(isinstance(note, OnlyToStart) for note in item.metadata)
    )


MODALITIES: Final = (
    "face",
    "audio",
    "av",
    "au",
    "au+audio",
    "landmarks",
    "landmarks+audio",
    "face+landmarks",
    "face+landmarks+audio",
)
"""What a model reads: face crops, sound, both, action units, action units and sound, landmark
sequences, landmark sequences and sound, face crops and landmark sequences, all three."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B items; a part that no model at hand reads is None."""

    faces: Tensor | None = None
    """(B, n, 1, side, side) float32, standardised (`preprocess.standardise`)."""
    face_mask: Tensor | None = None
    """(B, n) bool, True where a face is there; None: everywhere.  A row of False: no face."""
    speech: Tensor | None = None
    """(B, 1, T, 200) float32 (`preprocess.relative`), T from 63."""
    speech_mask: Tensor | None = None
    """(B,) bool, False where the voice is missing; None: all are there."""
    units: Tensor | None = None
    """(B, 35) float32 action units as the table has them; the model standardises."""
    units_mask: Tensor | None = None
    """(B,) bool, False where the action units are missing; None: all are there."""
    points: Tensor | None = None
    """(B, n, 140) float32 landmark sequences (`face_points`), RATE_HZ frames a second."""
    points_mask: Tensor | None = None
    """(B, n) bool, True where a frame is there; None: everywhere.  A row of False: no face."""
    neutral: Tensor | None = None
    """(B, 136) float32 resting faces of the rows' people, zeros where not known."""
    neutral_weight: Tensor | None = None
    """(B,) float32, how far each is to be trusted, 0 to 1; with `neutral` only."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    moved: dict[str, Tensor | None] = {}
    for item in fields(batch):
        value: Tensor | None = getattr(batch, item.name)
        moved[item.name] = None if value is None else value.to(device)
    return Batch(**moved)


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What a network makes of a batch."""

    logits: Tensor
    """(B, classes)."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """Logits (B, classes) of the parts that have a head of their own ('face', 'audio', 'au',
    'landmarks'): for auxiliary losses and for comparison."""
    face_share: Tensor | None = None
    """(B,) weight of the face in the decision, 0 to 1, where the network has such a weight."""
    votes: Tensor | None = None
    """(B, 8) logits of what raters would answer, over FACE_CLASSES, where the network has a
    head for it: to learn from FER+, beside the labels."""


class EmotionModel(nn.Module, ABC):
    """A network that tells emotions."""

    modality: str
    """One of MODALITIES."""
    classes: tuple[str, ...]
    """Names of the logits: EMOTIONS, SPEECH_CLASSES or FACE_CLASSES."""
    face_side: int = 48
    """Side of the face images it takes [pixels]."""

    @abstractmethod
    def forward(self, batch: Batch) -> ModelOutput:
        """Logits of a batch.

        A fused model takes any mix of rows with and without face or voice; a row with neither
        gets the same logits for every class.
        """


CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "emotions": EMOTIONS,
    "speech": SPEECH_CLASSES,
    "face": FACE_CLASSES,
}
"""Names that a specification gives to the sets of classes."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder makes of B items."""

    vector: Tensor
    """(B, width); zeros where the modality is missing."""
    there: Tensor
    """(B,) bool, False where the modality is missing."""
    segments: Tensor | None = None
    """(B, S, segment width), oldest first, where asked for; zeros where it is missing."""


class Unimodal(EmotionModel):
    """A network that reads one modality."""

    part: str
    """Its name in `Answer.parts` of a fusion: 'face', 'audio', 'au' or 'landmarks'."""
    width: int
    """Length of its vector."""
    segment_width: int
    """Length of the vector of a segment."""
    start_note: str = ""
    """Which tensors it took from weights of elsewhere, in words; '' without any."""

    @abstractmethod
    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """Vectors of a batch.

        Args:
            batch: what it reads may be missing, in some rows or altogether.
            segments: S, into how many parts of equal length the stream is cut as well; 0: no
                segments.
        """

    @abstractmethod
    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """Vectors of items that lack nothing; the same steps for any values (for export).

        Args:
            whole: what it reads, as in a batch: faces, speech, units or points.
            segments: as for `encode`.

        Returns:
            (B, width) and the segments, if any.
        """

    @abstractmethod
    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits of a batch; zeros for a row without the modality."""
        encoded = self.encode(batch)
        return ModelOutput(self.classify(encoded.vector) * encoded.there.unsqueeze(1))


def none_present(batch: Batch) -> Tensor:
    """(B,) bool, all False."""
    anything = _any(batch)
    return torch.zeros(len(anything), dtype=torch.bool, device=anything.device)


def missing_encoding(model: Unimodal, batch: Batch, segments: int) -> Encoded:
    """What a model makes of a batch that has nothing for it."""
    missing = none_present(batch)
    like = next(model.parameters())
    parts = like.new_zeros(len(missing), segments, model.segment_width) if segments else None
    return Encoded(like.new_zeros(len(missing), model.width), missing, parts)


def _any(batch: Batch) -> Tensor:
    for tensor in (batch.faces, batch.speech, batch.units, batch.points):
        if tensor is not None:
            return tensor
    raise ValueError("a batch has neither faces nor speech nor action units nor landmarks")


def segment_shares(mask: Tensor, segments: int) -> Tensor:
    """How much each step of a sequence counts in the mean of each segment.

    Segment s of S covers steps floor(s n / S) to ceil((s + 1) n / S) of the n that are there,
    as adaptive pooling does: with fewer steps than segments they are used more than once.

    Args:
        mask: (B, N) bool, True where a step is there.
        segments: S.

    Returns:
        (B, S, N), rows sum to 1, or to 0 where nothing is there.
    """
    count = mask.sum(1).view(-1, 1, 1)
    rank = (mask.cumsum(1) - 1).unsqueeze(1)
    number = torch.arange(segments, device=mask.device).view(1, -1, 1)
    first = number * count // segments
    end = ((number + 1) * count + segments - 1) // segments
    inside = ((rank >= first) & (rank < end) & mask.unsqueeze(1)).float()
    return inside / inside.sum(2, keepdim=True).clamp_min(1.0)


def mean_segments(steps: Tensor, segments: int) -> Tensor | None:
    """Means (B, S, width) of segments of a whole sequence (B, n, width); S 0: None."""
    if not segments:
        return None
    every = torch.ones(steps.shape[:2], dtype=torch.bool, device=steps.device)
    return torch.bmm(segment_shares(every, segments).to(steps.dtype), steps)


def scatter_rows(values: Tensor, there: Tensor) -> Tensor:
    """Rows (M, ...) of those that are there to (B, ...), zeros elsewhere; `there` (B,) bool."""
    if len(values) == len(there):
        return values
    whole = values.new_zeros(len(there), *values.shape[1:])
    whole[there] = values
    return whole


def as_emotions(logits: Tensor, classes: tuple[str, ...]) -> Tensor:
    """Logits (B, C) over one of CLASSES to (B, 7) over EMOTIONS: calm counts as neutral,
    contempt is left out."""
    if classes == FACE_CLASSES:
        return logits[:, : len(EMOTIONS)]
    return to_emotion_logits(logits) if classes == SPEECH_CLASSES else logits


def to_emotion_logits(logits: Tensor) -> Tensor:
    """Logits (B, 8) over SPEECH_CLASSES to (B, 7) over EMOTIONS.

    The probabilities of classes that count as one emotion add up, hence log-sum-exp: softmax
    of the result is exactly the summed softmax of what was given.
    """
    columns = []
    for emotion in range(len(EMOTIONS)):
        members = [i for i, to in enumerate(SPEECH_TO_EMOTION) if to == emotion]
        alone = len(members) == 1
        columns.append(
            logits[:, members[0]] if alone else torch.logsumexp(logits[:, members], dim=1)
        )
    return torch.stack(columns, dim=1)
