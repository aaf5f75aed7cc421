"""A bag over real DDS, through the real nodes as processes, against its evaluation.

That all doors say the same to the last bit is shown in test_doors.py without DDS.  Here only
the way through player, middleware and threads is tried: what was not dropped is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import clip_bags
import pytest
from clip_bags import Piece

from avemo_ros.bag import message_content
from avemo_ros.config import PipelineConfig
from avemo_ros.replay.runner import replay

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

CLOSE = 1e-3
LEAST = 5
"""Steps with a distribution that have to be the same, however busy the machine is."""


@contextmanager
def process(node: str, *parameters: str) -> Iterator[None]:
    """A node in a process of its own, that ends with the block."""
    words = [word for item in parameters for word in ("-p", item)]
    started = Popen([sys.executable, "-m", f"avemo_ros.nodes.{node}", "--ros-args", *words])
    try:
        yield
    finally:
        started.terminate()
        try:
            started.wait(30)
        finally:
            started.kill()


def test_live_says_what_evaluation_says_wherever_both_saw_and_heard_the_same(
    start_graph: Callable[..., Any], tmp_path: Path
) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 6.0, 0.0, 0.0)], every=2)
    offline = {step.stamp_ns: step.estimates for step in replay(bag, PipelineConfig()).steps}
    graph = start_graph()
    states = graph.collect(ros.EmotionStateArray, "emotion_states", 2000)
    same: set[int] = set()
    # A machine that is busy drops images, and then there is less to compare: again, slower.
    for rate in (1.0, 0.5, 0.25):
        del states[:]
        graph.health.clear()
        with ExitStack() as stack:
            common = ("use_sim_time:=true", "image_transport:=compressed")
            stack.enter_context(process("emotion_stack", *common))
            assert graph.spin(lambda: "emotion_stack: states" in graph.health, 120.0)
            parameters = (f"bag:={bag}", f"play_rate:={rate}", "at_end:=idle")
            stack.enter_context(process("bag_player", *parameters))

            def ended() -> bool:
                player = graph.health.get("bag_player: player")
                return player is not None and "has ended" in player.message

            assert graph.spin(ended, 120.0)
            # What still waits in the stack comes.
            graph.spin_for(2.0)
        said = {ros.to_ns(message.header.stamp): message.states for message in states}
        assert len(said) == len(states), "nothing is said twice"
        for stamp_ns in set(said) & set(offline):
            ours = tuple(map(message_content.estimate, said[stamp_ns]))
            theirs = offline[stamp_ns]
            alike = [one.label for one in ours] == [one.label for one in theirs] and all(
                one.probabilities == pytest.approx(other.probabilities, abs=CLOSE)
                for one, other in zip(ours, theirs, strict=True)
            )
            if alike and any(one.probabilities for one in ours):
                same.add(stamp_ns)
        if len(same) >= 30:
            break
    assert len(same) >= LEAST
