"""How estimates are named and coloured, in videos, pages and terminals alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import EmotionEstimate, Status

BGR = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour as it reads on a light and on a dark ground, each `#rrggbb`."""

    light: str
    dark: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue of the dark-ground variant, 0 to 255."""
        return (int(self.dark[1:3], 16), int(self.dark[3:5], 16), int(self.dark[5:7], 16))

    @property
    def bgr(self) -> BGR:
        """The dark-ground variant in OpenCV's order."""
        red, green, blue = self.rgb
        return (blue, green, red)


INKS: Final[dict[str, Ink]] = {
    "angry": Ink("#d03b3b", "#f06a6a"),
    "disgust": Ink("#3f7d20", "#6fb63f"),
    "fear": Ink("#6a4fc4", "#a48cf0"),
    "happy": Ink("#d99a00", "#f2bd2c"),
    "neutral": Ink("#7d8590", "#a9b1bb"),
    "sad": Ink("#2a6fd0", "#5c9df5"),
    "surprise": Ink("#d1569a", "#f08cc0"),
    UNKNOWN: Ink("#b9bec6", "#6b737d"),
}
"""Ink of each of EMOTIONS and of 'unknown'."""

# The colours of the reports; `report/templates/style.css` uses them by name.

COLOURS: Final[dict[str, Ink]] = {
    "bg": Ink("#f6f7f9", "#0f1318"),
    "card": Ink("#ffffff", "#181d24"),
    "ink": Ink("#1c2128", "#e8ecf1"),
    "soft": Ink("#59636e", "#9aa5b1"),
    "line": Ink("#d8dee4", "#2f3742"),
    "row": Ink("#eef1f4", "#222932"),
    "bar": Ink("#7aa2cf", "#4f7fb3"),
    "mark": Ink("#c2410c", "#f59e5b"),
    "face": Ink("#7fa8a3", "#5f9089"),
    "voice": Ink("#c3a27a", "#a98455"),
    "heat": Ink("#2a70d1", "#5c9df5"),
    "good": Ink("#1a7f4b", "#5dc48f"),
    "bad": Ink("#b42318", "#f38b80"),
    "warn": Ink("#9a3412", "#fdba74"),
    **INKS,
}
"""Each colour by its name: those of the page, and those of the emotions.

Figures are made in the light ones; the page swaps each for its dark one.  So no two names may
have the same light colour.
"""
LIGHT: Final = {name: ink.light for name, ink in COLOURS.items()}
"""What figures are made with."""
DARK_OF_LIGHT: Final = {ink.light: ink.dark for ink in COLOURS.values()}


STATUS_TEXT: Final[dict[Status, str]] = {
    Status.OK: "face and voice",
    Status.WARMING_UP: "warming up",
    Status.NO_FACE: "no face",
    Status.NO_VOICE: "not speaking",
    Status.LOW_QUALITY: "face not readable",
    Status.UNCERTAIN: "uncertain",
    Status.STALE_INPUT: "no input",
    Status.NOBODY: "nobody there",
}
"""Each status in at most three words."""


def headline(estimate: EmotionEstimate) -> str:
    """The claim with its confidence, or why there is none: 'happy 82%', 'unknown: no face'."""
    if estimate.label == UNKNOWN:
        return f"{UNKNOWN}: {STATUS_TEXT[estimate.status]}"
    return f"{estimate.label} {estimate.confidence:.0%}"


def name_of(estimate: EmotionEstimate) -> str:
    """The id that tells this person from the others in the stream; '-' for nobody."""
    return estimate.face_id or estimate.person_id or estimate.voice_id or "-"


_MINUTE_S: Final = 60.0


def counted(count: int, noun: str, nouns: str = "") -> str:
    """'1 bag', '3 bags'."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def lasting(seconds: float) -> str:
    """'8.3 s', '12.5 min'."""
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{seconds / _MINUTE_S:.1f} min"
