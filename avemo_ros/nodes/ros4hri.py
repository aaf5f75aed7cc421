"""What this package says on the topics of ROS4HRI (REP-155): faces, expressions, voices.

`hri_msgs` is imported only where it is asked for.  Topics of an id are made when it comes and
removed when it goes.
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rclpy.event_handler import PublisherEventCallbacks
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.face_points import points_of_mesh
from avemo_ros.nodes import convert, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.settings import Allowed, Settings
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.timing import to_ns
from avemo_ros.vision.alignment import align, eyes_of_mesh
from avemo_ros.vision.face import FaceTrack, FrameTracks


class HumansSettings(Settings):
    """Where the topics of ROS4HRI are."""

    humans: Annotated[str, Allowed("the name of a topic, e.g. '/humans'")] = Field(
        "/humans",
        pattern=r"^/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*$",
        description=(
            "What the topics of ROS4HRI begin with. The standard has '/humans'; without the "
            "first '/' they are in the node's namespace."
        ),
    )


class Ros4HriSettings(HumansSettings):
    """Parameters of the topics of ROS4HRI."""

    ros4hri: bool = Field(
        False,
        description=(
            "Publish faces, expressions and voices on the topics of ROS4HRI (REP-155), too; "
            "needs hri_msgs."
        ),
    )
    faces: Literal["own", "ros4hri"] = Field(
        "own",
        description=(
            "Where faces come from: 'own', found in images; or 'ros4hri', those that another "
            "node publishes on the topics of ROS4HRI. Expressions are then published there."
        ),
    )

    @property
    def reads_faces(self) -> bool:
        """Faces come from another node."""
        return self.faces == "ros4hri"

    @property
    def says_expressions(self) -> bool:
        """Expressions are published."""
        return self.ros4hri or self.reads_faces


CROP_SIDE: Final = 128
"""Of cropped and aligned faces [pixels], as the standard has it."""
_WORDS: Final = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "scared",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
"""The standard's word for each of our labels; it has none for 'unknown'."""
assert tuple(_WORDS) == EMOTIONS
_GONE_NS: Final = to_ns(1.0)
"""A voice that nobody claims for this long is not tracked any more."""
_AGAIN_NS: Final = to_ns(1.0)
"""Evidence that stays is said again after this long, for who listens since."""
_DECIDED: Final = 0.5
"""Confidence that a voice is the face's which it was given to, where no score says how sure
that is: it is the likeliest one, and that is all."""
_POINTS: Final = 70
_NEEDED: Final = (
    "Expression", "FacialLandmarks", "IdsList", "IdsMatch", "NormalizedPointOfInterest2D",
    "NormalizedRegionOfInterest2D",
)  # fmt: skip


def hri_messages(settings: Ros4HriSettings) -> Any:
    """The module `hri_msgs.msg`.

    Raises:
        ConfigError: it is not installed, or is of ROS 1 or another age.
    """
    name, value = ("ros4hri", True) if settings.ros4hri else ("faces", settings.faces)
    without = "false" if settings.ros4hri else "'own'"
    try:
        module = importlib.import_module("hri_msgs.msg")
    except ImportError as error:
        raise ConfigError(
            name,
            value,
            f"{without}, as hri_msgs cannot be imported ({error}); install "
            "ros-$ROS_DISTRO-hri-msgs, or build and source its workspace",
        ) from error
    lacking = [kind for kind in _NEEDED if not hasattr(module, kind)]
    if lacking:
        raise ConfigError(
            name, value, f"{without}, as this hri_msgs has no {', '.join(lacking)}; install 2.0"
        )
    return module


class IdTopics:
    """Publishers that each id has of its own, e.g. /humans/faces/<id>/roi.

    Args:
        node: that publishes.
        base: of the topics, e.g. "/humans/faces".
        kinds: types of messages by the last part of the topic's name.
    """

    def __init__(self, node: ManagedNode, base: str, kinds: Mapping[str, Any]) -> None:
        self._node = node
        self._base = base
        self._kinds = dict(kinds)
        self._made: dict[str, dict[str, Any]] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Who has topics."""
        return tuple(self._made)

    def of(self, human_id: str) -> Mapping[str, Any]:
        """The publishers of an id, made when it is new."""
        found = self._made.get(human_id)
        if found is None:
            found = self._made[human_id] = {
                name: publisher(self._node, kind, f"{self._base}/{human_id}/{name}")
                for name, kind in self._kinds.items()
            }
        return found

    def keep(self, ids: Collection[str]) -> None:
        """Remove the topics of everyone else."""
        for gone in [human_id for human_id in self._made if human_id not in ids]:
            for out in self._made.pop(gone).values():
                self._node.destroy_publisher(out)


def publisher(node: ManagedNode, kind: Any, topic: str) -> Any:
    """Reliable, one message deep, as the standard's own nodes publish."""
    # Made and removed on threads of our own: without events the executor has nothing of it.
    silent = PublisherEventCallbacks(use_default_callbacks=False)
    return node.create_publisher(kind, topic, qos.result(1), event_callbacks=silent)


class HumanFaces:
    """The faces of each image, for the robot's other nodes.

    Args:
        node: that publishes.
        settings: of the topics.

    Raises:
        ConfigError: hri_msgs is not installed.
    """

    def __init__(self, node: ManagedNode, settings: Ros4HriSettings) -> None:
        self._node = node
        self._hri = hri_messages(settings)
        self._base = f"{settings.humans}/faces"
        self._lock = threading.Lock()
        self._tracked: Any = None
        self._topics: IdTopics | None = None
        self._header = convert.header(0, "")

    def open(self) -> None:
        """Make the topic of the ids."""
        hri = self._hri
        with self._lock:
            self._tracked = publisher(self._node, hri.IdsList, f"{self._base}/tracked")
            self._topics = IdTopics(
                self._node,
                self._base,
                {
                    "roi": hri.NormalizedRegionOfInterest2D,
                    "landmarks": hri.FacialLandmarks,
                    "cropped": Image,
                    "aligned": Image,
                },
            )

    def close(self) -> None:
        """Say that nobody is seen any more, and remove the topics; may be called twice."""
        self.forget()
        with self._lock:
            if self._tracked is not None:
                self._node.destroy_publisher(self._tracked)
            self._tracked = self._topics = None

    def forget(self) -> None:
        """Nobody is seen any more, as when images have stopped; from any thread."""
        with self._lock:
            if self._topics is None or not self._topics.ids:
                return
            self._tracked.publish(self._hri.IdsList(header=self._header))
            self._topics.keep(())

    def push(
        self,
        image: NDArray[np.uint8],
        tracks: FrameTracks,
        followed: Collection[str],
        frame_id: str,
    ) -> None:
        """Publish the faces of one image.

        Args:
            image: (H, W, 3) BGR, the one that the faces are of.
            tracks: the faces found in it.
            followed: ids of these, and of faces that are missed for a moment.
            frame_id: of the camera.
        """
        header = convert.header(tracks.stamp_ns, frame_id)
        with self._lock:
            topics = self._topics
            if topics is None:
                return
            self._header = header
            # The ids come last: who hears of a face may then wait for its next image only.
            for face in tracks.faces:
                outs = topics.of(face.face_id)
                outs["roi"].publish(self._roi(face, header))
                if outs["landmarks"].get_subscription_count():
                    outs["landmarks"].publish(self._landmarks(face, tracks, header))
                for name, cut in (("cropped", cropped), ("aligned", aligned)):
                    # Who does not look at them need not wait for them.
                    if outs[name].get_subscription_count():
                        outs[name].publish(_image(cut(image, face), header))
            topics.keep(followed)
            self._tracked.publish(self._hri.IdsList(header=header, ids=list(topics.ids)))

    def _roi(self, face: FaceTrack, header: Any) -> Any:
        box = face.box
        low_x, high_x = np.clip((box.x, box.x + box.width), 0.0, 1.0).tolist()
        low_y, high_y = np.clip((box.y, box.y + box.height), 0.0, 1.0).tolist()
        return self._hri.NormalizedRegionOfInterest2D(
            header=header, xmin=low_x, ymin=low_y, xmax=high_x, ymax=high_y, c=face.confidence
        )

    def _landmarks(self, face: FaceTrack, tracks: FrameTracks, header: Any) -> Any:
        """The pupils, which the mesh has not, and all without a mesh, have the confidence 0."""
        kind = self._hri.NormalizedPointOfInterest2D
        found = [kind() for _ in range(_POINTS)]
        if face.landmarks is not None:
            size = np.array((tracks.width, tracks.height), np.float32)
            points = points_of_mesh((face.landmarks[:, :2] * size)[None])[0] / size
            inside = np.all((points >= 0.0) & (points <= 1.0), axis=1)
            for out, (x, y), seen in zip(found, points.tolist(), inside, strict=False):
                if seen:
                    out.x, out.y, out.c = x, y, face.confidence
        return self._hri.FacialLandmarks(
            header=header, landmarks=found, width=tracks.width, height=tracks.height
        )


def cropped(image: NDArray[np.uint8], face: FaceTrack) -> NDArray[np.uint8]:
    """(128, 128, 3): what is in the face's box, scaled, in the middle of black."""
    height, width = image.shape[:2]
    left, right = _pixels(face.box.x, face.box.width, width)
    top, bottom = _pixels(face.box.y, face.box.height, height)
    out = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    if right <= left or bottom <= top:
        return out
    scale = CROP_SIDE / max(right - left, bottom - top)
    across = max(1, min(CROP_SIDE, round(scale * (right - left))))
    down = max(1, min(CROP_SIDE, round(scale * (bottom - top))))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    x, y = (CROP_SIDE - across) // 2, (CROP_SIDE - down) // 2
    part = image[top:bottom, left:right]
    out[y : y + down, x : x + across] = cv2.resize(part, (across, down), interpolation=method)
    return out


def aligned(image: NDArray[np.uint8], face: FaceTrack) -> NDArray[np.uint8]:
    """(128, 128, 3) with level eyes; without a mesh the grey crop, which has them too."""
    if face.landmarks is None or face.pose is None:
        crop = cv2.resize(face.crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), np.uint8)
    height, width = image.shape[:2]
    points = face.landmarks * np.array((width, height, width), np.float32)
    return align(image, eyes_of_mesh(points, face.pose), CROP_SIDE, grey=False)


def _pixels(start: float, length: float, size: int) -> tuple[int, int]:
    """A part of an axis, without what is beyond the image."""
    first, last = round(start * size), round((start + length) * size)
    return max(0, first), min(size, last)


def _image(pixels: NDArray[np.uint8], header: Any) -> Any:
    message = convert.image(pixels, 0, "")
    message.header = header
    return message


class HumanStates:
    """Everyone's expression, and who is heard, for the robot's other nodes.

    Args:
        node: that publishes.
        settings: of the topics.

    Raises:
        ConfigError: hri_msgs is not installed.
    """

    def __init__(self, node: ManagedNode, settings: Ros4HriSettings) -> None:
        self._node = node
        self._settings = settings
        self._hri = hri_messages(settings)
        self._expressions: IdTopics | None = None
        self._voices: IdTopics | None = None
        self._tracked: Any = None
        self._matches: Any = None
        self._heard_ns: dict[str, int] = {}
        """By voice id, when it was last claimed."""
        self._pairs: dict[str, tuple[str, int]] = {}
        """By voice id, the face it was last said to be of, and when."""

    def open(self) -> None:
        """Make the topics that are there from the start."""
        node, base, hri = self._node, self._settings.humans, self._hri
        self._expressions = IdTopics(node, f"{base}/faces", {"expression": hri.Expression})
        if self._settings.ros4hri:
            self._voices = IdTopics(node, f"{base}/voices", {"is_speaking": Bool})
            self._tracked = publisher(node, hri.IdsList, f"{base}/voices/tracked")
            self._matches = node.create_publisher(
                hri.IdsMatch, f"{base}/candidate_matches", qos.result(10)
            )

    def close(self) -> None:
        """Say that nobody is heard any more, and remove the topics; may be called twice."""
        if self._tracked is not None:
            stamp = self._node.get_clock().now().to_msg()
            empty = self._hri.IdsList()
            empty.header.stamp = stamp
            self._tracked.publish(empty)
        for topics in (self._expressions, self._voices):
            if topics is not None:
                topics.keep(())
        for out in (self._tracked, self._matches):
            if out is not None:
                self._node.destroy_publisher(out)
        self._expressions = self._voices = self._tracked = self._matches = None
        self._heard_ns, self._pairs = {}, {}

    def push(self, step: EmotionStep, frame_id: str) -> None:
        """Publish what is known of everyone at one moment.

        Args:
            step: of the engine.
            frame_id: of the camera.
        """
        if self._expressions is None:
            return
        header = convert.header(step.stamp_ns, frame_id)
        faces = {one.face_id: one for one in step.estimates if one.face_id}
        for face_id, one in faces.items():
            self._expressions.of(face_id)["expression"].publish(self._expression(one, header))
        self._expressions.keep(faces)
        if self._voices is not None:
            self._push_voices(step, header)

    def _expression(self, estimate: EmotionEstimate, header: Any) -> Any:
        """Without a label no word and no confidence; NaN where nothing is known at all."""
        word = _WORDS.get(estimate.label, "")
        known = estimate.valence_arousal_valid
        return self._hri.Expression(
            header=header,
            expression=word,
            valence=float(estimate.valence) if known else math.nan,
            arousal=float(estimate.arousal) if known else math.nan,
            confidence=float(estimate.confidence) if word else 0.0,
        )

    def _push_voices(self, step: EmotionStep, header: Any) -> None:
        assert self._voices is not None
        now_ns = step.stamp_ns
        said = {one.voice_id: one for one in step.estimates if one.voice_id}
        self._heard_ns.update(dict.fromkeys(said, now_ns))
        self._heard_ns = {
            voice_id: at
            for voice_id, at in self._heard_ns.items()
            if 0 <= now_ns - at <= _GONE_NS
        }
        for voice_id in self._heard_ns:
            one = said.get(voice_id)
            speaks = one is not None and one.speaking
            self._voices.of(voice_id)["is_speaking"].publish(Bool(data=speaks))
        self._voices.keep(self._heard_ns)
        self._tracked.publish(self._hri.IdsList(header=header, ids=list(self._heard_ns)))
        self._push_matches(now_ns, said.values())

    def _push_matches(self, now_ns: int, said: Iterable[EmotionEstimate]) -> None:
        """Whose voice is heard: when that becomes known or changes, and every second."""
        for one in said:
            if not one.face_id:
                continue
            before, at = self._pairs.get(one.voice_id, ("", 0))
            if before and before != one.face_id:
                self._match(before, one.voice_id, 0.0)
            if before != one.face_id or not 0 <= now_ns - at < _AGAIN_NS:
                score = one.speaking_score
                self._match(
                    one.face_id, one.voice_id, _DECIDED if score is None else float(score)
                )
                self._pairs[one.voice_id] = (one.face_id, now_ns)
        for voice_id in [key for key in self._pairs if key not in self._heard_ns]:
            del self._pairs[voice_id]

    def _match(self, face_id: str, voice_id: str, confidence: float) -> None:
        kind = self._hri.IdsMatch
        self._matches.publish(
            kind(
                id1=face_id,
                id1_type=kind.FACE,
                id2=voice_id,
                id2_type=kind.VOICE,
                confidence=confidence,
            )
        )
