"""Time of a recording that runs with real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from avemo_ros.clock import NS_PER_S, to_ns, to_s

_TICK_S: Final = 0.01
"""How often the time is told."""
_LATE_S: Final = 0.5
"""Sending in a burst what was missed for longer would be no real time."""


class Pace:
    """Says when the time for something has come.

    Where the machine cannot keep up the time stands still for as long.
    """

    def __init__(
        self,
        stopping: threading.Event,
        rate: float = 1.0,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        """Set up.

        Args:
            stopping: ends every wait.
            rate: seconds of the recording in a second.
            tell: called with the time [ns] a hundred times a second while something is waited
                for, and when its time has come, never with a later time.
        """
        self._stopping = stopping
        self._rate = rate
        self._tell = tell
        self._began_s = time.monotonic()
        self._began_ns = 0

    def start(self, time_ns: int) -> None:
        """From now on it is this time, and goes on."""
        self._began_s, self._began_ns = time.monotonic(), time_ns

    def rewind(self, by_ns: int) -> None:
        """It is so much earlier, and goes on from there [ns]."""
        self._began_ns -= by_ns

    @property
    def now_ns(self) -> int:
        """The time [ns]."""
        passed_s = time.monotonic() - self._began_s
        return self._began_ns + round(passed_s * self._rate * NS_PER_S)

    def wait_until(self, time_ns: int) -> int | None:
        """Wait until it is so late.

        Returns:
            How long the time stood still because the machine did not keep up [ns], mostly 0;
            None when told to stop.
        """
        while (left_ns := time_ns - self.now_ns) > 0 and not self._stopping.is_set():
            left_s = to_s(left_ns) / self._rate
            self._stopping.wait(min(left_s, _TICK_S) if self._tell else left_s)
            if self._tell:
                self._tell(min(self.now_ns, time_ns))
        if self._stopping.is_set():
            return None
        if self._tell:
            # Who is late all the time never waits, and must tell the time all the same.
            self._tell(time_ns)
        late_ns = self.now_ns - time_ns
        if late_ns <= to_ns(_LATE_S) * self._rate:
            return 0
        self._began_ns -= late_ns
        return late_ns

    def go_on(self, seconds: float) -> None:
        """Wait so long, while the time goes on."""
        self.wait_until(self.now_ns + round(seconds * self._rate * NS_PER_S))

    def stand(self, seconds: float) -> bool:
        """Wait, and tell the time at which it started; false when told to stop."""
        limit = time.monotonic() + seconds
        while (left_s := limit - time.monotonic()) > 0 and not self._stopping.is_set():
            if self._tell:
                self._tell(self._began_ns)
            self._stopping.wait(min(left_s, _TICK_S))
        return not self._stopping.is_set()
