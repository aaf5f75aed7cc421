"""From published states to events, steady states and answers about the past."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from std_srvs.srv import Trigger

from avemo_ros.msg import EmotionEvent, EmotionStateArray
from avemo_ros.nodes import convert, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.srv import GetEmotionHistory
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.state.memory import EmotionMemory
from avemo_ros.state.smoothing import key_of
from avemo_ros.timing import to_ns

_PERIOD_NS: Final = to_ns(0.5)
"""Steady states without a change come this far apart: they move slowly."""


class EmotionHistoryStage:
    """Publishes events and steady states, and answers questions about the past.

    Args:
        node: whose topics these are.
        memory: gives the present memory; steps come on one thread, questions on another.
        forget: called when people are to be forgotten, for what else is known of them.
    """

    def __init__(
        self,
        node: ManagedNode,
        memory: Callable[[], EmotionMemory],
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._node = node
        self._forget = forget
        self._lock = threading.Lock()
        self._memory = memory
        self._frame_id = ""
        self._events = 0
        self._published_ns: int | None = None
        self._publishers: list[Any] = []
        self._services: list[Any] = []

    def open(self) -> None:
        """Make the topics and services."""
        node = self._node
        self._publishers = [
            node.create_publisher(
                EmotionEvent,
                "emotion_events",
                qos.result(20),
                event_callbacks=qos.mismatch_warnings(node, "emotion_events"),
            ),
            # Who subscribes later gets the last ones at once.
            node.create_publisher(
                EmotionStateArray, "steady_states", qos.result(1, latched=True)
            ),
        ]
        self._services = [
            node.create_service(GetEmotionHistory, "emotion_history", self._answer),
            node.create_service(Trigger, "forget_people", self._forget_people),
        ]

    def close(self) -> None:
        """Remove topics and services; may be called twice."""
        for service in self._services:
            self._node.destroy_service(service)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._services, self._publishers = [], []

    def clear(self) -> None:
        """The memory is another one."""
        self._published_ns = None

    def push(self, step: EmotionStep, frame_id: str, latency_s: float) -> None:
        """Take the step that was remembered last; publishes what follows from it."""
        with self._lock:
            self._frame_id = frame_id
            changes = step.changes
            self._events += len(changes)
            if not self._publishers:
                return
            events, states = self._publishers
            for change in changes:
                events.publish(convert.event_message(change, frame_id))
            if changes or self._is_due(step.stamp_ns):
                self._published_ns = step.stamp_ns
                states.publish(self._steady_states(step, latency_s))

    def _steady_states(self, step: EmotionStep, latency_s: float) -> EmotionStateArray:
        steady = self._memory().steady
        return EmotionStateArray(
            header=convert.header(step.stamp_ns, self._frame_id),
            states=[
                convert.steady_message(
                    estimate, steady.of(key_of(estimate)), self._frame_id, latency_s
                )
                for estimate in step.estimates
            ],
        )

    def values(self) -> dict[str, object]:
        """For /diagnostics."""
        return {"events": self._events, "people_remembered": self._memory().people}

    def _is_due(self, stamp_ns: int) -> bool:
        return self._published_ns is None or not 0 <= stamp_ns - self._published_ns < _PERIOD_NS

    def _answer(
        self, request: GetEmotionHistory.Request, response: GetEmotionHistory.Response
    ) -> GetEmotionHistory.Response:
        """The callback: quick, for the memory is small and never computes."""
        memory = self._memory()
        longest_s = memory.memory_s
        if not 0.0 <= request.window < float("inf"):
            response.message = (
                f"window is {request.window:g} s; allowed: above 0, or 0 for everything that "
                "is kept"
            )
            return response
        window_s = min(request.window or longest_s, longest_s)
        history = memory.history(request.person, window_s)
        if history is None:
            who = f"with id {request.person}" if request.person else "at all"
            response.message = f"nobody {who} was seen in the last {window_s:g} s"
            return response
        return convert.history_response(history, self._frame_id, response)

    def overwrite(self) -> None:
        """Replace what is latched, which would tell the next subscriber of who was forgotten;
        those who were not come back with the next step."""
        with self._lock:
            self._overwrite()

    def _overwrite(self) -> None:
        self._published_ns = None
        if self._publishers:
            nobody = convert.header(self._node.now_ns(), self._frame_id)
            self._publishers[1].publish(EmotionStateArray(header=nobody))

    def _forget_people(
        self,
        request: Trigger.Request,  # noqa: ARG002
        response: Trigger.Response,
    ) -> Trigger.Response:
        with self._lock:
            memory = self._memory()
            people = memory.people
            memory.clear()
            self._forget()
            self._overwrite()
        response.success = True
        response.message = f"{people} {'person' if people == 1 else 'people'} forgotten"
        return response
