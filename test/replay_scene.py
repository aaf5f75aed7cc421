"""A bag through the real nodes and through the offline path, for tests that compare both."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import ros_graph as ros
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.qos import QoSProfile, ReliabilityPolicy

from avemo_ros.audio.chunk import HOP_NS, SpectrogramChunk
from avemo_ros.bag.recording import Kind, Recording
from avemo_ros.clock import NS_PER_S
from avemo_ros.config import PipelineConfig
from avemo_ros.replay.features import Features
from avemo_ros.replay.hearing import Hearing
from avemo_ros.replay.run import replay
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.vision.face import FrameTracks

BACK_NS = NS_PER_S // 2
"""Stamps that go back by more than this begin a new epoch."""
HEARD = 0.01
"""Columns that differ by less [dB, and probability of speech] are the same sound: whole
recordings are computed in other pieces than live sound."""
KEPT = QoSProfile(depth=2000, reliability=ReliabilityPolicy.RELIABLE)

Key = tuple[int, int]
"""Epoch and stamp [ns]: where time jumps back, a stamp may come twice."""


@dataclass
class Seen:
    """What one path made of a bag."""

    tracks: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    """Of every picture that was looked at: id, quality and crop of each face."""
    columns: dict[Key, NDArray[np.float32]] = field(default_factory=dict)
    """Of every column of spectrogram: power [dB], and at the end the speech."""
    hops: dict[Key, tuple[EmotionEstimate, ...]] = field(default_factory=dict)


def seen(
    tracks: Iterable[FrameTracks],
    chunks: Iterable[SpectrogramChunk],
    hops: Iterable[tuple[int, tuple[EmotionEstimate, ...]]],
) -> Seen:
    """The same by epoch and stamp."""
    made = Seen()
    for key, one in keyed((one.stamp_ns, one) for one in tracks):
        made.tracks[key] = tuple(
            (face.face_id, np.float32(face.quality), face.crop.tobytes()) for face in one.faces
        )
    for (epoch, stamp_ns), chunk in keyed((one.stamp_ns, one) for one in chunks):
        for index in range(len(chunk.speech)):
            content = np.append(chunk.power_db[index], chunk.speech[index])
            made.columns[epoch, stamp_ns + index * HOP_NS] = content
    made.hops = dict(keyed(hops))
    return made


def keyed(items: Iterable[tuple[int, Any]]) -> Iterator[tuple[Key, Any]]:
    epoch, before = 0, None
    for stamp_ns, item in items:
        if before is not None and stamp_ns < before - BACK_NS:
            epoch += 1
        before = stamp_ns
        yield (epoch, stamp_ns), item


def offline(bag: Path, config: PipelineConfig) -> Seen:
    """What `avemo bag evaluate` makes of a bag."""
    replayed = replay(bag, config, processes=1)
    with Recording(bag) as recording:
        found = [
            item
            for _, item in Hearing(Features(recording, recording.kinds, config), config.audio)
            if isinstance(item, FrameTracks | SpectrogramChunk)
        ]
    assert Kind.PICTURES in recording.kinds
    return seen(
        [item for item in found if isinstance(item, FrameTracks)],
        [item for item in found if isinstance(item, SpectrogramChunk)],
        [(hop.stamp_ns, hop.estimates) for hop in replayed.hops],
    )


def same_input(live: Seen, kept: Seen, key: Key, span_ns: int) -> bool:
    """Whether both saw the same faces, to the bit, and heard the same in the time before a hop.

    The tracker remembers longer than a window: after a picture was dropped the crops that
    follow may be cut out a little differently, and are another input then.
    """
    epoch, end_ns = key

    def part(items: dict[Key, Any]) -> dict[Key, Any]:
        return {
            k: items[k] for k in items if k[0] == epoch and end_ns - span_ns < k[1] <= end_ns
        }

    ours, theirs = part(live.columns), part(kept.columns)
    return (
        part(live.tracks) == part(kept.tracks)
        and ours.keys() == theirs.keys()
        and all(np.allclose(ours[k], theirs[k], rtol=0.0, atol=HEARD) for k in ours)
    )


class Live:
    """bag_player and emotion_stack in processes of their own, and what they publish."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.tracks = graph.collect(ros.FaceTrackArray, "face_tracks", KEPT)
        self.chunks = graph.collect(ros.SpectrogramChunk, "spectrogram", KEPT)
        self.states = graph.collect(ros.EmotionStateArray, "emotion_states", KEPT)
        self.clocks = graph.collect(ros.Clock, "/clock", KEPT)

    def seen(self) -> Seen:
        """What came, by epoch and stamp."""
        return seen(
            map(ros.convert.tracks, self.tracks),
            map(ros.convert.chunk, self.chunks),
            [
                (
                    ros.to_ns(message.header.stamp),
                    tuple(map(ros.convert.estimate, message.states)),
                )
                for message in self.states
            ],
        )

    def wait_for_the_end(self) -> None:
        """Let the bag come to its end, and all that the nodes make of it come here."""
        graph = self.graph

        def ended() -> bool:
            player = graph.health.get("bag_player: player")
            return player is not None and "has ended" in player.message

        assert graph.spin(ended, 120.0), "the bag does not end"
        reports = graph.collect(DiagnosticArray, "/diagnostics")
        before: tuple[int, ...] = ()
        for _ in range(30):
            told = len(reports)
            graph.spin(lambda told=told: len(reports) > told + 4, 10.0)
            if self.counts() == before:
                return
            before = self.counts()

    def count(self, entry: str, key: str) -> int:
        """A counter of the newest /diagnostics."""
        return int(self.graph.figure(f"emotion_stack: {entry}", key))

    def counts(self) -> tuple[int, ...]:
        """How much has been done so far."""
        if "emotion_stack: states" not in self.graph.health:
            return ()
        keys = (("pictures", "processed"), ("sound", "processed"))
        return tuple(self.count(*key) for key in keys)


@contextmanager
def playing(graph: Any, bag: Path, *parameters: str) -> Iterator[Live]:
    """A bag through the nodes, while the block lasts; they stay when it has ended."""
    live = Live(graph)
    with ExitStack() as stack:
        common = ("use_sim_time:=true", "image_transport:=compressed")
        stack.enter_context(process("emotion_stack", *common))
        assert graph.spin(lambda: "emotion_stack: states" in graph.health, 120.0), (
            "the stack does not start"
        )
        stack.enter_context(
            process("bag_player", f"bag:={bag}", "at_end:=idle",
                    "wait_for_subscribers_s:=60.0", *parameters)
        )  # fmt: skip
        yield live


@contextmanager
def process(node: str, *parameters: str) -> Iterator[Popen[bytes]]:
    """A node in a process of its own, that ends with the block."""
    words = list(itertools.chain.from_iterable(("-p", item) for item in parameters))
    started = Popen([sys.executable, "-m", f"avemo_ros.nodes.{node}", "--ros-args", *words])
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(30)
        finally:
            started.kill()
