"""launch/replay.launch.py, where `launch` is installed (it is part of a ROS installation)."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip_bags
import pytest
from clip_bags import Piece

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.from_clips import START_NS
from avemo_ros.bag.partial_bag import PartialBag
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.storage import OfferedQos, read_offered_qos
from avemo_ros.bag.topics import TopicKind
from avemo_ros.config import PipelineConfig
from avemo_ros.timing import NS_PER_S

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
pytest.importorskip("launch_ros", reason="launch is not on PyPI: it needs a ROS installation")
launching = pytest.importorskip("test_launch")
definitions = pytest.importorskip("avemo_ros.bag.messages")
serialization = pytest.importorskip("rclpy.serialization")
messages = pytest.importorskip("std_msgs.msg")
start_graph = ros.start_graph
pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

Start = Callable[..., Any]


@pytest.fixture
def launch_file(repository: Path) -> Path:
    return repository / "launch" / "replay.launch.py"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("launch") / "bag"
    return clip_bags.cut_bag(path, [Piece(2.0, 5.0, 0.0, 0.0)], every=3)


def ended(process: Any) -> str:
    """What was printed until the end."""
    try:
        return str(process.communicate(timeout=150)[0])
    finally:
        process.kill()


@pytest.mark.usefixtures("ros_domain")
def test_a_bag_becomes_states_that_are_recorded_with_what_they_rest_on(
    launch_file: Path, bag: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    text = ended(launching.launched(launch_file, f"bag:={bag}", f"record:={out}"))
    assert "the bag has ended" in text
    assert "Traceback" not in text
    with Recording(out) as made:
        assert made.kinds == {TopicKind.TRACKS, TopicKind.SPECTROGRAM, TopicKind.STATES}, text
        states = [item for _, item in made.items(frozenset({TopicKind.STATES}))]
        assert made.start_ns >= START_NS
    assert START_NS < states[-1].stamp_ns < START_NS + 10 * NS_PER_S
    assert any(one.probabilities for state in states for one in state.estimates), text


def with_results(bag: Path, path: Path) -> Path:
    """The same bag, and a recorded state beside each image."""
    message = ros.EmotionStateArray()
    message.header.frame_id = "recorded"
    state = bytes(serialization.serialize_message(message))
    opened, offers = Bag(bag), read_offered_qos(bag)
    types = {channel.topic: channel.type for channel in opened.channels}
    types["/emotion_states"] = "avemo_ros/msg/EmotionStateArray"
    with PartialBag(path) as draft:
        for topic, kind in types.items():
            definition, digest = definitions.definition_of(kind)
            offer = offers.get(topic, OfferedQos())
            draft.add_topic(topic, kind, offer, definition=definition, digest=digest)
        for raw in opened.messages(opened.channels):
            draft.write(raw.key[0], bytes(raw.data), raw.log_ns)
            if raw.key[0] == "/image_raw/compressed":
                draft.write("/emotion_states", state, raw.log_ns)
    return path


def test_recorded_results_are_not_mixed_with_live_ones(
    start_graph: Start, launch_file: Path, bag: Path, tmp_path: Path
) -> None:
    graph = start_graph()
    states = graph.collect(ros.EmotionStateArray, "emotion_states", 500)
    process = launching.launched(launch_file, f"bag:={with_results(bag, tmp_path / 'both')}")
    try:
        over = graph.spin(lambda: process.poll() is not None, 150.0)
    finally:
        text = ended(process)
    assert over, text
    assert "the bag has ended" in text
    assert states, text
    assert "recorded" not in {state.header.frame_id for state in states}


def test_the_stack_hears_when_the_recorded_robot_speaks(
    start_graph: Start, launch_file: Path, bag: Path, tmp_path: Path
) -> None:
    # In a name space of its own, as the bag's name of the topic has to be passed on.
    speaking = tmp_path / "speaking"
    opened, offers = Bag(bag), read_offered_qos(bag)
    with PartialBag(speaking) as draft:
        types = {channel.topic: channel.type for channel in opened.channels}
        for topic, kind in (types | {"/pepper/robot_speaking": "std_msgs/msg/Bool"}).items():
            definition, digest = definitions.definition_of(kind)
            offer = offers.get(topic, OfferedQos())
            draft.add_topic(topic, kind, offer, definition=definition, digest=digest)
        for raw in opened.messages(opened.channels):
            draft.write(raw.key[0], bytes(raw.data), raw.log_ns)
        said = bytes(serialization.serialize_message(messages.Bool(data=True)))
        draft.write("/pepper/robot_speaking", said, opened.start_ns)
    graph = start_graph()
    process = launching.launched(launch_file, f"bag:={speaking}", "loop:=true")
    try:
        count = graph.probe.count_subscribers
        heard = graph.spin(lambda: count("/pepper/robot_speaking") > 0, 60.0)
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert heard, text


@pytest.mark.usefixtures("ros_domain")
def test_recorded_features_need_no_images(launch_file: Path, tmp_path: Path) -> None:
    bag = clip_bags.sample_bag(tmp_path / "bag", 3.0, 2.0, features=PipelineConfig())
    out = tmp_path / "out"
    text = ended(
        launching.launched(
            launch_file, f"bag:={bag}", f"record:={out}", "record_content:=nothing"
        )
    )
    assert "process[bag_player-1] was required" in text
    assert "[emotion-2]" in text
    assert "Traceback" not in text
    with Recording(out) as made:
        assert made.kinds == {TopicKind.STATES}
        states = [item for _, item in made.items(frozenset({TopicKind.STATES}))]
    assert any(one.probabilities for state in states for one in state.estimates), text


def test_a_loop_goes_on_until_it_is_stopped(
    start_graph: Start, launch_file: Path, bag: Path
) -> None:
    graph = start_graph()
    states = graph.collect(ros.EmotionState, "emotion_state")
    process = launching.launched(launch_file, f"bag:={bag}", "loop:=true", "log_level:=warn")
    try:
        looped = graph.spin(
            lambda: states and ros.to_ns(states[-1].header.stamp) > START_NS + 4 * NS_PER_S,
            120.0,
        )
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert looped, text
    assert "Traceback" not in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bag:=/none",), "bag '/none' does not exist"),
        (("bag:=BAG", "use:=half"), "argument 'use' is 'half'; allowed: auto | raw | features"),
        (("bag:=BAG", "use:=features"), "contains nothing that the emotion nodes can use"),
        (("bag:=BAG", "loop:=maybe"), "argument 'loop' is 'maybe'; allowed: true | false"),
        (("bag:=BAG", "rate:=fast"), "argument 'rate' is 'fast'; allowed: a number"),
        (("bag:=BAG", "image:=/nix"), "/nix"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_starts(
    launch_file: Path, bag: Path, arguments: tuple[str, ...], said: str
) -> None:
    words = [word.replace("BAG", str(bag)) for word in arguments]
    text = ended(launching.launched(launch_file, *words))
    assert said in text
    assert "process started" not in text
