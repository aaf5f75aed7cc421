"""Publishes marks of a study on the topic that `avemo bag record` records."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import rclpy
from rclpy.duration import Duration
from std_msgs.msg import String

from avemo_ros.nodes.recorded_topics import STUDY_MARK
from avemo_ros.untrusted import say

_POLL_S: Final = 0.05
_SENT_S: Final = 5.0
"""So long a mark may take to reach the recorder [s]."""
_DEPTH: Final = 10
_PATIENCE_S: Final = 2.0


def main(args: Sequence[str] | None = None) -> int:
    """Publish the parameter `mark_text`, or each line of standard input; returns the exit
    status: 1 if nobody listens."""
    rclpy.init(args=args)
    try:
        node = rclpy.create_node(STUDY_MARK)
        node.declare_parameter("mark_text", "")
        node.declare_parameter("wait_for_recorder_s", 10.0)
        text = str(node.get_parameter("mark_text").value).strip()
        publisher = node.create_publisher(String, STUDY_MARK, _DEPTH)
        if not _is_heard(publisher, float(node.get_parameter("wait_for_recorder_s").value)):
            say(
                f"avemo: nobody records {publisher.topic_name}: start avemo bag record first",
                file=sys.stderr,
            )
            return 1
        if not text and sys.stdin.isatty():
            say("avemo: every line is a mark; Ctrl-D ends", file=sys.stderr)
        return _publish(publisher, [text] if text else sys.stdin)
    finally:
        rclpy.try_shutdown()


def _is_heard(publisher: Any, wait_s: float) -> bool:
    begin = time.monotonic()
    limit, told = begin + wait_s, False
    while not publisher.get_subscription_count():
        if not told and time.monotonic() > begin + _PATIENCE_S:
            say(f"avemo: waiting up to {wait_s:g} s for a recorder", file=sys.stderr)
            told = True
        if time.monotonic() > limit:
            return False
        time.sleep(_POLL_S)
    return True


def _publish(publisher: Any, texts: Iterable[str]) -> int:
    for text in texts:
        words = text.strip()
        if not words:
            continue
        publisher.publish(String(data=words))
        if not publisher.wait_for_all_acked(Duration(seconds=_SENT_S)):
            say(f"avemo: '{words}' did not reach the recorder", file=sys.stderr)
            return 1
        say(f"avemo: marked '{words}'", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
