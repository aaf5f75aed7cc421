"""Makes the sample clip of the demo, test/data/sample.mp4: a face that feels and speaks.

A public-domain portrait (scikit-image's `astronaut`, a NASA photograph) is warped triangle by
triangle through a few expressions while its mouth follows the loudness of espeak-ng speech.
The clip is marked as synthetic in the image and in its metadata.

Needs, beside the package's own requirements:
    pip install scikit-image        (its wheel holds the portrait)
    apt install espeak-ng

Run from the repository's root (about a minute); with the same versions of these the clip
comes out the same, byte for byte:
    python tools/make_sample.py
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import resample_poly
from scipy.spatial import Delaunay

from avemo_ros.config import VisionConfig
from avemo_ros.vision.analyzer import FaceAnalyzer

Points = NDArray[np.float64]
Image = NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 640, 480, 30
SECONDS = 10.0
RATE = 48_000
OVERSAMPLING = 2
"""Frames are warped at this multiple of their size and averaged down: smooth edges."""
CROP = (66.0, 14.0, 320.0, 240.0)
"""x, y, width, height of the part of the portrait that fills the image [its pixels]."""

# Inner lips from the left to the right corner (MediaPipe face mesh), in pairs.
UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LOWER_LIP = (
    *LOWER[1:-1],
    96, 89, 179, 86, 15, 316, 403, 319, 325,
    77, 90, 180, 85, 16, 315, 404, 320, 307,
    146, 91, 181, 84, 17, 314, 405, 321, 375,
)  # fmt: skip
# Upper lids row by row from the lashes up, and how much of the lashes' way each row goes.
LEFT_LID = (
    (246, 161, 160, 159, 158, 157, 173),
    (247, 30, 29, 27, 28, 56, 190),
    (113, 225, 224, 223, 222, 221, 189),
)
RIGHT_LID = (
    (466, 388, 387, 386, 385, 384, 398),
    (467, 260, 259, 257, 258, 286, 414),
    (342, 445, 444, 443, 442, 441, 413),
)
LID_ROWS = (1.0, 0.8, 0.35)
LEFT_LOWER_LID = (7, 163, 144, 145, 153, 154, 155)
RIGHT_LOWER_LID = (249, 390, 373, 374, 380, 381, 382)
CORNERS = (61, 291)
EYE_CORNERS = (33, 263)
BROWS = (
    (70, 63, 105, 66, 107, 46, 53, 52, 65, 55),
    (300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
)
FOLDS = ((203, 206, 216, 212), (423, 426, 436, 432))
"""From beside the nose past the corners of the mouth."""
INNER_BROWS = ((107, 55), (336, 285))


@dataclass(frozen=True)
class Expression:
    """How far the portrait is pulled; lengths in distances between the outer eye corners."""

    smile: float = 0.0
    """1: the portrait's own smile; 0: corners of the mouth at rest; negative: drawn down."""
    gap: float = 0.0
    """Opening between the inner lips."""
    brows: float = 0.0
    """Brows up (negative: down)."""
    frown: float = 0.0
    """Inner ends of the brows down and together."""
    lids: float = 0.0
    """Upper lids up, as a share of the eye's opening; -1 is a shut eye."""

    def toward(self, other: Expression, share: float) -> Expression:
        """The expression this share of the way to the other."""
        mine, theirs = self.__dict__, other.__dict__
        return Expression(**{k: mine[k] + share * (theirs[k] - mine[k]) for k in mine})


NEUTRAL = Expression(smile=-0.78, lids=-0.08)
HAPPY = Expression(smile=1.25, gap=0.09, brows=0.02, lids=-0.15)
SURPRISED = Expression(smile=-0.6, gap=0.23, brows=0.15, lids=0.42)

SCORE: tuple[tuple[float, Expression], ...] = (
    (0.0, NEUTRAL),
    (1.7, NEUTRAL),
    (2.1, HAPPY),
    (4.85, HAPPY),
    (5.1, SURPRISED),
    (8.0, SURPRISED),
    (8.5, NEUTRAL),
    (SECONDS, NEUTRAL),
)
"""Expressions over time [s]."""
BLINKS = (0.9, 3.6, 4.95, 8.4)
"""Times at which the eyes are shut [s]."""
SPEECH: tuple[tuple[float, str, tuple[str, ...]], ...] = (
    (2.0, "Hello! It is so good to see you here today!", ("-s", "165", "-p", "62")),
    (5.6, "Oh! I did not expect that at all!", ("-s", "160", "-p", "72")),
)
"""When what is said, with espeak-ng's speed and pitch."""


def main() -> int:
    """Writes the clip; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the demo's synthetic sample clip.")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=Path, default=root / "test" / "data" / "sample.mp4")
    args = parser.parse_args()
    try:
        from skimage import data
    except ImportError:
        print("make_sample: scikit-image is needed: pip install scikit-image", file=sys.stderr)
        return 2
    if shutil.which("espeak-ng") is None:
        print("make_sample: espeak-ng is needed: apt install espeak-ng", file=sys.stderr)
        return 2
    portrait = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    sound = speech()
    puppet = Puppet(enlarged(portrait))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    loud = loudness(sound)
    write(args.out, lambda i: marked(puppet.frame(*pose(i / FPS, loud))), sound)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")
    return 0


def enlarged(portrait: Image) -> Image:
    """The part of the portrait that is shown, at the size in which it is warped."""
    x, y, width, _ = CROP
    scale = WIDTH * OVERSAMPLING / width
    matrix = np.array([[scale, 0.0, -x * scale], [0.0, scale, -y * scale]])
    size = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING)
    large = cv2.warpAffine(portrait, matrix, size, flags=cv2.INTER_LANCZOS4)
    return np.asarray(large, np.uint8)


def speech() -> NDArray[np.float32]:
    """The clip's sound, (samples,) at 48 kHz, full scale -1 to 1."""
    sound = np.zeros(round(SECONDS * RATE), np.float64)
    for start, text, voice in SPEECH:
        made = subprocess.run(
            ["espeak-ng", "-v", "en-us", *voice, "--stdout", text],
            stdout=subprocess.PIPE,
            check=True,
        )
        with wave.open(io.BytesIO(made.stdout)) as file:
            rate = file.getframerate()
            # A header written to a pipe does not know the length: ask for more than there is.
            raw = np.frombuffer(file.readframes(60 * rate), "<i2") / 32768.0
        said = resample_poly(raw, RATE // 75, rate // 75)
        first = round(start * RATE)
        if first + len(said) > len(sound):
            raise RuntimeError(f"{text!r} ends after the clip")
        sound[first : first + len(said)] += 0.7 * said / np.abs(said).max()
    return sound.astype(np.float32)


def loudness(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """How loud each frame is, (frames,) 0 to 1, smoothed to what lips can follow."""
    blocks = sound.reshape(-1, RATE // FPS).astype(np.float64)
    level = gaussian_filter1d(np.sqrt((blocks**2).mean(axis=1)), 0.6)
    return np.asarray(np.clip(level / np.quantile(level, 0.96) * 1.15 - 0.15, 0, 1))


def pose(t: float, loud: NDArray[np.float64]) -> tuple[Expression, float, float, float]:
    """Expression, sway (x, y; pixels of the image) and roll [rad] at a time [s]."""
    after = next(i for i, (at, _) in enumerate(SCORE) if t < at)
    (t0, one), (t1, two) = SCORE[after - 1], SCORE[after]
    share = (t - t0) / (t1 - t0)
    now = one.toward(two, share * share * (3 - 2 * share))
    shut = max(np.exp(-(((t - blink) / 0.055) ** 2)) for blink in BLINKS)
    frame = round(t * FPS)
    said = loud[frame]
    # Who talks closes the lips between the syllables, whatever the expression.
    talking = min(1.0, 4.0 * float(gaussian_filter1d(loud, 4.0)[frame]))
    now = Expression(
        smile=now.smile - 0.15 * said,
        gap=now.gap * (1 - 0.7 * talking) + 0.02 * talking + 0.16 * said,
        brows=now.brows + 0.015 * said,
        frown=now.frown,
        lids=now.lids * (1 - shut) - shut,
    )
    sway_x = 5.0 * np.sin(2 * np.pi * t / 4.1) + 1.5 * np.sin(2 * np.pi * t / 1.7)
    sway_y = 2.0 * np.sin(2 * np.pi * t / 3.1 + 1.0) + 2.0 * said
    return now, float(sway_x), float(sway_y), float(0.025 * np.sin(2 * np.pi * t / 5.3 + 0.5))


class Puppet:
    """A portrait whose face can be pulled.

    The vertices are the face mesh and a coarse grid around it; their triangles stay the same,
    so a frame is one table lookup: which triangle a pixel lies in, and where that triangle
    came from.
    """

    def __init__(self, portrait: Image) -> None:
        self._portrait = portrait
        self._mesh = face_mesh(portrait)
        left, right = self._mesh[list(EYE_CORNERS)]
        self._unit = float(np.linalg.norm(left - right))
        self._calm = self._without_folds()
        self._points = np.concatenate((self._mesh, surroundings(self._mesh, portrait.shape)))
        self._triangles = self._drawing_order(Delaunay(self._points).simplices)
        source = self._points[self._triangles].astype(np.float64)
        self._source = np.concatenate((source, np.ones((*source.shape[:2], 1))), axis=2)

    def _without_folds(self) -> Image:
        """The portrait without the folds and shadows that its smile throws on the cheeks."""
        unit, mesh = self._unit, self._mesh
        shape = self._portrait.shape[:2]
        corners = np.zeros(shape, np.uint8)
        for lips, corner in zip((UPPER[0], UPPER[-1]), CORNERS, strict=True):
            middle = (mesh[lips] + mesh[corner]) / 2
            size = (round(0.085 * unit), round(0.05 * unit))
            cv2.ellipse(corners, middle.astype(int).tolist(), size, 0, 0, 360, 255, -1)
        painted = cv2.inpaint(self._portrait, corners, 5, cv2.INPAINT_TELEA)
        soft = cv2.GaussianBlur(corners, (0, 0), 2.0)[..., None] / 255.0
        calm = painted * soft + self._portrait * (1 - soft)
        # Light and shade of the cheek are evened out; the grain of the skin is kept.
        broad = cv2.GaussianBlur(calm, (0, 0), 0.11 * unit)
        fine = calm - cv2.GaussianBlur(calm, (0, 0), 0.015 * unit)
        folds = np.zeros(shape, np.uint8)
        for fold in FOLDS:
            line = mesh[list(fold)].astype(np.int32)
            cv2.polylines(folds, [line], False, 255, round(0.085 * unit))
        weight = cv2.GaussianBlur(folds, (0, 0), 0.025 * unit)[..., None] / 255.0
        mixed = calm * (1 - weight) + (broad + fine) * weight
        return np.asarray(np.clip(mixed, 0, 255), np.uint8)

    def _drawing_order(self, triangles: NDArray[np.int32]) -> NDArray[np.int32]:
        """Triangles without the mouth's inside; those of the lower lip last, over the teeth."""
        inside = np.concatenate((self._mesh[list(UPPER)], self._mesh[list(LOWER[-2:0:-1])]))
        contour = inside.astype(np.float32)
        centres = self._points[triangles].mean(axis=1)
        outside = np.array(
            [cv2.pointPolygonTest(contour, (float(x), float(y)), False) < 0 for x, y in centres]
        )
        lower = np.isin(triangles, LOWER_LIP).any(axis=1)
        return np.concatenate((triangles[outside & ~lower], triangles[outside & lower]))

    def frame(self, face: Expression, sway_x: float, sway_y: float, roll: float) -> Image:
        """The portrait with this expression and head position, (480, 640, 3) BGR."""
        target = self._pulled(face)
        teeth = self._teeth(target, float(np.clip(0.15 + 0.75 * face.smile, 0.15, 0.9)))
        moved = self._swayed(np.concatenate((target, teeth[1])), sway_x, sway_y, roll)
        target, bottom = moved[: len(target)], moved[len(target) :]

        triangles = target[self._triangles]
        quads_to = strip(target[list(UPPER)], bottom)
        quads_from = strip(teeth[0][0], teeth[0][1])
        to = np.concatenate((quads_to, triangles))
        origin = np.concatenate((as_homogeneous(quads_from), self._source))
        height, width = self._portrait.shape[:2]
        which = np.full((height, width), -1, np.int32)
        inside = np.concatenate((target[list(UPPER)], target[list(LOWER[::-1])]))
        order = [*range(len(quads_to), len(to))]
        lower = np.isin(self._triangles, LOWER_LIP).any(axis=1).sum()
        for index in order[: len(order) - int(lower)]:
            fill(which, to[index], index)
        fill(which, inside, -2)
        for index in range(len(quads_to)):
            fill(which, to[index], index)
        for index in order[len(order) - int(lower) :]:
            fill(which, to[index], index)
        image = self._looked_up(which, to, origin, float(np.clip(face.smile, 0, 1)))
        mouth = cv2.GaussianBlur((which == -2).astype(np.float32), (0, 0), 1.5)[..., None]
        dark = np.array([38.0, 26.0, 62.0], np.float32)
        image = (image * (1 - mouth) + dark * mouth).astype(np.float32)
        size = (WIDTH, HEIGHT)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _looked_up(
        self, which: NDArray[np.int32], to: Points, origin: Points, smile: float
    ) -> NDArray[np.float32]:
        """Each pixel from where its triangle was in the portrait."""
        square = as_homogeneous(to)
        # A shut eye or mouth leaves triangles without area: they cover no pixel, so any
        # regular matrix will do for them.
        square[np.abs(np.linalg.det(square)) < 1e-6] = np.eye(3)
        solved = np.linalg.solve(square, origin)[:, :, :2].astype(np.float32)
        rows, columns = np.indices(which.shape, dtype=np.float32)
        chosen = solved[np.maximum(which, 0)]
        at = (
            columns[..., None] * chosen[:, :, 0]
            + rows[..., None] * chosen[:, :, 1]
            + chosen[:, :, 2]
        )
        nowhere = which < 0
        at[nowhere] = np.stack((columns, rows), axis=2)[nowhere]
        texture = cv2.addWeighted(self._portrait, smile, self._calm, 1 - smile, 0)
        looked = cv2.remap(
            texture, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(looked, np.float32)

    def _pulled(self, face: Expression) -> Points:
        """Every vertex where this expression puts it."""
        unit, mesh = self._unit, self._mesh
        moved = self._points.copy()
        calm = 1.0 - face.smile
        left, right = mesh[CORNERS[0]], mesh[CORNERS[1]]
        for corner, side in ((left, 1.0), (right, -1.0)):
            pull = bump(self._points, corner, 0.30 * unit, 0.24 * unit)
            moved[:, 0] += side * 0.085 * unit * calm * pull
            moved[:, 1] += 0.055 * unit * calm * pull
        # The lips meet half way when a smile relaxes, so the upper one comes down a little.
        middle = (mesh[13] + mesh[14]) / 2
        upper = bump(self._points, mesh[0], 0.28 * unit, 0.10 * unit)
        moved[:, 1] += 0.035 * unit * min(calm, 1.2) * upper

        gap = self._lip_gap(face.gap, moved)
        across = self._points[:, 0]
        reach = np.interp(across, across[list(LOWER)], gap, left=0.0, right=0.0)
        beside = np.maximum(np.abs(across - middle[0]) - 0.1 * unit, 0)
        aside = np.exp(-((beside / (0.22 * unit)) ** 2))
        chin = mesh[152]
        below = self._points[:, 1] - middle[1]
        depth = chin[1] - middle[1]
        jaw = np.interp(below / depth, (0, 0.3, 1, 1.9), (0.9, 0.9, 0.75, 0))
        drop = np.where(below > 0, jaw, 0) * aside * gap[len(gap) // 2]
        drop[list(LOWER_LIP)] = reach[list(LOWER_LIP)]
        moved[:, 1] += drop

        for brow, inner, side in zip(BROWS, INNER_BROWS, (1.0, -1.0), strict=True):
            centre = mesh[list(brow)].mean(axis=0)
            lift = bump(self._points, centre, 0.30 * unit, 0.13 * unit)
            moved[:, 1] -= face.brows * unit * lift
            knit = bump(self._points, mesh[list(inner)].mean(axis=0), 0.13 * unit, 0.12 * unit)
            moved[:, 1] += face.frown * unit * knit
            moved[:, 0] += side * 0.6 * face.frown * unit * knit
        for rows, under in ((LEFT_LID, LEFT_LOWER_LID), (RIGHT_LID, RIGHT_LOWER_LID)):
            opening = mesh[list(under), 1] - mesh[list(rows[0]), 1]
            # Brows must not drag the lids along: their place is the portrait's, then the lid's.
            moved[list(under)] = mesh[list(under)]
            for row, share in zip(rows, LID_ROWS, strict=True):
                moved[list(row)] = share * mesh[list(row)] + (1 - share) * moved[list(row)]
                moved[list(row), 1] -= share * face.lids * opening
        return moved

    def _lip_gap(self, gap: float, moved: Points) -> NDArray[np.float64]:
        """How far each point of the inner lower lip must go down for this opening."""
        profile = self._mesh[list(LOWER), 1] - self._mesh[list(UPPER), 1]
        shape = np.sin(np.linspace(0, np.pi, len(LOWER))) ** 0.7
        wanted = moved[list(UPPER), 1] + gap * self._unit * shape
        down = wanted - moved[list(LOWER), 1]
        down[[0, -1]] = 0.0
        return np.asarray(down if profile.max() > 0 else 0 * down)

    def _teeth(self, target: Points, shown: float) -> tuple[tuple[Points, Points], Points]:
        """Upper teeth: between which rows of the portrait, and their lower edge now."""
        upper, lower = self._mesh[list(UPPER)], self._mesh[list(LOWER)]
        part = shown * (lower - upper)
        return (lower - part, lower), target[list(UPPER)] + part

    def _swayed(self, points: Points, x: float, y: float, roll: float) -> Points:
        """Head and hair move, shoulders and the image's edge stay."""
        chin, centre = self._mesh[152], self._mesh.mean(axis=0)
        height, width = self._portrait.shape[:2]
        neck = (points[:, 1] - chin[1]) / self._unit
        weight = np.interp(neck, (0.2, 1.1), (1, 0))
        far = np.abs(points[:, 0] - centre[0]) / self._unit
        weight = weight * np.interp(far, (1.3, 2.6), (1, 0))
        edge = np.minimum.reduce(
            [points[:, 0], width - points[:, 0], points[:, 1], height - points[:, 1]]
        )
        weight = weight * np.clip(edge / (0.2 * self._unit), 0, 1)
        c, s = np.cos(roll), np.sin(roll)
        turned = (points - chin) @ np.array([[c, s], [-s, c]]) + chin
        shifted = turned + OVERSAMPLING * np.array([x, y])
        return np.asarray(points + weight[:, None] * (shifted - points))


def face_mesh(portrait: Image) -> Points:
    """MediaPipe's 468 points in the portrait, (468, 2) pixels."""
    height, width = portrait.shape[:2]
    faces = FaceAnalyzer(VisionConfig(max_faces=1)).process(0, portrait).faces
    if not faces or faces[0].landmarks is None:
        raise RuntimeError("no face was found in the portrait")
    points = faces[0].landmarks[:, :2].astype(np.float64) * (width, height)
    # Whole 16ths: the last bits of the network's sums must not reach the clip.
    return np.asarray(np.round(points * 16) / 16)


def surroundings(mesh: Points, shape: tuple[int, ...]) -> Points:
    """A grid over the whole image, (n, 2), left out where the face is."""
    height, width = shape[:2]
    step = 40
    xs = np.linspace(0, width - 1, width // step + 1)
    ys = np.linspace(0, height - 1, height // step + 1)
    grid = np.stack(np.meshgrid(xs, ys), axis=2).reshape(-1, 2)
    hull = cv2.convexHull(mesh.astype(np.float32))
    away = np.array(
        [cv2.pointPolygonTest(hull, (float(x), float(y)), True) < -step / 2 for x, y in grid]
    )
    return np.asarray(grid[away])


def bump(points: Points, centre: Points, across: float, down: float) -> NDArray[np.float64]:
    """Weight 1 at the centre, falling to 0 over these lengths."""
    away = (points - centre) / np.array([across, down])
    return np.asarray(np.exp(-(away**2).sum(axis=1)))


def strip(upper: Points, lower: Points) -> Points:
    """Two rows of points as triangles, (2 * (n - 1), 3, 2)."""
    pairs = range(len(upper) - 1)
    return np.array(
        [
            triangle
            for i in pairs
            for triangle in (
                (upper[i], upper[i + 1], lower[i]),
                (upper[i + 1], lower[i + 1], lower[i]),
            )
        ]
    )


def as_homogeneous(triangles: Points) -> Points:
    """Corners with a one appended, (n, 3, 3)."""
    return np.concatenate((triangles, np.ones((*triangles.shape[:2], 1))), axis=2)


def fill(which: NDArray[np.int32], polygon: Points, index: int) -> None:
    """Writes an index into the pixels of a polygon, to an eighth of a pixel."""
    corners = np.round(polygon * 8).astype(np.int32)
    if len(corners) == 3:
        cv2.fillConvexPoly(which, corners, index, shift=3)
    else:
        cv2.fillPoly(which, [corners], index, shift=3)


def marked(frame: Image) -> Image:
    """The frame with a small word in the corner that says what it is."""
    place, font = (8, HEIGHT - 10), cv2.FONT_HERSHEY_SIMPLEX
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(frame, "synthetic", place, font, 0.45, colour, thick, cv2.LINE_AA)
    return frame


def write(out: Path, frame: Callable[[int], Image], sound: NDArray[np.float32]) -> None:
    """H.264 and AAC in one MP4, the same bytes every time."""
    form = {"fflags": "bitexact", "movflags": "faststart"}
    with av.open(str(out), "w", options=form) as file:
        file.metadata["title"] = "avemo_ros sample (synthetic)"
        file.metadata["comment"] = (
            "Synthetic: public-domain NASA portrait, animated; speech by espeak-ng. "
            "It shows no feelings of the person portrayed."
        )
        # One thread: with more, the encoder's choices depend on how many there are.
        options = {"crf": "20", "preset": "slow", "threads": "1"}
        video = file.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count = 1
        audio = file.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 64_000
        per_frame = RATE // FPS
        for i in range(round(SECONDS * FPS)):
            image = av.VideoFrame.from_ndarray(frame(i), format="bgr24")
            image.pts, image.time_base = i, Fraction(1, FPS)
            file.mux(video.encode(image))
            heard = sound[i * per_frame : (i + 1) * per_frame][None]
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(heard), "fltp", "mono")
            block.sample_rate, block.time_base = RATE, Fraction(1, RATE)
            block.pts = i * per_frame
            file.mux(audio.encode(block))
        file.mux(video.encode(None))
        file.mux(audio.encode(None))


if __name__ == "__main__":
    sys.exit(main())
