"""Measures how a face has to be framed for the face network, for `vision/alignment.py`.

    python -m avemo_ros.train.framing eyes --root fer2013
    python -m avemo_ros.train.framing pictures --root fer2013 --model NAME --json pictures.json
    python -m avemo_ros.train.framing clips --root clips --model NAME --json clips.json

`eyes` tells how FER2013's training pictures frame their faces: that is what the alignment aims
at.  `pictures` cuts the faces of PublicTest anew, by the alignment and in other ways, and tells
what a model makes of each.  `clips` does the same with films that went through the live path;
they are for measuring, nothing is chosen by them.  See docs/framing.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.config import EmotionConfig, VisionConfig
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.item import Item
from avemo_ros.data.prepare import prepare
from avemo_ros.data.registry import list_items
from avemo_ros.errors import AvemoError, DataError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.bundle import find_model, load_model
from avemo_ros.model.collate import NetworkClassifier
from avemo_ros.source.media import MediaFile, VideoFrame
from avemo_ros.train.framing_faces import COLUMNS, FacePlace, enlarged, find_faces
from avemo_ros.train.framing_scores import Estimate, score
from avemo_ros.train.framing_ways import FRAMINGS, LEVEL, PRESENT, Framing, outside, whole
from avemo_ros.vision.alignment import align
from avemo_ros.vision.analyzer import FaceAnalyzer

_FACING: Final = np.radians(20)
_TILTED: Final = np.radians(15)
_GAINS: Final = ("accuracy_gain", "ua_gain")

Crops = list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The main face of a film under every framing."""

    item: Item
    live: Crops
    """The crops that the live path made."""
    crops: dict[Framing, Crops]


class Judge:
    """A network that reads faces.

    Args:
        name: released model, model file or run folder; '' for the robot's own.

    Raises:
        WeightsError: there is none, or it does not read faces.
    """

    def __init__(self, name: str) -> None:
        self._classifier = NetworkClassifier(load_model(find_model(name)))
        self.name = self._classifier.name
        if self._classifier.modality not in ("face", "av"):
            raise WeightsError(
                f"model {self.name} reads no faces; allowed: a face or live model"
            )
        if self._classifier.classes != EMOTIONS:
            raise WeightsError(
                f"model {self.name} has other classes than {', '.join(EMOTIONS)}"
            )

    def __call__(self, groups: Sequence[Crops], items: Sequence[Item]) -> NDArray[np.float64]:
        """(N, 7) probabilities of N items, of the faces of each together."""
        features = tuple(Features(faces=np.stack(crops)) for crops in groups)
        scores = self._classifier.scores(Corpus(tuple(items), features))
        return np.asarray(scores.double().exp().numpy(), np.float64)


def fer2013(root: Path, split: str, every: int) -> tuple[list[Item], Crops]:
    """Every n-th picture of a part, with its item.

    Args:
        root: of FER2013, as folders or table.
        split: 'train' or 'validation' (PublicTest).
        every: n.

    Raises:
        DataError: there is none.
    """
    items = [item for item in list_items("fer2013", root).items if item.split == split]
    corpus, _ = prepare(items[::every], want=frozenset({"faces"}), progress=False)
    found = [
        (item, one.faces[0])
        for item, one in zip(corpus.items, corpus.features, strict=True)
        if one.faces is not None
    ]
    if not found:
        raise DataError(f"no picture of FER2013's {split} part in {root}")
    return [item for item, _ in found], [picture for _, picture in found]


def eyes(root: Path, every: int) -> dict[str, Any]:
    """Where FER2013's training pictures have eyes and box: medians, means, deviations."""
    _, pictures = fer2013(root, "train", every)
    rows = find_faces(pictures)
    found = rows[np.isfinite(rows[:, 0])]
    facing = found[np.abs(found[:, COLUMNS.index("yaw")]) < _FACING]
    return {
        "pictures": len(pictures),
        "all": _spread(found),
        "yaw below 20 degrees": _spread(facing),
    }


def _spread(rows: NDArray[np.float64]) -> dict[str, Any]:
    columns = dict(zip(COLUMNS, rows.T, strict=True))
    columns["distance / box"] = columns["eye distance"] / columns["box side"]
    columns["above / box"] = (columns["box y"] - columns["eyes y"]) / columns["box side"]
    return {
        "faces": len(rows),
        "columns": {
            name: [float(np.median(values)), float(values.mean()), float(values.std())]
            for name, values in columns.items()
        },
    }


def pictures(root: Path, every: int, judge: Judge, cache: Path | None) -> dict[str, Any]:
    """What a model makes of PublicTest under every framing.

    Returns:
        Rows in the order of FRAMINGS, after the pictures as they are and as they are but cut
        by `align`, which costs sharpness; all of them over the same faces.
    """
    items, given = fer2013(root, "validation", every)
    rows = find_faces(given, cache)
    seen = np.flatnonzero(np.isfinite(rows[:, 0]))
    if len(seen) == 0:
        raise DataError(f"the mesh holds on none of {len(given)} pictures of {root}")
    kept = [items[index] for index in seen]
    labels = np.array([item.emotion_index for item in kept])
    small = [given[index] for index in seen]
    side = enlarged(small[0]).shape[0]
    places = [FacePlace.of_row(rows[index], side) for index in seen]
    sets: list[tuple[str, Framing | None, Crops, float]] = [
        ("picture as it is", None, small, 0.0),
        ("the same, cut by align", None, _cut(small, [whole(side)] * len(small)), 0.0),
    ]
    answers = []
    for framing in tqdm(FRAMINGS, desc="framings", disable=None):
        around = [framing.eyes(place) for place in places]
        beyond = float(np.mean([outside(one, side, side) for one in around]))
        sets.append((framing.by, framing, [], beyond))
        answers.append(_right(judge, _cut(small, around), kept, labels))
    plain = [_right(judge, crops, kept, labels) for _, _, crops, _ in sets[:2]]
    right = np.stack([*plain, *answers], axis=1)
    scores = score(right, labels, 2 + FRAMINGS.index(PRESENT))
    tilted = np.abs(rows[seen, COLUMNS.index("roll")]) > _TILTED
    return {
        "model": judge.name,
        "pictures": len(given),
        "faces": len(seen),
        "rows": [
            {
                "by": name,
                "margin": None if framing is None else framing.margin,
                "shift": None if framing is None else framing.shift,
                "outside": beyond,
                **asdict(figures),
            }
            for (name, framing, _, beyond), figures in zip(sets, scores, strict=True)
        ],
        "tilted": _of_tilted(right[tilted], labels[tilted]),
    }


def _of_tilted(right: NDArray[np.bool_], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Of the faces that are tilted by much: what turning them upright is for."""
    kept = 2 + FRAMINGS.index(Framing(LEVEL))
    if len(labels) == 0:
        return {"faces": 0}
    upright = score(right[:, [kept, 2 + FRAMINGS.index(PRESENT)]], labels, 0)[1]
    return {"faces": len(labels), **asdict(upright)}


def _cut(small: Crops, around: Sequence[Any]) -> Crops:
    side = VisionConfig().crop_size
    return [
        align(enlarged(picture), one, side) for picture, one in zip(small, around, strict=True)
    ]


def _right(
    judge: Judge, crops: Crops, items: Sequence[Item], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    found = judge([[crop] for crop in crops], items).argmax(axis=1)
    return np.asarray(found == labels, np.bool_)


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


def _eyes_lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['all']['faces']} of {found['pictures']} pictures have a mesh"]
    for title in ("all", "yaw below 20 degrees"):
        part = found[title]
        lines.append(f"{title} ({part['faces']} faces): median, mean, standard deviation")
        lines += [
            f"  {name:14s}" + "".join(f"{value:9.4f}" for value in values)
            for name, values in part["columns"].items()
        ]
    return lines


def _way(row: dict[str, Any]) -> str:
    margin = "" if row["margin"] is None else f"{row['margin']:.2f}"
    shift = f"{100 * row['shift']:+.0f}" if row["shift"] else ""
    return f"{row['by']:24s}{margin:>7s}{shift:>7s}"


def _range(value: dict[str, float] | Estimate, signed: bool = False) -> str:
    each = asdict(value) if isinstance(value, Estimate) else value
    sign = "+" if signed else ""
    number, low, high = (f"{100 * each[name]:{sign}.1f}" for name in ("value", "low", "high"))
    return f"{number:>6s} [{low:>5s},{high:>5s}]"


def _picture_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['model']} on {found['faces']} of {found['pictures']} pictures of PublicTest "
        "(the others have no mesh); %, with 95 % intervals over pictures; gain: over the "
        "present framing, on the same pictures",
        f"{'framed by':24s}{'margin':>7s}{'down':>7s}{'outside':>9s}  "
        + " ".join(f"    {name:16s}" for name in ("WA", "UA", "WA gain", "UA gain")).rstrip(),
    ]
    for row in found["rows"]:
        figures = (
            _range(row["accuracy"]),
            _range(row["ua"]),
            _range(row["accuracy_gain"], signed=True),
            _range(row["ua_gain"], signed=True),
        )
        lines.append(f"{_way(row)}{100 * row['outside']:9.1f}  " + " ".join(figures))
    tilted = found["tilted"]
    if tilted["faces"]:
        gains = [_range(tilted[name], signed=True).strip() for name in _GAINS]
        lines.append(
            f"{tilted['faces']} faces tilted by more than 15 degrees: turning them upright "
            f"gains {gains[0]} in WA, {gains[1]} in UA"
        )
    better = [
        _way(row).strip()
        for row in found["rows"][2:]
        if any(row[name]["low"] > 0 for name in _GAINS)
    ]
    lines.append(f"better than the present framing: {'; '.join(better) or 'none'}")
    return lines


def _clip_lines(found: dict[str, Any]) -> list[str]:
    labels = list(found["rows"][0]["of_label"])
    lines = [
        f"{found['model']} on {found['frames']} pictures of {found['clips']} clips, each "
        "picture alone; % (mean probability of the named emotion, pictures right)",
        f"{'framed by':24s}{'margin':>7s}{'down':>7s}{'prob.':>8s}{'right':>7s}"
        + "".join(f"{label:>12s}{'right':>7s}" for label in labels)
        + f"{'clips right':>13s}",
    ]
    for row in found["rows"]:
        parts = [row, *(row["of_label"][label] for label in labels)]
        cells = [
            f"{100 * part['probability']:{width}.1f}{100 * part['frames_right']:7.1f}"
            for part, width in zip(parts, [8, *[12] * len(labels)], strict=True)
        ]
        lines.append(f"{_way(row)}{''.join(cells)}{row['clips_right']:10d}/{found['clips']}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure how a face has to be framed.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    helps = {
        "eyes": "how FER2013's training pictures frame a face",
        "pictures": "accuracy on FER2013's PublicTest, framed in several ways",
        "clips": "the same on films with RAVDESS names, through the live path",
    }
    for kind, text in helps.items():
        command = kinds.add_parser(kind, help=text, description=text)
        command.add_argument("--root", type=Path, required=True, help="folder of the data")
        command.add_argument("--json", type=Path, help="write the figures to this file")
        if kind != "clips":
            every = 7 if kind == "eyes" else 1
            command.add_argument(
                "--every", type=int, default=every, help="use each n-th picture"
            )
        if kind != "eyes":
            command.add_argument(
                "--model", default="", help="name, file or run folder; default: the robot's"
            )
        if kind == "pictures":
            command.add_argument("--cache", type=Path, help="file (.npz) that keeps the meshes")
    given = parser.parse_args(arguments)
    try:
        if given.kind == "eyes":
            found = eyes(given.root, given.every)
            lines = _eyes_lines(found)
        elif given.kind == "pictures":
            found = pictures(given.root, given.every, Judge(given.model), given.cache)
            lines = _picture_lines(found)
        else:
            found = clips(given.root, Judge(given.model))
            lines = _clip_lines(found)
    except AvemoError as error:
        print(f"framing: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    if given.json is not None:
        part = given.json.with_name(f"{given.json.name}.part")
        part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        part.replace(given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
