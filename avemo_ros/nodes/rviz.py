"""What RViz and Foxglove show of people: a frame for each head, and labels and bars above it.

Both are published with `ros4hri` only.  `tf2_msgs` and `visualization_msgs` are imported only
then, and where one is not installed its part is left out.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from geometry_msgs.msg import Point, Quaternion, TransformStamped, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA

from avemo_ros.nodes import convert, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.sink.presentation import INKS, headline, name_of
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.vision.camera_geometry import HeadFrame

MARKERS: Final = "emotion_markers"
_HEAD: Final = (0.2, 0.16, 0.24)
"""Depth, width and height of the box around a head [m]."""
_ABOVE_M, _TEXT_M = 0.2, 0.05
_BAR_M: Final = 0.2
"""Length of the bar of a confidence of 1."""
_LIFE_S: Final = 1
"""Markers of somebody of whom nothing comes any more vanish."""


def installed(package: str) -> Any:
    """The messages of a package; None where it is not installed."""
    try:
        return importlib.import_module(f"{package}.msg")
    except ImportError:
        return None


class HeadFrames:
    """Publishes the frame `face_<id>` of each head on /tf, as REP-155 has it.

    Args:
        node: that publishes.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._out: Any = None

    def open(self) -> None:
        """Make the topic, if tf2_msgs is installed."""
        messages = installed("tf2_msgs")
        if messages is None:
            self._node.get_logger().warning(
                "no frames of heads on /tf, because tf2_msgs is not installed"
            )
            return
        self._kind = messages.TFMessage
        self._out = self._node.create_publisher(self._kind, "/tf", qos.result(100))

    def close(self) -> None:
        """Remove the topic; may be called twice."""
        if self._out is not None:
            self._node.destroy_publisher(self._out)
            self._out = None

    def push(self, stamp_ns: int, frame_id: str, heads: Mapping[str, HeadFrame]) -> None:
        """Publish the heads of one image.

        Args:
            stamp_ns: of the image [ns].
            frame_id: of the camera; without one there are no frames.
            heads: by face id.
        """
        if self._out is None or not heads or not frame_id:
            return
        transforms = []
        for face_id, head in heads.items():
            one = TransformStamped(header=convert.header(stamp_ns, frame_id))
            one.child_frame_id = f"face_{face_id}"
            x, y, z = head.position.tolist()
            one.transform.translation = Vector3(x=x, y=y, z=z)
            one.transform.rotation = quaternion(head.rotation)
            transforms.append(one)
        self._out.publish(self._kind(transforms=transforms))


def quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    """Of a rotation matrix (3, 3)."""
    axis, _ = cv2.Rodrigues(rotation)
    angle = float(np.linalg.norm(axis))
    x, y, z = (axis[:, 0] * (math.sin(angle / 2) / max(angle, 1e-12))).tolist()
    return Quaternion(x=x, y=y, z=z, w=math.cos(angle / 2))


class EmotionMarkers:
    """Publishes a box around each head, and above it the person's id, the label and a bar as
    long as the confidence, in the frames of `HeadFrames`.

    Args:
        node: that publishes.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._out: Any = None

    def open(self) -> None:
        """Make the topic, if visualization_msgs is installed."""
        self._messages = installed("visualization_msgs")
        if self._messages is not None:
            self._out = self._node.create_publisher(
                self._messages.MarkerArray, MARKERS, qos.result(1)
            )

    def close(self) -> None:
        """Remove the topic; may be called twice."""
        if self._out is not None:
            self._node.destroy_publisher(self._out)
            self._out = None

    def push(self, step: EmotionStep) -> None:
        """Publish everyone who has a face, if somebody subscribes."""
        if self._out is None or not self._out.get_subscription_count():
            return
        seen = [one for one in step.estimates if one.face_id]
        markers = [marker for one in seen for marker in self._of(one)]
        self._out.publish(self._messages.MarkerArray(markers=markers))

    def _of(self, estimate: EmotionEstimate) -> list[Any]:
        kind = self._messages.Marker
        colour = _colour(estimate.label)
        depth, width, height = (size / 2 for size in _HEAD)
        # The sellion is at the front, a little above the middle.
        corners = [
            Point(x=x, y=y, z=z - 0.02)
            for x in (-2 * depth, 0.0)
            for y in (-width, width)
            for z in (-height, height)
        ]
        pairs = [(a, b) for a in range(8) for b in (a | 1, a | 2, a | 4) if b != a]
        box = self._marker(estimate, "head", kind.LINE_LIST, colour)
        box.points = [corners[place] for pair in pairs for place in pair]
        box.scale.x = 0.005
        name = self._text(estimate, "id", name_of(estimate), _ABOVE_M + 1.5 * _TEXT_M)
        label = self._text(estimate, "label", headline(estimate), _ABOVE_M)
        length = max(estimate.confidence, 0.01) * _BAR_M
        bar = self._marker(estimate, "confidence", kind.CUBE, colour)
        # Seen from the robot it grows from left to right: to the person's left.
        bar.pose.position = Point(y=(length - _BAR_M) / 2, z=_ABOVE_M - _TEXT_M)
        bar.scale = Vector3(x=0.01, y=length, z=0.02)
        return [box, name, label, bar]

    def _text(self, estimate: EmotionEstimate, what: str, text: str, above: float) -> Any:
        marker = self._marker(estimate, what, self._messages.Marker.TEXT_VIEW_FACING)
        marker.text, marker.scale.z = text, _TEXT_M
        marker.pose.position.z = above
        return marker

    def _marker(
        self, estimate: EmotionEstimate, what: str, kind: int, colour: ColorRGBA | None = None
    ) -> Any:
        # Without a stamp it is drawn at the newest place of the head, and follows it.
        marker = self._messages.Marker(type=kind, frame_locked=True)
        marker.header.frame_id = f"face_{estimate.face_id}"
        marker.ns = f"{estimate.face_id} {what}"
        marker.color = colour or ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        marker.pose.orientation.w = 1.0
        marker.lifetime.sec = _LIFE_S
        return marker


def _colour(label: str) -> ColorRGBA:
    red, green, blue = (part / 255 for part in INKS[label].rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
