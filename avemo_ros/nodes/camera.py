"""A camera's images as a topic."""

from __future__ import annotations

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from pydantic import Field

from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.capture import Capture, ImagePublisher, ImagePublisherSettings
from avemo_ros.settings import Settings
from avemo_ros.source.camera_device import Camera


class CameraSettings(Settings):
    """Parameters of the camera."""

    camera_device: str = Field(
        "0", description="Number of the camera, its path (/dev/video0), or a URL."
    )
    camera_width: int = Field(
        640, ge=0, le=8192, description="Requested width [pixels]; 0 leaves it to the camera."
    )
    camera_height: int = Field(
        480, ge=0, le=8192, description="Requested height [pixels]; 0 leaves it to the camera."
    )
    camera_rate_hz: float = Field(
        30.0,
        ge=0.0,
        le=240.0,
        description="Requested images per second [Hz]; 0 leaves it to the camera.",
    )


class CameraNode(ManagedNode):
    """Publishes `image_raw`, stamped with the time at which an image was read."""

    senses = "follows"

    def __init__(self) -> None:
        super().__init__("camera", [CameraSettings, ImagePublisherSettings])
        self._capture: Capture[NDArray[np.uint8]] | None = None
        self._images: ImagePublisher | None = None

    def open(self) -> None:
        """Make the topics and capture."""
        given = self.read(CameraSettings)
        camera = Camera(
            given.camera_device,
            given.camera_width,
            given.camera_height,
            given.camera_rate_hz,
        )
        self._images = ImagePublisher(self)
        self._capture = Capture(self, "camera", camera, self._deliver)
        self._capture.start()

    def close(self) -> None:
        """Stop and remove the topics."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
        if self._images is not None:
            self._images.close()
            self._images = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._capture is not None
        return [self._capture.status()]

    def _deliver(self, image: NDArray[np.uint8]) -> None:
        if self._images is not None:
            self._images.publish(image, self.now_ns())


def main() -> int:
    """Run the node."""
    return run(CameraNode)


if __name__ == "__main__":
    raise SystemExit(main())
