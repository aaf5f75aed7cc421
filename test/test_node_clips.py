"""Seven recordings of an actor through the real nodes: player, topics, stack, states."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
WARM_UP_NS = 10**9
"""The default of emotion.warm_up_s."""
CLAIMED = (ros.EmotionState.OK, ros.EmotionState.UNCERTAIN)


def played(graph: Any, stack: Any, player: Any, clip: Path) -> tuple[int, list[Any]]:
    """Start of the clip [ns], and every person's state while it was played."""
    arrays = graph.collect(ros.EmotionStateArray, "emotion_states")
    assert graph.set(player, "file", str(clip)).successful
    assert stack.trigger_activate() == ros.SUCCESS
    ends, sent = len(graph.said("the file has ended")), player.sent.count
    assert player.start(), player.last_error
    assert graph.spin(lambda: player.sent.count > sent, 60.0)
    start_ns = player.zero_ns
    assert graph.spin(lambda: len(graph.said("the file has ended")) > ends, 60.0)
    # What is still on its way: the stack has seen the end when nobody is there any more.
    assert graph.spin(lambda: arrays and not arrays[-1].states, 20.0)
    for node in (player, stack):
        assert node.trigger_deactivate() == ros.SUCCESS
    assert player.trigger_cleanup() == ros.SUCCESS
    return start_ns, [state for array in arrays for state in array.states]


@pytest.mark.timeout(400)
def test_every_clip_gives_one_face_a_warm_up_and_then_claims_from_face_and_voice(
    start_graph: Start, shared_data: Path
) -> None:
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    assert len(clips) == 7
    # A name space of its own: it takes long enough that others may come by in the domain.
    graph = start_graph(
        "at_end:=idle",
        "wait_for_subscribers_s:=30.0",
        words=["-r", f"__ns:=/clips_{os.getpid()}"],
    )
    stack = graph.add(ros.EmotionStack, start=False)
    assert stack.trigger_configure() == ros.SUCCESS
    player = graph.add(ros.MediaPlayer, start=False)
    for clip in clips:
        for _ in range(5):
            stood_still = len(graph.said("this machine is too slow"))
            start_ns, states = played(graph, stack, player, clip)
            smooth = len(graph.said("this machine is too slow")) == stood_still
            both = [state for state in states if state.face_share > 0 and state.voice_share > 0]
            if smooth and both:
                break  # else it was not the clip that was played: again
        told = f"{clip.name}: {[(s.status, s.face_id, s.label) for s in states]}"
        ids = {state.face_id for state in states if state.face_id}
        # A face that is not seen for 0.7 s gets a new id, so that a machine which cannot play
        # even at the fifth time says nothing about ids.
        assert len(ids) == 1 or (ids and not smooth), told
        # First warm-up, and in that time no claim of any kind.
        assert states[0].status == ros.EmotionState.WARMING_UP, told
        for state in states:
            if ros.to_ns(state.header.stamp) < start_ns + WARM_UP_NS:
                assert state.label == "unknown", told
                assert not state.probabilities, told
        assert any(state.label != "unknown" for state in states), told
        # Face and voice together: labelled where the model is sure enough.
        assert any(state.status in CLAIMED for state in both), told
        for state in both:
            assert state.status in CLAIMED, told
            assert (state.label == "unknown") == (state.status == ros.EmotionState.UNCERTAIN)
            assert sum(state.probabilities) == pytest.approx(1.0, abs=1e-5)
