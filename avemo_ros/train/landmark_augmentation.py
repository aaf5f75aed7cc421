"""Random changes of landmark sequences: other faces, other views, noise, hidden frames."""

from __future__ import annotations

import torch
from torch import Tensor

from avemo_ros.model.face_points import HEAD, MIRRORED, POINTS
from avemo_ros.train.training_config import LandmarkAugment

_SHAPE = 2 * POINTS


def degrade_points(
    points: Tensor,
    mask: Tensor,
    shifts: Tensor,
    chance: torch.Generator,
    how: LandmarkAugment,
) -> dict[str, Tensor]:
    """Sequences of B rows, changed at random.

    Args:
        points: (B, n, VALUES), see `face_points.normalise_points`.
        mask: (B, n) bool, True where a frame is there.
        shifts: (B, 2 POINTS) added to the shape of every frame of a row.
        chance: source of chance, on the device of `points`.
        how: probabilities and strengths.

    Returns:
        `points` and `points_mask` of a batch, of the same shapes; a row keeps a frame or more.
    """
    rows, frames = mask.shape

    def even(*shape: int) -> Tensor:
        return torch.rand(shape, generator=chance, device=points.device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=chance, device=points.device)

    shape = points[..., :_SHAPE] + shifts[:, None]
    shape = shape.view(rows, frames, POINTS, 2)
    bend = torch.eye(2, device=points.device) + how.stretch * normal(rows, 2, 2)
    shape = torch.einsum("bnpc,bcd->bnpd", shape, bend)
    shape = shape + how.noise * even(rows, 1, 1, 1) * normal(rows, frames, POINTS, 2)
    shape = shape + how.noise * even(rows, 1, 1, 1) * normal(rows, 1, POINTS, 2)
    changed = torch.cat((shape.flatten(2), points[..., _SHAPE:]), 2)
    turned = (even(rows) < how.mirror).view(-1, 1, 1)
    changed = torch.where(turned, mirror_points(changed), changed)
    hidden = even(rows, frames) < 2 * how.drop * even(rows, 1)
    kept = mask & ~hidden
    kept = torch.where(kept.any(1, keepdim=True), kept, mask)
    return {"points": changed * kept.unsqueeze(2), "points_mask": kept}


def mirror_points(points: Tensor) -> Tensor:
    """Frames (..., VALUES) of the mirror image."""
    shape = points[..., :_SHAPE].reshape(*points.shape[:-1], POINTS, 2)[..., list(MIRRORED), :]
    shape = shape * shape.new_tensor([-1.0, 1.0])
    signs = points.new_tensor([-1.0, -1.0, *[1.0] * (HEAD - 2)])
    return torch.cat((shape.flatten(-2), points[..., _SHAPE:] * signs), -1)
