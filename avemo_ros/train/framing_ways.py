"""Ways to frame a face other than `vision/alignment.py`'s, cut by the very same `align`.

`align` puts given eyes to their place.  Given other eyes than the face's, it cuts another
square: so margin, shift, rotation and a box can be tried without a second way of cutting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.train.framing_faces import FacePlace
from avemo_ros.vision.alignment import EYE_DISTANCE, EYE_HEIGHT, Eyes

ALIGNED: Final = "eyes"
LEVEL: Final = "eyes, rotation kept"
BOX: Final = "box, rotation kept"

BOX_TO_EYES: Final = 0.40
"""Distance of the eyes in sides of the mesh's box."""
EYES_ABOVE: Final = 0.165
"""The eyes' middle above the middle of the box [its sides].

Both are medians over FER2013's training pictures (`framing eyes`), so that a face in the middle
of its kind is framed alike by its eyes and by its box."""

_GRID: Final = 24


@dataclass(frozen=True, slots=True)
class Framing:
    """How a square is put around a face."""

    by: str = ALIGNED
    """ALIGNED, LEVEL or BOX."""
    margin: float = 1.0
    """The square's side over that of `align`, around the same middle."""
    shift: float = 0.0
    """The square is moved down by this share of its side."""

    def eyes(self, place: FacePlace) -> Eyes:
        """What `align` has to be given to cut this square [pixels]."""
        face = place.eyes
        if self.by == BOX:
            above = EYES_ABOVE * place.box_side
            distance = BOX_TO_EYES * place.box_side
            face = Eyes(place.box_x, place.box_y - above, distance, 0.0)
        elif self.by == LEVEL:
            face = Eyes(face.x, face.y, face.distance, 0.0)
        side = face.distance / EYE_DISTANCE
        # From the eyes to the middle of the square is as far in its own sides as before.
        down = (0.5 - EYE_HEIGHT) * side * (1 - self.margin) + self.shift * self.margin * side
        x = face.x - math.sin(face.roll) * down
        y = face.y + math.cos(face.roll) * down
        return Eyes(x, y, face.distance * self.margin, face.roll)


PRESENT: Final = Framing()
"""That of `vision/alignment.py`."""
MARGINS: Final = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35)
SHIFTS: Final = (-0.05, 0.05)
FRAMINGS: Final = (
    *(Framing(ALIGNED, margin) for margin in MARGINS),
    *(Framing(ALIGNED, 1.0, shift) for shift in SHIFTS),
    Framing(LEVEL),
    *(Framing(BOX, margin) for margin in MARGINS),
)
"""All that are measured."""


def whole(side: int) -> Eyes:
    """What `align` has to be given to cut a whole square picture of a side [pixels]."""
    return Eyes(side / 2, EYE_HEIGHT * side, EYE_DISTANCE * side, 0.0)


def outside(eyes: Eyes, width: int, height: int) -> float:
    """Share of the square that lies outside the picture, 0 to 1."""
    side = eyes.distance / EYE_DISTANCE
    cos, sin = math.cos(eyes.roll), math.sin(eyes.roll)
    step: NDArray[np.float64] = (np.arange(_GRID) + 0.5) / _GRID
    across = side * (step[None, :] - 0.5)
    down = side * (step[:, None] - EYE_HEIGHT)
    x, y = eyes.x + cos * across - sin * down, eyes.y + sin * across + cos * down
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return 1.0 - float(inside.mean())
