"""What messages say is held against its definition before anything rests on it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avemo_ros.audio.spectrogram import BINS
from avemo_ros.bag import message_content
from avemo_ros.labels import EMOTIONS
from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.untrusted import MAX_COLUMNS, MAX_CROP_SIDE, MAX_FACES

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id="camera")
BAD = (math.nan, math.inf, -math.inf)


def box(**changes: Any) -> Any:
    return SimpleNamespace(**{"x": 0.4, "y": 0.3, "width": 0.2, "height": 0.2, **changes})


def face(**changes: Any) -> Any:
    fields = {
        "face_id": "f1",
        "box": box(),
        "confidence": 0.9,
        "landmarks": np.full(468 * 3, 0.5, np.float32),
        "yaw": 0.1,
        "pitch": -0.2,
        "roll": 0.0,
        "quality": 0.8,
        "mouth_opening": 0.1,
        "blendshapes": np.full(52, 0.5, np.float32),
        "crop_side": 96,
        "crop": np.zeros(96 * 96, np.uint8),
    }
    return SimpleNamespace(**{**fields, **changes})


def tracks(*faces: Any, width: int = 640, height: int = 480) -> Any:
    return SimpleNamespace(header=HEADER, width=width, height=height, faces=list(faces))


def chunk(columns: int = 10, **changes: Any) -> Any:
    fields = {
        "header": HEADER,
        "bins": BINS,
        "power_db": np.full(columns * BINS, -40.0, np.float32),
        "speech": np.full(columns, 0.5, np.float32),
        "level_dbfs": np.full(columns, -30.0, np.float32),
        "gap": False,
    }
    return SimpleNamespace(**{**fields, **changes})


def state(**changes: Any) -> Any:
    fields = {
        "header": HEADER,
        "window_start": HEADER.stamp,
        "latency": 0.1,
        "person_id": "p1",
        "face_id": "f1",
        "voice_id": "",
        "label": "happy",
        "confidence": 0.7,
        "labels": list(EMOTIONS),
        "probabilities": [0.7, *[0.05] * 6],
        "valence": 0.0,
        "arousal": 0.0,
        "valence_arousal_valid": False,
        "status": 0,
        "face_share": 1.0,
        "voice_share": 0.0,
        "speaking": False,
        "box_valid": True,
        "box": box(),
        "model_id": "m",
    }
    return SimpleNamespace(**{**fields, **changes})


def with_one(values: np.ndarray, bad: float) -> np.ndarray:
    values = values.copy()
    values[len(values) // 2] = bad
    return values


def test_what_is_as_defined_is_taken() -> None:
    (seen,) = message_content.tracks(tracks(face())).faces
    assert seen.pose is not None
    assert seen.landmarks is not None
    assert seen.landmarks.shape == (468, 3)
    assert seen.blendshapes is not None
    assert seen.blendshapes.tolist() == [0.5] * 52
    assert message_content.chunk(chunk()).power_db.shape == (10, BINS)
    assert message_content.chunk(chunk(0)).power_db.shape == (0, BINS)
    assert message_content.estimate(state()).probabilities[0] == 0.7
    # What rounding makes of 1 is no lie.
    assert message_content.estimate(state(confidence=float(np.nextafter(np.float32(1), 2))))


def test_faces_of_older_recordings_have_no_blendshapes() -> None:
    older = face()
    del older.blendshapes
    for given in (older, face(blendshapes=np.zeros(0, np.float32))):
        (seen,) = message_content.tracks(tracks(given)).faces
        assert seen.blendshapes is None


def test_what_may_be_unknown_may_be_nan() -> None:
    unknown = dict.fromkeys(("yaw", "pitch", "roll", "mouth_opening"), math.nan)
    (seen,) = message_content.tracks(
        tracks(face(landmarks=np.zeros(0, np.float32), **unknown))
    ).faces
    assert seen.pose is None
    assert seen.landmarks is None
    assert math.isnan(seen.mouth_opening)
    assert message_content.estimate(state(valence=math.nan, arousal=math.nan)).valence == 0.0
    assert message_content.estimate(state(speaking_score=math.nan)).speaking_score is None
    # As in recordings of older versions.
    assert message_content.estimate(state()).speaking_score is None
    with pytest.raises(ValueError, match=r"speaking_score is 1\.5"):
        message_content.estimate(state(speaking_score=1.5))
    empty = state(box_valid=False, box=box(x=math.nan), probabilities=[], confidence=0.0)
    assert message_content.estimate(empty).box is None


def test_older_recordings_do_not_tell_where_somebody_looks() -> None:
    (seen,) = message_content.tracks(tracks(face())).faces
    said = message_content.estimate(state())
    assert math.isnan(seen.looks_at_robot)
    assert math.isnan(seen.distance)
    assert said.looks_at_robot is said.distance is None
    assert said.engagement is EngagementLevel.UNKNOWN
    # Two that are equal but for what is not known are equal.
    assert said == message_content.estimate(state(distance=float("nan"), engagement=0))


@pytest.mark.parametrize("bad", [math.inf, -math.inf, -0.5, 1e30])
@pytest.mark.parametrize("name", ["looks_at_robot", "distance"])
def test_looks_and_distances_that_cannot_be_are_refused(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; allowed: 0 to "):
        message_content.tracks(tracks(face(**{name: bad})))
    with pytest.raises(ValueError, match=f"{name} is .*; allowed: 0 to "):
        message_content.estimate(state(**{name: bad}))


def test_an_engagement_that_is_no_level_is_refused() -> None:
    with pytest.raises(ValueError, match="9 is not a valid EngagementLevel"):
        message_content.estimate(state(engagement=9))


NUMBERS = (
    "confidence", "quality", "yaw", "pitch", "roll", "x", "y", "width", "height", "landmarks",
    "mouth_opening", "blendshapes",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        (name, bad)
        for name in NUMBERS
        for bad in (*BAD, 1e30, -1e30)
        # A mouth whose opening is not a number says that there is no mesh.
        if not (name == "mouth_opening" and math.isnan(bad))
    ],
)
def test_a_face_with_one_bad_number_is_refused_by_name(name: str, bad: float) -> None:
    if name in ("x", "y", "width", "height"):
        wrong = face(box=box(**{name: bad}))
    elif name in ("landmarks", "blendshapes"):
        wrong = face(**{name: with_one(getattr(face(), name), bad)})
    else:
        wrong = face(**{name: bad})
    with pytest.raises(ValueError, match=f"{name} is .*; allowed: "):
        message_content.tracks(tracks(face(face_id="f0"), wrong))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (tracks(face(confidence=1.1)), "confidence is 1.1; allowed: 0 to 1"),
        (tracks(face(quality=-0.1)), "quality is -0.1; allowed: 0 to 1"),
        (tracks(face(mouth_opening=-0.1)), "mouth_opening is -0.1"),
        (tracks(face(box=box(width=-0.2))), "box.width is -0.2"),
        (tracks(face(landmarks=np.zeros(3, np.float32))), "3 values; allowed: 1404 or none"),
        (tracks(face(blendshapes=np.zeros(51, np.float32))), "51 values; allowed: 52 or none"),
        (tracks(face(blendshapes=np.full(52, 1.5, np.float32))), "blendshapes is 1.5"),
        (tracks(face(crop_side=95)), "crop has 9216 pixels; allowed: crop_side squared, 9025"),
        (tracks(face(crop_side=0, crop=[])), "crop_side is 0; allowed: 8 to 256"),
        (tracks(face(crop_side=65535)), f"crop_side is 65535; allowed: 8 to {MAX_CROP_SIDE}"),
        (tracks(face(face_id="")), "face_id is empty"),
        (tracks(face(face_id="f" * 65)), "face_id has 65 characters; allowed: up to 64"),
        (tracks(face(), face()), "two faces have the same face_id"),
        (
            tracks(*(face(face_id=f"f{n}") for n in range(MAX_FACES + 1))),
            f"has {MAX_FACES + 1} faces; allowed: up to {MAX_FACES}",
        ),
        (tracks(width=2**32 - 1, height=2**32 - 1), "allowed: 64 megapixels"),
    ],
)
def test_faces_out_of_their_range_or_of_absurd_size_are_refused(
    message: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        message_content.tracks(message)


@pytest.mark.parametrize("bad", [*BAD, 1e30, -1e30])
@pytest.mark.parametrize("name", ["power_db", "speech", "level_dbfs"])
def test_a_chunk_with_one_bad_number_is_refused_by_name(name: str, bad: float) -> None:
    wrong = chunk(**{name: with_one(getattr(chunk(), name), bad)})
    with pytest.raises(ValueError, match=f"{name} is .*; allowed: "):
        message_content.chunk(wrong)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (chunk(speech=np.full(10, 1.5, np.float32)), "speech is 1.5; allowed: 0 to 1"),
        (chunk(speech=np.full(10, -0.5, np.float32)), "speech is -0.5; allowed: 0 to 1"),
        (chunk(bins=199), "199 bins; allowed: 200"),
        (chunk(level_dbfs=np.zeros(9, np.float32)), "10 columns of speech, but 9 of level"),
        (chunk(power_db=np.zeros(1999, np.float32)), "10 columns of speech, but 1999 values"),
        (chunk(MAX_COLUMNS + 1), f"{MAX_COLUMNS + 1} columns; allowed: up to {MAX_COLUMNS}"),
    ],
)
def test_chunks_out_of_their_range_or_of_absurd_size_are_refused(
    message: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        message_content.chunk(message)


@pytest.mark.parametrize("bad", [*BAD, 1.5, -0.5])
@pytest.mark.parametrize("name", ["confidence", "face_share", "voice_share", "probabilities"])
def test_a_state_with_one_bad_number_is_refused_by_name(name: str, bad: float) -> None:
    value = [bad, *[0.05] * 6] if name == "probabilities" else bad
    with pytest.raises(ValueError, match=f"{name} is .*; allowed: 0 to 1"):
        message_content.estimates(SimpleNamespace(states=[state(), state(**{name: value})]))


@pytest.mark.parametrize("name", ["valence", "arousal"])
@pytest.mark.parametrize("bad", [*BAD, 1.5])
def test_valence_and_arousal_are_looked_at_where_they_count(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is "):
        message_content.estimate(state(valence_arousal_valid=True, **{name: bad}))


def test_probabilities_go_with_their_labels_one_for_one() -> None:
    for labels in ([], list(EMOTIONS[:3]), [*EMOTIONS, "more"]):
        with pytest.raises(ValueError, match=f"7 probabilities for {len(labels)} labels"):
            message_content.estimate(state(labels=labels))
    few = message_content.estimate(state(labels=["sad", "happy"], probabilities=[0.4, 0.6]))
    assert dict(zip(EMOTIONS, few.probabilities, strict=True))["happy"] == 0.6


def test_latencies_that_are_no_times_are_left_out() -> None:
    told = [state(latency=value) for value in (0.0, 0.2, *BAD)]
    assert message_content.latencies_s(SimpleNamespace(states=told)) == (0.2,)
