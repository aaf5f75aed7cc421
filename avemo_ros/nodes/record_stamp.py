"""Stamps that are recorded, held against the clock by which they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from avemo_ros.bag import messages
from avemo_ros.clock import to_ns, to_s
from avemo_ros.config import InputConfig
from avemo_ros.nodes.restamp import begins_with_header, header_stamp_ns

_SCORED: Final = {
    messages.IMAGE,
    messages.COMPRESSED_IMAGE,
    messages.AUDIO_DATA,
    messages.FACE_TRACKS,
    messages.SPECTROGRAM,
    messages.EMOTION_STATES,
}
"""Types that evaluation reads, and whose stamps it holds against the times of recording."""
_MAX_AGE_NS: Final = to_ns(InputConfig().max_input_age_s)
_GRACE_S: Final = 2.0
"""When a bag starts over, its messages and /clock do not do so in the same instant."""


class StampWatch:
    """Tells once that a topic is stamped by another clock: its recording cannot be scored."""

    def __init__(
        self,
        kind: str,
        message: Any,
        *,
        simulated: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up.

        Args:
            kind: type of the topic.
            message: its Python class.
            simulated: whether it is recorded by /clock.
            now: seconds of a steady clock.
        """
        self._open = kind in _SCORED and begins_with_header(message)
        self._simulated = simulated
        self._now = now
        self._far_since: float | None = None

    def complaint(self, data: bytes, log_ns: int) -> str:
        """What is wrong with the stamp of a message; empty if nothing is, or it was said.

        Args:
            data: the message as CDR.
            log_ns: when it came, by the clock of the recording [ns].
        """
        if not self._open or log_ns <= 0:
            return ""
        stamp_ns = header_stamp_ns(data)
        # Zero means that its driver does not stamp; the time of recording stands in for it.
        if stamp_ns <= 0 or abs(log_ns - stamp_ns) <= _MAX_AGE_NS:
            self._far_since = None
            return ""
        now_s = self._now()
        self._far_since = now_s if self._far_since is None else self._far_since
        if self._simulated and now_s - self._far_since < _GRACE_S:
            return ""
        self._open = False
        age_ns = log_ns - stamp_ns
        side = "behind" if age_ns > 0 else "ahead of"
        return (
            f"stamps are {to_s(abs(age_ns)):.1f} s {side} this recorder's clock; `avemo bag "
            "evaluate` will leave out what is recorded so, unless told otherwise "
            f"(max_input_age_s=0); {self._advice()}"
        )

    def _advice(self) -> str:
        if self._simulated:
            return (
                "it is recorded by /clock (use_sim_time), so play one recording alone, without "
                "camera and microphone"
            )
        return (
            "if another machine stamps, synchronise the clocks of both; if a bag is played, "
            "record with --use-sim-time (use_sim_time:=true)"
        )
