"""The features of a face and of the voice within the window."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import BINS, HOP_NS, SpectrogramChunk
from avemo_ros.model.face_points import POINTS, normalise_points
from avemo_ros.vision.face import Box, FaceTrack

REMEMBERED_S: Final = 60.0
"""What was seen of a resting face fades with this time constant [s]."""
LONGEST_FRAME_NS: Final = 200_000_000
"""A frame stands for at most this time, so that missed frames do not count as seen."""


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One face in one image."""

    stamp_ns: int
    box: Box
    mouth_opening: float
    """NaN without a mesh."""
    usable: bool
    """Its quality reaches the limit."""
    lasted_ns: int
    """Time since the face's sample before."""
    embedding: NDArray[np.float32] | None
    """(D,); None where the face network did not look (quality, rate limit)."""
    points: NDArray[np.float32] | None = None
    """(68, 2) pixels (`model.face_points`); None without a mesh, below the limit of quality,
    or where the model does not read them."""
    looks_at_robot: float = math.nan
    distance: float = math.nan
    """As of `FaceTrack`."""


class RestingFace:
    """How a person looks at rest: the mean shape of the face over the last minute or so,
    whatever it felt, or what was looked at on request."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The face is a stranger's again."""
        self._total = np.zeros(2 * POINTS)
        self._seen_s = 0.0
        self._fixed: list[NDArray[np.float32]] = []
        self._stop_looking()

    def _stop_looking(self) -> None:
        self._looked = np.zeros(2 * POINTS)
        self._looked_s = 0.0
        self._wanted_s = 0.0

    def look(self, seconds: float) -> None:
        """Take the mean shape of the coming seconds [s] as the resting face."""
        self._stop_looking()
        self._wanted_s = seconds

    def undo(self) -> bool:
        """Go back to what was before the last `look`; False: there was none."""
        if self._wanted_s > 0:
            self._stop_looking()
            return True
        if not self._fixed:
            return False
        self._fixed.pop()
        return True

    @property
    def is_calibrated(self) -> bool:
        """It was looked at on request."""
        return bool(self._fixed)

    def add_new(self, sample: FaceSample) -> None:
        """Take the newest sample, which counts while `look` lasts."""
        shape = _shape_of(sample) if self._wanted_s > 0 else None
        if shape is None:
            return
        lasted_s = sample.lasted_ns / 1e9
        self._looked += lasted_s * shape
        self._looked_s += lasted_s
        if self._looked_s >= self._wanted_s:
            self._fixed.append((self._looked / self._looked_s).astype(np.float32))
            self._stop_looking()

    def add_old(self, sample: FaceSample) -> None:
        """Take a sample that has left the window."""
        shape = _shape_of(sample)
        if shape is None:
            return
        lasted_s = sample.lasted_ns / 1e9
        kept = np.exp(-lasted_s / REMEMBERED_S)
        self._total = kept * self._total + lasted_s * shape
        self._seen_s = kept * self._seen_s + lasted_s

    def take_over(self, other: RestingFace) -> None:
        """Add what was seen of the same person by another id."""
        self._total += other._total
        self._seen_s += other._seen_s
        self._fixed += other._fixed

    def mean(self, prior_s: float) -> tuple[NDArray[np.float32] | None, float]:
        """The resting face, and how far to trust it.

        Args:
            prior_s: the mean face of everybody counts as much as so long of this one [s].

        Returns:
            (2 POINTS,), None where nothing was seen; weight from 0 to 1, 1 if it was looked at
            on request.
        """
        if self._fixed:
            return self._fixed[-1], 1.0
        if self._seen_s <= 0:
            return None, 0.0
        weight = self._seen_s / (self._seen_s + prior_s)
        return (self._total / self._seen_s).astype(np.float32), weight


def _shape_of(sample: FaceSample) -> NDArray[np.float32] | None:
    """(2 POINTS,); None without points."""
    if sample.points is None:
        return None
    shape = normalise_points(sample.points[None])[0, : 2 * POINTS]
    return shape if np.isfinite(shape).all() else None


class FaceHistory:
    """One face's samples, oldest first, as long as the window; and its resting shape."""

    def __init__(self, face_id: str, first_ns: int) -> None:
        self.face_id = self.key = face_id
        """`key` tells whose it is: the person id, where that is known."""
        self.first_ns = first_ns
        self.resting = RestingFace()
        """Of what was seen before the window, or on request."""
        self._samples: deque[FaceSample] = deque()

    def add(
        self,
        stamp_ns: int,
        face: FaceTrack,
        usable: bool,
        embedding: NDArray[np.float32] | None,
        points: NDArray[np.float32] | None = None,
    ) -> None:
        """Append the face's newest sample; stamps only rise."""
        before = self._samples[-1].stamp_ns if self._samples else stamp_ns
        lasted = min(stamp_ns - before, LONGEST_FRAME_NS)
        sample = FaceSample(
            stamp_ns,
            face.box,
            face.mouth_opening,
            usable,
            lasted,
            embedding,
            points,
            face.looks_at_robot,
            face.distance,
        )
        self._samples.append(sample)
        self.resting.add_new(sample)

    def forget(self, before_ns: int) -> None:
        """Drop what is older; it counts for the resting shape from now on."""
        while self._samples and self._samples[0].stamp_ns < before_ns:
            self.resting.add_old(self._samples.popleft())

    @property
    def newest(self) -> FaceSample:
        """The last sample; there is always one outside of `add` and `forget`."""
        return self._samples[-1]

    def between(self, start_ns: int, end_ns: int) -> list[FaceSample]:
        """Samples of start < stamp <= end."""
        return [item for item in self._samples if start_ns < item.stamp_ns <= end_ns]


@dataclass(frozen=True, slots=True)
class SpeechWindow:
    """The sound of one window."""

    start_ns: int
    """Sensor time at which the first column's window ends [ns]."""
    power_db: NDArray[np.float32]
    """(columns, 200)"""
    speech: NDArray[np.float32]
    """(columns,), probability."""

    def stamps_ns(self) -> NDArray[np.int64]:
        """(columns,), when each column's window ends [ns]."""
        return self.start_ns + HOP_NS * np.arange(len(self.speech), dtype=np.int64)


class SpeechHistory:
    """The newest spectrogram columns, without holes: after lost sound it starts anew.

    Args:
        length_ns: how much is kept [ns].
    """

    def __init__(self, length_ns: int) -> None:
        self._keep = length_ns // HOP_NS
        self.clear()

    def clear(self) -> None:
        """Forget all sound."""
        self._start_ns = 0
        self._power = np.zeros((0, BINS), np.float32)
        self._speech = np.zeros(0, np.float32)

    @property
    def end_ns(self) -> int | None:
        """Sensor time up to which sound is known [ns]; None without any."""
        if len(self._speech) == 0:
            return None
        return self._start_ns + (len(self._speech) - 1) * HOP_NS

    def add(self, chunk: SpectrogramChunk) -> None:
        """Append a chunk; one that does not join the columns before it replaces them.

        Stamps may stray by less than a column: a source's clock drifts.
        """
        if len(chunk.speech) == 0:
            return
        end = self.end_ns
        if end is None or abs(chunk.stamp_ns - (end + HOP_NS)) >= HOP_NS:
            self.clear()
            self._power, self._speech = chunk.power_db, chunk.speech
        else:
            self._power = np.concatenate((self._power, chunk.power_db))[-self._keep :]
            self._speech = np.concatenate((self._speech, chunk.speech))[-self._keep :]
        self._start_ns = chunk.end_ns - (len(self._speech) - 1) * HOP_NS

    def between(self, start_ns: int, end_ns: int) -> SpeechWindow:
        """Columns whose windows end within start < end of window <= end."""
        first = max(0, (start_ns - self._start_ns) // HOP_NS + 1)
        stop = max(first, (end_ns - self._start_ns) // HOP_NS + 1)
        return SpeechWindow(
            self._start_ns + first * HOP_NS, self._power[first:stop], self._speech[first:stop]
        )
