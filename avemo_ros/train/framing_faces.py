"""Where the eyes and the box of a face are in a picture that shows nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.vision.alignment import Eyes, eyes_of_mesh
from avemo_ros.vision.face import HeadPose
from avemo_ros.vision.mesh import FaceMesh, Region
from avemo_ros.vision.pose import head_pose

ENLARGE: Final = 6
"""The mesh is fitted to pictures that are this many times as large: it was made for faces of
100 pixels and more."""
CERTAIN: Final = 0.9
"""Least score of the mesh for its eyes to count."""
COLUMNS: Final = (
    "eyes x",
    "eyes y",
    "eye distance",
    "roll",
    "yaw",
    "pitch",
    "box x",
    "box y",
    "box side",
)
"""What is known of a face: place and lengths [sides of the picture], angles [rad]."""


@dataclass(frozen=True, slots=True)
class FacePlace:
    """A face in a picture [pixels]."""

    eyes: Eyes
    box_x: float
    """Middle of the box around the mesh."""
    box_y: float
    box_side: float
    """Its longer side."""

    @classmethod
    def of_mesh(cls, points: NDArray[np.floating[Any]], pose: HeadPose) -> FacePlace:
        """From the mesh (468, 3) [pixels] and its pose."""
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        x, y = ((low + high) / 2).tolist()
        return cls(eyes_of_mesh(points, pose), x, y, float((high - low).max()))

    @classmethod
    def of_row(cls, row: NDArray[np.float64], side: float) -> FacePlace:
        """From a row of COLUMNS and the side of the picture [pixels]."""
        x, y, distance, roll, _, _, box_x, box_y, box_side = row.tolist()
        eyes = Eyes(x * side, y * side, distance * side, roll)
        return cls(eyes, box_x * side, box_y * side, box_side * side)


def enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(ENLARGE h, ENLARGE w, 3) BGR of a grey picture (h, w)."""
    height, width = picture.shape
    size = (width * ENLARGE, height * ENLARGE)
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)


def find_faces(
    pictures: Sequence[NDArray[np.uint8]], cache: Path | None = None
) -> NDArray[np.float64]:
    """The face of every picture.

    Args:
        pictures: (side, side) grey, one face each that fills it.
        cache: file (.npz) that keeps the result, made if it is missing or of other pictures.

    Returns:
        (N, 9) COLUMNS; NaN where the mesh does not hold.
    """
    digest = hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()
    if cache is not None and cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            if str(kept["pictures"]) == digest:
                return np.asarray(kept["rows"], np.float64)
    mesh = FaceMesh()
    rows = np.full((len(pictures), len(COLUMNS)), np.nan)
    for index, picture in enumerate(tqdm(pictures, desc="mesh", unit="picture", disable=None)):
        row = _face(mesh, picture)
        if row is not None:
            rows[index] = row
    mesh.close()
    if cache is not None:
        part = cache.with_name(f"{cache.name}.part")
        with part.open("wb") as file:
            np.savez(file, rows=rows, pictures=np.array(digest))
        part.replace(cache)
    return rows


def _face(mesh: FaceMesh, picture: NDArray[np.uint8]) -> tuple[float, ...] | None:
    image = enlarged(picture)
    side = image.shape[0]
    found = mesh.fit(image, Region(side / 2, side / 2, 1.5 * side, 0.0))
    for _ in range(2):
        if found is not None:
            found = mesh.fit(image, Region.of_landmarks(found[0]))
    if found is None or found[1] < CERTAIN:
        return None
    pose = head_pose(found[0])
    place = FacePlace.of_mesh(found[0], pose)
    eyes = place.eyes
    where = (eyes.x / side, eyes.y / side, eyes.distance / side)
    box = (place.box_x / side, place.box_y / side, place.box_side / side)
    return (*where, eyes.roll, pose.yaw, pose.pitch, *box)
