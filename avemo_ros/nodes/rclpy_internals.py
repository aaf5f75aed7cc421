"""What rclpy has no public way to, for Jazzy and Kilted: the one place to look at for another
distribution."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.parameter import Parameter

_PAUSE_S: Final = 0.1
"""After a failure that is none of a callback's own, which may come again at once."""
_MANY: Final = 50
"""Failures within a second, from which on each is followed by a short sleep: what always fails
must not take a whole core."""
_SLEEP_S: Final = 0.01


class SturdyExecutor(SingleThreadedExecutor):
    """A single-threaded executor that reports what a callback raises, and goes on.

    rclpy's own lets it out of `spin`.  What is raised while a message is taken, e.g. by a text
    that is no UTF-8, it does not survive either way: the entity, and the group of callbacks
    that it belongs to, would count as busy for ever.
    """

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        """Set up.

        Args:
            failed: called with what was at work, and what it raised.
        """
        super().__init__()
        self._report = failed
        self._second = 0
        self._failures = 0

    def spin(self) -> None:
        """Run callbacks until the executor or its context is shut down."""
        while True:
            try:
                super().spin()
            except ExternalShutdownException:
                return
            except Exception as error:  # noqa: BLE001  reported
                # At the end it may meet a handle that its shutdown has destroyed already.
                if self._is_shutdown:
                    return
                self._failed("waiting for input", error)
                time.sleep(_PAUSE_S)
            else:
                return

    def _take_timer(self, tmr: Any) -> Any:
        return self._guarded(super()._take_timer, tmr, lambda: "a timer")

    def _take_subscription(self, sub: Any) -> Any:
        return self._guarded(
            super()._take_subscription, sub, lambda: f"a message on {sub.topic_name}"
        )

    def _take_client(self, client: Any) -> Any:
        return self._guarded(
            super()._take_client, client, lambda: f"an answer of {client.srv_name}"
        )

    def _take_service(self, srv: Any) -> Any:
        return self._guarded(super()._take_service, srv, lambda: f"a call of {srv.srv_name}")

    def _take_guard_condition(self, gc: Any) -> Any:
        return self._guarded(super()._take_guard_condition, gc, lambda: "a guard condition")

    def _take_waitable(self, waitable: Any) -> Any:
        return self._guarded(
            super()._take_waitable, waitable, lambda: f"a {type(waitable).__name__}"
        )

    def _guarded(self, take: Callable[[Any], Any], entity: Any, name: Callable[[], str]) -> Any:
        """What `take` gives to be done for the entity, with all that is raised caught."""
        try:
            work = take(entity)
        except Exception as error:  # noqa: BLE001  reported
            self._failed(_named(name), error)
            return None
        if work is None:
            return None

        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  reported
                self._failed(_named(name), error)

        return guarded

    def _failed(self, what: str, error: Exception) -> None:
        self._report(what, error)
        second = int(time.monotonic())
        self._failures = self._failures + 1 if second == self._second else 1
        self._second = second
        if self._failures > _MANY:
            time.sleep(_SLEEP_S)


def _named(name: Callable[[], str]) -> str:
    # What was destroyed meanwhile has no name any more.
    with suppress(Exception):
        return name()
    return "a callback"


def state_of(node: LifecycleNode) -> str:
    """The label of a node's state in its life cycle, e.g. "active"."""
    return str(node._state_machine.current_state[1])  # noqa: SLF001


def possible_transitions(node: LifecycleNode) -> dict[int, str]:
    """Labels of the transitions that a node can make now, by number."""
    return {one[0]: one[1] for one in node._state_machine.available_transitions}  # noqa: SLF001


def replace_change_state(
    node: LifecycleNode, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Have another callback answer a node's service `change_state`.

    Args:
        node: whose service it is.
        wrap: makes the callback from rclpy's own.
    """
    service = node._service_change_state  # noqa: SLF001
    service.callback = wrap(service.callback)


def given_parameters(node: Node) -> Mapping[str, Parameter]:
    """Parameters from the command line and from parameter files, declared or not."""
    given: Mapping[str, Parameter] = node._parameter_overrides  # noqa: SLF001
    return given
