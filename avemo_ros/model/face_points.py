"""68 points of a face (iBUG 300-W): their order, how a mesh gives them, what networks see.

Sagonas et al. 2013, "300 Faces in-the-Wild Challenge"; dlib's predictor has the same order:
0-16 jaw, 17-26 brows, 27-35 nose, 36-47 eyes, 48-67 mouth, from the left of the image to the
right.

Every frame is turned, scaled and shifted so that the eyes lie at one place; how the head itself
moves is kept beside the points.  PyTorch is not needed.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from avemo_ros.vision.face import LANDMARKS

POINTS: Final = 68
"""Points of a frame."""
HEAD: Final = 4
"""Values that tell where the head is: roll, x, y, logarithm of the scale."""
VALUES: Final = 2 * POINTS + HEAD
"""Values of a frame: x and y of each aligned point, then the head's."""
RATE_HZ: Final = 15.0
"""Frames a second of a sequence, whatever the camera gave."""
LEAST_FRAMES: Final = 15
"""Fewer frames of a sequence do not show how a face moves."""
LONGEST_S: Final = 20.0
"""Of a longer sequence the first part counts [s]."""

PRIOR_S: Final = 5.0
"""The mean face of everybody counts as much as this long of the person's own [s], when a
sequence is compared with how the person usually looks."""

MESH_WEIGHTS: Final = "mesh_points.safetensors"
"""File beside this module: how dlib's points differ from those of the mesh."""

_GAP_S: Final = 0.5
"""Frames farther apart than this have nothing between them [s]; 5 Hz is 0.2 s."""
_BLUR_S: Final = 1 / 15
"""A value is the mean over this long before and after its time [s]: what is faster would
depend on the camera's rate."""
_BLUR_STEPS: Final = 5
_EYES: Final = ((36, 39), (42, 45))
"""Corners of the eyes, left and right in the image: their middle stays in a blink."""
_SMALLEST: Final = 1e-6
"""Eyes that are nearer than this are no face [units of the points]."""


def _swapped() -> tuple[int, ...]:
    """For each point the one on the other side of the face."""
    pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)]
    pairs += [(31, 35), (32, 34)]
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
    order = list(range(POINTS))
    for first, second in pairs:
        order[first], order[second] = second, first
    return tuple(order)


MIRRORED: Final = _swapped()
"""The point of the mirror image that each point becomes."""

FROM_MESH: Final[tuple[tuple[int, ...], ...]] = (
    *((127,), (234,), (93,), (132, 58), (58, 172), (136,), (150,), (176,), (152,)),
    *((400,), (379,), (365,), (397, 288), (288, 361), (323,), (454,), (356,)),  # jaw
    *((70,), (63,), (105,), (66,), (107,)),  # brows
    *((336,), (296,), (334,), (293,), (300,)),
    *((168, 6), (197, 195), (5,), (4,)),  # bridge of the nose
    *((98,), (97,), (2,), (326,), (327,)),  # nostrils
    *((33,), (160,), (158,), (133,), (153,), (144,)),  # eyes
    *((362,), (385,), (387,), (263,), (373,), (380,)),
    *((61,), (39, 40), (37,), (0,), (267,), (269, 270)),  # outer edge of the lips
    *((291,), (321, 405), (314,), (17,), (84,), (91, 181)),
    *((78,), (81, 82), (13,), (311, 312), (308,), (317, 402), (14,), (87, 178)),  # inner edge
)
"""Of MediaPipe's mesh the points whose mean is each of the 68.

The usual correspondence, as in P. Yan 2024, "Mediapipe_2_Dlib_Landmarks"
(github.com/PeizhiYan/Mediapipe_2_Dlib_Landmarks), made the same for both sides.  Points of the
jaw are the nearest in a frontal face: those of the mesh stay with the skin, and those of the 68
follow the outline in the image."""


def points_of_mesh(mesh: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The 68 points of face meshes, where dlib's predictor would see them.

    The chosen points of the mesh are moved by a linear function of all of them, learned from
    photographs of faces (`tools/mesh_points.py`).

    Args:
        mesh: (n, 468, 2) pixels; NaN in a frame without a mesh.

    Returns:
        (n, 68, 2) pixels; NaN in a frame without a mesh.
    """
    chosen = chosen_of_mesh(mesh)
    shape, turn, size = _aligned(chosen.astype(np.float64))
    flat = shape.reshape(len(shape), -1)
    moved = (flat @ _correction()["weights"].T + _correction()["bias"]).reshape(shape.shape)
    x = moved[..., 0] * turn[:, :1] - moved[..., 1] * turn[:, 1:]
    y = moved[..., 0] * turn[:, 1:] + moved[..., 1] * turn[:, :1]
    points = chosen + size[:, None, None] * np.stack((x, y), axis=2)
    return np.asarray(points, np.float32)


@cache
def _correction() -> dict[str, NDArray[np.float64]]:
    stored = load((files(__package__) / MESH_WEIGHTS).read_bytes())
    return {name: values.astype(np.float64) for name, values in stored.items()}


def chosen_of_mesh(mesh: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """As `points_of_mesh`, but the points of the mesh itself (`FROM_MESH`)."""
    values = np.asarray(mesh, np.float32)
    first = [one[0] for one in FROM_MESH]
    last = [one[-1] for one in FROM_MESH]
    return np.asarray((values[:, first] + values[:, last]) / 2, np.float32)


def mesh_of_points(points: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Face meshes of which `points_of_mesh` makes these points; no other point of them means
    anything.

    For recordings of which only the 68 points are known, so that they reach the network as
    those of a camera do.

    Args:
        points: (n, 68, 2) pixels.

    Returns:
        (n, 468, 2) pixels; the points that are not needed lie between the eyes.  NaN in a
        frame whose eyes are at one place.
    """
    given = np.asarray(points, np.float64)
    shape, turn, size = _aligned(given)
    flat = shape.reshape(len(shape), -1) - _correction()["bias"]
    matrix = np.eye(2 * POINTS) + _correction()["weights"]
    found = np.linalg.solve(matrix, flat.T).T.reshape(shape.shape)
    # The correction hardly moves the eyes: turn and size of the points are those of the mesh.
    x = found[..., 0] * turn[:, :1] - found[..., 1] * turn[:, 1:]
    y = found[..., 0] * turn[:, 1:] + found[..., 1] * turn[:, :1]
    middle = given[:, [corner for pair in _EYES for corner in pair]].mean(axis=1)
    chosen = middle[:, None] + size[:, None, None] * np.stack((x, y), axis=2)
    mesh = np.repeat(middle[:, None], LANDMARKS, axis=1)
    pairs = [(point, one) for point, one in enumerate(FROM_MESH) if len(one) == 2]
    shared = Counter(index for _, one in pairs for index in one)
    for point, one in enumerate(FROM_MESH):
        if len(one) == 1:
            mesh[:, one[0]] = chosen[:, point]
    for index in (index for index, count in shared.items() if count > 1):
        mesh[:, index] = chosen[:, [point for point, one in pairs if index in one]].mean(axis=1)
    for point, (first, last) in pairs:
        if shared[first] > 1:
            mesh[:, last] = 2 * chosen[:, point] - mesh[:, first]
        elif shared[last] > 1:
            mesh[:, first] = 2 * chosen[:, point] - mesh[:, last]
        else:
            mesh[:, first] = mesh[:, last] = chosen[:, point]
    return np.asarray(mesh, np.float32)


def _aligned(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 68, 2) with level eyes at one place; cosine and sine of the roll (n, 2); the
    distance of the eyes (n,), NaN where they are at one place."""
    left, right = (points[:, corners].mean(axis=1) for corners in _EYES)
    middle, line = (left + right) / 2, right - left
    size = np.hypot(line[:, 0], line[:, 1])
    size = np.where(size > _SMALLEST, size, np.nan)
    turn = line / size[:, None]
    apart = (points - middle[:, None]) / size[:, None, None]
    x = (apart * turn[:, None]).sum(axis=2)
    y = apart[..., 1] * turn[:, :1] - apart[..., 0] * turn[:, 1:]
    return np.stack((x, y), axis=2), turn, size


def normalise_points(points: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Points of one person over time, without the place, size and tilt of the head.

    Each frame is turned so that the line of the eyes is level, scaled to a distance of the eyes
    of 1, and shifted so that their middle is the origin.

    Args:
        points: (n, 68, 2) x to the right and y downwards, in any unit; NaN in a frame without
            a face.

    Returns:
        (n, VALUES): x and y of the points [distances of the eyes]; roll of the head [rad,
        clockwise]; x and y of the eyes' middle, less their median over the frames [median
        distances of the eyes]; logarithm of the distance of the eyes over its median.  NaN in a
        frame without a face, or whose eyes are at one place.
    """
    given = np.asarray(points, np.float64)
    shape, turn, size = _aligned(given)
    there = np.isfinite(size) & np.isfinite(given).all(axis=(1, 2))
    result = np.full((len(given), VALUES), np.nan, np.float32)
    if not there.any():
        return result
    middle = given[there][:, [corner for pair in _EYES for corner in pair]].mean(axis=1)
    usual = np.median(size[there])
    place = middle / usual
    result[there, : 2 * POINTS] = shape[there].reshape(int(there.sum()), -1)
    result[there, 2 * POINTS] = np.arctan2(turn[there, 1], turn[there, 0])
    result[there, 2 * POINTS + 1 : -1] = place - np.median(place, axis=0)
    result[there, -1] = np.log(size[there] / usual)
    return result


def newest_frames(
    points: NDArray[np.floating[Any]], times_s: NDArray[np.floating[Any]]
) -> NDArray[np.float32] | None:
    """What a network reads of the newest movement: the frames after the last gap.

    Args:
        points: (n, 68, 2) of one person, as for `normalise_points`.
        times_s: (n,) time of each, ascending [s].

    Returns:
        (m, VALUES) at RATE_HZ; None with fewer than LEAST_FRAMES.
    """
    values, there = resample(normalise_points(points), times_s)
    gaps = np.flatnonzero(~there)
    newest = values[gaps[-1] + 1 :] if len(gaps) else values
    return newest if len(newest) >= LEAST_FRAMES else None


def resample(
    values: NDArray[np.float32], times_s: NDArray[np.floating[Any]], rate_hz: float = RATE_HZ
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Frames at even times, so that the camera's rate hardly matters.

    Args:
        values: (n, D) one row a frame; a row with a NaN is no frame.
        times_s: (n,) time of each, ascending [s].
        rate_hz: of the result.

    Returns:
        (m, D) from the first frame to the last, at least 1 and at most LONGEST_S; zeros where
        frames are more than 0.5 s apart; and (m,) bool, True where a frame is there.  (0, D)
        without any frame.
    """
    known = np.isfinite(values).all(axis=1)
    frames = np.asarray(values[known], np.float64)
    times = np.asarray(times_s, np.float64)[known]
    if len(frames) == 0:
        return np.zeros((0, values.shape[1]), np.float32), np.zeros(0, bool)
    length = min(times[-1] - times[0], LONGEST_S)
    wanted = times[0] + np.arange(int(length * rate_hz + 1e-3) + 1) / rate_hz
    result = _weights(times, wanted) @ frames
    after = np.searchsorted(times, wanted - 1e-9).clip(0, len(times) - 1)
    before = (np.searchsorted(times, wanted + 1e-9, side="right") - 1).clip(0)
    there = times[after] - times[before] <= _GAP_S
    result[~there] = 0
    return result.astype(np.float32), there


def _weights(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, n) how much each frame counts at each of other times: linear between the frames,
    averaged over `_BLUR_S` to both sides."""
    result = np.zeros((len(wanted), len(times)))
    if len(times) == 1:
        result[:] = 1
        return result
    around = np.linspace(-_BLUR_S, _BLUR_S, _BLUR_STEPS)
    places = wanted[:, None] + around
    after = np.searchsorted(times, places).clip(1, len(times) - 1)
    span = np.maximum(times[after] - times[after - 1], 1e-9)
    share = ((places - times[after - 1]) / span).clip(0, 1) / _BLUR_STEPS
    rows = np.broadcast_to(np.arange(len(wanted))[:, None], after.shape)
    np.add.at(result, (rows, after - 1), 1 / _BLUR_STEPS - share)
    np.add.at(result, (rows, after), share)
    return result
