"""MediaPipe's networks, run one image at a time in the caller's order."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.bare_mediapipe import (
    calculator_pb2,
    mediapipe,
    packet_creator,
    resource_util,
    text_format,
)
from avemo_ros.vision.image import halved

# There is one for the whole process.
_stderr: Final = Lock()
_CHATTER: Final = re.compile(
    rb"TensorFlow Lite XNNPACK delegate|before absl::InitializeLog|inference_feedback_manager"
)


class Graph:
    """A MediaPipe graph with one input, an RGB image named `image`; for one thread at a time.

    MediaPipe's own `solutions` hide a tracker of their own between detector and mesh: it runs
    the short-range detector whenever fewer faces than asked for are in view, and cannot be
    reset or told which face is whose.  So the networks are run bare, and every state is kept in
    Python, where it can be tested and reset.

    Args:
        config: the graph as text (mediapipe.CalculatorGraphConfig).
        outputs: names of the streams to return.
        side: of images that the graph takes [pixels].
    """

    def __init__(self, config: str, outputs: tuple[str, ...], side: int) -> None:
        resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
        parsed = text_format.Parse(config, calculator_pb2.CalculatorGraphConfig())
        # In the caller's thread: with threads of its own a graph is slower on a busy machine.
        parsed.executor.add(type="ApplicationThreadExecutor")
        self._count = 0
        self._packets: dict[str, Any] = {}
        with _without_chatter():
            self._graph: Any = mediapipe.CalculatorGraph(graph_config=parsed)
            for name in outputs:
                self._graph.observe_output_stream(name, self._packets.__setitem__, False)
            self._graph.start_run({})
            # Some lines only come with the first image.
            self.run(np.zeros((side, side, 3), np.uint8))

    def run(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        """The packets that this image gave by stream; a stream without a result is absent.

        Args:
            image: (H, W, 3) RGB, contiguous; it becomes read-only and is not copied.
        """
        self._count += 1  # MediaPipe wants rising stamps; sensor time may jump back
        self._packets.clear()
        image.flags.writeable = False
        packet = packet_creator.create_image_frame(
            image_format=mediapipe.ImageFormat.SRGB, data=image, copy=False
        )
        self._graph.add_packet_to_input_stream("image", packet.at(self._count))
        self._graph.wait_until_idle()
        return self._packets

    def close(self) -> None:
        """Free the graph; doing so twice is harmless."""
        if self._graph is not None:
            self._graph.close_all_packet_sources()
            self._graph.wait_until_done()
            self._graph = None


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back the lines that TensorFlow Lite prints at every start; pass on all others.

    They are written by C++ to the file descriptor and no setting silences them.
    """
    with _stderr, tempfile.TemporaryFile() as held:
        try:
            saved = os.dup(2)
        except OSError:  # a service may have none
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            lines = held.read().splitlines(keepends=True)
            for line in lines:
                if not _CHATTER.search(line):
                    os.write(2, line)


def letterbox(
    image: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The whole BGR image in a square of `side`, RGB, centred on black.

    Returns:
        (side, side, 3) and, normalised to the square, the image's box in it: left, top,
        width, height.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    across, down = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(halved(image, scale), (across, down), interpolation=cv2.INTER_LINEAR)
    square = np.zeros((side, side, 3), np.uint8)
    left, top = (side - across) // 2, (side - down) // 2
    square[top : top + down, left : left + across] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return square, np.array([left, top, across, down]) / side
