"""A rate kept by stamps alone."""

from __future__ import annotations

import random

import numpy as np
import pytest

from avemo_ros.clock import to_ns
from avemo_ros.vision.gate import Admission, PictureGate
from avemo_ros.vision.turns import Turns

DAY_NS = to_ns(1_700_000_000.0)


def taken(turns: Turns, stamps: list[int]) -> list[int]:
    kept = []
    for stamp_ns in stamps:
        if turns.is_due(stamp_ns):
            turns.take(stamp_ns)
            kept.append(stamp_ns)
    return kept


def camera(rate_hz: float, seconds: float, *, start_ns=DAY_NS, jitter_s=0.0) -> list[int]:
    noise = random.Random(5)
    return [
        start_ns + to_ns(k / rate_hz + noise.uniform(-jitter_s, jitter_s))
        for k in range(round(rate_hz * seconds))
    ]


@pytest.mark.parametrize(("camera_hz", "kept_hz"), [(30, 15), (60, 15), (25, 15), (15, 15),
                                                    (10, 10)])  # fmt: skip
def test_no_more_than_the_rate_is_taken_and_no_less_than_there_is(camera_hz, kept_hz):
    kept = taken(Turns(15.0), camera(camera_hz, 20.0))
    assert len(kept) == pytest.approx(20 * kept_hz, abs=1)


def test_every_second_picture_of_a_steady_camera_is_taken():
    stamps = camera(30, 5.0, start_ns=0)
    assert taken(Turns(15.0), stamps) == stamps[::2]


def test_jitter_does_not_cost_a_turn():
    # A quarter of a period early or late: 16 ms.
    kept = taken(Turns(15.0), camera(30, 20.0, start_ns=0, jitter_s=0.012))
    gaps_s = np.diff(kept) / 1e9
    assert len(kept) == 300
    assert gaps_s.max() < 0.1


def test_who_comes_later_or_misses_some_takes_the_same():
    stamps = camera(30, 5.0, jitter_s=0.005)
    whole = taken(Turns(15.0), stamps)
    late = taken(Turns(15.0), stamps[7:])
    assert late[1:] == [stamp for stamp in whole if stamp > late[0]]
    lossy = taken(Turns(15.0), stamps[:40] + stamps[45:])
    assert lossy[-20:] == whole[-20:]


def test_after_a_hole_the_next_has_its_turn():
    turns = Turns(15.0)
    taken(turns, camera(30, 1.0))
    assert turns.is_due(DAY_NS + to_ns(100.0))


# --- the gate of pictures


def admitted(gate: PictureGate, stamps: list[int]) -> list[Admission]:
    made = []
    for stamp_ns in stamps:
        made.append(gate.judge(stamp_ns))
        if made[-1] in (Admission.LOOK, Admission.LOOK_ANEW):
            gate.looked(stamp_ns)
    return made


def test_pictures_between_two_turns_are_left_out_by_the_rate():
    gate = PictureGate(15.0)
    assert (
        admitted(gate, camera(30, 0.2, start_ns=0))
        == [
            Admission.LOOK,
            Admission.TOO_OFTEN,
        ]
        * 3
    )


def test_a_small_step_back_is_late_and_a_large_one_a_new_beginning():
    gate = PictureGate(30.0)
    stamps = [to_ns(t) for t in (10.0, 9.5, 10.0, 10.1, 2.0, 2.1)]
    assert admitted(gate, stamps) == [
        Admission.LOOK,
        Admission.LATE,
        Admission.LATE,
        Admission.LOOK,
        Admission.LOOK_ANEW,
        Admission.LOOK,
    ]


def test_a_picture_that_cannot_be_read_takes_no_turn():
    gate = PictureGate(15.0)
    assert gate.judge(0) is Admission.LOOK
    # Not looked at: it was damaged.
    assert gate.judge(to_ns(1 / 30)) is Admission.LOOK


def test_after_a_reset_any_stamp_is_looked_at():
    gate = PictureGate(15.0)
    admitted(gate, [to_ns(10.0)])
    gate.reset()
    assert gate.judge(to_ns(9.99)) is Admission.LOOK
