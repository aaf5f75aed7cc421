"""One colour for each emotion, the same in the overlay, on the page and in the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avemo_ros.labels import UNKNOWN

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
