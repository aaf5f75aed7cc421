"""A coroutine that its caller waits for no longer than he wants to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any


class Detached:
    """One coroutine in a thread of its own, so that nobody waits longer than he wants to."""

    def __init__(self, work: Coroutine[Any, Any, str]) -> None:
        self._work = work
        self._outcome: Future[str] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._lock = threading.Lock()

    def drop(self) -> None:
        """It is not to be run."""
        self._work.close()

    def result(self, timeout_s: float) -> str:
        """Run it and wait; raises what it raises, or FutureTimeoutError."""
        threading.Thread(target=self._run, name="dialog-endpoint", daemon=True).start()
        return self._outcome.result(timeout_s)

    def cancel(self) -> None:
        """End it; nothing happens if it has ended."""
        with self._lock:
            self._cancelled = True
            loop, task = self._loop, self._task
            if loop is not None and task is not None and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

    def _run(self) -> None:
        try:
            self._outcome.set_result(asyncio.run(self._main()))
        except BaseException as error:  # noqa: BLE001  - it is raised where it is waited for
            self._outcome.set_exception(error)

    async def _main(self) -> str:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._cancelled:
                assert self._task is not None
                self._task.cancel()
        try:
            return await self._work
        finally:
            with self._lock:
                self._loop = None
