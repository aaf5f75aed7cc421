"""Faces in a whole picture: MediaPipe BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.bare_mediapipe import packet_getter
from avemo_ros.vision.face import Box
from avemo_ros.vision.graph import Graph, letterbox


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face that the detector found."""

    box: Box
    """From the brows to the chin, about a square in pixels."""
    score: float
    """0 to 1."""
    keypoints: NDArray[np.float32]
    """(6, 2), normalised to the picture: the person's right eye, left eye, tip of the nose,
    middle of the mouth, right ear, left ear."""


@dataclass(frozen=True, slots=True)
class _Network:
    """What differs between the two BlazeFace networks."""

    file: str
    side: int
    anchors: int
    anchor_options: str


# Values of MediaPipe's own graphs (face_detection_{short,full}_range).
_NETWORKS: Final = {
    "short": _Network(
        "face_detection_short_range.tflite",
        128,
        896,
        "num_layers: 4 strides: 8 strides: 16 strides: 16 strides: 16 "
        "interpolated_scale_aspect_ratio: 1.0",
    ),
    "full": _Network(
        "face_detection_full_range_sparse.tflite",
        192,
        2304,
        "num_layers: 1 strides: 4 interpolated_scale_aspect_ratio: 0.0",
    ),
}

_CLOSER: Final = 4.0
"""Side of the part of the picture that is looked at again, over the rough box's."""

_GRAPH: Final = """
input_stream: "image"
output_stream: "faces"
node {{
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:pixels"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {side} output_tensor_height: {side}
    output_tensor_float_range {{ min: -1.0 max: 1.0 }}
  }} }}
}}
node {{
  calculator: "SsdAnchorsCalculator"
  output_side_packet: "anchors"
  options {{ [mediapipe.SsdAnchorsCalculatorOptions.ext] {{
    input_size_width: {side} input_size_height: {side}
    min_scale: 0.1484375 max_scale: 0.75 anchor_offset_x: 0.5 anchor_offset_y: 0.5
    aspect_ratios: 1.0 fixed_anchor_size: true {anchor_options}
  }} }}
}}
node {{
  calculator: "InferenceCalculatorCpu"
  input_stream: "TENSORS:pixels"
  output_stream: "TENSORS:raw"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{
    model_path: "mediapipe/modules/face_detection/{file}"
    delegate {{ xnnpack {{ num_threads: 1 }} }}
  }} }}
}}
node {{
  calculator: "TensorsToDetectionsCalculator"
  input_stream: "TENSORS:raw"
  input_side_packet: "ANCHORS:anchors"
  output_stream: "DETECTIONS:all_faces"
  options {{ [mediapipe.TensorsToDetectionsCalculatorOptions.ext] {{
    num_classes: 1 num_boxes: {anchors} num_coords: 16
    x_scale: {side} y_scale: {side} w_scale: {side} h_scale: {side}
    box_coord_offset: 0 keypoint_coord_offset: 4 num_keypoints: 6 num_values_per_keypoint: 2
    reverse_output_order: true sigmoid_score: true score_clipping_thresh: 100.0
    min_score_thresh: {confidence}
  }} }}
}}
node {{
  calculator: "NonMaxSuppressionCalculator"
  input_stream: "all_faces"
  output_stream: "faces"
  options {{ [mediapipe.NonMaxSuppressionCalculatorOptions.ext] {{
    min_suppression_threshold: 0.3 overlap_type: INTERSECTION_OVER_UNION algorithm: WEIGHTED
  }} }}
}}
"""


class FaceDetector:
    """Finds the faces of one picture, without memory of earlier ones.

    Args:
        reach: 'short' for faces within about 2 m (1.5 ms), 'full' for up to about 5 m (4 ms).
        confidence: least score of a face, 0 to 1.
    """

    def __init__(self, reach: str = "full", confidence: float = 0.5) -> None:
        network = _NETWORKS[reach]
        self._side = network.side
        config = _GRAPH.format(
            side=network.side,
            anchors=network.anchors,
            anchor_options=network.anchor_options,
            file=network.file,
            confidence=confidence,
        )
        self._graph = Graph(config, ("faces",), network.side)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in a BGR picture (H, W, 3), most certain first."""
        square, place = letterbox(image, self._side)
        packet = self._graph.run(square).get("faces")
        if packet is None:
            return []
        offset, extent = place[:2], place[2:]
        found = []
        for item in packet_getter.get_proto_list(packet):
            face = item.location_data.relative_bounding_box
            corner = (np.array([face.xmin, face.ymin]) - offset) / extent
            size = np.array([face.width, face.height]) / extent
            points = np.array([(p.x, p.y) for p in item.location_data.relative_keypoints])
            found.append(
                Detection(
                    box=Box(*corner.tolist(), *size.tolist()),
                    score=float(item.score[0]),
                    keypoints=((points - offset) / extent).astype(np.float32),
                )
            )
        return sorted(found, key=lambda detection: -detection.score)

    def look_closer(self, image: NDArray[np.uint8], rough: Detection) -> Detection | None:
        """Look again at a small face alone.

        The network sees 128 or 192 pixels of whatever it is given.  Of a face that is a few of
        them large it gives a box up to twice too big; in a part of the picture it is exact.

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
                return Detection(
                    box=Box(*corner.tolist(), *spread.tolist()),
                    score=item.score,
                    keypoints=(origin + item.keypoints * extent).astype(np.float32),
                )
        return None

    def close(self) -> None:
        """Free the network."""
        self._graph.close()
