"""The small parts that the nodes are made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kept import kept
from staged import heard_blocks

from avemo_ros.audio.spectrogram import BINS, SpectrogramChunk
from avemo_ros.bag import message_content
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose


class Log:
    """What a node's logger was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, text: str) -> None:
        self.lines.append(("error", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def info(self, text: str) -> None:
        self.lines.append(("info", text))


class Seconds:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# --- worker


class Held:
    """Work that stands still until released, so that items wait."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.errors: list[Exception] = []
        self.started = threading.Event()
        self.release = threading.Event()
        self.finished = threading.Semaphore(0)

    def work(self, item: int) -> None:
        self.started.set()
        assert self.release.wait(5)
        if item < 0:
            self.finished.release()
            raise ValueError(str(item))
        self.done.append(item)
        self.finished.release()

    def worker(self, limit: float, weigh: Callable[[int], float] | None = None) -> Worker[int]:
        worker = Worker("test", self.work, self.errors.append, limit=limit, weigh=weigh)
        worker.start()
        worker.put(0)
        assert self.started.wait(5)
        return worker

    def let_go(self, items: int) -> None:
        self.release.set()
        for _ in range(items):
            assert self.finished.acquire(timeout=5)


def test_when_work_is_slow_the_newest_items_win_and_drops_are_counted() -> None:
    held = Held()
    worker = held.worker(limit=2)
    for item in (1, 2, 3, 4, 5):
        worker.put(item)
    assert len(worker) == 2
    held.let_go(3)
    worker.stop()
    assert held.done == [0, 4, 5]
    assert worker.dropped == 3


def test_items_may_have_weights_and_a_heavy_one_may_always_wait() -> None:
    held = Held()
    worker = held.worker(limit=10.0, weigh=float)
    for item in (4, 5, 20):
        worker.put(item)
    assert len(worker) == 1
    held.let_go(2)
    worker.stop()
    assert held.done == [0, 20]
    assert worker.dropped == 2


def test_an_item_that_fails_is_reported_and_the_next_is_done() -> None:
    held = Held()
    worker = held.worker(limit=5)
    worker.put(-1)
    worker.put(2)
    held.let_go(3)
    worker.stop()
    assert held.done == [0, 2]
    assert [str(error) for error in held.errors] == ["-1"]


def test_a_worker_goes_on_where_a_failure_cannot_even_be_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[int] = []
    finished = threading.Event()

    def work(item: int) -> None:
        if item < 3:
            raise ValueError(str(item))
        done.append(item)
        finished.set()

    def failed(error: Exception) -> None:
        raise OSError("the log is full")

    worker = Worker("test", work, failed, limit=10)
    worker.start()
    for item in (1, 2, 3):
        worker.put(item)
    assert finished.wait(5)
    worker.stop()
    assert done == [3]
    assert worker.unreported == 2
    assert [record.getMessage() for record in caplog.records] == [
        "thread 'test' cannot report what went wrong"
    ]


def test_a_stopped_worker_forgets_what_waits() -> None:
    held = Held()
    worker = held.worker(limit=5)
    worker.put(1)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    while len(worker):
        pass
    held.release.set()
    stopper.join(5)
    worker.put(2)
    assert held.done == [0]
    assert len(worker) == 0


def test_who_waits_for_an_item_hears_that_it_was_forgotten() -> None:
    held = Held()
    forgotten: list[int] = []
    worker = Worker("test", held.work, held.errors.append, limit=2, forgotten=forgotten.append)
    worker.start()
    worker.put(0)
    assert held.started.wait(5)
    for item in (1, 2, 3):
        worker.put(item)
    assert forgotten == [1]
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    while len(worker):
        pass
    held.release.set()
    stopper.join(5)
    worker.put(4)
    assert forgotten == [1, 2, 3, 4]
    assert held.done == [0]


# --- trouble


def test_a_trouble_is_said_once_again_after_a_while_and_when_it_is_over() -> None:
    log, clock = Log(), Seconds()
    trouble = ThrottledLog(log, "images", clock)
    for _ in range(100):
        trouble.report("encoding", "bad encoding")
        clock.now += 0.1
    assert log.lines == [("error", "images: bad encoding")]
    clock.now += 30.0
    trouble.report("encoding", "bad encoding")
    assert log.lines[1:] == [("error", "images: bad encoding (101 of them so far)")]
    assert trouble.present
    trouble.good()
    trouble.good()
    assert log.lines[2:] == [("info", "images: working again after 101 failures")]
    clock.now += 5.0
    assert not trouble.present
    assert (trouble.count, trouble.last) == (101, "bad encoding")


def test_troubles_of_different_kinds_are_said_each() -> None:
    log, clock = Log(), Seconds()
    trouble = ThrottledLog(log, "sound", clock)
    for kind in ("odd", "rate", "odd", "rate"):
        trouble.report(kind, kind)
    assert [text for _, text in log.lines] == ["sound: odd", "sound: rate (2 of them so far)"]


def test_good_and_bad_in_turn_do_not_flood_the_log() -> None:
    log, clock = Log(), Seconds()
    trouble = ThrottledLog(log, "images", clock)
    for _ in range(50):
        trouble.report("cut", "cut")
        trouble.good()
        clock.now += 0.1
    assert len(log.lines) == 2


@pytest.mark.parametrize("say", ["report", "note", "once"])
def test_kinds_that_never_end_give_few_lines_and_take_little_room(say: str) -> None:
    log, clock = Log(), Seconds()
    trouble = ThrottledLog(log, "camera", clock)
    for number in range(3000):
        getattr(trouble, say)(f"kind {number}", f"text {number}")
        trouble.good()
        clock.now += 0.01
    kinds = {one for one in kept(trouble) if isinstance(one, str) and one.startswith("kind ")}
    assert len(kinds) <= (1000 if say == "once" else 10)
    said = [text for kind, text in log.lines if kind != "info"]
    assert len(said) == (1000 if say == "once" else 10)
    clock.now += 30.0
    getattr(trouble, say)("kind 1", "text 1")
    assert (log.lines[-1][1] == "camera: text 1") == (say != "once")


@pytest.mark.parametrize("say", ["report", "note"])
def test_two_kinds_in_turn_are_each_said_twice_in_35_seconds(say: str) -> None:
    log, clock = Log(), Seconds()
    trouble = ThrottledLog(log, "sound", clock)
    for number in range(45):
        getattr(trouble, say)("ab"[number % 2], "ab"[number % 2])
        trouble.good()
        clock.now += 35.0 / 45
    for kind in "ab":
        assert sum(text.startswith(f"sound: {kind}") for _, text in log.lines) == 2


def test_what_is_usable_all_the_same_is_warned_of_once() -> None:
    log = Log()
    trouble = ThrottledLog(log, "sound", Seconds())
    trouble.once("stamp", "no stamp")
    trouble.once("stamp", "no stamp")
    assert log.lines == [("warning", "sound: no stamp")]
    assert trouble.count == 0


# --- conversions


def convert() -> Any:
    return pytest.importorskip(
        "avemo_ros.nodes.convert", reason="no rclpy or messages: run `make setup`"
    )


@pytest.mark.parametrize("far", [False, True], ids=["with mesh", "without mesh"])
def test_face_tracks_survive_the_way_through_a_message(far: bool) -> None:
    noise = np.random.default_rng(1)
    face = FaceTrack(
        face_id="f0001",
        box=Box(0.25, -0.125, 0.5, 0.75),
        confidence=0.5,
        landmarks=None if far else noise.random((468, 3), np.float32),
        pose=None if far else HeadPose(0.25, -0.5, 0.125),
        quality=0.75,
        mouth_opening=float("nan") if far else 0.25,
        crop=noise.integers(0, 256, (96, 96), np.uint8),
        blendshapes=None if far else noise.random(52, np.float32),
    )
    tracks = FrameTracks(1_700_000_000_123_456_789, 640, 480, (face,))
    message = convert().tracks_message(tracks, "camera")
    assert message.header.frame_id == "camera"
    back = message_content.tracks(message)
    assert (back.stamp_ns, back.width, back.height) == (tracks.stamp_ns, 640, 480)
    other = back.faces[0]
    assert (other.face_id, other.box, other.confidence) == (face.face_id, face.box, 0.5)
    assert (other.pose, other.quality) == (face.pose, face.quality)
    np.testing.assert_equal(other.mouth_opening, face.mouth_opening)
    np.testing.assert_array_equal(other.crop, face.crop)
    if far:
        assert other.landmarks is None
        assert other.blendshapes is None
    else:
        np.testing.assert_array_equal(other.landmarks, face.landmarks)
        np.testing.assert_array_equal(other.blendshapes, face.blendshapes)


def test_spectrogram_chunks_survive_the_way_through_a_message() -> None:
    noise = np.random.default_rng(2)
    chunk = SpectrogramChunk(
        stamp_ns=1_700_000_000_000_000_001,
        power_db=noise.random((3, BINS), np.float32),
        speech=noise.random(3, np.float32),
        level_dbfs=noise.random(3, np.float32),
        gap=True,
    )
    back = message_content.chunk(convert().chunk_message(chunk, "microphone"))
    assert (back.stamp_ns, back.gap, back.end_ns) == (chunk.stamp_ns, True, chunk.end_ns)
    for field in ("power_db", "speech", "level_dbfs"):
        np.testing.assert_array_equal(getattr(back, field), getattr(chunk, field))


def test_a_malformed_chunk_is_refused() -> None:
    message = convert().SpectrogramChunkMessage(power_db=[0.0] * 10, speech=[0.0])
    with pytest.raises(ValueError, match="level_dbfs"):
        message_content.chunk(message)


def test_estimates_survive_the_way_through_a_message() -> None:
    made = pytest.importorskip("made_steps")
    estimate = made.estimate(confidence=0.5, speaking=True, voice="v0001")
    message = convert().state_message(estimate, "camera", 0.05)
    back = message_content.estimate(message)
    assert (back.label, back.status, back.box is None) == ("happy", estimate.status, False)
    assert back.stamp_ns == estimate.stamp_ns
    assert back.window_start_ns == estimate.window_start_ns
    np.testing.assert_allclose(back.probabilities, estimate.probabilities, rtol=1e-6)


# --- both dialects of audio_common_msgs


def test_the_types_of_the_installed_dialect_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    audio_types = convert().audio_types
    audio, info = audio_types("stamped")
    assert (audio.__name__, info.__name__) == ("AudioDataStamped", "AudioInfo")
    assert audio_types("bare")[0].__name__ == "AudioData"

    other = SimpleNamespace(AudioStamped="the other stamped type", AudioData="no format")
    monkeypatch.setattr("audio_common_msgs.msg", other)
    assert audio_types("stamped") == ("the other stamped type", None)
    with pytest.raises(ValueError, match="audio_type"):
        audio_types("bare")


def audio_stamped(samples: Any, number: int, field: str) -> Any:
    """A message of mgonzs13/audio_common 4.x."""
    data = {name: [] for name in ("float32_data", "int32_data", "int16_data", "int8_data",
                                  "uint8_data")}  # fmt: skip
    data[field] = samples
    info = SimpleNamespace(format=number, channels=1, rate=16_000, chunk=len(samples))
    audio = SimpleNamespace(audio_data=SimpleNamespace(**data), info=info)
    stamp = SimpleNamespace(sec=1_700_000_000, nanosec=5)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp, frame_id="mic"), audio=audio)


@pytest.mark.ros
def test_messages_of_the_other_dialect_are_read_by_their_own_format(
    ros_domain: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
    message = audio_stamped([16_384, -16_384], 8, "int16_data")
    graph = ros.Graph(ros_domain, lambda: capfd.readouterr().err)
    try:
        node = graph.add(ros.SpeechBufferNode, start=False)
        (block,) = heard_blocks(monkeypatch, node, [("audio", message, 10**18)])
        assert graph.spin(lambda: graph.said("audio: the source sends 16000 Hz"))
    finally:
        graph.close()
    assert (block.stamp_ns, block.rate) == (1_700_000_000_000_000_005, 16_000)
    np.testing.assert_array_equal(block.samples, [[0.5], [-0.5]])
