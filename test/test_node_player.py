"""media_player: a file as a camera and a microphone."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from avemo_ros.bag import message_content
from avemo_ros.source.media_file import MediaFile

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def stamps(messages: list[Any]) -> list[int]:
    return [ros.to_ns(message.header.stamp) for message in messages]


def playing(
    start_graph: Start, *parameters: str
) -> tuple[Any, list[Any], list[Any], list[Any]]:
    graph = start_graph(f"file:={ros.SAMPLE}", "at_end:=idle", *parameters)
    images = graph.collect(ros.Image, "image_raw")
    sound = graph.collect(ros.AudioDataStamped, "audio", 200)
    infos = graph.collect(ros.AudioInfo, "audio_info")
    graph.add(ros.MediaPlayer)
    return graph, images, sound, infos


def test_a_file_is_played_at_real_time_with_stamps_of_presentation(start_graph: Start) -> None:
    graph, images, sound, infos = playing(start_graph)
    assert graph.spin(lambda: len(images) > 45 and len(sound) > 75)
    now = graph.now_ns()
    assert (images[0].width, images[0].height, images[0].encoding) == (640, 480, "bgr8")
    assert images[0].header.frame_id == "camera"
    assert sound[0].header.frame_id == "microphone"
    assert (infos[0].sample_format, infos[0].coding_format) == ("S16LE", "wave")
    assert (infos[0].sample_rate, infos[0].channels) == ros.sample_format()
    # Stamps are as regular as the file, whatever the machine does meanwhile ...
    steps = [b - a for a, b in itertools.pairwise(stamps(sound)[:50])]
    assert max(steps) - min(steps) <= 1000
    # ... and are those of now: never ahead.
    assert stamps(images)[-1] <= now
    samples = len(sound[0].audio.data) // 2 // infos[0].channels
    assert stamps(sound)[-1] + samples * 10**9 // infos[0].sample_rate <= now


def test_it_waits_for_subscribers_of_image_and_sound(start_graph: Start) -> None:
    graph = start_graph(f"file:={ros.SAMPLE}", "at_end:=idle")
    node = graph.add(ros.MediaPlayer)
    images = graph.collect(ros.Image, "image_raw")
    graph.spin_for(1.0)
    assert not images
    sound = graph.collect(ros.AudioDataStamped, "audio")
    assert graph.spin(lambda: images and sound)
    assert stamps(images)[0] - node.zero_ns < 10**9


def test_with_clock_time_is_that_of_the_file(start_graph: Start) -> None:
    graph, images, _, _ = playing(start_graph, "clock:=true")
    clocks = graph.collect(ros.Clock, "/clock")
    assert graph.spin(lambda: len(images) > 20)
    assert stamps(images)[0] - 10 * 10**9 < 5 * 10**8
    told = [ros.to_ns(clock.clock) for clock in clocks]
    assert told == sorted(told)
    assert told[0] >= 10 * 10**9


def test_a_stack_on_simulated_time_follows_the_players_clock(start_graph: Start) -> None:
    graph = start_graph(
        f"file:={ros.SAMPLE}", "at_end:=idle", "clock:=true", "use_sim_time:=true", *ros.QUICK
    )
    states = graph.collect(ros.EmotionState, "emotion_state")
    graph.add(ros.EmotionStack)
    graph.add(ros.MediaPlayer)
    kind = ros.EmotionState
    assert graph.spin(lambda: any(state.status == kind.NO_VOICE for state in states))
    claim = next(state for state in states if state.status == kind.NO_VOICE)
    assert 10 * 10**9 < ros.to_ns(claim.header.stamp) < 30 * 10**9
    assert 0.0 <= claim.latency < 5.0


def test_loops_go_on_in_time(start_graph: Start, tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    ros.write_clip(short, seconds=1.0)
    graph, images, _, _ = playing(
        start_graph, f"file:={short}", "loop:=true", "wait_for_subscribers_s:=1.0"
    )
    assert graph.spin(lambda: len(images) > 25)
    assert stamps(images) == sorted(set(stamps(images)))
    assert stamps(images)[-1] - stamps(images)[0] > 10**9


def test_a_file_without_sound_has_no_sound_topics(start_graph: Start, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    ros.write_clip(silent, seconds=0.5)
    graph = start_graph(f"file:={silent}", "at_end:=idle")
    ended: list[bool] = []
    node = graph.add(ros.MediaPlayer, start=False)
    node.finished = lambda: ended.append(True)
    images = graph.collect(ros.Image, "image_raw")
    assert node.start()
    assert graph.spin(lambda: images)
    assert graph.spin(lambda: graph.said("the file has ended"))
    names = {
        name for name, _ in node.get_publisher_names_and_types_by_node("media_player", "/")
    }
    assert "/audio" not in names
    graph.spin_for(1.0)
    assert not ended, "at_end is idle"


def test_jpeg_images_come_on_request(start_graph: Start) -> None:
    graph = start_graph(
        f"file:={ros.SAMPLE}", "compressed:=true", "wait_for_subscribers_s:=1.0"
    )
    images = graph.collect(ros.CompressedImage, "image_raw/compressed")
    graph.add(ros.MediaPlayer)
    assert graph.spin(lambda: images)
    assert message_content.image(images[0]).shape == (480, 640, 3)


@pytest.mark.parametrize(
    ("file", "words"),
    [("", ("'file'", "path of a media file")), ("/none.mp4", ("/none.mp4", "does not exist"))],
)
def test_without_a_file_configuring_fails_and_says_why(
    start_graph: Start, file: str, words: tuple[str, ...]
) -> None:
    graph = start_graph(f"file:={file}") if file else start_graph()
    node = graph.add(ros.MediaPlayer, start=False)
    assert not node.start()
    assert graph.spin(lambda: graph.said("cannot configure", *words))


def test_a_source_that_breaks_midway_is_reported_and_ends_the_node(
    start_graph: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = MediaFile.__iter__

    def broken(media: Any) -> Iterator[Any]:
        yield from itertools.islice(whole(media), 10)
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(MediaFile, "__iter__", broken)
    graph = start_graph(f"file:={ros.SAMPLE}", "wait_for_subscribers_s:=0.0")
    ended: list[bool] = []
    node = graph.add(ros.MediaPlayer, start=False)
    node.finished = lambda: ended.append(True)
    assert node.start()
    assert graph.spin(lambda: ended)
    assert graph.spin(lambda: graph.said("RuntimeError: the disk is gone"))


BROKEN = """
import itertools, sys
from avemo_ros.nodes import media_player
from avemo_ros.source.media_file import MediaFile

whole = MediaFile.__iter__

def broken(media):
    yield from itertools.islice(whole(media), 10)
    raise OSError("the disk is gone")

if sys.argv.pop(1) == "broken":
    MediaFile.__iter__ = broken
raise SystemExit(media_player.main())
"""


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("source", "status"), [("broken", 1), ("whole", 0)])
def test_the_exit_status_tells_that_playing_failed(
    tmp_path: Path, source: str, status: int
) -> None:
    clip = tmp_path / "clip.mp4"
    ros.write_clip(clip, seconds=1.0)
    words = ["-p", f"file:={clip}", "-p", "wait_for_subscribers_s:=0.0"]
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN, source, "--ros-args", *words],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    assert ("OSError: the disk is gone" in ended.stderr) == (source == "broken")
    assert ("the file has ended" in ended.stderr) == (source == "whole")


def test_a_source_that_does_not_answer_cannot_hold_up_the_end(
    start_graph: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, free = threading.Event(), threading.Event()

    def stuck(media: Any) -> Iterator[Any]:
        reading.set()
        free.wait()
        yield from ()

    monkeypatch.setattr(MediaFile, "__iter__", stuck)
    graph = start_graph(f"file:={ros.SAMPLE}", "wait_for_subscribers_s:=0.0")
    node = graph.add(ros.MediaPlayer)
    try:
        assert graph.spin(reading.is_set)
        assert node.trigger_deactivate() == ros.SUCCESS
    finally:
        free.set()
