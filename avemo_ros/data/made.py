"""What could be made of an item, and what there is to say about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from avemo_ros.data.features import Features

NO_FACE: Final = "no face"
NO_SOUND: Final = "no sound"
BROKEN: Final = "broken"
SILENT: Final = "silent"
DAMAGED: Final = "damaged"
SHORTENED: Final = "shortened"
FILLED: Final = "filled up"
KINDS: Final = (NO_FACE, NO_SOUND, BROKEN, SILENT, DAMAGED, SHORTENED, FILLED)
"""Kinds of findings.  The first three say that a part is missing; the others are remarks on
a part that is there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is to say about an item."""

    kind: str
    """One of KINDS."""
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What could be made of an item."""

    features: Features = field(default_factory=Features)
    findings: tuple[Finding, ...] = ()
    length_s: float = 0.0
    """How long the item is; 0 for a picture or where that is not known [s]."""
