"""Ctrl-C while a program is still being loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """
import os, signal, sys

class Finder:
    # Sends the signal in the middle of the imports.
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))

sys.meta_path.insert(0, Finder())
"""


def interrupted(
    tmp_path: Path, at: str, number: str, words: list[str], ignored: bool = False
) -> subprocess.CompletedProcess[str]:
    """A program that gets a signal as it is about to import a module."""
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    paths = [str(tmp_path), str(Path(__file__).resolve().parents[1])]
    path = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    usual = signal.SIG_IGN if ignored else signal.SIG_DFL
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path, "AT": at, "SIGNAL": number},
        capture_output=True, text=True, timeout=240, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, usual),
    )  # fmt: skip


@pytest.mark.ros
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("at", ["numpy", "rclpy.lifecycle", "cv2", "onnxruntime"])
def test_a_node_that_is_interrupted_while_it_loads_ends_quietly(
    tmp_path: Path, at: str, number: str
) -> None:
    words = ["-m", "avemo_ros.nodes.emotion_stack"]
    ended = interrupted(tmp_path, at, number, words)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("at", ["argparse", "numpy", "av", "cv2", "onnxruntime"])
def test_the_command_that_is_interrupted_while_it_loads_is_one_line(
    tmp_path: Path, at: str, number: str
) -> None:
    words = ["-m", "avemo_ros.cli.main", "predict", "x.mp4"]
    ended = interrupted(tmp_path, at, number, words)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "avemo: interrupted\n"


@pytest.mark.parametrize(
    ("module", "status", "said"),
    [("avemo_ros.cli.main", 130, "avemo: interrupted\n"), ("avemo_ros.nodes.emotion", 0, "")],
)
def test_an_executable_does_the_same(
    tmp_path: Path, repository: Path, module: str, status: int, said: str
) -> None:
    executable = tmp_path / "executable"
    template = (repository / "tools" / "executable.in").read_text()
    executable.write_text(template.replace("@MODULE@", module))
    for at in (module.rpartition(".")[0], "logging"):
        ended = interrupted(tmp_path, at, "SIGINT", [str(executable), "models"])
        assert (ended.returncode, ended.stderr) == (status, said)


def test_who_ignores_interrupts_goes_on_doing_so(tmp_path: Path) -> None:
    words = ["-m", "avemo_ros.cli.main", "--version"]
    ended = interrupted(tmp_path, "argparse", "SIGINT", words, ignored=True)
    assert ended.returncode == 0
    assert ended.stdout.startswith("avemo ")


def test_once_all_is_loaded_an_interrupt_means_what_it_did(tmp_path: Path) -> None:
    code = """
import os, signal
from avemo_ros.interrupt import started, until_started
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
until_started("avemo_ros.cli.main")
assert signal.getsignal(signal.SIGINT) is not before[0]
started()
assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("as usual")
"""
    ended = interrupted(tmp_path, "none", "SIGINT", ["-c", code])
    assert (ended.stdout, ended.stderr) == ("as usual\n", "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_console_script_does_the_same(tmp_path: Path, number: str) -> None:
    script = "import sys; from avemo_ros.cli.main import main; sys.argv[1:] = ['models']; "
    ended = interrupted(tmp_path, "torch", number, ["-c", script + "sys.exit(main())"])
    assert (ended.returncode, ended.stderr) == (130, "avemo: interrupted\n")
