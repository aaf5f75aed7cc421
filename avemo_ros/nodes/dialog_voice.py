"""The robot's voice: espeak-ng, if it is installed, and `robot_speaking` while it speaks."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field, model_validator
from std_msgs.msg import Bool

from avemo_ros.errors import ConfigError
from avemo_ros.nodes import diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.settings import Settings


class VoiceSettings(Settings):
    """Parameters of the robot's voice."""

    speak: bool = Field(
        False,
        description=(
            "Say the answers with espeak-ng, if it is installed, and publish true on "
            "robot_speaking meanwhile."
        ),
    )
    voice: str = Field(
        "en",
        description=(
            "Voice of espeak-ng (`espeak-ng --voices` lists them), e.g. en-us; if it does "
            "not fit the language of the strategies file, espeak-ng takes one that does."
        ),
    )
    by_sentence: bool = Field(
        False,
        description=(
            "Say an answer of an endpoint sentence by sentence while it comes, and publish "
            "each on dialog_sentence and dialog_sentence_ssml; false: the whole answer at once."
        ),
    )
    barge_in: bool = Field(
        False,
        description=(
            "With by_sentence: stop speaking when a person begins to speak, publish that on "
            "stop_speaking, and remember only what was said."
        ),
    )

    @model_validator(mode="after")
    def _barge_in_needs_sentences(self) -> VoiceSettings:
        if self.barge_in and not self.by_sentence:
            raise ConfigError("barge_in", True, "false, or true together with by_sentence")
        return self


_PROGRAM: Final = "espeak-ng"
_MOST: Final = 64
"""Sentences that may wait."""
_LONGEST_S: Final = 60.0
"""Nothing said takes longer; a synthesiser that does hangs in the sound driver."""
_REPEAT_S: Final = 1.0
"""`robot_speaking` says true again so often, so that a listener can tell speech from a node
that was killed in the middle of it."""


Said = Callable[[bool], None]
"""Called on any thread when something was said to its end, or will not be (False)."""


@dataclass(frozen=True, slots=True)
class _Speech:
    ssml: str
    said: Said
    number: int
    """How often the voice was hushed before."""


class Voice:
    """Says answers one after the other on a thread of its own; of several whole ones that wait
    only the newest is said."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._trouble = ThrottledLog(node.get_logger(), "voice")
        settings = node.read(VoiceSettings)
        self._name = str(settings.voice)
        self._limit = _MOST if settings.by_sentence else 1
        self._hushed = 0
        self._spoken = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._worker: Worker[_Speech] | None = None
        self._out: Any = None
        self._missing = ""

    def open(self) -> None:
        """Make the topic and begin."""
        self._closing.clear()
        self._out = self._node.create_publisher(
            Bool, "robot_speaking", qos.result(1, latched=True)
        )
        self._tell(False)
        if shutil.which(_PROGRAM) is None:
            self._missing = (
                f"speak is true, but {_PROGRAM} is not installed, so the answers are not "
                f"spoken (Debian: apt install {_PROGRAM}); they are still published on "
                "dialog_ssml"
            )
            self._trouble.once("missing", self._missing)
            return
        self._missing = ""
        self._worker = Worker(
            "voice",
            self._speak,
            self._failed,
            limit=self._limit,
            forgotten=lambda speech: speech.said(False),
        )
        self._worker.start()

    def close(self) -> None:
        """Fall silent and remove the topic; may be called twice."""
        with self._lock:
            self._closing.set()
            if self._process is not None:
                self._process.kill()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._out is not None:
            self._node.destroy_publisher(self._out)
            self._out = None

    @property
    def can_speak(self) -> bool:
        """Whether there is a synthesiser."""
        return self._worker is not None

    def say(self, ssml: str, said: Said = lambda _: None) -> None:
        """Say an SSML document; returns at once.

        Args:
            ssml: the document.
            said: told when it was said.
        """
        if self._worker is None:
            said(False)
        else:
            self._worker.put(_Speech(ssml, said, self._hushed))

    def hush(self) -> None:
        """Fall silent at once, and forget what waits."""
        with self._lock:
            self._hushed += 1
            if self._process is not None:
                self._process.kill()
        if self._worker is not None:
            self._worker.clear()

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        values: dict[str, object] = {
            "spoken": self._spoken,
            "dropped": self._worker.dropped if self._worker is not None else 0,
            "voice": self._name,
            "last_error": self._trouble.last or self._missing,
        }
        if self._missing:
            return diagnostics.status("voice", diagnostics.WARN, self._missing, values)
        if self._trouble.present:
            return diagnostics.status("voice", diagnostics.ERROR, self._trouble.last, values)
        return diagnostics.status("voice", diagnostics.OK, "speaks", values)

    def _speak(self, speech: _Speech) -> None:
        spoken = False
        self._tell(True)
        try:
            spoken = self._run(speech)
        finally:
            if not self._worker:
                # Between two sentences of an answer it goes on speaking.
                self._tell(False)
            speech.said(spoken)
        if spoken:
            self._spoken += 1
            self._trouble.good()

    def _run(self, speech: _Speech) -> bool:
        """Whether it was said to its end."""
        with self._lock:
            if self._is_over(speech):
                return False
            # Words never become arguments: they go in by standard input, as UTF-8.
            process = self._process = subprocess.Popen(
                [_PROGRAM, "-m", "-b", "1", "-v", self._name, "--stdin"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        try:
            complaints = self._wait(process, speech.ssml.encode("utf-8", "replace"))
        finally:
            with self._lock:
                self._process = None
            # Not yet, where the waiting itself failed.
            process.kill()
            process.wait()
        if self._is_over(speech):
            return False
        if process.returncode != 0:
            self._trouble.report(
                "ended",
                f"{_PROGRAM} ended with status {process.returncode}{_first(complaints)}",
            )
            return False
        if b"error" in complaints.lower():
            # Without a sound card it says so and ends as if all were well.
            self._trouble.report("silent", f"{_PROGRAM} could not speak{_first(complaints)}")
            return False
        return True

    def _is_over(self, speech: _Speech) -> bool:
        return self._closing.is_set() or speech.number != self._hushed

    def _wait(self, process: subprocess.Popen[bytes], text: bytes) -> bytes:
        """What it said on standard error."""
        until = time.monotonic() + _LONGEST_S
        given: bytes | None = text
        while True:
            try:
                _, complaints = process.communicate(given, timeout=_REPEAT_S)
            except subprocess.TimeoutExpired:
                given = None
                if time.monotonic() > until:
                    process.kill()
                self._tell(True)
            else:
                return complaints

    def _tell(self, speaking: bool) -> None:
        if self._out is not None:
            self._out.publish(Bool(data=speaking))

    def _failed(self, error: Exception) -> None:
        self._trouble.report(
            type(error).__name__, f"unexpected {type(error).__name__}: {error}"
        )


def _first(complaints: bytes) -> str:
    """The line that says what is wrong, as the end of a sentence."""
    lines = complaints.decode("utf-8", "replace").splitlines()
    wrong = [line for line in lines if "error" in line.lower()] or lines
    return f": {wrong[-1].strip()}" if wrong else ""
