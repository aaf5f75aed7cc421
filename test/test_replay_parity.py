"""Live equals replay: the same bag through the real nodes and through the offline path."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import clip_bags
import pytest
from clip_bags import Piece

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.recording import Kind, Recording
from avemo_ros.clock import NS_PER_S, to_ns
from avemo_ros.config import PipelineConfig

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
scene = pytest.importorskip("replay_scene", reason="no rclpy or messages: run `make setup`")
events = pytest.importorskip("rclpy.event_handler")
start_graph = ros.start_graph
pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

Start = Callable[..., Any]
Play = Callable[[Any, Path, float], AbstractContextManager[Any]]
CLOSE = 1e-3
CONFIG = PipelineConfig()
MEMORY_NS = to_ns(CONFIG.emotion.window_s + CONFIG.emotion.warm_up_s)
"""What an estimate rests on."""
CHUNK_NS = to_ns(CONFIG.audio.chunk_s)
RATES = (1.0, 0.5, 0.25)
"""A machine that is busy drops pictures, and then there is less to compare: again, slower."""
STAGES = ("pictures", "sound", "states")
ENOUGH = 5
"""Hops with a distribution that were compared, of each time: no more attempts are needed."""


@dataclass(frozen=True)
class Told:
    """What live left out, by the counters of /diagnostics and of the test's own subscriber."""

    not_seen: int
    """Pictures that did not come, or had to make room."""
    not_heard: int
    """Messages of sound, likewise."""
    not_used: int
    """Tracks and chunks that the states left out."""
    skipped: int
    """Hops that the states left out."""
    lost: int
    """States that did not come here."""

    @property
    def at_edges(self) -> int:
        """So many hops at most fail where input begins or ends: one for each message."""
        return self.inside + self.not_seen + self.not_heard + self.not_used

    @property
    def inside(self) -> int:
        """So many hops fail between others; lost input delays hops there and prevents none."""
        return self.skipped + self.lost


class Listener:
    """All states, and how many were lost on the way."""

    def __init__(self, graph: Any) -> None:
        self.states: list[Any] = []
        self.lost = 0
        graph.probe.create_subscription(
            ros.EmotionStateArray,
            "emotion_states",
            self.states.append,
            scene.KEPT,
            event_callbacks=events.SubscriptionEventCallbacks(message_lost=self._lose),
        )

    def _lose(self, event: Any) -> None:
        self.lost += int(event.total_count_change)


class Compared:
    """Both paths' hops: none fails without a reason, and the same input gives the same."""

    def __init__(self, ours: Any, theirs: Any, told: Told) -> None:
        due = wanted(theirs)
        there = due & set(ours.hops)
        look_for_gaps(due, there, told)
        self.same = [
            key for key in sorted(there) if scene.same_input(ours, theirs, key, MEMORY_NS)
        ]
        self.share = len(self.same) / len(due)
        """Of the hops of a recording: what could be compared."""
        self.claims = dict.fromkeys(sorted({epoch for epoch, _ in due}), 0)
        """Of each epoch: hops that were compared in which somebody has a distribution."""
        for key in self.same:
            self._check(key, ours.hops[key], theirs.hops[key])

    def _check(self, key: Any, ours: Any, theirs: Any) -> None:
        told = f"at {key}: live {ours}\nreplay {theirs}"
        assert [one.label for one in ours] == [one.label for one in theirs], told
        assert [one.status for one in ours] == [one.status for one in theirs], told
        assert [one.face_id for one in ours] == [one.face_id for one in theirs], told
        for one, other in zip(ours, theirs, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=CLOSE), told
        self.claims[key[0]] += any(one.probabilities for one in ours)


def wanted(theirs: Any) -> set[Any]:
    """The hops that live makes, too.

    The last ones of a recording wait for the slower of pictures and sound, or for a chunk that
    is not full, and nothing more comes: live cannot know.
    """
    seen, heard = last_stamps(theirs.tracks), last_stamps(theirs.columns)
    return {
        (epoch, stamp_ns)
        for epoch, stamp_ns in theirs.hops
        if stamp_ns <= min(seen[epoch], heard[epoch] - CHUNK_NS)
    }


def last_stamps(items: dict[Any, Any]) -> dict[int, int]:
    """The last stamp of each epoch [ns]."""
    return dict(sorted(items))


def look_for_gaps(due: set[Any], there: set[Any], told: Told) -> None:
    """Hops that live has not made are not more than what its counters explain."""
    inside = at_edges = 0
    for epoch in {key[0] for key in due}:
        ours = sorted(key for key in there if key[0] == epoch)
        gone = [key for key in due - there if key[0] == epoch]
        between = [key for key in gone if ours and ours[0] < key < ours[-1]]
        inside += len(between)
        at_edges += len(gone) - len(between)
    assert inside <= told.inside, f"{inside} hops fail between others: {told}"
    assert inside + at_edges <= told.at_edges, (
        f"{inside} hops fail between others and {at_edges} at the beginning or end: {told}"
    )


def looked_at(live: Any, bag: Path, listener: Listener) -> Told:
    """The counters after the end of a bag."""
    recorded = {channel.topic: channel.count for channel in Bag(bag).channels}
    pictures = recorded.get("/image_raw", 0) + recorded.get("/image_raw/compressed", 0)
    return Told(
        pictures - live.count("pictures", "received") + live.count("pictures", "dropped"),
        # What is dropped before its turn is not counted as received.
        recorded["/audio"] - live.count("sound", "received"),
        sum(live.count("states", name) for name in ("dropped", "late_frames", "late_chunks")),
        live.count("states", "skipped_hops"),
        listener.lost,
    )


def explained(ours: Any, theirs: Any, told: Told, compared: Compared) -> None:
    """What live did not look at must be among its counters."""
    unseen = len(set(theirs.tracks) - set(ours.tracks))
    assert unseen <= told.not_seen, f"{unseen} pictures are missing: {told}"
    if not told.not_heard:
        ends = last_stamps(theirs.columns)
        heard = {key for key in theirs.columns if key[1] <= ends[key[0]] - CHUNK_NS}
        assert heard <= set(ours.columns) <= set(theirs.columns)
    if not told.at_edges:
        assert compared.share == 1.0, "both were given the same, but not all hops are alike"


def replayed(graph: Any, bag: Path, play: Play) -> tuple[Any, Compared]:
    """A bag through the nodes, and how that compares with the offline path."""
    theirs = scene.offline(bag, CONFIG)
    for rate in RATES:
        listener = Listener(graph)
        # What nodes that have ended said of themselves is not of those to come.
        graph.health.clear()
        with play(graph, bag, rate) as live:
            live.states = listener.states
            ours = live.seen()
            told = looked_at(live, bag, listener)
        compared = Compared(ours, theirs, told)
        explained(ours, theirs, told, compared)
        if min(compared.claims.values()) >= ENOUGH:
            break
        graph.spin_for(1.0)
    return ours, compared


@contextmanager
def by_node(graph: Any, bag: Path, rate: float) -> Iterator[Any]:
    """Played by the node to its end."""
    with scene.playing(graph, bag, f"play_rate:={rate}") as live:
        live.wait_for_the_end()
        yield live


@contextmanager
def by_command(graph: Any, bag: Path, rate: float) -> Iterator[Any]:
    """Played by `avemo bag play` to its end, with raw pictures."""
    live = scene.Live(graph)
    with ExitStack() as stack:
        common = ("use_sim_time:=true", "image_transport:=raw")
        stack.enter_context(scene.process("emotion_stack", *common))
        assert graph.spin(lambda: "emotion_stack: states" in graph.health, 120.0), (
            "the stack does not start"
        )
        words = ("bag", "play", bag, "--rate", rate, "--wait", 60)
        player = Popen([sys.executable, "-m", "avemo_ros.cli.main", *map(str, words)])
        stack.callback(player.kill)
        assert graph.spin(lambda: player.poll() is not None, 120.0), "the bag does not end"
        assert player.returncode == 0
        wait_for_rest(live)
        yield live


def wait_for_rest(live: Any) -> None:
    """Let the stack work off what it was given."""
    before: tuple[int, ...] = ()
    for _ in range(30):
        live.graph.health.clear()
        now = (
            live.counts()
            if live.graph.spin(lambda: "emotion_stack: states" in live.graph.health, 10.0)
            else ()
        )
        if now and now == before:
            return
        busy = any(live.count(name, "queue") for name in STAGES)
        before = () if busy else now
    pytest.fail("the nodes do not come to rest")


def test_states_are_the_same_wherever_both_saw_and_heard_the_same(
    start_graph: Start, tmp_path: Path
) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 8.0, 0.0, 0.0)], every=2)
    _, compared = replayed(start_graph(), bag, by_node)
    assert compared.claims[0] > 0, f"{compared.share:.0%} of all hops could be compared"


def test_the_command_and_raw_pictures_at_their_full_rate_give_the_same_states(
    start_graph: Start, tmp_path: Path
) -> None:
    """Every second picture has no turn, and tells the time alone."""
    bag = clip_bags.sample_bag(tmp_path / "bag", 2.5)
    graph = start_graph()
    _, compared = replayed(graph, bag, by_command)
    assert compared.claims[0] > 0, f"{compared.share:.0%} of all hops could be compared"
    assert int(graph.figure("emotion_stack: pictures", "left_out_by_rate")) > 0


def test_a_clock_that_is_set_back_gives_live_and_in_replay_a_new_beginning(
    start_graph: Start, tmp_path: Path
) -> None:
    bag = clip_bags.cut_bag(
        tmp_path / "bag", [Piece(0.0, 4.0, 0.0, 0.0), Piece(4.0, 8.0, 1.0, 4.0)], every=2
    )
    graph = start_graph()
    ours, compared = replayed(graph, bag, by_node)
    assert int(graph.figure("emotion_stack: states", "resets")) >= 1
    said = graph.figure("emotion_stack: states", "last_reset")
    assert said.startswith("time jumped back")
    assert max(epoch for epoch, _ in ours.hops) == 1
    assert list(compared.claims) == [0, 1]
    assert min(compared.claims.values()) > 0, (
        f"compared with a distribution, of each time: {compared.claims}"
    )


def test_a_bag_that_loops_goes_on_in_time_and_in_its_states(
    start_graph: Start, tmp_path: Path
) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 3.0, 0.0, 0.0)], every=2)
    theirs = scene.offline(bag, CONFIG)
    recorded = recorded_pictures(bag)
    graph = start_graph()
    for rate in RATES:
        listener = Listener(graph)
        graph.health.clear()
        with scene.playing(graph, bag, "loop:=true", f"play_rate:={rate}") as live:
            live.states = listener.states
            assert graph.spin(
                lambda live=live: (
                    live.tracks and ros.to_ns(live.tracks[-1].header.stamp) > 17 * NS_PER_S
                ),
                120.0,
            )
            # What is counted so far is told in the next report.
            graph.health.clear()
            assert graph.spin(lambda: "emotion_stack: states" in graph.health, 30.0)
            ours = live.seen()
            pictures = [ros.to_ns(message.header.stamp) for message in live.tracks]
            states = [ros.to_ns(message.header.stamp) for message in live.states]
            clocks = [ros.to_ns(message.clock) for message in live.clocks]
            resets = live.count("states", "resets")
            # How much of the later loops has come by now is not known: their loss counts, too.
            told = Told(
                len(set(theirs.tracks) - set(ours.tracks)),
                sum(live.count("sound", name) for name in ("dropped", "lost_in_transport")),
                live.count("states", "dropped"),
                live.count("states", "skipped_hops"),
                listener.lost,
            )
        for stamps in (pictures, states):
            assert all(after > before for before, after in itertools.pairwise(stamps))
        assert clocks == sorted(clocks)
        assert resets == 0
        again = [stamp for stamp in pictures if stamp > recorded[-1]]
        # The same pictures later, all of one loop by as much; the first may have been dropped.
        assert any(
            {stamp - again[0] + first for stamp in again[:10]} <= set(recorded)
            for first in recorded
        )
        assert states[-1] > 16 * NS_PER_S
        compared = Compared(ours, theirs, told)
        if compared.claims[0] >= ENOUGH:
            break
        graph.spin_for(1.0)
    assert compared.claims[0] > 0, f"{compared.share:.0%} of the first loop could be compared"


def recorded_pictures(bag: Path) -> list[int]:
    with Recording(bag) as recording:
        return [item.stamp_ns for _, item in recording.items(frozenset({Kind.PICTURES}))]
