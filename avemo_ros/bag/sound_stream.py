"""The sound of a recording, message by message: decoded and stamped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag import content
from avemo_ros.bag.sound import SoundFormat, length_ns, own_format, samples_of
from avemo_ros.errors import AudioFormatError


class SoundStream:
    """Decodes sound as the live node does; the time of recording is its time of arrival.

    Args:
        form: of what comes first, where messages do not say their own.
        no_stamp: told the topic of each message without a stamp.
    """

    def __init__(self, form: SoundFormat | None, no_stamp: Callable[[str], None]) -> None:
        self.form = form
        self._no_stamp = no_stamp

    def block(self, topic: str, message: Any, log_ns: int) -> AudioBlock:
        """The sound of a message.

        Raises:
            AudioFormatError: the format cannot be read, or the data do not fit to it.
        """
        form = own_format(message) or self.form
        if form is None:
            raise AudioFormatError("its format is not known")
        samples = samples_of(message, form)
        stamp_ns = 0
        if hasattr(message, "header"):
            stamp_ns = content.stamp_ns(message.header.stamp)
            if stamp_ns <= 0:
                self._no_stamp(topic)
        if stamp_ns <= 0:
            stamp_ns = log_ns - length_ns(samples, form)
        return AudioBlock(stamp_ns, form.rate, samples)
