"""Our conversion of images against cv_bridge, the reference for sensor_msgs/Image."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_ros.vision.image import to_bgr

cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge comes with ROS, or make setup")

pytestmark = pytest.mark.ros

WIDTH, HEIGHT = 32, 24
BYTES = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1} | dict.fromkeys(
    ("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8"), 1
)
"""Of the encodings that the cv_bridge of the wheels can read, too."""


@pytest.mark.parametrize("encoding", BYTES)
def test_images_come_out_as_cv_bridge_gives_them(encoding):
    from sensor_msgs.msg import Image

    step = WIDTH * BYTES[encoding]
    values = np.random.default_rng(0).integers(0, 256, (HEIGHT, step), np.uint8)
    message = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step)
    message.data = values.tobytes()
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(message, "bgr8")
    ours = to_bgr(message.data, HEIGHT, WIDTH, step, encoding)
    assert np.array_equal(ours, theirs)


def test_the_overlay_can_be_read_with_cv_bridge():
    from avemo_ros.nodes.convert import image

    drawn = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    assert np.array_equal(cv_bridge.CvBridge().imgmsg_to_cv2(image(drawn, 0, "camera")), drawn)
