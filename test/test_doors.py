"""One engine behind every door: live nodes, evaluation and prediction say the same.

The bag has what recordings have: a pause, images that cannot be read, stamps that are wrong, a
robot that speaks, and a beginning that comes again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_bags as made
from made_clips import sample_items
from made_replays import features_of
from staged import Staged

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.folder import Bag
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.cli.main import main
from avemo_ros.config import IdentityConfig, PipelineConfig
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import PrepareConfig
from avemo_ros.data.file_reader import FileReader
from avemo_ros.engine.emotion_stage import TICK_S
from avemo_ros.replay.replayed import Replayed
from avemo_ros.replay.runner import replay
from avemo_ros.sink.jsonl import records
from avemo_ros.state.estimate import EmotionStep, Status
from avemo_ros.timing import to_ns

CONFIG = PipelineConfig(identity=IdentityConfig(mode="visit"))
pytestmark = pytest.mark.timeout(400)


def compressed(data: bytes, stamp_ns: int, log_ns: int) -> made.Row:
    header = made.header(stamp_ns)
    message = made.new(made.COMPRESSED, header, "jpeg", np.frombuffer(data, np.uint8))
    return made.Row("/image_raw/compressed", made.COMPRESSED, log_ns, message)


def heard(samples: np.ndarray[Any, Any], stamp_ns: int, log_ns: int) -> made.Row:
    pcm = np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes()
    data = made.new(made.BARE, np.frombuffer(pcm, np.uint8))
    message = made.new(made.AUDIO, made.header(stamp_ns), data)
    return made.Row("/audio", made.AUDIO, log_ns, message)


def part(start_s: float, end_s: float, stamped_s: float, logged_s: float) -> list[made.Row]:
    """A part of the sample; stamps and times of recording count from the bag's start [s]."""
    rows = []
    for item in sample_items(start_s, end_s):
        at_s = item.stamp_ns / 1e9
        stamp_ns = made.START + to_ns(stamped_s + at_s - start_s)
        log_ns = made.START + to_ns(logged_s + at_s - start_s)
        if isinstance(item, AudioBlock):
            lasts_ns = len(item.samples) * 10**9 // item.rate
            rows.append(heard(item.samples[:, :1], stamp_ns, log_ns + lasts_ns + 2_000_000))
        else:
            _, packed = cv2.imencode(".jpg", item.image)
            rows.append(compressed(packed.tobytes(), stamp_ns, log_ns + 15_000_000))
    return rows


def speaking(value: bool, at_s: float) -> made.Row:
    message = made.new(made.BOOL, value)
    return made.Row("/robot_speaking", made.BOOL, made.START + to_ns(at_s), message)


@pytest.fixture(scope="module")
def bag(made_once: Callable[..., Path]) -> Path:
    return made_once("doors", make_bag)


def make_bag(path: Path) -> None:
    rate = next(item.rate for item in sample_items() if isinstance(item, AudioBlock))
    rows = [made.info(made.START, rate=rate)]
    rows += part(2.0, 5.0, 0.2, 0.2)
    rows += part(4.0, 7.5, 6.0, 6.0)  # after a pause of three seconds
    rows += part(2.0, 4.5, 6.0, 9.7)  # the stamps go back
    rows += [speaking(True, 7.0), speaking(False, 7.6)]
    quiet, at = made.START + to_ns(3.5), made.START + to_ns(6.5)
    rows += [
        compressed(b"\xff\xd8 no image", quiet, quiet + 15_000_000),
        compressed(b"", quiet + to_ns(0.1), quiet + to_ns(0.115)),
        heard(np.zeros((160, 1)), at - to_ns(30.0), at),
    ]
    good = next(row for row in rows if row.type == made.COMPRESSED)
    image = bytes(good.message.data)
    rows += [
        compressed(image, at + to_ns(3.0), at + 17_000_000),
        compressed(image, at - to_ns(4.0), at + 18_000_000),
        compressed(image, 0, made.START + to_ns(7.001)),
    ]
    rows.sort(key=lambda row: row.log_ns)
    made.write(path, rows)


@pytest.fixture(scope="module")
def evaluated(bag: Path, found_once: Callable[..., Any]) -> Replayed:
    replayed: Replayed = found_once("doors-evaluated", lambda: replay(bag, CONFIG, processes=1))
    return replayed


def test_the_bag_has_what_it_is_for(evaluated: Replayed) -> None:
    said = {step.attended.status for step in evaluated.steps}
    assert said >= {Status.OK, Status.NO_VOICE, Status.WARMING_UP, Status.STALE_INPUT}
    counted = evaluated.counters
    assert counted["resets"] == 1
    assert counted["pictures_refused"] == 2
    assert counted["far_stamps"] >= 3
    assert len({key for frame in evaluated.frames for key, _ in frame.faces}) >= 2
    # The same person under all of these ids.
    people = {one.person_id for step in evaluated.steps for one in step.estimates}
    assert len(people - {""}) == 1


def test_two_processes(bag: Path, evaluated: Replayed) -> None:
    assert replay(bag, CONFIG, processes=2).steps == evaluated.steps


def test_predict(bag: Path, evaluated: Replayed, tmp_path: Path) -> None:
    out = tmp_path / "states.jsonl"
    wanted_settings = ["--set", "identity.mode=visit"]
    assert main(["predict", str(bag), "--json", str(out), "--quiet", *wanted_settings]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    with Recording(bag) as recording:
        zero_ns = recording.start_ns
    wanted = [one for step in evaluated.steps for one in records(step, zero_ns)]
    assert lines == json.loads(json.dumps(wanted))


def test_preparation_for_training(bag: Path) -> None:
    """Of the part after the pause, in which the robot speaks: all until the stamps go back."""
    with Recording(bag) as recording:
        zero_ns, kinds = recording.start_ns, frozenset({TopicKind.AUDIO})
        chunks = [chunk for _, chunk in features_of(recording, kinds, CONFIG)]
    pause = next(n for n, chunk in enumerate(chunks) if chunk.stamp_ns > zero_ns + to_ns(5.9))
    back = next(n for n in range(1, len(chunks)) if chunks[n].stamp_ns < chunks[n - 1].stamp_ns)
    live = np.concatenate([chunk.power_db for chunk in chunks[pause:back]])
    level = np.concatenate([chunk.level_dbfs for chunk in chunks[pause:back]])
    assert len(live) > 300
    assert (level[110:180] == level.min()).all()  # the robot speaks
    reader = FileReader(PrepareConfig(), frozenset({"speech"}))
    item = Item("bags", "part", bag, "happy", "anna", start_s=5.9, end_s=9.6)
    (prepared,) = reader.read(bag, [item])
    reader.close()
    columns = prepared.features.spectrogram
    assert columns is not None
    np.testing.assert_array_equal(columns[: len(live)], live.astype(np.float16))


@pytest.mark.ros
def test_the_live_nodes(
    bag: Path,
    evaluated: Replayed,
    ros_domain: int,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stages of the real node, given real messages at the recorded times of arrival."""
    ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
    parameters = ("image_transport:=compressed", "identity.mode:=visit")
    graph = ros.Graph(ros_domain, lambda: capfd.readouterr().err, *parameters)
    try:
        node = graph.add(ros.EmotionStack, start=False)
        staged = Staged(monkeypatch, node)
        steps: list[EmotionStep] = []
        as_message = ros.convert.states_message

        def published(step: EmotionStep, *more: Any) -> Any:
            steps.append(step)
            return as_message(step, *more)

        monkeypatch.setattr("avemo_ros.nodes.convert.states_message", published)
        assert node.start(), node.last_error
        play(bag, staged)
    finally:
        graph.close()
    # A live node cannot know that no more is to come.
    assert 0 <= len(evaluated.steps) - len(steps) <= 3
    assert steps == list(evaluated.steps[: len(steps)])


def play(bag: Path, staged: Staged) -> None:
    """Give the messages of a bag to a node when they were recorded, and the time between."""
    import audio_common_msgs.msg
    import sensor_msgs.msg
    import std_msgs.msg
    from rclpy.serialization import deserialize_message

    classes = {
        made.COMPRESSED: sensor_msgs.msg.CompressedImage,
        made.AUDIO: audio_common_msgs.msg.AudioDataStamped,
        made.INFO: audio_common_msgs.msg.AudioInfo,
        made.BOOL: std_msgs.msg.Bool,
    }
    tick_ns = 0
    with closing(Bag(bag)) as source:
        for raw in source.messages(list(source.channels)):
            tick_ns = tick_ns or (raw.log_ns // to_ns(TICK_S) + 1) * to_ns(TICK_S)
            while tick_ns <= raw.log_ns:
                staged.tick(tick_ns)
                tick_ns += to_ns(TICK_S)
            channel = next(one for one in source.channels if one.key == raw.key)
            message = deserialize_message(bytes(raw.data), classes[channel.type])
            staged.give(channel.topic.removeprefix("/"), message, raw.log_ns)
