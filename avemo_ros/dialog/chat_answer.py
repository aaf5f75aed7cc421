"""The answer of a chat endpoint: its bytes within bounds, its words, or why there are none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import httpx2

from avemo_ros.dialog.language import printable, tokens
from avemo_ros.dialog.responder import BackendError, Message
from avemo_ros.dialog.speech_text import speech_of

_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How a line of a stream may begin."""
_DONE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]")
_MOST_REASON: Final = 4096
"""Bytes of an error's body that are looked at."""


class GuardedBody(httpx2.AsyncByteStream):
    """The body of a response: of limited size, and always as server-sent events.

    What came is recognised by its first sign, not by its header: endpoints answer a request for
    a stream with one object, and the other way round.  One object becomes a single event.
    """

    def __init__(self, response: httpx2.Response, max_bytes: int) -> None:
        self._status = response.status_code
        self._encoding = response.headers.get("content-encoding", "identity").lower()
        self._inner: Any = response.stream
        self._max_bytes = max_bytes
        self._begun = False
        self.is_whole = False
        """The endpoint said that nothing more comes, or sent one object."""

    @classmethod
    def install(cls, max_bytes: int) -> Callable[[httpx2.Response], Awaitable[None]]:
        """A hook for responses."""

        async def guard(response: httpx2.Response) -> None:
            response.stream = cls(response, max_bytes)

        return guard

    @classmethod
    def of(cls, response: httpx2.Response) -> GuardedBody:
        """The guard that was installed."""
        assert isinstance(response.stream, cls)
        return response.stream

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes as they come.

        Raises:
            BackendError: kind "too long", "html", "not json", "protocol" or "http NNN".
        """
        if self._begun:
            # The package looks once more whether anything follows [DONE].
            return
        self._begun = True
        if self._encoding != "identity":
            raise BackendError(
                "the answer is compressed, although that was not requested", kind="protocol"
            )
        if self._status >= 300:
            async for data in self._start_of_error():
                yield data
            return
        if self._status != httpx2.codes.OK:
            raise BackendError(
                f"HTTP {self._status} holds no answer", kind=f"http {self._status}"
            )
        start, is_object, tail = b"", None, b""
        async for data in self._limited():
            if is_object is not False:
                start += data
                is_object = _is_object(start)
                if is_object is not False:
                    continue
                data = start.lstrip(_BLANK)
            tail = (tail + data)[-max(len(data), 64) - 16 :]
            self.is_whole = _DONE.search(tail) is not None
            yield data
            if self.is_whole:
                return
        if is_object is not False:
            self.is_whole = True
            # No string of JSON holds a line break.
            one_line = start.lstrip(_BLANK).replace(b"\r", b" ").replace(b"\n", b" ")
            if not one_line:
                raise BackendError("the answer is empty, not even JSON", kind="not json")
            yield b"data: " + one_line + b"\n\n"

    async def _limited(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._inner:
            size += len(data)
            if size > self._max_bytes:
                raise BackendError(
                    f"the answer is longer than {self._max_bytes} bytes (endpoint.max_bytes)",
                    kind="too long",
                )
            yield data

    async def _start_of_error(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for data in self._inner:
                yield data[: _MOST_REASON - size]
                size += len(data)
                if size >= _MOST_REASON:
                    return
        except httpx2.HTTPError:
            # The status says enough.
            return


_BLANK: Final = b"\xef\xbb\xbf \t\r\n"


def _is_object(start: bytes) -> bool | None:
    """Whether a body is one object, and no stream; None while that is not known."""
    start = start.lstrip(_BLANK)
    if start.startswith(b"<"):
        raise BackendError(
            "the answer is a web page, not a chat answer; check endpoint.base_url", kind="html"
        )
    if not start:
        return None
    if start.startswith(b"{"):
        return True
    if not any(name.startswith(start[:6]) or start.startswith(name) for name in _FIELDS):
        raise BackendError(
            "the answer is neither JSON nor a stream of it; check endpoint.base_url",
            kind="not json",
        )
    return False


class ChatAnswer:
    """Takes the chunks as they come and gives the words when they are all there."""

    def __init__(self, reasons: Reasons, max_tokens: int) -> None:
        """Set up.

        Args:
            reasons: reads the endpoint's own errors.
            max_tokens: what the answer was limited to, for messages.
        """
        self._reasons = reasons
        self._max_tokens = max_tokens
        self._pieces: list[str] = []
        self._choices = False
        self._thoughts = self._tool_call = self._refusal = False
        self._given = 0
        self.why_ended = ""
        """The endpoint's reason; "" while more may come."""
        self.thinks_aloud = False
        """Thoughts were among the words; known once `text` was asked for."""

    def news(self) -> str:
        """What has come since this was last asked, as it was sent."""
        new, self._given = self._pieces[self._given :], len(self._pieces)
        return "".join(new)

    def add(self, chunk: Any) -> None:
        """Take a chunk as the `openai` package gives it.

        Raises:
            BackendError: kind "not json" or "error".
        """
        if not hasattr(chunk, "to_dict"):
            raise BackendError("the answer is not a JSON object", kind="not json")
        content = chunk.to_dict(warnings=False)
        if content.get("error"):
            raise BackendError(
                f"the endpoint reports: {self._reasons.of(content) or 'an error'}",
                kind="error",
            )
        for choice in _first_choice(content):
            self._choices = True
            for part in ("delta", "message"):
                message = choice.get(part)
                if isinstance(message, dict):
                    self._take(message)
            if isinstance(choice.get("text"), str):
                self._pieces.append(choice["text"])
            why = choice.get("finish_reason")
            # Some servers send an empty one, or the word 'null', with every piece.
            if isinstance(why, str) and why.strip().lower() not in ("", "null", "none"):
                self.why_ended = why

    def _take(self, message: dict[str, Any]) -> None:
        self._pieces.extend(self._texts(message.get("content")))
        for name in ("reasoning_content", "reasoning", "thinking", "thought"):
            self._thoughts = self._thoughts or bool(message.get(name))
        self._tool_call = self._tool_call or bool(
            message.get("tool_calls") or message.get("function_call")
        )
        self._refusal = self._refusal or bool(message.get("refusal"))

    def _texts(self, content: Any) -> Iterator[str]:
        """The text of a content: a string, or a list of parts, of which some are thoughts."""
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else ():
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict):
                kind = str(part.get("type", "text"))
                if kind in ("thinking", "reasoning", "redacted_thinking"):
                    self._thoughts = True
                elif kind == "refusal":
                    self._refusal = True
                elif isinstance(part.get("text"), str):
                    yield part["text"]

    def text(self, *, is_whole: bool) -> str:
        """The words to say, once all has come.

        Args:
            is_whole: the endpoint said that nothing more comes.

        Raises:
            BackendError: kind "no choices", "cut off", "filtered", "thoughts", "tool call",
                "refusal" or "empty".
        """
        if not self._choices:
            raise BackendError(
                "the answer has no 'choices'; check endpoint.base_url", kind="no choices"
            )
        if not is_whole and not self.why_ended:
            raise BackendError("the stream ended before the answer did", kind="cut off")
        if self.why_ended == "content_filter":
            raise BackendError(
                "the endpoint's content filter withheld the answer", kind="filtered"
            )
        cut_off = self.why_ended in ("length", "max_tokens", "model_length")
        speech = speech_of("".join(self._pieces), cut_off=cut_off)
        self.thinks_aloud = speech.thoughts
        if speech.text:
            return speech.text
        if self._thoughts or speech.thoughts:
            raise BackendError(self._only_thoughts(cut_off), kind="thoughts")
        if self._tool_call or speech.tool_call:
            raise BackendError(
                "the model calls a tool, although none is offered; use another model "
                "(endpoint.model)",
                kind="tool call",
            )
        if self._refusal:
            raise BackendError("the model refuses to answer (endpoint.model)", kind="refusal")
        if cut_off:
            raise BackendError(
                f"the answer is empty after {self._max_tokens} tokens: raise "
                "endpoint.max_tokens",
                kind="empty",
            )
        if "".join(self._pieces).strip():
            raise BackendError(
                "the answer contains nothing to say, only marks, emoji or code (dialog.role "
                "tells the model how to answer)",
                kind="empty",
            )
        raise BackendError(
            "the answer is empty; try another model (endpoint.model)", kind="empty"
        )

    def _only_thoughts(self, cut_off: bool) -> str:
        if cut_off:
            return (
                f"the model used all {self._max_tokens} tokens for thinking: raise "
                "endpoint.max_tokens, or turn its thinking off"
            )
        return (
            "the answer contains only the model's thoughts: turn its thinking off, or use "
            "another model (endpoint.model)"
        )


def _first_choice(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = content.get("choices")
    if isinstance(choices, list):
        yield from [item for item in choices if isinstance(item, dict)][:1]


# --- what an endpoint says of its failure, without what must not get into logs

_LONGEST: Final = 200
_RUN: Final = 3
"""So many words in a row are taken for those of the conversation."""


class Reasons:
    """Reads error objects; some endpoints repeat in them what they were sent."""

    def __init__(self, key: str, messages: Sequence[Message]) -> None:
        """Set up.

        Args:
            key: the endpoint's key; "" for none.
            messages: of the conversation.
        """
        self._key = key
        self._runs = {run for message in messages for run in _runs(tokens(message.content))}

    def of(self, content: object) -> str:
        """The reason in one line of at most 200 characters.

        Args:
            content: the parsed body.

        Returns:
            "" where there is none, or where it repeats the conversation.
        """
        error = content.get("error", content) if isinstance(content, dict) else content
        message = error.get("message") if isinstance(error, dict) else error
        if not isinstance(message, str):
            return ""
        if self._key:
            message = message.replace(self._key, "(not shown)")
        if not self._runs.isdisjoint(_runs(tokens(message), shorter=True)):
            return ""
        return printable(message)[:_LONGEST]


def _runs(words: Sequence[str], *, shorter: bool = False) -> Iterator[tuple[str, ...]]:
    """Every few words in a row; all of them where there are fewer.

    Args:
        words: of a text.
        shorter: give those of fewer words, too.
    """
    for length in range(1 if shorter else min(_RUN, max(len(words), 1)), _RUN + 1):
        for start in range(len(words) - length + 1):
            yield tuple(words[start : start + length])
