"""Faces in a whole image: BlazeFace, or a face detector of your own.

Your own detector is a class named in `vision.detector`; docs/extending.md shows one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import VisionConfig
from avemo_ros.errors import ConfigError, DetectorError
from avemo_ros.extension import load_named
from avemo_ros.untrusted import MAX_BOX, MAX_FACES
from avemo_ros.vision.face import Box
from avemo_ros.vision.face_networks import BlazeFaceNetwork, letterbox


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face that the detector found."""

    box: Box
    """From the brows to the chin, about a square in pixels."""
    score: float
    """0 to 1."""
    keypoints: NDArray[np.float32] | None = None
    """(3 or more, 2), x and y normalised to the image: the person's right eye, left eye and tip
    of the nose; further points are not used.  None: not known, the head is taken as upright."""


class FaceDetector(Protocol):
    """What a face detector of your own has to be: a class that is made without arguments.

    One object looks at one stream of images, on one thread.
    """

    def detect(self, image: NDArray[np.uint8]) -> Sequence[Detection]:
        """Find the faces of one image.

        Args:
            image: (H, W, 3) BGR, read-only.

        Returns:
            One `Detection` for each face, in any order; empty if there is none.  Those with a
            score below `vision.detection_confidence` are not used.
        """
        ...


class Detector(Protocol):
    """What the analysis of faces uses: `BlazeFace` or a `LoadedDetector`."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in a BGR image (H, W, 3), most certain first, each with keypoints."""
        ...

    def look_closer(self, image: NDArray[np.uint8], rough: Detection) -> Detection | None:
        """Look again at a small face alone; None if there is none after all."""
        ...

    def close(self) -> None:
        """Free what it holds; doing so twice is harmless."""
        ...


def make_detector(config: VisionConfig, confidence: float) -> Detector:
    """The face detector of a configuration.

    Args:
        config: `detector` names a class of your own; empty: BlazeFace of `detector_range`.
        confidence: least score of a face that BlazeFace gives, 0 to 1.

    Raises:
        ConfigError: the class cannot be loaded or made, or has no method `detect`.
    """
    if config.detector:
        return LoadedDetector(config.detector)
    return BlazeFace(config.detector_range, confidence)


class LoadedDetector:
    """A face detector of the user's own; what it answers is checked.

    Args:
        name: of its class, as 'module:Class'.

    Raises:
        ConfigError: the class cannot be loaded or made, or has no method `detect`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._detector: Any = _create(name)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in a BGR image (H, W, 3), most certain first, each with keypoints.

        Raises:
            DetectorError: the detector raised an error, or its answer is no list of faces.
        """
        shown = image.view()
        shown.flags.writeable = False
        try:
            answer = self._detector.detect(shown)
            found = list(answer)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise DetectorError(f"face detector {self._name} failed: {text}") from error
        checked = [self._checked(one) for one in found]
        return sorted(checked, key=lambda one: -one.score)[:MAX_FACES]

    def look_closer(
        self,
        image: NDArray[np.uint8],  # noqa: ARG002  it is believed as it is
        rough: Detection,
    ) -> Detection | None:
        """The same detection: that boxes of small faces are rough is BlazeFace's own."""
        return rough

    def close(self) -> None:
        """Let the detector go."""
        self._detector = None

    def _checked(self, one: Any) -> Detection:
        """A detection with numbers for numbers, and with keypoints."""
        if not isinstance(one, Detection) or not isinstance(one.box, Box):
            what = one if isinstance(one, Detection) else type(one).__name__
            raise self._wrong(what, "a list of avemo_ros.vision.detector.Detection")
        try:
            box = Box(*map(float, (one.box.x, one.box.y, one.box.width, one.box.height)))
            score = float(one.score)
        except (TypeError, ValueError) as error:
            raise self._wrong(one, "numbers in box and score") from error
        values = (box.x, box.y, box.width, box.height)
        if not all(abs(value) <= MAX_BOX for value in values) or box.area <= 0:
            raise self._wrong(
                box, "a box normalised to the image (0 to 1), not in pixels, and not empty"
            )
        if not 0 <= score <= 1:
            raise self._wrong(f"the score {score}", "a score from 0 to 1")
        return Detection(box, score, self._keypoints(one.keypoints, box))

    def _keypoints(self, given: Any, box: Box) -> NDArray[np.float32]:
        if given is None:
            corner, size = np.array([box.x, box.y]), np.array([box.width, box.height])
            return np.asarray(corner + _USUAL * size, np.float32)
        try:
            points = np.asarray(given, np.float32)
        except (TypeError, ValueError):
            points = np.empty(0, np.float32)
        allowed = "keypoints of shape (3 or more, 2), normalised to the image (0 to 1), or None"
        if points.ndim != 2 or points.shape[0] < 3 or points.shape[1] != 2:
            raise self._wrong(f"keypoints of shape {points.shape}", allowed)
        if not (np.abs(points) <= MAX_BOX).all():
            raise self._wrong("keypoints outside the image", allowed)
        return points

    def _wrong(self, what: object, allowed: str) -> DetectorError:
        shown = str(what)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        return DetectorError(f"face detector {self._name} gave {shown}; allowed: {allowed}")


def _create(name: str) -> Any:
    """An object of the class 'module:Class'."""

    def refused(why: str) -> ConfigError:
        return ConfigError(
            "vision.detector", name, f"'module:Class' of a face detector, or '' ({why})"
        )

    try:
        kind = load_named(name)
    except ValueError as error:
        raise refused(str(error)) from error
    if not isinstance(kind, type):
        raise refused("this is no class")
    if not callable(getattr(kind, "detect", None)):
        raise refused(f"{kind.__name__} has no method 'detect'")
    try:
        return kind()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise refused(f"{kind.__name__}() failed: {why}") from error


_SHOWN: Final = 160
"""Characters of a detector's answer that go into a message."""
_USUAL: Final = np.array([[0.3, 0.37], [0.7, 0.37], [0.5, 0.6]])
"""Right eye, left eye and tip of the nose of an upright face, in shares of its box."""


_CLOSER: Final = 4.0
"""Side of the part of the image that is looked at again, over the rough box's."""


class BlazeFace:
    """Finds the faces of one image, without memory of earlier ones.

    Args:
        reach: 'short' for faces within about 2 m (1.5 ms), 'full' for up to about 5 m (4 ms).
        confidence: least score of a face, 0 to 1.

    Raises:
        WeightsError: the network's file is missing or damaged.
    """

    def __init__(self, reach: str = "full", confidence: float = 0.5) -> None:
        self._network: BlazeFaceNetwork | None = BlazeFaceNetwork(reach, confidence)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in a BGR image (H, W, 3), most certain first."""
        assert self._network is not None, "closed"
        square, place = letterbox(image, self._network.side)
        faces = self._network.find(square)
        offset, extent = place[:2], place[2:]
        corners = (faces.boxes[:, :2] - offset) / extent
        sizes = faces.boxes[:, 2:] / extent
        points = ((faces.keypoints - offset) / extent).astype(np.float32)
        return [
            Detection(Box(*corner, *size), score, keypoints)
            for corner, size, score, keypoints in zip(
                corners.tolist(), sizes.tolist(), faces.scores.tolist(), points, strict=True
            )
        ]

    def look_closer(self, image: NDArray[np.uint8], rough: Detection) -> Detection | None:
        """Look again at a small face alone.

        The network sees 128 or 192 pixels of whatever it is given.  Of a face that is a few of
        them large it gives a box up to twice too big; in a part of the image it is exact.

        Args:
            image: (H, W, 3) BGR, in which `rough` was found.
            rough: where to look.

        Returns:
            The face there, or None if there is none after all.
        """
        size = np.array([image.shape[1], image.shape[0]])
        box = rough.box
        middle = np.array([box.x + box.width / 2, box.y + box.height / 2]) * size
        reach = _CLOSER * max(box.width * size[0], box.height * size[1]) / 2
        low = np.clip(np.floor(middle - reach), 0, size - 1).astype(int)
        high = np.clip(np.ceil(middle + reach), low + 1, size).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]]
        origin, extent = low / size, (high - low) / size
        for item in self.detect(part):
            corner = origin + np.array([item.box.x, item.box.y]) * extent
            spread = np.array([item.box.width, item.box.height]) * extent
            if ((corner < middle / size) & (middle / size < corner + spread)).all():
                assert item.keypoints is not None
                return Detection(
                    box=Box(*corner.tolist(), *spread.tolist()),
                    score=item.score,
                    keypoints=(origin + item.keypoints * extent).astype(np.float32),
                )
        return None

    def close(self) -> None:
        """Free the network."""
        self._network = None
