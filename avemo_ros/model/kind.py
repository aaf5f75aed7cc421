"""What a kind of network is, and the options that several kinds share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from avemo_ros.model.batch import EmotionModel
from avemo_ros.settings import Settings

Values = Mapping[str, Any]
"""Of all options by name; a part of a network, such as the voice's part of a fusion, has been
made before and stands in the values instead of its specification."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model."""

    name: str
    text: str
    """What it is, in a sentence."""
    options: type[Settings]
    """Its options; one that is a model itself has `spec.Part` beside its type."""
    make: Callable[[Values], EmotionModel]
    """From checked values of all options.  What it refuses it names by its option alone."""


Classes = Annotated[
    Literal["emotions", "speech"],
    Field(
        description="Names of the logits: emotions (7), or speech (8: calm apart from neutral)."
    ),
]
"""Which classes the logits are of."""
Dropout = Annotated[float, Field(ge=0.0, le=0.9)]
"""A share that is hidden in training."""
Sharpness = Annotated[
    float,
    Field(ge=0.0, le=1.0, description="lambda of the softmax attention; 0 is the plain mean."),
]


class FaceOptions(Settings):
    """Options of what comes after the CNN of a face model."""

    attention: Literal["softmax", "mean"] = Field(
        "softmax",
        description=(
            "How frames are joined: softmax attention (Zhang et al.) or the plain mean."
        ),
    )
    sharpness: Sharpness = 0.3
    dropout: Dropout = Field(0.2, description="Before the head.")
    classes: Classes = "emotions"
