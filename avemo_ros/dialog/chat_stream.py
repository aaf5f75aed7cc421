"""The body of a chat endpoint's answer: server-sent events or one JSON object.

What came is told by its first sign, not by its header: endpoints answer a request for a stream
with one object, and the other way round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from avemo_ros.dialog.back_end import BackEndError
from avemo_ros.dialog.reasons import Reasons

_DONE: Final = "[DONE]"
_THOUGHT: Final = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
"""Reasoning models served without a parser think aloud; the robot must not say it."""
_LAST_STOP: Final = re.compile(r".*[.!?\u2026\u3002](?=[\s\"')\u201d\u2019]|\Z)", re.DOTALL)


class ChatStream:
    """Takes the bytes as they come and gives the text when they are all there."""

    def __init__(self, max_bytes: int, reasons: Reasons) -> None:
        """Set up.

        Args:
            max_bytes: more than this is no answer; at least 1.
            reasons: reads the endpoint's own errors.
        """
        self._reasons = reasons
        self._max_bytes = max_bytes
        self._size = 0
        self._waiting = b""
        self._events: list[bytes] | None = None
        """Data lines of the event that is not complete yet; None while the kind is not known
        or the body is one object."""
        self._pieces: list[str] = []
        self._choices = False
        self._why_ended = ""
        self.complete = False
        """The endpoint said that nothing more comes."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            BackEndError: kind "too long", "html", "not json", "not utf-8" or "error".
        """
        self._size += len(data)
        if self._size > self._max_bytes:
            raise BackEndError(
                f"the answer is longer than {self._max_bytes} bytes", kind="too long"
            )
        self._waiting += data
        if self._events is None:
            start = self._waiting.lstrip(b"\xef\xbb\xbf \t\r\n")
            if start.startswith(b"<"):
                raise BackEndError("the answer is a web page, not a chat answer", kind="html")
            if not start or start.startswith(b"{"):
                return
            if not any(
                name.startswith(start[:6]) or start.startswith(name) for name in _FIELDS
            ):
                raise BackEndError(
                    "the answer is neither JSON nor a stream of it", kind="not json"
                )
            self._events = []
            self._waiting = start
        *lines, self._waiting = self._waiting.split(b"\n")
        for line in lines:
            self._take(line.rstrip(b"\r"))

    def text(self) -> str:
        """The answer, once the body has ended.

        Raises:
            BackEndError: kind "not json", "not utf-8", "no choices", "cut off", "filtered",
                "empty" or "error".
        """
        if self._events is None:
            self._add(self._parsed(self._waiting), "message")
        else:
            self._take(self._waiting.rstrip(b"\r"))
            self._take(b"")
        if not self._choices:
            raise BackEndError("the answer holds no 'choices'", kind="no choices")
        if self._events is not None and not self.complete:
            raise BackEndError("the stream ended before the answer did", kind="cut off")
        if self._why_ended == "content_filter":
            raise BackEndError("the endpoint's filter kept the answer back", kind="filtered")
        text = _THOUGHT.sub("", "".join(self._pieces)).strip()
        if self._why_ended == "length" and (whole := _LAST_STOP.match(text)):
            text = whole[0]
        if not text:
            raise BackEndError("the answer is empty", kind="empty")
        return text

    def _take(self, line: bytes) -> None:
        """One line of a stream; an empty one ends an event."""
        assert self._events is not None
        if line.startswith(b"data:"):
            self._events.append(line[5:].removeprefix(b" "))
        elif not line and self._events:
            event, self._events = b"\n".join(self._events), []
            if event.strip() == _DONE.encode():
                self.complete = True
            else:
                self._add(self._parsed(event), "delta")

    def _add(self, content: dict[str, Any], part: str) -> None:
        if content.get("error"):
            raise BackEndError(
                f"the endpoint reports: {self._reasons.of(content) or 'an error'}",
                kind="error",
            )
        for choice in _choices(content):
            self._choices = True
            said = choice.get(part)
            text = said.get("content") if isinstance(said, dict) else None
            if isinstance(text, str):
                self._pieces.append(text)
            if isinstance(choice.get("finish_reason"), str):
                self._why_ended = choice["finish_reason"]
                self.complete = True

    @staticmethod
    def _parsed(data: bytes) -> dict[str, Any]:
        try:
            content = json.loads(data.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise BackEndError("the answer is not UTF-8 text", kind="not utf-8") from None
        except (ValueError, RecursionError):
            raise BackEndError("the answer is no valid JSON", kind="not json") from None
        if not isinstance(content, dict):
            raise BackEndError("the answer is no JSON object", kind="not json")
        return content


_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How a line of a stream may begin."""


def _choices(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first choice, where there is one."""
    choices = content.get("choices")
    if isinstance(choices, list):
        yield from [item for item in choices if isinstance(item, dict)][:1]
