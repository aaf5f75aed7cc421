"""Nothing from outside ends a node: what its callbacks raise is said, and it goes on."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def shell() -> Any:
    return pytest.importorskip("avemo_ros.nodes.base_node")


@contextmanager
def running(graph: Any, log: Path, node: str, *parameters: str) -> Iterator[Any]:
    """A node as a process; `said()` is what it has logged."""
    from test_node_life_cycle import executable

    with log.open("w") as out:
        process = subprocess.Popen(executable(node, *parameters), stderr=out)
    process.said = lambda *words: [
        line for line in log.read_text().splitlines() if all(word in line for word in words)
    ]
    try:
        assert graph.spin(lambda: process.said("active") or process.poll() is not None, 120.0)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def call(graph: Any, kind: str, name: str, **fields: Any) -> Any:
    module, _, service = kind.partition("/")
    srv = getattr(pytest.importorskip(f"{module}.srv"), service)
    return graph.call(srv, name, srv.Request(**fields))


def parameter(name: str, kind: int, **value: Any) -> Any:
    from rcl_interfaces.msg import Parameter, ParameterValue

    return Parameter(name=name, value=ParameterValue(type=kind, **value))


@pytest.mark.timeout(400)
def test_a_stack_survives_whatever_it_is_sent_and_works_afterwards(
    start_graph: Start, tmp_path: Path
) -> None:
    graph = start_graph()
    given = [*ros.QUICK, "image_transport:=compressed"]
    with running(graph, tmp_path / "log", "emotion_stack", *given) as node:
        feed = ros.Feed(graph, compressed=True)
        feed.wait_for_images_to_be_heard()
        states = graph.collect(ros.EmotionState, "emotion_state")

        # Transitions that are not possible, by number and by name.
        for number, label in [(1, ""), (3, ""), (99, ""), (0, "nonsense"), (0, "activate")]:
            request = ros.ChangeState.Request()
            request.transition.id, request.transition.label = number, label
            answer = graph.call(ros.ChangeState, "emotion_stack/change_state", request)
            assert not answer.success
        assert node.said("transition 1 is not possible in the state active; allowed: deact")

        # Parameters of types that do not exist, beside a good one.
        good = parameter("emotion.min_confidence", 3, double_value=0.0)
        bad = parameter("emotion.min_confidence", 255)
        name = "emotion_stack/set_parameters"
        results = call(graph, "rcl_interfaces/SetParameters", name, parameters=[bad, good, bad])
        assert [result.successful for result in results.results] == [False, True, False]
        assert "'emotion.min_confidence' cannot be set" in results.results[0].reason
        atomically = "rcl_interfaces/SetParametersAtomically"
        for wrong in (
            bad,
            parameter("emotion.min_confidence", 10),
            parameter("emotion.min_confidence", 0),
            parameter("emotion.min_confidence", 3, double_value=math.nan),
            parameter("use_sim_time", 4, string_value="yes"),
            parameter("", 255),
        ):
            answer = call(graph, atomically, f"{name}_atomically", parameters=[good, wrong])
            assert not answer.result.successful
            assert answer.result.reason

        # Requests that make no sense.
        for window in (math.nan, math.inf, -1.0):
            answer = call(
                graph, "avemo_ros/GetEmotionHistory", "emotion_history", window=window
            )
            assert not answer.success
        person = "\U0001f600" * 1000
        call(graph, "avemo_ros/GetEmotionHistory", "emotion_history", person=person)

        # Bytes that are no message, and an image that is no image.
        for topic, kind in (
            ("image_raw/compressed", ros.CompressedImage),
            ("audio", ros.AudioData),
            ("audio_info", ros.AudioInfo),
        ):
            out = graph.probe.create_publisher(
                ros.AudioDataStamped if topic == "audio" else kind, topic, 10
            )
            assert graph.spin(out.get_subscription_count)
            for junk in (b"", b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 400, bytes(range(256))):
                out.publish(junk)
            graph.probe.destroy_publisher(out)
        # A text that is no UTF-8.
        packed = bytearray(_serialized(ros.CompressedImage(format="jpeg")))
        packed[packed.index(b"jpeg")] = 0xFF
        feed.images.publish(bytes(packed))
        assert graph.spin(lambda: node.said("images", "is empty"))
        for data in (b"\xff\x4f\xff\x51" + bytes(99), b"#?RADIANCE\n" + bytes(99)):
            feed.images.publish(ros.CompressedImage(format="jpeg", data=data))
        assert graph.spin(lambda: node.said("images", "allowed: JPEG, PNG and WebP"))

        assert node.poll() is None
        found = lambda: any(one.status == ros.EmotionState.NO_VOICE for one in states)  # noqa: E731
        for _ in range(5):
            feed.play(2.0, until=found)
            if graph.spin(found, 3.0):
                break
        assert found()
    assert node.returncode == 0


def _serialized(message: Any) -> bytes:
    from rclpy.serialization import serialize_message

    return bytes(serialize_message(message))


@pytest.mark.timeout(400)
def test_a_clock_that_makes_no_sense_is_said_and_a_sound_one_followed(
    start_graph: Start, tmp_path: Path
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from rosgraph_msgs.msg import Clock

    graph = start_graph()
    with running(graph, tmp_path / "log", "microphone", "use_sim_time:=true") as node:
        out = graph.probe.create_publisher(Clock, "/clock", 10)
        assert graph.spin(out.get_subscription_count)
        wrong = Clock()
        wrong.clock.sec = -5
        while not node.said("/clock raised ValueError", "goes on"):
            out.publish(wrong)
            graph.spin_for(0.02)
        huge = Clock()
        huge.clock.sec, huge.clock.nanosec = 2**31 - 1, 2**32 - 1
        for _ in range(50):
            out.publish(wrong)
            out.publish(huge)
            graph.spin_for(0.01)
        good = Clock()
        good.clock.sec = 123
        heard = graph.collect(DiagnosticArray, "/diagnostics")
        assert graph.spin(
            lambda: out.publish(good) or 123 in [one.header.stamp.sec for one in heard]
        )
        assert node.poll() is None
        assert len(node.said("/clock raised")) == 1
    assert node.returncode == 0


# --- the parts, without a process


def made(graph: Any, **methods: Any) -> Any:
    """A node whose `prepare`, `open`, `close` and `release` are these."""
    kind = type("Made", (shell().ManagedNode,), methods)
    return graph.add(lambda: kind("made"), start=False)


def fails(error: Exception) -> Callable[..., None]:
    def raising(*_: Any) -> None:
        raise error

    return raising


def test_every_kind_of_callback_may_raise_and_is_said_once(start_graph: Start) -> None:
    from std_msgs.msg import Bool
    from std_srvs.srv import Trigger

    from avemo_ros.nodes.rclpy_internals import SturdyExecutor

    graph = start_graph("autostart:=false")
    node = made(graph)
    graph.leave(node)
    executor = SturdyExecutor(node.callback_failed)
    executor.add_node(node)
    calls: list[str] = []

    def fail(kind: str) -> Callable[..., None]:
        def raising(*_: Any) -> None:
            calls.append(kind)
            raise RuntimeError(f"by a {kind}")

        return raising

    async def later(request: Any, response: Any) -> Any:
        calls.append("late call")
        raise RuntimeError("by a late call")

    node.create_timer(0.01, fail("timer"), clock=node.steady)
    node.create_subscription(Bool, "word", fail("word"), 10)
    node.create_service(Trigger, "call", fail("call"))
    node.create_service(Trigger, "late", later)
    guard = node.create_guard_condition(fail("guard"))
    out = graph.probe.create_publisher(Bool, "word", 10)
    answers: list[Any] = []
    for name in ("call", "late"):
        client = graph.probe.create_client(Trigger, name)
        assert graph.spin(
            lambda client=client: executor.spin_once(0.01) or client.service_is_ready()
        )
        client.call_async(Trigger.Request()).add_done_callback(answers.append)

    def go_on() -> bool:
        out.publish(Bool())
        guard.trigger()
        executor.spin_once(timeout_sec=0.01)
        enough = all(calls.count(kind) > 3 for kind in ("timer", "word", "guard"))
        return enough and len(answers) == 2

    assert graph.spin(go_on)
    assert [answer.result().success for answer in answers] == [False, False]
    for kind in ("timer", "word", "call", "late call", "guard"):
        assert graph.spin(lambda kind=kind: graph.said("raised RuntimeError", f"by a {kind} "))
        assert len(graph.said("raised RuntimeError", f"by a {kind} ")) == 1
    assert graph.said("a message on /word raised", "test_node_faults.py", "goes on")
    executor.shutdown()


def test_a_message_that_cannot_be_taken_does_not_block_what_comes_after(
    start_graph: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from std_msgs.msg import Bool

    from avemo_ros.nodes.rclpy_internals import SturdyExecutor

    graph = start_graph("autostart:=false")
    node = made(graph)
    graph.leave(node)
    executor = SturdyExecutor(node.callback_failed)
    executor.add_node(node)
    heard: list[Any] = []
    node.create_subscription(Bool, "word", heard.append, 10)
    out, word = graph.probe.create_publisher(Bool, "word", 10), Bool()
    # rclpy makes a message of what has come before any callback gets it.
    construct, bad = Bool.__init__, [True]

    def constructed(self: Any, **fields: Any) -> None:
        if bad:
            bad.clear()
            raise RuntimeError("made up")
        construct(self, **fields)

    monkeypatch.setattr(Bool, "__init__", constructed)
    assert graph.spin(lambda: out.publish(word) or executor.spin_once(0.01) or heard)
    assert graph.spin(lambda: graph.said("a message on /word raised RuntimeError", "goes on"))
    executor.shutdown()


def test_what_always_fails_takes_no_whole_core(start_graph: Start) -> None:
    from avemo_ros.nodes.rclpy_internals import SturdyExecutor

    graph = start_graph("autostart:=false")
    node = made(graph)
    graph.leave(node)
    seen: list[str] = []
    executor = SturdyExecutor(lambda what, error: seen.append(what))
    executor.add_node(node)
    node.create_timer(0.0, fails(RuntimeError("again")), clock=node.steady)
    began, used = time.monotonic(), time.thread_time()
    while time.monotonic() < began + 2.0:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    # A hundred sleeps of a hundredth a second at most, beside the first fifty.
    assert 50 < len(seen) <= 2 * 150 + 50
    assert time.thread_time() - used < 1.5


def state_of(graph: Any, node: Any) -> str:
    """The node's state, as `ros2 lifecycle get` says it."""
    from lifecycle_msgs.srv import GetState

    answer = graph.call(GetState, f"{node.get_name()}/get_state", GetState.Request())
    return str(answer.current_state.label)


@pytest.mark.parametrize("step", ["close", "release"])
def test_a_node_that_cannot_let_go_says_so_and_can_be_used_again(
    start_graph: Start, step: str
) -> None:
    graph = start_graph("autostart:=false")
    broken = [True]

    def let_go(self: Any) -> None:
        if broken:
            raise OSError("it hangs")

    node = made(graph, **{step: let_go})
    assert node.start()
    node.trigger_deactivate()
    if state_of(graph, node) == "inactive":
        node.trigger_cleanup()
    assert graph.spin(lambda: graph.said("it hangs"))
    assert state_of(graph, node) == "unconfigured"
    broken.clear()
    assert node.start()
    assert node.active


def test_the_end_of_a_node_lets_the_rest_go_where_one_part_cannot(start_graph: Start) -> None:
    graph = start_graph("autostart:=false")
    gone: list[str] = []
    node = made(
        graph,
        close=fails(OSError("it hangs")),
        release=lambda self: gone.append("release"),
        destroy_node=lambda self: gone.append("node"),
    )
    graph.forget(node)
    node.end()
    assert gone == ["release", "node"]
    assert graph.spin(lambda: graph.said("it hangs"))
