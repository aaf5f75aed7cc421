"""From words and states to answers; the answers are made on a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.agent import Agent
from avemo_ros.dialog.answer import Answer
from avemo_ros.dialog.back_end import BackEndError, Message
from avemo_ros.dialog.config import DialogConfig
from avemo_ros.dialog.endpoint_config import EndpointConfig
from avemo_ros.dialog.strategy import StrategyTable
from avemo_ros.nodes import health
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.nodes.worker import Worker
from avemo_ros.state.estimate import Hop

if TYPE_CHECKING:
    from avemo_ros.dialog.chat_client import Endpoint

_WAITING: Final = 4
"""Words that may wait for their answer; a conversation is not about older ones any more."""
_QUIET_S: Final = 2.0
"""Without states for this long the answers know of no emotion."""


@dataclass(frozen=True, slots=True)
class Words:
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


@dataclass(frozen=True, slots=True)
class DialogSettings:
    """All settings of the stage."""

    dialog: DialogConfig
    endpoint: EndpointConfig
    steady: SteadyConfig
    use_emotion: bool


class _Watched:
    """An endpoint that keeps count; the kind of a failure holds no words, its text may."""

    def __init__(self, endpoint: Endpoint) -> None:
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
        except BackEndError as error:
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

    def __init__(self, node: ManagedNode, settings: DialogSettings) -> None:
        """Set up.

        Raises:
            DialogError: the strategy file cannot be used.
            ConfigError: the endpoint cannot be used.
        """
        self._node = node
        self._settings = settings
        self._trouble = Trouble(node.get_logger(), "dialog")
        self._table = StrategyTable.read(settings.dialog.strategies)
        self._endpoint: _Watched | None = None
        self._agent = self._fresh()
        self._worker: Worker[Words] | None = None
        self._states = health.Meter()
        # The newest state's stamp, and the node's clock when it came: the sensor's clock now
        # is the one plus what has passed on the other.
        self._newest: tuple[int, int] | None = None
        self._received = 0
        self._answered = 0
        self._fallbacks = 0
        self._dropped_before = 0
        self._latency_ms = health.Samples()

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
        if self._endpoint is not None:
            self._endpoint.close()
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None

    def observe(self, hop: Hop) -> None:
        """Take everyone's states of one moment."""
        self._states.add()
        self._newest = (hop.stamp_ns, self._node.now_ns())
        self._agent.observe(hop)

    def look(self, face_id: str, stamp_ns: int, yaw: float, pitch: float) -> None:
        """Take a head pose [rad]."""
        self._agent.look(face_id, stamp_ns, yaw, pitch)

    def ask(self, words: Words) -> None:
        """Queue words for an answer; returns at once."""
        self._received += 1
        if self._worker is None:
            words.refused("the node is not active")
        else:
            self._worker.put(words)

    def forget(self) -> None:
        """Forget the conversation, and what was felt."""
        self._agent.clear()
        self._agent.forget_people()

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
            "last_failure": failure,
            "states_hz": f"{self._states.rate_hz:.1f}",
            "use_emotion": self._settings.use_emotion,
            "last_error": self._trouble.last,
            **health.percentiles("latency_ms", self._latency_ms.values()),
        }
        if self._trouble.present:
            return health.status("dialog", health.ERROR, self._trouble.last, values)
        if failure:
            message = f"the endpoint {config.host} failed ({failure}): answers are made offline"
            return health.status("dialog", health.WARN, message, values)
        if self._settings.use_emotion and self._states.quiet_s > _QUIET_S:
            message = "no emotion_states: the answers know of no emotion"
            return health.status("dialog", health.STALE, message, values)
        return health.status("dialog", health.OK, "ready to answer", values)

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

    def _work(self, words: Words) -> None:
        try:
            answer = self._agent.answer(words.text, words.person, self._sensor_now_ns())
        except Exception:
            words.refused("an unexpected error; the node's log says which")
            raise
        took_s = time.monotonic() - words.arrived_s
        self._answered += 1
        self._latency_ms.add(1e3 * took_s)
        self._note(answer)
        words.answered(answer, took_s)

    def _note(self, answer: Answer) -> None:
        self._trouble.good()
        if not answer.fallback:
            return
        self._fallbacks += 1
        assert self._endpoint is not None  # only what is asked can fail
        why = self._endpoint.failure or "what it said may not be said"
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
    from avemo_ros.dialog.chat_client import Endpoint

    return _Watched(Endpoint(config))


def _forgotten(words: Words) -> None:
    words.refused("dropped: newer words came, or the node was stopped")
