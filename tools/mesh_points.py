"""Learn how dlib's 68 points differ from the same points of MediaPipe's mesh.

    pip install dlib-bin face_recognition_models    # for this tool only
    python tools/mesh_points.py FOLDER PREDICTOR.dat [OUT]

FOLDER holds images (.jpg) with one face each; PREDICTOR is dlib's shape predictor.  What is
learned is a ridge regression from the eye-aligned points of the mesh to the difference,
refitted twice without the tenth of the faces that fits worst.  A tenth of the faces is held
out, and the mean difference on them printed, before and after.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from avemo_ros.config import VisionConfig
from avemo_ros.model import face_points
from avemo_ros.vision.analyzer import FaceAnalyzer

SIDE: Final = 300
"""Images are enlarged to this, since dlib finds no smaller faces [pixels]."""
MARGIN: Final = 90
RIDGE: Final = 0.03
FARTHEST: Final = 0.12
"""Faces whose points differ by more on average are of another face [distances of the eyes]."""
APART_NS: Final = 10**10


def main() -> None:
    """Learn from the folder and write the file."""
    folder, predictor = Path(sys.argv[1]), sys.argv[2]
    out = Path(sys.argv[3] if len(sys.argv) > 3 else face_points.MESH_WEIGHTS)
    pairs = list(_pairs(sorted(folder.glob("*.jpg")), predictor))
    mesh, dlib = (_shapes(np.stack(points)) for points in zip(*pairs, strict=True))
    near = np.abs(dlib - mesh).mean(axis=1) < FARTHEST
    mesh, differ = mesh[near], (dlib - mesh)[near]
    held = np.arange(len(mesh)) % 10 == 9
    weights, bias = _fit(mesh[~held], differ[~held])
    rest = differ[held] - mesh[held] @ weights.T - bias
    print(f"{len(pairs)} faces in both, {near.sum()} of them alike")
    print(f"held out: {np.abs(differ[held]).mean():.4f}, after {np.abs(rest).mean():.4f}")
    weights, bias = _fit(mesh, differ)
    save_file(
        {
            "weights": np.ascontiguousarray(weights, np.float16),
            "bias": np.ascontiguousarray(bias, np.float32),
        },
        out,
        {"data": "ExpW faces (non-commercial research)", "license": "CC BY-NC-SA 4.0"},
    )


def _pairs(
    paths: list[Path], predictor: str
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Points (68, 2) of the mesh, not corrected, and of dlib, of each image that both see."""
    import dlib

    find, predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(predictor)
    analyzer = FaceAnalyzer(VisionConfig())
    for number, path in enumerate(paths):
        image = cv2.resize(cv2.imread(str(path)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        image = cv2.copyMakeBorder(image, *[MARGIN] * 4, cv2.BORDER_REFLECT_101)
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        boxes = find(grey, 0)
        analyzer.reset()
        faces = analyzer.process(number * APART_NS, image).faces
        meshes = [face.landmarks for face in faces if face.landmarks is not None]
        if not boxes or not meshes:
            continue
        shape: Any = predict(grey, max(boxes, key=lambda box: box.area()))
        there = [(shape.part(k).x, shape.part(k).y) for k in range(face_points.POINTS)]
        pixels = meshes[0][None, :, :2] * np.float32(SIDE + 2 * MARGIN)
        yield face_points.chosen_of_mesh(pixels)[0], np.array(there, np.float32)


def _shapes(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 136) eye-aligned."""
    shapes = face_points.normalise_points(points)[:, : 2 * face_points.POINTS]
    return shapes.astype(np.float64)


def _fit(
    mesh: NDArray[np.float64], differ: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(136, 136) and (136,)."""
    kept = np.ones(len(mesh), bool)
    for _ in range(3):
        middle, mean = mesh[kept].mean(axis=0), differ[kept].mean(axis=0)
        centred = mesh[kept] - middle
        gram = centred.T @ centred + RIDGE * np.eye(mesh.shape[1])
        weights = np.linalg.solve(gram, centred.T @ (differ[kept] - mean)).T
        bias = mean - weights @ middle
        misfit = np.abs(differ - mesh @ weights.T - bias).mean(axis=1)
        kept = misfit < np.quantile(misfit, 0.9)
    return weights, bias


if __name__ == "__main__":
    main()
