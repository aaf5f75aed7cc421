"""Says answers with another node's action server, e.g. `Say` of communication_skills."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from avemo_ros.dialog.agent import SpokenSentence
from avemo_ros.errors import ConfigError
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.settings import did_you_mean

_SERVER_S: Final = 2.0
"""A server that is there is found within this."""
_STEP_S: Final = 0.05
LONGEST_S: Final = 60.0
"""Nothing said takes longer; a synthesiser that does hangs in the sound driver."""
_CANCEL_S: Final = 2.0
"""A server that was asked to be quiet has ended within this."""
_ENDED: Final = {
    GoalStatus.STATUS_CANCELED: "was canceled by another",
    GoalStatus.STATUS_ABORTED: "was aborted",
}


def action_type(name: str) -> Any:
    """The type of an action.

    Args:
        name: with its package, e.g. 'communication_skills/action/Say'.

    Raises:
        ConfigError: there is none of that name here.
    """
    package, _, kind = name.partition("/action/")
    if not (package.isidentifier() and kind.isidentifier()):
        allowed = "package/action/Type, e.g. communication_skills/action/Say"
        raise ConfigError("speak_action_type", name, allowed)
    try:
        module = importlib.import_module(f"{package}.action")
    except ImportError as error:
        raise ConfigError(
            "speak_action_type",
            name,
            f"an action that is installed, and {package} is not ({error}); install "
            f"ros-$ROS_DISTRO-{package.replace('_', '-')}, or build and source its workspace",
        ) from error
    kinds = [one for one in vars(module) if hasattr(getattr(module, one), "Goal")]
    if kind not in kinds:
        near = did_you_mean(kind, kinds)
        raise ConfigError(
            "speak_action_type", name, f"one of {package}'s actions: {', '.join(kinds)}{near}"
        )
    return getattr(module, kind)


def check_field(kind: Any, field: str) -> None:
    """Make sure that a goal takes text in a field.

    Raises:
        ConfigError: it has no such field, or one of another type.
    """
    fields = kind.Goal.get_fields_and_field_types()
    texts = [name for name, of in fields.items() if of == "string"]
    if field not in texts:
        raise ConfigError(
            "speak_action_field",
            field,
            f"a text field of the goal: {', '.join(texts) or 'it has none'}"
            + did_you_mean(field, texts),
        )


class SpeechAction:
    """A client of the action; what is said is a goal, and has ended when its result is there.

    `say` runs on the voice's thread, everything else on the executor's.
    """

    def __init__(
        self, node: ManagedNode, server: str, kind: Any, field: str, *, as_ssml: bool
    ) -> None:
        self._node = node
        self._server = server
        self._kind = kind
        self._field = field
        self._as_ssml = as_ssml
        self._client: Any = None
        self._lock = threading.Lock()
        self._goal: _Goal | None = None

    def open(self) -> str:
        """Make the client; returns "": whether a server is there shows when it is asked."""
        self._client = ActionClient(self._node, self._kind, self._server)
        return ""

    def stop(self, *, for_good: bool) -> None:
        """End what is being said.

        Args:
            for_good: `say` then returns without waiting for the server.
        """
        with self._lock:
            goal = self._goal
        if goal is not None:
            goal.cancel()
            if for_good:
                goal.ended.set()

    def close(self) -> None:
        """Remove the client; after the last `say`."""
        client, self._client = self._client, None
        if client is None:
            return
        with self._lock:
            goal, self._goal = self._goal, None
        if goal is None:
            client.destroy()
        else:
            # It may still have to be told to stop.
            goal.after(client.destroy)

    def say(
        self,
        sentence: SpokenSentence,
        going_on: Callable[[], None],
        is_over: Callable[[], bool],
    ) -> str:
        """As `Synthesiser.say`: a goal, until its result is there."""
        until = time.monotonic() + _SERVER_S
        while not self._client.server_is_ready():
            if is_over():
                return ""
            if time.monotonic() > until:
                return f"no action server {self._server} answers"
            time.sleep(_STEP_S)
        request = self._kind.Goal()
        setattr(request, self._field, sentence.ssml if self._as_ssml else sentence.text)
        goal = _Goal(self._client, request)
        with self._lock:
            if is_over():
                return ""
            self._goal = goal
        self._run(goal.send)
        until = time.monotonic() + LONGEST_S
        while not goal.ended.wait(_STEP_S):
            if goal.accepted:
                # Also when it is to be quiet: it speaks until it says that it has ended.
                going_on()
            if is_over():
                until = min(until, time.monotonic() + _CANCEL_S)
            if time.monotonic() > until:
                self._run(goal.cancel)
                return f"{self._server} does not end"
        return "" if is_over() or not goal.failure else f"{self._server} {goal.failure}"

    def _run(self, task: Callable[[], None]) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.create_task(task)


class _Goal:
    """One goal, from its sending to its result; `ended`, and what is said of it then, may be
    read on any thread."""

    def __init__(self, client: Any, request: Any) -> None:
        self._client = client
        self._request = request
        self._handle: Any = None
        self._unwanted = False
        self._is_over = False
        """Nothing of it is under way any more."""
        self._after: Callable[[], None] = lambda: None
        self.accepted = False
        self.failure = ""
        self.ended = threading.Event()

    def send(self) -> None:
        if self._unwanted:
            self._end()
        else:
            self._client.send_goal_async(self._request).add_done_callback(self._answered)

    def cancel(self) -> None:
        self._unwanted = True
        if self._handle is not None and not self._is_over:
            self._handle.cancel_goal_async().add_done_callback(lambda _: self._finish())

    def after(self, then: Callable[[], None]) -> None:
        """Do something once there is nothing more to do."""
        if self._is_over:
            then()
        else:
            self._after = then

    def _answered(self, future: Any) -> None:
        handle = future.result()
        if not handle.accepted:
            self._end("refused to speak")
            return
        self._handle = handle
        self.accepted = True
        handle.get_result_async().add_done_callback(self._spoken)
        if self._unwanted:
            self.cancel()

    def _spoken(self, future: Any) -> None:
        status = future.result().status
        done = status == GoalStatus.STATUS_SUCCEEDED
        self._end("" if done else _ENDED.get(status, f"ended with status {status}"))

    def _end(self, failure: str = "") -> None:
        self.failure = failure
        self._is_over = True
        self.ended.set()
        self._finish()

    def _finish(self) -> None:
        then, self._after = self._after, lambda: None
        then()
