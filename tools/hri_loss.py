"""What is lost when faces come by ROS4HRI: poses and emotions of the same faces, by our own
tracks and by box, 68 points and a cut of 128 pixels (docs/people.md).

python tools/hri_loss.py DIR [IMAGES]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import ModelConfig, VisionConfig
from avemo_ros.engine.face_assembler import POINTS, FaceParts, track_of
from avemo_ros.model.face_points import points_of_mesh
from avemo_ros.model.predictor import Predictor
from avemo_ros.nodes.ros4hri import cropped
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FaceTrack

_GOOD = 0.3


def main() -> None:
    """Print medians and shares for the faces in a folder of images."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 450
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png")
    )
    random.seed(2)
    random.shuffle(files)
    analyzer, predictor = FaceAnalyzer(VisionConfig()), Predictor(ModelConfig())

    def emotion(face: FaceTrack) -> int:
        said = predictor.predict(predictor.embed_faces([face.crop]), None).probabilities
        return int(np.argmax(said))

    turns: list[NDArray[np.float64]] = []
    same: list[tuple[bool, bool]] = []
    for number, path in enumerate(files[:count]):
        image = cv2.imread(str(path))
        if image is None:
            continue
        height, width = image.shape[:2]
        analyzer.reset()
        for face in analyzer.process(number * 10**9, image).faces:
            if face.landmarks is None or face.pose is None or face.quality < _GOOD:
                continue
            size = np.array((width, height), np.float32)
            points = np.ones((POINTS, 3), np.float32)
            points[:68, :2] = points_of_mesh((face.landmarks[:, :2] * size)[None])[0] / size
            cut = cropped(image, face)
            whole = FaceParts(face.box, face.confidence, points, (width, height), cut)
            bare = FaceParts(face.box, face.confidence, cut=cut)
            with_points = track_of("a", whole, face.crop.shape[0], None)
            without = track_of("a", bare, face.crop.shape[0], None)
            pose, own = with_points.pose, face.pose
            assert pose is not None
            turn = np.degrees(
                [pose.yaw - own.yaw, pose.pitch - own.pitch, pose.roll - own.roll]
            )
            turns.append(np.abs(turn))
            wanted = emotion(face)
            same.append((emotion(with_points) == wanted, emotion(without) == wanted))
    analyzer.close()
    share_with, share_without = np.mean(same, axis=0)
    print(f"{len(same)} faces")
    print("yaw, pitch, roll differ by, median:", np.median(turns, axis=0).round(1).tolist())
    print("and 90 % by less than:", np.percentile(turns, 90, axis=0).round(1).tolist())
    print(f"same emotion with points {share_with:.3f}, without {share_without:.3f}")


if __name__ == "__main__":
    main()
