"""A media file played at real time onto the topics of a camera and a microphone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.errors import ConfigError
from avemo_ros.nodes.base_node import run
from avemo_ros.nodes.capture import (
    AudioPublisher,
    AudioPublisherSettings,
    ImagePublisher,
    ImagePublisherSettings,
)
from avemo_ros.nodes.playback import Player, PlayerSettings, prefetch
from avemo_ros.settings import Settings
from avemo_ros.source.media_file import MediaFile, VideoFrame, by_due_time
from avemo_ros.timing import NS_PER_S


class MediaPlayerSettings(Settings):
    """Parameters of the player of media files."""

    file: str = Field("", description="Media file with images, audio or both.")
    clock: bool = Field(
        False,
        description=(
            "Publish /clock and stamp with it: simulated time, which is 10 s when the file "
            "starts. The other nodes then need use_sim_time."
        ),
    )
    subscribers: int = Field(
        1,
        ge=1,
        le=100,
        description=(
            "Start when every topic has this many subscribers, or after wait_for_subscribers_s."
        ),
    )


_SIM_START_NS: Final = 10 * NS_PER_S
"""Time zero means "no time" in ROS, so simulated time starts later."""
_AHEAD: Final = 32
_AHEAD_BYTES: Final = 128 << 20
"""Decoded images and blocks of sound that wait for their time."""


class MediaPlayer(Player):
    """Publishes `image_raw`, `audio` and `audio_info`, and `/clock` on request.

    Images and sound are stamped with the time at which they are presented; a block of sound
    is sent when its last sample has been, as a microphone does.
    """

    what = "file"

    def __init__(self) -> None:
        super().__init__(
            "media_player",
            [MediaPlayerSettings, ImagePublisherSettings, AudioPublisherSettings],
        )
        self._media: MediaFile | None = None
        self._images: ImagePublisher | None = None
        self._audio: AudioPublisher | None = None
        self._reported: set[str] = set()

    @property
    def _given(self) -> MediaPlayerSettings:
        return self.read(MediaPlayerSettings)

    def prepare(self) -> None:
        """Look at the file."""
        path = self._given.file
        if not path:
            raise ConfigError("file", path, "path of a media file")
        self._media = media = MediaFile(path)
        parts = []
        if media.has_video:
            parts.append(f"{media.width}x{media.height} at {media.fps:.2f} Hz")
        if media.has_audio:
            parts.append(f"audio of {media.rate} Hz, {media.channels} channel(s)")
        self.get_logger().info(f"{path}: {', '.join(parts)}, {media.duration_s:.1f} s")
        self._log_notes(media.notes)

    def open(self) -> None:
        """Make the topics and play."""
        assert self._media is not None
        if self._media.has_video:
            self._images = ImagePublisher(self)
        if self._media.has_audio:
            self._audio = AudioPublisher(self)
            self._audio.announce(self._media.rate, self._media.channels)
        self.begin(clock=self._given.clock)

    def close(self) -> None:
        """Stop and remove the topics."""
        super().close()
        for outlet in (self._images, self._audio):
            if outlet is not None:
                outlet.close()
        self._images = self._audio = None

    def release(self) -> None:
        """Let the file go."""
        self._media = None
        self._reported.clear()

    def figures(self) -> dict[str, object]:
        """For /diagnostics."""
        return {"file": self._given.file}

    def play(self) -> None:
        """Play the file, if wanted again and again."""
        self.zero_ns = _SIM_START_NS
        self.playback_clock.start(0)
        self.wait_for_subscribers(self._listening)
        self.playback_clock.start(0)
        if not self._given.clock:
            self.zero_ns = self.now_ns()
        length_ns = self._play_once()
        if self._media is not None:
            self._log_notes(self._media.notes)
        while self.read(PlayerSettings).loop and length_ns and not self.stopping.is_set():
            self.zero_ns += length_ns
            self.playback_clock.rewind(length_ns)
            length_ns = self._play_once()

    def _log_notes(self, notes: Sequence[str]) -> None:
        """Log what was not logged of this file before."""
        for note in notes:
            if note not in self._reported:
                self.get_logger().warning(f"{self._given.file}: {note}")
        self._reported.update(notes)

    def _listening(self) -> int:
        counts = [
            outlet.subscribers for outlet in (self._images, self._audio) if outlet is not None
        ]
        return sum(counts) if min(counts) >= self._given.subscribers else 0

    def _play_once(self) -> int:
        """Play the file from its start; returns how long it was [ns]."""
        media = self._media
        assert media is not None
        frame_ns = round(NS_PER_S / media.fps) if media.fps > 0 else 0
        end_ns = 0
        fitting = _AHEAD_BYTES // max(1, 3 * media.width * media.height)
        ahead = prefetch(lambda: media, min(_AHEAD, max(1, fitting)), self.stopping)
        for due_ns, item in by_due_time(ahead):
            late_ns = self.wait_until(due_ns)
            if late_ns is None:
                break
            if not self._given.clock:
                self.zero_ns += late_ns
            self._send(item)
            end_ns = max(end_ns, due_ns + (frame_ns if isinstance(item, VideoFrame) else 0))
        return end_ns

    def _send(self, item: VideoFrame | AudioBlock) -> None:
        stamp_ns = self.zero_ns + item.stamp_ns
        self.sent.add()
        if isinstance(item, AudioBlock):
            if self._audio is not None:
                self._audio.publish(item, stamp_ns)
        elif self._images is not None:
            self._images.publish(item.image, stamp_ns)


def main() -> int:
    """Run the node."""
    return run(MediaPlayer)


if __name__ == "__main__":
    raise SystemExit(main())
