"""Name lookups that cannot pile up: a resolver that hangs holds one thread, not one a request.

The system's lookup cannot be ended.  Those who ask for the same name share one lookup, and once
somebody has given up on it, later ones are refused at once until it comes back.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


class Names:
    """Looks names up for the event loops that it is given; may be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[Any, ...], _Lookup] = {}
        """By what was asked for; the thread removes its own."""

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look names up for a loop, in place of its own threads, which its end waits for."""
        loop.getaddrinfo = self.getaddrinfo  # type: ignore[method-assign]

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  as the loop's method has it
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """As `socket.getaddrinfo`.

        Raises:
            socket.gaierror: the name is not known, or a lookup of it hangs.
        """
        asked = (host, port, family, type, proto, flags)
        with self._lock:
            lookup = self._running.get(asked)
            if lookup is None:
                lookup = self._running[asked] = _Lookup()
                threading.Thread(
                    target=self._look_up, args=(asked, lookup), name="dialog-name", daemon=True
                ).start()
            elif lookup.given_up:
                raise socket.gaierror(socket.EAI_AGAIN, "the lookup of its name hangs")
        try:
            # Who gives up must not end it for the others.
            return await asyncio.shield(asyncio.wrap_future(lookup.outcome))
        except asyncio.CancelledError:
            lookup.given_up = True
            raise

    def _look_up(self, asked: tuple[Any, ...], lookup: _Lookup) -> None:
        try:
            found = socket.getaddrinfo(*asked)
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            self._end(asked)
            lookup.outcome.set_exception(error)
        else:
            self._end(asked)
            lookup.outcome.set_result(found)

    def _end(self, asked: tuple[Any, ...]) -> None:
        with self._lock:
            del self._running[asked]


@dataclass(eq=False)
class _Lookup:
    outcome: Future[Any] = field(default_factory=Future)
    given_up: bool = False
    """Somebody did not want to wait for it any longer."""
