"""Face ids that survive crossings, hidden faces and short absences, by what faces look like.

The tracker names faces by their place alone.  Where that can go wrong (a face is new, was
missed, or is beside another one) the face is in doubt: its embedding is compared with what is
remembered of the ids.  At most one face in an image is embedded, and one that is not in doubt
once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import IdentityConfig
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import Box, FaceTrack
from avemo_ros.vision.face_embedding import mean_embedding
from avemo_ros.vision.tracker import overlap

Embed = Callable[[FaceTrack], NDArray[np.float32]]
"""The embedding (192,) of a face of the present image."""

_PERIOD_NS: Final = to_ns(1.0)
"""A face that is not in doubt is embedded this often."""
_SOON_NS: Final = to_ns(0.3)
"""One that is in doubt, or has not been seen often yet."""
_BEGIN: Final = 3
"""Embeddings until a face has been seen often enough."""
_GONE_NS: Final = to_ns(1.0)
"""Near the place of a face that vanished less than this ago, faces may be mixed up."""
_NEAR: Final = 0.25
"""Faces closer than this share of their size are beside each other."""
_HIDDEN: Final = 0.1
"""Where another face covers more than this share, an embedding is of both."""
_LEAST_QUALITY: Final = 0.3
_LEAD: Final = 0.1
"""Lead over the second that the likeliest needs."""
_STRANGER: Final = 0.4
"""Below this similarity a face that was missed, or beside another one, is somebody else."""
_ODD: Final = 0.25
"""The same for a face that was never out of sight."""
_TRIES: Final = 3
"""Embeddings after which a doubt is decided, if only by keeping the id."""
_ODD_TRIES: Final = 5
"""The same for a face that was never out of sight."""
_KEPT: Final = 8
"""Newest embeddings that an id is remembered by."""
_MOST: Final = 64
"""Ids that are remembered."""
_NAMELESS_NS: Final = to_ns(0.7)
"""While somebody is missing, a new face that may be them goes without an id for this long."""
_FORGOTTEN_NS: Final = to_ns(10.0)
"""A face that appears so soon after a forgotten one was last seen may be the same person."""


@dataclass(slots=True, eq=False)
class _Look:
    """What is remembered of a face id."""

    box: Box
    seen_ns: int
    since_ns: int
    looked_ns: int | None = None
    doubted: bool = True
    odd: bool = False
    """The only doubt is that it did not look like itself."""
    decided_ns: int | None = None
    """When the last doubt ended [ns]."""
    known: list[NDArray[np.float32]] = field(default_factory=list)
    fresh: list[NDArray[np.float32]] = field(default_factory=list)
    """Embeddings (192,) before, and since the doubt."""

    def like(self, vector: NDArray[np.float32]) -> float:
        return float(mean_embedding(self.known) @ vector) if self.known else 0.0

    def settle(self, stamp_ns: int) -> None:
        """The doubt is over: the fresh embeddings are of this id."""
        self.known = (self.known + self.fresh)[-_KEPT:]
        self.fresh = []
        self.doubted = self.odd = False
        self.decided_ns = stamp_ns


@dataclass(slots=True, eq=False)
class _Forgotten:
    """Somebody whose looks must not be taken."""

    face_ids: set[str]
    """That they had, or may have, since."""
    seen_ns: int | None = None
    """When one of these was last seen [ns]; None: not looked for yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Reidentified:
    """A face of one image."""

    face_id: str
    """The id that it should have."""
    shown_id: str
    """The same, or empty while it is not certain whether it is somebody who is missing."""
    appearance: NDArray[np.float32] | None
    """(192,) its newest embedding; None where none was made, or where the id is in doubt."""


class Reidentifier:
    """Remembers what faces look like for some seconds.  Not for several threads at once.

    Args:
        config: for how long, and how similar two faces of one person are.
    """

    def __init__(self, config: IdentityConfig) -> None:
        self._memory_ns = to_ns(config.track_memory_s)
        self._same = config.min_similarity
        self._looks: dict[str, _Look] = {}
        self._forgotten: list[_Forgotten] = []
        self._before_ns = 0
        """Stamp of the image before [ns]."""

    def reset(self) -> None:
        """Forget every face."""
        self._looks.clear()
        self._forgotten.clear()
        self._before_ns = 0

    def forget(self, face_id: str) -> None:
        """Forget a face, and do not look at it again while it is there.

        Nor at one that appears within ten seconds after it was last seen: that may be the same
        person.
        """
        self._looks.pop(face_id, None)
        if not any(face_id in one.face_ids for one in self._forgotten):
            self._forgotten.append(_Forgotten({face_id}))

    def follow(
        self,
        stamp_ns: int,
        faces: Sequence[FaceTrack],
        embed: Embed,
        fresh_id: Callable[[], str],
    ) -> list[Reidentified]:
        """Look at the faces of the next image.

        Args:
            stamp_ns: sensor time of the image [ns].
            faces: as the tracker has named them.
            embed: makes an embedding; called at most once.
            fresh_id: gives an id that nobody had before.

        Returns:
            For each of the faces the id that it should have, each id at most once.
        """
        self._drop(stamp_ns)
        there = {face.face_id: face for face in faces}
        for one in self._forgotten:
            if one.seen_ns is None or one.face_ids & there.keys():
                one.seen_ns = stamp_ns
        for face in faces:
            self._see(stamp_ns, face)
        self._before_ns = stamp_ns
        self._doubt(stamp_ns, there)
        looked = self._embed_one(stamp_ns, there, embed)
        names = self._decide(stamp_ns, looked, there, fresh_id) if looked else {}
        there_now = [names.get(face_id, face_id) for face_id in there]
        missing = any(
            look.known and face_id not in there_now for face_id, look in self._looks.items()
        )
        return [self._told(stamp_ns, face_id, missing) for face_id in there_now]

    def _told(self, stamp_ns: int, face_id: str, missing: bool) -> Reidentified:
        look = self._looks.get(face_id)
        if look is None:
            return Reidentified(face_id, face_id, None)
        nameless = missing and look.doubted and not look.known
        shown = "" if nameless and stamp_ns - look.since_ns < _NAMELESS_NS else face_id
        known = look.known and not look.doubted and look.looked_ns == stamp_ns
        return Reidentified(face_id, shown, look.known[-1] if known else None)

    def _drop(self, stamp_ns: int) -> None:
        self._looks = {
            face_id: look
            for face_id, look in self._looks.items()
            if stamp_ns - look.seen_ns <= self._memory_ns
        }
        while len(self._looks) > _MOST:
            del self._looks[min(self._looks, key=lambda one: self._looks[one].seen_ns)]
        self._forgotten = [
            one
            for one in self._forgotten
            if one.seen_ns is None or stamp_ns - one.seen_ns <= _FORGOTTEN_NS
        ]

    def _see(self, stamp_ns: int, face: FaceTrack) -> None:
        if any(face.face_id in one.face_ids for one in self._forgotten):
            return
        look = self._looks.get(face.face_id)
        if look is None:
            # Whoever was forgotten and is not in view may have come back with another id.
            absent = [one for one in self._forgotten if one.seen_ns != stamp_ns]
            for one in absent:
                one.face_ids.add(face.face_id)
            if not absent:
                self._looks[face.face_id] = _Look(face.box, stamp_ns, stamp_ns)
            return
        if look.seen_ns < self._before_ns:
            # It was missed: somebody else may be in its place.
            look.doubted, look.odd = True, False
        look.box, look.seen_ns = face.box, stamp_ns

    def _doubt(self, stamp_ns: int, there: Mapping[str, FaceTrack]) -> None:
        """Faces beside each other, or where one has just vanished, may be mixed up."""
        for face_id, look in self._looks.items():
            if face_id not in there or not look.known or (look.doubted and not look.odd):
                continue
            if look.decided_ns is not None and stamp_ns - look.decided_ns < _PERIOD_NS:
                continue
            if any(
                _are_near(look.box, other.box)
                for other_id, other in self._looks.items()
                if other_id != face_id and stamp_ns - other.seen_ns < _GONE_NS
            ):
                look.doubted, look.odd = True, False

    def _embed_one(
        self, stamp_ns: int, there: Mapping[str, FaceTrack], embed: Embed
    ) -> str | None:
        """Embed the face that needs it most, if one does; its id."""

        def is_due(face_id: str) -> bool:
            look = self._looks[face_id]
            often = look.doubted or len(look.known) < _BEGIN
            period_ns = _SOON_NS if often else _PERIOD_NS
            return look.looked_ns is None or stamp_ns - look.looked_ns >= period_ns

        due = [
            face_id
            for face_id, face in there.items()
            if face_id in self._looks
            and is_due(face_id)
            and face.quality >= _LEAST_QUALITY
            and not any(
                overlap(face.box, other.box)[1] > _HIDDEN
                for other in there.values()
                if other is not face
            )
        ]
        if not due:
            return None
        looks = self._looks
        chosen = min(due, key=lambda one: (not looks[one].doubted, looks[one].looked_ns or 0))
        look = looks[chosen]
        vector = embed(there[chosen])
        look.looked_ns = stamp_ns
        look.fresh.append(vector)
        return chosen

    def _decide(
        self,
        stamp_ns: int,
        face_id: str,
        there: Mapping[str, FaceTrack],
        fresh_id: Callable[[], str],
    ) -> dict[str, str]:
        """Whether the face that was embedded keeps its id; what to call whom instead."""
        look = self._looks[face_id]
        seen = mean_embedding(look.fresh)
        own = look.like(seen)
        if look.known and own >= self._same:
            look.settle(stamp_ns)
            return {}
        if not look.doubted:
            # One odd embedding decides nothing.
            look.doubted = look.odd = True
            return {}
        rivals = self._rivals(face_id, there, seen)
        best, second = rivals[0], rivals[1]
        if best[0] >= self._same and best[0] >= max(second[0], own) + _LEAD:
            # A face that was somebody else until now has to be seen so twice.
            if look.known and len(look.fresh) < _TRIES - 1:
                return {}
            return self._rename(stamp_ns, face_id, best[1], there, fresh_id)
        is_other = look.known and own < (_ODD if look.odd else _STRANGER)
        tries = _ODD_TRIES if look.odd and is_other else _TRIES
        if len(look.fresh) < tries and (look.known or best[1]):
            return {}
        if is_other:
            return self._rename(stamp_ns, face_id, fresh_id(), there, fresh_id)
        if look.known:
            look.fresh = []
        look.settle(stamp_ns)
        return {}

    def _rivals(
        self, face_id: str, there: Mapping[str, FaceTrack], seen: NDArray[np.float32]
    ) -> list[tuple[float, str]]:
        """Whom else the face is like, most like first, at least two entries."""
        found = [
            (other.like(seen), other_id)
            for other_id, other in self._looks.items()
            if other_id != face_id
            and other.known
            # Who is in view for certain cannot be here as well.
            and (other_id not in there or other.doubted)
        ]
        return [*sorted(found, reverse=True), (-1.0, ""), (-1.0, "")]

    def _rename(
        self,
        stamp_ns: int,
        face_id: str,
        wanted: str,
        there: Mapping[str, FaceTrack],
        fresh_id: Callable[[], str],
    ) -> dict[str, str]:
        look = self._looks[face_id]
        owner = self._looks.get(wanted)
        taken = _Look(look.box, stamp_ns, look.since_ns, stamp_ns, fresh=look.fresh)
        names = {face_id: wanted}
        if owner is not None:
            taken.known = owner.known
        if owner is not None and wanted in there:
            # Two ids were exchanged, unless the other one is somebody else again.
            back = look.known and (
                not owner.fresh or look.like(mean_embedding(owner.fresh)) >= _ODD
            )
            names[wanted] = face_id if back else fresh_id()
            other = _Look(
                owner.box, stamp_ns, owner.since_ns, owner.looked_ns, fresh=owner.fresh
            )
            other.known = look.known if back else []
            self._looks[names[wanted]] = other
        if names.get(wanted) != face_id:
            if look.known:
                # The owner of the id is not in view; what is fresh is not of them.
                look.fresh, look.doubted = [], True
                look.seen_ns = min(look.seen_ns, stamp_ns)
            else:
                self._looks.pop(face_id)
        self._looks[wanted] = taken
        taken.settle(stamp_ns)
        return names


def _are_near(one: Box, other: Box) -> bool:
    return overlap(_grown(one), _grown(other))[0] > 0.0


def _grown(box: Box) -> Box:
    across, down = _NEAR / 2 * box.width, _NEAR / 2 * box.height
    return Box(box.x - across, box.y - down, box.width + 2 * across, box.height + 2 * down)
