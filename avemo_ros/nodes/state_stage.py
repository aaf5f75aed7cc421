"""From face tracks and spectrogram chunks to published states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.audio.chunk import SpectrogramChunk
from avemo_ros.clock import to_ns, to_s
from avemo_ros.config import EmotionConfig, PipelineConfig
from avemo_ros.model.predictor import Predictor
from avemo_ros.msg import EmotionState, EmotionStateArray
from avemo_ros.nodes import convert, health, qos
from avemo_ros.nodes.history_stage import HistoryStage
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.nodes.worker import Worker
from avemo_ros.state.estimate import Hop, Status
from avemo_ros.state.estimator import EmotionEstimator
from avemo_ros.stopwatch import Stopwatch
from avemo_ros.vision.face import FrameTracks

_WAITING: Final = 200
"""Tracks and chunks that may wait: about three seconds of both."""
_BEHIND_NS: Final = to_ns(0.5)
"""From this backlog on pictures and hops are left out, so that what is said is about now."""
_TICK_S: Final = 0.1
_APART_S: Final = 2.0
"""Sound this far ahead of pictures, or behind, never meets them in one window."""


@dataclass(frozen=True, slots=True)
class _Passed:
    """A picture that had no turn: it tells how far the pictures have come."""

    stamp_ns: int


@dataclass(frozen=True, slots=True)
class _Tick:
    """Time to look whether input still comes."""


class StateStage:
    """From tracks and chunks to states, on a thread of its own."""

    def __init__(
        self,
        node: ManagedNode,
        config: PipelineConfig,
        predictor: Predictor,
    ) -> None:
        """Set up.

        Args:
            node: whose topics these are.
            config: of the estimates and of what is remembered of them.
            predictor: the loaded model.
        """
        self._node = node
        self._predictor = predictor
        self.shown: Callable[[Hop], None] | None = None
        """Called on the thread with every hop that was published."""
        self._stopwatch = Stopwatch()
        self._trouble = Trouble(node.get_logger(), "states")
        # Beside the queue, which forgets what is oldest: settings must not get lost.
        self._config = config.emotion
        self._history = HistoryStage(node, config.steady)
        self._hops = health.Meter()
        self._latency_ms = health.Samples()
        self._frame_latency_ms = health.Samples()
        self._dropped_before = 0
        self._status = ""
        self._camera_frame = ""
        self._microphone_frame = ""
        self._newest_tracks_ns = 0
        self._newest_sound_ns = 0
        self._left_out = 0
        self._estimator = self._fresh(self._config)
        self._worker: Worker[FrameTracks | SpectrogramChunk | _Passed | _Tick] | None = None
        self._timer: Any = None
        self._all_out: Any = None
        self._one_out: Any = None

    def _fresh(self, config: EmotionConfig) -> EmotionEstimator:
        self._used = config
        self._resets = 0
        # The newest stamp, and the node's clock when it came: the source's clock now is the
        # one plus what has passed on the other.
        self._newest: tuple[int, int] | None = None
        return EmotionEstimator(config, self._predictor, self._stopwatch)

    def open(self) -> None:
        """Make the topics and begin."""
        node = self._node
        self._estimator = self._fresh(self._config)
        self._all_out = node.create_publisher(
            EmotionStateArray,
            "emotion_states",
            qos.result(10),
            event_callbacks=qos.says_mismatch(node, "emotion_states"),
        )
        # Who subscribes later gets the last state at once.
        self._one_out = node.create_publisher(
            EmotionState, "emotion_state", qos.result(1, latched=True)
        )
        self._history.open()
        self._worker = Worker("states", self._work, self._failed, limit=_WAITING)
        self._worker.start()
        self._timer = node.create_timer(_TICK_S, self._tick, clock=node.steady)

    def close(self) -> None:
        """Stop and remove the topics; may be called twice."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None
        self._history.close()
        for out in (self._all_out, self._one_out):
            if out is not None:
                self._node.destroy_publisher(out)
        self._all_out = self._one_out = None

    def push_tracks(self, tracks: FrameTracks, frame_id: str) -> None:
        """Take the faces of a picture; returns at once.  From any thread."""
        self._camera_frame = frame_id
        self._newest_tracks_ns = tracks.stamp_ns
        if self._worker is not None:
            self._worker.put(tracks)

    def pass_pictures(self, stamp_ns: int) -> None:
        """Hear of a picture that is not looked at [ns]; returns at once.  From any thread."""
        worker = self._worker
        # What waits is of more worth than knowing the time.
        if worker is not None and len(worker) < _WAITING // 2:
            worker.put(_Passed(stamp_ns))

    def push_speech(self, chunk: SpectrogramChunk, frame_id: str) -> None:
        """Take spectrogram columns; returns at once.  From any thread."""
        self._microphone_frame = frame_id
        self._newest_sound_ns = chunk.end_ns
        if self._worker is not None:
            self._worker.put(chunk)

    def use(self, config: PipelineConfig) -> None:
        """Start anew what has other settings; the model stays."""
        self._history.use(config.steady)
        if config.emotion != self._config:
            self._config = config.emotion
            self._tick()

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        counters = self._estimator.counters
        lead = self._estimator.sound_lead_ns
        dropped = (
            self._dropped_before
            + self._left_out
            + (self._worker.dropped if self._worker is not None else 0)
        )
        values: dict[str, object] = {
            "rate_hz": f"{self._hops.rate_hz:.1f}",
            "hops": self._hops.count,
            "skipped_hops": counters.skipped_hops,
            "dropped": dropped,
            "late_frames": counters.late_frames,
            "late_chunks": counters.late_chunks,
            "resets": counters.resets,
            "last_reset": self._estimator.last_reset,
            "sound_lead_s": "" if lead is None else f"{to_s(lead):.2f}",
            "queue": len(self._worker) if self._worker is not None else 0,
            "status": self._status,
            "model": self._predictor.model_id,
            "device": str(self._predictor.device),
            "precision": self._predictor.precision,
            "last_error": self._trouble.last,
            **self._history.values(),
            **health.percentiles("latency_ms", self._latency_ms.values()),
            **health.percentiles("frame_latency_ms", self._frame_latency_ms.values()),
            **health.stages(self._stopwatch.stages_ms()),
        }
        if self._trouble.present:
            return health.status("states", health.ERROR, self._trouble.last, values)
        if self._hops.quiet_s > _APART_S or self._status == Status.STALE_INPUT.name:
            return health.status("states", health.STALE, "neither pictures nor sound", values)
        if lead is not None and abs(to_s(lead)) > _APART_S:
            message = (
                f"sound is stamped {to_s(lead):+.1f} s against the pictures: they never meet"
            )
            return health.status("states", health.WARN, message, values)
        return health.status("states", health.OK, f"status {self._status}", values)

    def _tick(self) -> None:
        worker = self._worker
        if worker is not None and len(worker) == 0:
            worker.put(_Tick())

    def _work(self, item: FrameTracks | SpectrogramChunk | _Passed | _Tick) -> None:
        config = self._config
        if config is not self._used:
            self._estimator = self._fresh(config)
        if isinstance(item, FrameTracks):
            self._heard_from(item.stamp_ns)
            if self._is_behind(item.stamp_ns, self._newest_tracks_ns):
                self._left_out += 1
                return
            hops = self._estimator.push_tracks(item)
        elif isinstance(item, SpectrogramChunk):
            self._heard_from(item.end_ns)
            self._is_behind(item.end_ns, self._newest_sound_ns)
            hops = self._estimator.push_speech(item)
        elif isinstance(item, _Passed):
            hops = self._estimator.pass_pictures(item.stamp_ns)
        else:
            hops = self._look()
        self._say_reset()
        for hop in hops:
            self._publish(hop)

    def _is_behind(self, stamp_ns: int, newest_ns: int) -> bool:
        """Whether much newer input of the same stream waits; hops are skipped then."""
        if newest_ns - stamp_ns <= _BEHIND_NS:
            return False
        self._estimator.skip_to(newest_ns - _BEHIND_NS // 2)
        return True

    def _heard_from(self, stamp_ns: int) -> None:
        self._newest = (stamp_ns, self._node.now_ns())

    def _look(self) -> list[Hop]:
        now_ns = self._node.now_ns()
        if now_ns <= 0:
            return []
        if self._newest is not None:
            stamp_ns, then_ns = self._newest
            # Before /clock came nothing was known of the time; nothing has passed since then.
            passed_ns = max(0, now_ns - then_ns) if then_ns > 0 else 0
            now_ns = stamp_ns + passed_ns
        return self._estimator.tick(now_ns)

    def _say_reset(self) -> None:
        resets = self._estimator.counters.resets
        if resets > self._resets:
            self._node.get_logger().warning(
                f"states: {self._estimator.last_reset}; started anew"
            )
        self._resets = resets

    def _publish(self, hop: Hop) -> None:
        if self._all_out is None or self._one_out is None:
            return
        now_ns = self._node.now_ns()
        latency_s = max(0.0, to_s(now_ns - hop.stamp_ns)) if now_ns > 0 else 0.0
        frame_id = self._camera_frame or self._microphone_frame
        with self._stopwatch.measure("publish"):
            self._all_out.publish(convert.states_message(hop, frame_id, latency_s))
            self._one_out.publish(convert.state_message(hop.attended, frame_id, latency_s))
            self._history.push(hop, frame_id, latency_s)
        self._hops.add()
        self._status = hop.attended.status.name
        if now_ns > 0 and hop.attended.status is not Status.STALE_INPUT:
            self._latency_ms.add(1e3 * latency_s)
            if hop.frame_ns is not None:
                self._frame_latency_ms.add(1e3 * to_s(now_ns - hop.frame_ns))
        self._trouble.good()
        if self.shown is not None:
            self.shown(hop)

    def _failed(self, error: Exception) -> None:
        self._trouble.report(
            type(error).__name__, f"unexpected {type(error).__name__}: {error}"
        )
