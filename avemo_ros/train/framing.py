"""Measures how FER2013's training pictures frame a face, for `vision/alignment.py`.

    python -m avemo_ros.train.framing --root fer2013/train

Every n-th picture is enlarged, the mesh is fitted to it, and the middle of the eyes and their
distance are put down as `eyes_of_mesh` gives them, in shares of the picture's side.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.errors import SourceError
from avemo_ros.vision.alignment import eyes_of_mesh
from avemo_ros.vision.mesh import FaceMesh, Region
from avemo_ros.vision.pose import head_pose

_ENLARGE: Final = 6
_CERTAIN: Final = 0.9


def measure(files: list[Path]) -> NDArray[np.float64]:
    """The framing of every picture on which the mesh holds.

    Args:
        files: pictures of one face each that fills them.

    Returns:
        (faces, 7): middle of the eyes (x, y) and their distance in shares of the side, roll,
        yaw and pitch [rad], mesh score.

    Raises:
        SourceError: a file is not a picture.
    """
    mesh = FaceMesh()
    rows = []
    for file in tqdm(files, unit="picture"):
        grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise SourceError(f"cannot read picture {file}")
        height, width = (side * _ENLARGE for side in grey.shape)
        large = cv2.resize(grey, (width, height), interpolation=cv2.INTER_CUBIC)
        image = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)
        found = mesh.fit(image, Region(width / 2, height / 2, 1.5 * max(width, height), 0.0))
        for _ in range(2):
            if found is not None:
                found = mesh.fit(image, Region.of_landmarks(found[0]))
        if found is None or found[1] < _CERTAIN:
            continue
        points, score = found
        pose = head_pose(points)
        eyes = eyes_of_mesh(points, pose)
        place = (eyes.x / width, eyes.y / height, eyes.distance / width)
        rows.append((*place, eyes.roll, pose.yaw, pose.pitch, score))
    mesh.close()
    return np.array(rows).reshape(-1, 7)


def main(arguments: list[str] | None = None) -> None:
    """Command line: print mean, median and spread of the framing."""
    parser = argparse.ArgumentParser(description="Measure how FER2013 frames a face.")
    parser.add_argument("--root", type=Path, required=True, help="folder with class folders")
    parser.add_argument("--every", type=int, default=7, help="use every n-th picture")
    given = parser.parse_args(arguments)
    files = sorted(given.root.rglob("*.jpg"))[:: given.every]
    if not files:
        parser.error(f"no .jpg below {given.root}")
    rows = measure(files)
    print(f"{len(rows)} of {len(files)} pictures have a mesh")
    frontal = np.abs(rows[:, 4]) < np.radians(20)
    for title, part in (("all", rows), ("yaw below 20 degrees", rows[frontal])):
        print(f"{title} ({len(part)} faces): median, mean, standard deviation")
        names = ("eyes x", "eyes y", "eye distance", "roll", "yaw", "pitch")
        for column, name in enumerate(names):
            values = part[:, column]
            figures = (float(np.median(values)), float(values.mean()), float(values.std()))
            print(f"  {name:12s}", *(f"{figure:7.4f}" for figure in figures))


if __name__ == "__main__":
    main()
