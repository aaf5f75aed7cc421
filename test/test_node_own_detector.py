"""A face detector of the user's own in the nodes: it stops none of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

DETECTOR = """
from avemo_ros.vision.detector import Detection
from avemo_ros.vision.face import Box

bad = False


class Mine:
    def detect(self, image):
        return [None] if bad else [Detection(Box(0.3, 0.3, 0.3, 0.4), 0.9)]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module `mine_of_node` can be imported."""
    (tmp_path / "mine_of_node.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine_of_node", None)


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (ros.EmotionStack, "emotion_stack: images"),
        (ros.FaceTracker, "face_tracker: images"),
    ],
    ids=["stack", "tracker"],
)
def test_a_node_goes_on_whatever_the_detector_does(
    start_graph: Callable[..., Any], module: None, make: Any, outcome: str
) -> None:
    graph = start_graph("vision.detector:=mine_of_node:Mina")
    node = graph.add(make, start=False)
    assert not node.start()
    assert graph.spin(
        lambda: graph.said("cannot configure", "vision.detector", "did you mean 'Mine'?")
    )
    assert graph.set(node, "vision.detector", "mine_of_node:Mine").successful
    assert node.start()
    tracks = graph.collect(ros.FaceTrackArray, "face_tracks")
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()

    def sends_until(done: Callable[[], object]) -> bool:
        for number in range(200):
            feed.images.publish(feed.image(number))
            if graph.spin(done, 0.1):
                return True
        return False

    def level() -> bytes | None:
        entry = graph.health.get(outcome)
        return None if entry is None else entry.level

    assert sends_until(lambda: any(message.faces for message in tracks))
    sys.modules["mine_of_node"].bad = True  # type: ignore[attr-defined]
    assert sends_until(lambda: level() == ros.DiagnosticStatus.ERROR)
    assert "face detector mine_of_node:Mine gave NoneType" in graph.health[outcome].message
    sys.modules["mine_of_node"].bad = False  # type: ignore[attr-defined]
    seen = len(tracks)
    assert sends_until(lambda: any(message.faces for message in tracks[seen:]))
    assert sends_until(lambda: level() == ros.DiagnosticStatus.OK)
