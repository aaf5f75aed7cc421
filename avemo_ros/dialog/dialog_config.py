"""Every setting of the dialog, with its meaning, unit and range; ROS parameters `dialog.*` and
`endpoint.*`."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from avemo_ros.errors import ConfigError
from avemo_ros.settings import Settings

STANDARD: Final = "standard"
"""The notice of the language's file."""


class DialogConfig(Settings, group="dialog"):
    """From states and words to an answer."""

    language: str = Field(
        "en",
        description=(
            "Language of words and answers: en, de, or another file of config/dialog; "
            "dialog.strategies counts before it."
        ),
    )
    strategies: str = Field(
        "",
        description=(
            "Own YAML file with strategies, rules, texts and crisis words, or with what "
            "differs from the file that it is based on; empty: that of the language."
        ),
    )
    role: str = Field(
        "You are a friendly social robot in a spoken conversation.",
        description="Who the robot is: the start of the system prompt.",
    )
    notice: str = Field(
        STANDARD,
        description=(
            "Said before the first answer of a conversation in which feelings are used, for "
            "people have to be told; 'standard': the sentence of the language's file; empty: "
            "nothing is said."
        ),
    )
    ask_consent: bool = Field(
        False,
        description=(
            "Ask with the notice whether that is all right, and use no feelings before a yes; "
            "`consent` in the strategies file has the words."
        ),
    )
    min_confidence: float = Field(
        0.45,
        ge=0.0,
        le=1.0,
        description="Below this confidence, the steady emotion counts as unknown.",
    )
    high_confidence: float = Field(
        0.7, ge=0.0, le=1.0, description="From this value on, the confidence counts as 'high'."
    )
    name_confidence: float = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="Below this confidence, an answer never names the person's emotion.",
    )
    trend_window_s: float = Field(
        10.0,
        ge=1.0,
        le=600.0,
        description="Compute the trend over this long before the words [s].",
    )
    trend_per_s: float = Field(
        0.03,
        ge=0.0,
        le=2.0,
        description=(
            "Slope from which the mood (pleasant minus unpleasant, -1 to 1) counts as "
            "improving or worsening [1/s]."
        ),
    )
    change_window_s: float = Field(
        30.0, ge=0.0, le=600.0, description="Mention a change of emotion for this long [s]."
    )
    stale_after_s: float = Field(
        3.0,
        ge=0.2,
        le=60.0,
        description="Ignore states that are older than this when words arrive [s].",
    )
    absent_after_s: float = Field(
        2.0,
        ge=0.2,
        le=60.0,
        description="A person who is neither seen nor heard for this long is absent [s].",
    )
    engaged_s: float = Field(
        3.0,
        ge=0.5,
        le=60.0,
        description=(
            "A person who spoke or mostly faced the robot within this time is engaged [s]."
        ),
    )
    max_words: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Cut a person's words off at this length [characters].",
    )
    max_answer: int = Field(
        600,
        ge=20,
        le=100_000,
        description=(
            "Refuse a longer answer of a model [characters]; the default is about 40 s of "
            "speech."
        ),
    )
    max_turns: int = Field(
        12,
        ge=0,
        le=1000,
        description="Number of turns (words and answer) to remember of a person.",
    )
    max_memory: int = Field(
        6000, ge=0, le=1_000_000, description="Number of characters to remember of a person."
    )
    keep_s: float = Field(
        300.0,
        ge=1.0,
        le=86_400.0,
        description="Forget a person's conversation after this long without words [s].",
    )
    away_s: float = Field(
        60.0,
        ge=1.0,
        le=86_400.0,
        description=(
            "Forget a person's conversation when they have not been seen or heard for this "
            "long [s]."
        ),
    )

    @model_validator(mode="after")
    def _go_together(self) -> DialogConfig:
        for name in ("high_confidence", "name_confidence"):
            value = getattr(self, name)
            if value < self.min_confidence:
                raise ConfigError(
                    name, value, f"at least dialog.min_confidence ({self.min_confidence})"
                )
        return self


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
        if address.scheme == "http" and self.proxy and not self.allow_plain_http:
            # "This host" is then the proxy's, or whatever it makes of the name.
            raise ConfigError(
                "base_url",
                self.base_url,
                "https://... with an endpoint.proxy; endpoint.allow_plain_http allows http",
            )
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
        if self.key_variable and not _VARIABLE.fullmatch(self.key_variable):
            # It may be the key itself, given by mistake.
            raise ConfigError(
                "key_variable",
                _HIDDEN,
                "the NAME of an environment variable, in capitals, e.g. AVEMO_DIALOG_KEY",
            )
        if self.ca_file and not _is_file(self.ca_file):
            raise ConfigError("ca_file", self.ca_file, "a file that exists")
        return self

    @property
    def key_name(self) -> str:
        """The variable of the key in words.  One that is not set may be the key itself, so its
        name is shown only where there is such a variable."""
        usual = type(self).model_fields["key_variable"].default
        if self.key_variable and (
            self.key_variable == usual or self.key_variable in os.environ
        ):
            return f"${self.key_variable}"
        return "the variable"

    @property
    def host(self) -> str:
        """Host and port that words are sent to."""
        return urlsplit(self.base_url).netloc


_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
"""As environment variables are called; keys have small letters, or signs."""
_HOST: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?)(:[0-9]*)?", re.ASCII
)
"""Host and port as the network takes them; other alphabets are written in `xn--`."""


def _split(name: str, text: str) -> SplitResult:
    """An address in its parts; ConfigError shows no password that stands in it."""
    try:
        address = urlsplit(text)
        valid = address.scheme in ("http", "https") and bool(address.hostname)
        _ = address.port
        valid = valid and bool(_HOST.fullmatch(address.netloc.rpartition("@")[2]))
        if "[" in address.netloc:
            ip_address(address.hostname or "")
    except ValueError:
        raise ConfigError(name, _HIDDEN, _ADDRESS) from None
    secret = address.username is not None or address.query or address.fragment
    if not valid or secret or re.search(r"[\s\x00-\x1f]", text):
        raise ConfigError(name, _HIDDEN if secret or "@" in text else text, _ADDRESS)
    return address


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a zero in it
        return False


def _is_this_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
