"""Any OpenAI-compatible chat endpoint as back end: Ollama, llama.cpp, vLLM, hosted ones.

Words and emotions go to the configured host and to no other: no redirect is followed, and no
proxy is taken from the environment.  The key is read from the environment for each request; it
is never kept, logged or named in an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from avemo_ros.dialog.back_end import BackEndError, Message
from avemo_ros.dialog.chat_stream import ChatStream
from avemo_ros.dialog.detached import Detached
from avemo_ros.dialog.endpoint_config import EndpointConfig
from avemo_ros.dialog.names import Names
from avemo_ros.dialog.reasons import Reasons
from avemo_ros.errors import ConfigError

# They write the headers of requests and answers, in which the key may be.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_GRACE_S: Final = 0.5
"""The caller goes on this long after the deadline at the latest, whatever the request does."""
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_LOST: Final = re.compile("disconnected|closed connection")
"""In httpx's words an end too early is a breach of protocol, too."""
_MOST_REASON: Final = 4096
"""Bytes of an error's body that are looked at."""


class Endpoint:
    """Asks one model at one endpoint; may be used by several threads."""

    def __init__(self, config: EndpointConfig) -> None:
        """Set up; nothing is sent yet.

        Raises:
            ConfigError: no model is named, or `ca_file` holds no certificates.
        """
        if not config.model:
            raise ConfigError("endpoint.model", "", "the name of a model that is served there")
        self._config = config
        self._url = f"{config.base_url.rstrip('/')}/chat/completions"
        self._tls = httpx.create_ssl_context(trust_env=False)
        if config.ca_file:
            try:
                self._tls.load_verify_locations(config.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    "endpoint.ca_file", config.ca_file, "a PEM file of certificates"
                ) from error
        self._names = Names()
        self._running: set[Detached] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self._config.model

    def __repr__(self) -> str:
        return f"Endpoint({self._config.model!r} at {self._config.host})"

    def complete(self, messages: Sequence[Message]) -> str:
        """The model's answer to a conversation.

        Args:
            messages: oldest first.

        Returns:
            The text, not empty, without the model's thoughts; one that the limit of tokens cut
            ends with its last whole sentence.

        Raises:
            BackEndError: there is no answer; at the latest half a second after `deadline_s`,
                even where the endpoint drips a byte a second or a name is not resolved.
        """
        key = self._key()
        asked = _Asked(self._body(messages), _headers(key), Reasons(key, messages))
        running = Detached(self._within_deadline(asked))
        with self._lock:
            if self._closed:
                running.drop()
                raise BackEndError("the endpoint is no longer asked", kind="cancelled")
            self._running.add(running)
        try:
            return running.result(self._config.deadline_s + _GRACE_S)
        except FutureTimeoutError:
            raise self._late() from None
        finally:
            running.cancel()
            with self._lock:
                self._running.discard(running)

    def close(self) -> None:
        """End the requests that are under way; further ones are refused."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for request in running:
            request.cancel()

    def _body(self, messages: Sequence[Message]) -> bytes:
        config = self._config
        content: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": item.role, "content": item.content} for item in messages],
            "stream": config.stream,
            config.limit_field: config.max_tokens,
        }
        if config.temperature >= 0:
            content["temperature"] = config.temperature
        return json.dumps(content).encode("ascii")

    def _key(self) -> str:
        name = self._config.key_variable
        key = os.environ.get(name, "").strip() if name else ""
        if not re.fullmatch(r"[\x21-\x7e]*", key):
            raise BackEndError(f"what ${name} holds cannot be a key", kind="key")
        return key

    async def _within_deadline(self, asked: _Asked) -> str:
        self._names.serve(asyncio.get_running_loop())
        try:
            return await asyncio.wait_for(self._with_retries(asked), self._config.deadline_s)
        except asyncio.TimeoutError:
            raise self._late() from None
        except asyncio.CancelledError:
            raise BackEndError("the request was ended", kind="cancelled") from None

    def _late(self) -> BackEndError:
        return BackEndError(
            f"{self._config.host}: no answer within {self._config.deadline_s:g} s",
            kind="timeout",
        )

    async def _with_retries(self, asked: _Asked) -> str:
        config = self._config
        now = asyncio.get_running_loop().time
        end = now() + config.deadline_s
        client = httpx.AsyncClient(
            verify=self._tls,
            proxy=config.proxy or None,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(config.read_timeout_s, connect=config.connect_timeout_s),
        )
        async with client:
            wait = config.backoff_s
            for left in reversed(range(config.retries + 1)):
                try:
                    return await self._once(client, asked)
                except _TryAgainError as again:
                    pause = wait if again.after_s is None else again.after_s
                    if left == 0 or now() + pause >= end:
                        raise again.error from None
                await asyncio.sleep(pause)
                wait *= 2
        raise AssertionError("the last try returns or raises")

    async def _once(self, client: httpx.AsyncClient, asked: _Asked) -> str:
        where = self._config.host
        try:
            request = client.stream(
                "POST", self._url, content=asked.body, headers=asked.headers
            )
            async with request as response:
                if response.status_code != httpx.codes.OK:
                    await self._refuse(response, asked.reasons)
                return await self._read(response, asked.reasons)
        # Their texts may hold what the endpoint sent, and so what it was sent: not chained.
        except httpx.ConnectTimeout:
            raise BackEndError(f"{where} cannot be reached in time", kind="timeout") from None
        except httpx.TimeoutException:
            raise BackEndError(f"{where} is silent for too long", kind="timeout") from None
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise BackEndError(f"{where} cannot be reached: {error}", kind="refused") from None
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            if isinstance(error, httpx.NetworkError) or _LOST.search(str(error)):
                closed = BackEndError(f"{where} closed the connection", kind="closed")
                raise _TryAgainError(closed, None) from None
            raise BackEndError(f"{where} does not speak proper HTTP", kind="protocol") from None
        except httpx.HTTPError as error:
            raise BackEndError(f"{where}: {type(error).__name__}", kind="protocol") from None

    async def _read(self, response: httpx.Response, reasons: Reasons) -> str:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise BackEndError(
                "the answer is compressed, which was not asked for", kind="protocol"
            )
        stream = ChatStream(self._config.max_bytes, reasons)
        async for data in response.aiter_raw():
            stream.feed(data)
            if stream.complete:
                break
        return stream.text()

    async def _refuse(self, response: httpx.Response, reasons: Reasons) -> None:
        """Raise what an answer other than 200 means."""
        code = response.status_code
        kind = f"http {code}"
        if 300 <= code < 400:
            text = "it redirects, which is not followed; give its final address as base_url"
            raise BackEndError(f"{self._config.host}: HTTP {code}: {text}", kind="redirect")
        error = BackEndError(
            f"{self._config.host}: HTTP {code}: {await self._reason(response, reasons)}",
            kind=kind,
        )
        if code in _AGAIN:
            raise _TryAgainError(error, _seconds(response.headers.get("retry-after", "")))
        raise error

    async def _reason(self, response: httpx.Response, reasons: Reasons) -> str:
        """What is wrong, in our words and in the endpoint's."""
        config = self._config
        start = b""
        with suppress(httpx.HTTPError):
            async for data in response.aiter_raw():
                start += data
                if len(start) > _MOST_REASON:
                    break
        said = ""
        with suppress(ValueError, RecursionError):
            said = reasons.of(json.loads(start[:_MOST_REASON]))
        known = {
            401: f"it wants a valid key in ${config.key_variable or 'a variable'}",
            403: f"the key in ${config.key_variable or 'a variable'} is not allowed to do this",
            404: f"wrong base_url, or no model '{config.model}'",
            429: "too many requests",
        }
        return ": ".join(filter(None, (known.get(response.status_code, ""), said))) or "failed"


@dataclass(frozen=True, slots=True, repr=False)
class _Asked:
    """One request, the same in every try."""

    body: bytes
    headers: dict[str, str]
    reasons: Reasons


class _TryAgainError(Exception):
    """It may go better in a while."""

    def __init__(self, error: BackEndError, after_s: float | None) -> None:
        super().__init__()
        self.error = error
        self.after_s = after_s


def _headers(key: str) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream, application/json",
        # Nothing that a few bytes could blow up.
        "Accept-Encoding": "identity",
    }
    return headers | {"Authorization": f"Bearer {key}"} if key else headers


def _seconds(text: str) -> float | None:
    """A Retry-After header as a wait [s]; None where there is none that makes sense."""
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text.strip()):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
