"""The last moments of sound, by sample number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import SAMPLE_RATE
from avemo_ros.clock import NS_PER_S

SAMPLE_NS = NS_PER_S // SAMPLE_RATE
"""Duration of a sample at 16 kHz [ns]; a whole number."""


class SampleRing:
    """Keeps the newest samples of a 16 kHz stream and knows the time of each.

    Samples are numbered from the start of the stream.  The oldest are overwritten.  But for
    sound in doubt (`AudioFrontEnd.held_s`) it is the only place that holds raw sound for longer
    than a call, so its capacity is also how much of what people said can be found in memory.
    Not safe to share between threads.
    """

    def __init__(self, capacity: int) -> None:
        """Make an empty ring.

        Args:
            capacity: samples kept, at least 1.
        """
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; allowed: 1 or more")
        self._data: NDArray[np.float32] = np.zeros(capacity, np.float32)
        self._end = 0
        self._origin_ns = 0

    def reset(self, origin_ns: int = 0) -> None:
        """Forget all sound; sample 0 of what follows is at `origin_ns`."""
        self._data.fill(0.0)
        self._end = 0
        self._origin_ns = origin_ns

    @property
    def begin(self) -> int:
        """Number of the oldest sample kept."""
        return max(0, self._end - len(self._data))

    @property
    def end(self) -> int:
        """Number of the sample that comes next."""
        return self._end

    @property
    def origin_ns(self) -> int:
        """Sensor time of sample 0 by the newest reading of the source's clock [ns]."""
        return self._origin_ns

    @origin_ns.setter
    def origin_ns(self, value: int) -> None:
        self._origin_ns = value

    def time_ns(self, number: int) -> int:
        """Sensor time at which sample `number` begins [ns]; any number, kept or not."""
        return self._origin_ns + number * SAMPLE_NS

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add (n,) samples at the end; of more than the capacity only the last stay."""
        kept = samples[-len(self._data) :]
        at = (self._end + len(samples) - len(kept)) % len(self._data)
        first = min(len(kept), len(self._data) - at)
        self._data[at : at + first] = kept[:first]
        self._data[: len(kept) - first] = kept[first:]
        self._end += len(samples)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """A copy of samples `start` to `stop` (exclusive).

        Raises:
            IndexError: some of them are overwritten or not there yet.
        """
        if not self.begin <= start <= stop <= self._end:
            raise IndexError(
                f"samples {start} to {stop} asked for; kept: {self.begin} to {self._end}"
            )
        at = start % len(self._data)
        first = min(stop - start, len(self._data) - at)
        return np.concatenate((self._data[at : at + first], self._data[: stop - start - first]))

    def read_span(self, start_ns: int, end_ns: int) -> NDArray[np.float32]:
        """A copy of the samples that begin within [start_ns, end_ns), as far as kept."""
        start = -((self._origin_ns - start_ns) // SAMPLE_NS)
        stop = -((self._origin_ns - end_ns) // SAMPLE_NS)
        start = min(max(start, self.begin), self._end)
        return self.read(start, min(max(stop, start), self._end))
