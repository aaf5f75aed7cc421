"""Images in, face tracks out: the node, and its stage, which `emotion_stack` has too.

Only face tracks leave it, and the overlay while somebody subscribes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from pydantic import Field
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from avemo_ros.bag import message_content
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.load_shedding import Workload
from avemo_ros.engine.video_stage import ImageWatch, VideoStage
from avemo_ros.errors import ConfigError
from avemo_ros.msg import EmotionStateArray, FaceTrackArray
from avemo_ros.nodes import convert, diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.diagnostics import StampAdvice, StampReporter, ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.nodes.human_faces import HumanFacesStage
from avemo_ros.nodes.ros4hri import HumanFaces, Ros4HriSettings
from avemo_ros.nodes.rviz import HeadFrames
from avemo_ros.settings import OneOf, Settings
from avemo_ros.sink.overlay import draw
from avemo_ros.state.estimate import EmotionStep, Status, attended, nobody
from avemo_ros.timing import RateLimiter, Stopwatch, to_s
from avemo_ros.vision.face import FrameTracks


class ImageInputSettings(Settings):
    """Parameters of the image stage."""

    image_transport: Literal["raw", "compressed"] = Field(
        "raw",
        description=(
            "Receive sensor_msgs/Image on image_raw ('raw') or CompressedImage on "
            "image_raw/compressed ('compressed')."
        ),
    )
    image_reliability: Annotated[str, OneOf(qos.RELIABILITIES)] = Field(
        "auto",
        description=(
            "QoS of the image subscription: 'best_effort' (SensorDataQoS), 'reliable', or "
            "'auto': best effort, and reliable as soon as every publisher offers it (large "
            "images get lost with best effort)."
        ),
    )
    overlay_rate_hz: float = Field(
        15.0,
        ge=0.1,
        le=120.0,
        description=(
            "Publish at most this many overlay images per second [Hz]; they are drawn only "
            "if somebody subscribes."
        ),
    )


GROUPS: Final = ("vision", "max_input_age_s", "image_stamps", "image_rotate")
"""Settings of the engine that the stage follows."""

INSTEAD: Final = {
    "sensor_msgs/msg/CompressedImage": "set image_transport to 'compressed'",
    "sensor_msgs/msg/Image": "set image_transport to 'raw'",
}
"""Types of images, and what to set for them."""
_WAITING: Final = 2
"""Images that may wait while one is worked on: enough for jitter, little delay."""
_QUIET_S: Final = 2.0
_MANY: Final = 0.3
"""More dropped images than this share of those that came are worth a warning."""


class ImageInputStage:
    """A `VideoStage` behind a thread of its own."""

    def __init__(
        self,
        node: ManagedNode,
        config: PipelineConfig,
        passed_on: Callable[[FrameTracks, str, int], None] | None = None,
        *,
        publishes: bool = True,
    ) -> None:
        """Set up.

        Args:
            node: whose topics these are.
            config: of the engine.
            passed_on: called on the thread with the tracks, the camera's frame id and when the
                image came [ns].
            publishes: the tracks, too, if somebody subscribes.
        """
        self._node = node
        self._passed_on = passed_on
        self._publishes = publishes
        self._trouble = ThrottledLog(node.get_logger(), "images")
        self._reporter = StampReporter.of(node, self._trouble)
        self._video = VideoStage(
            config.vision,
            config.input,
            self._reporter,
            advice=StampAdvice.of(node).take,
            identity=config.identity,
        )
        humans = node.read(Ros4HriSettings)
        shows = humans.ros4hri and publishes
        self._humans = HumanFaces(node, humans) if shows else None
        self._heads = HeadFrames(node) if shows else None
        self._watch = ImageWatch(config.vision, config.input.image_rotate)
        self._odd = ("", "")
        self._compressed = node.read(ImageInputSettings).image_transport == "compressed"
        self._received = diagnostics.Meter()
        self._processed = diagnostics.Meter()
        self._delays_ms = diagnostics.Samples()
        self._faces = 0
        self._seen = ""
        self._dropped_before = 0
        self._lost_before = 0
        self._shed: Workload | None = None
        self._applied: Workload | None = None
        self._before = (0, 0)
        self._worker: Worker[tuple[Image | CompressedImage, int]] | None = None
        self._inlet: qos.AdaptiveSubscription | None = None
        self._camera_inlet: qos.AdaptiveSubscription | None = None
        self._told: object = None
        """What camera_info has said."""
        self._tracks_out: Any = None
        self._overlay: _Overlay | None = None

    def open(self) -> None:
        """Make the topics and begin."""
        node = self._node
        self.wipe()
        if self._publishes:
            self._tracks_out = node.create_publisher(
                FaceTrackArray,
                "face_tracks",
                qos.result(10),
                event_callbacks=qos.mismatch_warnings(node, "face_tracks"),
            )
        self._overlay = _Overlay(node, self._video.stopwatch)
        if self._humans is not None:
            self._humans.open()
        if self._heads is not None:
            self._heads.open()
        self._worker = Worker("images", self._work, self._failed, limit=_WAITING)
        self._worker.start()
        packed = qos.resolved(node, "image_raw/compressed")
        if (
            not self._compressed
            and packed != f"{node.resolve_topic_name('image_raw')}/compressed"
        ):
            self._trouble.once(
                "transport",
                f"image_raw/compressed is remapped to {packed}, which has no effect while "
                "image_transport is 'raw'; set it to 'compressed', or remap image_raw",
            )
        self._inlet = qos.AdaptiveSubscription(
            node,
            CompressedImage if self._compressed else Image,
            qos.beside_base(node, "image_raw/compressed") if self._compressed else "image_raw",
            self._take,
            depth=5,
            reliability=node.read(ImageInputSettings).image_reliability,
            parameter="image_reliability",
        )
        self._camera_inlet = qos.AdaptiveSubscription(
            node,
            CameraInfo,
            qos.beside(node, "camera_info", "image_raw"),
            self._take_camera,
            depth=1,
            reliability="best_effort",
        )

    def close(self) -> None:
        """Stop and remove the topics; may be called twice."""
        if self._inlet is not None:
            self._inlet.close()
            self._lost_before += self._inlet.lost
            self._inlet = None
        if self._camera_inlet is not None:
            self._camera_inlet.close()
            self._camera_inlet = None
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None
        if self._humans is not None:
            self._humans.close()
        if self._heads is not None:
            self._heads.close()
        if self._overlay is not None:
            self._overlay.close()
            self._overlay = None
        if self._tracks_out is not None:
            self._node.destroy_publisher(self._tracks_out)
            self._tracks_out = None

    def wipe(self) -> None:
        """Forget everyone, and do all of the work again; after `close`."""
        self._video.reset()
        self._watch.reset()
        self._odd = ("", "")
        self._faces = 0
        self._shed = self._applied = None

    def release(self) -> None:
        """Free the face networks."""
        self._video.close()
        self._watch.close()

    def show(self, step: EmotionStep) -> None:
        """The estimates to draw from now on; from any thread."""
        overlay = self._overlay
        if overlay is not None:
            overlay.step = step

    def shed(self, shed: Workload) -> None:
        """Do less, or all again, from the next image on; from any thread."""
        self._shed = shed

    def forget(self, face_id: str) -> None:
        """Forget what a face looks like, and do not look at it again until it has gone; from
        any thread."""
        self._video.forget(face_id)

    @property
    def overlay_wanted(self) -> bool:
        """Somebody looks at the overlay."""
        overlay = self._overlay
        return overlay is not None and overlay.wanted

    def adapt(self) -> None:
        """To be called from time to time: follows the publishers' QoS."""
        if self._inlet is not None:
            self._inlet.adapt()
        if self._humans is not None and self._received.quiet_s > _QUIET_S:
            self._humans.forget()

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        dropped = self._dropped_before + (
            self._worker.dropped if self._worker is not None else 0
        )
        values: dict[str, object] = {
            "topic": self._inlet.name if self._inlet is not None else "",
            "publishers": self._inlet.publishers if self._inlet else 0,
            "format": self._seen or "not known yet",
            "arrival_hz": f"{self._received.rate_hz:.1f}",
            "rate_hz": f"{self._processed.rate_hz:.1f}",
            "received": self._received.count,
            "processed": self._processed.count,
            "dropped": dropped,
            "lost_in_transport": self._lost_before + (self._inlet.lost if self._inlet else 0),
            "rejected": self._trouble.count,
            "out_of_order": self._video.late,
            "left_out_by_rate": self._video.counters.throttled,
            "queue": len(self._worker) if self._worker is not None else 0,
            "faces": self._faces,
            "last_error": self._trouble.last,
            **diagnostics.percentiles("delay_ms", self._delays_ms.values()),
            **diagnostics.stages(self._video.stopwatch.stages_ms()),
        }
        if self._trouble.present:
            return diagnostics.status("images", diagnostics.ERROR, self._trouble.last, values)
        if self._received.quiet_s > _QUIET_S:
            why = f": {self._inlet.why_silent(INSTEAD)}" if self._inlet is not None else ""
            message = f"no images on {values['topic']}{why}"
            return diagnostics.status("images", diagnostics.STALE, message, values)
        if rivals := self._inlet.find_rivals() if self._inlet is not None else "":
            self._trouble.once("rivals", rivals)
            return diagnostics.status("images", diagnostics.WARN, rivals, values)
        received, lost = self._received.count, dropped
        came, gone = received - self._before[0], lost - self._before[1]
        self._before = (received, lost)
        if gone > _MANY * came > 0:
            message = f"this computer is too slow: {gone} of {came} images were dropped"
            return diagnostics.status("images", diagnostics.WARN, message, values)
        if self._odd[1]:
            return diagnostics.status("images", diagnostics.WARN, self._odd[1], values)
        return diagnostics.status("images", diagnostics.OK, "images arrive", values)

    def _take(self, message: Image | CompressedImage) -> None:
        """The callback: no work here."""
        self._received.add()
        worker = self._worker
        if worker is not None:
            worker.put((message, self._node.now_ns()))

    def _take_camera(self, message: CameraInfo) -> None:
        """The callback of camera_info, which says the same with every image."""
        if (told := (message.k.tobytes(), message.width, message.height)) == self._told:
            return
        self._told = told
        try:
            self._video.camera = message_content.camera(message)
        except ValueError as error:
            self._trouble.once("camera_info", f"camera_info: {error}; distances are not known")

    def _work(self, item: tuple[Image | CompressedImage, int]) -> None:
        message, arrival_ns = item
        self._seen = _format_of(message)
        self._reporter.arrived(arrival_ns)
        shed = self._shed
        if shed is not self._applied and shed is not None:
            self._applied = shed
            self._video.shed(shed.frame_share, shed.max_faces)
        tracks = self._video.push(
            message_content.stamp_ns(message.header.stamp),
            lambda: message_content.image(message),
            arrival_ns,
        )
        if tracks is None:
            return
        frame_id = message.header.frame_id
        self._processed.add()
        self._faces = len(tracks.faces)
        if self._passed_on is not None:
            self._passed_on(tracks, frame_id, arrival_ns)
        if self._tracks_out is not None and self._tracks_out.get_subscription_count():
            with self._video.stopwatch.measure("publish_tracks"):
                self._tracks_out.publish(convert.tracks_message(tracks, frame_id))
        if arrival_ns > 0:
            self._delays_ms.add(1e3 * to_s(self._node.now_ns() - tracks.stamp_ns))
        overlay, image = self._overlay, self._video.image
        if image is None:
            return
        if self._humans is not None:
            with self._video.stopwatch.measure("ros4hri"):
                self._humans.push(image, tracks, self._video.followed, frame_id)
        if self._heads is not None:
            self._heads.push(tracks.stamp_ns, frame_id, self._video.head_frames(tracks))
        if overlay is not None:
            overlay.offer(image, tracks, frame_id)
        odd = self._watch.look(image, tracks)
        if odd[0] and odd[0] != self._odd[0]:
            self._trouble.note(*odd)
        self._odd = odd

    def _failed(self, error: Exception) -> None:
        self._trouble.report(
            type(error).__name__, f"unexpected {type(error).__name__}: {error}"
        )


def _format_of(message: Image | CompressedImage) -> str:
    if isinstance(message, CompressedImage):
        return f"{message.format or 'unnamed format'}, {len(message.data) / 1e3:.0f} kB"
    return f"{message.width}x{message.height} {message.encoding or 'without an encoding'}"


class _Overlay:
    """The image with boxes, labels and bars; drawn on a thread of its own, and only while
    somebody subscribes."""

    def __init__(self, node: ManagedNode, stopwatch: Stopwatch) -> None:
        self._node = node
        self._stopwatch = stopwatch
        self._limiter = RateLimiter(node.read(ImageInputSettings).overlay_rate_hz)
        self._out = node.create_publisher(
            Image,
            "emotion_overlay",
            qos.result(2),
            event_callbacks=qos.mismatch_warnings(node, "emotion_overlay"),
        )
        self._worker: Worker[tuple[NDArray[Any], FrameTracks, str]] = Worker(
            "overlay", self._draw, self._failed, limit=1
        )
        self._worker.start()
        self._trouble = ThrottledLog(node.get_logger(), "overlay")
        self.step: EmotionStep | None = None

    @property
    def wanted(self) -> bool:
        return bool(self._out.get_subscription_count())

    def offer(self, image: NDArray[Any], tracks: FrameTracks, frame_id: str) -> None:
        if not self.wanted or not self._limiter.is_due(tracks.stamp_ns):
            return
        self._limiter.take(tracks.stamp_ns)
        self._worker.put((image, tracks, frame_id))

    def close(self) -> None:
        self._worker.stop()
        self._node.destroy_publisher(self._out)

    def _draw(self, item: tuple[NDArray[Any], FrameTracks, str]) -> None:
        image, tracks, frame_id = item
        with self._stopwatch.measure("overlay"):
            drawn = draw(image, tracks, self.step)
            self._out.publish(convert.image(drawn, tracks.stamp_ns, frame_id))

    def _failed(self, error: Exception) -> None:
        self._trouble.report(type(error).__name__, f"{type(error).__name__}: {error}")


def face_stage(
    node: ManagedNode,
    config: PipelineConfig,
    passed_on: Callable[[FrameTracks, str, int], None] | None = None,
    *,
    publishes: bool = True,
) -> ImageInputStage | HumanFacesStage:
    """Where faces come from by the parameter `faces`; arguments and errors are those of the
    stages.

    Raises:
        ConfigError: ROS4HRI asks for images of faces that are not to leave the process.
    """
    settings = node.read(Ros4HriSettings)
    if settings.reads_faces:
        return HumanFacesStage(node, config, passed_on, publishes=publishes)
    if settings.ros4hri and not publishes:
        allowed = "false while publish_features is false, as it publishes images of faces"
        raise ConfigError("ros4hri", settings.ros4hri, allowed)
    return ImageInputStage(node, config, passed_on, publishes=publishes)


class FaceTracker(ManagedNode):
    """`image_raw` to `face_tracks` and `emotion_overlay`."""

    senses = "follows"

    def __init__(self) -> None:
        super().__init__(
            "face_tracker",
            [ImageInputSettings, Ros4HriSettings],
            [*GROUPS, "identity.mode", "identity.track_memory_s", "identity.min_similarity"],
        )
        self._images: ImageInputStage | HumanFacesStage | None = None
        self._states_in: qos.AdaptiveSubscription | None = None
        self._states_trouble = ThrottledLog(self.get_logger(), "emotion_states")

    def prepare(self) -> None:
        """Load the face networks."""
        config = self.config()
        if config.identity.recognises:
            # What a face looks like is in no message.
            allowed = "'none', 'tracks' in a node of its own; people are known by emotion_stack"
            raise ConfigError("identity.mode", config.identity.mode, allowed)
        self._images = face_stage(self, config)

    def open(self) -> None:
        """Make the topics."""
        assert self._images is not None
        self._images.open()

    def close(self) -> None:
        """Remove the topics."""
        self._hear_states(wanted=False)
        if self._images is not None:
            self._images.close()

    def wipe(self) -> None:
        """Forget everyone."""
        if self._images is not None:
            self._images.wipe()

    def release(self) -> None:
        """Free the face networks."""
        if self._images is not None:
            self._images.release()
            self._images = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._images is not None
        self._images.adapt()
        self._hear_states(wanted=self._images.overlay_wanted)
        return [self._images.status()]

    def _hear_states(self, *, wanted: bool) -> None:
        """Subscribe to the estimates while somebody looks at the overlay."""
        if wanted and self._states_in is None:
            self._states_in = qos.AdaptiveSubscription(
                self, EmotionStateArray, "emotion_states", self._show, depth=1
            )
        elif not wanted and self._states_in is not None:
            self._states_in.close()
            self._states_in = None
        if self._states_in is not None:
            self._states_in.adapt()

    def _show(self, message: EmotionStateArray) -> None:
        if self._images is None:
            return
        stamp_ns = message_content.stamp_ns(message.header.stamp)
        try:
            estimates = tuple(message_content.estimate(state) for state in message.states)
        except ValueError as error:
            self._states_trouble.report("malformed", f"malformed: {error}; left out")
            return
        self._states_trouble.good()
        somebody = attended(estimates) or nobody(stamp_ns, Status.NOBODY)
        self._images.show(EmotionStep(stamp_ns, estimates, somebody, None))


def main() -> int:
    """Run the node."""
    return run(FaceTracker)


if __name__ == "__main__":
    raise SystemExit(main())
