"""Any OpenAI-compatible chat endpoint as back end, by the `openai` package.

Ollama, llama.cpp, vLLM and hosted services are asked alike.  Words and emotions go to the
configured host and to no other: no redirect is followed, and neither proxies nor accounts are
taken from the environment.  The key is read from the environment for each request; it is never
kept, logged or named in an error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import AsyncIterator, Coroutine, Generator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

import httpx2
import openai
import openai.resources.chat.completions  # here, so as not to take from the first deadline

from avemo_ros.dialog.chat_answer import ChatAnswer, GuardedBody, Reasons
from avemo_ros.dialog.dialog_config import EndpointConfig
from avemo_ros.dialog.responder import BackendError, Message
from avemo_ros.errors import ConfigError

# They write requests and answers with headers and words, in which the key may be.
for _name in ("openai", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_GRACE_S: Final = 0.5
"""The caller goes on this long after the deadline at the latest, whatever the request does."""
_LINGER_S: Final = 0.5
"""An endpoint that has said why it ended, but not that it is done, may send this much later."""
_LOAD_BACKOFF_S: Final = 1.0
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_LOST: Final = re.compile("disconnected|closed connection")
"""In httpx2's words an end too early is a breach of protocol, too."""
_HEADERS: Final = frozenset(
    {"host", "content-type", "content-length", "connection", "user-agent"}
)
"""What is sent of the package's headers; the others describe this computer."""


class ChatClient:
    """Asks one model at one endpoint; may be used by several threads."""

    def __init__(self, config: EndpointConfig) -> None:
        """Set up; nothing is sent yet.

        Raises:
            ConfigError: no model is named, or `ca_file` holds no certificates.
        """
        if not config.model:
            raise ConfigError("endpoint.model", "", "the name of a model at this endpoint")
        self._config = config
        for name in ("base_url", "proxy"):
            try:
                httpx2.URL(getattr(config, name))
            except httpx2.InvalidURL as error:
                raise ConfigError(
                    f"endpoint.{name}", getattr(config, name), f"an address ({error})"
                ) from error
        self._tls = httpx2.create_ssl_context(trust_env=False)
        if config.ca_file:
            try:
                self._tls.load_verify_locations(config.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    "endpoint.ca_file", config.ca_file, "a PEM file of certificates"
                ) from error
        self._background = _Background()
        weakref.finalize(self, self._background.stop)
        self._running: set[Future[Any]] = set()
        self._loading: Future[None] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._thinks_aloud: bool | None = None
        """Whether the newest answer held thoughts among its words; None before the first."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self._config.model

    @property
    def is_loading(self) -> bool:
        """Whether the endpoint is being asked to load the model."""
        return self._loading is not None and not self._loading.done()

    def __repr__(self) -> str:
        return f"ChatClient({self._config.model!r} at {self._config.host})"

    def complete(self, messages: Sequence[Message]) -> str:
        """The model's answer to a conversation.

        Args:
            messages: oldest first.

        Returns:
            Clean speech, not empty, as `speech_text.speech_of` gives it; one that the limit of
            tokens cut ends with its last whole sentence.

        Raises:
            BackendError: there is no answer; at the latest half a second after `deadline_s`,
                even where the endpoint drips a byte a second or a name is not resolved.
        """
        answer = self.stream(messages)
        while True:
            try:
                next(answer)
            except StopIteration as end:
                return str(end.value)

    def stream(self, messages: Sequence[Message]) -> Generator[str, None, str]:
        """The same, piece by piece as the model sends it; returns what `complete` returns.

        The first answer comes in one: it shows whether the model thinks aloud among its words,
        and which are thoughts may be known at the end only.  Of one that does nothing is given
        early.  Once a piece was given, the request is not tried again.

        Args:
            messages: oldest first.

        Raises:
            BackendError: as for `complete`.
        """
        config = self._config
        pieces: SimpleQueue[str | None] = SimpleQueue()
        asked = _Asked(_key(config), tuple(messages), config.max_tokens)
        if config.stream and self._thinks_aloud is False:
            asked = replace(asked, pieces=pieces)
        deadline_s = config.deadline_s
        end_s = time.monotonic() + deadline_s + _GRACE_S
        running = self._start(self._with_retries(asked, deadline_s, config.retries))
        running.add_done_callback(lambda _: pieces.put(None))
        try:
            while (piece := pieces.get(timeout=max(0.0, end_s - time.monotonic()))) is not None:
                yield piece
            return str(running.result(0.0))
        except (Empty, FutureTimeoutError):
            self.load()
            raise self._late(deadline_s) from None
        except BackendError as error:
            if error.kind == "timeout":
                # It may be loading the model, and stop doing so when nobody waits for it.
                self.load()
            raise
        except CancelledError:
            raise BackendError("the request was cancelled", kind="cancelled") from None
        finally:
            running.cancel()

    def load(self) -> Future[None] | None:
        """Have the endpoint load the model, in the background; no words are sent.

        Servers load a model at the first request, and some stop loading it when the one who
        asks leaves.  So this request waits for up to `endpoint.load_timeout_s`.

        Returns:
            Done when the model has answered; its exception is the BackendError that says why
            not.  None: `load_timeout_s` is 0, the endpoint is closed, or the key is none.
        """
        config = self._config
        with self._lock:
            if self._closed or config.load_timeout_s <= 0:
                return None
            if self._loading is not None and not self._loading.done():
                return self._loading
        try:
            asked = _Asked(_key(config), (Message("user", "Hello"),), 1, loading=True)
            self._loading = self._start(self._load(asked))
        except BackendError:
            return None
        return self._loading

    def close(self) -> None:
        """End the requests that are under way; further ones are refused."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for request in running:
            request.cancel()
        self._background.stop()

    def _start(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        with self._lock:
            if self._closed:
                work.close()
                raise BackendError("the endpoint is closed", kind="cancelled")
            running = self._background.start(work)
            self._running.add(running)
        running.add_done_callback(self._running.discard)
        return running

    async def _load(self, asked: _Asked) -> None:
        await self._with_retries(asked, self._config.load_timeout_s, retries=None)

    def _late(self, deadline_s: float) -> BackendError:
        return BackendError(
            f"{self._config.host}: no answer within {deadline_s:g} s (endpoint.deadline_s); "
            "if the model is still loading, later answers will come from it",
            kind="timeout",
        )

    async def _with_retries(self, asked: _Asked, deadline_s: float, retries: int | None) -> str:
        """The answer; `retries` None: as long as there is time."""
        failures: list[BackendError] = []
        tries = self._tries(asked, deadline_s, retries, failures)
        try:
            return await asyncio.wait_for(tries, deadline_s)
        except asyncio.TimeoutError:
            if failures:
                raise failures[-1] from None
            if asked.loading:
                raise BackendError(
                    f"{self._config.host}: model '{self._config.model}' was not loaded within "
                    f"{deadline_s:g} s (endpoint.load_timeout_s)",
                    kind="timeout",
                ) from None
            raise self._late(deadline_s) from None

    async def _tries(
        self,
        asked: _Asked,
        deadline_s: float,
        retries: int | None,
        failures: list[BackendError],
    ) -> str:
        config = self._config
        now = asyncio.get_running_loop().time
        end = now() + deadline_s
        silence_s = deadline_s if asked.loading else config.read_timeout_s
        http = httpx2.AsyncClient(
            verify=self._tls,
            proxy=config.proxy or None,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(silence_s, connect=config.connect_timeout_s),
            event_hooks={
                "request": [_Headers(asked.key)],
                "response": [GuardedBody.install(config.max_bytes)],
            },
        )
        async with http:
            wait, left = config.backoff_s, retries
            while True:
                try:
                    return await self._once(http, asked)
                except _TryAgainError as again:
                    failures.append(again.error)
                    pause = wait if again.after_s is None else again.after_s
                    if left == 0 or asked.is_begun or now() + pause >= end:
                        raise again.error from None
                await asyncio.sleep(pause)
                if left is None:
                    wait = min(2 * wait, _LOAD_BACKOFF_S)
                else:
                    wait, left = 2 * wait, left - 1

    async def _once(self, http: httpx2.AsyncClient, asked: _Asked) -> str:
        config = self._config
        client = openai.AsyncOpenAI(
            # Without one nothing is sent: see _Headers.
            api_key=asked.key or "none",
            base_url=config.base_url,
            http_client=http,
            max_retries=0,
            organization="",
            project="",
        )
        extra: dict[str, Any] = {"stream": config.stream, config.limit_field: asked.max_tokens}
        if config.temperature >= 0:
            extra["temperature"] = config.temperature
        try:
            stream = await client.chat.completions.create(
                model=config.model,
                messages=[_sendable(item) for item in asked.messages],
                # One way to read for both; what is sent is in `extra`.
                stream=True,
                extra_body=extra,
                timeout=http.timeout,
            )
            return await self._read(stream, asked)
        # Their texts may hold what the endpoint sent, and so what it was sent: not chained.
        except openai.APIStatusError as error:
            raise self._refused(error, asked) from None
        except openai.APIConnectionError as error:
            raise self._broken(error.__cause__ or error) from None
        except openai.APIError as error:
            reason = asked.reasons.of(error.body) or "an error"
            raise BackendError(f"the endpoint reports: {reason}", kind="error") from None
        except httpx2.HTTPError as error:
            raise self._broken(error) from None
        except UnicodeDecodeError:
            raise BackendError("the answer is not UTF-8 text", kind="not utf-8") from None
        except (ValueError, RecursionError):
            raise BackendError(
                "the answer is not valid JSON; check endpoint.base_url", kind="not json"
            ) from None

    async def _read(self, stream: openai.AsyncStream[Any], asked: _Asked) -> str:
        answer = ChatAnswer(asked.reasons, asked.max_tokens)
        body = GuardedBody.of(stream.response)
        chunks: AsyncIterator[Any] = stream.__aiter__()
        try:
            while True:
                wait_s = _LINGER_S if answer.why_ended else None
                try:
                    chunk = await asyncio.wait_for(anext(chunks), wait_s)
                except StopAsyncIteration:
                    break
                except (asyncio.TimeoutError, httpx2.HTTPError):
                    if answer.why_ended:
                        break
                    raise
                answer.add(chunk)
                if asked.loading:
                    return ""
                asked.give(answer.news())
        finally:
            with suppress(Exception):
                await stream.close()
        try:
            return answer.text(is_whole=body.is_whole)
        finally:
            self._thinks_aloud = answer.thinks_aloud

    def _broken(self, error: BaseException) -> BackendError | _TryAgainError:
        """What a fault of the connection means."""
        config, where = self._config, self._config.host
        if isinstance(error, BackendError):
            return error
        if isinstance(error, httpx2.ConnectTimeout):
            text = f"{where} cannot be reached within {config.connect_timeout_s:g} s"
            return BackendError(f"{text} (endpoint.connect_timeout_s)", kind="timeout")
        if isinstance(error, (httpx2.TimeoutException, openai.APITimeoutError)):
            return BackendError(
                f"{where} sent nothing for {config.read_timeout_s:g} s "
                "(endpoint.read_timeout_s); if the model is still loading, later answers "
                "will come from it",
                kind="timeout",
            )
        if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
            return BackendError(
                f"{where} cannot be reached (endpoint.base_url): {error}", kind="refused"
            )
        if isinstance(error, (httpx2.NetworkError, httpx2.RemoteProtocolError)):
            if isinstance(error, httpx2.NetworkError) or _LOST.search(str(error)):
                closed = BackendError(f"{where} closed the connection", kind="closed")
                return _TryAgainError(closed, None)
            text = f"{where} does not speak proper HTTP; check endpoint.base_url"
            return BackendError(text, kind="protocol")
        return BackendError(f"{where}: {type(error).__name__}", kind="protocol")

    def _refused(
        self, error: openai.APIStatusError, asked: _Asked
    ) -> BackendError | _TryAgainError:
        """What an HTTP status other than 200 means."""
        config, code = self._config, error.status_code
        if 300 <= code < 400:
            text = "it redirects, which is not followed; use the final address"
            return BackendError(
                f"{config.host}: HTTP {code}: {text} as endpoint.base_url", kind="redirect"
            )
        reason = asked.reasons.of(error.body)
        key = f"{config.key_name} (endpoint.key_variable)"
        known = {
            401: f"it needs a valid key in {key}",
            403: f"the key in {key} does not permit this",
            404: f"wrong endpoint.base_url, or no model '{config.model}' (endpoint.model)",
            429: "too many requests",
        }
        parts = (known.get(code, ""), reason, _setting_for(reason))
        text = "; ".join(filter(None, parts)) or "failed"
        refused = BackendError(f"{config.host}: HTTP {code}: {text}", kind=f"http {code}")
        if code in _AGAIN:
            return _TryAgainError(
                refused, _seconds(error.response.headers.get("retry-after", ""))
            )
        return refused


_SETTINGS: Final = (
    (r"max_completion_tokens", "set endpoint.limit_field to max_completion_tokens"),
    (r"temperature", "set endpoint.temperature to -1"),
    (r"context|prompt (?:is )?too long", "lower dialog.max_memory, dialog.max_turns or "
     "endpoint.max_tokens, or serve the model with a longer context"),
    (r"system role", "use another model (endpoint.model): this one accepts no system message"),
    (r"\bmodel\b.*\bnot (?:found|exist)|no such model", "check endpoint.model"),
)  # fmt: skip


def _setting_for(reason: str) -> str:
    """The setting that helps against what an endpoint says."""
    for pattern, advice in _SETTINGS:
        if re.search(pattern, reason, re.IGNORECASE):
            return advice
    return ""


@dataclass(frozen=True, slots=True, repr=False)
class _Asked:
    """One request, the same in every try."""

    key: str
    messages: tuple[Message, ...]
    max_tokens: int
    loading: bool = False
    """Any answer will do."""
    pieces: SimpleQueue[str | None] | None = None
    """Takes the pieces of the answer as they come; None: nobody wants them."""
    _begun: list[bool] = field(default_factory=list)

    @property
    def is_begun(self) -> bool:
        """A piece was given: what another try would send could not go on from there."""
        return bool(self._begun)

    def give(self, piece: str) -> None:
        """Hand a piece on."""
        if self.pieces is not None and piece:
            self._begun.append(True)
            self.pieces.put(piece)

    @property
    def reasons(self) -> Reasons:
        return Reasons(self.key, self.messages)


class _TryAgainError(Exception):
    """It may go better in a while."""

    def __init__(self, error: BackendError, after_s: float | None) -> None:
        super().__init__()
        self.error = error
        self.after_s = after_s


class _Headers:
    """Sends no header that says more than it has to."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def __call__(self, request: httpx2.Request) -> None:
        for name in list(request.headers):
            if name.lower() not in _HEADERS:
                del request.headers[name]
        request.headers["User-Agent"] = "avemo_ros"
        request.headers["Accept"] = "text/event-stream, application/json"
        # Nothing that a few bytes could blow up.
        request.headers["Accept-Encoding"] = "identity"
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"


def _key(config: EndpointConfig) -> str:
    name = config.key_variable
    key = os.environ.get(name, "").strip() if name else ""
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise BackendError(f"the content of {config.key_name} cannot be a key", kind="key")
    return key


def _sendable(message: Message) -> Any:
    # JSON in UTF-8 has no lone surrogates.
    content = message.content.encode("utf-8", "replace").decode()
    return {"role": message.role, "content": content}


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


class _Background:
    """An event loop in a thread of its own, so that nobody waits longer than he wants to."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run it; the first call starts the thread."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # In place of the loop's own threads, for which its end waits.
            self._loop.getaddrinfo = _SharedLookups().getaddrinfo  # type: ignore[method-assign]
            threading.Thread(
                target=_run, args=(self._loop,), name="dialog-endpoint", daemon=True
            ).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """End the thread once what was cancelled has ended."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(_end_all(loop))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _end_all(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _SharedLookups:
    """Name lookups that cannot pile up: a resolver that hangs holds one thread, not one a
    request.

    The system's lookup cannot be ended.  Those who ask for the same name share one, and once
    somebody has given up on it, later ones are refused at once until it comes back.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[Any, ...], _Lookup] = {}

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
        lookup = self._running.get(asked)
        if lookup is not None and lookup.found.done():
            lookup = None
        if lookup is None:
            lookup = self._running[asked] = _Lookup()
            threading.Thread(
                target=_look_up, args=(asked, lookup.found), name="dialog-name", daemon=True
            ).start()
        elif lookup.given_up:
            raise socket.gaierror(socket.EAI_AGAIN, "the lookup of its name does not end")
        found = asyncio.wrap_future(lookup.found)
        try:
            # Who gives up must not end it for the others.
            return await asyncio.shield(found)
        except asyncio.CancelledError:
            lookup.given_up = True
            # What comes of it is nobody's any more.
            found.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise


def _look_up(asked: tuple[Any, ...], found: Future[Any]) -> None:
    try:
        found.set_result(socket.getaddrinfo(*asked))
    except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
        found.set_exception(error)


@dataclass(eq=False)
class _Lookup:
    found: Future[Any] = field(default_factory=Future)
    given_up: bool = False
    """Somebody did not want to wait for it any longer."""
