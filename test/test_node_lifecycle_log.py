"""What a node says of itself while nothing comes."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.ros


def test_an_input_that_does_not_come_is_said_once_and_once_when_it_comes():
    from diagnostic_msgs.msg import DiagnosticStatus

    from avemo_ros.nodes.shell import ManagedNode

    said: list[str] = []

    class Logger:
        def warning(self, text: str) -> None:
            said.append(f"warning {text}")

        def info(self, text: str) -> None:
            said.append(f"info {text}")

    class Node:
        _say_silence = ManagedNode._say_silence

        def __init__(self) -> None:
            self._silent: dict[str, int] = {}

        def get_logger(self) -> Logger:
            return Logger()

    node = Node()
    stale = DiagnosticStatus(
        name="images", level=DiagnosticStatus.STALE, message="no images on /image_raw"
    )
    good = DiagnosticStatus(name="images", level=DiagnosticStatus.OK, message="images come")
    for entry in [stale, stale, good, *[stale] * 9, good, good]:
        node._say_silence([entry])
    assert said == ["warning no images on /image_raw", "info images come"]
