"""Keeps a camera or microphone going: what is not there, or is unplugged, is tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.errors import SourceError
from avemo_ros.nodes import health
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.nodes.trouble import Trouble

Taken = TypeVar("Taken", covariant=True)
Item = TypeVar("Item")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_JOIN_S: Final = 3.0
_SILENT_S: Final = 5.0
"""A device that is open and delivers nothing for this long hangs in its driver."""


class Device(Protocol[Taken]):
    """What is captured from; all three raise SourceError."""

    @property
    def is_open(self) -> bool:
        """Whether it can be read from."""

    def open(self) -> None:
        """Start to capture; does nothing if open."""

    def read(self) -> Taken:
        """What was captured next; waits for it."""

    def close(self) -> None:
        """Stop to capture."""


class Capture(Generic[Item]):
    """Opens a device and reads from it on a thread; after a loss it tries again, at first
    every half second, later every five."""

    def __init__(
        self,
        node: ManagedNode,
        what: str,
        device: Device[Item],
        deliver: Callable[[Item], None],
    ) -> None:
        """Set up.

        Args:
            node: for the log.
            what: the device's kind, for log lines.
            device: to read from.
            deliver: called on the thread with what was read.
        """
        self._node = node
        self._what = what
        self._device = device
        self._deliver = deliver
        self._trouble = Trouble(node.get_logger(), what)
        self._read = health.Meter()
        self._losses = 0
        self._reading = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def start(self) -> None:
        """Begin to capture; a missing device is not an error, it is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a read under way for at most three seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        values: dict[str, object] = {
            "rate_hz": f"{self._read.rate_hz:.1f}",
            "read": self._read.count,
            "losses": self._losses,
            "last_error": self._trouble.last,
        }
        quiet_s = self._read.quiet_s
        if self._reading and self._read.count and quiet_s > _SILENT_S:
            self._trouble.report(
                "hangs", f"nothing came for {quiet_s:.0f} s and the driver does not answer"
            )
            return health.status(self._what, health.ERROR, self._trouble.last, values)
        if not self._device.is_open:
            message = self._trouble.last or "not open yet"
            return health.status(self._what, health.ERROR, message, values)
        return health.status(self._what, health.OK, "captures", values)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._device.open()
                while not self._stopping.is_set():
                    self._reading = True
                    item = self._device.read()
                    self._reading = False
                    if self._stopping.is_set():
                        break
                    self._trouble.good()
                    pause_s = _FIRST_PAUSE_S
                    self._read.add()
                    self._deliver(item)
            except SourceError as error:
                self._losses += 1
                self._trouble.report(str(error), f"{error}; trying again")
            except Exception as error:  # noqa: BLE001  the thread has to go on
                self._losses += 1
                text = f"{type(error).__name__}: {error}"
                self._trouble.report(type(error).__name__, f"{text}; trying again")
                # A source closes what it reports itself; this it did not see coming.
                self._close()
            self._reading = False
            self._stopping.wait(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
        self._close()

    def _close(self) -> None:
        try:
            self._device.close()
        except Exception as error:  # noqa: BLE001  the thread has to go on
            self._trouble.report("close", f"cannot be closed: {type(error).__name__}: {error}")
