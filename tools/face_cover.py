#!/usr/bin/env python3
"""Trains and measures the network that tells hidden faces from ordinary ones.

    python tools/face_cover.py fit EXPW FER2013 --ordinary test/data/sample.mp4
    python tools/face_cover.py measure EXPW FER2013 CLIPS

The folders hold images of faces (ExpW, FER2013) or videos.  Masks, scarves, hands, sunglasses
and blocks of many colours and textures are drawn over the faces, by their mesh, and images
are turned; then the live path looks at them.  A quarter of the images, by a digest of their
name, and all videos in the folders are for `measure` alone.  The sample is learned from: the
mouth of its animated face is unlike any photograph's.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from avemo_ros.config import EmotionConfig, VisionConfig
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FaceTrack
from avemo_ros.vision.quality import CLASSES, cover_features

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]

JAW: Final = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397]
JAW += [288, 361, 323, 454]
"""Points of the mesh from one ear along the jaw to the other."""
TEXTURES: Final = ("flat", "medical", "black", "white", "skin", "gradient", "noise", "stripes")
TEXTURES += ("dots", "skin", "noise")
SIDE: Final = 200
"""An image of a face alone is brought to this size [pixels] ..."""
FRAME: Final = 80
"""... and framed with so much grey, as faces in a view are."""
EVERY: Final = 12
"""Frame of a video that is looked at."""
MOST: Final = 4500
"""Images of a folder that are learned from as they are."""
HIDDEN: Final = 64
"""Units of the layer."""


def occluded(image: Image, points: NDArray[np.float64], what: str, chance: Any) -> Image:
    """The face with something in front of it; points (468, 2) [pixels]."""
    eyes = points[263] - points[33]
    unit, angle = float(np.linalg.norm(eyes)), float(np.degrees(np.arctan2(eyes[1], eyes[0])))
    mouth, mask = (points[13] + points[14]) / 2, np.zeros(image.shape[:2], np.uint8)

    def box(middle: NDArray[Any], width: float, height: float, turn: float = 0.0) -> None:
        corners = cv2.boxPoints((tuple(middle), (unit * width, unit * height), angle + turn))
        cv2.fillPoly(mask, [corners.astype(np.int32)], 255)

    def oval(middle: NDArray[Any], width: float, height: float) -> None:
        cv2.ellipse(mask, (tuple(middle), (unit * width, unit * height), angle), 255, -1)

    if what == "mask":
        cv2.fillPoly(mask, [points[[*JAW, 347, 6, 118]].astype(np.int32)], 255)
    elif what == "scarf":
        jaw = points[JAW[1:-1]]
        outline = np.concatenate((jaw + 0.25 * (jaw - points[1]), points[[2]]))
        cv2.fillPoly(mask, [outline.astype(np.int32)], 255)
    elif what == "half mouth":
        oval((points[[61, 291][chance.integers(2)]] + mouth) / 2, 0.75, 0.9)
    elif what == "mouth block":
        box(mouth, chance.uniform(0.8, 1.4), chance.uniform(0.55, 1.0), chance.uniform(-20, 20))
    elif what == "eye block":
        box((points[33] + points[263]) / 2, 1.5, 0.45)
    elif what == "sunglasses":
        for outer, inner in ((33, 133), (263, 362)):
            oval((points[outer] + points[inner]) / 2 + [0, 0.05 * unit], 0.55, 0.42)
        cv2.line(mask, points[133].astype(int), points[362].astype(int), 255, 3)
    elif what == "hand":
        return _with_hand(image, points, angle, unit, mouth, chance)
    return _pasted(image, mask, _texture(image, points, what, chance))


COVERS: Final = {
    "mask": "mouth",
    "scarf": "mouth",
    "half mouth": "mouth",
    "mouth block": "mouth",
    "hand": "mouth",
    "sunglasses": "eyes",
    "eye block": "eyes",
}
"""What is drawn, and what it hides."""
TURNS: Final[dict[str, Callable[[Image], Image]]] = {
    "180 degrees": lambda image: np.ascontiguousarray(image[::-1, ::-1]),
    "upside down, mirrored": lambda image: np.ascontiguousarray(image[::-1]),
    "90 degrees": lambda image: np.ascontiguousarray(np.rot90(image)),
}


def _with_hand(
    image: Image,
    points: NDArray[Any],
    angle: float,
    unit: float,
    mouth: NDArray[Any],
    chance: Any,
) -> Image:
    """Four fingers across the mouth, with shaded edges."""
    turn = angle + chance.choice([-1, 1]) * chance.uniform(30, 100)
    along = np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    across = np.array([-along[1], along[0]])
    skin = _skin(image, points)
    for number in range(4):
        middle = mouth + unit * (
            (number - 1.5) * 0.27 * across + chance.uniform(-0.1, 0.25) * along
        )
        finger = np.zeros(image.shape[:2], np.uint8)
        cv2.ellipse(finger, (tuple(middle), (1.6 * unit, 0.3 * unit), turn), 255, -1)
        light = (
            cv2.GaussianBlur(finger.astype(np.float32), (0, 0), 0.05 * unit)[..., None] / 255
        )
        noise = chance.normal(0, 3, (*image.shape[:2], 1))
        image = _pasted(image, finger, skin * (0.55 + 0.5 * light) + noise)
    return image


def _skin(image: Image, points: NDArray[Any]) -> NDArray[np.float64]:
    height, width = image.shape[:2]
    x, y = np.clip(points[50].astype(int), 0, [width - 1, height - 1])
    return image[y, x].astype(np.float64)


def _texture(image: Image, points: NDArray[Any], what: str, chance: Any) -> NDArray[np.float64]:
    """An image full of cloth."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    kind = chance.choice(("black", "flat", "gradient") if what == "sunglasses" else TEXTURES)
    colour = chance.integers(0, 256, 3).astype(float)
    colour = {
        "medical": np.array([225.0, 205.0, 160.0]),
        "black": np.full(3, 25.0),
        "white": np.full(3, 235.0),
        "skin": _skin(image, points),
    }.get(kind, colour)
    angle, period = chance.uniform(0, 2 * np.pi), chance.uniform(0.05, 0.2) * height
    slope = x * np.cos(angle) + y * np.sin(angle)
    pattern = np.zeros((height, width))
    if kind == "gradient":
        pattern = chance.uniform(-150, 150) * (slope - slope.min()) / np.ptp(slope)
    elif kind == "noise":
        blobs = chance.standard_normal((height, width)).astype(np.float32)
        blobs = cv2.GaussianBlur(blobs, (0, 0), chance.uniform(0.5, 6))
        pattern = chance.uniform(10, 50) * blobs / blobs.std()
    elif kind == "stripes":
        pattern = chance.uniform(30, 100) * np.sign(np.sin(2 * np.pi * slope / period))
    elif kind == "dots":
        waves = np.sin(2 * np.pi * x / period) * np.sin(2 * np.pi * y / period)
        pattern = chance.uniform(40, 120) * (waves > 0.4)
    if chance.random() < 0.5:  # folds
        folds = 2 * np.pi * y / (chance.uniform(0.05, 0.15) * height)
        pattern = pattern + chance.uniform(3, 15) * np.sin(folds)
    return np.asarray(colour + pattern[..., None], np.float64)


def _pasted(image: Image, mask: Mask, texture: NDArray[Any]) -> Image:
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)[..., None] / 255
    return np.clip(image * (1 - share) + texture * share, 0, 255).astype(np.uint8)


def is_held_out(path: Path) -> bool:
    """A quarter of the names."""
    return hashlib.sha1(path.name.encode()).digest()[0] % 4 == 0  # noqa: S324  not for safety


def images_of(folder: Path, limit: int, *, held_out: bool) -> Iterator[Image]:
    """Images of a folder in random order, at most so many; of videos every 12th image."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    images = [p for p in paths if p.suffix.lower() in (".jpg", ".png")]
    images = [path for path in images if is_held_out(path) == held_out]
    for place in np.random.default_rng(0).permutation(len(images))[:limit]:
        image = cv2.imread(str(images[place]))
        image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        grey = (110, 110, 110)
        yield cv2.copyMakeBorder(image, *(FRAME,) * 4, cv2.BORDER_CONSTANT, value=grey)
    for path in (p for p in paths if p.suffix.lower() == ".mp4" and held_out):
        yield from frames_of(path)


def frames_of(path: Path) -> Iterator[Image]:
    """Every 12th image of a video."""
    frames = (item for item in MediaFile(path) if isinstance(item, VideoFrame))
    yield from (item.image for number, item in enumerate(frames) if number % EVERY == 0)


def face_in(analyzer: FaceAnalyzer, image: Image) -> FaceTrack | None:
    """The largest face of an image, as the live path finds it."""
    analyzer.reset()
    faces = analyzer.process(1_000_000_000, image).faces
    return max(faces, key=lambda face: face.box.area, default=None)


def views(
    image: Image, clean: FaceTrack, many: int, chance: Any
) -> Iterator[tuple[str, Image]]:
    """Some ways in which the face is hidden, and the image turned."""
    size = np.array([image.shape[1], image.shape[0]])
    assert clean.landmarks is not None
    points = clean.landmarks[:, :2].astype(np.float64) * size
    for what in chance.permutation(list(COVERS))[:many]:
        yield str(what), occluded(image, points, what, chance)
    for name, turned in TURNS.items():
        if chance.random() < many / len(COVERS):
            yield name, turned(image)


def is_astray(face: FaceTrack, clean: FaceTrack) -> bool:
    """Whether the mesh of a face turned by 90 degrees does not fit; else the crop is upright,
    and there is nothing to see in it."""
    if face.pose is None or clean.pose is None:
        return True
    off = face.pose.roll - (clean.pose.roll - np.pi / 2)
    return bool(np.cos(off) < np.cos(np.radians(30)))


def degraded(crop: Image, chance: Any) -> Image:
    """The crop as a far or dim camera would see it."""
    side = crop.shape[0]
    small = int(chance.integers(side // 3, side + 1))
    crop = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR)
    light = 255 * (crop / 255.0) ** chance.uniform(0.5, 2.0) * chance.uniform(0.4, 1.0)
    noisy = light + chance.normal(0, chance.uniform(0, 8), crop.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def fit(folders: list[Path], ordinary: list[Path], limit: int, out: Path) -> None:
    """Train on the images that are not held out."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    chance, analyzer = np.random.default_rng(1), FaceAnalyzer(VisionConfig())
    rows: list[NDArray[np.float32]] = []
    labels: list[int] = []

    def add(crop: Image, label: str) -> None:
        for one in (crop, np.ascontiguousarray(crop[:, ::-1])):
            rows.extend(cover_features(view) for view in (one, degraded(one, chance)))
        labels.extend([CLASSES.index(label)] * 4)

    for video in ordinary:
        for image in frames_of(video):
            if (clean := face_in(analyzer, image)) is not None:
                add(clean.crop, "ordinary")
    for folder in folders:
        for number, image in enumerate(images_of(folder, MOST, held_out=False)):
            clean = face_in(analyzer, image)
            if clean is None or clean.landmarks is None:
                continue
            add(clean.crop, "ordinary")
            if number >= limit:
                continue
            for what, view in views(image, clean, 3, chance):
                face = face_in(analyzer, view)
                if face is not None and (what != "90 degrees" or is_astray(face, clean)):
                    add(face.crop, COVERS.get(what, "mouth"))
    given, scaler = np.array(rows), StandardScaler()
    network = MLPClassifier((HIDDEN,), alpha=1.0, max_iter=15, random_state=0)
    network.fit(scaler.fit_transform(given), labels)
    (first, second), (bias1, bias2) = network.coefs_, network.intercepts_
    w1 = first.T / scaler.scale_
    weights = {"w1": w1, "b1": bias1 - w1 @ scaler.mean_, "w2": second.T, "b2": bias2}
    halves = {name: np.ascontiguousarray(one, np.float16) for name, one in weights.items()}
    save_file(halves, out)
    print(f"{len(labels)} crops, accuracy {network.score(scaler.transform(given), labels):.3f}")


def measure(folders: list[Path], limit: int) -> None:
    """Print how many faces are used, ordinary and hidden, of those held out."""
    chance, analyzer = np.random.default_rng(2), FaceAnalyzer(VisionConfig())
    least = EmotionConfig().min_face_quality
    for folder in folders:
        counts: dict[str, list[int]] = {}

        def add(
            what: str, face: FaceTrack | None, uncovered: float, counts: Any = counts
        ) -> None:
            row = counts.setdefault(what, [0, 0, 0])
            row[0] += 1
            row[1] += face is not None and uncovered >= least
            row[2] += face is not None and face.quality >= least

        for image in images_of(folder, limit, held_out=True):
            clean = face_in(analyzer, image)
            if clean is None or clean.landmarks is None:
                continue
            add("ordinary", clean, _without_cover(clean, image))
            if clean.quality < least:
                continue
            for what, view in views(image, clean, 3, chance):
                face = face_in(analyzer, view)
                add(what, face, 0.0 if face is None else _without_cover(face, view))
        print(f"{folder.name}: shown, found (passes all terms but cover and turn), used")
        for what, (shown, found, used) in counts.items():
            print(f"  {what:22}{shown:6}{found:6}{used:6}  {used / shown:6.1%} of all")


def _without_cover(face: FaceTrack, image: Image) -> float:
    """The quality that the face has but for what hides it and how it is turned."""
    from avemo_ros.vision import quality
    from avemo_ros.vision.alignment import eyes_of_mesh
    from avemo_ros.vision.face import HeadPose
    from avemo_ros.vision.quality import Cover

    if face.landmarks is None or face.pose is None:
        return face.quality
    size = np.array([image.shape[1], image.shape[0], image.shape[1]])
    eyes = eyes_of_mesh(face.landmarks * size, face.pose)
    pose = HeadPose(face.pose.yaw, face.pose.pitch, 0.0)
    return quality.face_quality(face.crop, eyes.distance, pose, Cover(-9.0, -9.0))


def main() -> None:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("fit", "measure"))
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=1500, help="images of a folder drawn on")
    parser.add_argument("--ordinary", type=Path, nargs="*", default=[], help="videos")
    parser.add_argument(
        "--out", type=Path, default=Path("avemo_ros/vision/face_cover.safetensors")
    )
    args = parser.parse_args()
    if args.what == "fit":
        fit(args.folders, args.ordinary, args.limit, args.out)
    else:
        measure(args.folders, args.limit)


if __name__ == "__main__":
    main()
