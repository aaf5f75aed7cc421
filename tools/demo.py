"""The demo: real nodes, real topics, people's emotion live in the terminal.

`make demo` plays the sample clip, `make demo CLIP=file` any media file, and
`make demo SOURCE=devices` takes webcam and microphone until Ctrl-C.  The states go by as a
table; an annotated video, a timeline page and the states as JSON Lines stay in out/demo.
"""

from __future__ import annotations

import abc
import argparse
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo_nodes import (
    DONE,
    INTERRUPTED,
    NOT_STARTED,
    ROOT,
    SAMPLE,
    DemoError,
    Node,
    check_ros,
    join_domain,
    wait_for,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avemo_ros.audio.spectrogram import AudioBlock
    from avemo_ros.state.estimate import EmotionStep

SILENCE_LIMIT_S: Final = 30.0
"""A source that sends nothing for so long is broken."""
DRAIN_S: Final = 3.0
"""What is still on its way at the end of a clip has this long to arrive."""
WAITING: Final = 300
"""Images and blocks of sound that may wait for the encoder."""
OVERLAY_HZ: Final = 30.0 if (os.cpu_count() or 1) >= 4 else 15.0
"""Images of the annotated video a second: drawing, passing on and encoding each one costs
about as much as the whole analysis."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status (2: it could not start, 1: it failed)."""
    parser = argparse.ArgumentParser(description="Emotion states from real nodes, live.")
    parser.add_argument("--clip", type=Path, help="media file to play (default: the sample)")
    parser.add_argument(
        "--source",
        choices=("clip", "devices"),
        default="clip",
        help="'devices': webcam and microphone instead of a clip, until Ctrl-C",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out" / "demo", help="folder of the results"
    )
    parser.add_argument("--seconds", type=float, help="end after this time [s]")
    parser.add_argument("--camera", default="0", help="number, path or URL (default: 0)")
    parser.add_argument(
        "--microphone", default="", help="number or part of the name (default: the system's)"
    )
    parser.add_argument(
        "--domain",
        type=int,
        choices=range(233),
        metavar="ID",
        help="ROS domain, 0 to 232 (default: one of its own, not that of ROS_DOMAIN_ID)",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="BAG",
        help="record images, sound and states, too: a folder that is not there yet",
    )
    args = parser.parse_args(argv)
    if args.clip is not None and args.source == "devices":
        parser.error("a clip and devices exclude one another")
    try:
        # Quick answers first: the imports of ROS and of the models take seconds.
        if args.source == "clip":
            clip = (args.clip or SAMPLE).expanduser()
            if not clip.is_file():
                raise DemoError(f"there is no file '{clip}'", NOT_STARTED)
            source: Source = Clip(clip)
        else:
            source = Devices(args.camera, args.microphone)
        if args.record is not None and args.record.expanduser().exists():
            raise DemoError(
                f"'{args.record}' is there already: name another bag to record", NOT_STARTED
            )
        check_ros()
        return Demo(source, args.out, args.seconds, args.domain, args.record).run()
    except DemoError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return error.status


class Source(abc.ABC):
    """Where images and sound come from."""

    title = ""
    has_video = True
    has_audio = True
    duration_s: float | None = None
    """None: until it is interrupted."""

    @abc.abstractmethod
    def nodes(self) -> list[tuple[str, dict[str, object]]]:
        """Nodes to start, with their parameters."""


class Clip(Source):
    """A media file, played by the node `media_player`."""

    def __init__(self, path: Path) -> None:
        from avemo_ros.errors import SourceError
        from avemo_ros.source.media_file import MediaFile

        try:
            with MediaFile(path) as media:
                self.has_video, self.has_audio = media.has_video, media.has_audio
                self.duration_s = media.duration_s or None
        except SourceError as error:
            raise DemoError(str(error), NOT_STARTED) from error
        self.title = path.name
        self._path = path.resolve()

    def nodes(self) -> list[tuple[str, dict[str, object]]]:
        """The player."""
        return [("media_player", {"file": str(self._path), "at_end": "exit"})]


class Devices(Source):
    """Webcam and microphone; one of them is enough."""

    title = "camera and microphone"

    def __init__(self, camera: str, microphone: str) -> None:
        from avemo_ros.errors import SourceError
        from avemo_ros.source.camera_device import Camera
        from avemo_ros.source.microphone_device import Microphone

        self._camera, self._microphone = camera, microphone
        missing = []
        tried = (("has_video", Camera(camera)), ("has_audio", Microphone(microphone)))
        for what, device in tried:
            try:
                device.open()
            except SourceError as error:
                setattr(self, what, False)
                missing.append(str(error))
            finally:
                device.close()
        if not self.has_video and not self.has_audio:
            raise DemoError("; ".join(missing), NOT_STARTED)
        if not self.has_video:
            self.title = "microphone"
        elif not self.has_audio:
            self.title = "camera"
        for text in missing:
            print(f"demo: {text}; going on without", file=sys.stderr)

    def nodes(self) -> list[tuple[str, dict[str, object]]]:
        """One for each device that is there."""
        nodes: list[tuple[str, dict[str, object]]] = []
        if self.has_video:
            nodes.append(("camera", {"camera_device": self._camera}))
        if self.has_audio:
            nodes.append(("microphone", {"microphone_device": self._microphone}))
        return nodes


class Recorder:
    """Writes the annotated video on a thread, so that the encoder holds nothing up."""

    def __init__(self, path: Path, start_ns: int, *, sound: bool) -> None:
        from avemo_ros.sink.video_file import VideoWriter

        self._writer = VideoWriter(path, start_ns, sound=sound, rate=OVERLAY_HZ)
        self._waiting: queue.Queue[tuple[int, Any] | None] = queue.Queue(WAITING)
        self.dropped = 0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def push(self, stamp_ns: int, item: NDArray[np.uint8] | AudioBlock) -> None:
        """Take an image or a block of sound."""
        try:
            self._waiting.put_nowait((stamp_ns, item))
        except queue.Full:
            self.dropped += 1

    def finish(self) -> None:
        """Write what still waits and close the file."""
        while self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()

    def _run(self) -> None:
        from avemo_ros.audio.spectrogram import AudioBlock
        from avemo_ros.errors import AvemoError

        try:
            with self._writer:
                while (entry := self._waiting.get()) is not None:
                    stamp_ns, item = entry
                    if isinstance(item, AudioBlock):
                        self._writer.push_audio(item)
                    else:
                        self._writer.push_frame(stamp_ns, item)
        except AvemoError as error:
            self.error = error


class Listener:
    """Subscribes to what the nodes publish, and hands it on as the package's types."""

    def __init__(self, demo: Demo, source: Source) -> None:
        import rclpy
        from audio_common_msgs.msg import AudioDataStamped, AudioInfo
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from sensor_msgs.msg import Image

        from avemo_ros.bag import message_content
        from avemo_ros.msg import EmotionState, EmotionStateArray
        from avemo_ros.nodes import qos

        self._demo = demo
        self._content = message_content
        self._info: Any = None
        self._states: dict[int, Any] = {}
        self._attended: dict[int, Any] = {}
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._rclpy = rclpy
        self._node = node = rclpy.create_node("avemo_demo")
        node.create_subscription(
            EmotionStateArray, "emotion_states", self._take_states, qos.result(100)
        )
        node.create_subscription(
            EmotionState, "emotion_state", self._take_attended, qos.result(100)
        )
        if source.has_video:
            # Reliable: over best effort large images get lost.
            node.create_subscription(
                Image, "emotion_overlay", self._take_overlay, qos.result(10)
            )
        if source.has_audio:
            latched = qos.result(1, latched=True)
            node.create_subscription(AudioInfo, "audio_info", self._take_info, latched)
            node.create_subscription(
                AudioDataStamped, "audio", self._take_audio, qos.result(100)
            )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    def spin(self, seconds: float) -> None:
        """Take what comes within this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    @property
    def ready(self) -> bool:
        """The stack publishes."""
        return bool(self._node.count_publishers("emotion_states"))

    def hears(self, node: str, topic: str) -> bool:
        """Whether a node has subscribed to a topic."""
        infos = self._node.get_subscriptions_info_by_topic(f"/{topic}")
        return any(info.node_name == node for info in infos)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._rclpy.try_shutdown()

    def _take_states(self, message: Any) -> None:
        stamp_ns = self._content.stamp_ns(message.header.stamp)
        self._states[stamp_ns] = message
        self._pair(stamp_ns)

    def _take_attended(self, message: Any) -> None:
        stamp_ns = self._content.stamp_ns(message.header.stamp)
        self._attended[stamp_ns] = message
        self._pair(stamp_ns)

    def _pair(self, stamp_ns: int) -> None:
        """Both topics of one moment make a step."""
        from avemo_ros.state.estimate import EmotionStep as Together

        if stamp_ns not in self._states or stamp_ns not in self._attended:
            return
        everyone, one = self._states.pop(stamp_ns), self._attended.pop(stamp_ns)
        for waiting in (self._states, self._attended):
            # Half of a pair may have been lost; it must not wait for ever.
            for old in [stamp for stamp in waiting if stamp < stamp_ns]:
                del waiting[old]
        estimates = tuple(self._content.estimate(state) for state in everyone.states)
        step = Together(stamp_ns, estimates, self._content.estimate(one), None)
        self._demo.take_step(step, float(one.latency))

    def _take_overlay(self, message: Any) -> None:
        stamp_ns = self._content.stamp_ns(message.header.stamp)
        self._demo.take_media(stamp_ns, self._content.image(message))

    def _take_info(self, message: Any) -> None:
        self._info = message

    def _take_audio(self, message: Any) -> None:
        from avemo_ros.audio.pcm import decode_pcm
        from avemo_ros.audio.spectrogram import AudioBlock

        if self._info is None:
            return
        samples = decode_pcm(message.audio.data, self._info.sample_format, self._info.channels)
        stamp_ns = self._content.stamp_ns(message.header.stamp)
        self._demo.take_media(stamp_ns, AudioBlock(stamp_ns, self._info.sample_rate, samples))


class Demo:
    """Starts the nodes, shows and records what they publish, and ends them."""

    def __init__(
        self,
        source: Source,
        out: Path,
        seconds: float | None,
        domain: int | None = None,
        record: Path | None = None,
    ) -> None:
        self._source = source
        self._record = None if record is None else record.expanduser().resolve()
        self._domain = domain
        self._out = out
        self._seconds = seconds
        self._interrupted = False
        self._start_ns: int | None = None
        self._recorder: Recorder | None = None
        self._steps: list[tuple[EmotionStep, float]] = []
        self._table: Any = None
        self._lines: Any = None
        self._timeline: Any = None
        self._last_ns = 0
        self._heard_s = 0.0
        self._stack = ExitStack()
        self._video, self._page, self._jsonl = (
            out / name for name in ("annotated.mp4", "index.html", "states.jsonl")
        )

    def run(self) -> int:
        """The whole demo; returns the exit status."""
        self._out.mkdir(parents=True, exist_ok=True)
        for old in (self._video, self._page, self._jsonl):
            old.unlink(missing_ok=True)
        join_domain(self._domain, self._out)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)
        nodes: list[Node] = []
        try:
            with ExitStack() as stack:
                stack.callback(lambda: [node.stop() for node in reversed(nodes)])
                self._play(nodes, stack)
        finally:
            self._finish()
        return self._conclude(nodes)

    def take_media(self, stamp_ns: int, item: NDArray[np.uint8] | AudioBlock) -> None:
        """An overlay image or a block of sound came."""
        if self._start_ns is None:
            self._begin(stamp_ns)
        self._heard_s = time.monotonic()
        if self._recorder is not None:
            self._recorder.push(stamp_ns, item)

    def take_step(self, step: EmotionStep, latency_s: float) -> None:
        """The states of one moment came."""
        # Before the source begins and after a clip's end the nodes say that nothing comes.
        length_s = self._source.duration_s
        if self._start_ns is None or step.stamp_ns <= self._start_ns:
            return
        if length_s is not None and step.stamp_ns > self._start_ns + (length_s + 0.05) * 1e9:
            return
        self._last_ns = step.stamp_ns
        self._timeline.add(step, latency_s)
        self._table.show(step, latency_s)
        self._lines.write(step)

    def _begin(self, stamp_ns: int) -> None:
        """The first stamp is time zero of everything that is shown and written."""
        from avemo_ros.sink.jsonl import JsonLines
        from avemo_ros.sink.presentation import Timeline
        from avemo_ros.sink.table import LiveTable

        self._start_ns = stamp_ns
        self._timeline = Timeline(self._source.title, stamp_ns)
        self._table = LiveTable(stamp_ns)
        self._lines = self._stack.enter_context(JsonLines(self._jsonl, stamp_ns))
        if self._source.has_video:
            self._recorder = Recorder(self._video, stamp_ns, sound=self._source.has_audio)

    def _interrupt(self, number: int, frame: object) -> None:  # noqa: ARG002
        if self._interrupted:
            # Asked twice: without results, but the nodes are still ended.
            raise KeyboardInterrupt
        self._interrupted = True

    def _play(self, nodes: list[Node], stack: ExitStack) -> None:
        print(
            f"avemo_ros demo: {self._source.title}; ROS domain {os.environ['ROS_DOMAIN_ID']}; "
            "Ctrl-C ends",
            flush=True,
        )
        processing = Node("emotion_stack", {"overlay_rate_hz": OVERLAY_HZ}, self._out)
        nodes.append(processing)
        listener = Listener(self, self._source)
        stack.callback(listener.close)
        wait_for(lambda: listener.ready or self._interrupted, listener.spin, [processing])
        if self._record is not None:
            self._listen_in(listener, nodes)
        sources = []
        for name, parameters in self._source.nodes():
            if self._record is not None and name == "media_player":
                # The stack and the recorder; of sound alone this demo listens, too.
                parameters["subscribers"] = 2 if self._source.has_video else 3
            sources.append(Node(name, parameters, self._out))
            nodes.append(sources[-1])
        started = time.monotonic()
        while not self._interrupted:
            listener.spin(0.1)
            processing.check()
            ran_s = time.monotonic() - started
            if time.monotonic() - max(started, self._heard_s) > SILENCE_LIMIT_S:
                names = " and ".join(node.name for node in sources)
                tails = "".join(node.tail() for node in sources)
                raise DemoError(f"nothing has come from {names} for a while{tails}")
            if self._seconds is not None and ran_s > self._seconds:
                break
            ended = [node for node in sources if node.status is not None]
            for node in ended:
                if node.status != 0 or self._source.duration_s is None:
                    node.check()
            if ended:
                self._drain(listener, processing)
                break

    def _listen_in(self, listener: Listener, nodes: list[Node]) -> None:
        """Start to record, before anything is played."""
        recorder = Node("bag_recorder", {"record_out": str(self._record)}, self._out)
        nodes.append(recorder)
        topic = "image_raw" if self._source.has_video else "audio"
        wait_for(
            lambda: listener.hears("bag_recorder", topic) or self._interrupted,
            listener.spin,
            [recorder],
        )

    def _drain(self, listener: Listener, processing: Node) -> None:
        """Take what is on its way when the clip has ended."""
        until = time.monotonic() + DRAIN_S
        last_ns, since = self._last_ns, time.monotonic()
        while time.monotonic() < until and time.monotonic() - since < 0.5:
            listener.spin(0.1)
            processing.check()
            if self._last_ns != last_ns:
                last_ns, since = self._last_ns, time.monotonic()

    def _finish(self) -> None:
        """Write everything that there is; after an error too."""
        if self._table is not None:
            self._table.close()
        if self._recorder is not None:
            self._recorder.finish()
        self._stack.close()
        if self._timeline is not None:
            from avemo_ros.cli.outputs import check_report
            from avemo_ros.sink.output_file import OutputError

            try:
                check_report(self._page)
            except OutputError as error:
                # The demo runs on a robot, too, which makes no reports.
                print(f"demo: {error}", file=sys.stderr)
                return
            from avemo_ros.report.timeline_page import write_timeline

            write_timeline(self._page, self._timeline)

    def _conclude(self, nodes: Sequence[Node]) -> int:
        """Say what came out."""
        timeline = self._timeline
        if timeline is None or timeline.steps == 0:
            if self._interrupted:
                print("demo: interrupted before the first state")
                return INTERRUPTED
            tails = "".join(f"\n{node.name}:{node.tail()}" for node in nodes)
            raise DemoError(f"no state was published{tails}")
        complaints = [text for node in nodes for text in node.complaints()]
        if complaints:
            print("\nThe nodes said:")
            for text in complaints[:8]:
                print(f"  {text}")
        people = len(timeline.people)
        delays = sorted(timeline.latencies_s)
        print(
            f"\n{timeline.steps} states in {timeline.duration_s:.1f} s; {people} "
            f"{'person' if people == 1 else 'people'}, a label in "
            f"{timeline.claimed_share:.0%} of their estimates; latency "
            f"{1e3 * delays[len(delays) // 2]:.0f} ms (median)"
        )
        expected = int(timeline.duration_s / timeline.mean_step_s)
        if timeline.steps < 0.95 * expected:
            print(f"  {expected - timeline.steps} states are missing: this machine is too busy")
        results = [("states", self._jsonl)]
        if self._page.exists():
            results.append(("timeline", self._page))
        if self._recorder is not None:
            if self._recorder.error is not None:
                print(f"demo: {self._recorder.error}", file=sys.stderr)
            elif self._video.exists():
                results.insert(0, ("video", self._video))
            if self._recorder.dropped:
                print(f"  {self._recorder.dropped} items did not reach the video in time")
        if self._record is not None and self._record.exists():
            results.append(("bag", self._record))
        for name, path in results:
            print(f"  {name:9} {path}")
        print("They are personal data of whoever is seen: delete them when done.")
        endless = self._source.duration_s is None
        return INTERRUPTED if self._interrupted and not endless else DONE


if __name__ == "__main__":
    sys.exit(main())
