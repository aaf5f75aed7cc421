"""A chat endpoint on the loopback that answers as it is told, well or badly, byte by byte."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

Behaviour = Callable[[socket.socket], None]
"""What is done with a connection once the whole request has been read."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    line: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def content(self) -> dict[str, Any]:
        return json.loads(self.body)


class Server:
    """Each request meets the next behaviour; the last one goes on for ever."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours: Sequence[Behaviour] = behaviours
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = True
        self._connections: list[socket.socket] = []
        self.requests: list[Request] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.left = threading.Event()
        """A client has closed its connection while it was being answered."""

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open = False
        for end in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            request = _read(connection)
            if request is None:
                return
            place = min(len(self.requests), len(self._behaviours) - 1)
            self.requests.append(request)
            self._behaviours[place](connection)
        except OSError:
            self.left.set()
        finally:
            connection.close()


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
        if data[0] == 0x16:  # a TLS handshake
            return Request("TLS", {}, data)
    head, body = data.split(b"\r\n\r\n", 1)
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (item.split(": ", 1) for item in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return Request(line, headers, body)


def respond(
    body: bytes | str,
    status: str = "200 OK",
    kind: str = "application/json",
    **headers: str,
) -> Behaviour:
    """A proper HTTP response with this body."""
    data = body.encode() if isinstance(body, str) else body
    fields = {"Content-Type": kind, "Content-Length": str(len(data))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
    head = "\r\n".join((*lines, "", ""))
    return raw(head.encode() + data)


def raw(data: bytes) -> Behaviour:
    """These bytes, and then the connection is closed."""
    return lambda connection: connection.sendall(data)


def answer(text: str, finish: str = "stop") -> str:
    """The body of a chat completion that is not streamed."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]})


def events(*pieces: str, finish: str | None = "stop", done: bool = True) -> str:
    """The body of a chat completion that is streamed in these pieces."""
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
    chunks += [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    if finish is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join(lines + (["data: [DONE]\n\n"] if done else []))


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunked(
    pieces: Iterable[str | bytes], *, end: bool = True, pause_s: float = 0.0
) -> Behaviour:
    """A stream in HTTP chunks, so far apart; without `end` it is cut off within."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(STREAM_HEAD)
        for piece in pieces:
            time.sleep(pause_s)
            data = piece.encode() if isinstance(piece, str) else piece
            connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        if end:
            connection.sendall(b"0\r\n\r\n")

    return behave


def hang(first: bytes = b"") -> Behaviour:
    """These bytes, and then nothing for as long as the client stays."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(first)
        while connection.recv(1024):
            pass
        raise ConnectionResetError

    return behave


def drip(data: bytes, pause_s: float) -> Behaviour:
    """One byte after the other, over and over."""

    def behave(connection: socket.socket) -> None:
        place = 0
        waiting = threading.Event()
        while True:
            connection.sendall(data[place % len(data) : place % len(data) + 1])
            place += 1
            waiting.wait(pause_s)

    return behave


def flood(start: bytes, data: bytes) -> Behaviour:
    """As fast as the client takes it, without end."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(data)

    return behave
