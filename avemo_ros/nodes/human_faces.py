"""Faces of ROS4HRI in, from another node: `faces:=ros4hri`, instead of images."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from avemo_ros.bag import message_content
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.face_assembler import POINTS, FaceAssembler, FaceParts
from avemo_ros.engine.load_shedding import Workload
from avemo_ros.errors import ConfigError, ImageError
from avemo_ros.msg import FaceTrackArray
from avemo_ros.nodes import convert, diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.diagnostics import StampAdvice, StampReporter, ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.nodes.ros4hri import Ros4HriSettings, hri_messages
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import StampFilter, Stopwatch, Verdict, to_s
from avemo_ros.untrusted import MAX_BOX, MAX_CROP_SIDE, MAX_FACES, MAX_ID_LENGTH, MAX_PIXELS
from avemo_ros.vision.face import Box, FrameTracks

_ID: Final = re.compile(r"[A-Za-z]\w*")
"""What may be a part of a topic's name."""
_LARGEST_CUT: Final = 4 * MAX_CROP_SIDE
"""Side of a cut [pixels]; the standard has 128."""
_WAITING: Final = 200
_TICK_S: Final = 0.05
_QUIET_S: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Ids:
    message: Any
    arrival_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    face_id: str
    kind: str
    message: Any
    arrival_ns: int


@dataclass(frozen=True, slots=True)
class _Tick:
    """Time to look whether an image has waited long enough."""


class HumanFacesStage:
    """A `FaceAssembler` behind a thread of its own; in the place of the stage of the images."""

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
                ids came [ns].
            publishes: the tracks, too, if somebody subscribes.

        Raises:
            ConfigError: hri_msgs is not installed, or `image_rotate` or `identity.mode` is set.
        """
        if config.input.image_rotate:
            allowed = "0, as with faces:=ros4hri there are no images to turn"
            raise ConfigError("image_rotate", config.input.image_rotate, allowed)
        if config.identity.compares_faces:
            allowed = "'none' with faces:=ros4hri; ids are those of the other nodes"
            raise ConfigError("identity.mode", config.identity.mode, allowed)
        self._node = node
        self._passed_on = passed_on
        self._publishes = publishes
        settings = node.read(Ros4HriSettings)
        self._hri = hri_messages(settings)
        self._base = f"{settings.humans}/faces"
        self._persons = f"{settings.humans}/persons"
        self._trouble = ThrottledLog(node.get_logger(), "faces")
        self._reporter = StampReporter.of(node, self._trouble)
        self._stamps = StampFilter(
            "faces",
            "image_stamps",
            config.input.max_input_age_s,
            "header",  # the parts of one image know each other by it
            self._reporter,
            advice=StampAdvice.of(node).take,
        )
        self._assembler = FaceAssembler(config.vision)
        self._stopwatch = Stopwatch()
        self._received = diagnostics.Meter()
        self._processed = diagnostics.Meter()
        self._cuts = diagnostics.Meter()
        self._delays_ms = diagnostics.Samples()
        self._faces = self._lost = 0
        self._dropped_before = 0
        self._frame_id = ""
        self._told: object = None
        self._worker: Worker[_Ids | _Part | _Tick] | None = None
        self._inlet: qos.AdaptiveSubscription | None = None
        self._camera_inlet: qos.AdaptiveSubscription | None = None
        self._parts: dict[str, list[qos.AdaptiveSubscription]] = {}
        self._people: dict[str, qos.AdaptiveSubscription] = {}
        self._faces_of: dict[str, str] = {}
        """Face ids by person, as the person manager says."""
        self._people_inlet: qos.AdaptiveSubscription | None = None
        self._tracks_out: Any = None
        self._timer: Any = None

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
        self._worker = Worker("faces", self._work, self._failed, limit=_WAITING)
        self._worker.start()
        self._timer = node.create_timer(_TICK_S, self._tick, clock=node.steady)
        self._camera_inlet = qos.AdaptiveSubscription(
            node,
            CameraInfo,
            qos.beside(node, "camera_info", "image_raw"),
            self._take_camera,
            depth=1,
            reliability="best_effort",
        )
        self._inlet = self._subscribe(self._hri.IdsList, "tracked", self._take_ids)
        self._people_inlet = qos.AdaptiveSubscription(
            node,
            self._hri.IdsList,
            f"{self._persons}/tracked",
            self._take_people,
            depth=5,
            begin_reliable=True,
            latched=True,
        )

    def close(self) -> None:
        """Stop and remove the topics; may be called twice."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._listen_to(())
        self._know(())
        for inlet in (self._inlet, self._camera_inlet, self._people_inlet):
            if inlet is not None:
                inlet.close()
        self._inlet = self._camera_inlet = self._people_inlet = None
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None
        if self._tracks_out is not None:
            self._node.destroy_publisher(self._tracks_out)
            self._tracks_out = None

    def wipe(self) -> None:
        """Forget everyone; after `close`."""
        self._assembler.reset()
        self._stamps.reset()
        self._faces = 0
        self._frame_id = ""

    def release(self) -> None:
        """There is nothing to free."""

    def show(self, step: EmotionStep) -> None:
        """There is no image to draw on."""

    def shed(self, shed: Workload) -> None:
        """The other node decides how much there is to do."""

    def forget(self, face_id: str) -> None:
        """What faces look like is not computed here."""

    @property
    def overlay_wanted(self) -> bool:
        """There is no image to draw on."""
        return False

    def adapt(self) -> None:
        """To be called from time to time: follows the publishers' QoS."""
        parts = (one for parts in self._parts.values() for one in parts)
        for inlet in (self._inlet, self._people_inlet, *parts, *self._people.values()):
            if inlet is not None:
                inlet.adapt()

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        values: dict[str, object] = {
            "topic": self._inlet.name if self._inlet is not None else "",
            "publishers": self._inlet.publishers if self._inlet else 0,
            "rate_hz": f"{self._processed.rate_hz:.1f}",
            "received": self._received.count,
            "processed": self._processed.count,
            "dropped": self._dropped_before + (self._worker.dropped if self._worker else 0),
            "rejected": self._trouble.count,
            "incomplete": self._assembler.lost,
            "queue": len(self._worker) if self._worker is not None else 0,
            "faces": self._faces,
            "last_error": self._trouble.last,
            **diagnostics.percentiles("delay_ms", self._delays_ms.values()),
            **diagnostics.stages(self._stopwatch.stages_ms()),
        }
        if self._trouble.present:
            return diagnostics.status("images", diagnostics.ERROR, self._trouble.last, values)
        if self._received.quiet_s > _QUIET_S:
            why = f": {self._inlet.why_silent({})}" if self._inlet is not None else ""
            message = f"no faces on {values['topic']}{why}"
            return diagnostics.status("images", diagnostics.STALE, message, values)
        if self._parts and self._cuts.quiet_s > _QUIET_S:
            message = (
                f"faces are tracked, but nothing comes on {self._base}/<id>/cropped: no "
                "expression can be read; make the face detector publish it"
            )
            return diagnostics.status("images", diagnostics.WARN, message, values)
        lost, self._lost = self._assembler.lost - self._lost, self._assembler.lost
        if self._parts and lost and not self._faces:
            message = (
                "faces arrive, but their parts do not belong together: tracked, roi and "
                "cropped must have the stamp of their image"
            )
            return diagnostics.status("images", diagnostics.WARN, message, values)
        return diagnostics.status("images", diagnostics.OK, "faces arrive", values)

    # --- callbacks: no work here

    def _subscribe(
        self, kind: Any, name: str, take: Callable[[Any], None], depth: int = 5
    ) -> qos.AdaptiveSubscription:
        return qos.AdaptiveSubscription(
            self._node, kind, f"{self._base}/{name}", take, depth=depth, begin_reliable=True
        )

    def _take_ids(self, message: Any) -> None:
        self._received.add()
        good = [face_id for face_id in message.ids[:MAX_FACES] if self._is_usable(face_id)]
        self._listen_to(good)
        message.ids = good
        self._put(_Ids(message, self._node.now_ns()))

    def _is_usable(self, face_id: str) -> bool:
        if _ID.fullmatch(face_id) and len(face_id) <= MAX_ID_LENGTH:
            return True
        self._trouble.once(
            "id",
            f"the id {face_id[:MAX_ID_LENGTH]!r} is left out; allowed: letters, digits and _, "
            f"a letter first, up to {MAX_ID_LENGTH}",
        )
        return False

    def _listen_to(self, ids: list[str] | tuple[str, ...]) -> None:
        """Subscribe to the topics of those who are new, and to nobody's who has gone."""
        for gone in [face_id for face_id in self._parts if face_id not in ids]:
            for inlet in self._parts.pop(gone):
                inlet.close()
        for face_id in ids:
            if face_id in self._parts:
                continue
            kinds = {
                "roi": self._hri.NormalizedRegionOfInterest2D,
                "landmarks": self._hri.FacialLandmarks,
                "cropped": Image,
            }
            self._parts[face_id] = [
                self._subscribe(message, f"{face_id}/{kind}", self._taker(face_id, kind))
                for kind, message in kinds.items()
            ]

    def _take_people(self, message: Any) -> None:
        self._know([one for one in message.ids[:MAX_FACES] if self._is_usable(one)])

    def _know(self, people: Sequence[str]) -> None:
        """Subscribe to which face is whose; of who has gone nothing is kept."""
        for gone in [one for one in self._people if one not in people]:
            self._people.pop(gone).close()
            self._faces_of.pop(gone, None)
        for person_id in people:
            if person_id not in self._people:
                self._people[person_id] = qos.AdaptiveSubscription(
                    self._node,
                    String,
                    f"{self._persons}/{person_id}/face_id",
                    self._taker_of(person_id),
                    depth=1,
                    begin_reliable=True,
                    latched=True,
                )

    def _taker_of(self, person_id: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._faces_of[person_id] = message.data

        return take

    def _named(self, tracks: FrameTracks) -> FrameTracks:
        """With who the faces are."""
        people = {face_id: person_id for person_id, face_id in self._faces_of.copy().items()}
        faces = tuple(
            replace(face, person_id=people.get(face.face_id, "")) for face in tracks.faces
        )
        return replace(tracks, faces=faces)

    def _taker(self, face_id: str, kind: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            if kind == "cropped":
                self._cuts.add()
            self._put(_Part(face_id, kind, message, self._node.now_ns()))

        return take

    def _take_camera(self, message: CameraInfo) -> None:
        if (told := (message.k.tobytes(), message.width, message.height)) == self._told:
            return
        self._told = told
        try:
            self._assembler.camera = message_content.camera(message)
        except ValueError as error:
            self._trouble.once("camera_info", f"camera_info: {error}; distances are not known")

    def _tick(self) -> None:
        worker = self._worker
        if worker is not None and len(worker) == 0:
            worker.put(_Tick())

    def _put(self, item: _Ids | _Part) -> None:
        worker = self._worker
        if worker is not None:
            worker.put(item)

    # --- the thread

    def _work(self, item: _Ids | _Part | _Tick) -> None:
        with self._stopwatch.measure("faces"):
            complete = self._put_together(item)
        now_ns = self._node.now_ns()
        for tracks in complete:
            admission = self._stamps.admit(tracks.stamp_ns, now_ns)
            if not admission.usable:
                continue
            if admission.verdict is Verdict.RESTART:
                self._trouble.note("restart", "the stamps of the faces started over")
            self._reporter.good()
            self._processed.add()
            self._faces = len(tracks.faces)
            if self._passed_on is not None:
                self._passed_on(self._named(tracks), self._frame_id, now_ns)
            if self._tracks_out is not None and self._tracks_out.get_subscription_count():
                self._tracks_out.publish(convert.tracks_message(tracks, self._frame_id))
            if now_ns > 0:
                self._delays_ms.add(1e3 * to_s(now_ns - tracks.stamp_ns))

    def _put_together(self, item: _Ids | _Part | _Tick) -> list[FrameTracks]:
        if isinstance(item, _Tick):
            return self._assembler.advance(self._node.now_ns())
        self._reporter.arrived(item.arrival_ns)
        header = item.message.header
        stamp_ns = message_content.stamp_ns(header.stamp)
        if isinstance(item, _Ids):
            self._frame_id = header.frame_id or self._frame_id
            return self._assembler.push_ids(stamp_ns, item.message.ids, item.arrival_ns)
        try:
            part = _READ[item.kind](item.message)
        except (ValueError, ImageError) as error:
            self._trouble.report(
                f"{item.kind} {type(error).__name__}",
                f"{self._base}/{item.face_id}/{item.kind}: {error}; left out",
            )
            return []
        return self._assembler.push_part(stamp_ns, item.face_id, part, item.arrival_ns)

    def _failed(self, error: Exception) -> None:
        self._trouble.report(
            type(error).__name__, f"unexpected {type(error).__name__}: {error}"
        )


def _roi(message: Any) -> FaceParts:
    corners = (message.xmin, message.ymin, message.xmax, message.ymax)
    if not all(-MAX_BOX <= value <= MAX_BOX for value in corners):
        raise ValueError(f"the corners are {corners}; allowed: 0 to 1")
    if message.xmax <= message.xmin or message.ymax <= message.ymin:
        raise ValueError(f"the box {corners} has no area")
    box = Box(
        message.xmin, message.ymin, message.xmax - message.xmin, message.ymax - message.ymin
    )
    sure = float(message.c)
    return FaceParts(box=box, confidence=min(max(sure, 0.0), 1.0) if sure == sure else 0.0)


def _landmarks(message: Any) -> FaceParts:
    width, height = int(message.width), int(message.height)
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"the image has {width}x{height} pixels")
    points = np.array([(one.x, one.y, one.c) for one in message.landmarks], np.float32)
    if points.shape != (POINTS, 3):
        raise ValueError(f"it has {len(points)} points; allowed: {POINTS}")
    points[~np.isfinite(points).all(axis=1)] = 0.0
    points[(abs(points[:, :2]) > MAX_BOX).any(axis=1)] = 0.0
    return FaceParts(points=points, size=(width, height))


def _cropped(message: Any) -> FaceParts:
    if max(message.width, message.height) > _LARGEST_CUT:
        raise ValueError(
            f"the image has {message.width}x{message.height} pixels; allowed: up to "
            f"{_LARGEST_CUT} a side"
        )
    return FaceParts(cut=message_content.image(message))


_READ: Final[dict[str, Callable[[Any], FaceParts]]] = {
    "roi": _roi,
    "landmarks": _landmarks,
    "cropped": _cropped,
}
