"""Ids that follow what faces look like: crossings, absences, and who is not to be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_ros.config import IdentityConfig
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import Box, FaceTrack
from avemo_ros.vision.reidentification import Reidentifier
from avemo_ros.vision.tracker import Tracker

ANNA, BEN, CARA = 1, 2, 3
"""People of the scenes, by the seed of what they look like."""


def looks(person: int, picture: int) -> np.ndarray:
    """An embedding of one picture of a person: 0.9 like the person's others."""
    who = np.random.default_rng(person).normal(size=192)
    vector = who / np.linalg.norm(who)
    noise = np.random.default_rng([person, picture]).normal(size=192)
    vector = vector + 0.33 * noise / np.linalg.norm(noise)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Scene:
    """People at places (middles across the image), named by place and by their looks."""

    def __init__(self, **settings: float) -> None:
        self.config = IdentityConfig(mode="tracks", **settings)
        self.tracker = Tracker(4, 0.7)
        self.reidentifier = Reidentifier(self.config)
        self.step = 0
        self.embedded = 0

    def show(self, seconds: float, *, quality: float = 0.9, **places: float) -> dict[str, str]:
        """The ids of people who stand there for so long; "" for one who is not named."""
        names: dict[str, str] = {}
        for _ in range(max(1, round(15 * seconds))):
            names = self.see(quality, places)
        return names

    def see(self, quality: float, places: dict[str, float]) -> dict[str, str]:
        self.step += 1
        stamp_ns = to_ns(self.step / 15)
        people = {"anna": ANNA, "ben": BEN, "cara": CARA}
        found = [
            _Found(Box(x - 0.1, 0.3, 0.2, 0.3), people[name]) for name, x in places.items()
        ]
        named = self.tracker.update(stamp_ns, found)
        owners = {face_id: one.person for face_id, one in named}

        def embed(face: FaceTrack) -> np.ndarray:
            self.embedded += 1
            return looks(owners[face.face_id], self.step)

        crop = np.zeros((96, 96), np.uint8)
        faces = [
            FaceTrack(face_id, one.box, 0.9, None, None, quality, 0.0, crop)
            for face_id, one in named
        ]
        told = self.reidentifier.follow(stamp_ns, faces, embed, self.tracker.fresh_id)
        self.tracker.rename(
            {
                face.face_id: one.face_id
                for face, one in zip(faces, told, strict=True)
                if face.face_id != one.face_id
            }
        )
        by_number = {number: name for name, number in people.items()}
        return {
            by_number[owners[face.face_id]]: one.shown_id
            for face, one in zip(faces, told, strict=True)
        }


class _Found:
    def __init__(self, box: Box, person: int) -> None:
        self.box, self.person = box, person


def test_who_is_back_after_an_absence_has_the_same_id() -> None:
    scene = Scene()
    before = scene.show(2, anna=0.2, ben=0.8)
    scene.show(3, ben=0.8)
    # Elsewhere; and a stranger where Anna was.
    after = scene.show(2, anna=0.5, ben=0.8, cara=0.2)
    assert {name: after[name] for name in before} == before
    assert after["cara"] not in before.values()


def test_after_too_long_an_absence_it_is_a_new_id() -> None:
    scene = Scene(track_memory_s=2.0)
    before = scene.show(2, anna=0.2)
    scene.show(3)
    assert scene.show(1, anna=0.2)["anna"] not in ("", before["anna"])


def test_two_who_change_places_unseen_keep_their_ids() -> None:
    scene = Scene()
    before = scene.show(2, anna=0.2, ben=0.8)
    scene.show(0.3)
    # By place alone each would be the other one.
    swapped = scene.show(1.5, anna=0.8, ben=0.2)
    assert swapped == before


def test_two_who_cross_and_are_mixed_up_get_their_ids_back() -> None:
    scene = Scene()
    before = scene.show(2, anna=0.35, ben=0.65)
    scene.show(0.2, anna=0.45, ben=0.55)
    # One hides the other, and then they are at each other's place.
    scene.show(0.2, anna=0.5)
    assert scene.show(1.5, anna=0.65, ben=0.35) == before


def test_a_stranger_in_the_place_of_somebody_who_left_gets_an_id_of_their_own() -> None:
    scene = Scene()
    before = scene.show(2, anna=0.5)
    scene.show(0.5)
    stranger = scene.show(2, cara=0.5)["cara"]
    assert stranger != before["anna"]
    assert scene.show(2, cara=0.5, anna=0.2) == {"cara": stranger, **before}


def test_a_stranger_who_steps_into_somebodys_place_at_once_gets_an_id_of_their_own() -> None:
    scene = Scene()
    before = scene.show(2, anna=0.5)
    # One image without anybody, and one without even that.
    for seconds in (1 / 15, 0):
        if seconds:
            scene.show(seconds)
        stranger = scene.show(3, cara=0.5)["cara"]
        assert stranger not in ("", before["anna"])
        assert scene.show(2, anna=0.5)["anna"] == before["anna"]


def test_while_somebody_is_missing_a_new_face_is_named_when_it_has_been_seen_enough() -> None:
    scene = Scene()
    scene.show(2, anna=0.2)
    scene.show(1)
    assert scene.show(0, cara=0.6)["cara"] == ""
    assert scene.show(0.5, cara=0.6)["cara"] == ""
    assert scene.show(0.5, cara=0.6)["cara"] != ""


def test_while_nobody_is_missing_a_new_face_is_named_at_once() -> None:
    assert Scene().show(0, anna=0.2, ben=0.6)["ben"] != ""


def test_the_cost_is_bound() -> None:
    scene = Scene()
    scene.show(2, anna=0.2, ben=0.5, cara=0.8)
    before = scene.embedded
    scene.show(10, anna=0.2, ben=0.5, cara=0.8)
    assert scene.embedded - before == pytest.approx(30, abs=4)
    before, step = scene.embedded, scene.step
    # Side by side they are looked at no more often than once an image, and not all the time.
    scene.show(10, anna=0.2, ben=0.41, cara=0.62)
    assert scene.embedded - before < 60
    assert scene.embedded - before <= scene.step - step


def test_faces_that_cannot_be_read_are_not_looked_at() -> None:
    scene = Scene()
    scene.show(2, quality=0.1, anna=0.2)
    assert scene.embedded == 0


def test_who_was_forgotten_is_not_looked_at_while_there_nor_when_lost_for_a_moment() -> None:
    scene = Scene()
    first = scene.show(2, anna=0.2, ben=0.8)
    scene.reidentifier.forget(first["anna"])
    scene.show(2, anna=0.2)
    before = scene.embedded
    scene.show(2, anna=0.2)
    scene.show(2)
    again = scene.show(2, anna=0.2)
    # The track had ended, so the id is another one, and what she looks like was not taken.
    assert again["anna"] not in ("", first["anna"])
    assert scene.embedded == before
    # After a longer absence she is a stranger like any other.
    scene.show(12)
    scene.show(2, anna=0.2)
    assert scene.embedded > before


def test_others_are_looked_at_while_the_forgotten_one_is_in_view() -> None:
    scene = Scene()
    first = scene.show(2, anna=0.2)
    scene.reidentifier.forget(first["anna"])
    before = scene.embedded
    scene.show(2, anna=0.2, cara=0.8)
    assert scene.embedded > before
