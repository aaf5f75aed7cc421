"""The chat endpoint as back end, against a real server that misbehaves in every way."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bad_endpoint import (
    STREAM_HEAD,
    Behaviour,
    Server,
    answer,
    chunked,
    drip,
    events,
    flood,
    hang,
    raw,
    respond,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo_ros.cli.dialog_chat import DialogSettings
from avemo_ros.dialog.chat_client import ChatClient
from avemo_ros.dialog.dialog_config import EndpointConfig
from avemo_ros.dialog.responder import BackendError, Message
from avemo_ros.errors import ConfigError

KEY = "sk-secret-0123456789abcdef"
WORDS = (Message("system", "Be kind."), Message("user", "Hello \u00e9 \U0001f642"))
PATIENCE_S = 30.0
"""Far more than any deadline here that shall be reached."""
NOT_REACHED_S = 100.0
"""A limit that shall not be waited for."""


def endpoint(server: Server, **settings: Any) -> ChatClient:
    given = {"model": "tiny", "deadline_s": 20.0, "backoff_s": 0.01, "load_timeout_s": 0.0}
    given |= settings
    return ChatClient(EndpointConfig(base_url=server.url, **given))


def failure(server: Server, **settings: Any) -> BackendError:
    started = time.monotonic()
    with pytest.raises(BackendError) as caught:
        endpoint(server, **settings).complete(WORDS)
    assert time.monotonic() - started < NOT_REACHED_S
    return caught.value


# --- what goes well


@pytest.mark.parametrize(
    "behaviour",
    [
        respond(answer("I am here.")),
        respond(events("I am", " here."), kind="text/event-stream"),
        chunked(events("I ", "am", " here.").splitlines(keepends=True)),
        chunked([byte.to_bytes(1, "little") for byte in events("I am here.").encode()]),
        chunked([events("I am here.").replace("\n", "\r\n")]),
        chunked([": ping\n\n", "event: message\n", "id: 1\n", events("I am here.")]),
        chunked([events("I am here.", finish=None)]),
        chunked([events("I am here.", done=False)]),
        respond("\ufeff" + answer("I am here.")),
        respond(answer("<think>He is sad.\nSo.</think>\n I am here.")),
        respond(answer("I am here. And I will al", finish="length")),
        respond(answer("I am here."), kind="text/html"),
    ],
    ids=[
        "one object to a request for a stream",
        "a stream",
        "a stream in chunks",
        "byte by byte",
        "lines that end with CR LF",
        "comments and other fields",
        "no reason why it ended",
        "no [DONE]",
        "a byte order mark",
        "thoughts",
        "cut by the limit of tokens",
        "a wrong content type",
    ],
)
def test_the_text_comes_out_of_every_usual_answer(behaviour: Behaviour) -> None:
    with Server(behaviour) as server:
        assert endpoint(server).complete(WORDS) == "I am here."


def test_a_stream_that_said_it_is_done_is_not_waited_for() -> None:
    body = STREAM_HEAD + b"%x\r\n" % len(events("Yes.")) + events("Yes.").encode() + b"\r\n"
    with Server(hang(body)) as server:
        started = time.monotonic()
        waiting = {"deadline_s": NOT_REACHED_S, "read_timeout_s": NOT_REACHED_S}
        assert endpoint(server, **waiting).complete(WORDS) == "Yes."
        assert time.monotonic() - started < NOT_REACHED_S


def test_the_request_is_what_openai_compatible_endpoints_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with Server(respond(answer("Yes."))) as server:
        endpoint(server, key_variable="MY_KEY", max_tokens=50, temperature=0.25).complete(WORDS)
        (request,) = server.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.content == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": WORDS[1].content},
        ],
        "stream": True,
        "max_tokens": 50,
        "temperature": 0.25,
    }


def test_settings_leave_out_what_an_endpoint_does_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AVEMO_DIALOG_KEY", raising=False)
    with Server(respond(answer("Yes."))) as server:
        endpoint(
            server, stream=False, temperature=-1.0, limit_field="max_completion_tokens"
        ).complete(WORDS)
        (request,) = server.requests
    assert set(request.content) == {"model", "messages", "stream", "max_completion_tokens"}
    assert request.content["stream"] is False
    assert "authorization" not in request.headers


def test_words_that_are_no_proper_text_can_be_sent() -> None:
    with Server(respond(answer("Yes."))) as server:
        assert endpoint(server).complete([Message("user", "a\udcff\x00b")]) == "Yes."


def test_several_threads_may_ask_at_once() -> None:
    with Server(respond(answer("Yes."))) as server, ThreadPoolExecutor(4) as pool:
        back_end = endpoint(server)
        answers = list(pool.map(lambda _: back_end.complete(WORDS), range(8)))
    assert answers == ["Yes."] * 8


EVERY_PIECE = [{"delta": {"content": text}} for text in ("I ", "am", " here.")]


@pytest.mark.parametrize(
    "chunks",
    [
        [{**piece, "finish_reason": ""} for piece in EVERY_PIECE]
        + [{"delta": {"content": ""}, "finish_reason": "stop"}],
        [{**piece, "finish_reason": "null"} for piece in EVERY_PIECE],
        [{**piece, "finish_reason": "stop"} for piece in EVERY_PIECE],
        [{"delta": {"content": [{"type": "text", "text": "I am here."}]}}],
        [
            {"delta": {"content": [{"type": "thinking", "thinking": [{"text": "Hm."}]}]}},
            {"delta": {"content": [{"type": "text", "text": "I am"}, " here."]}},
        ],
        [{"delta": {"content": None, "reasoning_content": "Hm. "}}, *EVERY_PIECE],
        [{"delta": {"content": "", "reasoning": "Hm. "}}, *EVERY_PIECE],
        [{"delta": {"content": text}} for text in ("<th", "ink>Hm", ".</t", "hink>I am here.")],
        [{"message": {"content": "I am here."}, "finish_reason": "stop"}],
        [{"text": "I am here.", "finish_reason": "stop"}],
    ],
    ids=[
        "an empty finish_reason with every piece",
        "the word null with every piece",
        "stop with every piece",
        "parts",
        "parts with thoughts",
        "reasoning_content",
        "reasoning",
        "thoughts whose tags are cut",
        "a message in a stream",
        "a text completion",
    ],
)
def test_the_habits_of_servers_leave_the_answer_whole(chunks: list[dict[str, Any]]) -> None:
    stream = [f"data: {json.dumps({'choices': [chunk]})}\n\n" for chunk in chunks]
    with Server(chunked([*stream, "data: [DONE]\n\n"], pause_s=0.02)) as server:
        assert endpoint(server).complete(WORDS) == "I am here."


def test_an_endpoint_that_does_not_say_that_it_is_done_is_not_waited_for_long() -> None:
    head = events("Yes.", done=False)
    body = STREAM_HEAD + b"%x\r\n" % len(head) + head.encode() + b"\r\n"
    with Server(hang(body)) as server:
        assert endpoint(server, deadline_s=PATIENCE_S).complete(WORDS) == "Yes."


def test_nothing_but_what_is_needed_is_sent_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVEMO_DIALOG_KEY", raising=False)
    for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
        monkeypatch.setenv(f"OPENAI_{name}", KEY)
    with Server(respond(answer("Yes."))) as server:
        assert endpoint(server).complete(WORDS) == "Yes."
        (request,) = server.requests
    assert set(request.headers) == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "user-agent",
    }
    assert KEY not in str(request.headers)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=12), st.lists(st.integers(1, 12), max_size=12))
def test_how_a_stream_is_cut_never_changes_the_answer(
    bytes_: list[int], texts: list[int]
) -> None:
    text = "<think>Be **kind**.</think>**Hello** \u00e9\u4f60 \U0001f642\n- you &amp; me"
    stream = events(*_cut(text, texts)).encode()
    with Server(chunked(_cut(stream, bytes_))) as server:
        assert endpoint(server).complete(WORDS) == "Hello \u00e9\u4f60. you and me."


def _cut(whole: Any, lengths: list[int]) -> list[Any]:
    parts = []
    for length in lengths:
        parts.append(whole[:length])
        whole = whole[length:]
    return [part for part in (*parts, whole) if part]


# --- what goes badly


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (respond("<!doctype html><html>Welcome</html>", kind="text/html"), "html"),
        (respond("\n <html>", kind="application/json"), "html"),
        (respond('{"choices": [', kind="application/json"), "not json"),
        (respond("[]"), "not json"),
        (respond("null"), "not json"),
        (respond("Internal error"), "not json"),
        (respond("[" * 100_000), "not json"),
        (respond('{"a":' * 40_000), "not json"),
        (chunked(["data: {nonsense}\n\n"]), "not json"),
        (chunked(["data: 3\n\n"]), "not json"),
        (respond('{"object": "chat.completion"}'), "no choices"),
        (respond('{"choices": []}'), "no choices"),
        (respond('{"choices": "many"}'), "no choices"),
        (respond('{"choices": [null, 3]}'), "no choices"),
        (chunked(["data: {}\n\ndata: [DONE]\n\n"]), "no choices"),
        (respond('{"choices": [{}]}'), "empty"),
        (respond('{"choices": [{"message": null}]}'), "empty"),
        (respond('{"choices": [{"message": {"content": null}}]}'), "empty"),
        (respond('{"choices": [{"message": {"content": {"text": "x"}}}]}'), "empty"),
        (respond(answer("  \n ")), "empty"),
        (respond(answer("<think>I must not say this")), "thoughts"),
        (respond(""), "not json"),
        (chunked([]), "not json"),
        (chunked([events("I am", finish=None, done=False)]), "cut off"),
        (respond(answer("", finish="content_filter")), "filtered"),
        (respond(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "not utf-8"),
        (chunked([b'data: {"choices": [{"delta": {"content": "\xc3"}}]}\n\n']), "not utf-8"),
        (chunked(['data: {"error": {"message": "out of memory"}}\n\n']), "error"),
        (respond('{"error": "model is loading"}'), "error"),
        (respond("", "401 Unauthorized"), "http 401"),
        (respond('{"error": {"message": "no such model"}}', "404 Not Found"), "http 404"),
        (respond("<html>", "404 Not Found", kind="text/html"), "http 404"),
        (respond("", "429 Too Many Requests"), "http 429"),
        (respond("", "500 Internal Server Error"), "http 500"),
        (respond("", "204 No Content"), "http 204"),
        (respond("", "301 Moved Permanently", Location="/elsewhere"), "redirect"),
        (respond("x", Content_Encoding="gzip"), "protocol"),
        (raw(b""), "closed"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "closed"),
        (raw(b"220 smtp.example.org ESMTP\r\n\r\n"), "protocol"),
        (raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 500_000), "protocol"),
        (raw(STREAM_HEAD + b"zz\r\nnonsense\r\n"), "protocol"),
        (raw(STREAM_HEAD + b"-5\r\nabc\r\n"), "protocol"),
        (raw(STREAM_HEAD + b"ffffffffffffffffffff\r\ndata: "), "closed"),
        (raw(STREAM_HEAD + b"5\r\nda"), "closed"),
        (chunked([events("I am", finish=None, done=False)], end=False), "closed"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}"), "closed"),
    ],
)
def test_every_bad_answer_is_an_error_with_its_kind(behaviour: Behaviour, kind: str) -> None:
    with Server(behaviour) as server:
        error = failure(server, retries=0)
    assert error.kind == kind, error
    assert str(error)


def _message(content: Any, finish: str = "stop", **more: Any) -> Behaviour:
    said = {"role": "assistant", "content": content, **more}
    return respond(json.dumps({"choices": [{"message": said, "finish_reason": finish}]}))


@pytest.mark.parametrize(
    ("behaviour", "kind", "advice"),
    [
        (_message("", "length", reasoning="Hm."), "thoughts", "raise endpoint.max_tokens"),
        (_message(None, reasoning_content="Hm."), "thoughts", "endpoint.model"),
        (_message("<think>Hm.", "length"), "thoughts", "all 160 tokens"),
        (_message([{"type": "thinking", "thinking": "Hm."}]), "thoughts", "endpoint.model"),
        (_message(None, "tool_calls", tool_calls=[{}]), "tool call", "endpoint.model"),
        (_message('<tool_call>{"name": "x"}</tool_call>'), "tool call", "endpoint.model"),
        (_message(None, refusal="I cannot help."), "refusal", "endpoint.model"),
        (_message("", "length"), "empty", "endpoint.max_tokens"),
        (_message("\U0001f600"), "empty", "emoji"),
        (respond(events("", "", "")), "empty", "endpoint.model"),
        (respond("<html>"), "html", "endpoint.base_url"),
        (respond("{}"), "no choices", "endpoint.base_url"),
        (respond(answer("x" * 2000)), "too long", "endpoint.max_bytes"),
        (respond("", "404 Not Found"), "http 404", "endpoint.model"),
        (respond("", "401 Unauthorized"), "http 401", "endpoint.key_variable"),
        (respond("", "307 Moved", Location="/x"), "redirect", "endpoint.base_url"),
        (
            respond('{"error": {"message": "maximum context length is 512"}}', "400 Bad"),
            "http 400",
            "dialog.max_memory",
        ),
        (
            respond('{"error": {"message": "System role not supported"}}', "400 Bad"),
            "http 400",
            "endpoint.model",
        ),
        (
            respond('{"error": {"message": "use max_completion_tokens"}}', "400 Bad"),
            "http 400",
            "endpoint.limit_field",
        ),
    ],
)
def test_a_failure_names_the_setting_to_change(
    behaviour: Behaviour, kind: str, advice: str
) -> None:
    with Server(behaviour) as server:
        error = failure(server, retries=0, max_bytes=1024)
    assert error.kind == kind, error
    assert advice in str(error)


@pytest.mark.parametrize(
    ("behaviour", "given_up", "setting"),
    [
        (hang(), {"deadline_s": 0.2}, "endpoint.deadline_s"),
        (hang(), {"read_timeout_s": 0.2}, "endpoint.read_timeout_s"),
    ],
)
def test_what_is_too_late_names_the_setting(
    behaviour: Behaviour, given_up: dict[str, float], setting: str
) -> None:
    with Server(behaviour) as server:
        assert setting in str(failure(server, **given_up))


# --- loading


class Cold:
    """A model that is loaded only while somebody waits for it, as Ollama does."""

    def __init__(self, load_s: float) -> None:
        self._load_s = load_s
        self.loaded = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        connection.settimeout(self._load_s)
        if not self.loaded.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return
        self.loaded.set()
        respond(answer("Yes."))(connection)


def test_a_model_that_loads_longer_than_an_answer_may_take_is_there_for_the_next() -> None:
    cold = Cold(load_s=1.0)
    with Server(cold) as server:
        back_end = endpoint(server, deadline_s=0.2, load_timeout_s=PATIENCE_S)
        with pytest.raises(BackendError, match=r"endpoint\.deadline_s.*still loading"):
            back_end.complete(WORDS)
        assert cold.loaded.wait(PATIENCE_S)
        _until(lambda: not back_end.is_loading)
        # The words of the conversation are not in what asks for it.
        assert "Hello \u00e9" not in str(server.requests[1].content)
        assert server.requests[1].content["max_tokens"] == 1
    assert len(server.requests) == 2


def test_a_model_can_be_loaded_beforehand() -> None:
    cold = Cold(load_s=0.6)
    with Server(cold) as server:
        back_end = endpoint(server, read_timeout_s=0.3, load_timeout_s=PATIENCE_S)
        loading = back_end.load()
        assert loading is not None
        assert back_end.load() is loading, "it is asked for once"
        loading.result(PATIENCE_S)
        assert back_end.complete(WORDS) == "Yes."


def test_loading_goes_on_while_the_server_says_that_it_loads() -> None:
    busy = respond('{"error": {"message": "Loading model"}}', "503 Service Unavailable")
    with Server(busy, busy, busy, respond(answer("Yes."))) as server:
        loading = endpoint(server, retries=0, load_timeout_s=PATIENCE_S).load()
        assert loading is not None
        loading.result(PATIENCE_S)
        assert len(server.requests) == 4


def test_loading_in_vain_says_why_and_can_be_switched_off() -> None:
    with Server(hang()) as server:
        loading = endpoint(server, load_timeout_s=0.2).load()
        assert loading is not None
        with pytest.raises(BackendError, match=r"0\.2 s \(endpoint\.load_timeout_s\)"):
            loading.result(PATIENCE_S)
        assert endpoint(server).load() is None


@pytest.mark.parametrize(
    "behaviour",
    [
        hang(),
        hang(b"HTTP/1.1 200 OK\r\nContent-Type: te"),
        hang(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n"),
        hang(STREAM_HEAD + b"20\r\ndata: {"),
        hang(b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000, 0.02),
        drip(STREAM_HEAD + b"7\r\n: ping\n\r\n" * 1_000, 0.002),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
        flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ],
    ids=[
        "before the headers",
        "within the headers",
        "before the body",
        "within the stream",
        "after telling to go on",
        "dripping headers",
        "dripping pings",
        "dripping that it goes on",
        "flooding that it goes on",
    ],
)
def test_the_deadline_holds_however_the_answer_is_delayed(behaviour: Behaviour) -> None:
    with Server(behaviour) as server:
        error = failure(server, deadline_s=1.0, read_timeout_s=NOT_REACHED_S)
    assert error.kind == "timeout"


def test_a_silent_endpoint_is_given_up_before_the_deadline() -> None:
    with Server(hang()) as server:
        error = failure(server, deadline_s=NOT_REACHED_S, read_timeout_s=0.3)
    assert error.kind == "timeout"
    assert "sent nothing for" in str(error)


@pytest.mark.parametrize(
    ("start", "data"),
    [
        (STREAM_HEAD, b"400\r\n" + b": " + b"x" * 1021 + b"\n\r\n"),
        (STREAM_HEAD, b"400\r\n" + b"x" * 1024 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n{", b" " * 65_536),
        (b"HTTP/1.1 200 OK\r\n\r\ndata: ", b"x" * 65_536),
    ],
)
def test_an_endless_answer_is_cut(start: bytes, data: bytes) -> None:
    with Server(flood(start, data)) as server:
        error = failure(server, max_bytes=100_000, deadline_s=NOT_REACHED_S)
        assert error.kind in ("too long", "not json")
        assert server.left.wait(PATIENCE_S), "the connection was not closed"


def test_an_endless_error_is_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with Server(flood(head, b"x" * 65_536)) as server:
        assert failure(server, deadline_s=NOT_REACHED_S).kind == "http 400"
        assert server.left.wait(PATIENCE_S)


def test_endless_headers_are_cut() -> None:
    with Server(flood(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1000 + b"\r\n")) as server:
        assert failure(server, deadline_s=NOT_REACHED_S).kind == "protocol"


def test_nobody_listening_is_found_out_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = EndpointConfig(base_url=f"http://127.0.0.1:{port}/v1", model="tiny")
    with pytest.raises(BackendError, match="cannot be reached") as caught:
        ChatClient(config).complete(WORDS)
    assert caught.value.kind == "refused"


def test_plain_http_where_tls_is_expected_is_an_error() -> None:
    with Server(respond(answer("Yes."))) as server:
        config = EndpointConfig(base_url=server.url.replace("http:", "https:"), model="tiny")
        with pytest.raises(BackendError) as caught:
            ChatClient(config).complete(WORDS)
        assert caught.value.kind == "refused"
        assert [request.line for request in server.requests] == ["TLS"]


# --- tries


def test_it_goes_on_after_a_passing_error() -> None:
    bad = respond("", "500 Internal Server Error")
    busy = respond("", "429 Too Many Requests", Retry_After="0")
    with Server(bad, busy, respond(answer("Yes."))) as server:
        assert endpoint(server, retries=2).complete(WORDS) == "Yes."
        assert len(server.requests) == 3
        assert len({request.body for request in server.requests}) == 1


def test_it_goes_on_after_a_lost_connection() -> None:
    with Server(raw(b""), respond(answer("Yes."))) as server:
        assert endpoint(server).complete(WORDS) == "Yes."


def test_tries_are_limited() -> None:
    with Server(respond("", "503 Service Unavailable")) as server:
        assert failure(server, retries=3).kind == "http 503"
        assert len(server.requests) == 4


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found"])
def test_what_will_not_go_better_is_not_tried_again(status: str) -> None:
    with Server(respond("", status)) as server:
        failure(server, retries=3)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "after", ["3600", "999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "21 Oct 2099 07:28:00"]
)
def test_a_wait_beyond_the_deadline_is_not_waited(after: str) -> None:
    with Server(respond("", "429 Too Many Requests", Retry_After=after)) as server:
        error = failure(server, deadline_s=NOT_REACHED_S, retries=3)
        assert error.kind == "http 429"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "after",
    ["0", "0.01", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-5", "nan", "1e9", "9" * 400],
)
def test_any_other_wait_is_waited_or_replaced_by_our_own(after: str) -> None:
    busy = respond("", "429 Too Many Requests", Retry_After=after)
    with Server(busy, respond(answer("Yes."))) as server:
        assert endpoint(server).complete(WORDS) == "Yes."


def test_the_endpoints_wait_is_respected() -> None:
    busy = respond("", "429 Too Many Requests", Retry_After="1")
    with Server(busy, respond(answer("Yes."))) as server:
        started = time.monotonic()
        assert endpoint(server).complete(WORDS) == "Yes."
        assert time.monotonic() - started >= 1.0


def test_tries_do_not_extend_the_deadline() -> None:
    with Server(respond("", "500 Internal Server Error")) as server:
        error = failure(server, deadline_s=1.0, retries=10, backoff_s=0.2)
    assert error.kind == "http 500"


# --- ending it


def test_closing_ends_a_request_under_way() -> None:
    with Server(hang()) as server, ThreadPoolExecutor(1) as pool:
        back_end = endpoint(server, deadline_s=NOT_REACHED_S, read_timeout_s=NOT_REACHED_S)
        asked = pool.submit(back_end.complete, WORDS)
        _until(lambda: bool(server.requests))
        back_end.close()
        error = asked.exception(PATIENCE_S)
        assert isinstance(error, BackendError)
        assert error.kind == "cancelled"
        assert server.left.wait(PATIENCE_S), "the connection was not closed"
        with pytest.raises(BackendError, match="the endpoint is closed"):
            back_end.complete(WORDS)


def test_a_request_that_was_given_up_leaves_no_connection_and_closing_no_thread() -> None:
    before = _threads("dialog-endpoint")
    with Server(hang()) as server:
        back_end = endpoint(server, deadline_s=0.3)
        with pytest.raises(BackendError):
            back_end.complete(WORDS)
        assert server.left.wait(PATIENCE_S)
        back_end.close()
        _until(lambda: _threads("dialog-endpoint") <= before)


class Resolver:
    """Name lookups that hang until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.go = threading.Event()
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, *args: Any, **given: Any) -> Any:
        if host not in ("llm.example.org", b"llm.example.org"):
            return self._real(host, *args, **given)
        self.asked += 1
        assert self.go.wait(PATIENCE_S)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _threads(name: str) -> int:
    return sum(item.name.startswith(name) for item in threading.enumerate())


def test_a_lookup_that_hangs_holds_one_thread_and_is_not_waited_for_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(monkeypatch)
    config = EndpointConfig(
        base_url="https://llm.example.org/v1",
        model="m",
        deadline_s=PATIENCE_S,
        connect_timeout_s=0.3,
        load_timeout_s=0.0,
        retries=0,
    )
    back_end = ChatClient(config)
    before = _threads("dialog-endpoint")
    with pytest.raises(BackendError) as caught:
        back_end.complete(WORDS)
    assert caught.value.kind == "timeout"
    for _ in range(5):
        with pytest.raises(BackendError, match="lookup of its name does not end") as caught:
            back_end.complete(WORDS)
        assert caught.value.kind == "refused"
    assert resolver.asked == 1
    assert _threads("dialog-name") == 1
    assert _threads("dialog-endpoint") <= before + 1
    # When it comes back at last, the name is looked up anew.
    resolver.go.set()
    _until(lambda: _threads("dialog-name") == 0)
    with pytest.raises(BackendError, match="Name or service not known"):
        back_end.complete(WORDS)
    assert resolver.asked == 2


def test_requests_at_the_same_time_wait_for_one_lookup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(monkeypatch)
    config = EndpointConfig(
        base_url="https://llm.example.org/v1",
        model="m",
        deadline_s=PATIENCE_S,
        connect_timeout_s=PATIENCE_S,
    )
    back_end = ChatClient(config)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(back_end.complete, WORDS) for _ in range(4)]
        _until(lambda: resolver.asked >= 1)
        resolver.go.set()
        errors = [one.exception(PATIENCE_S) for one in asked]
    assert all("Name or service not known" in str(error) for error in errors)
    assert not any("hangs" in str(error) for error in errors)


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


# --- where words go


def test_a_redirect_is_not_followed() -> None:
    with (
        Server(respond(answer("Stolen."))) as other,
        Server(respond("", "307 Temporary Redirect", Location=f"{other.url}/x")) as server,
    ):
        assert failure(server, retries=3).kind == "redirect"
        assert len(server.requests) == 1
        assert not other.requests


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(respond(answer("Yes."))) as server, Server(raw(b"")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert endpoint(server).complete(WORDS) == "Yes."
        assert not proxy.requests


def test_a_configured_proxy_is_used() -> None:
    with Server(respond(answer("Through."))) as proxy:
        config = EndpointConfig(
            base_url="http://127.0.0.1:9/v1",
            proxy=f"http://127.0.0.1:{proxy.port}",
            model="tiny",
            allow_plain_http=True,
        )
        assert ChatClient(config).complete(WORDS) == "Through."


@pytest.mark.parametrize(
    "address",
    [
        "http://robot.example.org/v1",
        "http://192.168.1.20:11434/v1",
        "http://localhost.example.org/v1",
        "http://127.0.0.1.example.org/v1",
        "http://0x7f000001/v1",
        "http://[::ffff:8.8.8.8]/v1",
    ],
)
def test_plain_http_to_another_host_must_be_allowed(address: str) -> None:
    with pytest.raises(ConfigError, match="allow_plain_http"):
        EndpointConfig(base_url=address, model="tiny")
    assert EndpointConfig(base_url=address, model="tiny", allow_plain_http=True).host


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8080/v1",
        "http://127.0.0.1/v1",
        "http://127.3.2.1/v1",
        "http://[::1]:8000/v1",
        "https://api.example.org/v1",
    ],
)
def test_this_host_and_https_need_no_leave(address: str) -> None:
    assert EndpointConfig(base_url=address, model="tiny").base_url == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:11434",
        "ftp://localhost/v1",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://localhost:port/v1",
        "http://localhost:99999/v1",
        "http://[::1/v1",
        "http://[::1].x",
        "http://[::1].x/v1",
        "http://x[::1]/v1",
        "http://[::1]8080/v1",
        "http://[localhost]/v1",
        "http://a..b/v1",
        f"http://{'a' * 64}.example.org/v1",
        "http://b\u00fccher.example/v1",
        "http://local host/v1",
        "http://localhost/v1\r\nX: y",
        f"http://me:{KEY}@localhost/v1",
        f"http://{KEY}@localhost/v1",
        f"https://api.example.org/v1?key={KEY}",
        f"https://api.example.org/v1#{KEY}",
        f"me:{KEY}@localhost",
    ],
)
def test_what_is_no_address_or_holds_a_secret_is_refused_without_showing_it(
    address: str,
) -> None:
    with pytest.raises(ConfigError, match=r"endpoint\.base_url") as caught:
        EndpointConfig(base_url=address, model="tiny")
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_key_given_for_the_name_of_its_variable_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="NAME of an environment variable") as caught:
        EndpointConfig(model="tiny", key_variable=KEY)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "key",
    ["hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345", "AIzaSyA0123456789abcdefghijklmnopqrstu", "A" * 65],
)
def test_keys_that_look_like_names_are_not_shown_either(key: str) -> None:
    with pytest.raises(ConfigError, match="NAME of an environment variable") as caught:
        EndpointConfig(model="tiny", key_variable=key)
    assert key not in "".join(traceback.format_exception(caught.value))


def test_a_variable_that_is_not_set_may_be_the_key_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "AKIAIOSFODNN7EXAMPLE"
    with Server(respond("{}", "401 Unauthorized")) as server:
        with pytest.raises(BackendError, match="401") as caught:
            endpoint(server, key_variable=key).complete(WORDS)
        assert key not in str(caught.value)
        monkeypatch.setenv(key, "x")
        with pytest.raises(BackendError, match=f"\\${key}"):
            endpoint(server, key_variable=key).complete(WORDS)


@pytest.mark.parametrize("name", ["endpoint.key", "endpoint.api_key", "endpoint.password"])
def test_a_key_given_under_a_name_that_is_none_is_not_shown(name: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        DialogSettings.from_flat({name: KEY})
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_plain_http_through_a_proxy_must_be_allowed() -> None:
    for proxy in ("http://proxy.example.org:3128", "http://127.0.0.1:3128"):
        with pytest.raises(ConfigError, match="allow_plain_http"):
            EndpointConfig(base_url="http://localhost/v1", proxy=proxy, model="tiny")
        assert EndpointConfig(
            base_url="https://api.example.org", proxy=proxy, model="tiny"
        ).host


def test_a_model_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"endpoint\.model"):
        ChatClient(EndpointConfig())


def test_a_file_that_holds_no_certificates_is_refused() -> None:
    with pytest.raises(ConfigError, match="a file that exists"):
        EndpointConfig(model="tiny", ca_file="/no/such/file.pem")
    with pytest.raises(ConfigError, match="PEM file"):
        ChatClient(EndpointConfig(model="tiny", ca_file=__file__))


# --- the key


ECHOES: dict[str, Behaviour] = {
    "in an error": respond(
        json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}),
        "401 Unauthorized",
    ),
    "across the cut of a long error": respond(
        json.dumps({"error": {"message": "x" * 190 + KEY}}), "400 Bad Request"
    ),
    "as the reason": raw(f"HTTP/1.1 401 {KEY}\r\nContent-Length: 0\r\n\r\n".encode()),
    "in a header": respond("{}", X_Echo=KEY, Set_Cookie=KEY),
    "in place of HTTP": raw(f"{KEY}\r\n\r\n".encode()),
    "as a chunk's length": raw(STREAM_HEAD + f"{KEY}\r\n".encode()),
    "as JSON that is none": respond(KEY),
    "within a stream": chunked([f'data: {{"error": {{"message": "bad {KEY}"}}}}\n\n']),
    "in a redirect": respond("", "302 Found", Location=f"http://localhost/{KEY}"),
    "in a wait": respond("", "429 Too Many Requests", Retry_After=KEY),
    "never": hang(),
}


@pytest.mark.parametrize("where", ECHOES)
def test_the_key_is_in_no_log_no_error_and_no_repr(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AVEMO_DIALOG_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with Server(ECHOES[where]) as server:
        back_end = endpoint(server, deadline_s=1.0 if where == "never" else 20.0)
        with pytest.raises(BackendError) as caught:
            back_end.complete(WORDS)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    error = caught.value
    shown = ["".join(traceback.format_exception(error)), repr(error), str(error), error.kind]
    shown += [repr(back_end), str(back_end), str(vars(back_end))]
    shown += [f"{item.getMessage()} {item.args} {item.exc_text}" for item in caplog.records]
    assert not [text for text in shown if KEY in text]


@pytest.mark.parametrize(
    "said",
    [
        "cannot parse 'my dog died last night'",
        "input: DOG DIED LAST",
        "prompt too long: ...Be kind, my d",
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_person_said_is_in_no_error(said: str, streamed: bool) -> None:
    error = json.dumps({"error": {"message": said}})
    behaviour = (
        chunked([f"data: {error}\n\n"]) if streamed else respond(error, "400 Bad Request")
    )
    words = [Message("system", "Be kind, my dear."), Message("user", "My dog died last night.")]
    with Server(behaviour) as server, pytest.raises(BackendError) as caught:
        endpoint(server, retries=0).complete(words)
    assert "dog" not in str(caught.value).lower()
    assert "kind" not in str(caught.value)


def test_any_other_reason_is_told() -> None:
    error = json.dumps({"error": {"message": "maximum context length\nis 2048 tokens"}})
    with Server(respond(error, "400 Bad Request")) as server:
        assert "HTTP 400: maximum context length is 2048 tokens" in str(failure(server))


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "caf\u00e9", "a\x7fb"])
def test_what_cannot_be_a_key_is_not_sent_and_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVEMO_DIALOG_KEY", key)
    with Server(respond(answer("Yes."))) as server:
        error = failure(server)
        assert error.kind == "key"
        assert key not in str(error)
        assert not server.requests


def test_a_wrong_key_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with Server(respond("", "401 Unauthorized")) as server:
        assert "$MY_KEY" in str(failure(server, key_variable="MY_KEY"))
