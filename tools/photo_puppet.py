"""A photograph of a face whose head turns and whose mouth opens.

The 468 points of the face's mesh, with their depths, are turned about the head's axis, and
those of the lower lip and the jaw are moved down; the pixels follow.  What an open mouth shows
is dark.  Nothing else of the face moves, so its expression stays that of the photograph.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import ConvexHull, Delaunay

UPPER_LIP: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""Inner edges of the lips, from corner to corner."""
_RIGHT_EYE, _LEFT_EYE = (33, 133), (263, 362)
_TURNS: Final = np.radians(np.arange(-36.0, 37.0, 9.0))
_OPENINGS: Final = np.linspace(0.0, 0.6, 7)
_JAW: Final = 0.85
"""By so much of the lower lip's way the chin moves."""
_INSIDE: Final = (28.0, 22.0, 44.0)
"""Colour between open lips, BGR."""

Points = NDArray[np.float32]


class PhotoPuppet:
    """One person's photograph.

    Args:
        picture: (side, side, 3) BGR.
        points: (468, 3) of its mesh [pixels].
    """

    def __init__(self, picture: NDArray[np.uint8], points: Points) -> None:
        self._picture = picture.astype(np.float32)
        side = len(picture)
        corners = [points[list(eye), :2].mean(axis=0) for eye in (_RIGHT_EYE, _LEFT_EYE)]
        self._eyes = float(np.linalg.norm(corners[1] - corners[0]))
        self._points = points
        ring = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        rim = side / 2 + 0.56 * side * np.stack((np.cos(ring), np.sin(ring)), axis=1)
        edge = np.array([(x, y) for x in (0, side - 1) for y in (0, side - 1)], np.float64)
        self._fixed = np.concatenate((rim, edge))
        self.resting = self._gap(points)
        """How far the photograph's mouth is open [distances of the eyes]."""
        self._triangles = Delaunay(points[:, :2]).simplices
        ys, xs = np.mgrid[:side, :side].astype(np.float64)
        self._grid = np.stack((xs, ys), axis=-1)
        self._maps = {
            (turn, opening): self._map(self._moved(float(angle), float(more)))
            for turn, angle in enumerate(_TURNS)
            for opening, more in enumerate(_OPENINGS)
        }

    def show(self, yaw: float, opening: float) -> NDArray[np.float32]:
        """(side, side, 3) BGR.

        Args:
            yaw: of the head against the photograph's, positive to the right of the image [rad].
            opening: gap of the lips [distances of the eyes]; no less than `resting` is shown.
        """
        more = max(0.0, opening - self.resting)
        turn, a = _place(_TURNS, yaw)
        wide, b = _place(_OPENINGS, more)
        where = sum(
            share * self._maps[turn + i, wide + j]
            for i, j, share in (
                (0, 0, (1 - a) * (1 - b)),
                (1, 0, a * (1 - b)),
                (0, 1, (1 - a) * b),
                (1, 1, a * b),
            )
        )
        shown = cv2.remap(self._picture, np.asarray(where, np.float32), None, cv2.INTER_LINEAR)
        if more > 0.02:
            moved = self._moved(yaw, more)
            lips = np.concatenate((moved[list(UPPER_LIP)], moved[list(LOWER_LIP[-2:0:-1])]))
            inside = np.zeros(shown.shape[:2], np.float32)
            cv2.fillPoly(
                inside, [np.round(16 * lips[:, :2]).astype(np.int32)], 1.0, cv2.LINE_AA, 4
            )
            inside = cv2.GaussianBlur(inside, (0, 0), 0.7)[..., None] * min(1.0, more / 0.06)
            shown = shown * (1 - inside) + np.array(_INSIDE, np.float32) * inside
        return np.asarray(shown, np.float32)

    def _gap(self, points: Points) -> float:
        gap = np.linalg.norm(points[LOWER_LIP[5]] - points[UPPER_LIP[5]])
        return float(gap) / self._eyes

    def _moved(self, yaw: float, more: float) -> NDArray[np.float64]:
        """(468, 3) points of the head turned, and the mouth opened by so much more."""
        points = self._points.astype(np.float64)
        upper, lower = points[list(UPPER_LIP)], points[list(LOWER_LIP)]
        middle = (upper[0] + upper[-1]) / 2
        half = float(np.linalg.norm(upper[-1] - upper[0])) / 2
        across = (points[:, 0] - middle[0]) / half
        seam = np.interp(points[:, 0], upper[:, 0], (upper[:, 1] + lower[:, 1]) / 2)
        share = np.clip(1 - np.minimum(1.0, np.abs(across) / 1.9) ** 2, 0, 1) * _JAW
        share = np.where(points[:, 1] > seam, share, 0.0)
        inner = np.clip(1 - ((points[:, 0] - middle[0]) / half) ** 2, 0, 1)
        share[list(LOWER_LIP)] = inner[list(LOWER_LIP)]
        share[list(UPPER_LIP[1:-1])] = 0.0
        points[:, 1] += share * more * self._eyes
        axis = float(self._points[:, 0].min() + self._points[:, 0].max()) / 2
        depth = float(self._points[:, 2].mean())
        x, z = points[:, 0] - axis, points[:, 2] - depth
        # Towards the camera z falls.
        points[:, 0] = axis + x * math.cos(yaw) - z * math.sin(yaw)
        points[:, 2] = depth + z * math.cos(yaw) + x * math.sin(yaw)
        return points

    def _map(self, moved: NDArray[np.float64]) -> NDArray[np.float32]:
        """(side, side, 2): of each pixel where it is in the photograph."""
        before, after = self._points[:, :2].astype(np.float64), moved[:, :2]
        outline = ConvexHull(after).vertices
        targets = np.concatenate((after[outline], self._fixed))
        sources = np.concatenate((before[outline], self._fixed))
        where = LinearNDInterpolator(targets, sources)(self._grid)
        corners = after[self._triangles]
        front = _areas(before[self._triangles]) * _areas(corners) > 0
        order = np.argsort(-moved[self._triangles, 2].mean(axis=1))
        side = len(self._picture)
        # What is nearer is drawn later.
        for one in order[front[order]]:
            (left, top), (right, low) = corners[one].min(axis=0), corners[one].max(axis=0)
            x0, y0 = max(0, math.ceil(left)), max(0, math.ceil(top))
            x1, y1 = min(side, math.floor(right) + 1), min(side, math.floor(low) + 1)
            if x0 >= x1 or y0 >= y1:
                continue
            pixels = self._grid[y0:y1, x0:x1]
            origin, u, v = corners[one][0], *(corners[one][1:] - corners[one][0])
            shares = (pixels - origin) @ np.linalg.inv(np.array((u, v)))
            inside = (shares >= -1e-6).all(axis=-1) & (shares.sum(axis=-1) <= 1 + 1e-6)
            a, b, c = before[self._triangles[one]]
            there = a + shares @ np.array((b - a, c - a))
            where[y0:y1, x0:x1][inside] = there[inside]
        return np.nan_to_num(where).astype(np.float32)


def _areas(corners: NDArray[np.floating]) -> NDArray[np.floating]:
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _place(grid: NDArray[np.float64], value: float) -> tuple[int, float]:
    """Cell of a value, and how far it is in it."""
    at = float(np.clip(np.interp(value, grid, np.arange(len(grid))), 0, len(grid) - 1.001))
    return int(at), at - int(at)
