"""Shared by nodes that play a recording: playback clock, prefetching, /clock and the end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field
from rosgraph_msgs.msg import Clock

from avemo_ros.errors import AvemoError
from avemo_ros.nodes import convert, diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.settings import Settings
from avemo_ros.timing import NS_PER_S, to_ns, to_s

_TICK_S: Final = 0.01
"""How often /clock is published while waiting."""
_LATE_S: Final = 0.5
"""After a longer delay, playback pauses instead of sending a burst."""


Prefetched = TypeVar("Prefetched")
_READER_JOIN_S: Final = 1.5
"""A disk that no longer answers must not hold up the end of the node."""
_POLL_S: Final = 0.1
_SETTLE_S: Final = 0.5
"""From the last subscription to the start: discovery of both sides takes its time, and before
the end so that the last messages arrive."""
_JOIN_S: Final = 3.0
"""A file on a disk that no longer answers must not hold up the end of the node."""
_FOR_EVER_S: Final = 1e9


class PlaybackClock:
    """The time of a recording, running with real time.

    If the machine cannot keep up, it stands still for as long.
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


def prefetch(
    items: Callable[[], Iterable[Prefetched]], count: int, stopping: threading.Event
) -> Iterator[Prefetched]:
    """The same items in their order; what reading raises is raised here.

    Args:
        items: called on the thread.
        count: so many at most wait.
        stopping: ends it early.
    """
    ready: queue.Queue[Prefetched | Exception | None] = queue.Queue(count)
    stop = threading.Event()

    def put(item: Prefetched | Exception | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items():
                put(item)
                if stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001  raised where the items are taken
            put(error)
        finally:
            put(None)

    thread = threading.Thread(target=read, name="reader", daemon=True)
    thread.start()
    try:
        while not stopping.is_set():
            try:
                item = ready.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item
    finally:
        stop.set()
        thread.join(_READER_JOIN_S)


class PlayerSettings(Settings):
    """Parameters of every player."""

    loop: bool = Field(False, description="Start again at the end; time keeps rising.")
    wait_for_subscribers_s: float = Field(
        10.0,
        ge=0.0,
        le=3600.0,
        description=("Wait at most this long for subscribers [s]; 0 starts at once."),
    )
    at_end: Literal["exit", "idle"] = Field(
        "exit",
        description=(
            "At the end of the recording, end the process ('exit') or keep the node without "
            "publishing ('idle')."
        ),
    )


class Player(ManagedNode):
    """Plays on a thread of its own while it is active, and publishes /clock on request.

    A derived node says what is played in `play`, and publishes it at the times that `pace`
    says.
    """

    what = "recording"
    """What is played, for log lines."""

    def __init__(self, name: str, own: Sequence[type[Settings]]) -> None:
        """Set up; arguments as for `ManagedNode`."""
        super().__init__(name, [PlayerSettings, *own])
        self.stopping = threading.Event()
        self.playback_clock = PlaybackClock(self.stopping)
        self.sent = diagnostics.Meter()
        self.zero_ns = 0
        """Stamp of time 0 of the pace [ns]."""
        self._clock_out: Any = None
        self._stalls = ThrottledLog(self.get_logger(), "player")
        self._thread: threading.Thread | None = None
        self._ender: Any = None
        self._ended = threading.Event()

    # --- for derived nodes

    def play(self) -> None:
        """Publish until the end, or until `stopping` is set."""

    def figures(self) -> dict[str, object]:
        """What /diagnostics says beside the count."""
        return {}

    def begin(self, *, clock: bool, rate: float = 1.0) -> None:
        """Start to play; to be called at the end of `open`."""
        if clock:
            self._clock_out = self.create_publisher(Clock, "/clock", qos.result(1))
        self.failed = False
        self.stopping.clear()
        self._ended.clear()
        self.playback_clock = PlaybackClock(
            self.stopping, rate, self._tell_time if clock else None
        )
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()
        self._ender = self.create_timer(0.1, self._end_if_over, clock=self.steady)

    def wait_for_subscribers(self, listening: Callable[[], int]) -> None:
        """Wait, at the time at which the pace stands, until somebody listens and nobody more
        comes.

        Args:
            listening: how many do; 0 while anything lacks that is needed.
        """
        limit = time.monotonic() + self.read(PlayerSettings).wait_for_subscribers_s
        while time.monotonic() < limit:
            count = listening()
            if count:
                if not self.playback_clock.stand(_SETTLE_S) or listening() == count:
                    return
            elif not self.playback_clock.stand(0.05):
                return
        if self.read(PlayerSettings).wait_for_subscribers_s > 0:
            self.get_logger().warning("not every topic has a subscriber; starting anyway")

    def wait_until(self, time_ns: int) -> int | None:
        """As `Pace.wait_until`, with a line in the log when the time stood still."""
        late_ns = self.playback_clock.wait_until(time_ns)
        if late_ns:
            self._stalls.note(
                "slow",
                f"this machine is too slow: playback paused for {to_s(late_ns):.1f} s",
            )
        return late_ns

    # --- as for every managed node

    def close(self) -> None:
        """Stop and remove the topics; derived nodes remove theirs after that."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
            self._thread = None
        if self._ender is not None:
            self.destroy_timer(self._ender)
            self._ender = None
        if self._clock_out is not None:
            self.destroy_publisher(self._clock_out)
            self._clock_out = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        values = {
            **self.figures(),
            "sent": self.sent.count,
            "rate_hz": f"{self.sent.rate_hz:.1f}",
        }
        if self._ended.is_set():
            message = f"the {self.what} has ended"
            return [diagnostics.status("player", diagnostics.STALE, message, values)]
        return [diagnostics.status("player", diagnostics.OK, "plays", values)]

    def _end_if_over(self) -> None:
        if self._ended.is_set() and self.read(PlayerSettings).at_end == "exit":
            self.finished()

    def _run(self) -> None:
        try:
            self.play()
        except Exception as error:  # noqa: BLE001  said; the node ends or stays as at the end
            self.failed = True
            kind = "" if isinstance(error, AvemoError) else f"{type(error).__name__}: "
            self.get_logger().error(f"{kind}{error}")
        else:
            if not self.stopping.is_set():
                self.get_logger().info(f"the {self.what} has ended")
        self.playback_clock.go_on(_SETTLE_S)
        self._ended.set()
        if self._clock_out is not None:
            self.playback_clock.go_on(_FOR_EVER_S)

    def _tell_time(self, time_ns: int) -> None:
        if self._clock_out is not None:
            stamp = convert.to_time(self.zero_ns + time_ns)
            self._clock_out.publish(Clock(clock=stamp))
