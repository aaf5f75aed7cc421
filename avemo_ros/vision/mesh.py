"""The 468 points of a face: MediaPipe's mesh (Kartynnik et al. 2019, arXiv:1907.06724)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.bare_mediapipe import packet_getter
from avemo_ros.vision.face import LANDMARKS
from avemo_ros.vision.image import back, cut, similarity
from avemo_ros.vision.mediapipe_graph import Graph

RIGHT_EYE: Final = (33, 133)
"""Outer and inner corner of the person's right eye, which is on the image's left."""
LEFT_EYE: Final = (263, 362)
"""Outer and inner corner of the person's left eye."""
UPPER_LIP: Final = 13
"""Middle of the upper lip's inner edge."""
LOWER_LIP: Final = 14
"""Middle of the lower lip's inner edge."""

PRESENCE: Final = 0.5
"""Least score of the mesh network for 'there is a face in this square' (MediaPipe's value)."""

_SIDE: Final = 192
_MARGIN: Final = 1.5  # the square over the face's own size (MediaPipe's value)

_GRAPH: Final = """
input_stream: "image"
output_stream: "points"
output_stream: "presence"
node {
  calculator: "TensorConverterCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:pixels"
  options { [mediapipe.TensorConverterCalculatorOptions.ext] {
    output_tensor_float_range { min: 0.0 max: 1.0 }
  } }
}
node {
  calculator: "InferenceCalculatorCpu"
  input_stream: "TENSORS:pixels"
  output_stream: "TENSORS:raw"
  options { [mediapipe.InferenceCalculatorOptions.ext] {
    model_path: "mediapipe/modules/face_landmark/face_landmark.tflite"
    delegate { xnnpack { num_threads: 1 } }
  } }
}
node {
  calculator: "SplitTensorVectorCalculator"
  input_stream: "raw"
  output_stream: "raw_points"
  output_stream: "raw_presence"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 }
  } }
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:raw_points"
  output_stream: "FLOATS:points"
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:raw_presence"
  output_stream: "FLOAT:presence"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } }
}
"""


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square of the image in which a face is looked for [pixels, rad]."""

    x: float
    """Centre."""
    y: float
    side: float
    angle: float
    """Clockwise in the image; zero for an upright face."""

    @classmethod
    def of_landmarks(cls, points: NDArray[np.floating[Any]]) -> Region:
        """From the mesh (468, 2 or more, pixels) of the image before."""
        right, left = points[RIGHT_EYE[0], :2], points[LEFT_EYE[0], :2]
        return cls._around(points[:, :2], right, left)

    @classmethod
    def of_keypoints(
        cls, corners: NDArray[np.floating[Any]], eyes: NDArray[np.floating[Any]]
    ) -> Region:
        """From a detection: corners of its box (2, 2), right and left eye (2, 2) [pixels]."""
        x, y = corners.mean(axis=0)
        width, height = corners[1] - corners[0]
        angle = math.atan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0])
        return cls(float(x), float(y), _MARGIN * float(max(width, height)), angle)

    @classmethod
    def _around(
        cls,
        points: NDArray[np.floating[Any]],
        right: NDArray[np.floating[Any]],
        left: NDArray[np.floating[Any]],
    ) -> Region:
        """The smallest square, turned with the eyes, that holds the points, and a margin."""
        angle = math.atan2(left[1] - right[1], left[0] - right[0])
        cos, sin = math.cos(angle), math.sin(angle)
        upright = points @ np.array([[cos, -sin], [sin, cos]])
        # By columns: NumPy is slow to reduce over rows of two.
        columns = np.ascontiguousarray(upright.T)
        low, high = columns.min(axis=1), columns.max(axis=1)
        middle = (low + high) / 2
        x, y = cos * middle[0] - sin * middle[1], sin * middle[0] + cos * middle[1]
        return cls(float(x), float(y), _MARGIN * float((high - low).max()), angle)


class FaceMesh:
    """Fits the mesh to one face at a time, without memory of earlier images."""

    def __init__(self) -> None:
        # The square is made in the network's size, so nothing has to be resized in the graph.
        self._graph = Graph(_GRAPH, ("points", "presence"), _SIDE)

    def fit(
        self, image: NDArray[np.uint8], region: Region
    ) -> tuple[NDArray[np.float32], float] | None:
        """The mesh of the face in a region (about 2 ms).

        Args:
            image: (H, W, 3) BGR.
            region: from a detection or from the landmarks of the image before.

        Returns:
            (468, 3) points in pixels, z on x's scale and growing away from the camera, and the
            network's score for a face being there; None where that is below PRESENCE.
        """
        if not math.isfinite(region.side) or region.side < 4:
            return None
        scale = _SIDE / region.side
        matrix = similarity(
            scale, region.angle, np.array([region.x, region.y]), np.full(2, _SIDE / 2)
        )
        square = cv2.cvtColor(cut(image, matrix, _SIDE), cv2.COLOR_BGR2RGB)
        packets = self._graph.run(np.asarray(square, np.uint8))
        presence = float(packet_getter.get_float(packets["presence"]))
        if presence < PRESENCE:
            return None
        raw = np.array(packet_getter.get_float_list(packets["points"]), np.float64)
        points = raw.reshape(LANDMARKS, 3)
        points[:, :2] = (points[:, :2] - matrix[:, 2]) @ back(matrix).T
        points[:, 2] /= scale
        return points.astype(np.float32), presence

    def close(self) -> None:
        """Free the network."""
        self._graph.close()
