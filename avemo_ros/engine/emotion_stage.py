"""From face tracks and spectrogram chunks to estimates and events, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from avemo_ros.audio.spectrogram import SpectrogramChunk
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.load_shedding import Workload
from avemo_ros.engine.step_scheduler import Order, Step, StepScheduler, Stream
from avemo_ros.model.predictor import Predictor
from avemo_ros.state.estimate import EmotionStep, Status, nobody
from avemo_ros.state.estimator import EmotionEstimator
from avemo_ros.state.history import RestingFace
from avemo_ros.state.identity import Enrolment, Identity
from avemo_ros.state.memory import EmotionMemory
from avemo_ros.timing import Stopwatch, to_ns, to_s
from avemo_ros.vision.face import FrameTracks

TICK_S: Final = 0.1
"""How often `tick` is to be called [s]."""
_BEHIND_NS: Final = to_ns(0.5)
"""Images that are older than one that waits by more are left out, so that estimates are about
now."""
_LEAP_NS: Final = to_ns(1.0)
"""A clock that moves by more from one call to the next was set, or the process slept."""


@dataclass(slots=True)
class EmotionCounters:
    """What happened; all go on over resets."""

    steps: int = 0
    late_frames: int = 0
    late_chunks: int = 0
    """Input that is not newer than the one before; it is left out."""
    behind: int = 0
    """Images left out because the system had fallen behind."""
    resets: int = 0


class ForgottenPerson(NamedTuple):
    """Who was forgotten."""

    key: str
    """The person id, else the face id, else the voice id of a voice without a face; "" if
    nobody was known."""
    face_ids: tuple[str, ...]
    """Of the person's faces, in view or a moment ago, where people are recognised."""


class EmotionStage:
    """Estimates everyone whenever a step is due, and remembers the estimates.

    Not for several threads at once.

    Args:
        config: of estimates, memory and face timeout.
        predictor: the network.
        stopwatch: measures the networks.
        memory: goes on with this one; None: a new one.
        identity: who is known; None: who is in the file of `config`, if there is one.
        executor: where the voice is heard beside the steps; None: in between.

    Raises:
        ConfigError: the file of who is enrolled cannot be used.
    """

    def __init__(
        self,
        config: PipelineConfig,
        predictor: Predictor,
        stopwatch: Stopwatch | None = None,
        *,
        memory: EmotionMemory | None = None,
        identity: Identity | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._config = config
        if identity is None:
            identity = Identity(config.identity)
            identity.load()
        self.identity = identity
        """Who the faces are."""
        self._scheduler = StepScheduler(config.emotion)
        self._estimator = EmotionEstimator(
            config.emotion,
            config.vision.track_timeout_s,
            predictor,
            stopwatch,
            executor,
            config.engagement,
            identity.person_of,
            identity.remembers,
        )
        self.memory = EmotionMemory(config.steady) if memory is None else memory
        """Everyone's estimates over the last seconds."""
        self.counters = EmotionCounters()
        self.last_reset = ""
        """Why everything last started anew; empty if it never did."""
        self._anchor: tuple[int, int] | None = None
        self._now_ns: int | None = None
        self._idle_since_ns: int | None = None
        self._tick_ns = 0

    @property
    def model_id(self) -> str:
        """Name of the model that the estimates come from."""
        return self._estimator.model_id

    @property
    def unanswered(self) -> tuple[int, str]:
        """Questions to the network without an answer that is a number, and why the last one."""
        return self._estimator.unanswered, self._estimator.last_failure

    @property
    def reads_landmarks(self) -> bool:
        """Whether resting faces are of any use to the model."""
        return self._estimator.reads_landmarks

    def resting_faces(self) -> dict[str, RestingFace]:
        """See `EmotionEstimator.resting_faces`."""
        return self._estimator.resting_faces()

    @property
    def audio_lead_ns(self) -> int | None:
        """How far sound is ahead of images [ns]; None unless both have come.

        Seconds mean that the two are stamped by different clocks and never meet in a window.
        """
        images_ns = self._scheduler.reached(Stream.IMAGES)
        sound_ns = self._scheduler.reached(Stream.AUDIO)
        return None if images_ns is None or sound_ns is None else sound_ns - images_ns

    @property
    def audio_lag_s(self) -> float:
        """By how much the voice's window ends before an estimate, at present [s]."""
        return to_s(self._scheduler.lag_ns)

    # --- input

    def push_tracks(
        self,
        tracks: FrameTracks,
        arrival_ns: int = 0,
        *,
        newest_ns: int = 0,
    ) -> list[EmotionStep]:
        """Take the faces of one image.

        Args:
            tracks: stamps rise from call to call; one that goes back by more than a second
                starts everything anew, a smaller step back is left out.
            arrival_ns: when the image came [ns]; 0: not known.
            newest_ns: when the newest image came whose faces are known, though they still wait
                [ns]; 0: none waits.  An image that came half a second before it is left out.

        Returns:
            The estimates that have become due, oldest first.
        """
        if not self._take(Stream.IMAGES, tracks.stamp_ns, arrival_ns):
            self.counters.late_frames += 1
            return []
        behind = arrival_ns > 0 and newest_ns - arrival_ns > _BEHIND_NS
        self._scheduler.take(Stream.IMAGES, tracks.stamp_ns, arrival_ns, drives=not behind)
        if behind:
            self.counters.behind += 1
            return []
        self.identity.see(tracks)
        self._estimator.add_tracks(tracks)
        return self._estimates(self._scheduler.due())

    def push_speech(self, chunk: SpectrogramChunk, arrival_ns: int = 0) -> list[EmotionStep]:
        """Take the newest spectrogram columns; stamps and arrival as for `push_tracks`.

        Returns:
            The estimates that have become due, oldest first.
        """
        if len(chunk.speech) == 0:
            return []
        if not self._take(Stream.AUDIO, chunk.end_ns, arrival_ns):
            self.counters.late_chunks += 1
            return []
        self._estimator.add_speech(chunk)
        self._scheduler.take(Stream.AUDIO, chunk.end_ns, arrival_ns)
        return self._estimates(self._scheduler.due())

    def tick(self, now_ns: int) -> list[EmotionStep]:
        """Let time pass; call it every TICK_S.

        Makes the estimates that have waited for sound long enough, and says when all input has
        stopped (STALE_INPUT), also before any has come.

        Args:
            now_ns: present time on the clock of the arrivals [ns]; 0: it has not begun.
        """
        if now_ns <= 0:
            return []
        before_ns, self._now_ns = self._now_ns, now_ns
        usual_ns, self._tick_ns = self._tick_ns, now_ns - (before_ns or now_ns)
        # In simulated time each tick may be far from the last.
        longest_ns = max(_LEAP_NS, 2 * usual_ns)
        if not 0 <= self._tick_ns <= longest_ns:
            # Time that only the clock saw passing is no silence.
            if self._anchor is not None:
                self._anchor = (self._anchor[0], now_ns)
            self._idle_since_ns = now_ns
            return []
        if self._anchor is None:
            return self._idle(now_ns)
        stamp_ns, arrival_ns = self._anchor
        if arrival_ns <= 0:
            # Before the clock began nothing was known of the time; none has passed since.
            self._anchor = (stamp_ns, now_ns)
            return []
        sensor_ns = stamp_ns + max(0, now_ns - arrival_ns)
        steps = self._estimates(self._scheduler.due(sensor_ns))
        stale_ns = self._scheduler.stale_step(sensor_ns)
        return steps if stale_ns is None else [*steps, self._stale(stale_ns)]

    def flush(self) -> list[EmotionStep]:
        """The estimates that still wait for sound, at the end of a recording."""
        return self._estimates(self._scheduler.due(all_input=True))

    def reset(self, reason: str = "asked to") -> None:
        """Forget every face, all sound and the time, but not the estimates (`memory`)."""
        self.counters.resets += 1
        self.last_reset = reason
        self._scheduler.clear()
        self._estimator.clear()
        self._anchor = None
        self._idle_since_ns = None

    def forget(self, person: str) -> ForgottenPerson:
        """Forget one person: the windows, the resting face, the estimates, what the face looks
        like.

        Args:
            person: person, face or voice id.

        Raises:
            ConfigError: the file of who is enrolled cannot be written.
        """
        who = self.identity.forget(person)
        key = self.memory.forget(who.person_id or person) or self.memory.forget(person)
        for one in dict.fromkeys((*who.face_ids, who.person_id, key, person)):
            if one and self._estimator.forget(one):
                key = key or one
        return ForgottenPerson(who.person_id or key, who.face_ids)

    def enrol(self, face_id: str = "", person_id: str = "") -> Enrolment:
        """Learn a face under an id; arguments and errors as of `Identity.enrol`."""
        done = self.identity.enrol(face_id, person_id)
        if done.previous_id:
            self.memory.rename(done.previous_id, done.person_id)
            self._estimator.rename(done.previous_id, done.person_id)
        return done

    def forget_everybody(self) -> tuple[str, ...]:
        """Forget what everybody looks like, and how; not the estimates (`memory`).

        Returns:
            The ids of the faces in view, which are not looked at again until they have gone.
        """
        self._estimator.forget_resting_faces()
        return self.identity.forget_everybody()

    def shed(self, shed: Workload) -> None:
        """Do less, or all again."""
        self._estimator.limit_voice(shed.voice_rate_hz)

    def _take(self, stream: Stream, stamp_ns: int, arrival_ns: int) -> bool:
        """Whether input is to be used; time that started anew starts everything anew."""
        order = self._scheduler.order(stream, stamp_ns, arrival_ns)
        if order is Order.LATE:
            return False
        if order is Order.JUMP_BACK:
            before_ns = self._scheduler.reached(stream) or 0
            self.reset(f"time jumped back by {to_s(before_ns - stamp_ns):.2f} s")
        now_ns = self._now_ns or 0
        if now_ns - arrival_ns > _LEAP_NS:
            # It came before the clock leapt ahead, or took long to get here, or its arrival is
            # not known.
            arrival_ns = now_ns
        self._now_ns = max(now_ns, arrival_ns)
        newest_ns = self._scheduler.newest_ns
        if newest_ns is None or stamp_ns > newest_ns:
            self._anchor = (stamp_ns, arrival_ns)
        return True

    def _estimates(self, steps: Iterable[Step]) -> list[EmotionStep]:
        return [self._remember(self._estimator.estimate(*step)) for step in steps]

    def _idle(self, now_ns: int) -> list[EmotionStep]:
        """Nothing has come yet."""
        if self._idle_since_ns is None:
            self._idle_since_ns = now_ns
        if now_ns - self._idle_since_ns <= self._scheduler.stale_ns:
            return []
        stamp_ns = self._scheduler.reserve(now_ns)
        return [] if stamp_ns is None else [self._stale(stamp_ns)]

    def _stale(self, stamp_ns: int) -> EmotionStep:
        """Images and sound are too old to claim anything."""
        person = nobody(stamp_ns, Status.STALE_INPUT, self.model_id)
        return self._remember(EmotionStep(stamp_ns, (), person, None))

    def _remember(self, step: EmotionStep) -> EmotionStep:
        self.counters.steps += 1
        return replace(step, changes=self.memory.push(step))
