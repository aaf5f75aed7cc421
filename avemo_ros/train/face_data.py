"""FER2013 from its folder layout, and what a live camera may do to a face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avemo_ros.labels import EMOTIONS
from avemo_ros.model.preprocess import FACE_SIDE


@dataclass(frozen=True, slots=True)
class Faces:
    """Labelled face pictures."""

    pictures: Tensor
    """(N, 48, 48) uint8."""
    labels: Tensor
    """(N,) index in EMOTIONS."""

    def __len__(self) -> int:
        return len(self.labels)


def load_faces(folder: Path) -> Faces:
    """All pictures of `<folder>/<class>/*.jpg`, in the order of their names.

    Raises:
        FileNotFoundError: a class has no pictures.
        ValueError: a picture cannot be read or has another size.
    """
    pictures, labels = [], []
    for label, emotion in enumerate(EMOTIONS):
        paths = sorted((folder / emotion).glob("*.jpg"))
        if not paths:
            raise FileNotFoundError(f"no *.jpg in {folder / emotion}")
        for path in paths:
            picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if picture is None or picture.shape != (FACE_SIDE, FACE_SIDE):
                raise ValueError(f"{path} is not a {FACE_SIDE}x{FACE_SIDE} picture")
            pictures.append(picture)
            labels.append(label)
    return Faces(torch.from_numpy(np.stack(pictures)), torch.tensor(labels))


def degrade(pictures: Tensor, chance: torch.Generator, side: int = FACE_SIDE) -> Tensor:
    """Random views of faces: flip, turn, scale, shift, light, blur, low resolution, occlusion.

    Args:
        pictures: (N, 48, 48) uint8.
        chance: source of chance.
        side: of the result [pixels]; smaller trains faster.

    Returns:
        (N, 1, side, side) float32, 0 to 1, not standardised.
    """
    faces = pictures.unsqueeze(1).float().div_(255.0)
    faces = _move(faces, chance, side)
    faces = _relight(faces, chance)
    faces = _coarsen(faces, chance)
    return _occlude(faces, chance)


def _uniform(n: int, low: float, high: float, chance: torch.Generator) -> Tensor:
    return torch.rand(n, generator=chance) * (high - low) + low


def _move(faces: Tensor, chance: torch.Generator, side: int) -> Tensor:
    n = len(faces)
    angle = _uniform(n, -math.radians(15), math.radians(15), chance)
    scale = _uniform(n, 0.85, 1.15, chance)
    stretch = _uniform(n, 0.94, 1.06, chance)
    flip = torch.where(torch.rand(n, generator=chance) < 0.5, -1.0, 1.0)
    # Most faces are moved a little, as alignment errs; the share is that of the half side.
    shift = _uniform(2 * n, -0.13, 0.13, chance).view(n, 2)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = torch.stack(
        (
            torch.stack((flip * cos * stretch, -flip * sin, shift[:, 0]), 1),
            torch.stack((sin, cos / stretch, shift[:, 1]), 1),
        ),
        1,
    )
    grid = functional.affine_grid(rows, [n, 1, side, side], align_corners=False)
    return functional.grid_sample(
        faces, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _relight(faces: Tensor, chance: torch.Generator) -> Tensor:
    n = len(faces)
    shape = (n, 1, 1, 1)
    gamma = torch.exp(_uniform(n, -0.35, 0.35, chance)).view(shape)
    # A light from one side: a ramp over the picture.
    ramp = torch.linspace(-1, 1, faces.shape[-1])
    side = _uniform(n, -0.2, 0.2, chance).view(shape) * ramp.view(1, 1, 1, -1)
    above = _uniform(n, -0.1, 0.1, chance).view(shape) * ramp.view(1, 1, -1, 1)
    gain = _uniform(n, 0.75, 1.2, chance).view(shape)
    return (faces.clamp_min(1e-4) ** gamma * gain + side + above).clamp(0, 1)


def _coarsen(faces: Tensor, chance: torch.Generator) -> Tensor:
    """A quarter of the batch is made small and large again, another quarter gets noise."""
    quarter = len(faces) // 4
    if quarter == 0:
        return faces
    side = faces.shape[-1]
    small = int(torch.randint(side // 3, side - 6, (1,), generator=chance))
    coarse = functional.interpolate(faces[:quarter], size=(small, small), mode="area")
    coarse = functional.interpolate(
        coarse, size=(side, side), mode="bilinear", align_corners=False
    )
    sigma = _uniform(quarter, 0.0, 0.08, chance).view(-1, 1, 1, 1)
    noise = torch.randn(faces[quarter : 2 * quarter].shape, generator=chance)
    noisy = (faces[quarter : 2 * quarter] + sigma * noise).clamp(0, 1)
    return torch.cat((coarse, noisy, faces[2 * quarter :]))


def _occlude(faces: Tensor, chance: torch.Generator) -> Tensor:
    """Half the faces lose a rectangle (a hand, hair, a cup) to one grey."""
    n, side = len(faces), faces.shape[-1]
    place = torch.arange(side)
    width, height = (_uniform(n, 0.1, 0.4, chance) * side for _ in range(2))
    x, y = (_uniform(n, -0.1, 1.0, chance) * side for _ in range(2))
    across = (place >= x[:, None]) & (place < (x + width)[:, None])
    down = (place >= y[:, None]) & (place < (y + height)[:, None])
    hit = (down[:, None, :, None] & across[:, None, None, :]) & (
        torch.rand(n, generator=chance) < 0.5
    ).view(-1, 1, 1, 1)
    grey = torch.rand(n, generator=chance).view(-1, 1, 1, 1).expand_as(faces)
    return torch.where(hit, grey, faces)
