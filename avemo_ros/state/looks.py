"""Which faces of a picture go through the face network."""

from __future__ import annotations

from avemo_ros.config import EmotionConfig
from avemo_ros.vision.face import FaceTrack, FrameTracks
from avemo_ros.vision.turns import Turns


class Looks:
    """Faces that can be read, each at most once a turn of `face_rate_hz`."""

    def __init__(self, config: EmotionConfig) -> None:
        self._min_quality = config.min_face_quality
        self._turns = Turns(config.face_rate_hz)
        self._looked: set[str] = set()

    def due(self, tracks: FrameTracks) -> list[FaceTrack]:
        """The faces to look at now; they have had their turn then."""
        if self._turns.is_due(tracks.stamp_ns):
            self._turns.take(tracks.stamp_ns)
            self._looked.clear()
        faces = [
            face
            for face in tracks.faces
            if face.quality >= self._min_quality and face.face_id not in self._looked
        ]
        self._looked.update(face.face_id for face in faces)
        return faces

    def clear(self) -> None:
        """Forget the stream."""
        self._turns.reset()
        self._looked.clear()
