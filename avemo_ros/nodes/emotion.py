"""Face tracks and spectrogram chunks in, emotion states out.

The stage is that of `emotion_stack` too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as AnswerTimeoutError
from dataclasses import dataclass
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import String

from avemo_ros.audio.spectrogram import SpectrogramChunk
from avemo_ros.bag import message_content
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.emotion_stage import TICK_S, EmotionStage
from avemo_ros.engine.feature_extractor import FeatureGate
from avemo_ros.engine.load_shedding import LoadShedder, Workload
from avemo_ros.errors import ConfigError
from avemo_ros.model.predictor import Predictor
from avemo_ros.msg import EmotionState, EmotionStateArray, FaceTrackArray
from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMessage
from avemo_ros.nodes import convert, diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.diagnostics import StampAdvice, StampReporter, ThrottledLog
from avemo_ros.nodes.emotion_history import EmotionHistoryStage
from avemo_ros.nodes.executor import Worker
from avemo_ros.nodes.ros4hri import HumanStates, Ros4HriSettings
from avemo_ros.nodes.rviz import EmotionMarkers
from avemo_ros.nodes.sensing import FORGOTTEN
from avemo_ros.srv import CalibrateNeutral, EnrolPerson, ForgetPerson
from avemo_ros.state.estimate import EmotionStep, Status, nobody
from avemo_ros.state.identity import Identity
from avemo_ros.state.memory import EmotionMemory
from avemo_ros.timing import APART_NS, Stopwatch, span, to_s
from avemo_ros.vision.face import FrameTracks

_WAITING: Final = 200
"""Tracks and chunks that may wait: about three seconds of both."""
_OTHER_CLOCK_S: Final = 3600.0
"""What seems to be so late is stamped by another clock: its latency is not known."""
_ANSWER_S: Final = 2.0
"""How long a call may wait for the thread of the states [s]."""
_LOOK_S: Final = 5.0
_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 1.0, 60.0
_QUIET_S: Final = 4.0
"""Steps are at most 2 s apart; without any for this long nothing comes."""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """Features that wait."""

    feature: FrameTracks | SpectrogramChunk
    arrival_ns: int
    """When what they were made of came [ns]."""


@dataclass(frozen=True, slots=True)
class _Tick:
    """Time to look whether input still comes."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What a service asks of the thread that owns the faces, and waits for."""

    ask: Callable[[EmotionStage], tuple[bool, str]]
    answer: Future[tuple[bool, str]]


class EmotionOutputStage:
    """An `EmotionStage` behind a thread of its own."""

    def __init__(self, node: ManagedNode, config: PipelineConfig, predictor: Predictor) -> None:
        """Set up.

        Args:
            node: whose topics these are.
            config: of the engine.
            predictor: the loaded model.
        """
        self._node = node
        self._predictor = predictor
        self.shown: Callable[[EmotionStep], None] | None = None
        """Called on the thread with every step that was published."""
        self.shed: Callable[[Workload], None] | None = None
        """Called on the thread when work is shed or taken up again."""
        self.forgot: Callable[[str], None] | None = None
        """Called on the thread with the id of a face that is not to be looked at again."""
        self._stopwatch = Stopwatch()
        self._trouble = ThrottledLog(node.get_logger(), "states")
        # Beside the queue, which forgets what is oldest: settings must not get lost.
        self._config = self._used = config
        self._voice = ThreadPoolExecutor(1, "voice")
        self._identity = Identity(config.identity)
        self._emotion = self._new_stage(config, None)
        self._load = LoadShedder(config)
        humans = node.read(Ros4HriSettings)
        self._humans = HumanStates(node, humans) if humans.says_expressions else None
        self._markers = EmotionMarkers(node) if humans.ros4hri else None
        self._history = EmotionHistoryStage(
            node, lambda: self._emotion.memory, self._forget_faces
        )
        self._published = diagnostics.Meter()
        self._latency_ms = diagnostics.Samples()
        self._frame_latency_ms = diagnostics.Samples()
        self._dropped_before = 0
        self._status = ""
        self._resets = 0
        self._newest_ns = 0
        self._camera_frame = ""
        self._microphone_frame = ""
        self._services: list[Any] = []
        self._forgotten_out: Any = None
        self._calibrated = ""
        self._worker: Worker[_Arrived | _Tick | _Request] | None = None
        self._timer: Any = None
        self._all_out: Any = None
        self._one_out: Any = None

    def open(self) -> None:
        """Make the topics and begin."""
        node = self._node
        self._start(self._config, keep_memory=False)
        self._identity.load()
        self._all_out = node.create_publisher(
            EmotionStateArray,
            "emotion_states",
            qos.result(10),
            event_callbacks=qos.mismatch_warnings(node, "emotion_states"),
        )
        # Who subscribes later gets the last state at once.
        self._one_out = node.create_publisher(
            EmotionState, "emotion_state", qos.result(1, latched=True)
        )
        self._history.open()
        if self._humans is not None:
            self._humans.open()
        if self._markers is not None:
            self._markers.open()
        self._worker = Worker("states", self._work, self._failed, limit=_WAITING)
        self._worker.start()
        self._timer = node.create_timer(TICK_S, self._tick, clock=node.steady)
        self._services = [
            node.create_service(CalibrateNeutral, "calibrate", self._answer_calibration),
            node.create_service(ForgetPerson, "forget_person", self._answer_forgetting),
            node.create_service(EnrolPerson, "enrol_person", self._answer_enrolment),
        ]
        self._forgotten_out = node.create_publisher(String, FORGOTTEN, qos.result(10))

    def close(self) -> None:
        """Stop and remove the topics; may be called twice."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        for service in self._services:
            self._node.destroy_service(service)
        self._services = []
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None
        self._history.close()
        if self._humans is not None:
            self._humans.close()
        if self._markers is not None:
            self._markers.close()
        for out in (self._all_out, self._one_out, self._forgotten_out):
            if out is not None:
                self._node.destroy_publisher(out)
        self._all_out = self._one_out = self._forgotten_out = None

    def push_tracks(self, tracks: FrameTracks, frame_id: str, arrival_ns: int) -> None:
        """Take the faces of an image that came at `arrival_ns` [ns]; returns at once.  From any
        thread."""
        self._camera_frame = frame_id
        self._newest_ns = arrival_ns
        self._put(_Arrived(tracks, arrival_ns))

    def push_speech(self, chunk: SpectrogramChunk, frame_id: str, arrival_ns: int) -> None:
        """Take spectrogram columns; as `push_tracks`."""
        self._microphone_frame = frame_id
        self._put(_Arrived(chunk, arrival_ns))

    def _answer_calibration(
        self, request: CalibrateNeutral.Request, response: CalibrateNeutral.Response
    ) -> CalibrateNeutral.Response:
        """The callback: the thread of the states, which owns the faces, answers at once."""
        response.success, response.message = self._ask(lambda stage: calibrate(stage, request))
        return response

    def _answer_forgetting(
        self, request: ForgetPerson.Request, response: ForgetPerson.Response
    ) -> ForgetPerson.Response:
        response.success, response.message = self._ask(
            lambda stage: self._forget_person(stage, request.person)
        )
        return response

    def _answer_enrolment(
        self, request: EnrolPerson.Request, response: EnrolPerson.Response
    ) -> EnrolPerson.Response:
        def enrol(stage: EmotionStage) -> tuple[bool, str]:
            done = stage.enrol(request.face_id, request.person_id)
            response.person_id = done.person_id
            return done.success, done.message

        response.success, response.message = self._ask(enrol)
        return response

    def _ask(self, ask: Callable[[EmotionStage], tuple[bool, str]]) -> tuple[bool, str]:
        waiting = _Request(ask, Future())
        self._put(waiting)
        try:
            return waiting.answer.result(_ANSWER_S)
        except AnswerTimeoutError:
            return False, "the node is busy; try again"

    def _forget_person(self, stage: EmotionStage, person: str) -> tuple[bool, str]:
        """On the thread of the states: forget, replace what is latched, and tell the dialog."""
        if not person:
            return False, "person is empty; allowed: a person, face or voice id"
        key, face_ids = stage.forget(person)
        if not key:
            return False, f"nobody with id '{person}' is known"
        self._look_away(face_ids)
        self._history.overwrite()
        if self._one_out is not None and self._forgotten_out is not None:
            step = nobody(self._node.now_ns(), Status.NOBODY, stage.model_id)
            empty = EmotionStep(step.stamp_ns, (), step, None)
            everyone = convert.states_message(empty, self._camera_frame, 0.0)
            self._one_out.publish(convert.attended_message(empty, everyone, 0.0))
            self._forgotten_out.publish(String(data=key))
        return True, f"everything about {key} is forgotten"

    def _forget_faces(self) -> None:
        """Everyone in view is a stranger from now on; from any thread."""

        def forget(stage: EmotionStage) -> tuple[bool, str]:
            self._look_away(stage.forget_everybody())
            return True, ""

        self._put(_Request(forget, Future()))

    def _look_away(self, face_ids: tuple[str, ...]) -> None:
        for face_id in face_ids:
            if self.forgot is not None:
                self.forgot(face_id)

    def _put(self, item: _Arrived | _Tick | _Request) -> None:
        worker = self._worker
        if worker is not None:
            worker.put(item)

    def use(self, config: PipelineConfig) -> None:
        """Start anew what has other settings; the model stays."""
        self._config = config
        self._put(_Tick())

    def _start(self, config: PipelineConfig, *, keep_memory: bool) -> None:
        same = keep_memory and config.steady == self._used.steady
        memory = self._emotion.memory if same else None
        if memory is None:
            self._history.clear()
        self._used = config
        self._emotion = self._new_stage(config, memory)
        self._load = LoadShedder(config, frames=self.shed is not None)
        if self.shed is not None:
            self.shed(self._load.shed)
        self._resets = 0

    def _new_stage(self, config: PipelineConfig, memory: EmotionMemory | None) -> EmotionStage:
        return EmotionStage(
            config,
            self._predictor,
            self._stopwatch,
            memory=memory,
            identity=self._identity,
            executor=self._voice,
        )

    def wipe(self) -> None:
        """Forget everyone, after `close`; the model stays."""
        self._start(self._config, keep_memory=False)
        self._identity.clear()
        self._camera_frame = self._microphone_frame = self._status = self._calibrated = ""

    def release(self) -> None:
        """End the thread that hears the voice, and let go of the other stages."""
        self._voice.shutdown(wait=False)
        self.shown = self.shed = self.forgot = None

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        emotion, load = self._emotion, self._load
        counters, lead = emotion.counters, emotion.audio_lead_ns
        values: dict[str, object] = {
            "rate_hz": f"{self._published.rate_hz:.1f}",
            "steps": self._published.count,
            "dropped": self._dropped_before + (self._worker.dropped if self._worker else 0),
            "behind": counters.behind,
            "late_frames": counters.late_frames,
            "late_chunks": counters.late_chunks,
            "unanswered": emotion.unanswered[0],
            "last_failure": emotion.unanswered[1],
            "resets": counters.resets,
            "last_reset": emotion.last_reset,
            "audio_lead_s": "" if lead is None else f"{to_s(lead):.2f}",
            "audio_lag_s": f"{emotion.audio_lag_s:.2f}",
            "load_level": load.level,
            "left_out": load.shed.what,
            "queue": len(self._worker) if self._worker is not None else 0,
            "status": self._status,
            "model": self._predictor.model_id,
            "device": self._predictor.device,
            "runtime": self._predictor.runtime,
            "precision": self._predictor.precision,
            "calibrated": self._calibrated,
            "people_recognised": len(self._identity.people),
            "last_error": self._trouble.last,
            **self._history.values(),
            **diagnostics.percentiles("latency_ms", self._latency_ms.values()),
            **diagnostics.percentiles("frame_latency_ms", self._frame_latency_ms.values()),
            **diagnostics.stages(self._stopwatch.stages_ms()),
        }
        if self._trouble.present:
            return diagnostics.status("states", diagnostics.ERROR, self._trouble.last, values)
        if self._published.quiet_s > _QUIET_S or self._status == Status.STALE_INPUT.name:
            return diagnostics.status(
                "states", diagnostics.STALE, "no images and no audio", values
            )
        if lead is not None and abs(lead) > APART_NS:
            message = (
                f"audio is stamped {span(abs(to_s(lead)))} "
                f"{'after' if lead > 0 else 'before'} the images: they cannot be combined; "
                "set image_stamps:=arrival or audio_stamps:=arrival for the one with the "
                "wrong clock"
            )
            return diagnostics.status("states", diagnostics.WARN, message, values)
        if load.level:
            message = f"this computer is too slow; reduced: {load.shed.what}"
            return diagnostics.status("states", diagnostics.WARN, message, values)
        return diagnostics.status("states", diagnostics.OK, f"status {self._status}", values)

    def _tick(self) -> None:
        worker = self._worker
        if worker is not None and len(worker) == 0:
            worker.put(_Tick())

    def _work(self, item: _Arrived | _Tick | _Request) -> None:
        if isinstance(item, _Request):
            try:
                answer = item.ask(self._emotion)
            except ConfigError as error:
                answer = False, str(error)
            item.answer.set_result(answer)
            return
        now_ns = self._node.now_ns()
        if self._config is not self._used:
            self._start(self._config, keep_memory=True)
        emotion = self._emotion
        if isinstance(item, _Tick):
            steps = emotion.tick(now_ns)
        elif isinstance(item.feature, SpectrogramChunk):
            steps = emotion.push_speech(item.feature, item.arrival_ns)
        else:
            steps = emotion.push_tracks(
                item.feature, item.arrival_ns, newest_ns=self._newest_ns
            )
        self._say_reset()
        for step in steps:
            self._publish(step)
        if isinstance(item, _Arrived) and isinstance(item.feature, FrameTracks):
            self._watch_load(item.arrival_ns)

    def _watch_load(self, arrival_ns: int) -> None:
        """Whether the work still fits the time."""
        now_ns = self._node.now_ns()
        if arrival_ns <= 0 or now_ns < arrival_ns:
            return
        load, before = self._load, self._load.shed
        if not load.observe(to_s(now_ns - arrival_ns), time.monotonic()):
            return
        shed = load.shed
        self._emotion.shed(shed)
        if self.shed is not None:
            self.shed(shed)
        if not before.what:
            self._trouble.note(
                "load", f"processing is too slow; reducing from now on: {shed.what}"
            )
        elif not shed.what:
            self._trouble.note(
                "load over", "processing is fast enough again; nothing is reduced any more"
            )

    def _say_reset(self) -> None:
        resets = self._emotion.counters.resets
        if resets > self._resets:
            self._trouble.note("reset", f"{self._emotion.last_reset}; restarted")
        self._resets = resets

    def _publish(self, step: EmotionStep) -> None:
        if self._all_out is None or self._one_out is None:
            return
        now_ns = self._node.now_ns()
        latency_s = max(0.0, to_s(now_ns - step.stamp_ns)) if now_ns > 0 else 0.0
        known = now_ns > 0 and latency_s <= _OTHER_CLOCK_S
        if not known:
            latency_s = 0.0
        frame_id = self._camera_frame or self._microphone_frame
        with self._stopwatch.measure("publish"):
            everyone = convert.states_message(step, frame_id, latency_s)
            self._all_out.publish(everyone)
            self._one_out.publish(convert.attended_message(step, everyone, latency_s))
            self._history.push(step, frame_id, latency_s)
            if self._humans is not None:
                self._humans.push(step, frame_id)
            if self._markers is not None:
                self._markers.push(step)
        self._published.add()
        self._status = step.attended.status.name
        faces = self._emotion.resting_faces().items()
        self._calibrated = ", ".join(face_id for face_id, face in faces if face.is_calibrated)
        if known and step.attended.status is not Status.STALE_INPUT:
            self._latency_ms.add(1e3 * latency_s)
            if step.frame_ns is not None:
                self._frame_latency_ms.add(1e3 * to_s(now_ns - step.frame_ns))
        self._trouble.good()
        if self.shown is not None:
            self.shown(step)

    def _failed(self, error: Exception) -> None:
        self._trouble.report(
            type(error).__name__, f"unexpected {type(error).__name__}: {error}"
        )


def calibrate(stage: EmotionStage, request: CalibrateNeutral.Request) -> tuple[bool, str]:
    """Do what a call of `calibrate` asks for: whether it could be done, and what happens."""
    duration_s = request.duration or _LOOK_S
    if not stage.reads_landmarks:
        return (
            False,
            f"model {stage.model_id} does not compare faces with how they usually look",
        )
    if not _SHORTEST_LOOK_S <= duration_s <= _LONGEST_LOOK_S:
        least, most = _SHORTEST_LOOK_S, _LONGEST_LOOK_S
        return (
            False,
            f"duration is {duration_s:g} s; allowed: {least:g} to {most:g}, or 0 for 5",
        )
    faces = stage.resting_faces()
    face_id = request.person or next(reversed(faces), "")
    owned = (one for one in faces if face_id and stage.identity.person_of(one) == face_id)
    face_id = next(owned, face_id)
    if face_id not in faces:
        seen = ", ".join(sorted(faces)) or "nobody"
        if not request.person:
            return False, "nobody is in view"
        return False, f"nobody with id '{face_id}' is in view; in view: {seen}"
    resting = faces[face_id]
    if request.action == CalibrateNeutral.Request.START:
        resting.look(duration_s)
        return True, f"the resting face of {face_id} is taken over the next {duration_s:g} s"
    if request.action == CalibrateNeutral.Request.UNDO:
        if resting.undo():
            return True, f"{face_id} has the previous resting face again"
        return False, f"the resting face of {face_id} was not calibrated"
    if request.action == CalibrateNeutral.Request.FORGET:
        resting.forget()
        return True, f"the resting face of {face_id} is forgotten"
    return False, f"action is {request.action}; allowed: 0 (START), 1 (UNDO), 2 (FORGET)"


class Emotion(ManagedNode):
    """`face_tracks` and `spectrogram` to `emotion_states` and `emotion_state`, with what
    follows from them."""

    live_groups = ("emotion", "engagement", "steady")
    senses = "serves"

    def __init__(self) -> None:
        super().__init__(
            "emotion",
            [Ros4HriSettings],
            [
                "emotion",
                "engagement",
                "steady",
                "model",
                "vision.track_timeout_s",
                "max_input_age_s",
            ],
        )
        self._states: EmotionOutputStage | None = None
        self._inputs: list[qos.AdaptiveSubscription] = []
        self._tracks_trouble = ThrottledLog(self.get_logger(), "face_tracks")
        self._speech_trouble = ThrottledLog(self.get_logger(), "spectrogram")

    def prepare(self) -> None:
        """Load the model."""
        config = self.config()
        self._states = EmotionOutputStage(self, config, Predictor(config.model))

    def open(self) -> None:
        """Make the topics."""
        assert self._states is not None
        self._states.open()
        self._gate = FeatureGate(
            self.config().input,
            StampReporter.of(self, self._tracks_trouble),
            StampReporter.of(self, self._speech_trouble),
            StampAdvice.of(self).take,
        )
        # A lost chunk would be lost speech: reliable, unless a publisher offers less.
        self._inputs = [
            qos.AdaptiveSubscription(
                self, FaceTrackArray, "face_tracks", self._take_tracks, depth=10
            ),
            qos.AdaptiveSubscription(
                self, SpectrogramChunkMessage, "spectrogram", self._take_speech, depth=100
            ),
        ]

    def close(self) -> None:
        """Remove the topics."""
        for inlet in self._inputs:
            inlet.close()
        self._inputs = []
        if self._states is not None:
            self._states.close()

    def wipe(self) -> None:
        """Forget everyone."""
        if self._states is not None:
            self._states.wipe()

    def release(self) -> None:
        """Let the model go."""
        if self._states is not None:
            self._states.release()
        self._states = None

    def settings_changed(self) -> None:
        """Start anew what has other settings."""
        if self._states is not None:
            self._states.use(self.config())

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._states is not None
        for inlet in self._inputs:
            inlet.adapt()
        return [self._states.status()]

    def _take_tracks(self, message: FaceTrackArray) -> None:
        if self._states is None:
            return
        arrival_ns = self.now_ns()
        try:
            tracks = self._gate.tracks(message_content.tracks(message), arrival_ns)
        except ValueError as error:
            self._tracks_trouble.report("malformed", f"malformed: {error}; left out")
            return
        if tracks is not None:
            self._tracks_trouble.good()
            self._states.push_tracks(tracks, message.header.frame_id, arrival_ns)

    def _take_speech(self, message: SpectrogramChunkMessage) -> None:
        if self._states is None:
            return
        arrival_ns = self.now_ns()
        try:
            chunk = self._gate.chunk(message_content.chunk(message), arrival_ns)
        except ValueError as error:
            self._speech_trouble.report("malformed", f"malformed: {error}; left out")
            return
        if chunk is not None:
            self._speech_trouble.good()
            self._states.push_speech(chunk, message.header.frame_id, arrival_ns)


def main() -> int:
    """Run the node."""
    return run(Emotion)


if __name__ == "__main__":
    raise SystemExit(main())
