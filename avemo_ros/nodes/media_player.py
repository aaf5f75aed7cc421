"""A media file played at real time onto the topics of a camera and a microphone."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from rosgraph_msgs.msg import Clock

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.clock import NS_PER_S, to_s
from avemo_ros.errors import ConfigError
from avemo_ros.nodes import convert, health, outlets, qos
from avemo_ros.nodes.outlets import PictureOutlet, SoundOutlet
from avemo_ros.nodes.parameters import Parameter
from avemo_ros.nodes.shell import ManagedNode, run
from avemo_ros.source.due import by_due_time
from avemo_ros.source.media import MediaFile, VideoFrame

FILE: Final = Parameter("file", "", "Media file with pictures, sound or both.")
LOOP: Final = Parameter("loop", False, "Start again at the end; time goes on.")
CLOCK: Final = Parameter(
    "clock",
    False,
    "Publish /clock and stamp with it: simulated time that starts at 10 s when the file "
    "starts. The other nodes then need use_sim_time.",
)
WAIT: Final = Parameter(
    "wait_for_subscribers_s",
    10.0,
    "Start when somebody subscribes to what the file holds, at the latest after this time "
    "[s]; 0 starts at once.",
    low=0.0,
    high=3600.0,
)
AT_END: Final = Parameter(
    "at_end",
    "exit",
    "At the end of the file the process ends ('exit'), or the node stays without publishing "
    "('idle').",
    choices=("exit", "idle"),
)
PARAMETERS: Final = (
    FILE,
    LOOP,
    CLOCK,
    WAIT,
    AT_END,
    outlets.CAMERA_FRAME,
    outlets.MICROPHONE_FRAME,
    outlets.COMPRESSED,
)

_SIM_START_NS: Final = 10 * NS_PER_S
"""Time zero means "no time" in ROS, so simulated time starts later."""
_CLOCK_PERIOD_S: Final = 0.01
_AHEAD: Final = 32
"""Decoded pictures and blocks of sound that wait for their time."""
_SETTLE_S: Final = 0.5
"""From the first subscription to the start: discovery of both sides takes its time, and before
the end so that the last messages arrive."""
_LATE_NS: Final = NS_PER_S // 2
_JOIN_S: Final = 3.0
"""A file on a disk that no longer answers must not hold up the end of the node."""
_POLL_S: Final = 0.1

Item = VideoFrame | AudioBlock


class MediaPlayer(ManagedNode):
    """Publishes `image_raw`, `audio` and `audio_info`, and `/clock` on request.

    Pictures and sound are stamped with the time at which they are presented; a block of sound
    is sent when its last sample has been, as a microphone does.
    """

    def __init__(self) -> None:
        super().__init__("media_player", PARAMETERS)
        self._media: MediaFile | None = None
        self._pictures: PictureOutlet | None = None
        self._sound: SoundOutlet | None = None
        self._clock_out: Any = None
        self._thread: threading.Thread | None = None
        self._ender: Any = None
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._sent = health.Meter()
        self._base_ns = 0
        self._base_s = 0.0

    def prepare(self) -> None:
        """Look at the file."""
        path = self.value(FILE)
        if not path:
            raise ConfigError(FILE.name, path, "path of a media file")
        self._media = media = MediaFile(path)
        parts = []
        if media.has_video:
            parts.append(f"{media.width}x{media.height} at {media.fps:.2f} Hz")
        if media.has_audio:
            parts.append(f"sound of {media.rate} Hz, {media.channels} channel(s)")
        self.get_logger().info(f"{path}: {', '.join(parts)}, {media.duration_s:.1f} s")

    def open(self) -> None:
        """Make the topics and play."""
        assert self._media is not None
        if self._media.has_video:
            self._pictures = PictureOutlet(self)
        if self._media.has_audio:
            self._sound = SoundOutlet(self)
            self._sound.announce(self._media.rate, self._media.channels)
        if self.value(CLOCK):
            self._clock_out = self.create_publisher(Clock, "/clock", qos.result(1))
        self._stopping.clear()
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()
        self._ender = self.create_timer(0.1, self._end_if_over, clock=self.steady)

    def close(self) -> None:
        """Stop and remove the topics."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
            self._thread = None
        if self._ender is not None:
            self.destroy_timer(self._ender)
            self._ender = None
        for outlet in (self._pictures, self._sound):
            if outlet is not None:
                outlet.close()
        self._pictures = self._sound = None
        if self._clock_out is not None:
            self.destroy_publisher(self._clock_out)
            self._clock_out = None

    def release(self) -> None:
        """Let the file go."""
        self._media = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        values: dict[str, object] = {
            "file": self.value(FILE),
            "sent": self._sent.count,
            "rate_hz": f"{self._sent.rate_hz:.1f}",
        }
        if self._ended.is_set():
            return [health.status("player", health.STALE, "the file has ended", values)]
        return [health.status("player", health.OK, "plays", values)]

    def _end_if_over(self) -> None:
        if self._ended.is_set() and self.value(AT_END) == "exit":
            self.finished()

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:  # noqa: BLE001  said; the node ends or stays as at the end
            self.get_logger().error(f"{type(error).__name__}: {error}")
        self._stopping.wait(_SETTLE_S)
        self._ended.set()
        while self._clock_out and not self._stopping.wait(_CLOCK_PERIOD_S):
            self._tell_time()

    def _play(self) -> None:
        self._wait_for_subscribers()
        self._base_s = time.monotonic()
        self._base_ns = _SIM_START_NS if self.value(CLOCK) else self.now_ns()
        length_ns = self._play_once()
        while self.value(LOOP) and length_ns and not self._stopping.is_set():
            self._base_ns += length_ns
            self._base_s += to_s(length_ns)
            length_ns = self._play_once()
        if not self._stopping.is_set():
            self.get_logger().info("the file has ended")

    def _wait_for_subscribers(self) -> None:
        self._base_s, self._base_ns = time.monotonic(), _SIM_START_NS
        limit = self._base_s + self.value(WAIT)
        outlets_there = [item for item in (self._pictures, self._sound) if item is not None]
        while time.monotonic() < limit:
            if all(outlet.subscribers for outlet in outlets_there):
                self._stopping.wait(_SETTLE_S)
                return
            if self._stopping.wait(0.05):
                return
            self._tell_time(standing=True)
        if self.value(WAIT) > 0:
            self.get_logger().warning("nobody subscribes to all of it; starting all the same")

    def _play_once(self) -> int:
        """Play the file from its start; returns how long it was [ns]."""
        assert self._media is not None
        frame_ns = round(NS_PER_S / self._media.fps) if self._media.fps > 0 else 0
        end_ns = 0
        for due_ns, item in by_due_time(self._prefetched()):
            if not self._sleep_until(due_ns):
                break
            self._send(item)
            end_ns = max(end_ns, due_ns + (frame_ns if isinstance(item, VideoFrame) else 0))
        return end_ns

    def _send(self, item: Item) -> None:
        stamp_ns = self._base_ns + item.stamp_ns
        self._sent.add()
        if isinstance(item, AudioBlock):
            if self._sound is not None:
                self._sound.publish(item, stamp_ns)
        elif self._pictures is not None:
            self._pictures.publish(item.image, stamp_ns)

    def _sleep_until(self, media_ns: int) -> bool:
        """Wait for a time of the file; false when told to stop."""
        while True:
            left_s = self._base_s + to_s(media_ns) - time.monotonic()
            if left_s <= 0 or self._stopping.is_set():
                break
            self._stopping.wait(min(left_s, _CLOCK_PERIOD_S) if self._clock_out else left_s)
            self._tell_time()
        late_ns = round(-left_s * NS_PER_S)
        if late_ns > _LATE_NS:
            # Sending what was missed in a burst would be no real time.
            self.get_logger().warning(
                f"this machine is too slow: playing stood still for {to_s(late_ns):.1f} s"
            )
            self._base_s += to_s(late_ns)
            if not self._clock_out:
                self._base_ns += late_ns
        return not self._stopping.is_set()

    def _tell_time(self, *, standing: bool = False) -> None:
        if self._clock_out:
            passed_s = 0.0 if standing else time.monotonic() - self._base_s
            now_ns = self._base_ns + round(passed_s * NS_PER_S)
            self._clock_out.publish(Clock(clock=convert.to_time(now_ns)))

    def _prefetched(self) -> Iterator[Item]:
        """The file's content, decoded on a thread of its own."""
        assert self._media is not None
        media = self._media
        ready: queue.Queue[Item | Exception | None] = queue.Queue(_AHEAD)
        stop = threading.Event()

        def put(item: Item | Exception | None) -> None:
            while not stop.is_set():
                try:
                    ready.put(item, timeout=_POLL_S)
                except queue.Full:
                    continue
                return

        def decode() -> None:
            try:
                for item in media:
                    put(item)
                    if stop.is_set():
                        return
            except Exception as error:  # noqa: BLE001  raised where the items are taken
                put(error)
            finally:
                put(None)

        thread = threading.Thread(target=decode, name="decoder", daemon=True)
        thread.start()
        try:
            while not self._stopping.is_set():
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
            thread.join(_JOIN_S / 2)


def main() -> int:
    """Run the node."""
    return run(MediaPlayer)


if __name__ == "__main__":
    raise SystemExit(main())
