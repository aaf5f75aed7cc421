"""Where a chat endpoint is, and how long it may take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from avemo_ros.config import Validated, setting
from avemo_ros.errors import ConfigError

_HIDDEN: Final = "(not shown)"
"""In place of a value that may be or hold a secret."""
_ADDRESS: Final = (
    "an address such as http://localhost:11434/v1, without name, password or query"
)


@dataclass(frozen=True, slots=True)
class EndpointConfig(Validated):
    """Which chat endpoint, and how long it may take."""

    _group = "endpoint"

    base_url: str = setting(
        "http://localhost:11434/v1",
        "Address of an OpenAI-compatible endpoint, up to and without /chat/completions. "
        "Ollama: http://localhost:11434/v1, llama.cpp: http://localhost:8080/v1, vLLM: "
        "http://localhost:8000/v1. Words and emotions are sent there and to no other host.",
    )
    model: str = setting("", "Name of the model, as the endpoint knows it.")
    key_variable: str = setting(
        "AVEMO_DIALOG_KEY",
        "Environment variable that holds the endpoint's key; the key itself is never a "
        "parameter. Empty, or a variable that is not set: no key is sent.",
    )
    allow_plain_http: bool = setting(
        False, "Send words and key unencrypted over the network; this host is always allowed."
    )
    proxy: str = setting("", "Address of a proxy; empty: none, whatever the environment says.")
    ca_file: str = setting(
        "", "PEM file of further certificate authorities, e.g. of one's own network."
    )
    stream: bool = setting(
        True, "Ask for the answer piece by piece, so that one that hangs is noticed early."
    )
    deadline_s: float = setting(
        8.0,
        "Whole time for an answer, retries included; then the offline responder answers [s].",
        low=0.1,
        high=120.0,
    )
    connect_timeout_s: float = setting(
        2.0, "Time to reach the endpoint [s].", low=0.05, high=60.0
    )
    read_timeout_s: float = setting(
        6.0, "Longest silence within an answer and before it [s].", low=0.05, high=120.0
    )
    retries: int = setting(
        2, "Further tries after HTTP 408, 429 or 5xx or a lost connection.", low=0, high=10
    )
    backoff_s: float = setting(
        0.25,
        "Wait before the first further try, doubled each time, unless the endpoint names a "
        "time [s].",
        low=0.01,
        high=10.0,
    )
    max_bytes: int = setting(
        262_144, "A longer answer is none [bytes].", low=1024, high=16_777_216
    )
    max_tokens: int = setting(
        160, "Longest answer that is asked for [tokens].", low=1, high=4096
    )
    limit_field: str = setting(
        "max_tokens",
        "How the endpoint calls that limit; OpenAI's reasoning models want the longer name.",
        choices=("max_tokens", "max_completion_tokens"),
    )
    temperature: float = setting(
        0.5, "How freely words are chosen; -1: the endpoint's default.", low=-1.0, high=2.0
    )

    def __post_init__(self) -> None:
        """Refuses what would send words or key where they must not go."""
        Validated.__post_init__(self)
        address = _split("endpoint.base_url", self.base_url)
        if address.scheme == "http" and not (
            self.allow_plain_http or _is_this_host(address.hostname or "")
        ):
            raise ConfigError(
                "endpoint.base_url",
                self.base_url,
                "https://..., or http://... on this host; endpoint.allow_plain_http lifts that",
            )
        if self.proxy:
            _split("endpoint.proxy", self.proxy)
        if self.key_variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key_variable):
            # It may be the key itself, given by mistake.
            raise ConfigError(
                "endpoint.key_variable", _HIDDEN, "the NAME of an environment variable"
            )
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ConfigError("endpoint.ca_file", self.ca_file, "a file that exists")

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
