"""The stages of nodes without DDS, threads and real time: a test gives messages and time.

A stage gets its input through `qos.Inlet`, does its work on a `Worker`, and asks its node for
the time.  Here an inlet waits for the test, a worker works at once, and the clock stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.emotion_stage import TICK_S

STAGES = ("face_tracker", "speech_buffer", "emotion")


class AtOnce:
    """A `Worker` that works on the caller's thread."""

    def __init__(
        self,
        name: str,
        work: Callable[[Any], None],
        failed: Callable[[Exception], None],
        **_: Any,
    ) -> None:
        self._work = work
        self._failed = failed
        self.dropped = 0

    def __len__(self) -> int:
        return 0

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def put(self, item: Any) -> None:
        try:
            self._work(item)
        except Exception as error:  # noqa: BLE001  as the worker's thread does
            self._failed(error)


class Ears:
    """An `AudioStage` that keeps what it is given."""

    def __init__(self, *_: Any, **more: Any) -> None:
        self.blocks: list[AudioBlock] = []

    def reset(self) -> None:
        pass

    def push(self, block: AudioBlock, arrival_ns: int) -> list[Any]:
        self.blocks.append(block)
        return []


def heard_blocks(
    monkeypatch: pytest.MonkeyPatch, node: Any, messages: Iterable[tuple[str, Any, int]]
) -> list[AudioBlock]:
    """What the stage of sound of a node makes of messages: topic, message, time [ns]."""
    from avemo_ros.nodes import speech_buffer

    staged, ears = Staged(monkeypatch, node), Ears()
    monkeypatch.setattr(speech_buffer, "AudioStage", lambda *_, **more: ears)
    stage = speech_buffer.AudioInputStage(node, PipelineConfig())
    stage.open()
    try:
        for topic, message, now_ns in messages:
            staged.give(topic, message, now_ns)
    finally:
        stage.close()
    return ears.blocks


class Staged:
    """What the stages that are opened from now on ask for, and what the test gives them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, node: Any) -> None:
        self.node = node
        self.now_ns = 0
        self._takers: dict[str, Callable[[Any], None]] = {}
        self._tickers: list[Callable[[], None]] = []
        monkeypatch.setattr(node, "now_ns", lambda: self.now_ns)
        monkeypatch.setattr(node, "create_timer", self._timer)
        monkeypatch.setattr("avemo_ros.nodes.qos.AdaptiveSubscription", self._inlet)
        for stage in STAGES:
            monkeypatch.setattr(f"avemo_ros.nodes.{stage}.Worker", AtOnce)

    def give(self, topic: str, message: Any, now_ns: int | None = None) -> None:
        """A message comes, and is worked on."""
        if now_ns is not None:
            self.now_ns = now_ns
        self._takers[topic](message)

    def tick(self, now_ns: int) -> None:
        """The time comes at which a stage looks whether input still comes."""
        self.now_ns = now_ns
        for tick in self._tickers:
            tick()

    def _inlet(
        self, node: Any, message: Any, topic: str, take: Callable[[Any], None], **_: Any
    ) -> Any:
        self._takers[topic] = take
        return _Inlet(topic)

    def _timer(self, period_s: float, call: Callable[[], None], **more: Any) -> Any:
        if period_s == TICK_S:
            self._tickers.append(call)
        # Nobody spins the node, so that none of them rings.
        return type(self.node).create_timer(self.node, period_s, call, **more)


class _Inlet:
    publishers = 1
    lost = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def adapt(self) -> None:
        pass

    def why_silent(self, instead: object) -> str:
        return ""

    def find_rivals(self) -> str:
        return ""

    def close(self) -> None:
        pass
