"""Timing of a recording: gaps and jumps of its topics, offset between images and sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import HOP_NS, SpectrogramChunk
from avemo_ros.timing import JUMP_NS, NS_PER_S, to_ns
from avemo_ros.vision.face import FrameTracks

_GAP_NS: Final = to_ns(0.5)
"""Shorter pauses are jitter, which windows of seconds tolerate."""
_SOUND_GAP_NS: Final = to_ns(0.05)
"""Longer gaps in the sound count as lost, as in `audio.gap_tolerance_s`."""


_STEP_S: Final = 0.02
_FARTHEST: Final = 30
"""Offsets that are tried, either way [steps]."""
_SMOOTH: Final = 51
"""Changes slower than a second carry no syllables and are removed [steps]."""
_PAUSE_S: Final = 0.2
"""Longest gap between two images over which the mouth is interpolated."""
_QUIET_DB: Final = -60.0
_SPEECH: Final = 0.5
_ENOUGH_S: Final = 5.0
"""Speech of a visible face that is needed. In single sentences, chance matches are as frequent
as true ones (measured on clips with 1.2 s of speech each)."""
_LEAST: Final = 0.25
_CLEAR: Final = 1.3
"""The best correlation must be so many times the next peak."""
_BESIDE: Final = 6
"""Offsets this near to the best one belong to its peak [steps]."""
BY_STAMPS: Final = (
    "image delay minus audio delay, each the median from stamp (for audio: of its last "
    "sample) to recording time; correct if both took equally long to be recorded"
)
BY_MOUTH: Final = (
    "highest correlation of mouth opening and audio level during speech; a mouth naturally "
    "precedes its sound by up to 0.15 s"
)
NOTHING_RECORDED: Final = "unknown: needs recorded face tracks and spectrogram"


@dataclass(frozen=True, slots=True)
class TimingStatistics:
    """Of one topic's messages."""

    count: int
    rate_hz: float
    """Messages per second from the first to the last; 0 of fewer than two."""
    longest_gap_s: float
    """Between two messages, by time of recording [s]."""
    gaps: int = 0
    """Pauses far longer than usual; for sound: places where some is missing."""
    lost_s: float = 0.0
    """What is missing there [s]."""
    late: int = 0
    """Messages whose stamp is not later than the one before: the live nodes leave them out."""
    restarts: int = 0
    """Times the stamps went back by more than a second."""
    jumps: int = 0
    """Times stamps and times of recording moved against each other by more than a second: one
    of two clocks was set, or a busy machine held messages up."""
    leaps: int = 0
    """Jumps at which the stamps leapt: the clock that stamps was set."""
    delay_s: float | None = None
    """Median from stamp to recording [s]; of sound from its last sample.  None without
    stamps."""


def measure_timing(
    log_ns: Sequence[int],
    stamps_ns: Sequence[int] | None = None,
    lengths_ns: Sequence[int] | None = None,
) -> TimingStatistics:
    """Measure the timing of a topic's messages.

    Args:
        log_ns: times of recording, rising [ns].
        stamps_ns: header stamps [ns]; None where there are none.
        lengths_ns: of sound, how long each block is [ns].
    """
    log = np.asarray(log_ns, np.int64)
    steps = np.diff(log)
    span = int(log[-1] - log[0]) if len(log) else 0
    rate = (len(log) - 1) * NS_PER_S / span if span else 0.0
    longest = float(steps.max(initial=0)) / NS_PER_S
    if stamps_ns is None or len(log) == 0:
        return TimingStatistics(len(log), rate, longest)
    stamps = np.asarray(stamps_ns, np.int64)
    lengths = np.zeros_like(stamps) if lengths_ns is None else np.asarray(lengths_ns, np.int64)
    ahead = np.diff(stamps)
    delays = log - stamps - lengths
    jumps = np.abs(np.diff(delays)) > JUMP_NS
    usual = float(np.median(ahead)) if len(ahead) else 0.0
    if lengths_ns is None:
        missing = ahead - usual
        gap = ahead > max(_GAP_NS, 3.0 * usual)
    else:
        missing = ahead - lengths[:-1]
        gap = missing > _SOUND_GAP_NS
    return TimingStatistics(
        count=len(log),
        rate_hz=rate,
        longest_gap_s=longest,
        gaps=int(np.count_nonzero(gap)),
        lost_s=float(np.sum(missing[gap])) / NS_PER_S,
        late=int(np.count_nonzero((ahead <= 0) & (ahead > -JUMP_NS))),
        restarts=int(np.count_nonzero(ahead <= -JUMP_NS)),
        jumps=int(np.count_nonzero(jumps)),
        leaps=int(np.count_nonzero(jumps & (np.abs(ahead - usual) > JUMP_NS))),
        delay_s=float(np.median(delays)) / NS_PER_S,
    )


def restarts_text(count: int) -> str:
    """Part of a sentence for users: stamps went back."""
    return f"time restarts {count} time(s) (stamps go back by more than a second)"


class Restarts:
    """Counts by topic, message by message, how often stamps go back."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    def forget(self, topics: Iterable[str]) -> None:
        """Start over for topics that are read again."""
        for topic in topics:
            self._last_ns.pop(topic, None)
            self._counts.pop(topic, None)

    def follow(self, topic: str, stamp_ns: int) -> None:
        """The stamp of the topic's next message [ns]."""
        before_ns = self._last_ns.get(topic)
        if before_ns is not None and stamp_ns - before_ns <= -JUMP_NS:
            self._counts[topic] += 1
        self._last_ns[topic] = stamp_ns

    def sentences(self) -> list[str]:
        """One sentence for each topic whose stamps went back."""
        return [
            f"{topic}: {restarts_text(count)}" for topic, count in sorted(self._counts.items())
        ]


@dataclass(frozen=True, slots=True)
class Offset:
    """How much earlier images are stamped than the sound of the same moment."""

    seconds: float | None
    """[s], positive: images are ahead. None: unknown."""
    how: str
    """How it was estimated, or why it could not be."""


def by_stamps(images_delay_s: float | None, sound_delay_s: float | None) -> Offset:
    """By the delays between stamps and times of recording."""
    if images_delay_s is None or sound_delay_s is None:
        return Offset(None, "unknown: needs stamped images and stamped audio")
    return Offset(images_delay_s - sound_delay_s, BY_STAMPS)


@dataclass(slots=True)
class MouthAndSound:
    """Collects mouth openings and sound levels, and finds the offset between them."""

    _images: int = 0
    _mouths: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    _times: list[NDArray[np.int64]] = field(default_factory=list)
    _levels: list[NDArray[np.float32]] = field(default_factory=list)
    _speech: list[NDArray[np.float32]] = field(default_factory=list)

    def take_tracks(self, tracks: FrameTracks) -> None:
        """The faces of the next image."""
        self._images += 1
        for face in tracks.faces:
            if np.isfinite(face.mouth_opening):
                self._mouths.setdefault(face.face_id, []).append(
                    (tracks.stamp_ns, face.mouth_opening)
                )

    def take_chunk(self, chunk: SpectrogramChunk) -> None:
        """The next spectrogram."""
        self._times.append(chunk.stamp_ns + HOP_NS * np.arange(len(chunk.speech)))
        self._levels.append(chunk.level_dbfs)
        self._speech.append(chunk.speech)

    def offset(self) -> Offset:
        """By the mouth of the face that is seen most, and the level of the sound."""
        if not self._images and not self._times:
            return Offset(None, NOTHING_RECORDED)
        if not self._mouths:
            return Offset(None, "unknown: no face with a mesh was seen")
        if not self._times:
            return Offset(None, "unknown: there is no spectrogram of the audio")
        longest = Counter({name: len(seen) for name, seen in self._mouths.items()})
        mouth = self._mouths[min(longest, key=lambda name: (-longest[name], name))]
        correlations, speech_s = _correlate(
            np.array([stamp for stamp, _ in mouth], np.int64),
            np.array([opening for _, opening in mouth]),
            np.concatenate(self._times),
            np.concatenate(self._levels),
            np.concatenate(self._speech),
        )
        if speech_s < _ENOUGH_S:
            return Offset(
                None,
                f"unknown: {speech_s:.1f} s of speech with the face in view, but "
                f"{_ENOUGH_S:g} s are needed",
            )
        best = int(np.argmax(correlations))
        beside = np.abs(np.arange(len(correlations)) - best) > _BESIDE
        peak, other = correlations[best], float(np.max(correlations[beside]))
        if peak < _LEAST or peak < _CLEAR * other:
            return Offset(
                None,
                "unknown: mouth and audio do not match clearly at any offset (best "
                f"correlation {peak:.2f}, next {other:.2f})",
            )
        return Offset((best - _FARTHEST) * _STEP_S, f"{BY_MOUTH}; correlation {peak:.2f}")


def _correlate(
    seen_ns: NDArray[np.int64],
    opening: NDArray[np.float64],
    heard_ns: NDArray[np.int64],
    level: NDArray[np.float32],
    speech: NDArray[np.float32],
) -> tuple[NDArray[np.float64], float]:
    """Correlation for each offset that is tried, and seconds of speech behind it."""
    origin = int(seen_ns.min())
    order, turn = np.argsort(seen_ns, kind="stable"), np.argsort(heard_ns, kind="stable")
    seen = (seen_ns[order] - origin) / NS_PER_S
    heard = (heard_ns[turn] - origin) / NS_PER_S
    grid = np.arange(max(0.0, heard[0]), min(seen[-1], heard[-1]), _STEP_S)
    if len(grid) <= _SMOOTH + 2 * _FARTHEST:
        return np.zeros(2 * _FARTHEST + 1), 0.0
    behind = np.clip(np.searchsorted(seen, grid), 1, len(seen) - 1)
    known = seen[behind] - seen[behind - 1] <= _PAUSE_S
    spoken = np.interp(grid, heard, speech[turn]) > _SPEECH
    mouth = _quick(np.interp(grid, seen, opening[order]))
    loud = _quick(np.interp(grid, heard, np.maximum(level[turn], _QUIET_DB)))
    near = np.convolve(spoken, np.ones(_SMOOTH), "same") > 0
    found = [_correlation(mouth, loud, known, near, lag) for lag in _lags()]
    return np.array(found), float(np.count_nonzero(spoken & known)) * _STEP_S


def _lags() -> Sequence[int]:
    return range(-_FARTHEST, _FARTHEST + 1)


def _correlation(
    mouth: NDArray[np.float64],
    loud: NDArray[np.float64],
    known: NDArray[np.bool_],
    near: NDArray[np.bool_],
    lag: int,
) -> float:
    """Of the mouth `lag` steps earlier with the sound."""
    count = len(mouth) - abs(lag)
    at_mouth = slice(max(0, -lag), max(0, -lag) + count)
    at_sound = slice(max(0, lag), max(0, lag) + count)
    both = known[at_mouth] & near[at_sound]
    one, other = mouth[at_mouth][both], loud[at_sound][both]
    if len(one) < _SMOOTH or np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _quick(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without what changes slowly."""
    padded = np.pad(values, _SMOOTH // 2, mode="edge")
    return np.asarray(values - np.convolve(padded, np.ones(_SMOOTH) / _SMOOTH, "valid"))
