"""A message that was recorded says the same as the one that the live node got."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_bags as made
from staged import heard_blocks
from tiny_bags import MS, START

from avemo_ros.bag import message_content
from avemo_ros.bag.reader import BagImage, Recording, StatesRecord

pytestmark = pytest.mark.ros


def live(row: made.Row) -> Any:
    """The message as rclpy delivers it."""
    from rclpy.serialization import deserialize_message

    data = bytes(made.STORE.serialize_cdr(row.message, row.type))
    package, _, name = row.type.split("/")
    return deserialize_message(data, getattr(import_module(f"{package}.msg"), name))


def recorded(path: Path, *rows: made.Row) -> list[Any]:
    with Recording(made.write(path / "bag", rows)) as recording:
        found = [item for _, item in recording.items(recording.kinds)]
        assert recording.problems == []
    return found


def check_same(first: Any, second: Any) -> None:
    """Equal to the bit, arrays and their types too."""
    assert type(first) is type(second)
    if isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    elif dataclasses.is_dataclass(first):
        for field in dataclasses.fields(first):
            check_same(getattr(first, field.name), getattr(second, field.name))
    elif isinstance(first, tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            check_same(one, other)
    else:
        np.testing.assert_equal(first, second)


def compressed(number: int, log_ns: int) -> made.Row:
    done, packed = cv2.imencode(".jpg", made.image(number, 32, 48))
    assert done
    message = made.new(made.COMPRESSED, made.header(log_ns), "jpeg", packed.reshape(-1))
    return made.Row("/image_raw/compressed", made.COMPRESSED, log_ns, message)


def coloured(encoding: str, big: int = 0) -> made.Row:
    row = made.image_row(5, START)
    row.message.encoding, row.message.is_bigendian = encoding, big
    row.message.width = {"mono16": 18, "mono8": 36, "yuv422": 18}.get(encoding, 12)
    return row


@pytest.mark.parametrize(
    "row",
    [
        made.image_row(3, START),
        coloured("rgb8"),
        coloured("mono8"),
        coloured("mono16", 1),
        coloured("yuv422"),
        compressed(4, START),
    ],
    ids=lambda row: str(getattr(row.message, "encoding", "jpeg")),
)
def test_images(tmp_path: Path, row: made.Row) -> None:
    (item,) = recorded(tmp_path, row)
    message = live(row)
    assert isinstance(item, BagImage)
    assert item.stamp_ns == message_content.stamp_ns(message.header.stamp)
    check_same(item.image, message_content.image(message))


def test_face_tracks(tmp_path: Path) -> None:
    row = made.tracks(START + 7)
    (item,) = recorded(tmp_path, row)
    check_same(item, message_content.tracks(live(row)))


def test_faces_without_a_mesh(tmp_path: Path) -> None:
    row = made.tracks(START)
    face = row.message.faces[0]
    face.landmarks, face.mouth_opening = np.zeros(0, np.float32), np.nan
    face.yaw = face.pitch = face.roll = np.nan
    (item,) = recorded(tmp_path, row)
    assert (item.faces[0].landmarks, item.faces[0].pose) == (None, None)
    check_same(item, message_content.tracks(live(row)))


def test_spectrograms(tmp_path: Path) -> None:
    row = made.chunk(START + 3, gap=True)
    (item,) = recorded(tmp_path, row)
    check_same(item, message_content.chunk(live(row)))


def test_states(tmp_path: Path) -> None:
    row = made.states(START + 3)
    (item,) = recorded(tmp_path, row)
    assert isinstance(item, StatesRecord)
    expected = tuple(message_content.estimate(state) for state in live(row).states)
    check_same(item.estimates, expected)


@pytest.mark.parametrize("bare", [False, True], ids=["stamped", "bare"])
def test_sound(
    tmp_path: Path,
    bare: bool,
    ros_domain: int,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stage is given what a node's callbacks get, the time of recording as arrival."""
    ros = pytest.importorskip("ros_graph")
    late = np.random.default_rng(2).integers(0, 5 * MS, 40)
    rows = [made.info(START, rate=16_000)]
    for number in range(40):
        log_ns = START + (number + 1) * 20 * MS + int(late[number])
        rows.append(made.bare_sound(number, log_ns) if bare else made.sound(number, log_ns))
    kind = "bare" if bare else "stamped"
    graph = ros.Graph(ros_domain, lambda: capfd.readouterr().err, f"audio_type:={kind}")
    try:
        node = graph.add(ros.SpeechBufferNode, start=False)
        given = [(row.topic.removeprefix("/"), live(row), row.log_ns) for row in rows]
        expected = heard_blocks(monkeypatch, node, given)
    finally:
        graph.close()
    if bare:
        for number, (row, block) in enumerate(zip(rows[1:], list(expected), strict=True)):
            lasts_ns = len(block.samples) * 10**9 // block.rate
            expected[number] = dataclasses.replace(block, stamp_ns=row.log_ns - lasts_ns)
    found = recorded(tmp_path, *rows)
    assert len(found) == 40
    for item, block in zip(found, expected, strict=True):
        check_same(item, block)
