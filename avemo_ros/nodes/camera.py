"""A camera's pictures as a topic."""

from __future__ import annotations

from typing import Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray

from avemo_ros.nodes import outlets
from avemo_ros.nodes.capture import Capture
from avemo_ros.nodes.outlets import PictureOutlet
from avemo_ros.nodes.parameters import Parameter
from avemo_ros.nodes.shell import ManagedNode, run
from avemo_ros.source.camera import Camera

DEVICE: Final = Parameter(
    "camera_device", "0", "Number of the camera, its path (/dev/video0), or a URL."
)
WIDTH: Final = Parameter(
    "camera_width", 640, "Wanted width [pixels]; 0 leaves it to the camera.", low=0, high=8192
)
HEIGHT: Final = Parameter(
    "camera_height", 480, "Wanted height [pixels]; 0 leaves it to the camera.", low=0, high=8192
)
RATE: Final = Parameter(
    "camera_rate_hz",
    30.0,
    "Wanted pictures per second [Hz]; 0 leaves it to the camera.",
    low=0.0,
    high=240.0,
)
PARAMETERS: Final = (
    DEVICE,
    WIDTH,
    HEIGHT,
    RATE,
    outlets.CAMERA_FRAME,
    outlets.COMPRESSED,
)


class CameraNode(ManagedNode):
    """Publishes `image_raw`, stamped with the time at which a picture was read."""

    def __init__(self) -> None:
        super().__init__("camera", PARAMETERS)
        self._capture: Capture[NDArray[np.uint8]] | None = None
        self._pictures: PictureOutlet | None = None

    def open(self) -> None:
        """Make the topics and capture."""
        camera = Camera(
            self.value(DEVICE), self.value(WIDTH), self.value(HEIGHT), self.value(RATE)
        )
        self._pictures = PictureOutlet(self)
        self._capture = Capture(self, "camera", camera, self._deliver)
        self._capture.start()

    def close(self) -> None:
        """Stop and remove the topics."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._capture is not None
        return [self._capture.status()]

    def _deliver(self, picture: NDArray[np.uint8]) -> None:
        if self._pictures is not None:
            self._pictures.publish(picture, self.now_ns())


def main() -> int:
    """Run the node."""
    return run(CameraNode)


if __name__ == "__main__":
    raise SystemExit(main())
