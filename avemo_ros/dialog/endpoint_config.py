"""Where a chat endpoint is, and how long it may take."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from avemo_ros.errors import ConfigError
from avemo_ros.settings import Settings

_HIDDEN: Final = "(not shown)"
"""In place of a value that may be or hold a secret."""
_ADDRESS: Final = (
    "an address such as http://localhost:11434/v1, without name, password or query"
)


class EndpointConfig(Settings, group="endpoint"):
    """Which chat endpoint, and how long it may take."""

    base_url: str = Field(
        "http://localhost:11434/v1",
        description=(
            "Address of an OpenAI-compatible endpoint, up to and without /chat/completions. "
            "Ollama: http://localhost:11434/v1, llama.cpp: http://localhost:8080/v1, vLLM: "
            "http://localhost:8000/v1. Words and emotions are sent there and to no other host."
        ),
    )
    model: str = Field("", description="Name of the model, as the endpoint knows it.")
    key_variable: str = Field(
        "AVEMO_DIALOG_KEY",
        description=(
            "Environment variable that holds the endpoint's key; the key itself is never a "
            "parameter. Empty, or a variable that is not set: no key is sent."
        ),
    )
    allow_plain_http: bool = Field(
        False,
        description=(
            "Send words and key unencrypted over the network; this host is always allowed."
        ),
    )
    proxy: str = Field(
        "", description="Address of a proxy; empty: none, whatever the environment says."
    )
    ca_file: str = Field(
        "",
        description="PEM file of further certificate authorities, e.g. of one's own network.",
    )
    stream: bool = Field(
        True,
        description=(
            "Ask for the answer piece by piece, so that one that hangs is noticed early."
        ),
    )
    deadline_s: float = Field(
        8.0,
        ge=0.1,
        le=120.0,
        description=(
            "Whole time for an answer, retries included; then the offline responder answers "
            "[s]."
        ),
    )
    load_timeout_s: float = Field(
        120.0,
        ge=0.0,
        le=3600.0,
        description=(
            "Time for loading the model, which is asked for when the dialog begins and again "
            "after an answer that did not come in time; 0: it is never asked for [s]."
        ),
    )
    connect_timeout_s: float = Field(
        2.0, ge=0.05, le=60.0, description="Time to reach the endpoint [s]."
    )
    read_timeout_s: float = Field(
        6.0,
        ge=0.05,
        le=120.0,
        description="Longest silence within an answer and before it [s].",
    )
    retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Further tries after HTTP 408, 429 or 5xx or a lost connection.",
    )
    backoff_s: float = Field(
        0.25,
        ge=0.01,
        le=10.0,
        description=(
            "Wait before the first further try, doubled each time, unless the endpoint names a "
            "time [s]."
        ),
    )
    max_bytes: int = Field(
        262_144, ge=1024, le=16_777_216, description="A longer answer is none [bytes]."
    )
    max_tokens: int = Field(
        160, ge=1, le=4096, description="Longest answer that is asked for [tokens]."
    )
    limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens",
        description=(
            "How the endpoint calls that limit; OpenAI's reasoning models want the longer name."
        ),
    )
    temperature: float = Field(
        0.5,
        ge=-1.0,
        le=2.0,
        description="How freely words are chosen; -1: the endpoint's default.",
    )

    @model_validator(mode="after")
    def _send_nothing_elsewhere(self) -> EndpointConfig:
        address = _split("base_url", self.base_url)
        if address.scheme == "http" and not (
            self.allow_plain_http or _is_this_host(address.hostname or "")
        ):
            raise ConfigError(
                "base_url",
                self.base_url,
                "https://..., or http://... on this host; endpoint.allow_plain_http lifts that",
            )
        if self.proxy:
            _split("proxy", self.proxy)
        if self.key_variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key_variable):
            # It may be the key itself, given by mistake.
            raise ConfigError("key_variable", _HIDDEN, "the NAME of an environment variable")
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ConfigError("ca_file", self.ca_file, "a file that exists")
        return self

    @property
    def host(self) -> str:
        """Host and port that words are sent to."""
        return urlsplit(self.base_url).netloc


def _split(name: str, text: str) -> SplitResult:
    """An address in its parts; ConfigError shows no password that stands in it."""
    try:
        address = urlsplit(text)
        valid = address.scheme in ("http", "https") and bool(address.hostname)
        _ = address.port
    except ValueError:
        raise ConfigError(name, _HIDDEN, _ADDRESS) from None
    secret = address.username is not None or address.query or address.fragment
    if not valid or secret or re.search(r"[\s\x00-\x1f]", text):
        raise ConfigError(name, _HIDDEN if secret or "@" in text else text, _ADDRESS)
    return address


def _is_this_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
