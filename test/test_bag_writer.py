"""BagWriter: the package's types as rosbag2 recordings, whole or clearly not."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability

from avemo_ros.audio.spectrogram import AudioBlock, SpectrogramChunk
from avemo_ros.bag.partial_bag import COMPRESSIONS, STORAGES
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.bag.writer import BagWriter
from avemo_ros.errors import BagError, ConfigError
from avemo_ros.labels import EMOTIONS
from avemo_ros.source.media_file import VideoFrame
from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status
from avemo_ros.timing import NS_PER_S
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose

START = 10 * NS_PER_S
RATE = 16_000


def image(number: int) -> VideoFrame:
    image = np.full((24, 32, 3), number, np.uint8)
    image[:, :, 1] = np.arange(32, dtype=np.uint8)
    return VideoFrame(START + number * NS_PER_S // 10, image)


def block(number: int, channels: int = 2) -> AudioBlock:
    samples = np.random.default_rng(number).uniform(-0.5, 0.5, (RATE // 10, channels))
    return AudioBlock(START + number * NS_PER_S // 10, RATE, samples.astype(np.float32))


def tracks(number: int) -> FrameTracks:
    rng = np.random.default_rng(number)
    face = FaceTrack(
        face_id="f0001",
        box=Box(0.25, 0.125, 0.5, 0.75),
        confidence=0.5,
        landmarks=rng.uniform(0, 1, (468, 3)).astype(np.float32),
        pose=HeadPose(0.5, -0.25, 0.125),
        quality=0.75,
        mouth_opening=0.25,
        crop=rng.integers(0, 255, (48, 48), np.uint8),
        looks_at_robot=0.625,
        distance=1.5,
        blendshapes=rng.uniform(0, 1, 52).astype(np.float32) if number % 2 else None,
    )
    return FrameTracks(START + number * NS_PER_S // 10, 640, 480, (face,))


def chunk(number: int) -> SpectrogramChunk:
    rng = np.random.default_rng(number)
    return SpectrogramChunk(
        START + number * NS_PER_S // 10,
        rng.uniform(-100, 0, (10, 200)).astype(np.float32),
        rng.uniform(0, 1, 10).astype(np.float32),
        rng.uniform(-100, 0, 10).astype(np.float32),
        gap=number == 0,
    )


def step_of(number: int) -> EmotionStep:
    stamp_ns = START + number * NS_PER_S // 10
    probabilities = (0.5, 0.25, 0.125, 0.125, *[0.0] * (len(EMOTIONS) - 4))
    estimate = EmotionEstimate(
        stamp_ns, stamp_ns - NS_PER_S, "", "f0001", "v0001", EMOTIONS[0], 0.5, probabilities,
        0.75, 0.25, Status.OK, Box(0.25, 0.125, 0.5, 0.75), True, "m",
        engagement=EngagementLevel.ENGAGING, looks_at_robot=0.5, distance=2.25,
        speaking_score=(None, 0.75)[number % 2],
    )  # fmt: skip
    return EmotionStep(stamp_ns, (estimate,), estimate, stamp_ns)


def fill(bag: BagWriter, count: int = 30) -> None:
    for number in range(count):
        bag.write_image(image(number))
        bag.write_audio(block(number))


def read(path: Path, kind: TopicKind) -> list[Any]:
    with Recording(path) as recording:
        return [item for _, item in recording.items(frozenset({kind}))]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_everything_comes_back_as_it_was_written(
    tmp_path: Path, storage: str, compression: str
) -> None:
    path = tmp_path / "bag"
    with BagWriter(path, storage, compression) as bag:
        for number in range(3):
            bag.write_image(image(number))
            bag.write_audio(block(number))
            bag.write_tracks(tracks(number))
            bag.write_chunk(chunk(number))
            bag.write_states(step_of(number))
    for number, item in enumerate(read(path, TopicKind.IMAGES)):
        assert item.stamp_ns == image(number).stamp_ns
        assert np.array_equal(item.image, image(number).image)
    for number, item in enumerate(read(path, TopicKind.AUDIO)):
        assert (item.stamp_ns, item.rate) == (block(number).stamp_ns, RATE)
        assert np.abs(item.samples - block(number).samples).max() <= 1 / 32768
    for number, item in enumerate(read(path, TopicKind.TRACKS)):
        wanted = tracks(number)
        assert (item.stamp_ns, item.width, item.height) == (wanted.stamp_ns, 640, 480)
        (face,), (sent,) = item.faces, wanted.faces
        assert (face.face_id, face.box, face.pose) == (sent.face_id, sent.box, sent.pose)
        assert (face.looks_at_robot, face.distance) == (sent.looks_at_robot, sent.distance)
        assert np.array_equal(face.crop, sent.crop)
        assert np.array_equal(face.landmarks, sent.landmarks)
        assert (face.blendshapes is None) == (sent.blendshapes is None)
        assert sent.blendshapes is None or np.array_equal(face.blendshapes, sent.blendshapes)
    for number, item in enumerate(read(path, TopicKind.SPECTROGRAM)):
        wanted_chunk = chunk(number)
        assert (item.stamp_ns, item.gap) == (wanted_chunk.stamp_ns, wanted_chunk.gap)
        assert np.array_equal(item.power_db, wanted_chunk.power_db)
        assert np.array_equal(item.speech, wanted_chunk.speech)
    for number, item in enumerate(read(path, TopicKind.STATES)):
        assert item.stamp_ns == step_of(number).stamp_ns
        assert item.estimates == step_of(number).estimates


def test_sound_is_logged_at_its_end_with_its_format_before_and_every_second(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bag"
    with BagWriter(path) as bag:
        fill(bag)
    with AnyReader([path]) as reader:
        logged = [(connection.topic, at) for connection, at, _ in reader.messages()]
        latched = {
            connection.topic: connection.ext.offered_qos_profiles[0].durability
            for connection in reader.connections
        }
    assert [at for topic, at in logged if topic == "/audio"] == [
        block(number).stamp_ns + NS_PER_S // 10 for number in range(30)
    ]
    infos = [at for topic, at in logged if topic == "/audio_info"]
    assert infos == [START + NS_PER_S // 10 + second * NS_PER_S for second in range(3)]
    assert [topic for topic, _ in logged].index("/audio_info") < [t for t, _ in logged].index(
        "/audio"
    )
    assert latched["/audio_info"] is QosDurability.TRANSIENT_LOCAL
    assert latched["/audio"] is QosDurability.VOLATILE


def test_a_bag_in_several_files_is_one_bag(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with BagWriter(path, split_s=1.0) as bag:
        fill(bag)
    names = sorted(entry.name for entry in path.iterdir())
    assert names == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap", "bag_3.mcap", "metadata.yaml"]
    about = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert about["relative_file_paths"] == names[:-1]
    assert sum(entry["message_count"] for entry in about["files"]) == about["message_count"]
    with AnyReader([path]) as reader:
        assert reader.message_count == len(list(reader.messages())) == about["message_count"]
        assert reader.start_time == START
    assert len(read(path, TopicKind.IMAGES)) == len(read(path, TopicKind.AUDIO)) == 30


def test_compressed_images_lie_on_the_topic_of_compressed_images(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with BagWriter(path, jpeg_quality=95) as bag:
        bag.write_image(image(1))
    with Recording(path) as recording:
        assert recording.topic_of == {TopicKind.IMAGES: "/image_raw/compressed"}
    (item,) = read(path, TopicKind.IMAGES)
    assert np.abs(item.image.astype(int) - image(1).image).mean() < 5


def test_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        with BagWriter(tmp_path / folder / "bag") as bag:
            fill(bag, 5)
    for name in ("bag_0.mcap", "metadata.yaml"):
        one, two = (tmp_path / folder / "bag" / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_bag_that_is_there_is_only_replaced_when_told_to(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with BagWriter(path) as bag:
        fill(bag, 2)
    with pytest.raises(BagError, match=r"bag already exists.*remove it first"):
        BagWriter(path)
    with BagWriter(path, "sqlite3", force=True) as bag:
        assert len(read(path, TopicKind.IMAGES)) == 2, (
            "the old one stays until the new one is whole"
        )
        fill(bag, 3)
    assert len(read(path, TopicKind.IMAGES)) == 3
    assert not (tmp_path / "bag.partial").exists()


def test_force_replaces_nothing_that_is_no_bag(tmp_path: Path) -> None:
    path = tmp_path / "photographs"
    path.mkdir()
    (path / "only copy.jpg").write_text("dear")
    with pytest.raises(BagError, match="is not only a bag"):
        BagWriter(path, force=True)
    assert (path / "only copy.jpg").read_text() == "dear"


@pytest.mark.parametrize("storage", STORAGES)
def test_an_interrupted_bag_keeps_what_it_has_under_another_name(
    tmp_path: Path, storage: str
) -> None:
    path = tmp_path / "bag"
    with suppress(KeyboardInterrupt), BagWriter(path, storage) as bag:
        fill(bag, 4)
        raise KeyboardInterrupt
    assert not path.exists()
    assert len(read(tmp_path / "bag.partial", TopicKind.IMAGES)) == 4
    with pytest.raises(BagError, match="an interrupted run left it"):
        BagWriter(path)


HOLDS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_bag_writer import BagWriter, fill
bag = BagWriter(sys.argv[2])
fill(bag, 2)
print("writes", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("force", [False, True])
def test_what_another_run_is_writing_is_told_apart_from_what_one_has_left(
    tmp_path: Path, *, force: bool
) -> None:
    path = tmp_path / "bag"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(Path(__file__).parent), str(path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "writes\n"
        with pytest.raises(BagError, match="another process is writing") as refusal:
            BagWriter(path, force=force)
        assert "remove" not in str(refusal.value)
        assert (tmp_path / "bag.partial" / "bag_0.mcap").exists()
    finally:
        other.kill()
        other.wait()
    if force:
        with BagWriter(path, force=True) as bag:
            fill(bag, 1)
        assert len(read(path, TopicKind.IMAGES)) == 1
    else:
        with pytest.raises(BagError, match="an interrupted run left it"):
            BagWriter(path)


def test_where_folders_cannot_be_locked_what_is_fresh_counts_as_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    path = tmp_path / "bag"
    with suppress(KeyboardInterrupt), BagWriter(path) as bag:
        fill(bag, 2)
        raise KeyboardInterrupt
    with pytest.raises(BagError, match="another process is writing"):
        BagWriter(path)
    left = tmp_path / "bag.partial"
    for one in (left, *left.iterdir()):
        os.utime(one, (1e9, 1e9))
    with pytest.raises(BagError, match="an interrupted run left it"):
        BagWriter(path)


def test_an_interrupted_bag_without_messages_leaves_nothing(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), BagWriter(tmp_path / "bag"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_bag_writer import BagWriter, fill
bag = BagWriter(sys.argv[2], sys.argv[3])
fill(bag, 30)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("storage", STORAGES)
def test_a_killed_process_loses_the_last_second_at_most(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "bag"
    words = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(path), storage]
    killed = subprocess.run(words, check=False, timeout=240)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    left = read(tmp_path / "bag.partial", TopicKind.IMAGES)
    assert 19 <= len(left) <= 30
    assert np.array_equal(left[-1].image, image(len(left) - 1).image)


@pytest.mark.parametrize(
    ("storage", "compression", "quality", "name"),
    [("db", "none", 0, "storage"), ("mcap", "zip", 0, "compression"),
     ("mcap", "none", 101, "jpeg quality")],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_by_name(
    tmp_path: Path, storage: str, compression: str, quality: int, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        BagWriter(tmp_path / "bag", storage, compression, jpeg_quality=quality)
    assert list(tmp_path.iterdir()) == []
