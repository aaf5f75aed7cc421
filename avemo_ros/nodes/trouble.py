"""What is wrong with an input: said once when it begins and once when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

_REPEAT_S: Final = 30.0
"""A trouble that lasts is said again after this time."""
_FRESH_S: Final = 3.0
"""A trouble counts as present for this long after its last sign."""
_LINES: Final = 10
"""Different kinds that are said within the time of a repeat; what kinds there are may depend on
what comes from outside."""
_TOLD: Final = 1000
"""Kinds that are said once, of one input."""


class Trouble:
    """Log lines and last error of one input; for several threads.

    An image stream of 30 Hz with a wrong encoding gives one line, then one every 30 s with
    the count, and one line when images are good again.  However kinds and good items follow
    one another, no kind is said more often, and all of them together give few lines.
    """

    def __init__(
        self, logger: Any, what: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up.

        Args:
            logger: of the node.
            what: the input's name, which begins every line, e.g. "images".
            now: seconds of a steady clock.
        """
        self._logger = logger
        self._what = what
        self._now = now
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}
        self._open: set[str] = set()
        self._told: set[str] = set()
        self._since = 0
        self.count = 0
        """Bad items since the start."""
        self.last = ""
        """The newest trouble, empty if there never was one."""
        self._last_s = -_FRESH_S

    @property
    def present(self) -> bool:
        """Something was wrong within the last seconds."""
        return self._now() - self._last_s < _FRESH_S

    def report(self, kind: str, text: str) -> None:
        """Something is wrong with this item of input.

        Args:
            kind: troubles of one kind share a line; another kind has a line of its own.  One
                of a few words, never a text that changes from item to item.
            text: what is wrong, and what to do about it.
        """
        with self._lock:
            now = self._now()
            self.count += 1
            self._since += 1
            self.last = text
            self._last_s = now
            if not self._may_say(kind, now):
                return
            again = "" if self._since == 1 else f" ({self._since} of them so far)"
            self._open.add(kind)
        self._logger.error(f"{self._what}: {text}{again}")  # noqa: G004  rclpy takes no arguments

    def good(self) -> None:
        """This item of input was good."""
        if not self._since:
            return
        with self._lock:
            bad, self._since = self._since, 0
            said = bool(self._open)
            self._open.clear()
        if said:
            self._logger.info(f"{self._what}: good again after {bad} bad")  # noqa: G004

    def note(self, kind: str, text: str) -> None:
        """Warn of something that is over already; of one kind at most every 30 s."""
        with self._lock:
            now = self._now()
            if not self._may_say(kind, now):
                return
        self._logger.warning(f"{self._what}: {text}")  # noqa: G004

    def once(self, kind: str, text: str) -> None:
        """Warn of something that is usable all the same; every kind is said once."""
        with self._lock:
            if kind in self._told or len(self._told) >= _TOLD:
                return
            self._told.add(kind)
        self._logger.warning(f"{self._what}: {text}")  # noqa: G004

    def _may_say(self, kind: str, now: float) -> bool:
        """Whether a line of this kind is due; it counts as said then."""
        self._said = {one: at for one, at in self._said.items() if now - at < _REPEAT_S}
        if kind in self._said or len(self._said) >= _LINES:
            return False
        self._said[kind] = now
        return True
