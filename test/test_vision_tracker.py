"""Ids stay with their faces; the faces here are boxes that move as people do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from avemo_ros.timing import to_ns
from avemo_ros.vision.face import Box
from avemo_ros.vision.tracker import Tracker

FRAME_S = 1 / 30


@dataclass(frozen=True)
class Face:
    """A found face; `name` is the truth the tracker does not see."""

    name: str
    box: Box


def face(name: str, x: float, y: float = 0.5, size: float = 0.2) -> Face:
    """A face by its centre."""
    return Face(name, Box(x - size / 2, y - size / 2, size, size))


def play(
    tracker: Tracker, scene: Callable[[float], list[Face]], start_s: float, end_s: float
) -> list[dict[str, str]]:
    """The scene at 30 images per second: per image the id of every named face."""
    frames = []
    for index in range(round(start_s / FRAME_S), round(end_s / FRAME_S)):
        named = tracker.update(to_ns(index * FRAME_S), scene(index * FRAME_S))
        frames.append({found.name: key for key, found in named})
    return frames


def ids_of(name: str, frames: list[dict[str, str]]) -> set[str]:
    """Every id a face ever had."""
    return {frame[name] for frame in frames if name in frame}


@pytest.fixture
def tracker() -> Tracker:
    """Up to four faces, ids that survive 0.7 s."""
    return Tracker(max_faces=4, timeout_s=0.7)


def test_a_face_that_stands_still_keeps_its_first_id(tracker: Tracker) -> None:
    frames = play(tracker, lambda _: [face("ann", 0.5)], 0, 2)
    assert ids_of("ann", frames) == {"f0001"}
    assert all(frame == {"ann": "f0001"} for frame in frames)


def test_faces_keep_their_ids_in_whatever_order_they_are_found(tracker: Tracker) -> None:
    def scene(time: float) -> list[Face]:
        faces = [face("ann", 0.2), face("bob", 0.5), face("cid", 0.8)]
        return faces if round(time / FRAME_S) % 2 else faces[::-1]

    frames = play(tracker, scene, 0, 1)
    ids = [ids_of(name, frames) for name in ("ann", "bob", "cid")]
    assert [len(own) for own in ids] == [1, 1, 1]
    assert len(set.union(*ids)) == 3


def test_jitter_of_place_and_size_does_not_change_ids(tracker: Tracker) -> None:
    noise = np.random.default_rng(1)

    def scene(_: float) -> list[Face]:
        return [
            face(
                name,
                x + noise.normal(0, 0.01),
                0.5 + noise.normal(0, 0.01),
                0.2 * noise.uniform(0.85, 1.15),
            )
            for name, x in (("ann", 0.3), ("bob", 0.55))
        ]

    frames = play(tracker, scene, 0, 3)
    assert len(ids_of("ann", frames)) == len(ids_of("bob", frames)) == 1


def test_a_fast_face_keeps_its_id(tracker: Tracker) -> None:
    # Across the whole image in 0.5 s: a third of its size per image.
    frames = play(tracker, lambda time: [face("ann", 2 * time)], 0, 0.5)
    assert ids_of("ann", frames) == {"f0001"}


def test_a_short_miss_keeps_the_id(tracker: Tracker) -> None:
    def scene(time: float) -> list[Face]:
        return [] if 1.0 <= time < 1.6 else [face("ann", 0.5)]

    frames = play(tracker, scene, 0, 3)
    assert ids_of("ann", frames) == {"f0001"}
    assert {} in frames


def test_a_long_miss_ends_the_id_for_good(tracker: Tracker) -> None:
    def scene(time: float) -> list[Face]:
        return [] if 1.0 <= time < 1.8 else [face("ann", 0.5)]

    before = play(tracker, scene, 0, 1.7)
    after = play(tracker, scene, 1.7, 4)
    assert ids_of("ann", before) == {"f0001"}
    assert ids_of("ann", after) == {"f0002"}


def test_a_miss_of_exactly_the_timeout_keeps_the_id(tracker: Tracker) -> None:
    timeout_ns = to_ns(0.7)

    def seen_at(stamp_ns: int) -> str:
        return tracker.update(stamp_ns, [face("ann", 0.5)])[0][0]

    for k in range(10):
        assert seen_at(to_ns(k / 15)) == "f0001"
    last_ns = to_ns(9 / 15)
    last_ns += timeout_ns
    assert seen_at(last_ns) == "f0001"
    # Two holes in a row would be a slower stream.
    last_ns += to_ns(1 / 15)
    assert seen_at(last_ns) == "f0001"
    assert seen_at(last_ns + timeout_ns + 1) == "f0002"


def test_images_that_come_slowly_do_not_end_ids(tracker: Tracker) -> None:
    ids = {tracker.update(to_ns(k), [face("ann", 0.5)])[0][0] for k in range(20)}
    assert ids == {"f0001"}


def test_a_moving_face_is_found_again_where_it_was_going(tracker: Tracker) -> None:
    def scene(time: float) -> list[Face]:
        return [] if 0.8 <= time < 1.1 else [face("ann", 0.1 + 0.6 * time, size=0.12)]

    # In the 0.3 s it moves by 1.5 of its sizes.
    frames = play(tracker, scene, 0, 1.4)
    assert ids_of("ann", frames) == {"f0001"}


def test_people_who_come_and_go_get_ids_of_their_own(tracker: Tracker) -> None:
    def scene(time: float) -> list[Face]:
        faces = [face("ann", 0.2)]
        if 1 <= time < 2:
            faces.append(face("bob", 0.7))
        if time >= 4:
            faces.append(face("cid", 0.7))
        return faces

    frames = play(tracker, scene, 0, 5)
    assert ids_of("ann", frames) == {"f0001"}
    assert ids_of("bob", frames) == {"f0002"}
    assert ids_of("cid", frames) == {"f0003"}


def test_two_faces_that_pass_each_other_in_view_do_not_swap_ids(tracker: Tracker) -> None:
    def scene(time: float) -> list[Face]:
        # One before the other and a little higher, both seen all the time.
        return [
            face("ann", 0.15 + 0.35 * time, 0.45, 0.2),
            face("bob", 0.85 - 0.35 * time, 0.60, 0.17),
        ]

    frames = play(tracker, scene, 0, 2)
    assert ids_of("ann", frames) == {"f0001"}
    assert ids_of("bob", frames) == {"f0002"}


def test_a_face_hidden_while_another_passes_before_it_gets_its_id_back(
    tracker: Tracker,
) -> None:
    def scene(time: float) -> list[Face]:
        ann, bob = face("ann", 0.1 + 0.4 * time, size=0.2), face("bob", 0.5, size=0.18)
        hidden = abs(ann.box.x - bob.box.x) < 0.1
        return [ann] if hidden else [ann, bob]

    frames = play(tracker, scene, 0, 2)
    assert any("bob" not in frame for frame in frames)
    assert ids_of("ann", frames) == {"f0001"}
    assert ids_of("bob", frames) == {"f0002"}


def test_two_boxes_on_one_face_are_one_face(tracker: Tracker) -> None:
    def scene(_: float) -> list[Face]:
        return [face("ann", 0.5), face("twin", 0.56), face("within", 0.5, 0.52, 0.1)]

    frames = play(tracker, scene, 0, 1)
    assert all(frame == {"ann": "f0001"} for frame in frames)


def test_no_more_than_max_faces_are_named_and_the_largest_come_first() -> None:
    tracker = Tracker(max_faces=2, timeout_s=0.7)
    sizes = {"ann": 0.1, "bob": 0.2, "cid": 0.15}

    def scene(_: float) -> list[Face]:
        return [
            face(name, x, size=sizes[name])
            for name, x in zip(sizes, (0.2, 0.5, 0.8), strict=True)
        ]

    frames = play(tracker, scene, 0, 1)
    assert all(set(frame) == {"bob", "cid"} for frame in frames)


def test_faces_of_like_size_do_not_take_turns_when_there_is_one_too_many() -> None:
    tracker = Tracker(max_faces=2, timeout_s=0.7)
    noise = np.random.default_rng(2)

    def scene(_: float) -> list[Face]:
        return [
            face(name, x, size=0.15 * noise.uniform(0.9, 1.1))
            for name, x in (("ann", 0.2), ("bob", 0.5), ("cid", 0.8))
        ]

    frames = play(tracker, scene, 0, 3)
    assert all(set(frame) == set(frames[0]) for frame in frames)
    assert tracker.ids == ("f0001", "f0002")


def test_someone_who_steps_up_takes_the_place_of_a_bystander() -> None:
    tracker = Tracker(max_faces=2, timeout_s=0.7)

    def scene(time: float) -> list[Face]:
        faces = [face("near", 0.2, size=0.2), face("far", 0.5, size=0.1)]
        return [*faces, face("new", 0.8, size=0.25)] if time >= 1 else faces

    frames = play(tracker, scene, 0, 2)
    assert set(frames[0]) == {"near", "far"}
    assert set(frames[-1]) == {"near", "new"}
    assert ids_of("near", frames) == {"f0001"}
    assert ids_of("new", frames) == {"f0003"}


def test_the_place_of_a_face_that_left_is_free_after_the_timeout() -> None:
    tracker = Tracker(max_faces=1, timeout_s=0.7)

    def scene(time: float) -> list[Face]:
        return [face("ann", 0.2)] if time < 1 else [face("bob", 0.8)]

    frames = play(tracker, scene, 0, 3)
    first = next(index for index, frame in enumerate(frames) if "bob" in frame)
    assert 1.6 < first * FRAME_S < 1.8
    assert ids_of("bob", frames) == {"f0002"}


def test_equal_and_falling_stamps_are_survived(tracker: Tracker) -> None:
    for stamp_ns in (to_ns(5), to_ns(5), to_ns(4.9), to_ns(5.1)):
        assert tracker.update(stamp_ns, [face("ann", 0.5)])[0][0] == "f0001"


def test_after_a_reset_the_old_clock_may_come_back_but_no_old_id(tracker: Tracker) -> None:
    scene = [face("ann", 0.5)]
    tracker.update(to_ns(100), scene)
    tracker.reset()
    assert tracker.ids == ()
    assert tracker.update(to_ns(1), scene)[0][0] == "f0002"


def test_the_same_images_give_the_same_ids() -> None:
    def run() -> list[dict[str, str]]:
        noise = np.random.default_rng(3)
        tracker = Tracker(max_faces=3, timeout_s=0.3)

        def scene(_: float) -> list[Face]:
            return [
                face(str(number), noise.uniform(0.1, 0.9), noise.uniform(0.1, 0.9))
                for number in range(noise.integers(0, 6))
            ]

        return play(tracker, scene, 0, 3)

    assert run() == run()
