"""Random changes of training data: of faces, of spectrograms and of landmarks.

Faces: what alignment, a live camera and a room do to them. Speech: what voices, rooms and
microphones do to its spectrogram.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from avemo_ros.audio.spectrogram import DFT, SAMPLE_RATE
from avemo_ros.model.face_points import HEAD, MIRRORED, POINTS
from avemo_ros.train.training_config import FaceAugment, LandmarkAugment, SpeechAugment


def degrade_faces(
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
        repeated: (B,) bool, True for a row whose frames are one image; None: none is.

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
    # A light from one side: a ramp over the image.
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


_NEPERS: Final = math.log(10) / 10
"""exp(dB x this) is the power."""
_HOP_S: Final = 0.01
"""Time from one column to the next [s]."""


def degrade_speech(power_db: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """Another voice, microphone, room and noise for each window.

    Args:
        power_db: (B, T, bins) dB.
        chance: source of chance, on the device of `power_db`.
        how: probabilities and strengths.

    Returns:
        (B, T, bins) dB.
    """
    n = len(power_db)
    changed = _chosen(n, how.probability, chance)
    heard = power_db
    if how.stretch > 0.0:
        does = torch.ones_like(changed) if how.stretch_always else changed
        does = does * _chosen(n, how.stretch, chance)
        heard = _stretch(power_db, does, chance, how)
    if how.microphone > 0.0:
        heard = heard + _microphone(heard, chance, how) * changed.view(-1, 1, 1)
    # Only the rows that have it: the exponentials cost more than all else.
    echoing = changed * _chosen(n, how.echo, chance)
    noisy = changed * _chosen(n, how.noise, chance)
    rows = torch.nonzero(echoing + noisy).flatten()
    if len(rows):
        power = torch.exp(heard[rows] * _NEPERS)
        for chosen, change in ((echoing, _echo), (noisy, _add_noise)):
            places = torch.nonzero(chosen[rows]).flatten()
            if len(places):
                power = power.index_copy(0, places, change(power[places], chance, how))
        heard = heard.index_copy(0, rows, power.clamp_min_(1e-10).log_().div_(_NEPERS))
    if how.telephone > 0.0:
        does = changed * _chosen(n, how.telephone, chance)
        heard = heard + _telephone(heard, chance) * does.view(-1, 1, 1)
    return heard


def mask_spectrogram(features: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """SpecAugment (Park et al. 2019): bands and spans of each window become its mean.

    Args:
        features: (B, 1, T, bins) network input.
        chance: source of chance, on the device of `features`.
        how: number and widths of the masks.
    """
    if how.masks == 0:
        return features
    fill = features.mean(dim=(2, 3), keepdim=True)
    hidden = torch.zeros(features.shape, dtype=torch.bool, device=features.device)
    for dim, longest in ((3, how.mask_bins), (2, features.shape[2] * how.mask_time)):
        size = features.shape[dim]
        place = torch.arange(size, device=features.device)
        for _ in range(how.masks):
            length = _uniform(len(features), 0, min(longest, size), chance)
            start = _uniform(len(features), 0, 1, chance) * (size - length)
            hit = (place >= start[:, None]) & (place < (start + length)[:, None])
            hidden |= hit[:, None, None, :] if dim == 3 else hit[:, None, :, None]
    return torch.where(hidden, fill, features)


def _uniform(n: int, low: float, high: float, chance: torch.Generator) -> Tensor:
    return torch.rand(n, generator=chance, device=chance.device) * (high - low) + low


def _chosen(n: int, share: float, chance: torch.Generator) -> Tensor:
    return (_uniform(n, 0, 1, chance) < share).float()


def _stretch(
    power_db: Tensor, does: Tensor, chance: torch.Generator, how: SpeechAugment
) -> Tensor:
    """Speak faster or slower, with a longer or shorter vocal tract."""
    n, columns, bins = power_db.shape
    time = 1 + (_uniform(n, how.tempo_low, how.tempo_high, chance) - 1) * does
    frequency = 1 + _uniform(n, -how.tract, how.tract, chance) * does
    device = power_db.device
    # Frequency is stretched about 0 Hz, time about the middle.  Each axis by itself: several
    # times faster than sampling a grid.
    half = columns / 2
    to = time[:, None] * (torch.arange(columns, device=device) + 0.5 - half) + half - 0.5
    before, after, share = _between(to, columns)
    first = torch.arange(n, device=device)[:, None] * columns
    flat = power_db.flatten(0, 1)
    early = flat.index_select(0, (before + first).flatten()).view_as(power_db)
    late = flat.index_select(0, (after + first).flatten()).view_as(power_db)
    timed = torch.lerp(early, late, share.unsqueeze(2))
    to = frequency[:, None] * (torch.arange(bins, device=device) + 0.5) - 0.5
    before, after, share = _between(to, bins)
    low = timed.gather(2, before.unsqueeze(1).expand_as(timed))
    high = timed.gather(2, after.unsqueeze(1).expand_as(timed))
    return torch.lerp(low, high, share.unsqueeze(1))


def _between(places: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours of places on an axis of `size`, and the share of the second."""
    places = places.clamp(0, size - 1)
    before = places.floor().long()
    return before, (before + 1).clamp_max(size - 1), places - before


def _microphone(power_db: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """(n, 1, bins) gain of each bin [dB]: tilt, a slow ripple, less of the lowest."""
    n, _, bins = power_db.shape
    place = torch.linspace(0, 1, bins, device=power_db.device)
    tilt = _uniform(n, -how.tilt_db, how.tilt_db, chance)[:, None] * (place - 0.5)
    ripple = _uniform(n, 0, how.ripple_db, chance)[:, None] * torch.cos(
        _uniform(n, 0, 2 * math.pi, chance)[:, None]
        + 2 * math.pi * _uniform(n, 0.5, 3, chance)[:, None] * place
    )
    edge = _uniform(n, 1, 12, chance)[:, None]
    number = torch.arange(bins, device=power_db.device)
    low = -how.low_cut_db * torch.exp(-number / edge)
    low = low * _chosen(n, how.low_cut, chance)[:, None]
    does = _chosen(n, how.microphone, chance)[:, None]
    return ((tilt + ripple + low) * does).unsqueeze(1)


def _echo(power: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """A room: an exponential tail (60 dB in the reverberation time) of part of the power."""
    n, _, bins = power.shape
    longest = max(how.echo_low_s, how.echo_high_s)
    decay = 10 ** (-6 * _HOP_S / _uniform(n, how.echo_low_s, longest, chance))[:, None]
    share = _uniform(n, 0.05, max(0.05, how.echo_share), chance)[:, None]
    given = power * ((1 - decay) * share).unsqueeze(1)
    tail = torch.zeros(n, bins, device=power.device)
    tails = []
    for column in given.unbind(1):
        tail = torch.addcmul(column, tail, decay)
        tails.append(tail)
    return power + torch.stack(tails, 1)


_LOWEST_HZ: Final = 50.0
"""Below this, the power of noise does not rise any more."""


def _hertz(bins: int, device: torch.device) -> Tensor:
    """(bins,) frequency of each bin of the spectrogram [Hz]."""
    return torch.arange(bins, device=device) * (SAMPLE_RATE / DFT)


def _telephone(power_db: Tensor, chance: torch.Generator) -> Tensor:
    """(n, 1, bins) gain of a line [dB]: flat from about 300 to 3,400 Hz, steep outside."""
    n, _, bins = power_db.shape
    hertz = _hertz(bins, power_db.device).clamp_min(1.0)
    low = _uniform(n, 200.0, 400.0, chance)[:, None]
    high = _uniform(n, 3000.0, 3600.0, chance)[:, None]
    octaves = (low / hertz).log2().clamp_min(0.0) + (hertz / high).log2().clamp_min(0.0)
    steep_db = _uniform(n, 24.0, 96.0, chance)[:, None]
    return (-steep_db * octaves).unsqueeze(1)


def _add_noise(power: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """Steady noise of a random colour, some dB below the mean power of the window."""
    n, columns, bins = power.shape
    highest = max(how.noise_low_db, how.noise_high_db)
    ratio = _uniform(n, how.noise_low_db, highest, chance)
    place = torch.linspace(0, 1, bins, device=power.device)
    colour = 10 ** (-_uniform(n, -0.5, 3.0, chance)[:, None] * place)
    if how.noise_power_law > 0.0:
        # From white (0) over pink (1) to brown (2).
        fall = _uniform(n, 0.0, 2.0, chance)[:, None]
        natural = _hertz(bins, power.device).clamp_min(_LOWEST_HZ) ** -fall
        does = _chosen(n, how.noise_power_law, chance)[:, None] > 0
        colour = torch.where(does, natural, colour)
    colour = colour / colour.mean(1, keepdim=True)
    level = power.mean(dim=(1, 2)) * 10 ** (-ratio / 10)
    # The power of Gaussian noise in a bin is exponentially distributed.
    cells = torch.rand(n, columns, bins, generator=chance, device=power.device)
    cells = -cells.clamp_min_(1e-7).log_()
    return torch.addcmul(power, cells, (level[:, None] * colour)[:, None, :])


# Random changes of landmark sequences: other faces, other views, noise, hidden frames.

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
    shape = shape + how.offset * even(rows, 1, 1, 1) * normal(rows, 1, POINTS, 2)
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
