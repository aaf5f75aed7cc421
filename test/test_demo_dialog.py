"""The dialog demo: a conversation through the real nodes, and the page it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest
from bad_endpoint import Server, answer, respond
from made_clips import cut
from test_demo import SAMPLE, Demo, demos, gone

__all__ = ["demos"]
pytestmark = pytest.mark.timeout(400)
SCRIPT = 4
"""Turns of the scripted conversation."""


def started(demos: list[Demo], out: Path, *arguments: str) -> Demo:
    demos.append(Demo(out, *arguments, tool="demo_dialog.py"))
    return demos[-1]


def page_of(demo: Demo) -> str:
    return (demo.out / "index.html").read_text(encoding="utf-8")


@pytest.mark.ros
def test_the_sample_makes_a_conversation_that_follows_the_emotion(
    tmp_path: Path, demos: list[Demo]
) -> None:
    demo = started(demos, tmp_path / "out")
    assert demo.end() == 0, demo.said
    page = page_of(demo)
    for text in ("Hi there.", "good to see you here today", "where were we?"):
        assert text in page
    assert page.count("<tr>") == 1 + SCRIPT
    # The person of the sample smiles for three seconds, and says something glad.
    assert "happy" in page
    assert "celebrate with" in page
    assert "celebrate with" in demo.said
    assert str(demo.out / "index.html") in demo.said
    assert gone(demo)


@pytest.mark.ros
def test_an_endpoint_words_the_answers_and_another_clip_is_talked_over(
    tmp_path: Path, demos: list[Demo]
) -> None:
    clip = cut(tmp_path / "short clip: 1.mp4", 2.0, 5.0, every=2)
    with Server(*[respond(answer(f"Number {i} it is.")) for i in range(6)]) as server:
        demo = started(
            demos, tmp_path / "out", "--clip", str(clip), "--model", "tiny", "--endpoint",
            server.url,
        )  # fmt: skip
        assert demo.end() == 0, demo.said
        asked = [request.content["messages"][-1]["content"] for request in server.requests]
    # "Hello" has the model loaded; it is no turn of the conversation.
    assert len(asked) == 6
    assert {"Hello", "What do you think?"} < set(asked)
    page = page_of(demo)
    assert "Number 5 it is." in page
    assert "short clip: 1.mp4" in page


@pytest.mark.ros
def test_a_dead_endpoint_is_told_and_the_conversation_goes_on(
    tmp_path: Path, demos: list[Demo]
) -> None:
    clip = cut(tmp_path / "clip.mp4", 2.0, 5.0, every=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    demo = started(
        demos, tmp_path / "out", "--clip", str(clip), "--model", "tiny", "--endpoint", url
    )
    assert demo.end() == 0, demo.said
    assert page_of(demo).count('class="failed"') == 5
    assert "failed (refused)" in demo.said


@pytest.mark.ros
def test_typed_words_are_answered_until_an_empty_line(
    tmp_path: Path, demos: list[Demo]
) -> None:
    demo = started(demos, tmp_path / "out", "--typed")
    demo.wait_for("an empty line ends")
    assert demo.process.stdin is not None
    demo.process.stdin.write("I lost my keys <b>today</b>.\nWhat now?\n\n")
    demo.process.stdin.flush()
    assert demo.end() == 0, demo.said
    page = page_of(demo)
    assert "I lost my keys &lt;b&gt;today&lt;/b&gt;." in page
    assert "What now?" in page
    assert page.count("<tr>") == 3
    assert gone(demo)


@pytest.mark.ros
def test_an_interruption_keeps_what_was_said(tmp_path: Path, demos: list[Demo]) -> None:
    demo = started(demos, tmp_path / "out")
    demo.wait_for("Hi there.")
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 130, demo.said
    assert "Hi there." in page_of(demo)
    assert gone(demo)


@pytest.mark.ros
def test_a_dialog_node_that_dies_is_named(tmp_path: Path, demos: list[Demo]) -> None:
    demo = started(demos, tmp_path / "out")
    demo.wait_for("Hi there.")
    (node,) = [pid for pid, line in demo.processes().items() if "lib/avemo_ros/dialog" in line]
    os.kill(node, signal.SIGKILL)
    assert demo.end() == 1
    assert "error: node dialog ended with status -9" in demo.said
    assert gone(demo)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip", "{tmp}/none.mp4"], "there is no file"),
        (["--clip", "{tmp}/text.mp4"], "text.mp4"),
        (["--endpoint", "http://localhost:1/v1"], "--model"),
        (["--clip", str(SAMPLE), "--domain", "300"], "--domain"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_starts(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "text.mp4").write_text("no media\n" * 50)
    words = [text.format(tmp=tmp_path) for text in arguments]
    demo = Demo(tmp_path / "out", *words, tool="demo_dialog.py")
    assert demo.end() == 2
    assert message in demo.said
    assert "Traceback" not in demo.said
    assert not demo.out.exists()


def test_the_makefile_passes_everything_on(repository: Path) -> None:
    content = (repository / "Makefile").read_text()
    recipe = re.search(r"^demo-dialog:.*\n((?:\t.*\n)+)", content, re.MULTILINE)
    assert recipe is not None
    for name, option in (
        ("CLIP", "--clip"), ("TYPED", "--typed"), ("SPEAK", "--speak"),
        ("ENDPOINT", "--endpoint"), ("MODEL", "--model"),
    ):  # fmt: skip
        assert f"$(if $({name}),{option}" in recipe[1]
