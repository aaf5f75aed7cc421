from __future__ import annotations

import pytest
from made_sessions import seen, seg, session, stream

from avemo_ros.replay.matching import match_recording
from avemo_ros.replay.replayed import EvaluatedRecording, SeenFaces
from avemo_ros.replay.tracking import tracking
from avemo_ros.vision.face import Box

LEFT, RIGHT = Box(0.1, 0.2, 0.2, 0.4), Box(0.6, 0.2, 0.2, 0.4)


def boxed(*frames: SeenFaces) -> EvaluatedRecording:
    """Anna at the left for 2 s, Bob at the right for the first."""
    return session(
        stream(["sad"] * 21),
        seg(0, 2, "sad", "Anna", box=LEFT),
        seg(0, 1, "sad", "Bob", box=RIGHT),
        frames=frames,
    )


def test_switches_and_fragments_of_labelled_boxes_are_counted() -> None:
    given = boxed(
        seen(0.0, f1=LEFT, f2=RIGHT),
        seen(0.2, f1=LEFT, f2=RIGHT),
        seen(0.4, f2=RIGHT),  # Anna is lost
        seen(0.6, f3=LEFT, f2=RIGHT),  # and comes back with another id
        seen(0.8, f3=LEFT, f2=Box(0.3, 0.2, 0.2, 0.4)),  # Bob's box is elsewhere
        seen(1.2, f3=LEFT),
        seen(1.4),
        seen(1.6, f3=LEFT),
    )
    found = tracking([match_recording(given)])
    assert found is not None
    assert found["by"] == "boxes"
    assert found["persons"] == [
        {
            "session": "one",
            "person": "Anna",
            "frames": 8,
            "tracked": 6,
            "coverage": 0.75,
            "id_switches": 1,
            "fragmentations": 2,
        },
        {
            "session": "one",
            "person": "Bob",
            "frames": 5,
            "tracked": 4,
            "coverage": 0.8,
            "id_switches": 0,
            "fragmentations": 0,
        },
    ]
    assert (found["id_switches"], found["fragmentations"]) == (1, 2)
    assert found["coverage"] == pytest.approx(10 / 13)
    assert (found["mostly_tracked"], found["mostly_lost"]) == (1, 0)
    assert found["overlap"] == pytest.approx(1.0)


def test_who_still_fits_keeps_the_face_though_another_fits_better() -> None:
    shifted = Box(0.15, 0.2, 0.2, 0.4)  # 0.15 of 0.25 in common with LEFT
    given = boxed(seen(0.0, f1=LEFT), seen(0.2, f1=shifted, f2=LEFT))
    found = tracking([match_recording(given)])
    assert found is not None
    assert found["id_switches"] == 0
    assert found["overlap"] == pytest.approx((1 + 0.6) / 2)


def test_a_swap_of_two_people_is_two_switches() -> None:
    given = boxed(seen(0.0, f1=LEFT, f2=RIGHT), seen(0.2, f2=LEFT, f1=RIGHT))
    found = tracking([match_recording(given)])
    assert found is not None
    assert (found["id_switches"], found["fragmentations"]) == (2, 0)


def test_a_person_who_is_never_found_is_mostly_lost() -> None:
    found = tracking([match_recording(boxed(seen(0.0), seen(0.5)))])
    assert found is not None
    assert (found["coverage"], found["mostly_lost"], found["overlap"]) == (0.0, 2, None)


def test_named_people_are_followed_by_the_ids_of_their_estimates() -> None:
    steps = [
        *stream(["sad"] * 3),
        *stream(["-"] * 2, start=0.3),
        *stream(["sad"] * 5, start=0.5, face="f2"),
    ]
    given = session(steps, seg(0, 1, "sad", "Anna"), people={"Anna": ("f1", "f2")})
    found = tracking([match_recording(given)])
    assert found is not None
    assert found["by"] == "ids"
    assert (found["id_switches"], found["fragmentations"]) == (1, 1)
    assert found["coverage"] == pytest.approx(0.8)


def test_whom_the_robot_attends_to_need_not_be_one_person() -> None:
    assert tracking([match_recording(session(stream(["sad"] * 5), seg(0, 1, "sad")))]) is None
