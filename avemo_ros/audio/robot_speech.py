"""Replaces the robot's own speech by silence, so that it counts as nobody's emotion."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.pcm import OffsetMeter
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.timing import NS_PER_S, to_ns

TAIL_NS: Final = to_ns(0.3)
"""The room still sounds, and the loudspeaker's buffer plays, this long after the robot's last
word."""
LONGEST_NS: Final = to_ns(30.0)
"""A robot that has told nothing more for this long has ended, or died while it spoke: who
speaks for longer tells so again, as the dialog node does every second."""
_KEPT: Final = 64
"""Stretches of speech that are remembered; sound is never that far behind."""


class RobotSpeechMask:
    """Knows when the robot spoke and silences the sound of that time.

    Times and stamps are of one clock.  It may be updated on one thread and asked on another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: deque[tuple[int, int | None]] = deque(maxlen=_KEPT)
        self._offset = OffsetMeter()
        self._silence: NDArray[np.float32] = np.zeros(1, np.float32)
        self._inside = False
        self._message_ns = 0
        self._muted_ns = 0
        self._timeouts = 0

    def reset(self) -> None:
        """Forget when the robot spoke, e.g. as nobody listened to what it told; the counters go
        on."""
        with self._lock:
            self._spans.clear()
            self._inside = False

    @property
    def muted_s(self) -> float:
        """Length of all the sound that was silenced [s]."""
        return self._muted_ns / NS_PER_S

    @property
    def timeouts(self) -> int:
        """Times that the robot spoke, by what it told, and was never heard to end."""
        return self._timeouts

    @property
    def speaking(self) -> bool:
        """The robot speaks, by the last message and the newest time that was seen."""
        with self._lock:
            return bool(self._spans) and self._spans[-1][1] is None

    def set_speaking(self, at_ns: int, *, speaking: bool) -> None:
        """The robot speaks from now on, or has ended; what is repeated changes nothing.

        Args:
            at_ns: now [ns].
            speaking: whether it speaks.
        """
        with self._lock:
            self._time_out(at_ns)
            last = self._spans[-1] if self._spans else None
            if speaking:
                self._begin(last, at_ns)
                self._message_ns = at_ns
            elif last is not None and last[1] is None:
                self._spans[-1] = (last[0], at_ns + TAIL_NS)

    def mask(self, block: AudioBlock) -> AudioBlock:
        """The block, silent where the robot spoke; the very block where it did not.

        It speaks from `tell(speaking=True)` to `tell(speaking=False)`, or for 30 s after the
        last of the former, and 0.3 s longer.
        """
        samples = block.samples
        end_ns = block.stamp_ns + len(samples) * NS_PER_S // block.rate
        with self._lock:
            self._time_out(end_ns)
            spans = tuple(self._spans)
        heard = 0
        for start_ns, stop_ns in spans:
            first = max(0, _index(block, start_ns))
            last = len(samples)
            if stop_ns is not None:
                last = min(last, _index(block, stop_ns))
            if first >= last:
                continue
            if samples is block.samples:
                samples = samples.copy()
            if first or not self._inside or samples.shape[1] != len(self._silence) > 1:
                self._offset.add(block.samples[heard:first], block.rate)
                self._silence = self._offset.value
            samples[first:last] = self._silence
            heard, self._inside = last, last == len(samples)
            self._muted_ns += (last - first) * NS_PER_S // block.rate
        if heard < len(samples):
            self._offset.add(block.samples[heard:], block.rate)
            self._inside = False
        return block if samples is block.samples else replace(block, samples=samples)

    def _time_out(self, now_ns: int) -> None:
        if not self._spans or self._spans[-1][1] is not None:
            return
        over_ns = self._message_ns + LONGEST_NS + TAIL_NS
        if now_ns > over_ns:
            self._spans[-1] = (self._spans[-1][0], over_ns)
            self._timeouts += 1

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
