"""Films that went through the live path, and what is made of them in every framing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avemo_ros.config import EmotionConfig, VisionConfig
from avemo_ros.data.item import Item
from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS
from avemo_ros.source.media import MediaFile, VideoFrame
from avemo_ros.train.framing_faces import FacePlace
from avemo_ros.train.framing_judge import Crops, Judge
from avemo_ros.train.framing_ways import FRAMINGS, Framing
from avemo_ros.vision.alignment import align
from avemo_ros.vision.analyzer import FaceAnalyzer


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The main face of a film under every framing."""

    item: Item
    live: Crops
    """The crops that the live path made."""
    crops: dict[Framing, Crops]


def read_clip(item: Item, analyzer: FaceAnalyzer) -> Clip:
    """Lead a film through the live path and cut its largest face in every way.

    Pictures without a mesh, or of a quality that the robot does not look at, are left out.
    """
    analyzer.reset()
    live: Crops = []
    crops: dict[Framing, Crops] = {framing: [] for framing in FRAMINGS}
    with MediaFile(item.path) as media:
        for frame in media:
            if not isinstance(frame, VideoFrame):
                continue
            tracks = analyzer.process(frame.stamp_ns, frame.image)
            face = max(tracks.faces, key=lambda one: one.box.area, default=None)
            if face is None or face.landmarks is None or face.pose is None:
                continue
            if face.quality < EmotionConfig().min_face_quality:
                continue
            size = np.array([tracks.width, tracks.height, tracks.width], np.float32)
            place = FacePlace.of_mesh(face.landmarks * size, face.pose)
            live.append(face.crop)
            for framing, cuts in crops.items():
                cuts.append(align(frame.image, framing.eyes(place), face.crop.shape[0]))
    return Clip(item, live, crops)


def clips(root: Path, judge: Judge) -> dict[str, Any]:
    """What a model makes of the films below a folder (names as in RAVDESS) in every framing.

    Raises:
        DataError: there are none, or none has a face.
    """
    analyzer = FaceAnalyzer(VisionConfig())
    items = [item for item in list_items("ravdess", root).items if item.has_face]
    read = [read_clip(item, analyzer) for item in tqdm(items, desc="clips", disable=None)]
    analyzer.close()
    films = [clip for clip in read if clip.live]
    if not films:
        raise DataError(f"no clip with a face in {root}")
    rows = [
        {"by": "live path", "margin": 1.0, "shift": 0.0}
        | _of_films(judge, films, [clip.live for clip in films])
    ]
    for framing in tqdm(FRAMINGS, desc="framings", disable=None):
        cut = [clip.crops[framing] for clip in films]
        rows.append(asdict(framing) | _of_films(judge, films, cut))
    return {
        "model": judge.name,
        "clips": len(films),
        "frames": sum(len(clip.live) for clip in films),
        "rows": rows,
    }


def _of_films(judge: Judge, films: Sequence[Clip], cut: Sequence[Crops]) -> dict[str, Any]:
    owners = np.repeat(np.arange(len(films)), [len(crops) for crops in cut])
    items = [film.item for film in films]
    single = judge([[crop] for crops in cut for crop in crops], [items[i] for i in owners])
    labels = np.array([item.emotion_index for item in items])
    named = single[np.arange(len(owners)), labels[owners]]
    right = single.argmax(axis=1) == labels[owners]
    together = judge(cut, items)
    return {
        "probability": float(named.mean()),
        "frames_right": float(right.mean()),
        "of_label": {
            EMOTIONS[label]: {
                "probability": float(named[labels[owners] == label].mean()),
                "frames_right": float(right[labels[owners] == label].mean()),
            }
            for label in np.unique(labels).tolist()
        },
        "clips_right": int((together.argmax(axis=1) == labels).sum()),
    }
