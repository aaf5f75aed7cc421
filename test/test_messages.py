"""The messages say what the dataclasses of the package say."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from avemo_ros.audio.spectrogram import SpectrogramChunk
from avemo_ros.dialog.agent import Answer
from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.state.estimate import Change, EmotionEstimate, Status
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

DEFINITION = re.compile(r"^(?P<type>[\w/]+(?:\[\])?)\s+(?P<name>\w+)\s*(?P<rest>.*)$")

MESSAGES = (
    "DialogReply",
    "EmotionEvent",
    "EmotionState",
    "EmotionStateArray",
    "FaceTrack",
    "FaceTrackArray",
    "NormalizedBox",
    "SpectrogramChunk",
)

# Where a message has another name, or more than one field, for a field of its dataclass.
RENAMED = {
    # Why an answer was chosen is for `avemo dialog reply`, not for everyone on the topic.
    "DialogReply": {"concern": set(), "reason": set(), "notice": {"text"}},
    "EmotionEvent": {"stamp_ns": {"header"}, "lasted_s": {"lasted"}},
    "EmotionState": {"stamp_ns": {"header"}, "window_start_ns": {"window_start"},
                     "box": {"box", "box_valid"}},
    # What a face looks like leaves no process; who it is is in the states.
    "FaceTrack": {"pose": {"yaw", "pitch", "roll"}, "crop": {"crop", "crop_side"},
                  "appearance": set(), "person_id": set()},
    "FaceTrackArray": {"stamp_ns": {"header"}},
    "NormalizedBox": {},
    "SpectrogramChunk": {"stamp_ns": {"header"}},
}  # fmt: skip
# Known only where the message is made.
ADDED = {
    "DialogReply": {"header", "latency"},
    "EmotionState": {"labels", "latency"},
    "SpectrogramChunk": {"hop", "bins", "max_frequency"},
}


def definitions(folder: Path, message: str) -> tuple[dict[str, str], dict[str, int]]:
    """Types of the fields by name, and values of the constants by name."""
    types: dict[str, str] = {}
    constants: dict[str, int] = {}
    for line in (folder / "msg" / f"{message}.msg").read_text().splitlines():
        code = line.split("#", 1)[0].strip()
        if not code:
            continue
        found = DEFINITION.match(code)
        assert found is not None, line
        if found["rest"].startswith("="):
            constants[found["name"]] = int(found["rest"].lstrip("= "))
        else:
            types[found["name"]] = found["type"]
    return types, constants


def test_the_constants_are_the_numbers_of_the_enums(repository: Path) -> None:
    _, constants = definitions(repository, "EmotionState")
    levels = {
        "ENGAGEMENT_UNKNOWN" if level is EngagementLevel.UNKNOWN else level.name: level.value
        for level in EngagementLevel
    }
    assert constants == {status.name: status.value for status in Status} | levels


@pytest.mark.parametrize(
    ("message", "dataclass"),
    [
        ("DialogReply", Answer),
        ("EmotionEvent", Change),
        ("EmotionState", EmotionEstimate),
        ("FaceTrack", FaceTrack),
        ("FaceTrackArray", FrameTracks),
        ("NormalizedBox", Box),
        ("SpectrogramChunk", SpectrogramChunk),
    ],
)
def test_a_message_has_the_fields_of_its_dataclass(
    repository: Path, message: str, dataclass: type
) -> None:
    types, _ = definitions(repository, message)
    expected = set(ADDED.get(message, ()))
    for field in dataclasses.fields(dataclass):
        expected |= RENAMED[message].get(field.name, {field.name})
    assert set(types) == expected


@pytest.mark.parametrize("message", MESSAGES)
def test_every_number_in_a_message_has_a_unit_or_range_in_its_comment(
    repository: Path, message: str
) -> None:
    lines = (repository / "msg" / f"{message}.msg").read_text().splitlines()
    for at, line in enumerate(lines):
        code, _, comment = line.partition("#")
        if not code.strip().startswith("float32"):
            continue
        while at + 1 < len(lines) and lines[at + 1].startswith(" "):
            at += 1
            comment += lines[at]
        assert re.search(r"\d|\[|share of|both are 0|Positive", comment), line


def test_every_message_file_is_built(repository: Path) -> None:
    cmake = (repository / "CMakeLists.txt").read_text()
    listed = set(re.findall(r"msg/(\w+)\.msg", cmake))
    assert listed == {path.stem for path in (repository / "msg").iterdir()} == set(MESSAGES)


@pytest.mark.ros
@pytest.mark.parametrize("message", MESSAGES)
def test_the_built_messages_are_those_of_this_checkout(repository: Path, message: str) -> None:
    import avemo_ros.msg

    types, constants = definitions(repository, message)
    built = getattr(avemo_ros.msg, message)
    assert list(built.get_fields_and_field_types()) == list(types)
    for name, value in constants.items():
        assert getattr(built, name) == value


@pytest.mark.ros
def test_flat_arrays_hold_numbers_not_objects() -> None:
    from avemo_ros.msg import FaceTrack as FaceTrackMsg
    from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMsg

    track, chunk = FaceTrackMsg(), SpectrogramChunkMsg()
    track.landmarks = array("f", [0.5] * 1404)
    track.crop = array("B", bytes(96 * 96))
    chunk.power_db = array("f", [-100.0] * 600)
    assert track.landmarks == array("f", [0.5] * 1404)
    assert track.crop == array("B", bytes(96 * 96))
    assert chunk.power_db == array("f", [-100.0] * 600)


@pytest.mark.ros
def test_a_state_survives_the_wire() -> None:
    from rclpy.serialization import deserialize_message, serialize_message

    from avemo_ros.msg import EmotionState, EmotionStateArray
    from avemo_ros.msg import FaceTrack as FaceTrackMsg

    state = EmotionState(
        face_id="f1",
        label="happy",
        confidence=0.75,
        labels=["happy", "sad"],
        probabilities=[0.75, 0.25],
        status=EmotionState.NO_VOICE,
        box_valid=True,
    )
    state.header.stamp.sec = 7
    state.box.x = -0.125
    sent = EmotionStateArray(header=state.header, states=[state])
    back = deserialize_message(serialize_message(sent), EmotionStateArray)
    assert back == sent
    assert back.states[0].box.x == -0.125

    track = deserialize_message(serialize_message(FaceTrackMsg(yaw=math.nan)), FaceTrackMsg)
    assert math.isnan(track.yaw)


def test_a_client_needs_nothing_but_the_messages() -> None:
    pytest.importorskip("avemo_ros.msg", reason="the messages are not built")
    code = (
        "import sys; from avemo_ros.msg import EmotionState, FaceTrackArray;"
        "from avemo_ros.srv import ForgetPerson;"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'torch', 'pydantic', 'openai', 'rosbags'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
