"""ROS4HRI: what the robot's other nodes hear of people, and another detector's faces."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
hri = pytest.importorskip("hri_msgs.msg", reason="no hri_msgs")
from made_steps import estimate, step_of  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Bool, String  # noqa: E402

from avemo_ros.nodes.base_node import ManagedNode  # noqa: E402
from avemo_ros.nodes.ros4hri import HumanStates, Ros4HriSettings  # noqa: E402
from avemo_ros.srv import GetEmotionHistory  # noqa: E402

start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
SYSTEM_DEFAULT = 10
"""As libhri's listeners ask: reliable, volatile, ten deep."""
FACE_TOPICS = {
    "roi": hri.NormalizedRegionOfInterest2D,
    "landmarks": hri.FacialLandmarks,
    "cropped": Image,
    "aligned": Image,
    "expression": hri.Expression,
}


class Listener:
    """As libhri's HRIListener: subscribes to everything of an id when `tracked` first has it,
    and lets it go when `tracked` has it no more."""

    def __init__(self, graph: Any, humans: str = "/humans", faces: Any = None) -> None:
        self._node = graph.probe
        self._base = humans
        self._kinds = {
            "faces": FACE_TOPICS if faces is None else faces,
            "voices": {"is_speaking": Bool},
        }
        self._open: dict[tuple[str, str], list[Any]] = {}
        self.heard: dict[str, list[Any]] = {}
        """By the part of the topic's name after the base."""
        self.tracked: dict[str, list[Any]] = {"faces": [], "voices": []}
        self.lost: list[str] = []
        for kind in self.tracked:
            self._node.create_subscription(
                hri.IdsList,
                f"{humans}/{kind}/tracked",
                lambda message, kind=kind: self._track(kind, message),
                SYSTEM_DEFAULT,
            )
        self.matches = graph.collect(hri.IdsMatch, f"{humans}/candidate_matches")

    def _track(self, kind: str, message: Any) -> None:
        self.tracked[kind].append(message)
        for key in [key for key in self._open if key[0] == kind and key[1] not in message.ids]:
            self.lost.append(key[1])
            for subscription in self._open.pop(key):
                self._node.destroy_subscription(subscription)
        for one in message.ids:
            if (kind, one) not in self._open:
                self._open[kind, one] = [
                    self._node.create_subscription(
                        message_kind,
                        f"{self._base}/{kind}/{one}/{name}",
                        self.heard.setdefault(f"{kind}/{one}/{name}", []).append,
                        SYSTEM_DEFAULT,
                    )
                    for name, message_kind in self._kinds[kind].items()
                ]

    @property
    def ids(self) -> dict[str, list[str]]:
        return {
            kind: sorted(one for of, one in self._open if of == kind) for kind in self.tracked
        }

    def all_of(self, end: str) -> list[Any]:
        return [
            message for name in self.heard if name.endswith(end) for message in self.heard[name]
        ]


def human_topics(graph: Any, base: str = "/humans/") -> set[str]:
    """What the nodes publish there."""
    found = graph.probe.get_topic_names_and_types()
    return {
        name
        for name, _ in found
        if name.startswith(base) and graph.probe.count_publishers(name)
    }


def test_a_listener_of_ros4hri_sees_the_sample(start_graph: Start) -> None:
    graph = start_graph(*ros.QUICK, "ros4hri:=true")
    node = graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    listener = Listener(graph)
    arrays = graph.collect(ros.EmotionStateArray, "emotion_states")
    ros.sample()
    feed.wait_for_images_to_be_heard()
    ends = [f"/{name}" for name in FACE_TOPICS]
    assert feed.play_until(
        lambda: (
            all(listener.all_of(end) for end in ends)
            and any(one.expression for one in listener.all_of("/expression"))
        ),
        4.0,
    )

    face_id = next(
        name.split("/")[1]
        for name, heard in listener.heard.items()
        if name.endswith("/expression") and any(one.expression for one in heard)
    )
    assert face_id in {one for message in listener.tracked["faces"] for one in message.ids}
    assert face_id[0].isalpha()
    rois = listener.heard[f"faces/{face_id}/roi"]
    assert rois
    for roi in rois:
        assert roi.header.frame_id == "camera"
        assert ros.to_ns(roi.header.stamp) in feed.played
        assert 0.0 <= roi.xmin < roi.xmax <= 1.0
        assert 0.0 <= roi.ymin < roi.ymax <= 1.0
        assert 0.5 <= roi.c <= 1.0
    for name in ("cropped", "aligned"):
        cuts = listener.heard[f"faces/{face_id}/{name}"]
        assert cuts, name
        assert (cuts[-1].width, cuts[-1].height, cuts[-1].encoding) == (128, 128, "bgr8")
        assert np.std(np.asarray(cuts[-1].data)) > 20
    points = listener.heard[f"faces/{face_id}/landmarks"][-1]
    assert (points.width, points.height) == (640, 480)
    known = [point for point in points.landmarks if point.c > 0]
    assert len(known) == 68  # the pupils are not seen
    same = [roi for roi in rois if roi.header.stamp == points.header.stamp] or rois[-1:]
    inside = [
        same[0].xmin <= p.x <= same[0].xmax and same[0].ymin <= p.y <= same[0].ymax
        for p in known
    ]
    assert np.mean(inside) > 0.9
    # The person's right eye is on the image's left.
    assert points.landmarks[36].x < points.landmarks[45].x
    assert points.landmarks[36].y < points.landmarks[8].y

    states = {
        ros.to_ns(array.header.stamp): one
        for array in arrays
        for one in array.states
        if one.face_id == face_id
    }
    words = {"disgust": "disgusted", "fear": "scared", "surprise": "surprised", "unknown": ""}
    for one in listener.heard[f"faces/{face_id}/expression"]:
        state = states[ros.to_ns(one.header.stamp)]
        assert one.expression == words.get(state.label, state.label)
        assert one.confidence == (state.confidence if one.expression else 0.0)
        if state.valence_arousal_valid:
            assert (one.valence, one.arousal) == (state.valence, state.arousal)
        else:
            assert math.isnan(one.valence)
            assert math.isnan(one.arousal)
    # Persons are a person manager's.
    assert not [name for name in human_topics(graph) if "/persons" in name]

    # Everyone leaves: their topics go with them.
    assert feed.play_until(lambda: not listener.ids["faces"], 3.0, faces=False)
    assert face_id in listener.lost
    fixed = {"/humans/faces/tracked", "/humans/voices/tracked", "/humans/candidate_matches"}
    assert graph.spin(lambda: human_topics(graph) == fixed), human_topics(graph)
    node.trigger_deactivate()
    assert graph.spin(lambda: not human_topics(graph))


def test_rviz_is_shown_where_heads_are_and_what_they_feel(start_graph: Start) -> None:
    tf2 = pytest.importorskip("tf2_msgs.msg", reason="no tf2_msgs")
    shown = pytest.importorskip("visualization_msgs.msg", reason="no visualization_msgs")
    graph = start_graph(*ros.QUICK, "ros4hri:=true", "vision.horizontal_fov_deg:=60.0")
    graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    frames = graph.collect(tf2.TFMessage, "/tf")
    arrays = graph.collect(shown.MarkerArray, "emotion_markers")
    tracks = graph.collect(ros.FaceTrackArray, "face_tracks")
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(
        lambda: frames and any(len(array.markers) == 4 for array in arrays), 4.0
    )
    (one,) = frames[-1].transforms
    assert one.header.frame_id == "camera"
    assert ros.to_ns(one.header.stamp) in feed.played
    # Another topic, which may be a little later.
    assert graph.spin(
        lambda: one.header.stamp in [message.header.stamp for message in tracks], 10.0
    )
    (face,) = next(
        message.faces for message in tracks if message.header.stamp == one.header.stamp
    )
    assert one.child_frame_id == f"face_{face.face_id}"
    place = one.transform.translation
    assert math.hypot(place.x, place.y, place.z) == pytest.approx(face.distance, rel=1e-4)
    # Of 60 degrees of view: as far to the side as the face is in the image.
    middle = face.box.x + face.box.width / 2
    aside = (2 * middle - 1) * math.tan(math.radians(30))
    assert place.x / place.z == pytest.approx(aside, abs=0.05)
    turn = one.transform.rotation
    assert math.hypot(turn.x, turn.y, turn.z, turn.w) == pytest.approx(1.0)
    markers = next(array.markers for array in arrays if len(array.markers) == 4)
    assert {marker.header.frame_id for marker in markers} == {one.child_frame_id}
    kinds = {marker.ns.split()[1]: marker for marker in markers}
    assert set(kinds) == {"head", "id", "label", "confidence"}
    assert len({(marker.ns, marker.id) for marker in markers}) == 4
    assert kinds["id"].text == face.face_id
    assert kinds["label"].text.split(":")[0].split()[0] in {*ros.EMOTIONS, "unknown"}
    assert 0 < kinds["confidence"].scale.y <= 0.2
    assert len(kinds["head"].points) == 24  # twelve edges


def test_without_ros4hri_there_are_no_frames_and_no_markers(start_graph: Start) -> None:
    graph = start_graph(*ros.QUICK, "vision.horizontal_fov_deg:=60.0")
    graph.add(ros.EmotionStack)
    assert not human_topics(graph, "/tf")
    assert not human_topics(graph, "/emotion_markers")


class Teller(ManagedNode):
    """Says on the topics of ROS4HRI what the test says of people."""

    def __init__(self) -> None:
        super().__init__("teller", [Ros4HriSettings])

    def open(self) -> None:
        self.states = HumanStates(self, self.read(Ros4HriSettings))
        self.states.open()

    def close(self) -> None:
        self.states.close()


def test_voices_are_tracked_and_matched_with_faces(start_graph: Start) -> None:
    graph = start_graph("ros4hri:=true")
    node = graph.add(Teller)
    listener = Listener(graph, faces={})
    t = 0.0

    def tell(*estimates: dict[str, Any], steps: int = 1) -> None:
        nonlocal t
        for _ in range(steps):
            t += 0.1
            made = [estimate(t=t, **one) for one in estimates]
            node.states.push(step_of(*made, t=t), "camera")
            graph.spin_for(0.02)

    quiet, talks = {"face": "f1"}, {"face": "f1", "voice": "v1", "speaking": True}
    topics = ("/humans/voices/tracked", "/humans/candidate_matches")
    assert graph.spin(
        lambda: all(
            out.get_subscription_count() for out in node.publishers if out.topic_name in topics
        )
    )
    tell(quiet, steps=5)
    assert listener.ids["voices"] == []
    assert not listener.matches
    tell(talks, steps=20)
    assert graph.spin(lambda: listener.all_of("v1/is_speaking"))
    assert listener.ids["voices"] == ["v1"]
    assert listener.heard["voices/v1/is_speaking"][-1].data is True
    # At once, and then every second.
    kind = hri.IdsMatch
    told = [(m.id1, m.id1_type, m.id2, m.id2_type) for m in listener.matches]
    assert told == 2 * [("f1", kind.FACE, "v1", kind.VOICE)]
    assert all(0.0 < m.confidence <= 1.0 for m in listener.matches)
    # The voice is another face's: it is no more the first one's.
    listener.matches.clear()
    tell(quiet, {"face": "f2", "voice": "v1", "speaking": True}, steps=5)
    told = [(m.id1, m.id2, m.confidence > 0.0) for m in listener.matches]
    assert told == [("f1", "v1", False), ("f2", "v1", True)]
    # Nobody claims it for a moment: it is silent, and soon it is gone.
    tell(quiet, steps=5)
    assert listener.heard["voices/v1/is_speaking"][-1].data is False
    assert listener.ids["voices"] == ["v1"]
    tell(quiet, steps=8)
    assert graph.spin(lambda: listener.ids["voices"] == [])
    assert listener.lost == ["v1"]
    # A voice without a face is tracked, and matched with nobody.
    listener.matches.clear()
    tell({"face": "", "voice": "v2", "speaking": True}, steps=5)
    assert graph.spin(lambda: listener.ids["voices"] == ["v2"])
    assert not listener.matches
    node.trigger_deactivate()
    assert graph.spin(lambda: listener.ids["voices"] == [])


def test_when_the_camera_dies_or_the_node_stops_nobody_is_tracked(start_graph: Start) -> None:
    graph = start_graph("ros4hri:=true")
    node = graph.add(ros.FaceTracker)
    feed = ros.Feed(graph)
    listener = Listener(graph)
    feed.wait_for_images_to_be_heard()
    for attempt in ("the camera dies", "the node is deactivated"):
        feed.play(1.0)
        assert graph.spin(lambda: listener.ids["faces"]), attempt
        if attempt == "the node is deactivated":
            node.trigger_deactivate()
        assert graph.spin(lambda: not listener.ids["faces"]), attempt
        graph.spin_for(0.3)
        assert not [name for name in human_topics(graph) if name.endswith("/roi")]


def test_the_topics_can_be_moved_into_the_nodes_namespace(start_graph: Start) -> None:
    graph = start_graph(
        *ros.QUICK, "ros4hri:=true", "humans:=people", words=["-r", "__ns:=/robot"]
    )
    graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    listener = Listener(graph, "/robot/people")
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(lambda: listener.all_of("/expression"), 3.0)
    assert not human_topics(graph)


@pytest.mark.parametrize("wrong", ["/humans/", "4you", "a b", "//x", ""])
def test_a_base_that_is_no_name_of_a_topic_is_refused(start_graph: Start, wrong: str) -> None:
    graph = start_graph("ros4hri:=true", f"humans:='{wrong}'")
    node = graph.add(ros.FaceTracker, start=False)
    assert not node.start()
    assert f"parameter 'humans' is '{wrong}'; allowed: the name of a topic" in node.last_error


def test_another_detectors_faces_are_read_instead_of_images(start_graph: Start) -> None:
    """The other detector is our own face_tracker, which speaks the same standard."""
    graph = start_graph(
        *ros.QUICK,
        "face_tracker:ros4hri:=true",
        "emotion_stack:faces:=ros4hri",
        words=[
            "-r",
            "emotion_stack:face_tracks:=theirs",
            "-r",
            "emotion_stack:image_raw:=unused",
        ],
    )
    graph.add(ros.FaceTracker)
    graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    listener = Listener(graph, faces={"expression": hri.Expression})
    own = graph.collect(ros.FaceTrackArray, "face_tracks")
    theirs = graph.collect(ros.FaceTrackArray, "theirs")
    states = graph.collect(ros.EmotionStateArray, "emotion_states")
    info = graph.probe.create_publisher(CameraInfo, "camera_info", 1)
    feed.wait_for_images_to_be_heard()
    message = CameraInfo(width=640, height=480)
    message.k = np.array([600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0])
    info.publish(message)
    assert feed.play_until(
        lambda: (
            any(one.expression for one in listener.all_of("/expression"))
            and sum(bool(array.faces) for array in theirs) >= 20
        ),
        4.0,
        speed=1.0,
    )

    mine = {ros.to_ns(array.header.stamp): array for array in own}
    pairs = [
        (mine[stamp].faces[0], array.faces[0])
        for array in theirs
        if array.faces and (stamp := ros.to_ns(array.header.stamp)) in mine
    ]
    assert len(pairs) >= 10
    for one, other in pairs[5:]:
        assert other.face_id == one.face_id
        assert other.box.x == pytest.approx(one.box.x, abs=1e-5)
        assert other.box.height == pytest.approx(one.box.height, abs=1e-5)
        assert other.yaw == pytest.approx(one.yaw, abs=0.12)
        assert other.roll == pytest.approx(one.roll, abs=0.05)
        assert other.mouth_opening == pytest.approx(one.mouth_opening, abs=0.08)
        assert other.distance == pytest.approx(one.distance, rel=0.1)
        assert other.quality == pytest.approx(one.quality, abs=0.35)
        assert not other.landmarks
        # The crop shows the same in the same place, but for what is around the face.
        crops = np.array([one.crop, other.crop], float).reshape(2, 96, 96)[:, 16:84, 20:76]
        assert np.corrcoef(crops.reshape(2, -1))[0, 1] > 0.95
    ids = {face.face_id for array in own for face in array.faces}
    assert {one.face_id for array in states for one in array.states} <= ids
    # Who is not the detector does not say who is tracked.
    assert graph.probe.count_publishers("/humans/faces/tracked") == 1
    # Whose face has gone has no topics at all.
    assert graph.probe.count_publishers(f"/humans/faces/{pairs[-1][0].face_id}/roi") <= 1
    assert not human_topics(graph, "/humans/voices")


def test_people_are_those_of_the_person_manager(start_graph: Start) -> None:
    graph = start_graph(
        *ros.QUICK,
        "face_tracker:ros4hri:=true",
        "emotion_stack:faces:=ros4hri",
        words=["-r", "emotion_stack:image_raw:=unused"],
    )
    graph.add(ros.FaceTracker)
    graph.add(ros.EmotionStack)
    states = graph.collect(ros.EmotionStateArray, "emotion_states")
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()

    def newest() -> Any:
        return next((one for array in reversed(states) for one in array.states), None)

    assert feed.play_until(lambda: newest() is not None, 4.0, speed=1.0)
    assert newest().person_id == ""
    latched = ros.QoSProfile(
        depth=1,
        reliability=ros.ReliabilityPolicy.RELIABLE,
        durability=ros.DurabilityPolicy.TRANSIENT_LOCAL,
    )
    face_of = graph.probe.create_publisher(String, "/humans/persons/anna/face_id", latched)
    tracked = graph.probe.create_publisher(hri.IdsList, "/humans/persons/tracked", latched)
    tracked.publish(hri.IdsList(ids=["anna", "not-a-name"]))

    def is_anna() -> bool:
        # The face may have another id by now.
        face_of.publish(String(data=newest().face_id))
        return newest().person_id == "anna"

    assert feed.play_until(is_anna, 4.0, speed=1.0)
    assert graph.said("'not-a-name'")
    history = graph.call(
        GetEmotionHistory, "emotion_history", GetEmotionHistory.Request(person="anna")
    )
    assert history.success
    tracked.publish(hri.IdsList())
    assert feed.play_until(lambda: newest().person_id == "", 4.0, speed=1.0)


def publish_face(graph: Any, face_id: str, topics: dict[str, Any]) -> dict[str, Any]:
    return {
        name: graph.probe.create_publisher(kind, f"/humans/faces/{face_id}/{name}", 10)
        for name, kind in topics.items()
    }


def test_what_another_detector_lacks_or_sends_wrong_is_said(start_graph: Start) -> None:
    graph = start_graph("faces:=ros4hri")
    graph.add(ros.FaceTracker)
    tracked = graph.probe.create_publisher(hri.IdsList, "/humans/faces/tracked", 10)
    outs = publish_face(graph, "abcde", {"roi": FACE_TOPICS["roi"], "cropped": Image})
    tracks = graph.collect(ros.FaceTrackArray, "face_tracks")
    entry = "face_tracker: images"
    assert graph.spin(lambda: entry in graph.health)
    assert graph.spin(
        lambda: "no faces on /humans/faces/tracked" in graph.health[entry].message
    )

    def show(roi: Any = None, cut: Any = None, ids: tuple[str, ...] = ("abcde",)) -> None:
        header = ros.convert.header(graph.now_ns(), "camera")
        for name, message in (("roi", roi), ("cropped", cut)):
            if message is not None:
                message.header = header
                outs[name].publish(message)
        tracked.publish(hri.IdsList(header=header, ids=list(ids)))
        graph.spin_for(0.1)

    good = hri.NormalizedRegionOfInterest2D(xmin=0.2, ymin=0.2, xmax=0.4, ymax=0.5, c=0.9)
    for _ in range(40):
        show(good)
        if "nothing comes on /humans/faces/<id>/cropped" in graph.health[entry].message:
            break
    else:
        pytest.fail(graph.health[entry].message)
    assert all(not array.faces for array in tracks)

    wrong = hri.NormalizedRegionOfInterest2D(xmin=0.4, ymin=0.2, xmax=0.2, ymax=0.5, c=0.9)
    show(wrong, ids=("abcde", "not-a-name"))
    assert graph.spin(lambda: graph.said("'not-a-name'", "letters, digits and _"))
    assert graph.spin(lambda: graph.said("/abcde/roi", "has no area", "left out"))

    noise = np.random.default_rng(1).integers(0, 255, (128, 128, 3), np.uint8)
    for _ in range(20):
        show(good, ros.convert.image(noise, 0, ""))
        if tracks and tracks[-1].faces:
            break
    (face,) = tracks[-1].faces
    assert face.face_id == "abcde"
    assert math.isnan(face.yaw)
    assert math.isnan(face.mouth_opening)
    assert math.isnan(face.distance)
    assert math.isnan(face.looks_at_robot)


def test_rotation_and_foreign_faces_do_not_go_together(start_graph: Start) -> None:
    graph = start_graph("faces:=ros4hri", "image_rotate:=180")
    node = graph.add(ros.FaceTracker, start=False)
    assert not node.start()
    assert "image_rotate" in node.last_error


def test_images_of_faces_that_may_not_leave_the_node_do_not(start_graph: Start) -> None:
    graph = start_graph("ros4hri:=true", "publish_features:=false")
    node = graph.add(ros.EmotionStack, start=False)
    assert not node.start()
    assert "'ros4hri' is True; allowed: false while publish_features" in node.last_error


@pytest.mark.parametrize("asked", ["ros4hri:=true", "faces:=ros4hri"])
@pytest.mark.parametrize("lacking", ["everything", "Expression"])
def test_without_hri_msgs_the_mode_is_refused_with_what_to_do(
    start_graph: Start, monkeypatch: pytest.MonkeyPatch, asked: str, lacking: str
) -> None:
    if lacking == "everything":
        monkeypatch.setitem(sys.modules, "hri_msgs.msg", None)
    else:
        monkeypatch.delattr(sys.modules["hri_msgs.msg"], lacking)
    graph = start_graph(asked)
    node = graph.add(ros.FaceTracker, start=False)
    assert not node.start()
    name = asked.split(":=")[0]
    assert f"parameter '{name}' is" in node.last_error
    assert ("hri-msgs" in node.last_error) == (lacking == "everything")
    assert lacking == "everything" or "Expression" in node.last_error


def test_nothing_imports_hri_msgs_unasked() -> None:
    code = (
        "import sys, avemo_ros.nodes.emotion_stack, avemo_ros.nodes.emotion;"
        "print('hri_msgs' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "False"


def test_layouts_name_topics_that_the_nodes_have(repository: Path) -> None:
    config = repository / "config"
    layout = json.loads((config / "foxglove.json").read_text())
    rviz = yaml.safe_load((config / "avemo.rviz").read_text())["Visualization Manager"]
    named = {one["Topic"]["Value"] for one in rviz["Displays"] if "Topic" in one}
    assert named == {"/emotion_markers", "/emotion_overlay"}
    text = json.dumps(layout)
    assert all(f'"{topic}"' in text for topic in named)
    labels = [one["label"] for one in layout["configById"]["Plot!probabilities"]["paths"]]
    assert tuple(labels) == ros.EMOTIONS
    panels = set(layout["configById"])
    assert panels == set(re.findall(r'"(\w+!\w+)"', json.dumps(layout["layout"])))
