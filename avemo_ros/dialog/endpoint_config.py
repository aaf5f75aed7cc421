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
            "Address of an OpenAI-compatible endpoint, without /chat/completions. Ollama: "
            "http://localhost:11434/v1, llama.cpp: http://localhost:8080/v1, vLLM: "
            "http://localhost:8000/v1. Words and emotions are sent only there."
        ),
    )
    model: str = Field("", description="Name of the model at the endpoint.")
    key_variable: str = Field(
        "AVEMO_DIALOG_KEY",
        description=(
            "Environment variable with the endpoint's key; the key itself is never a "
            "parameter. If empty, or if the variable is not set, no key is sent."
        ),
    )
    allow_plain_http: bool = Field(
        False,
        description=(
            "Allow unencrypted words and key over the network; this host is always allowed."
        ),
    )
    proxy: str = Field(
        "", description="Address of a proxy; empty: none, even if the environment sets one."
    )
    ca_file: str = Field(
        "",
        description=(
            "PEM file with additional certificate authorities, e.g. of your own network."
        ),
    )
    stream: bool = Field(
        True,
        description=("Stream the answer, so that a hanging answer is noticed early."),
    )
    deadline_s: float = Field(
        8.0,
        ge=0.1,
        le=120.0,
        description=(
            "Total time for an answer, including retries; then the offline responder answers "
            "[s]."
        ),
    )
    load_timeout_s: float = Field(
        120.0,
        ge=0.0,
        le=3600.0,
        description=(
            "Time for loading the model [s]. The dialog requests it at its start and after "
            "an answer that came too late; 0: never."
        ),
    )
    connect_timeout_s: float = Field(
        2.0, ge=0.05, le=60.0, description="Time to reach the endpoint [s]."
    )
    read_timeout_s: float = Field(
        6.0,
        ge=0.05,
        le=120.0,
        description="Longest pause before and within an answer [s].",
    )
    retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Number of retries after HTTP 408, 429, 5xx or a lost connection.",
    )
    backoff_s: float = Field(
        0.25,
        ge=0.01,
        le=10.0,
        description=(
            "Wait before the first retry, doubled each time, unless the endpoint names a "
            "time [s]."
        ),
    )
    max_bytes: int = Field(
        262_144,
        ge=1024,
        le=16_777_216,
        description=("Largest size of an answer; a longer one counts as failed [bytes]."),
    )
    max_tokens: int = Field(
        160, ge=1, le=4096, description="Longest answer to request [tokens]."
    )
    limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens",
        description=(
            "The endpoint's name for this limit; OpenAI's reasoning models need the longer one."
        ),
    )
    temperature: float = Field(
        0.5,
        ge=-1.0,
        le=2.0,
        description="Sampling temperature; -1: the endpoint's default.",
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
                "https://..., or http://... on this host; endpoint.allow_plain_http allows "
                "http elsewhere",
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
