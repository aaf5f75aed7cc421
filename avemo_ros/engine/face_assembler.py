"""Faces that another node has found, as face tracks: ids, boxes, points and cuts of one image,
which come one by one, are put together.

The other node gives less than our own: no mesh, and no image.  Pose, mouth and crop are made
from its 70 points and its cut of the face as far as these allow; what they do not tell is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import VisionConfig
from avemo_ros.timing import RateLimiter, to_ns
from avemo_ros.untrusted import MAX_FACES
from avemo_ros.vision.alignment import (
    EYE_DISTANCE,
    Eyes,
    align,
    canonical_head,
    pose_of,
    rough_pose,
)
from avemo_ros.vision.camera_geometry import PinholeCamera, distance_m, looks_at_camera
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose
from avemo_ros.vision.quality import MOUTH_HIDDEN, cover_of, face_quality

POINTS: Final = 70
"""Points of hri_msgs/FacialLandmarks: the 68 of iBUG 300-W, then the pupils."""
_RIGHT_EYE, _LEFT_EYE = (36, 39), (45, 42)
"""Outer and inner corner of the person's eyes."""
_RIGHT_PUPIL, _LEFT_PUPIL = 68, 69
_NOSE: Final = 30
_UPPER_LIP, _LOWER_LIP = 62, 66
"""Middle of the lips' inner edges."""
_WAIT_NS: Final = to_ns(0.1)
"""Parts of one image that have not come so long after its ids are lost."""
_MOST: Final = 30
"""Images that may wait to be put together."""
_AHEAD: Final = HeadPose(0.0, 0.0, 0.0)
_NOD: Final = math.radians(7.7)
"""By so much a head looks up by its 68 points alone, where the mesh looks into the camera: they
have the tip of the nose higher than the skull's points here.  A median (docs/people.md)."""


@dataclass(slots=True, eq=False)
class FaceParts:
    """What is known of one face in one image."""

    box: Box | None = None
    confidence: float = 0.0
    points: NDArray[np.float32] | None = None
    """(70, 3): x and y normalised to the image, and confidence, 0 for what is not known."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the image [pixels]; known with the points only."""
    cut: NDArray[np.uint8] | None = None
    """(H, W, 3) BGR: what is in the box, scaled, in the middle of black."""

    def update(self, other: FaceParts) -> None:
        """Take what the other one knows."""
        if other.box is not None:
            self.box, self.confidence = other.box, other.confidence
        if other.points is not None:
            self.points, self.size = other.points, other.size
        if other.cut is not None:
            self.cut = other.cut

    @property
    def usable(self) -> bool:
        """Box and cut are there."""
        return self.box is not None and self.cut is not None


@dataclass(slots=True, eq=False)
class _Frame:
    """One image whose parts come."""

    stamp_ns: int
    ids: tuple[str, ...] | None = None
    ids_ns: int = 0
    """When the ids came [ns]."""
    faces: dict[str, FaceParts] = field(default_factory=dict)


class FaceAssembler:
    """Puts the parts of each image together.

    An image is complete when its ids have come, and of each id box, cut and, where they came
    with the face before, points.  It is not waited for longer than 0.1 s, nor when the ids of
    a newer one have come.  A face without box or cut is missed in that image.

    Args:
        config: size of the crop, and how many images a second are used.
    """

    def __init__(self, config: VisionConfig) -> None:
        self._config = config
        self._limiter = RateLimiter(config.max_rate_hz)
        self.camera: PinholeCamera | None = None
        """That the faces were found with, for distances; None: not known."""
        self.lost = 0
        """Faces with an id but without box or cut."""
        self.reset()

    def reset(self) -> None:
        """Forget everyone."""
        self._limiter.reset()
        self._frames: dict[int, _Frame] = {}
        self._with_points: set[str] = set()
        """Whose points came with the image before."""
        self._given_ns: int | None = None

    def push_ids(
        self, stamp_ns: int, ids: Collection[str], arrival_ns: int
    ) -> list[FrameTracks]:
        """Who is tracked in an image.

        Args:
            stamp_ns: sensor time of the image [ns].
            ids: of all who are tracked, also of who is missed in this very image.
            arrival_ns: when they came [ns].

        Returns:
            The images that have become complete, oldest first.
        """
        frame = self._frame(stamp_ns)
        if frame is None:
            return []
        # Of a crowd the first are enough to choose from.
        frame.ids, frame.ids_ns = tuple(dict.fromkeys(ids))[:MAX_FACES], arrival_ns
        return self._complete(arrival_ns)

    def push_part(
        self, stamp_ns: int, face_id: str, part: FaceParts, arrival_ns: int
    ) -> list[FrameTracks]:
        """What is known of a face in an image; arguments and result as for `push_ids`."""
        frame = self._frame(stamp_ns)
        if frame is None:
            if part.points is not None:
                self._with_points.add(face_id)  # they come late, so from now on wait for them
            return []
        frame.faces.setdefault(face_id, FaceParts()).update(part)
        return self._complete(arrival_ns)

    def advance(self, now_ns: int) -> list[FrameTracks]:
        """Let time pass up to `now_ns`, on the clock of the arrivals [ns]."""
        return self._complete(now_ns)

    def _frame(self, stamp_ns: int) -> _Frame | None:
        if self._given_ns is not None and stamp_ns <= self._given_ns:
            if self._given_ns - stamp_ns <= to_ns(1.0):
                return None
            self.reset()  # time started anew
        frame = self._frames.setdefault(stamp_ns, _Frame(stamp_ns))
        if len(self._frames) > _MOST:
            del self._frames[min(self._frames)]
        return frame if stamp_ns in self._frames else None

    def _complete(self, now_ns: int) -> list[FrameTracks]:
        newest_ns = max(
            (one.stamp_ns for one in self._frames.values() if one.ids is not None), default=None
        )
        found = []
        for stamp_ns in sorted(self._frames):
            frame = self._frames[stamp_ns]
            if newest_ns is None or stamp_ns > newest_ns:
                break
            if frame.ids is not None and stamp_ns == newest_ns:
                late = not 0 <= now_ns - frame.ids_ns < _WAIT_NS
                if not late and not self._is_whole(frame):
                    break
            del self._frames[stamp_ns]
            if frame.ids is None:
                continue  # its ids are lost: nobody can say who else was there
            self._given_ns = stamp_ns
            self._with_points = {
                face_id for face_id in frame.ids if self._has_points(frame, face_id)
            }
            if self._limiter.is_due(stamp_ns):
                self._limiter.take(stamp_ns)
                found.append(self._tracks(frame))
        return found

    def _has_points(self, frame: _Frame, face_id: str) -> bool:
        parts = frame.faces.get(face_id)
        # Of who is missed in an image nothing comes, and that says nothing.
        return face_id in self._with_points if parts is None else parts.points is not None

    def _is_whole(self, frame: _Frame) -> bool:
        found = [(face_id, frame.faces.get(face_id)) for face_id in frame.ids or ()]
        return all(
            parts is not None
            and parts.usable
            and (parts.points is not None or face_id not in self._with_points)
            for face_id, parts in found
        )

    def _tracks(self, frame: _Frame) -> FrameTracks:
        faces = []
        for face_id in frame.ids or ():
            parts = frame.faces.get(face_id)
            if parts is None or not parts.usable:
                self.lost += 1
                continue
            faces.append(track_of(face_id, parts, self._config.crop_size, self.camera))
        sizes = [parts.size for parts in frame.faces.values() if parts.size != (0, 0)]
        width, height = sizes[0] if sizes else (0, 0)
        return FrameTracks(frame.stamp_ns, width, height, tuple(faces))


def track_of(
    face_id: str, parts: FaceParts, crop_side: int, camera: PinholeCamera | None
) -> FaceTrack:
    """A face of another node as a track of ours.

    Args:
        face_id: as the other node calls it.
        parts: with box and cut.
        crop_side: of the aligned crop [pixels].
        camera: that it was found with; None: not known.
    """
    box, cut = parts.box, parts.cut
    assert box is not None
    assert cut is not None
    seen = _seen(parts)
    eyes = None if seen is None else _eyes(*seen)
    if seen is None or eyes is None:
        # Where the eyes are is not known: the cut as it is.
        grey = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY) if cut.ndim == 3 else cut
        crop = np.asarray(
            cv2.resize(grey, (crop_side, crop_side), interpolation=cv2.INTER_AREA)
        )
        pixels = EYE_DISTANCE * min(cut.shape[:2])
        quality = face_quality(crop, pixels, _AHEAD, cover_of(crop))
        return FaceTrack(face_id, box, parts.confidence, None, None, quality, math.nan, crop)
    points, known = seen
    pose, rough = _poses(points, known)
    turned = pose or rough or _AHEAD
    # Turning to the side brings the eyes closer in the image, by its cosine.
    eyes = Eyes(eyes.x, eyes.y, eyes.distance / max(math.cos(turned.yaw), 0.5), turned.roll)
    crop, scale = _aligned(parts, eyes, crop_side)
    cover = cover_of(crop)
    opening = math.nan
    if known[_UPPER_LIP] and known[_LOWER_LIP] and cover.mouth <= MOUTH_HIDDEN:
        gap = float(np.linalg.norm(points[_LOWER_LIP] - points[_UPPER_LIP]))
        opening = gap / max(eyes.distance, 1.0)
    # A cut that was made smaller holds no more than it has pixels.
    pixels = eyes.distance * min(scale, 1.0)
    if camera is not None:
        camera = camera.scaled_to(*parts.size)
    return FaceTrack(
        face_id=face_id,
        box=box,
        confidence=parts.confidence,
        landmarks=None,
        pose=pose,
        quality=face_quality(crop, pixels, turned, cover),
        mouth_opening=opening,
        crop=crop,
        looks_at_robot=math.nan if rough is None else looks_at_camera(pose, rough),
        distance=math.nan if camera is None else distance_m(eyes, camera),
    )


def _seen(parts: FaceParts) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """(70, 2) points [pixels of the image], and which of them are known."""
    if parts.points is None or min(parts.size) <= 0:
        return None
    return (
        parts.points[:, :2].astype(np.float64) * np.array(parts.size, np.float64),
        parts.points[:, 2] > 0.0,
    )


def _eyes(points: NDArray[np.float64], known: NDArray[np.bool_]) -> Eyes | None:
    """Of the corners, which blinking does not move, else of the pupils; as in the image."""
    centres = []
    for corners, pupil in ((_RIGHT_EYE, _RIGHT_PUPIL), (_LEFT_EYE, _LEFT_PUPIL)):
        if known[list(corners)].all():
            centres.append(points[list(corners)].mean(axis=0))
        elif known[pupil]:
            centres.append(points[pupil])
        else:
            return None
    (x, y), (across, down) = (centres[0] + centres[1]) / 2, centres[1] - centres[0]
    distance = math.hypot(across, down)
    return Eyes(float(x), float(y), distance, math.atan2(down, across)) if distance else None


def _aligned(parts: FaceParts, eyes: Eyes, side: int) -> tuple[NDArray[np.uint8], float]:
    """The crop, and how many pixels of the cut are one of the image."""
    box, cut = parts.box, parts.cut
    assert box is not None
    assert cut is not None
    width, height = parts.size
    across, down = max(box.width * width, 1.0), max(box.height * height, 1.0)
    rows, columns = cut.shape[:2]
    scale = min(columns / across, rows / down)
    # Without the black around it: the rim's pixels stand in for what is beyond.
    left, top = (columns - scale * across) / 2, (rows - scale * down) / 2
    inner = cut[
        math.ceil(top) : max(math.floor(rows - top), math.ceil(top) + 1),
        math.ceil(left) : max(math.floor(columns - left), math.ceil(left) + 1),
    ]
    placed = Eyes(
        scale * (eyes.x - box.x * width) + left - math.ceil(left),
        scale * (eyes.y - box.y * height) + top - math.ceil(top),
        scale * eyes.distance,
        eyes.roll,
    )
    return align(np.ascontiguousarray(inner), placed, side), scale


# Of the skull's points those that are among the 68, by their index there.
_RIGID: Final[dict[int, tuple[int, ...]]] = {
    36: (33,),
    39: (133,),
    45: (263,),
    42: (362,),
    27: (168, 6),
    30: (1,),
    31: (98,),
    35: (327,),
}


def _poses(
    points: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[HeadPose | None, HeadPose | None]:
    """The pose of the eyes' corners and the nose, and that of eyes and nose alone."""
    corners = [*_RIGHT_EYE, *_LEFT_EYE]
    if known[corners].all():
        eyes = np.stack(
            [points[list(_RIGHT_EYE)].mean(axis=0), points[list(_LEFT_EYE)].mean(axis=0)]
        )
    elif known[[_RIGHT_PUPIL, _LEFT_PUPIL]].all():
        eyes = points[[_RIGHT_PUPIL, _LEFT_PUPIL]]
    else:
        return None, None
    rough = rough_pose(eyes, points[_NOSE]) if known[_NOSE] else None
    if not known[list(_RIGID)].all():
        return None, rough
    return pose_of_points(points), rough


def pose_of_points(points: NDArray[np.float64]) -> HeadPose:
    """The pose of a head by the rigid ones among its 68 points.

    As if it was seen from afar: the best fit of turn and scale to the points of the canonical
    head (scaled orthography; DeMenthon and Davis 1995, "Model-based object pose in 25 lines of
    code", section 3).

    Args:
        points: (68 or more, 2) [pixels].
    """
    head = canonical_head()
    model = np.array([np.mean([head[i] for i in mesh], axis=0) for mesh in _RIGID.values()])
    seen = points[list(_RIGID)]
    solved, *_ = np.linalg.lstsq(
        model - model.mean(axis=0), seen - seen.mean(axis=0), rcond=None
    )
    left, _, right = np.linalg.svd(solved.T, full_matrices=False)
    rows = left @ right
    pose = pose_of(np.vstack([rows, np.cross(rows[0], rows[1])]))
    return HeadPose(pose.yaw, pose.pitch - _NOD, pose.roll)
