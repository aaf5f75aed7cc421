"""What a kind of network is, and the options that several kinds share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.spec import Choice, Number, Option

Values = Mapping[str, Any]
"""Of all options by name; a part of a network, such as the voice's part of a fusion, has been
made before and stands in the values instead of its specification."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model."""

    name: str
    text: str
    """What it is, in a sentence."""
    options: tuple[Option, ...]
    make: Callable[[Values], EmotionModel]
    """From checked values of all options.  What it refuses it names by its option alone."""


SHARPNESS: Final = Number(
    "sharpness", 0.3, "lambda of the softmax attention; 0 is the plain mean.", 0.0, 1.0
)


def classes(default: str) -> Choice:
    """The option that says which classes the logits are of."""
    text = "Names of the logits: emotions (7), or speech (8: calm apart from neutral)."
    return Choice("classes", default, text, ("emotions", "speech"))


def dropout(default: float, text: str, name: str = "dropout") -> Number:
    """An option that is a share of dropout."""
    return Number(name, default, text, 0.0, 0.9)


FACE_END: Final = (
    Choice(
        "attention",
        "softmax",
        "How frames are joined: softmax attention (Zhang et al.) or the plain mean.",
        ("softmax", "mean"),
    ),
    SHARPNESS,
    dropout(0.2, "Before the head."),
    classes("emotions"),
)
"""Options of what comes after the CNN of a face model."""
