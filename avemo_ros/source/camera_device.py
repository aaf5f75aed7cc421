"""A camera, or anything else that OpenCV captures from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.errors import SourceError

_URL_TIMEOUT_MS: Final = 5_000


class Camera:
    """Delivers images until it is lost; `open` may be called again afterwards."""

    def __init__(
        self, device: int | str = 0, width: int = 0, height: int = 0, fps: float = 0.0
    ) -> None:
        """Choose a camera; `open` starts it.

        Args:
            device: number of the camera, its path (/dev/video0), a video file or a URL.
            width: wanted width [pixels]; 0 leaves it to the camera.
            height: wanted height [pixels]; 0 leaves it to the camera.
            fps: wanted images per second; 0 leaves it to the camera.
        """
        text = str(device).strip()
        self._device: int | str = int(text) if text.isdecimal() else text
        self._wanted = {
            cv2.CAP_PROP_FRAME_WIDTH: float(width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(height),
            cv2.CAP_PROP_FPS: float(fps),
        }
        self._capture: Any = None
        self.width = 0
        """Width that the camera gives, once open [pixels]."""
        self.height = 0
        """Height that the camera gives, once open [pixels]."""
        self.fps = 0.0
        """Images per second that the camera announces, once open; 0 if it does not."""

    @property
    def name(self) -> str:
        """What is captured from, for messages."""
        device = self._device
        return f"/dev/video{device}" if isinstance(device, int) else device

    @property
    def is_open(self) -> bool:
        """Whether `read` can be called."""
        return self._capture is not None

    def __enter__(self) -> Camera:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Start to capture; does nothing if open.

        Raises:
            SourceError: there is no such camera, it may not be used, or it gives no image.
        """
        if self._capture is not None:
            return
        self._check_device_file()
        capture = self._connect()
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"camera '{self.name}' cannot be opened; is it a camera, and is no other "
                "program using it?"
            )
        for setting, value in self._wanted.items():
            if value > 0:
                capture.set(setting, value)
        # Old images are of no use: the driver shall not queue them.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
        self._capture = capture

    def close(self) -> None:
        """Stop to capture."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def read(self) -> NDArray[np.uint8]:
        """The next image; waits for it.

        Returns:
            (height, width, 3) BGR.

        Raises:
            SourceError: the camera is not open, or no longer delivers (V4L2 says so after
                10 s without an image); it is closed then.
        """
        if self._capture is None:
            raise SourceError(f"camera '{self.name}' is not open")
        good, image = self._capture.read()
        if not good or image is None or image.size == 0:
            self.close()
            raise SourceError(
                f"camera '{self.name}' no longer delivers images; was it unplugged, or has "
                "the recording ended?"
            )
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return np.asarray(image, np.uint8)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Images as from `read`, until the camera is lost.

        Raises:
            SourceError: as `read`.
        """
        while True:
            yield self.read()

    def _connect(self) -> Any:
        if isinstance(self._device, str) and "://" in self._device:
            return cv2.VideoCapture(
                self._device,
                cv2.CAP_FFMPEG,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    _URL_TIMEOUT_MS,
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    _URL_TIMEOUT_MS,
                ],
            )
        if self.name.startswith("/dev/"):
            return cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        if isinstance(self._device, str):
            # OpenCV hands the name to FFmpeg: '12:30.mp4' would be a protocol.
            return cv2.VideoCapture(str(Path(self._device).absolute()))
        return cv2.VideoCapture(self._device)

    def _check_device_file(self) -> None:
        """Say what is wrong with a path before OpenCV fails without a reason."""
        if "://" in self.name:
            return
        path = Path(self.name)
        if not path.exists():
            present = ", ".join(str(item) for item in sorted(Path("/dev").glob("video*")))
            raise SourceError(
                f"camera '{self.name}' does not exist; present: {present or 'no /dev/video*'}"
                " (in a container, pass it in with --device)"
            )
        mode = os.R_OK | os.W_OK if self.name.startswith("/dev/") else os.R_OK
        if not os.access(path, mode):
            raise SourceError(
                f"camera '{self.name}' may not be used by this user; add the user to the "
                "group 'video' (sudo usermod -aG video $USER) and log in again"
            )
