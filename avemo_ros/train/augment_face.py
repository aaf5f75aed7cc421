"""Random views of faces: what alignment, a live camera and a room do to them.

Everything acts on whole batches of tensors, on the device of the source of chance.  The frames
of a clip share mirror image, light, camera and what hides the face; turn, scale and shift
differ a little from frame to frame (`jitter`).  A picture that is shown several times, as the
frames of a window, is another view each time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from avemo_ros.train.config import FaceAugment


def degrade(
    faces: Tensor,
    chance: torch.Generator,
    how: FaceAugment,
    side: int,
    repeated: Tensor | None = None,
) -> Tensor:
    """Random views: flip, turn, scale, shift, light, blur, low resolution, noise, occlusion.

    Args:
        faces: (B, n, h, h) uint8, the frames of B rows; or (B, n, h, h) float32, 0 to 1.
        chance: source of chance, on the device of `faces`.
        how: probabilities and strengths.
        side: of the result [pixels]; smaller trains faster.
        repeated: (B,) bool, True for a row whose frames are one picture; None: none is.

    Returns:
        (B, n, 1, side, side) float32, 0 to 1, not standardised.
    """
    rows, frames = faces.shape[:2]
    views = faces.flatten(0, 1).unsqueeze(1)
    views = views.float().div_(255.0) if views.dtype == torch.uint8 else views
    plain = _resized(views, side)
    if how.probability == 0.0:
        return plain.view(rows, frames, 1, side, side)
    draw = _Draw(rows, frames, chance, repeated)
    changed = draw.chosen(how.probability)
    moved = _move(views, draw, how, side)
    moved = _relight(moved, draw, how)
    moved = _soften(moved, draw, how, chance)
    moved = _occlude(moved, draw, how)
    if how.probability < 1.0:
        moved = torch.where(changed.view(-1, 1, 1, 1), moved, plain)
    return moved.view(rows, frames, 1, side, side)


class _Draw:
    """Random numbers that the frames of a row share, or do not."""

    def __init__(
        self, rows: int, frames: int, chance: torch.Generator, repeated: Tensor | None
    ) -> None:
        self._rows, self._frames, self._chance = rows, frames, chance
        alone = torch.zeros(rows, dtype=torch.bool, device=chance.device)
        if frames == 1:
            alone = ~alone
        elif repeated is not None:
            alone = repeated.to(chance.device)
        self._alone = alone.repeat_interleave(frames)
        self._each = frames > 1

    def uniform(self, low: float, high: float, jitter: float = 0.0) -> Tensor:
        """(rows x frames,) numbers; `jitter` is the share that each frame has of its own."""
        ours = self._rand(self._rows).repeat_interleave(self._frames)
        if self._each:
            own = self._rand(len(ours))
            mixed = ours + jitter * (own - ours)
            ours = torch.where(self._alone, own, mixed)
        return ours * (high - low) + low

    def chosen(self, share: float) -> Tensor:
        """(rows x frames,) bool, True with this probability."""
        return self.uniform(0.0, 1.0) < share

    def _rand(self, n: int) -> Tensor:
        return torch.rand(n, generator=self._chance, device=self._chance.device)


def _resized(views: Tensor, side: int) -> Tensor:
    given = views.shape[-1]
    if given == side:
        return views
    if given > side:
        return functional.interpolate(views, size=(side, side), mode="area")
    return functional.interpolate(
        views, size=(side, side), mode="bilinear", align_corners=False
    )


def _move(views: Tensor, draw: _Draw, how: FaceAugment, side: int) -> Tensor:
    if how.move == 0.0 and how.flip == 0.0:
        return _resized(views, side)
    most = math.radians(how.turn_deg)
    does = draw.chosen(how.move).float()
    jitter = how.jitter
    angle = draw.uniform(-most, most, jitter) * does
    scale = 1.0 + draw.uniform(-how.scale, how.scale, jitter) * does
    stretch = 1.0 + draw.uniform(-how.stretch, how.stretch) * does
    flip = torch.where(draw.chosen(how.flip), -1.0, 1.0)
    # Most faces are moved a little, as alignment errs; the share is that of the half side.
    across = draw.uniform(-how.shift, how.shift, jitter) * does
    down = draw.uniform(-how.shift, how.shift, jitter) * does
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    matrix = torch.stack(
        (
            torch.stack((flip * cos * stretch, -flip * sin, across), 1),
            torch.stack((sin, cos / stretch, down), 1),
        ),
        1,
    )
    # Shrinking by much would skip pixels: that part is done by averaging.
    if views.shape[-1] >= 2 * side:
        views = _resized(views, side)
    grid = functional.affine_grid(matrix, [len(views), 1, side, side], align_corners=False)
    return functional.grid_sample(
        views, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _relight(views: Tensor, draw: _Draw, how: FaceAugment) -> Tensor:
    if how.light == 0.0:
        return views
    shape = (-1, 1, 1, 1)
    does = draw.chosen(how.light).float().view(shape)
    gamma = torch.exp(draw.uniform(-how.gamma, how.gamma).view(shape) * does)
    # A light from one side: a ramp over the picture.
    ramp = torch.linspace(-1, 1, views.shape[-1], device=views.device)
    beside = draw.uniform(-how.side_light, how.side_light).view(shape) * does
    above = draw.uniform(-how.top_light, how.top_light).view(shape) * does
    gain = 1.0 + (draw.uniform(how.gain_low, how.gain_high).view(shape) - 1.0) * does
    light = beside * ramp.view(1, 1, 1, -1) + above * ramp.view(1, 1, -1, 1)
    return (views.clamp_min(1e-4) ** gamma * gain + light).clamp_(0, 1)


def _soften(views: Tensor, draw: _Draw, how: FaceAugment, chance: torch.Generator) -> Tensor:
    """Low resolution, blur or noise: at most one of them for each view."""
    lot = draw.uniform(0.0, 1.0)
    first, second = how.coarse, how.coarse + how.blur
    side = views.shape[-1]
    result = views
    rows = torch.nonzero(lot < first).flatten()
    if len(rows):
        low = max(2, int(side * how.coarse_low))
        small = _integer(low, max(low + 1, side - 6), chance)
        coarse = functional.interpolate(views[rows], size=(small, small), mode="area")
        coarse = functional.interpolate(
            coarse, size=(side, side), mode="bilinear", align_corners=False
        )
        result = result.index_copy(0, rows, coarse)
    rows = torch.nonzero((lot >= first) & (lot < second)).flatten()
    if len(rows):
        # One width for all of them: a convolution for each would be slow.
        sigma = max(1e-3, how.blur_sigma * side * _integer(1, 101, chance) / 100)
        result = result.index_copy(0, rows, _blurred(views[rows], sigma))
    rows = torch.nonzero((lot >= second) & (lot < second + how.noise)).flatten()
    if len(rows):
        sigmas = draw.uniform(0.0, how.noise_sigma)[rows].view(-1, 1, 1, 1)
        grain = torch.randn(views[rows].shape, generator=chance, device=views.device)
        result = result.index_copy(0, rows, (views[rows] + sigmas * grain).clamp_(0, 1))
    return result


def _blurred(views: Tensor, sigma: float) -> Tensor:
    reach = max(1, math.ceil(2.5 * sigma))
    place = torch.arange(-reach, reach + 1, device=views.device)
    kernel = torch.exp(-0.5 * (place / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(views, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1))


def _occlude(views: Tensor, draw: _Draw, how: FaceAugment) -> Tensor:
    """Some faces lose a rectangle (a hand, hair, a cup) to one grey."""
    if how.occlude == 0.0:
        return views
    side = views.shape[-1]
    place = torch.arange(side, device=views.device)
    width = draw.uniform(how.occlude_low, how.occlude_high) * side
    height = draw.uniform(how.occlude_low, how.occlude_high) * side
    x, y = (draw.uniform(-0.1, 1.0) * side for _ in range(2))
    across = (place >= x[:, None]) & (place < (x + width)[:, None])
    down = (place >= y[:, None]) & (place < (y + height)[:, None])
    does = draw.chosen(how.occlude).view(-1, 1, 1, 1)
    hit = down[:, None, :, None] & across[:, None, None, :] & does
    grey = draw.uniform(0.0, 1.0).view(-1, 1, 1, 1)
    return torch.where(hit, grey, views)


def _integer(low: int, high: int, chance: torch.Generator) -> int:
    return int(torch.randint(low, high, (1,), generator=chance, device=chance.device))
