"""From images to face tracks.

Also what is odd about images that can be read although nothing can be seen in them: black,
frozen, turned over.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import IdentityConfig, InputConfig, VisionConfig
from avemo_ros.errors import DetectorError, ImageError
from avemo_ros.timing import RateLimiter, Reporter, StampFilter, Stopwatch, Verdict, to_ns
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.camera_geometry import HeadFrame, PinholeCamera, head_frames
from avemo_ros.vision.detector import Detector, make_detector
from avemo_ros.vision.face import FrameTracks
from avemo_ros.vision.image import TURNS, as_bgr, turned

Image = NDArray[Any] | Callable[[], NDArray[Any]]
"""(H, W, 3) BGR or (H, W) grey, uint8; or what decodes it, called only when it is looked at."""


@dataclass(slots=True)
class VideoCounters:
    """What happened to the images; all go on over `reset`."""

    frames: int = 0
    """Images that were looked at."""
    throttled: int = 0
    """Left out by `vision.max_rate_hz`."""
    refused: int = 0
    """Left out because the image, not its stamp, cannot be used, or the detector failed."""


class VideoStage:
    """Follows the faces of one stream of images.

    Images are admitted by their stamps (`StampFilter`), limited to `vision.max_rate_hz`,
    decoded, turned by `image_rotate`, and looked at by a `FaceAnalyzer`.  An image that cannot
    be read is reported and left out, and takes no turn.

    Args:
        config: of the face analysis.
        inputs: which stamps are believed, and how images are turned.
        reporter: who hears of troubles.
        advice: see `StampFilter`.
        stopwatch: measures the stages "decode" and "vision".
        identity: whether faces are compared; by default they are not.

    Raises:
        ConfigError: the face detector of `config` cannot be loaded.
    """

    def __init__(
        self,
        config: VisionConfig,
        inputs: InputConfig,
        reporter: Reporter,
        *,
        advice: Callable[[float], str] | None = None,
        stopwatch: Stopwatch | None = None,
        identity: IdentityConfig | None = None,
    ) -> None:
        self._reporter = reporter
        self._stamps = StampFilter(
            "images",
            "image_stamps",
            inputs.max_input_age_s,
            inputs.image_stamps,
            reporter,
            advice=advice,
        )
        self._config = config
        self._rotate = inputs.image_rotate
        self._limiter = RateLimiter(config.max_rate_hz)
        self._analyzer = FaceAnalyzer(config, identity or IdentityConfig())
        self._to_forget: deque[str] = deque()
        self._restart = False
        self.camera: PinholeCamera | None = None
        """Of the images before they are turned, for distances; None: by `horizontal_fov_deg`,
        where that is known."""
        self.stopwatch = stopwatch if stopwatch is not None else Stopwatch()
        self.counters = VideoCounters()
        self.trouble = ""
        """Why an image was refused last; empty if none was."""
        self.image: NDArray[Any] | None = None
        """The newest image that was looked at, (H, W, 3) BGR, turned."""

    @property
    def followed(self) -> tuple[str, ...]:
        """The faces that have an id: found in the last image, or missed for a moment."""
        return self._analyzer.ids

    @property
    def late(self) -> int:
        """Images that were not newer than the one before."""
        return self._stamps.late

    @property
    def refused_stamps(self) -> int:
        """Images left out for their stamps."""
        return self._stamps.refused

    @property
    def usual_age_ns(self) -> int | None:
        """Usual time from stamp to arrival [ns]."""
        return self._stamps.usual_age_ns

    def push(self, stamp_ns: int, image: Image, arrival_ns: int = 0) -> FrameTracks | None:
        """Take the next image.

        Args:
            stamp_ns: of its header [ns]; 0: none.
            image: see `Image`; what decodes it raises ImageError where it cannot.
            arrival_ns: when it came [ns]; 0: not known.

        Returns:
            The faces in it; None where it is left out.
        """
        self.trouble = ""
        admission = self._stamps.admit(stamp_ns, arrival_ns)
        if not admission.usable:
            return None
        if admission.verdict is Verdict.RESTART:
            self._restart = True
            self._limiter.reset()
        if not self._limiter.is_due(admission.stamp_ns):
            self.counters.throttled += 1
            return None
        try:
            with self.stopwatch.measure("decode"):
                raw = as_bgr(image() if callable(image) else image)
                frame = turned(raw, self._rotate)
        except ImageError as error:
            self._refuse(error.kind, error)
            return None
        if self._restart:
            self._analyzer.reset()
            self._restart = False
        self._limiter.take(admission.stamp_ns)
        while self._to_forget:
            self._analyzer.forget(self._to_forget.popleft())
        self._analyzer.camera = self._camera_for(raw.shape[1], raw.shape[0])
        try:
            with self.stopwatch.measure("vision"):
                tracks = self._analyzer.process(admission.stamp_ns, frame)
        except DetectorError as error:
            self._refuse("detector", error)
            return None
        self.counters.frames += 1
        self.image = frame
        self._reporter.good()
        return tracks

    def head_frames(self, tracks: FrameTracks) -> dict[str, HeadFrame]:
        """Where the heads of the newest image are, by face id; empty without a known camera."""
        camera = self._analyzer.camera
        return {} if camera is None else head_frames(tracks, camera, self._rotate)

    def _camera_for(self, width: int, height: int) -> PinholeCamera | None:
        """Of the turned images."""
        camera, angle = self.camera, math.radians(self._config.horizontal_fov_deg)
        if camera is not None:
            camera = camera.scaled_to(width, height)
            if camera is None:
                self._reporter.once(
                    "camera_info",
                    f"camera_info is of images of another shape than {width}x{height}; "
                    "distances are not known",
                )
        elif angle > 0.0:
            camera = PinholeCamera.of_view(width, height, angle)
        return None if camera is None else camera.turned(self._rotate)

    def forget(self, face_id: str) -> None:
        """Forget what a face looks like, and do not look at it again until it has gone; from
        any thread."""
        self._to_forget.append(face_id)

    def _refuse(self, kind: str, error: Exception) -> None:
        self.counters.refused += 1
        self.trouble = str(error)
        self._reporter.report(kind, f"{error}; left out")

    def shed(self, rate_share: float, max_faces: int | None) -> None:
        """Do less: look at a share of the images that `max_rate_hz` allows, and follow fewer
        faces; 1.0 and None for all."""
        self._limiter = RateLimiter(self._config.max_rate_hz * rate_share)
        self._analyzer.limit_faces(max_faces)

    def reset(self) -> None:
        """Forget the stream, and do all of the work again; ids are not given again."""
        self.shed(1.0, None)
        self._stamps.reset()
        self._analyzer.reset()
        self._to_forget.clear()
        self._restart = False
        self.trouble = ""
        self.image = None

    def close(self) -> None:
        """Free the face networks; doing so twice is harmless."""
        self._analyzer.close()


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
        config: names the detector.
        rotate: by which images have been turned already [degrees].
    """

    def __init__(self, config: VisionConfig, rotate: int = 0) -> None:
        self._config = config
        self._rotate = rotate
        self._detector: Detector | None = None
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
                "all is black, or too dark for faces; check the lens cap, the exposure and the "
                "light"
            )
        if self._lasts("flat", _BLANK_NS, so=high - low < _FLAT):
            return "flat", (
                "every image is a single colour; check the lens, the exposure and the encoding"
            )
        if self._lasts("frozen", _FROZEN_NS, so=same):
            return "frozen", (
                "all images are the same; restart the camera's driver (unless it shows a "
                "still picture, or a simulation is paused)"
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
            "there are faces, but they are not upright: set image_rotate to "
            f"{(self._rotate + known) % 360} (now {self._rotate})"
        )

    def _upright(self) -> int:
        """By how much images have to be turned for upright faces [degrees]; 0: not known."""
        sure = (degrees for degrees in TURNS if self._found.count(degrees) >= _HITS)
        return next((degrees for degrees in sure if degrees), 0)

    def _score(self, image: NDArray[np.uint8]) -> float:
        if self._detector is None:
            self._detector = make_detector(self._config, _SURE)
        try:
            return max((face.score for face in self._detector.detect(image)), default=0.0)
        except DetectorError:
            # Where it fails upright images, too, the video stage says so.
            return 0.0
