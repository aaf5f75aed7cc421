"""The service that answers words, without holding up the node while the answer is made."""

from __future__ import annotations

import time
from typing import Any, Final

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from avemo_ros.dialog.answer import Answer
from avemo_ros.nodes import convert_dialog
from avemo_ros.nodes.dialog_stage import DialogStage, Words
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.srv import Respond

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
        words = Words(
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
        return convert_dialog.reply_message(answer, self._node.now_ns(), took_s)

    def _wake(self) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.wake()
