"""From an image to the faces in it: detector, mesh, tracker, alignment and quality joined."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import IdentityConfig, VisionConfig
from avemo_ros.timing import to_ns
from avemo_ros.vision.alignment import (
    Eyes,
    align,
    eyes_of_keypoints,
    eyes_of_mesh,
    head_pose,
    mouth_opening,
    rough_pose,
)
from avemo_ros.vision.camera_geometry import PinholeCamera, distance_m, looks_at_camera
from avemo_ros.vision.detector import Detection, make_detector
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose
from avemo_ros.vision.face_embedding import FaceEmbedder
from avemo_ros.vision.face_networks import BlendshapeReader, FaceMesh, Region
from avemo_ros.vision.image import as_bgr
from avemo_ros.vision.quality import MOUTH_HIDDEN, cover_of, face_quality
from avemo_ros.vision.reidentification import Reidentifier
from avemo_ros.vision.tracker import Tracker, assign, overlap

_DETECT_NS: Final = to_ns(0.2)
"""While the mesh follows every known face, new ones are looked for this often: the detector
costs twice as much as a mesh."""
_CLOSER_NS: Final = to_ns(0.4)
"""What may be a face that is far away is looked at this often."""
_FAINT: Final = 0.3
"""Score from which something small is looked at more closely; seen so, faces have 0.8 and up,
and what is none stays below the limit."""
_CONFIRM_NS: Final = to_ns(2.0)
"""A mesh that the detector did not confirm for this long has slipped off onto something else;
a head in profile, which the detector may miss, is usually back by then."""
_SAME: Final = 0.2
"""From this intersection over union on a detection and a mesh are of the same face."""
_SLIPPED: Final = 0.5
"""Below this intersection over union with its detection a mesh has lost its face's outline;
usual is 0.7 to 0.9."""
_SMALL: Final = 0.15
"""Below this share of the image's side a detection's box is rough, its score low."""
_SURE: Final = 0.7
"""Score from which the detector is believed where the mesh sees no face: a profile, or far."""
_NOT_COMPARED: Final = IdentityConfig()


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    """A face found in the image, before it has a name."""

    box: Box
    score: float
    confirmed_ns: int
    """When the detector last saw it."""
    points: NDArray[np.float32] | None
    """(468, 3) mesh [pixels]."""
    keypoints: NDArray[np.float32]
    """(3 or more, 2) of the detection that it began with [pixels]; used only without a mesh."""


class FaceAnalyzer:
    """Follows the faces of one stream of images.

    The mesh follows a face from image to image by itself; the detector looks for new ones
    a few times a second, and in every image while a face is missed or has no mesh.  Nothing
    depends on the wall clock or on threads: the same images and stamps give the same tracks.

    Args:
        config: what to look for, and with which detector.
        identity: whether ids also follow what faces look like; by default they do not.

    Raises:
        ConfigError: the detector of `config` cannot be loaded.
        WeightsError: a network's file is missing or damaged.
    """

    def __init__(self, config: VisionConfig, identity: IdentityConfig | None = None) -> None:
        self._config = config
        compares = identity is not None and identity.compares_faces
        self._embedder = FaceEmbedder() if compares else None
        self._reidentifier = (
            Reidentifier(identity) if identity is not None and compares else None
        )
        self._max_faces = config.max_faces
        faint = min(_FAINT, config.detection_confidence)
        self._detector = make_detector(config, faint)
        self._mesh = FaceMesh()
        self._blendshapes = BlendshapeReader() if config.blendshapes else None
        self._tracker = Tracker(config.max_faces, config.track_timeout_s)
        self._known: dict[str, _Face] = {}
        self._size = (0, 0)
        self._detected_ns: int | None = None
        self._closer_ns: int | None = None
        self.camera: PinholeCamera | None = None
        """Of the images, for distances; None: not known."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The faces that are followed: found in the last image, or missed for a moment."""
        return self._tracker.ids

    def process(self, stamp_ns: int, image: NDArray[Any]) -> FrameTracks:
        """The faces in the next image.

        Call `reset` when the clock has jumped back; a stamp that is not later than the last
        one is taken as no time having passed.

        Args:
            stamp_ns: sensor time of the image [ns].
            image: (H, W, 3) BGR or (H, W) grey, uint8.

        Raises:
            ImageError: the array has another type or shape, or no pixels.
            DetectorError: a detector of the user's own failed.
        """
        frame = as_bgr(image)
        height, width = frame.shape[:2]
        if (width, height) != self._size:
            # Pixels of the old size say nothing about the new one; ids stay with their boxes.
            self._size, self._known = (width, height), {}
        found = self._follow(stamp_ns, frame)
        if self._detector_is_due(stamp_ns, found):
            self._detected_ns = stamp_ns
            found = self._search(stamp_ns, frame, found)
        named = self._tracker.update(stamp_ns, found)
        self._known = dict(named)
        faces = tuple(self._track(frame, face_id, face) for face_id, face in named)
        if self._reidentifier is not None:
            faces = self._reidentified(self._reidentifier, stamp_ns, frame, faces)
        return FrameTracks(stamp_ns, width, height, faces)

    def reset(self) -> None:
        """Forget every face, as after a jump of the clock.  Ids are not given again."""
        self._tracker.reset()
        if self._reidentifier is not None:
            self._reidentifier.reset()
        self._known = {}
        self._detected_ns = self._closer_ns = None

    def forget(self, face_id: str) -> None:
        """Forget what a face looks like, and do not look at it again while it is there."""
        if self._reidentifier is not None:
            self._reidentifier.forget(face_id)

    def limit_faces(self, most: int | None) -> None:
        """Follow so many faces from now on, the largest; None: `max_faces`."""
        self._max_faces = min(most or self._config.max_faces, self._config.max_faces)
        self._tracker.limit(self._max_faces)

    def close(self) -> None:
        """Free the networks; doing so twice is harmless."""
        self._detector.close()
        self._mesh.close()
        for network in (self._blendshapes, self._embedder):
            if network is not None:
                network.close()

    def _follow(self, stamp_ns: int, frame: NDArray[np.uint8]) -> list[_Face]:
        """The faces of the image before, where their mesh still holds."""
        found = []
        for face in self._known.values():
            if face.points is None or stamp_ns - face.confirmed_ns > _CONFIRM_NS:
                continue
            fitted = self._mesh.fit(frame, Region.of_landmarks(face.points))
            if fitted is not None:
                box = self._box(fitted[0])
                found.append(replace(face, box=box, points=fitted[0]))
        return found

    def _detector_is_due(self, stamp_ns: int, found: list[_Face]) -> bool:
        if self._detected_ns is None or not found or len(found) < len(self._tracker.ids):
            return True
        if not 0 <= stamp_ns - self._detected_ns < _DETECT_NS:
            return True
        # Where one face hides a part of another, a mesh can slip from one to the other.
        return any(overlap(one.box, other.box)[0] > 0 for one, other in combinations(found, 2))

    def _search(
        self, stamp_ns: int, frame: NDArray[np.uint8], followed: list[_Face]
    ) -> list[_Face]:
        """Look at the whole image: confirm the faces that are followed, find new ones."""
        detections = self._detections(stamp_ns, frame)
        certain, doubtful = [], list(followed)
        for face, item in _pairs(followed, detections):
            detections.remove(item)
            doubtful.remove(face)
            confirmed = replace(face, score=item.score, confirmed_ns=stamp_ns)
            spread = face.box.area > item.box.area
            if spread and overlap(face.box, item.box)[0] < _SLIPPED:
                # The mesh spread over something beside the face: begin again.
                confirmed = self._new_face(stamp_ns, frame, item) or confirmed
            certain.append(confirmed)
        # A crowd must not cost more time than there is: the largest are enough to choose from.
        detections.sort(key=lambda item: -item.box.area)
        for item in detections[: self._max_faces]:
            new = self._new_face(stamp_ns, frame, item)
            if new is not None:
                certain.append(new)
        # The tracker drops those that lie on a face that is certain.
        return certain + doubtful

    def _detections(self, stamp_ns: int, frame: NDArray[np.uint8]) -> list[Detection]:
        """The detector's faces, and now and then a far one that it was not certain of."""
        limit = self._config.detection_confidence
        seen = self._detector.detect(frame)
        certain = [item for item in seen if item.score >= limit]
        faint = [item for item in seen[len(certain) :] if _is_small(item.box)]
        last_ns = self._closer_ns
        if faint and (last_ns is None or not 0 <= stamp_ns - last_ns < _CLOSER_NS):
            self._closer_ns = stamp_ns
            closer = self._detector.look_closer(frame, faint[0])
            if closer is not None and closer.score >= limit:
                certain.append(closer)
        return certain

    def _new_face(
        self, stamp_ns: int, frame: NDArray[np.uint8], item: Detection
    ) -> _Face | None:
        """A detection with its mesh, or without where there is a face but no mesh to it."""
        face = self._meshed(stamp_ns, frame, item)
        if face is None and _is_small(item.box):
            closer = self._detector.look_closer(frame, item)
            if closer is None or closer.score < self._config.detection_confidence:
                return None
            item = closer
            face = self._meshed(stamp_ns, frame, item)
        if face is None and item.score >= _SURE:
            return _Face(item.box, item.score, stamp_ns, None, self._pixels(item))
        return face

    def _meshed(self, stamp_ns: int, frame: NDArray[np.uint8], item: Detection) -> _Face | None:
        """A detection with its mesh; None where the mesh does not hold or is elsewhere."""
        place, keypoints = item.box, self._pixels(item)
        corners = np.array(
            [[place.x, place.y], [place.x + place.width, place.y + place.height]]
        )
        region = Region.of_keypoints(corners * np.array(self._size), keypoints[:2])
        fitted = self._mesh.fit(frame, region)
        if fitted is None:
            return None
        box = self._box(fitted[0])
        if overlap(box, place)[0] < _SAME:
            return None
        return _Face(box, item.score, stamp_ns, fitted[0], keypoints)

    def _pixels(self, item: Detection) -> NDArray[np.float32]:
        """The keypoints in pixels."""
        assert item.keypoints is not None
        return item.keypoints * np.array(self._size, np.float32)

    def _box(self, points: NDArray[np.float32]) -> Box:
        """The box around a mesh, normalised."""
        size = np.array(self._size)
        # By columns: NumPy is slow to reduce over rows of two.
        columns = np.ascontiguousarray(points[:, :2].T)
        low, high = columns.min(axis=1) / size, columns.max(axis=1) / size
        return Box(*low.tolist(), *(high - low).tolist())

    def _reidentified(
        self,
        reidentifier: Reidentifier,
        stamp_ns: int,
        frame: NDArray[np.uint8],
        faces: tuple[FaceTrack, ...],
    ) -> tuple[FaceTrack, ...]:
        """The faces with the ids of those they look like."""
        embedder = self._embedder
        assert embedder is not None
        found = reidentifier.follow(
            stamp_ns,
            faces,
            lambda face: embedder.embed(frame, self._eyes(self._known[face.face_id])[0]),
            self._tracker.fresh_id,
        )
        names = {
            face.face_id: one.face_id
            for face, one in zip(faces, found, strict=True)
            if face.face_id != one.face_id
        }
        if names:
            self._tracker.rename(names)
            self._known = {names.get(key, key): face for key, face in self._known.items()}
        return tuple(
            replace(face, face_id=one.face_id, appearance=one.appearance)
            for face, one in zip(faces, found, strict=True)
            if one.shown_id
        )

    def _eyes(self, face: _Face) -> tuple[Eyes, HeadPose]:
        """The eyes, and where the head is turned, roughly without a mesh."""
        if face.points is not None:
            pose = head_pose(face.points)
            return eyes_of_mesh(face.points, pose), pose
        width, height = self._size
        side = max(face.box.width * width, face.box.height * height)
        turn = rough_pose(face.keypoints[:2], face.keypoints[2])
        return eyes_of_keypoints(face.keypoints[:2], side), turn

    def _track(self, frame: NDArray[np.uint8], face_id: str, face: _Face) -> FaceTrack:
        """What is passed on of a face."""
        width, height = self._size
        points = face.points
        eyes, turn = self._eyes(face)
        pose, opening, landmarks, scores = None, math.nan, None, None
        if points is not None:
            pose = turn
            opening = mouth_opening(points, eyes)
            landmarks = np.asarray(
                points / np.array([width, height, width], np.float32), np.float32
            )
            reader = self._blendshapes
            scores = None if reader is None else reader.read(frame, points)
        crop = align(frame, eyes, self._config.crop_size)
        cover = cover_of(crop)
        if cover.mouth > MOUTH_HIDDEN:
            opening = math.nan
        return FaceTrack(
            face_id=face_id,
            box=face.box,
            confidence=face.score,
            landmarks=landmarks,
            pose=pose,
            quality=face_quality(crop, eyes.distance, turn, cover),
            mouth_opening=opening,
            crop=crop,
            looks_at_robot=looks_at_camera(pose, turn),
            distance=math.nan if self.camera is None else distance_m(eyes, self.camera),
            blendshapes=scores,
        )


def _is_small(box: Box) -> bool:
    """So small that the detector's box is rough and its score low."""
    return max(box.width, box.height) < _SMALL


def _pairs(faces: list[_Face], detections: list[Detection]) -> list[tuple[_Face, Detection]]:
    """Which detection is of which followed face, one to one."""
    shares = [[overlap(face.box, item.box)[0] for item in detections] for face in faces]
    pairs = assign([[-share for share in row] for row in shares])
    return [
        (faces[row], detections[column])
        for row, column in pairs
        if shares[row][column] >= _SAME
    ]
