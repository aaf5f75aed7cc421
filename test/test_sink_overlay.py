"""The overlay: what is drawn, where, and for whom."""

from __future__ import annotations

import numpy as np
import pytest
from made_steps import estimate, nobody, step_of, track, tracks
from numpy.typing import NDArray

from avemo_ros.errors import ImageError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.overlay import draw
from avemo_ros.sink.presentation import INKS
from avemo_ros.state.estimate import EmotionStep, Status
from avemo_ros.vision.face import Box

SIZES = [(480, 640), (720, 1280), (120, 160), (37, 53)]


def grey(height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, np.uint8)


def has_colour(image: NDArray[np.uint8], label: str, least: int = 50) -> bool:
    return int((image == INKS[label].bgr).all(axis=2).sum()) >= least


def changed(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((image != 128).any(axis=2))


def test_the_given_image_is_not_changed() -> None:
    image = grey()
    drawn = draw(image, None, step_of(estimate()))
    assert (image == 128).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_box_and_bars_have_the_colour_of_the_claim() -> None:
    drawn = draw(grey(), None, step_of(estimate("sad")))
    assert has_colour(drawn, "sad")


def test_all_seven_emotions_have_a_bar() -> None:
    drawn = draw(grey(), None, step_of(estimate("happy", confidence=0.4)))
    assert all(has_colour(drawn, label, 10) for label in EMOTIONS)


def test_without_a_claim_there_are_no_bars() -> None:
    unknown = estimate(UNKNOWN, status=Status.WARMING_UP)
    drawn = draw(grey(), None, step_of(unknown))
    assert has_colour(drawn, UNKNOWN)
    assert not any(has_colour(drawn, label, 1) for label in EMOTIONS)


def test_the_box_follows_the_faces_of_the_image_not_those_of_the_estimate() -> None:
    here = Box(0.1, 0.5, 0.2, 0.3)
    old = estimate(box=Box(0.7, 0.1, 0.2, 0.3))
    drawn = draw(grey(), tracks(track("f1", here)), step_of(old))
    column = drawn[int(0.6 * 480) : int(0.7 * 480), int(0.1 * 639)]
    assert (column == INKS["happy"].bgr).all(axis=1).any()
    assert not changed(drawn)[: int(0.3 * 480), int(0.8 * 640) :].any()


def test_a_face_without_an_estimate_has_its_box_only() -> None:
    drawn = draw(grey(), tracks(track("f9", Box(0.3, 0.3, 0.2, 0.3))), None)
    assert has_colour(drawn, UNKNOWN)
    assert not any(has_colour(drawn, label, 1) for label in EMOTIONS)


def test_who_speaks_is_marked() -> None:
    silent = draw(grey(), None, step_of(estimate(speaking=False)))
    speaking = draw(grey(), None, step_of(estimate(speaking=True)))
    mark = (120, 230, 120)
    assert (speaking == mark).all(axis=2).any()
    assert not (silent == mark).all(axis=2).any()


def test_the_attended_person_has_the_thicker_box() -> None:
    one = estimate("angry", face="f1", box=Box(0.05, 0.3, 0.15, 0.3))
    two = estimate("angry", face="f2", box=Box(0.55, 0.3, 0.15, 0.3))
    left = draw(grey(), None, EmotionStep(one.stamp_ns, (one, two), one, None))
    right = draw(grey(), None, EmotionStep(one.stamp_ns, (one, two), two, None))

    def ink(image: NDArray[np.uint8], column: float) -> int:
        x = int(column * 639)
        part = image[int(0.35 * 480) : int(0.55 * 480), x - 5 : x + 6]
        return int((part == INKS["angry"].bgr).all(axis=2).sum())

    assert ink(left, 0.05) > ink(right, 0.05)
    assert ink(right, 0.55) > ink(left, 0.55)


def test_nobody_in_view_is_said_in_the_corner() -> None:
    drawn = changed(draw(grey(), tracks(), EmotionStep(1, (), nobody(), None)))
    assert drawn[:40, :200].any()
    assert not drawn[40:].any()


def test_a_voice_without_a_face_is_said_in_the_corner() -> None:
    voice = estimate("happy", face="", voice="v1", status=Status.NO_FACE)
    drawn = changed(draw(grey(), tracks(), step_of(voice)))
    assert drawn[:40].any()
    assert not drawn[60:].any()


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(
    "box",
    [
        Box(-0.2, -0.2, 0.5, 0.5),
        Box(0.8, 0.8, 0.5, 0.5),
        Box(-0.5, -0.5, 2.0, 2.0),
        Box(0.5, 0.5, 0.0, 0.0),
        Box(1.2, 1.2, 0.3, 0.3),
    ],
)
def test_faces_at_and_beyond_the_rim_are_drawn(height: int, width: int, box: Box) -> None:
    drawn = draw(grey(height, width), tracks(track("f1", box)), step_of(estimate(box=box)))
    assert drawn.shape == (height, width, 3)
    assert changed(drawn).any()


def test_four_faces_have_headlines_that_are_not_covered_by_bars() -> None:
    boxes = [Box(0.02 + 0.25 * i, 0.3, 0.15, 0.25) for i in range(4)]
    people = [
        estimate(label, face=f"f{i}", box=box)
        for i, (label, box) in enumerate(
            zip(("angry", "fear", "sad", "happy"), boxes, strict=True)
        )
    ]
    drawn = draw(grey(), None, step_of(*people))
    for person, box in zip(people, boxes, strict=True):
        # The strip above the box belongs to its headline: white words on dark.
        strip = drawn[int(0.3 * 480) - 22 : int(0.3 * 480) - 4, int(box.x * 640) :][:, :60]
        assert (strip > 200).all(axis=2).any(), person.face_id


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_what_is_no_bgr_image_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="needed"):
        draw(image, None, None)
