"""The demo: real nodes over real topics, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from made_clips import SAMPLE, cut

from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).resolve().parent.parent


class Demo:
    """A running demo whose processes can be told from all others."""

    def __init__(self, out: Path, *arguments: str, tool: str = "demo.py") -> None:
        self.out = out
        command = [
            sys.executable,
            str(ROOT / "tools" / tool),
            "--out",
            str(out),
            *arguments,
        ]
        environment = {**os.environ, "AVEMO_DEMO_TEST": str(out), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def wait_for(self, text: str) -> None:
        """Read its output up to a line with this text."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
        raise AssertionError(f"{text!r} was not said:\n{self.said}")

    def end(self) -> int:
        """Wait for its end; returns the exit status."""
        rest, _ = self.process.communicate(timeout=300)
        self.said += rest
        return self.process.returncode

    def processes(self) -> dict[int, str]:
        """Process ids and command lines of the demo and its nodes."""
        mark = f"AVEMO_DEMO_TEST={self.out}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:
                        found[int(folder.name)] = command
            except OSError:
                continue
        return found

    def states(self) -> list[dict[str, object]]:
        return [
            json.loads(line) for line in (self.out / "states.jsonl").read_text().splitlines()
        ]


@pytest.fixture
def demos(ros_domain: int) -> Iterator[list[Demo]]:
    """Demos to end with the test."""
    started: list[Demo] = []
    yield started
    for demo in started:
        for process in demo.processes():
            os.kill(process, signal.SIGKILL)
        demo.process.wait()


def gone(demo: Demo) -> bool:
    until = time.monotonic() + 60.0
    while demo.processes() and time.monotonic() < until:
        time.sleep(0.1)
    return not demo.processes()


@pytest.mark.ros
def test_a_clip_gives_states_a_video_with_sound_and_a_page(
    tmp_path: Path, demos: list[Demo]
) -> None:
    clip = cut(tmp_path / "short clip: 1.mp4", 2.0, 5.0, every=2)
    bag = tmp_path / "bag"
    demo = Demo(tmp_path / "out", "--clip", str(clip), "--record", str(bag))
    demos.append(demo)
    assert demo.end() == 0, demo.said
    with Recording(bag) as recording:
        assert recording.kinds == {TopicKind.IMAGES, TopicKind.AUDIO, TopicKind.STATES}
        images = sum(1 for _ in recording.items(frozenset({TopicKind.IMAGES})))
    # 45 of them, from the first on: the player waits for the recorder.  A busy machine may lose
    # some on the way.
    assert images > 20
    states = demo.states()
    times = [state["t"] for state in states if state["attended"]]
    assert times == sorted(times)
    assert 0.0 < times[0] <= times[-1] <= 3.1
    assert any(state["face_id"] for state in states)
    with av.open(str(demo.out / "annotated.mp4")) as video:
        assert video.streams.audio
        assert sum(1 for _ in video.decode(video=0)) > 3
    page = (demo.out / "index.html").read_text(encoding="utf-8")
    assert "short clip: 1.mp4" in page
    assert "latency" in page
    for name in ("annotated.mp4", "index.html", "states.jsonl"):
        assert str(demo.out / name) in demo.said
    assert gone(demo)


@pytest.mark.ros
@pytest.mark.parametrize("arguments", [(), ("--domain", "77")])
def test_the_demo_never_joins_the_exported_domain_unless_asked_to(
    tmp_path: Path, ros_domain: int, demos: list[Demo], arguments: tuple[str, ...]
) -> None:
    demo = Demo(tmp_path / "out", *arguments)
    demos.append(demo)
    demo.wait_for("ROS domain")
    demo.process.send_signal(signal.SIGINT)
    demo.end()
    found = re.search(r"ROS domain (\d+);", demo.said)
    assert found is not None
    assert int(found[1]) == 77 if arguments else int(found[1]) != ros_domain


@pytest.mark.ros
def test_an_interruption_keeps_the_results_and_ends_all_nodes(
    tmp_path: Path, demos: list[Demo]
) -> None:
    demo = Demo(tmp_path / "out")
    demos.append(demo)
    demo.wait_for(" 2.")
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 130, demo.said
    assert demo.states()
    with av.open(str(demo.out / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 3
    assert (demo.out / "index.html").exists()
    assert gone(demo)


@pytest.mark.ros
def test_a_node_that_dies_is_named_and_ends_the_demo(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path / "out")
    demos.append(demo)
    demo.wait_for(" 1.")
    (stack,) = [
        pid for pid, line in demo.processes().items() if "lib/avemo_ros/emotion_stack" in line
    ]
    os.kill(stack, signal.SIGKILL)
    assert demo.end() == 1
    assert "error: node emotion_stack ended with status -9" in demo.said
    assert gone(demo)


@pytest.mark.ros
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is missing")
def test_a_killed_demo_leaves_no_node_behind(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path / "out")
    demos.append(demo)
    demo.wait_for("ROS domain")
    until = time.monotonic() + 120.0
    while time.monotonic() < until:
        nodes = [line for line in demo.processes().values() if "--ros-args" in line]
        if any(not line.startswith("setpriv") for line in nodes):
            break
        time.sleep(0.05)
    demo.process.kill()
    demo.process.wait()
    assert gone(demo)


def test_input_that_arrived_in_the_end_is_no_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import demo_nodes

    script = tmp_path / "node.py"
    monkeypatch.setattr(demo_nodes, "executable", lambda _: script)

    def complaints(*lines: str) -> list[str]:
        log = "".join(f"[WARN] [1.5] [emotion_stack]: {line}\n" for line in lines)
        script.write_text(f"print({log!r})")
        node = demo_nodes.Node("emotion_stack", {}, tmp_path)
        while node.status is None:
            time.sleep(0.05)
        return list(node.complaints())

    for missing, there in (
        ("no images on /image_raw", "images arrive"),
        ("no audio on /audio", "audio arrives"),
        ("no images and no audio", "status OK"),
    ):
        assert complaints(missing) == [f"emotion_stack: {missing}"]
        assert complaints(missing, there)[:1] != [f"emotion_stack: {missing}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip", "{tmp}/none.mp4"], "there is no file"),
        (["--clip", "{tmp}/text.mp4"], "text.mp4"),
        (["--clip", str(SAMPLE), "--source", "devices"], "exclude"),
        (["--domain", "300"], "--domain"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_starts(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "text.mp4").write_text("no media\n" * 50)
    demo = Demo(tmp_path / "out", *(text.format(tmp=tmp_path) for text in arguments))
    assert demo.end() == 2
    assert message in demo.said
    assert "Traceback" not in demo.said
    assert not demo.out.exists()
