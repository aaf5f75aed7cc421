"""Made scenes of people who cross, are hidden and come back: how well face ids and person ids
keep to them.

    python tools/crossing_scenes.py DATA [--scenes N] [--rate HZ] [--show FILE.mp4]

DATA holds expw_faces.tar and clips/ (docs/data.md).  Real faces are cut out along an ellipse
and moved through an image of 640x480: photographs of ExpW, whose size, turn, brightness and
sharpness change as they move, and in every third scene the moving face of the clips' actor.
Boxes are matched to people by their middles.  Printed for each kind of scene, with ids by place
alone ('none') and with what faces look like ('visit'):

- faces: in how many images a person who can be seen was found, of all;
- another's: faces with an id that belongs to another person;
- switches: how often a person got another id than before, in all scenes together;
- ids: for each person (1 is best);
- IDF1 (Ristani et al. 2016, arXiv:1609.01775): faces with the id that belongs to their person,
  by the best match of one id to each person;
- persons: faces with the right person id, a wrong one, and none.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from avemo_ros.config import IdentityConfig, VisionConfig
from avemo_ros.state.identity import Identity
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FrameTracks

WIDTH, HEIGHT = 640, 480
SIDE: Final = 200
"""Of a person's picture [pixels]; the face takes about half of it."""
SIZE: Final = 0.42
"""Side of a person's picture in the scene [heights of the image]."""
_VISIBLE: Final = 0.35
"""A person of whom less can be seen is not looked for."""
_NEAR: Final = 0.35
"""A box belongs to the person whose middle is closer than this [sides of the picture]."""

Place = tuple[float, float] | None
"""Middle in the image, 0 to 1 both ways; None: not there."""
Seen = tuple[int, NDArray[np.uint8], dict[int, tuple[float, float, float]]]
"""Stamp [ns], JPEG, and of everybody who can be seen middle and side [pixels]."""
Path_ = Callable[[float], Place]


@dataclass
class Actor:
    """Somebody in a scene: how they look, and where they are at a time [s]; the last is in
    front."""

    picture: Callable[[float], NDArray[np.floating | np.uint8]]
    """(SIDE, SIDE, 3) at a time [s]."""
    place: Path_
    depth: float
    size: float
    phase: float


@dataclass
class Scene:
    """People, things in front of them (x, width), and how long it lasts [s]."""

    kind: str
    actors: list[Actor]
    seconds: float
    pillars: list[tuple[float, float]] = field(default_factory=list)


# --- who there is


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """One face of ExpW that looks about ahead."""

    picture: NDArray[np.uint8]
    """(SIDE, SIDE, 3) BGR."""
    label: str
    """What ExpW says it expresses."""
    mesh: NDArray[np.float32]
    """(468, 3) [pixels]."""
    yaw: float
    """[rad]"""


def photographs(data: Path, count: int) -> list[Photograph]:
    """So many faces, in an order of chance that is always the same."""
    found: list[Photograph] = []
    with tarfile.open(data / "expw_faces.tar") as archive:
        members = {one.name: one for one in archive if one.isfile()}
        table = next(name for name in members if name.endswith("labels.csv"))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile(members[table]))))
        np.random.default_rng(0).shuffle(rows)
        with closing(FaceAnalyzer(VisionConfig())) as analyzer:
            for row in rows:
                if float(row["box_size"]) < 100:
                    continue
                name = next(one for one in members if one.endswith("/" + row["file"]))
                raw = np.frombuffer(archive.extractfile(members[name]).read(), np.uint8)
                image = cv2.resize(
                    cv2.imdecode(raw, cv2.IMREAD_COLOR),
                    (SIDE, SIDE),
                    interpolation=cv2.INTER_CUBIC,
                )
                analyzer.reset()
                faces = analyzer.process(1, image).faces
                pose = faces[0].pose if len(faces) == 1 else None
                if pose is None or abs(pose.yaw) > math.radians(30) or faces[0].quality < 0.7:
                    continue
                mesh = faces[0].landmarks * np.float32(SIDE)
                found.append(Photograph(image, row["label"], mesh, pose.yaw))
                if len(found) == count:
                    break
    return found


def head_of_clip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) of an image of the clips: the heads of RAVDESS's actors are there."""
    square = image[40:600, 360:920]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def filmed(data: Path) -> list[NDArray[np.uint8]]:
    """The clips' actor, every other image."""
    found = []
    for path in sorted((data / "clips").glob("*.mp4")):
        clip = cv2.VideoCapture(str(path))
        number = 0
        while True:
            read, image = clip.read()
            if not read:
                break
            number += 1
            if number % 2:
                found.append(head_of_clip(image))
    return found


# --- where they go


def walk(*stops: tuple[float, float, float]) -> Path_:
    """Through (time, x, y), evenly in between; not there before the first or after the last."""
    times, xs, ys = (list(one) for one in zip(*stops, strict=True))

    def place(t: float) -> Place:
        if not times[0] <= t <= times[-1]:
            return None
        return float(np.interp(t, times, xs)), float(np.interp(t, times, ys))

    return place


def either(*parts: Path_) -> Path_:
    """Where one of them is."""
    return lambda t: next((found for part in parts if (found := part(t)) is not None), None)


def made(
    kind: str, people: Sequence[Sequence[NDArray[np.uint8]]], random: np.random.Generator
) -> Scene:
    """A scene of a kind."""

    def y() -> float:
        return float(random.uniform(0.42, 0.58))

    def actor(number: int, place: Path_) -> Actor:
        size = SIZE * float(random.uniform(0.85, 1.15))
        pictures = people[number]
        return Actor(
            lambda t: pictures[int(15 * t) % len(pictures)],
            place,
            float(random.random()),
            size,
            float(random.uniform(0, 9)),
        )

    left, right = float(random.uniform(0.15, 0.25)), float(random.uniform(0.75, 0.85))
    a, b = y(), y()
    lasts = float(random.uniform(2.0, 4.0))
    end = 4.0 + lasts
    if kind == "cross":
        paths = [
            walk((0, left, a), (2, left, a), (2 + lasts, right, a), (end, right, a)),
            walk((0, right, b), (2, right, b), (2 + lasts, left, b), (end, left, b)),
        ]
        return Scene(kind, [actor(i, path) for i, path in enumerate(paths)], end)
    if kind == "meet":
        half = 2 + lasts / 2
        near = float(random.uniform(0.02, 0.1))
        paths = [
            walk(
                (0, left, a),
                (2, left, a),
                (half, 0.5 - near, a),
                (2 + lasts, left, a),
                (end, left, a),
            ),
            walk(
                (0, right, b),
                (2, right, b),
                (half, 0.5 + near, b),
                (2 + lasts, right, b),
                (end, right, b),
            ),
        ]
        return Scene(kind, [actor(i, path) for i, path in enumerate(paths)], end)
    if kind == "hidden":
        # Both go behind a pillar, and come out on the other side, or on the one they came from.
        stay = float(random.uniform(0.5, 2.0))
        exits = (right, left) if random.random() < 0.5 else (left, right)
        out = 3.5 + stay
        paths = [
            walk(
                (0, start, at),
                (2, start, at),
                (3.5, 0.5, at),
                (out, 0.5, at),
                (out + 1.5, goal, at),
                (out + 3.5, goal, at),
            )
            for start, goal, at in ((left, exits[0], a), (right, exits[1], b))
        ]
        actors = [actor(i, path) for i, path in enumerate(paths)]
        return Scene(kind, actors, out + 3.5, [(0.5, 0.34)])
    if kind == "away":
        # One leaves, another one takes the place; then the first one is back.
        gone = float(random.uniform(2.0, 5.0))
        back = 4 + gone
        first = either(
            walk((0, left, a), (3, left, a), (4, -0.3, a)),
            walk((back, 1.3, b), (back + 1.5, 0.6, b), (back + 4, 0.6, b)),
        )
        second = walk((4.2, -0.3, a), (5.2, left, a), (back + 4, left, a))
        return Scene(kind, [actor(0, first), actor(1, second)], back + 4)
    assert kind == "four"
    seconds = 20.0
    actors = []
    for number in range(4):
        stops = [(0.0, 0.14 + 0.24 * number, y())]
        while stops[-1][0] < seconds:
            begin, x, at = stops[-1]
            rest, way = float(random.uniform(0.5, 3.0)), float(random.uniform(1.0, 3.0))
            stops += [
                (begin + rest, x, at),
                (begin + rest + way, float(random.uniform(0.1, 0.9)), y()),
            ]
        actors.append(actor(number, walk(*stops)))
    return Scene(kind, actors, seconds)


MODES: Final = ("none", "visit")
KINDS: Final = {"cross": 2, "meet": 2, "hidden": 2, "away": 2, "four": 4}
"""Kinds of scenes, and how many people are in them."""


# --- images


def _mask() -> NDArray[np.float32]:
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(
        mask, (SIDE // 2, SIDE // 2), (int(0.40 * SIDE), int(0.48 * SIDE)), 0, 0, 360, 1.0, -1
    )
    return cv2.GaussianBlur(mask, (0, 0), 3)


_MASK: Final = _mask()


def images(scene: Scene, rate_hz: float, random: np.random.Generator) -> Iterator[Seen]:
    """The images of a scene."""
    ground = cv2.resize(random.uniform(60, 170, (6, 8, 3)).astype(np.float32), (WIDTH, HEIGHT))
    order = sorted(range(len(scene.actors)), key=lambda one: scene.actors[one].depth)
    for step in range(int(scene.seconds * rate_hz)):
        t = step / rate_hz
        canvas = ground + random.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.float32)
        shares: dict[int, NDArray[np.float32]] = {}
        spots: dict[int, tuple[float, float, float]] = {}
        for number in order:
            actor = scene.actors[number]
            place = actor.place(t)
            if place is None:
                continue
            side = actor.size * HEIGHT * (1 + 0.05 * math.sin(0.9 * t + actor.phase))
            x, y = place[0] * WIDTH, place[1] * HEIGHT + 3 * math.sin(5 * t + actor.phase)
            angle = 7 * math.sin(0.7 * t + 2 * actor.phase)
            matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, side / SIDE)
            matrix[:, 2] += (x - SIDE / 2, y - SIDE / 2)
            picture = actor.picture(t).astype(np.float32)
            light = 1 + 0.2 * math.sin(0.5 * t + 3 * actor.phase)
            blur = 0.3 + 0.8 * abs(math.sin(0.8 * t + actor.phase))
            drawn = cv2.warpAffine(
                cv2.GaussianBlur(light * picture, (0, 0), blur), matrix, (WIDTH, HEIGHT)
            )
            alpha = cv2.warpAffine(_MASK, matrix, (WIDTH, HEIGHT))
            canvas = canvas * (1 - alpha[..., None]) + drawn * alpha[..., None]
            for other in shares:
                shares[other] = shares[other] * (1 - alpha)
            shares[number], spots[number] = alpha, (x, y, side)
        for x, width in scene.pillars:
            low, high = int((x - width / 2) * WIDTH), int((x + width / 2) * WIDTH)
            canvas[:, low:high] = 0.5 * ground[:, low:high] + 30
            for other in shares:
                shares[other][:, low:high] = 0
        whole = float(_MASK.sum()) / SIDE**2
        seen = {
            number: spots[number]
            for number, share in shares.items()
            if float(share.sum()) >= _VISIBLE * whole * spots[number][2] ** 2
        }
        _, packed = cv2.imencode(".jpg", np.clip(canvas, 0, 255).astype(np.uint8))
        yield round(1e9 * t) + 1, packed, seen


# --- what came out


@dataclass
class Count:
    """What was counted in some scenes."""

    people: int = 0
    there: int = 0
    found: int = 0
    switches: int = 0
    mistaken: int = 0
    """With the id of somebody else."""
    ids: int = 0
    right: int = 0
    """Faces with the id of their person, by the best match."""
    boxes: int = 0
    persons: Counter[str] = field(default_factory=Counter)
    spent_s: float = 0.0
    frames: int = 0

    def add(self, other: Count) -> None:
        """Count that too."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def matched(tracks: FrameTracks, seen: dict[int, tuple[float, float, float]]) -> dict[int, str]:
    """Face ids by person."""
    if not seen or not tracks.faces:
        return {}
    people, costs = list(seen), []
    for number in people:
        x, y, side = seen[number]
        costs.append(
            [
                math.hypot(
                    (f.box.x + f.box.width / 2) * WIDTH - x,
                    (f.box.y + f.box.height / 2) * HEIGHT - y,
                )
                / side
                for f in tracks.faces
            ]
        )
    rows, columns = linear_sum_assignment(costs)
    return {
        people[row]: tracks.faces[column].face_id
        for row, column in zip(rows, columns, strict=True)
        if costs[row][column] < _NEAR
    }


def run(people: int, seen_images: Sequence[Seen], identity: IdentityConfig) -> Count:
    """Follow the people of a scene."""
    count = Count(people=people)
    last: dict[int, str] = {}
    together: Counter[tuple[int, str]] = Counter()
    persons: Counter[tuple[int, str]] = Counter()
    who = Identity(identity)
    with closing(FaceAnalyzer(VisionConfig(), identity)) as analyzer:
        for stamp_ns, packed, seen in seen_images:
            image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
            began_s = time.process_time()
            tracks = analyzer.process(stamp_ns, image)
            who.see(tracks)
            count.spent_s += time.process_time() - began_s
            count.frames += 1
            count.there += len(seen)
            count.boxes += len(tracks.faces)
            for number, face_id in matched(tracks, seen).items():
                count.found += 1
                if number in last and last[number] != face_id:
                    count.switches += 1
                last[number] = face_id
                together[number, face_id] += 1
                persons[number, who.person_of(face_id)] += 1
    ids = sorted({face_id for _, face_id in together})
    count.ids = len(together)
    table = [[together[number, face_id] for face_id in ids] for number in range(count.people)]
    rows, columns = linear_sum_assignment(-np.array(table))
    count.right = int(np.array(table)[rows, columns].sum())
    belong = {ids[column]: row for row, column in zip(rows, columns, strict=True)}
    count.mistaken = sum(
        times
        for (number, face_id), times in together.items()
        if belong.get(face_id, number) != number
    )
    names = sorted({name for _, name in persons if name})
    if names:
        table = [[persons[number, name] for name in names] for number in range(count.people)]
        rows, columns = linear_sum_assignment(-np.array(table))
        right = int(np.array(table)[rows, columns].sum())
        unknown = sum(n for (_, name), n in persons.items() if not name)
        count.persons = Counter(
            right=right, unknown=unknown, wrong=count.found - right - unknown
        )
    return count


def show(scene: Scene, rate_hz: float, path: str) -> None:
    """Write the scene as a video."""
    out = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), rate_hz, (WIDTH, HEIGHT))
    for _, packed, _ in images(scene, rate_hz, np.random.default_rng(0)):
        out.write(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    out.release()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--rate", type=float, default=15.0)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--show", default="")
    given = parser.parse_args()
    stills = photographs(given.data, 120)
    film = filmed(given.data)
    told = f"{len(stills)} photographs, {len(film)} images of the actor, {given.rate:g} Hz"
    print(told)
    print(
        "| scenes | ids | faces | another's | switches | ids | IDF1 | ms an image | persons |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    totals: dict[str, Count] = defaultdict(Count)
    for kind in given.kinds:
        counts: dict[str, Count] = defaultdict(Count)
        for number in range(given.scenes):
            random = np.random.default_rng([number, list(KINDS).index(kind)])
            chosen = random.choice(len(stills), KINDS[kind], replace=False)
            people: list[Sequence[NDArray[np.uint8]]] = [
                [stills[one].picture] for one in chosen
            ]
            if number % 3 == 0:
                people[0] = film[int(random.integers(len(film) // 2)) :]
            scene = made(kind, people, random)
            if given.show and number == 0:
                show(scene, given.rate, given.show)
            seen = list(images(scene, given.rate, np.random.default_rng(number)))
            for mode in MODES:
                counts[mode].add(run(len(people), seen, IdentityConfig(mode=mode)))
        for mode, count in counts.items():
            totals[mode].add(count)
            _print(f"{given.scenes} {kind}", mode, count)
    for mode, count in totals.items():
        _print("**all**", mode, count)


def _print(name: str, mode: str, count: Count) -> None:
    idf1 = 2 * count.right / (count.there + count.boxes)
    kinds = ("right", "wrong", "unknown")
    persons = ", ".join(
        f"{100 * count.persons[key] / count.found:.0f} % {key}" for key in kinds
    )
    cells = (
        name,
        mode,
        f"{100 * count.found / count.there:.0f} %",
        f"{100 * count.mistaken / count.found:.1f} %",
        f"{count.switches}",
        f"{count.ids / count.people:.2f}",
        f"{100 * idf1:.0f} %",
        f"{1e3 * count.spent_s / count.frames:.1f}",
        persons if mode == "visit" else "",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
