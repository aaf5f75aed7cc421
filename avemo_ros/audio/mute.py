"""Silence in place of what the robot itself says: its voice is nobody's emotion."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import Final

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.clock import NS_PER_S, to_ns

TAIL_NS: Final = to_ns(0.3)
"""The room still sounds, and the loudspeaker's buffer plays, this long after the robot's last
word."""
_KEPT: Final = 64
"""Stretches of speech that are remembered; sound is never that far behind."""


class Mute:
    """Knows when the robot spoke and silences the sound of that time.

    Times and stamps are of one clock.  It may be told on one thread and asked on another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: deque[tuple[int, int | None]] = deque(maxlen=_KEPT)
        self._muted_ns = 0

    @property
    def muted_s(self) -> float:
        """Length of all the sound that was silenced [s]."""
        return self._muted_ns / NS_PER_S

    @property
    def speaking(self) -> bool:
        """The robot speaks, by what was told last."""
        with self._lock:
            return bool(self._spans) and self._spans[-1][1] is None

    def tell(self, at_ns: int, *, speaking: bool) -> None:
        """The robot speaks from now on, or has ended; what is repeated changes nothing.

        Args:
            at_ns: now [ns].
            speaking: whether it speaks.
        """
        with self._lock:
            last = self._spans[-1] if self._spans else None
            if speaking:
                self._begin(last, at_ns)
            elif last is not None and last[1] is None:
                self._spans[-1] = (last[0], at_ns + TAIL_NS)

    def apply(self, block: AudioBlock) -> AudioBlock:
        """The block, silent where the robot spoke; the very block where it did not."""
        with self._lock:
            spans = tuple(self._spans)
        samples = block.samples
        for start_ns, end_ns in spans:
            first = max(0, _index(block, start_ns))
            last = len(samples) if end_ns is None else min(len(samples), _index(block, end_ns))
            if first >= last:
                continue
            if samples is block.samples:
                samples = samples.copy()
            samples[first:last] = 0.0
            self._muted_ns += (last - first) * NS_PER_S // block.rate
        return block if samples is block.samples else replace(block, samples=samples)

    def _begin(self, last: tuple[int, int | None] | None, at_ns: int) -> None:
        if last is None or (last[1] is not None and last[1] < at_ns):
            self._spans.append((at_ns, None))
        elif at_ns < last[0]:
            # Time started anew (a bag that loops).
            self._spans.clear()
            self._spans.append((at_ns, None))
        else:
            self._spans[-1] = (last[0], None)


def _index(block: AudioBlock, time_ns: int) -> int:
    """Number of the first sample of a block at or after a time."""
    return -((block.stamp_ns - time_ns) * block.rate // NS_PER_S)
