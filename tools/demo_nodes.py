"""Nodes in processes of their own, for the demos."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SAMPLE: Final = ROOT / "test" / "data" / "sample.mp4"
START_LIMIT_S: Final = 90.0
"""A busy machine may take this long to load the models."""

DONE, FAILED, NOT_STARTED, INTERRUPTED = 0, 1, 2, 130
_MISSING: Final = {
    "no images on": "images arrive",
    "no audio on": "audio arrives",
    "no images and no audio": ": status ",
}
"""What a node logs while an input is missing, and what once it arrives."""


class DemoError(Exception):
    """The demo cannot go on; the text says why."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


def check_ros() -> None:
    """Raises DemoError where the environment is not entered."""
    try:
        import rclpy  # noqa: F401

        import avemo_ros.msg  # noqa: F401
    except ImportError as error:
        raise DemoError(
            f"{error}; run 'make setup' once and enter its environment with "
            "'. tools/env.sh', or use 'make demo', which does both",
            NOT_STARTED,
        ) from error


def join_domain(domain: int | None, out: Path) -> None:
    """Set the environment of this process and of its nodes.

    Of its own whatever is exported, so that a robot's running nodes neither hear nor disturb
    the demo.

    Args:
        domain: ROS domain; None takes one of the demo's own.
        out: folder of the results, for the logs.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_DOMAIN_ID"] = str(_other_domain() if domain is None else domain)
    os.environ.setdefault("ROS_LOG_DIR", str(out / "log"))


def _other_domain() -> int:
    """A domain of 1 to 101, whose ports Linux gives to nobody else, that is not exported."""
    domain = 1 + os.getpid() % 101
    taken = os.environ.get("ROS_DOMAIN_ID", "").strip() == str(domain)
    return 1 + domain % 101 if taken else domain


class Node:
    """A node in a process of its own; its output goes to a file."""

    def __init__(self, name: str, parameters: dict[str, object], out: Path) -> None:
        self.name = name
        self._log = out / f"{name}.log"
        command = [sys.executable, str(executable(name)), "--ros-args"]
        for key, value in parameters.items():
            # JSON is YAML in which every path and number is what it was.
            command += ["-p", f"{key}:={json.dumps(value)}"]
        if shutil.which("setpriv") is not None:
            # Even if the demo is killed the hard way, no node stays behind.
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with self._log.open("w") as log:
            # A session of its own: Ctrl-C reaches the demo only, which ends its nodes in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0"},
            )

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raises DemoError if the node ended."""
        if self.status is not None:
            raise DemoError(f"node {self.name} ended with status {self.status}{self.tail()}")

    def tail(self) -> str:
        """The last lines of its output, for an error message."""
        lines = self._log.read_text(errors="replace").strip().splitlines()[-8:]
        return "".join(f"\n  | {line}" for line in lines) + f"\n(all of it: {self._log})"

    def complaints(self) -> list[str]:
        """Its warnings and errors, each once; that an input was missing only if it stayed so:
        nodes are there before the player is."""
        log = self._log.read_text(errors="replace")
        found = re.finditer(r"\[(?:WARN|ERROR|FATAL)\] \[[\d.]+\] \[[^]]*\]: (.*)", log)
        lasting = [
            one[1]
            for one in found
            if not any(
                one[1].startswith(missing) and came in log[one.end() :]
                for missing, came in _MISSING.items()
            )
        ]
        return list(dict.fromkeys(f"{self.name}: {text}" for text in lasting))

    def stop(self) -> None:
        """End it: politely, then not."""
        for number, limit_s in ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0)):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(limit_s)
            except subprocess.TimeoutExpired:
                continue
        self._process.kill()
        self._process.wait()


def executable(name: str) -> Path:
    """Where a node is installed.

    Raises:
        DemoError: it is not.
    """
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        path = Path(prefix) / "lib" / "avemo_ros" / name
        if prefix and path.is_file():
            return path
    raise DemoError(f"the node '{name}' is not installed; run 'make build'", NOT_STARTED)


def wait_for(
    ready: Callable[[], bool], spin: Callable[[float], None], nodes: Sequence[Node]
) -> None:
    """Spin until something is so.

    Args:
        ready: whether it is so.
        spin: called with seconds, takes what comes.
        nodes: that have to live meanwhile.

    Raises:
        DemoError: a node ended, or it took too long.
    """
    until = time.monotonic() + START_LIMIT_S
    while not ready():
        spin(0.1)
        for node in nodes:
            node.check()
        if time.monotonic() > until:
            names = " and ".join(node.name for node in nodes)
            tails = "".join(node.tail() for node in nodes)
            raise DemoError(f"{names} did not start within {START_LIMIT_S:.0f} s{tails}")
