"""Who the faces are: recognised, new or not known; enrolled, forgotten, aged out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from state_scene import SceneReader, face, frame
from test_vision_reidentification import ANNA, BEN, CARA, looks

from avemo_ros.config import IdentityConfig, PipelineConfig
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.state.identity import Identity
from avemo_ros.vision.face import FaceTrack


class Room:
    """An engine that recognises people, and who comes before it.  Embeddings come as the vision
    side makes them: three in the first second, then one a second."""

    def __init__(self, **settings: object) -> None:
        config = PipelineConfig(identity=IdentityConfig(**{"mode": "visit", **settings}))
        self.stage = EmotionStage(config, SceneReader())
        self.t = 0.0
        self.seen: dict[str, int] = {}

    @property
    def identity(self) -> Identity:
        return self.stage.identity

    def show(self, seconds: float, emotion: str = "happy", **people: int) -> list[EmotionStep]:
        """Faces, by their ids, and the people whose they are."""
        steps = []
        for _ in range(round(10 * seconds)):
            self.t += 0.1
            faces = [self.track(face_id, who, emotion) for face_id, who in people.items()]
            steps += self.stage.push_tracks(frame(self.t, *faces))
        return steps

    def track(self, face_id: str, who: int, emotion: str) -> FaceTrack:
        count = self.seen[face_id] = self.seen.get(face_id, 0) + 1
        looked = count in (1, 4, 7) or count % 10 == 0
        x = 0.1 + 0.2 * (int(face_id[1:]) % 4)
        appearance = looks(who, count) if looked and who else None
        return replace(face(face_id, emotion, x=x, size=0.15), appearance=appearance)

    def away(self, seconds: float) -> None:
        self.show(seconds)

    def who(self, face_id: str) -> str:
        return self.identity.person_of(face_id)


def test_who_comes_back_is_the_same_person() -> None:
    room = Room()
    room.show(2, f0001=ANNA, f0002=BEN)
    anna, ben = room.who("f0001"), room.who("f0002")
    assert anna != ben
    assert "" not in (anna, ben)
    room.away(60)
    steps = room.show(2, f0003=BEN, f0004=ANNA, f0005=CARA)
    assert (room.who("f0003"), room.who("f0004")) == (ben, anna)
    assert room.who("f0005") not in ("", anna, ben)
    named = {one.face_id: one.person_id for one in steps[-1].estimates}
    assert named == {"f0003": ben, "f0004": anna, "f0005": room.who("f0005")}


def test_who_cannot_be_told_has_no_id() -> None:
    room = Room()
    room.show(2, f0001=ANNA, f0002=BEN)
    # Half like the one and half like the other.
    between = looks(ANNA, 100) + looks(BEN, 100)
    between /= np.linalg.norm(between)
    for step in range(100, 130):
        track = replace(face("f0003"), appearance=between.astype(np.float32))
        room.stage.push_tracks(frame(room.t + 2 + step / 10, track))
    assert room.who("f0003") == ""
    assert len(room.identity.people) == 2


def test_who_is_a_little_like_somebody_is_new_when_seen_often() -> None:
    room = Room()
    room.show(2, f0001=ANNA)
    anna = room.who("f0001")
    # Cosine 0.4: too much to be new at once, too little to be the same.
    other = looks(BEN, 100) - (looks(BEN, 100) @ looks(ANNA, 100)) * looks(ANNA, 100)
    likely = 0.4 * looks(ANNA, 100) + 0.92 * other / np.linalg.norm(other)
    track = replace(face("f0002"), appearance=likely.astype(np.float32))
    found = []
    for step in range(1, 9):
        room.stage.push_tracks(frame(room.t + step, track))
        found.append(room.who("f0002"))
    assert found[:5] == [""] * 5
    assert found[-1] not in ("", anna)


def test_one_picture_is_not_enough() -> None:
    room = Room()
    room.show(0.1, f0001=ANNA)
    assert room.who("f0001") == ""


def test_one_person_is_not_in_two_places() -> None:
    room = Room()
    room.show(2, f0001=ANNA)
    room.show(2, f0001=ANNA, f0002=ANNA)
    assert room.who("f0001")
    assert room.who("f0002") != room.who("f0001")


def test_a_face_that_turns_out_to_be_somebody_else_loses_the_id() -> None:
    room = Room()
    room.show(2, f0001=ANNA)
    anna = room.who("f0001")
    room.show(5, f0001=BEN)
    assert room.who("f0001") not in ("", anna)
    room.show(3, f0001=BEN, f0002=ANNA)
    assert room.who("f0002") == anna


def test_steady_state_history_and_resting_face_hang_on_the_person() -> None:
    room = Room()
    room.show(6, "sad", f0001=ANNA)
    anna = room.who("f0001")
    (resting,) = room.stage.resting_faces().values()
    resting.look(60.0)
    memory = room.stage.memory
    assert memory.steady.of(anna).label == "sad"
    # By the id of the face she is found, too.
    assert memory.history("f0001").key == anna
    room.away(20)
    before_s = memory.history(anna).observed_s
    room.show(2, "sad", f0002=ANNA)
    history = memory.history(anna)
    assert history.observed_s > before_s + 0.5
    assert history.latest.face_id == "f0002"
    assert list(room.stage.resting_faces().values()) == [resting]
    assert memory.people == 1


def test_two_people_share_nothing() -> None:
    room = Room()
    room.show(4, "sad", f0001=ANNA)
    (resting,) = room.stage.resting_faces().values()
    room.away(20)
    room.show(4, "happy", f0002=BEN)
    assert room.stage.resting_faces()["f0002"] is not resting
    assert room.stage.memory.history(room.who("f0002")).steady.label == "happy"


def test_without_recognition_nothing_hangs_on_a_face_that_has_gone() -> None:
    room = Room(mode="none")
    room.show(4, "sad", f0001=ANNA)
    (resting,) = room.stage.resting_faces().values()
    assert room.who("f0001") == ""
    assert room.identity.people == ()
    room.away(20)
    room.show(4, "sad", f0001=ANNA)
    assert room.stage.resting_faces()["f0001"] is not resting


def test_a_track_that_goes_on_after_an_absence_keeps_its_resting_face() -> None:
    room = Room(mode="tracks", track_memory_s=20.0)
    room.show(4, f0001=ANNA)
    (resting,) = room.stage.resting_faces().values()
    room.away(8)
    room.show(1, f0001=ANNA)
    assert room.stage.resting_faces() == {"f0001": resting}
    assert room.identity.people == ()


def test_who_another_node_knows_is_that_person_without_any_comparing() -> None:
    room = Room(mode="none")

    def show(face_id: str, person_id: str, seconds: float) -> list[EmotionStep]:
        steps = []
        for _ in range(round(10 * seconds)):
            room.t += 0.1
            track = replace(face(face_id, "sad"), person_id=person_id)
            steps += room.stage.push_tracks(frame(room.t, track))
        return steps

    show("abcde", "", 3)
    assert show("abcde", "anna", 2)[-1].attended.person_id == "anna"
    (resting,) = room.stage.resting_faces().values()
    room.away(10)
    show("fghij", "anna", 2)
    assert room.stage.resting_faces() == {"fghij": resting}
    assert room.stage.memory.people == 1
    assert room.stage.memory.history("anna").observed_s > 5
    assert room.stage.forget("anna").key == "anna"
    assert room.stage.memory.people == 0
    assert show("fghij", "", 1)[-1].attended.person_id == ""


def test_people_are_forgotten_after_the_visit() -> None:
    room = Room(visit_minutes=1.0)
    room.show(2, f0001=ANNA)
    anna = room.who("f0001")
    room.away(58)
    assert room.identity.people == (anna,)
    room.away(4)
    assert room.identity.people == ()
    room.show(2, f0002=ANNA)
    # Ids are not given twice.
    assert room.who("f0002") not in ("", anna)


def test_of_too_many_who_was_seen_longest_ago_goes() -> None:
    room = Room(max_people=2)
    room.show(2, f0001=ANNA)
    anna = room.who("f0001")
    room.show(2, f0002=BEN)
    ben = room.who("f0002")
    room.show(2, f0002=BEN, f0003=CARA)
    assert room.identity.people == (ben, room.who("f0003"))
    assert anna not in room.identity.people


def test_who_is_forgotten_is_not_enrolled_again_while_in_view() -> None:
    room = Room()
    room.show(3, f0001=ANNA, f0002=BEN)
    anna, ben = room.who("f0001"), room.who("f0002")
    forgotten = room.stage.forget(anna)
    assert forgotten == (anna, ("f0001",))
    assert room.stage.memory.history(anna) is None
    room.show(5, f0001=ANNA, f0002=BEN)
    assert room.who("f0001") == ""
    assert room.identity.people == (ben,)
    refused = room.stage.enrol("f0001")
    assert not refused.success
    assert "forgotten" in refused.message
    # Later she is a stranger like any other.
    room.away(20)
    room.show(3, f0003=ANNA)
    assert room.who("f0003") not in ("", anna, ben)


def test_a_face_without_a_person_is_forgotten_by_its_own_id() -> None:
    room = Room()
    room.show(1.5, f0001=0)
    assert room.stage.forget("f0001") == ("f0001", ("f0001",))
    assert room.stage.forget("f0009") == ("", ())


def test_forgetting_everybody() -> None:
    room = Room()
    room.show(3, f0001=ANNA)
    assert room.stage.forget_everybody() == ("f0001",)
    assert room.identity.people == ()
    room.show(3, f0001=ANNA)
    assert room.who("f0001") == ""


def test_enrolling_gives_a_name_and_keeps_what_is_known() -> None:
    room = Room()
    room.show(5, "sad", f0001=ANNA)
    done = room.stage.enrol(person_id="anna")
    assert done.success
    assert done.person_id == "anna"
    assert room.stage.memory.steady.of("anna").label == "sad"
    assert room.stage.memory.people == 1
    room.away(20)
    room.show(2, f0002=ANNA)
    assert room.who("f0002") == "anna"
    # Another view, under the name that she has.
    assert "3 views" in room.stage.enrol("f0002").message


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"face_id": "f0009"}, "in view: f0001, f0002"),
        ({}, "say whose face"),
        ({"face_id": "f0001", "person_id": "no name"}, "letters, digits and _"),
        ({"face_id": "f0001", "person_id": "f0002"}, "given by the robot only"),
        ({"face_id": "f0001", "person_id": "p0099"}, "given by the robot only"),
        ({"face_id": "f0003"}, "nobody with id 'f0003'"),
    ],
)
def test_what_cannot_be_enrolled_is_said(request_: dict[str, str], said: str) -> None:
    room = Room()
    room.show(1, f0003=CARA)
    room.show(2, f0001=ANNA, f0002=BEN)
    refused = room.stage.enrol(**request_)
    assert not refused.success
    assert said in refused.message
    assert refused.person_id == ""


def test_a_face_that_was_not_seen_well_cannot_be_enrolled() -> None:
    room = Room()
    room.show(2, f0001=0)
    assert "not seen well enough" in room.stage.enrol().message


def test_when_the_time_goes_back_people_stay_and_faces_are_new() -> None:
    room = Room()
    room.show(60, f0001=ANNA)
    anna = room.who("f0001")
    room.t = 0.0
    room.show(2, f0002=ANNA)
    assert room.who("f0001") == ""
    assert room.who("f0002") == anna
