"""Answers a person's words, from topics and from the service `respond`."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.agent import Agent, Answer, Say, SpokenSentence
from avemo_ros.dialog.dialog_config import DialogConfig, EndpointConfig
from avemo_ros.dialog.policy import Policy
from avemo_ros.dialog.responder import BackendError, Message
from avemo_ros.nodes import convert, diagnostics
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.srv import Respond
from avemo_ros.state.estimate import EmotionStep

if TYPE_CHECKING:
    from avemo_ros.dialog.chat_client import ChatClient

_WAITING: Final = 4
"""Words that may wait for their answer; a conversation is not about older ones any more."""
_QUIET_S: Final = 2.0
"""Without states for this long the answers know of no emotion."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a person said, and who wants to know the answer."""

    text: str
    person: str
    """Person, face or voice id; "" for the one attended to."""
    arrived_s: float
    """When it came [s of a steady clock]."""
    answered: Callable[[Answer, float], None]
    """Called on the thread with the answer and how long it took [s]."""
    refused: Callable[[str], None]
    """Called instead with why there is no answer; from any thread."""
    say: Callable[[SpokenSentence, Callable[[bool], None]], None] | None = None
    """Called on the thread with each sentence as it comes, and whom to tell when it was said
    (True) or will not be; None: only the whole answer is wanted."""


class _Delivery:
    """What of one answer was handed to the voice, and what it has said of it."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        # Whoever is handed a sentence may tell at once that it will not be said.
        self._lock = threading.RLock()
        self._sentences: list[str] = []
        self._said: set[int] = set()
        self._answer: Answer | None = None
        self._interrupted = False

    def hand(self, words: Utterance, sentence: SpokenSentence) -> bool:
        """Hand a sentence to the voice; False: the person has begun to speak."""
        with self._lock:
            if self._interrupted or words.say is None:
                return False
            place = len(self._sentences)
            self._sentences.append(sentence.text)
            words.say(sentence, lambda said: self._tell(place, said=said))
            return True

    def complete(self, answer: Answer) -> None:
        """There is no more."""
        with self._lock:
            self._answer = answer
            self._cut()

    def interrupt(self) -> None:
        """What is not said yet will not be, and is forgotten."""
        with self._lock:
            self._interrupted = True
            self._cut()

    def _tell(self, place: int, *, said: bool) -> None:
        with self._lock:
            if said and not self._interrupted:
                self._said.add(place)

    def _cut(self) -> None:
        answer = self._answer
        if answer is None or not self._interrupted:
            return
        count = next(n for n in itertools.count() if n not in self._said)
        notice = int(bool(answer.notice))
        said = " ".join(self._sentences[notice:count])
        self._agent.cut(answer, said, notice_was_said=count >= notice)


@dataclass(frozen=True, slots=True)
class DialogStageSettings:
    """All settings of the stage."""

    dialog: DialogConfig
    endpoint: EndpointConfig
    steady: SteadyConfig
    use_emotion: bool


class _Watched:
    """An endpoint that keeps count; the kind of a failure holds no words, its text may."""

    def __init__(self, endpoint: ChatClient) -> None:
        self._endpoint = endpoint
        self.asked = 0
        self.failed = 0
        self.failure = ""
        """Kind of the newest failure; empty since it answered."""

    @property
    def name(self) -> str:
        return self._endpoint.name

    def complete(self, messages: Sequence[Message]) -> str:
        self.asked += 1
        try:
            text = self._endpoint.complete(messages)
        except BackendError as error:
            self.failed += 1
            self.failure = error.kind
            raise
        self.failure = ""
        return text

    def stream(self, messages: Sequence[Message]) -> Generator[str, None, str]:
        self.asked += 1
        try:
            text = yield from self._endpoint.stream(messages)
        except BackendError as error:
            self.failed += 1
            self.failure = error.kind
            raise
        self.failure = ""
        return text

    @property
    def is_loading(self) -> bool:
        return self._endpoint.is_loading

    def load(self) -> None:
        self._endpoint.load()

    def close(self) -> None:
        self._endpoint.close()


class DialogStage:
    """Answers one after the other; when words come faster the newest win."""

    def __init__(self, node: ManagedNode, settings: DialogStageSettings) -> None:
        """Set up.

        Raises:
            DialogError: the strategy file cannot be used.
            ConfigError: the endpoint cannot be used.
        """
        self._node = node
        self._settings = settings
        self._trouble = ThrottledLog(node.get_logger(), "dialog")
        self._table = Policy.read(settings.dialog.strategies, settings.dialog.language)
        # Takes seconds on a small computer, and nothing else needs it.
        threading.Thread(target=self._warm_up, name="dialog examples", daemon=True).start()
        self._endpoint: _Watched | None = None
        self._agent = self._fresh()
        self._worker: Worker[Utterance] | None = None
        self._deliveries: deque[_Delivery] = deque(maxlen=_WAITING)
        self._states = diagnostics.Meter()
        # The newest state's stamp, and the node's clock when it came: the sensor's clock now
        # is the one plus what has passed on the other.
        self._newest: tuple[int, int] | None = None
        self._received = 0
        self._answered = 0
        self._fallbacks = 0
        self._handed_over = 0
        self._dropped_before = 0
        self._latency_ms = diagnostics.Samples()

    def open(self) -> None:
        """Begin; the conversation starts anew."""
        self._agent = self._fresh()
        if self._endpoint is not None:
            self._endpoint.load()
        self._newest = None
        self._worker = Worker(
            "dialog", self._work, self._failed, limit=_WAITING, forgotten=_forgotten
        )
        self._worker.start()

    def close(self) -> None:
        """Stop, also in the middle of an answer; may be called twice."""
        if self._worker is not None:
            # First, or the next one would be answered when the endpoint lets go of this one.
            self._worker.dismiss()
        if self._endpoint is not None:
            self._endpoint.close()
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None

    def observe(self, step: EmotionStep) -> None:
        """Take everyone's states of one moment."""
        self._states.add()
        self._newest = (step.stamp_ns, self._node.now_ns())
        self._agent.observe(step)

    def look(self, face_id: str, stamp_ns: int, yaw: float, pitch: float) -> None:
        """Take a head pose [rad]."""
        self._agent.look(face_id, stamp_ns, yaw, pitch)

    def ask(self, words: Utterance) -> None:
        """Queue words for an answer; returns at once."""
        self._received += 1
        if self._worker is None:
            words.refused("the node is not active")
        else:
            self._worker.put(words)

    def interrupt(self) -> None:
        """A person has begun to speak: end the answers that are under way, and forget what of
        them was not said."""
        for delivery in self._deliveries.copy():
            delivery.interrupt()
        self._deliveries.clear()

    def wipe(self) -> None:
        """Begin anew with nothing; after `close`."""
        self._agent = self._fresh()
        self._newest = None

    def forget(self) -> None:
        """Forget the conversation, and what was felt."""
        self._agent.clear()
        self._agent.forget_people()

    def forget_person(self, key: str) -> None:
        """Forget one person, by face or voice id, and the conversation."""
        self._agent.forget(key)

    def status(self) -> DiagnosticStatus:
        """For /diagnostics; counts and times, never words."""
        config, endpoint = self._settings.endpoint, self._endpoint
        failure = endpoint.failure if endpoint is not None else ""
        values: dict[str, object] = {
            "received": self._received,
            "answered": self._answered,
            "dropped": self._dropped_before
            + (self._worker.dropped if self._worker is not None else 0),
            "queue": len(self._worker) if self._worker is not None else 0,
            "back_end": config.model or "offline",
            "endpoint": config.host if config.model else "",
            "loading": endpoint.is_loading if endpoint is not None else False,
            "asked": endpoint.asked if endpoint is not None else 0,
            "failed": endpoint.failed if endpoint is not None else 0,
            "fallbacks": self._fallbacks,
            "handed_over": self._handed_over,
            "last_failure": failure,
            "states": self._states.count,
            "states_hz": f"{self._states.rate_hz:.1f}",
            "use_emotion": self._settings.use_emotion,
            "last_error": self._trouble.last,
            **diagnostics.percentiles("latency_ms", self._latency_ms.values()),
        }
        if self._trouble.present:
            return diagnostics.status("dialog", diagnostics.ERROR, self._trouble.last, values)
        if failure:
            message = f"the endpoint {config.host} failed ({failure}): answers are made offline"
            return diagnostics.status("dialog", diagnostics.WARN, message, values)
        if self._settings.use_emotion and self._states.quiet_s > _QUIET_S:
            message = "no emotion_states received: the answers ignore emotion"
            return diagnostics.status("dialog", diagnostics.STALE, message, values)
        return diagnostics.status("dialog", diagnostics.OK, "ready to answer", values)

    def _warm_up(self) -> None:
        problem = self._table.warm_up()
        if problem:
            self._node.get_logger().warning(problem)

    def _fresh(self) -> Agent:
        settings = self._settings
        self._endpoint = _endpoint(settings.endpoint)
        return Agent(
            settings.dialog,
            self._table,
            self._endpoint,
            use_emotion=settings.use_emotion,
            steady=settings.steady,
        )

    def _work(self, words: Utterance) -> None:
        say: Say | None = None
        delivery = _Delivery(self._agent)
        if words.say is not None:
            say = partial(delivery.hand, words)
            self._deliveries.append(delivery)
        try:
            answer = self._agent.answer(words.text, words.person, self._sensor_now_ns(), say)
        except Exception:
            words.refused("an unexpected error; see the node's log")
            raise
        delivery.complete(answer)
        took_s = time.monotonic() - words.arrived_s
        self._answered += 1
        self._latency_ms.add(1e3 * took_s)
        self._note(answer)
        words.answered(answer, took_s)

    def _note(self, answer: Answer) -> None:
        self._trouble.good()
        if answer.handed_over:
            self._handed_over += 1
            # An event for who runs the robot; the words themselves are nobody's business.
            self._node.get_logger().warning(f"a person was handed over: {answer.concern}")
        if not answer.fallback:
            return
        self._fallbacks += 1
        assert self._endpoint is not None  # only what is asked can fail
        why = self._endpoint.failure or "its answer was refused"
        host = self._settings.endpoint.host
        self._trouble.note(why, f"the endpoint {host} failed ({why}); answered offline")

    def _sensor_now_ns(self) -> int | None:
        now_ns = self._node.now_ns()
        if now_ns <= 0:
            return None
        if self._newest is None:
            return now_ns
        stamp_ns, then_ns = self._newest
        return stamp_ns + max(0, now_ns - then_ns) if then_ns > 0 else stamp_ns

    def _failed(self, error: Exception) -> None:
        # Its text may hold words of the person.
        self._trouble.report(type(error).__name__, f"unexpected {type(error).__name__}")


def _endpoint(config: EndpointConfig) -> _Watched | None:
    if not config.model:
        return None
    # Who needs no endpoint needs no HTTP client either.
    from avemo_ros.dialog.chat_client import ChatClient

    return _Watched(ChatClient(config))


def _forgotten(words: Utterance) -> None:
    words.refused("dropped: newer words arrived, or the node was stopped")


_LATER_S: Final = 0.05


class RespondService:
    """`respond`: each request waits as a coroutine while the stage's thread works."""

    def __init__(self, node: ManagedNode, stage: DialogStage) -> None:
        self._node = node
        self._stage = stage
        self._waiting = 0
        # In a group of others a request that waits would hold up all of them.
        self._service = node.create_service(
            Respond, "respond", self._respond, callback_group=ReentrantCallbackGroup()
        )
        self._timer: Any = None

    def close(self) -> None:
        """Remove the service; after the stage was closed, which refuses what still waits."""
        if not self._waiting:
            self._node.destroy_service(self._service)
            return
        # They have their answers but could not send them yet: this runs on their thread.
        self._timer = self._node.create_timer(
            _LATER_S, self._close_later, clock=self._node.steady
        )

    def _close_later(self) -> None:
        if not self._waiting:
            self._node.destroy_timer(self._timer)
            self._node.destroy_service(self._service)

    async def _respond(
        self, request: Respond.Request, response: Respond.Response
    ) -> Respond.Response:
        done = Future()
        # The executor sleeps until something happens; a future alone does not wake it.
        done.add_done_callback(lambda _: self._wake())
        words = Utterance(
            request.text,
            request.person,
            time.monotonic(),
            lambda answer, took_s: done.set_result((answer, took_s)),
            done.set_result,
        )
        self._waiting += 1
        try:
            self._stage.ask(words)
            result = await done
        finally:
            self._waiting -= 1
        if isinstance(result, str):
            response.message = result
            return response
        answer, took_s = result
        response.success = True
        response.reply = self._reply(answer, took_s)
        return response

    def _reply(self, answer: Answer, took_s: float) -> Any:
        return convert.reply_message(answer, self._node.now_ns(), took_s)

    def _wake(self) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.wake()
