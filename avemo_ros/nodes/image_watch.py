"""Images that can be read although nothing can be seen in them: black, frozen, turned over."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.timing import to_ns
from avemo_ros.vision.detector import BlazeFace
from avemo_ros.vision.face import FrameTracks
from avemo_ros.vision.image import TURNS, turned

_EVERY: Final = 8
"""One pixel of so many, across and down, is looked at."""
_DARK: Final = 24
_FLAT: Final = 6
"""Levels between the darkest and the brightest pixels, but for 2 % each."""
_BLANK_NS: Final = to_ns(2.0)
_FROZEN_NS: Final = to_ns(3.0)
_FACELESS_NS: Final = to_ns(1.0)
_TRY_NS: Final = to_ns(0.3)
_SELDOM_NS: Final = to_ns(2.0)
"""Between two looks at the turned image, where the last ones found nothing."""
_READABLE: Final = 0.1
"""Quality; that of a face on its side is next to none."""
_IN_A_ROW: Final = 3
"""Images with a readable face; a single one may be chance."""
_SURE: Final = 0.7
"""Score of a face in a turned image; an upright face has 0.8 and more."""
_TRIES: Final = 5
_HITS: Final = 3


class ImageWatch:
    """Looks at the images of one stream, and knows what is odd about them.

    Time is that of the stamps.  While no face can be read, a detector looks now and then
    whether there is one in the turned image.

    Args:
        reach: of the detector, see `vision.detector_range`.
        rotate: by which images have been turned already [degrees].
    """

    def __init__(self, reach: str, rotate: int = 0) -> None:
        self._reach = reach
        self._rotate = rotate
        self._detector: BlazeFace | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._stamp_ns = 0
        self._before: NDArray[np.uint8] | None = None
        self._since: dict[str, int] = {}
        self._tried_ns = 0
        self._readable = 0
        self._found: deque[int] = deque(maxlen=_TRIES)

    def close(self) -> None:
        """Free the detector; doing so twice is harmless."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def look(self, image: NDArray[np.uint8], tracks: FrameTracks) -> tuple[str, str]:
        """What is odd, in one word and with what to do; both empty if nothing is.

        Args:
            image: (H, W, 3) BGR, the newest.
            tracks: the faces in it.
        """
        if tracks.stamp_ns < self._stamp_ns:
            self.reset()
        self._stamp_ns = tracks.stamp_ns
        some = image[::_EVERY, ::_EVERY].copy()
        same = self._before is not None and np.array_equal(some, self._before)
        self._before = some
        low, high = np.percentile(some[:, :, 1], (2, 98))
        readable = any(face.quality >= _READABLE for face in tracks.faces)
        self._readable = self._readable + 1 if readable else 0
        if self._lasts("dark", _BLANK_NS, so=high < _DARK and not readable):
            return "dark", (
                "all is black, or too dark for faces; look at the lens cap, the exposure "
                "and the light"
            )
        if self._lasts("flat", _BLANK_NS, so=high - low < _FLAT):
            return "flat", (
                "there is one colour and nothing else; look at the lens, the exposure and "
                "the encoding"
            )
        if self._lasts("frozen", _FROZEN_NS, so=same):
            return "frozen", (
                "they come, but every one is the same; start the camera's driver again "
                "(unless a still picture is shown, or a simulation stands still)"
            )
        if not self._lasts("faceless", _FACELESS_NS, so=self._readable < _IN_A_ROW):
            self._found.clear()
            return "", ""
        return ("", "") if readable else self._turned_over(image)

    def _lasts(self, what: str, how_long_ns: int, *, so: bool) -> bool:
        if not so:
            self._since.pop(what, None)
            return False
        return self._stamp_ns - self._since.setdefault(what, self._stamp_ns) >= how_long_ns

    def _turned_over(self, image: NDArray[np.uint8]) -> tuple[str, str]:
        in_vain = len(self._found) == _TRIES and not any(self._found)
        known = self._upright()
        if self._stamp_ns - self._tried_ns >= (_SELDOM_NS if in_vain or known else _TRY_NS):
            self._tried_ns = self._stamp_ns
            scores = {degrees: self._score(turned(image, degrees)) for degrees in TURNS}
            best = max(scores, key=lambda degrees: scores[degrees])
            self._found.append(best if scores[best] >= _SURE else 0)
            known = self._upright()
        if not known:
            return "", ""
        return "turned", (
            "there are faces, but not upright ones: set image_rotate to "
            f"{(self._rotate + known) % 360} (now {self._rotate})"
        )

    def _upright(self) -> int:
        """By how much images have to be turned for upright faces [degrees]; 0: not known."""
        sure = (degrees for degrees in TURNS if self._found.count(degrees) >= _HITS)
        return next((degrees for degrees in sure if degrees), 0)

    def _score(self, image: NDArray[np.uint8]) -> float:
        if self._detector is None:
            self._detector = BlazeFace(self._reach, _SURE)
        return max((face.score for face in self._detector.detect(image)), default=0.0)
