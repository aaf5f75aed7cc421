"""What nodes have in common that publish a recording in its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field
from rosgraph_msgs.msg import Clock

from avemo_ros.clock import to_s
from avemo_ros.errors import AvemoError
from avemo_ros.nodes import convert, health, qos
from avemo_ros.nodes.pace import Pace
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.settings import Settings


class PlayerSettings(Settings):
    """Parameters of every player."""

    loop: bool = Field(False, description="Start again at the end; time goes on.")
    wait_for_subscribers_s: float = Field(
        10.0,
        ge=0.0,
        le=3600.0,
        description=(
            "Start when somebody subscribes to what is played, at the latest after this time "
            "[s]; 0 starts at once."
        ),
    )
    at_end: Literal["exit", "idle"] = Field(
        "exit",
        description=(
            "At the end the process ends ('exit'), or the node stays without publishing "
            "('idle')."
        ),
    )


_SETTLE_S: Final = 0.5
"""From the last subscription to the start: discovery of both sides takes its time, and before
the end so that the last messages arrive."""
_JOIN_S: Final = 3.0
"""A file on a disk that no longer answers must not hold up the end of the node."""
_FOR_EVER_S: Final = 1e9


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
        self.pace = Pace(self.stopping)
        self.sent = health.Meter()
        self.zero_ns = 0
        """Stamp of time 0 of the pace [ns]."""
        self._clock_out: Any = None
        self._stalls = Trouble(self.get_logger(), "player")
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
        self.pace = Pace(self.stopping, rate, self._tell_time if clock else None)
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
                if not self.pace.stand(_SETTLE_S) or listening() == count:
                    return
            elif not self.pace.stand(0.05):
                return
        if self.read(PlayerSettings).wait_for_subscribers_s > 0:
            self.get_logger().warning("nobody subscribes to all of it; starting all the same")

    def wait_until(self, time_ns: int) -> int | None:
        """As `Pace.wait_until`, with a line in the log when the time stood still."""
        late_ns = self.pace.wait_until(time_ns)
        if late_ns:
            self._stalls.note(
                "slow",
                f"this machine is too slow: playing stood still for {to_s(late_ns):.1f} s",
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
            return [health.status("player", health.STALE, message, values)]
        return [health.status("player", health.OK, "plays", values)]

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
        self.pace.go_on(_SETTLE_S)
        self._ended.set()
        if self._clock_out is not None:
            self.pace.go_on(_FOR_EVER_S)

    def _tell_time(self, time_ns: int) -> None:
        if self._clock_out is not None:
            stamp = convert.to_time(self.zero_ns + time_ns)
            self._clock_out.publish(Clock(clock=stamp))
