"""The robot's voice: espeak-ng speaks the answers, and robot_speaking tells of it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from avemo_ros.dialog.agent import SpokenSentence

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
std = pytest.importorskip("std_msgs.msg")
Voice = pytest.importorskip("avemo_ros.nodes.dialog_voice").Voice
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
LONG_S = 60.0
ESPEAK = shutil.which("espeak-ng")
installed = pytest.mark.skipif(ESPEAK is None, reason="espeak-ng is not installed")
LATCHED = ros.QoSProfile(depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL)
ENDLESS = "<speak>" + "This is a long sentence for the robot to say. " * 20_000 + "</speak>"
"""Takes espeak-ng tens of seconds, also where the loudspeaker takes no time."""


@pytest.fixture
def loudspeaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loudspeaker that swallows everything."""
    config = tmp_path / "asound.conf"
    config.write_text("pcm.!default { type null }\nctl.!default { type null }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    monkeypatch.setenv("PULSE_SERVER", str(tmp_path / "none"))


@pytest.fixture
def no_loudspeaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("PULSE_SERVER", str(tmp_path / "none"))


class Listening:
    """A dialog node that speaks, and who listens to it."""

    def __init__(self, start_graph: Start, *parameters: str) -> None:
        self.graph = start_graph("speak:=true", "dialog.notice:=''", *parameters)
        self.node = self.graph.add(ros.Dialog)
        heard = self.graph.collect(std.Bool, "robot_speaking", LATCHED)
        assert self.graph.spin(lambda: heard, LONG_S)
        self.heard = heard
        self.words = self.graph.probe.create_publisher(std.String, "speech_text", 10)
        assert self.graph.spin(self.words.get_subscription_count, LONG_S)

    def say(self, ssml: str) -> None:
        """Have it said as an answer is; no answer of the dialog is as long."""
        self.node.say(SpokenSentence(ssml, ssml))

    def told(self) -> list[bool]:
        """What was told, repetitions left out."""
        said = [message.data for message in self.heard]
        return [said[0], *(b for a, b in pairwise(said) if a != b)]

    def wait(self, *told: bool) -> None:
        assert self.graph.spin(lambda: self.told() == list(told), LONG_S), self.told()

    def health(self) -> Any:
        entry = "dialog: voice"
        assert self.graph.spin(lambda: entry in self.graph.health, LONG_S)
        return self.graph.health[entry]

    def until(self, word: str) -> None:
        """Wait until the diagnostics say so."""
        assert self.graph.spin(lambda: word in str(self.health()), LONG_S), self.health()


def speakers() -> Iterator[int]:
    """Processes of espeak-ng that this test has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            name, rest = stat.split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if name == "espeak-ng" and int(parent) == os.getpid() and state != "Z":
            yield int(folder.name)


@installed
@pytest.mark.usefixtures("loudspeaker")
def test_an_answer_is_said_and_told_of(start_graph: Start) -> None:
    listening = Listening(start_graph)
    assert listening.told() == [False]
    listening.words.publish(std.String(data="I had a long day at work."))
    listening.wait(False, True, False)
    listening.until("key='spoken', value='1'")
    assert listening.health().level == ros.DiagnosticStatus.OK


@installed
@pytest.mark.usefixtures("loudspeaker")
def test_a_speaker_that_dies_ends_the_speaking(start_graph: Start) -> None:
    listening = Listening(start_graph)
    listening.say(ENDLESS)
    listening.wait(False, True)
    assert listening.graph.spin(lambda: list(speakers()), LONG_S)
    for number in speakers():
        os.kill(number, signal.SIGKILL)
    listening.wait(False, True, False)
    assert listening.graph.spin(
        lambda: listening.graph.said("voice: espeak-ng ended with status -9"), LONG_S
    )
    # The next answer is said all the same.
    listening.words.publish(std.String(data="And now?"))
    listening.wait(False, True, False, True, False)


@installed
@pytest.mark.usefixtures("loudspeaker")
def test_speaking_is_told_again_and_ends_with_the_node(start_graph: Start) -> None:
    listening = Listening(start_graph)
    listening.say(ENDLESS)
    again = [False, True, True]
    assert listening.graph.spin(
        lambda: [message.data for message in listening.heard][:3] == again, LONG_S
    )
    listening.node.trigger_deactivate()
    assert not list(speakers())
    assert listening.graph.spin(lambda: not listening.heard[-1].data, LONG_S)
    assert not listening.graph.said("ended with status")


@installed
@pytest.mark.usefixtures("loudspeaker")
def test_of_several_answers_that_wait_the_newest_is_said(start_graph: Start) -> None:
    listening = Listening(start_graph)
    listening.say(ENDLESS)
    listening.wait(False, True)
    for number in range(5):
        listening.say(f"<speak>{number}</speak>")
    assert listening.graph.spin(lambda: list(speakers()), LONG_S)
    for number in speakers():
        os.kill(number, signal.SIGKILL)
    listening.until("key='spoken', value='1'")
    listening.until("key='dropped', value='4'")


@installed
@pytest.mark.usefixtures("no_loudspeaker")
def test_without_a_loudspeaker_it_is_said_and_not_taken_for_speech(start_graph: Start) -> None:
    listening = Listening(start_graph)
    listening.words.publish(std.String(data="I had a long day at work."))
    listening.wait(False, True, False)
    assert listening.graph.spin(
        lambda: listening.graph.said("voice: espeak-ng could not speak"), LONG_S
    )
    listening.until("key='spoken', value='0'")


@installed
@pytest.mark.usefixtures("loudspeaker")
def test_a_voice_that_there_is_not_is_said(start_graph: Start) -> None:
    listening = Listening(start_graph, "voice:=zz")
    listening.words.publish(std.String(data="I had a long day at work."))
    listening.wait(False, True, False)
    assert listening.graph.spin(lambda: listening.graph.said("voice: espeak-ng"), LONG_S)
    listening.until("key='spoken', value='0'")


def test_where_espeak_is_missing_it_is_said_and_answers_still_come(
    start_graph: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    listening = Listening(start_graph)
    replies = listening.graph.collect(std.String, "dialog_text")
    assert listening.graph.spin(lambda: ros.listeners(listening.node, "dialog_text"), LONG_S)
    listening.words.publish(std.String(data="I had a long day at work."))
    assert listening.graph.spin(lambda: replies, LONG_S)
    assert listening.graph.spin(lambda: listening.graph.said("is not installed"), LONG_S)
    assert listening.health().level == ros.DiagnosticStatus.WARN
    assert listening.told() == [False]


def test_who_does_not_speak_does_not_tell(start_graph: Start) -> None:
    graph = start_graph()
    graph.add(ros.Dialog)
    assert graph.spin(lambda: graph.probe.count_publishers("dialog_text"), LONG_S)
    graph.spin_for(0.5)
    assert graph.probe.count_publishers("robot_speaking") == 0
