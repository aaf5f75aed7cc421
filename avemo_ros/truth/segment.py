"""A stretch of a recording and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass

from avemo_ros.vision.face import Box


@dataclass(frozen=True, slots=True)
class Segment:
    """One person's feeling from `start_ns` to `end_ns`, as one annotator judged it."""

    start_ns: int
    """Message time, as the stamps of the recording [ns]."""
    end_ns: int
    """Later than `start_ns`; not itself part of the stretch."""
    label: str
    """One of EMOTIONS; "" where only valence and arousal are judged."""
    person: str = ""
    """Whom it is about, by any name or id; "": whom the robot attends to."""
    annotator: str = ""
    """Who judged; "" where there is one annotator only."""
    valence: float | None = None
    """Unpleasant -1 to pleasant 1; None where it was not judged."""
    arousal: float | None = None
    """Calm -1 to excited 1; None where it was not judged."""
    box: Box | None = None
    """Where the person's face is, normalised to the picture; None where that was not marked."""
