"""Who the faces are: people get an id that outlasts the tracks of their faces.

A face is recognised when its newest embeddings are like those of one person and clearly less
like those of anybody else; it is somebody new when they are like nobody's.  In between it is
not known who it is, and the id stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import IdentityConfig
from avemo_ros.state.identity_file import EnrolledPerson, IdentityFile
from avemo_ros.timing import to_ns
from avemo_ros.untrusted import MAX_ID_LENGTH
from avemo_ros.vision.face import FrameTracks
from avemo_ros.vision.face_embedding import mean_embedding

_LEAD: Final = 0.1
"""Lead over the second person that the likeliest needs."""
_UNLIKE: Final = 0.35
"""Below this similarity to everybody a face is somebody new."""
_CLEARLY: Final = 0.1
"""After many embeddings a likeness that misses the limit by more is of somebody new, too."""
_STRANGER: Final = 0.25
"""Below this similarity a face is not the person that it was taken for."""
_ENOUGH: Final = 2
"""Embeddings of a face that recognition needs."""
_ENOUGH_NEW: Final = 3
"""Embeddings of a face that a new person needs."""
_MANY: Final = 6
_NEWEST: Final = 3
"""Embeddings of a face that are compared."""
_VIEWS: Final = 6
"""Embeddings by which a person is remembered."""
_ANOTHER_VIEW: Final = 0.7
"""Below this similarity to the known ones a view of a person is worth remembering."""
_CHECK_NS: Final = to_ns(60.0)
"""How often it is looked whether enrolments have run out."""
_GIVEN_NAMES: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)
_OUR_NAMES: Final = re.compile(r"[fvp]\d+", re.ASCII)


@dataclass(slots=True, eq=False)
class _KnownPerson:
    """Somebody who is remembered."""

    views: list[NDArray[np.float32]]
    """(192,) each."""
    seen_ns: int
    enrolled_s: float | None = None
    """When they were enrolled for the file [s since 1970]; None: they were not."""

    def like(self, vector: NDArray[np.float32]) -> float:
        return max(float(view @ vector) for view in self.views)


@dataclass(slots=True, eq=False)
class _SeenFace:
    """A face that is followed, or was a moment ago."""

    seen_ns: int
    person_id: str = ""
    count: int = 0
    """Embeddings since it was last not known who it is."""
    newest: list[NDArray[np.float32]] = field(default_factory=list)
    odd: int = 0
    """Embeddings in a row that were not like the person."""
    refused: bool = False
    """The person was forgotten: not to be looked at again."""


class Forgotten(NamedTuple):
    """Who was forgotten."""

    person_id: str
    """Empty if the person had none."""
    face_ids: tuple[str, ...]
    """Of faces in view, or that were a moment ago."""


class Enrolment(NamedTuple):
    """What came of enrolling somebody."""

    success: bool
    message: str
    person_id: str = ""
    previous_id: str = ""
    """That the person had; empty: none."""


class Identity:
    """Gives people their ids, and remembers them.  Not for several threads at once.

    It depends on the faces and their stamps alone; only the file knows the date.

    Args:
        config: what to remember, and for how long.

    Raises:
        ConfigError: the file of `config` cannot be used, as its key lacks.
    """

    def __init__(self, config: IdentityConfig) -> None:
        self._config = config
        self._file = IdentityFile(config) if config.mode == "file" else None
        self._visit_ns = to_ns(60.0 * config.visit_minutes)
        self._face_ns = to_ns(config.track_memory_s)
        self._given = 0
        self.clear()

    def load(self) -> None:
        """Read who is enrolled.

        Raises:
            ConfigError: the file cannot be read or decrypted.
        """
        if self._file is None:
            return
        people, given = self._file.read()
        self._given = max(self._given, given)
        for one in people:
            self._people[one.person_id] = _KnownPerson(list(one.views), 0, one.enrolled_s)

    def clear(self) -> None:
        """Forget everybody; the file stays.  Ids are not given again."""
        self._people: dict[str, _KnownPerson] = {}
        self._faces: dict[str, _SeenFace] = {}
        self._told: dict[str, tuple[str, int]] = {}
        """By face id: who it is by another node, and when the face was last seen [ns]."""
        self._now_ns = self._checked_ns = 0

    @property
    def people(self) -> tuple[str, ...]:
        """The ids of everybody who is remembered."""
        return tuple(self._people)

    def person_of(self, face_id: str) -> str:
        """Who a face is; empty where that is not known."""
        if face_id in self._told:
            return self._told[face_id][0]
        face = self._faces.get(face_id)
        return "" if face is None else face.person_id

    def remembers(self, key: str) -> bool:
        """Whether somebody may come back with this person or face id."""
        told = any(key == person_id for person_id, _ in self._told.values())
        return told or key in self._people or key in self._faces

    def see(self, tracks: FrameTracks) -> None:
        """Take the faces of the next image; if the time has gone back, all faces are new."""
        self._listen(tracks)
        if not self._config.compares_faces:
            return
        now_ns = tracks.stamp_ns
        if now_ns < self._now_ns:
            self._faces.clear()
            for person in self._people.values():
                person.seen_ns = min(person.seen_ns, now_ns)
            self._checked_ns = 0
        self._now_ns = now_ns
        for track in tracks.faces:
            face = self._faces.setdefault(track.face_id, _SeenFace(now_ns))
            face.seen_ns = now_ns
            if face.person_id:
                self._people[face.person_id].seen_ns = now_ns
        there = [track.face_id for track in tracks.faces]
        for track in tracks.faces:
            wanted = self._config.recognises and not self._faces[track.face_id].refused
            if track.appearance is not None and wanted:
                self._look(track.face_id, track.appearance, there)
        self._age(now_ns)

    def _listen(self, tracks: FrameTracks) -> None:
        """Take what another node says of who the faces are."""
        now_ns = tracks.stamp_ns
        for track in tracks.faces:
            self._told.pop(track.face_id, None)
            if track.person_id:
                self._told[track.face_id] = (track.person_id, now_ns)
        if self._told:
            self._told = {
                face_id: (person_id, seen_ns)
                for face_id, (person_id, seen_ns) in self._told.items()
                if 0 <= now_ns - seen_ns <= self._visit_ns
            }
        while len(self._told) > self._config.max_people:
            del self._told[next(iter(self._told))]

    def _look(self, face_id: str, vector: NDArray[np.float32], there: Collection[str]) -> None:
        """Decide anew who a face is, with its newest embedding."""
        face = self._faces[face_id]
        face.newest = [*face.newest, vector][-_NEWEST:]
        face.count += 1
        if face.person_id:
            person = self._people[face.person_id]
            if person.like(vector) >= _STRANGER:
                face.odd = 0
                self._learn(person, mean_embedding(face.newest))
                return
            face.odd += 1
            if face.odd < _ENOUGH:
                return
            face.person_id, face.newest, face.count, face.odd = "", [vector], 1, 0
        seen = mean_embedding(face.newest)
        taken = {self.person_of(other) for other in there}
        scores = [
            (person.like(seen), person_id)
            for person_id, person in self._people.items()
            if person_id not in taken
        ]
        none = (-1.0, "")
        (best, likeliest), (second, _), *_ = [*sorted(scores, reverse=True), none, none]
        if best >= self._config.min_similarity and best >= second + _LEAD:
            if face.count >= _ENOUGH:
                face.person_id = likeliest
                self._people[likeliest].seen_ns = face.seen_ns
        elif face.count >= _ENOUGH_NEW:
            many = face.count >= _MANY
            unlike = self._config.min_similarity - _CLEARLY if many else _UNLIKE
            if best < unlike:
                self._welcome(face, seen)

    def _learn(self, person: _KnownPerson, seen: NDArray[np.float32]) -> None:
        """Another view of somebody who is followed; not of the enrolled, whose views are those
        that were asked for."""
        likeness = person.like(seen)
        another = self._config.min_similarity <= likeness < _ANOTHER_VIEW
        if another and person.enrolled_s is None and len(person.views) < _VIEWS:
            person.views.append(seen)

    def _welcome(self, face: _SeenFace, seen: NDArray[np.float32]) -> None:
        """Somebody new."""
        if not self._make_room(face.seen_ns):
            return
        face.person_id = self._fresh_id()
        self._people[face.person_id] = _KnownPerson([seen], face.seen_ns)

    def _fresh_id(self) -> str:
        self._given += 1
        return f"p{self._given:04d}"

    def _make_room(self, now_ns: int) -> bool:
        """Forget who was seen longest ago, if there are too many; not the enrolled."""
        if len(self._people) < self._config.max_people:
            return True
        leaving = [
            (person.seen_ns, person_id)
            for person_id, person in self._people.items()
            if person.enrolled_s is None and person.seen_ns < now_ns
        ]
        if leaving:
            self._drop([min(leaving)[1]])
        return bool(leaving)

    def _age(self, now_ns: int) -> None:
        self._faces = {
            face_id: face
            for face_id, face in self._faces.items()
            if now_ns - face.seen_ns <= self._face_ns
        }
        self._drop(
            [
                person_id
                for person_id, person in self._people.items()
                if person.enrolled_s is None and now_ns - person.seen_ns > self._visit_ns
            ]
        )
        if self._file is not None and now_ns - self._checked_ns > _CHECK_NS:
            self._checked_ns = now_ns
            over = [
                person_id
                for person_id, person in self._people.items()
                if person.enrolled_s is not None and self._file.is_over(person.enrolled_s)
            ]
            if over:
                self._drop(over)
                self._write()

    def _drop(self, person_ids: Iterable[str]) -> None:
        for person_id in person_ids:
            del self._people[person_id]
            for face in self._faces.values():
                if face.person_id == person_id:
                    face.person_id, face.newest, face.count = "", [], 0

    def _write(self) -> None:
        if self._file is not None:
            enrolled = [
                EnrolledPerson(person_id, tuple(person.views), person.enrolled_s)
                for person_id, person in self._people.items()
                if person.enrolled_s is not None
            ]
            self._file.write(enrolled, self._given)

    # --- on request

    def forget(self, wanted: str) -> Forgotten:
        """Forget somebody, in the file too; who is in view is not looked at again until gone.

        Args:
            wanted: person id, or the id of a face.

        Raises:
            ConfigError: the file cannot be written.
        """
        person_id = wanted if wanted in self._people else self.person_of(wanted)
        faces = {
            face_id: face
            for face_id, face in self._faces.items()
            if face_id == wanted or (person_id and face.person_id == person_id)
        }
        for face in faces.values():
            face.person_id, face.newest, face.count, face.refused = "", [], 0, True
        told = [
            face_id
            for face_id, (told_id, _) in self._told.items()
            if wanted in (face_id, told_id) or told_id == person_id
        ]
        for face_id in told:
            person_id = self._told.pop(face_id)[0]
        if person_id in self._people:
            enrolled = self._people.pop(person_id).enrolled_s is not None
            if enrolled:
                self._write()
        return Forgotten(person_id, tuple(dict.fromkeys((*faces, *told))))

    def forget_everybody(self) -> tuple[str, ...]:
        """As `forget`, of everybody, and everybody in view; the ids of the faces in view."""
        self._people.clear()
        self._told.clear()
        for face in self._faces.values():
            face.person_id, face.newest, face.count, face.refused = "", [], 0, True
        self._write()
        return tuple(self._faces)

    def enrol(self, face_id: str = "", person_id: str = "") -> Enrolment:
        """Learn a face under an id.

        Args:
            face_id: whose face; "" if only one is in view.
            person_id: to give, or to add to; "": the one that the person has, or a new one.

        Raises:
            ConfigError: the file cannot be written.
        """
        if not self._config.recognises:
            return Enrolment(
                False, f"identity.mode is '{self._config.mode}'; allowed: 'visit', 'file'"
            )
        newest_ns = max((face.seen_ns for face in self._faces.values()), default=0)
        there = {key: face for key, face in self._faces.items() if face.seen_ns == newest_ns}
        seen = ", ".join(sorted(there)) or "nobody"
        if not face_id and len(there) != 1:
            return Enrolment(False, f"face_id is empty, and in view: {seen}; say whose face")
        face_id = face_id or next(iter(there))
        if face_id not in there:
            return Enrolment(False, f"nobody with id '{face_id}' is in view; in view: {seen}")
        face = there[face_id]
        refusal = self._why_not(face_id, face, person_id)
        if refusal:
            return Enrolment(False, refusal)
        return self._enrol(face_id, face, person_id)

    def _why_not(self, face_id: str, face: _SeenFace, person_id: str) -> str:
        """Why somebody cannot be enrolled under an id; empty if they can."""
        if face.refused:
            return (
                f"{face_id} was forgotten, and is not looked at before the face has left for "
                "ten seconds"
            )
        if not face.newest:
            return (
                f"{face_id} was not seen well enough yet: look into the camera, and try again"
            )
        known = self._people.get(face.person_id)
        if person_id in ("", face.person_id):
            return ""
        if known is not None and known.enrolled_s is not None:
            return f"{face_id} is enrolled as {face.person_id}; call forget_person before"
        if person_id in self._people:
            return ""
        if not _GIVEN_NAMES.fullmatch(person_id) or len(person_id) > MAX_ID_LENGTH:
            return (
                f"person_id is '{person_id[:MAX_ID_LENGTH]}'; allowed: letters, digits and _, "
                f"a letter first, up to {MAX_ID_LENGTH}"
            )
        if _OUR_NAMES.fullmatch(person_id):
            return (
                f"nobody with id '{person_id}' is known; ids of f, v or p with a number are "
                "given by the robot only"
            )
        return ""

    def _enrol(self, face_id: str, face: _SeenFace, person_id: str) -> Enrolment:
        seen, before = mean_embedding(face.newest), face.person_id
        person_id = person_id or before or self._fresh_id()
        person = self._people.get(person_id)
        if person is None:
            if before:
                person = self._people.pop(before)
            elif self._make_room(face.seen_ns):
                person = _KnownPerson([], face.seen_ns)
            else:
                return Enrolment(
                    False, f"identity.max_people ({self._config.max_people}) are enrolled"
                )
            self._people[person_id] = person
        elif before and before != person_id:
            del self._people[before]
        person.views = [*person.views, seen][-_VIEWS:]
        person.seen_ns = face.seen_ns
        for other in self._faces.values():
            if other is not face and other.person_id and other.person_id in (person_id, before):
                other.person_id, other.newest, other.count = "", [], 0
        face.person_id, face.odd = person_id, 0
        where = "until the node ends or identity.visit_minutes have passed"
        if self._file is not None:
            person.enrolled_s = self._file.now_s()
            self._write()
            where = f"for {self._config.keep_days:g} days"
        views = len(person.views)
        learnt = f"{views} {'view' if views == 1 else 'views'}"
        message = f"{face_id} is {person_id} ({learnt}), {where}"
        return Enrolment(True, message, person_id, before)
