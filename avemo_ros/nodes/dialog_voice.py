"""The robot's voice, espeak-ng or an action, and `robot_speaking` while it speaks."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field, model_validator
from std_msgs.msg import Bool

from avemo_ros.dialog.agent import SpokenSentence
from avemo_ros.errors import ConfigError
from avemo_ros.nodes import diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.nodes.speech_action import LONGEST_S, SpeechAction, action_type, check_field
from avemo_ros.settings import Settings


class VoiceSettings(Settings):
    """Parameters of the robot's voice."""

    speak: bool = Field(
        False,
        description=(
            "Say the answers with espeak-ng, or with the action that speak_action names, and "
            "publish true on robot_speaking meanwhile."
        ),
    )
    speak_action: str = Field(
        "",
        description=(
            "With speak: name of an action that says the answers, e.g. /skill/say; empty: "
            "espeak-ng does, if it is installed."
        ),
    )
    speak_action_type: str = Field(
        "communication_skills/action/Say", description="Type of that action."
    )
    speak_action_field: str = Field(
        "input", description="Field of its goal that takes the text."
    )
    speak_action_ssml: bool = Field(
        False, description="Give it SSML, with rate, pitch and volume, instead of the text."
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
    def _go_together(self) -> VoiceSettings:
        if self.barge_in and not self.by_sentence:
            raise ConfigError("barge_in", True, "false, or true together with by_sentence")
        if self.speak_action and not self.speak:
            raise ConfigError("speak_action", self.speak_action, "'', or true for speak, too")
        return self


_PROGRAM: Final = "espeak-ng"
_MOST: Final = 64
"""Sentences that may wait."""
_REPEAT_S: Final = 1.0
"""`robot_speaking` says true again so often, so that a listener can tell speech from a node
that was killed in the middle of it."""


Said = Callable[[bool], None]
"""Called on any thread when something was said to its end, or will not be (False)."""


class Synthesiser(Protocol):
    """What makes the sound.  `say` runs on the voice's thread, all else on the executor's."""

    def open(self) -> str:
        """Begin; returns why it cannot speak, "" if it can."""

    def close(self) -> None:
        """End; after the last `say`."""

    def stop(self, *, for_good: bool) -> None:
        """End what is being said; `for_good`: nothing more is said after it."""

    def say(
        self,
        sentence: SpokenSentence,
        going_on: Callable[[], None],
        is_over: Callable[[], bool],
    ) -> str:
        """Say a sentence; returns why it was not said to its end, "" if it was.

        Args:
            sentence: to say.
            going_on: to be called when it begins, and again and again while it goes on.
            is_over: whether it is not to be said any more; `stop` is called after that.
        """


class Espeak:
    """A process of espeak-ng for each sentence."""

    def __init__(self, voice: str) -> None:
        self._voice = voice
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> str:
        """As for every synthesiser."""
        if shutil.which(_PROGRAM) is not None:
            return ""
        return (
            f"speak is true, but {_PROGRAM} is not installed, so the answers are not "
            f"spoken (Debian: apt install {_PROGRAM}); they are still published on "
            "dialog_ssml"
        )

    def close(self) -> None:
        """Nothing is left to do."""

    def stop(self, *, for_good: bool) -> None:  # noqa: ARG002
        """As for every synthesiser."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def say(
        self,
        sentence: SpokenSentence,
        going_on: Callable[[], None],
        is_over: Callable[[], bool],
    ) -> str:
        """As for every synthesiser."""
        with self._lock:
            if is_over():
                return ""
            # Words never become arguments: they go in by standard input, as UTF-8.
            process = self._process = subprocess.Popen(
                [_PROGRAM, "-m", "-b", "1", "-v", self._voice, "--stdin"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        try:
            complaints = _wait(process, sentence.ssml.encode("utf-8", "replace"), going_on)
        finally:
            with self._lock:
                self._process = None
            # Not yet, where the waiting itself failed.
            process.kill()
            process.wait()
        if process.returncode != 0:
            return f"{_PROGRAM} ended with status {process.returncode}{_first(complaints)}"
        if b"error" in complaints.lower():
            # Without a sound card it says so and ends as if all were well.
            return f"{_PROGRAM} could not speak{_first(complaints)}"
        return ""


def _wait(process: subprocess.Popen[bytes], text: bytes, going_on: Callable[[], None]) -> bytes:
    """What it said on standard error."""
    until = time.monotonic() + LONGEST_S
    given: bytes | None = text
    while True:
        going_on()
        try:
            _, complaints = process.communicate(given, timeout=_REPEAT_S)
        except subprocess.TimeoutExpired:
            given = None
            if time.monotonic() > until:
                process.kill()
        else:
            return complaints


@dataclass(frozen=True, slots=True)
class _Speech:
    sentence: SpokenSentence
    said: Said
    number: int
    """How often the voice was hushed before."""


class Voice:
    """Says answers one after the other on a thread of its own; of several whole ones that wait
    only the newest is said."""

    def __init__(self, node: ManagedNode) -> None:
        """Set up.

        Raises:
            ConfigError: the action is not installed, or takes no text.
        """
        self._node = node
        self._trouble = ThrottledLog(node.get_logger(), "voice")
        settings = node.read(VoiceSettings)
        self._name = settings.speak_action or settings.voice
        self._synthesiser = _synthesiser(node, settings)
        self._limit = _MOST if settings.by_sentence else 1
        self._hushed = 0
        self._spoken = 0
        self._closing = threading.Event()
        self._worker: Worker[_Speech] | None = None
        self._out: Any = None
        self._missing = ""
        self._told_s = 0.0
        """When `robot_speaking` was last told; while the robot speaks [s of a steady clock]."""

    def open(self) -> None:
        """Make the topic and begin."""
        self._closing.clear()
        self._out = self._node.create_publisher(
            Bool, "robot_speaking", qos.result(1, latched=True)
        )
        self._fall_silent()
        self._missing = self._synthesiser.open()
        if self._missing:
            self._trouble.once("missing", self._missing)
            return
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
        self._closing.set()
        self._synthesiser.stop(for_good=True)
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        self._synthesiser.close()
        if self._out is not None:
            self._node.destroy_publisher(self._out)
            self._out = None

    @property
    def can_speak(self) -> bool:
        """Whether there is a synthesiser."""
        return self._worker is not None

    def say(self, sentence: SpokenSentence, said: Said = lambda _: None) -> None:
        """Say a sentence, or several; returns at once.

        Args:
            sentence: as text and as SSML.
            said: told when it was said.
        """
        if self._worker is None:
            said(False)
        else:
            self._worker.put(_Speech(sentence, said, self._hushed))

    def hush(self) -> None:
        """Fall silent at once, and forget what waits."""
        self._hushed += 1
        self._synthesiser.stop(for_good=False)
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
        def is_over() -> bool:
            return self._closing.is_set() or speech.number != self._hushed

        spoken = False
        try:
            failure = self._synthesiser.say(speech.sentence, self._go_on, is_over)
            spoken = not failure and not is_over()
            if failure and not is_over():
                self._trouble.report(failure.partition(":")[0], failure)
        finally:
            if not self._worker:
                # Between two sentences of an answer it goes on speaking.
                self._fall_silent()
            speech.said(spoken)
        if spoken:
            self._spoken += 1
            self._trouble.good()

    def _go_on(self) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _REPEAT_S:
            self._told_s = now_s
            self._tell(True)

    def _fall_silent(self) -> None:
        self._told_s = -_REPEAT_S
        self._tell(False)

    def _tell(self, speaking: bool) -> None:
        if self._out is not None:
            self._out.publish(Bool(data=speaking))

    def _failed(self, error: Exception) -> None:
        self._trouble.report(
            type(error).__name__, f"unexpected {type(error).__name__}: {error}"
        )


def _synthesiser(node: ManagedNode, settings: VoiceSettings) -> Synthesiser:
    if not settings.speak_action:
        return Espeak(settings.voice)
    kind = action_type(settings.speak_action_type)
    check_field(kind, settings.speak_action_field)
    return SpeechAction(
        node,
        settings.speak_action,
        kind,
        settings.speak_action_field,
        as_ssml=settings.speak_action_ssml,
    )


def _first(complaints: bytes) -> str:
    """The line that says what is wrong, as the end of a sentence."""
    lines = complaints.decode("utf-8", "replace").splitlines()
    wrong = [line for line in lines if "error" in line.lower()] or lines
    return f": {wrong[-1].strip()}" if wrong else ""
