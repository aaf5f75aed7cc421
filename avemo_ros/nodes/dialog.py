"""The dialog node: takes a person's words and all emotion states, publishes answers."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

from avemo_ros.bag import message_content
from avemo_ros.dialog.agent import Answer, SpokenSentence
from avemo_ros.dialog.dialog_config import DialogConfig, EndpointConfig
from avemo_ros.msg import DialogReply, EmotionStateArray, FaceTrackArray
from avemo_ros.nodes import convert, qos
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.dialog_stage import (
    DialogStage,
    DialogStageSettings,
    RespondService,
    Utterance,
)
from avemo_ros.nodes.dialog_voice import Voice, VoiceSettings
from avemo_ros.nodes.sensing import FORGOTTEN
from avemo_ros.settings import Settings

_SENTENCES: Final = 64
"""Of an answer may wait for a slow listener."""


class SensedSettings(Settings):
    """What the dialog takes of what is sensed."""

    use_emotion: bool = Field(
        True,
        description=(
            "Use the emotion states for the answers; false answers as if nothing were sensed."
        ),
    )
    use_head_pose: bool = Field(
        False,
        description=(
            "Also use the head poses from face_tracks: they show better who faces the robot, "
            "but make the emotion nodes publish every face they find."
        ),
    )


class Dialog(ManagedNode):
    """`speech_text` and `emotion_states` to `dialog_reply`, `dialog_text` and `dialog_ssml`;
    `respond` for who asks."""

    senses = "follows"

    def __init__(self) -> None:
        super().__init__(
            "dialog", [SensedSettings, VoiceSettings, DialogConfig, EndpointConfig], ["steady"]
        )
        self._stage: DialogStage | None = None
        self._voice: Voice | None = None
        self._respond: RespondService | None = None
        self._inputs: list[qos.AdaptiveSubscription] = []
        self._voice_settings = VoiceSettings()
        self._outputs: list[Any] = []
        self._sentences: list[Any] = []
        self._stop_speaking: Any = None
        self._speaking = False
        """A person in view was speaking in the newest states."""
        self._clearing: Any = None
        self._states_trouble = ThrottledLog(self.get_logger(), "emotion_states")

    def prepare(self) -> None:
        """Read the strategies, and what can be wrong with the endpoint."""
        endpoint = self.read(EndpointConfig)
        settings = DialogStageSettings(
            self.read(DialogConfig),
            endpoint,
            self.config().steady,
            self.read(SensedSettings).use_emotion,
        )
        self._stage = DialogStage(self, settings)
        self._voice_settings = self.read(VoiceSettings)
        self._voice = Voice(self) if self._voice_settings.speak else None
        where = f"{endpoint.model} at {endpoint.host}" if endpoint.model else "offline"
        self.get_logger().info(f"answers come from: {where}")

    def open(self) -> None:
        """Make the topics, the outputs first so that no answer is lost."""
        assert self._stage is not None
        self._outputs = [
            self.create_publisher(kind, topic, qos.result(10))
            for kind, topic in (
                (DialogReply, "dialog_reply"),
                (String, "dialog_text"),
                (String, "dialog_ssml"),
            )
        ]
        if self._voice_settings.by_sentence:
            self._sentences = [
                self.create_publisher(String, topic, qos.result(_SENTENCES))
                for topic in ("dialog_sentence", "dialog_sentence_ssml")
            ]
        if self._voice_settings.barge_in:
            self._stop_speaking = self.create_publisher(Empty, "stop_speaking", qos.result(10))
        if self._voice is not None:
            self._voice.open()
        self._stage.open()
        self._respond = RespondService(self, self._stage)
        self._clearing = self.create_service(Trigger, "clear_conversation", self._clear)
        inputs = [
            (EmotionStateArray, "emotion_states", self._take_states),
            (String, "speech_text", self._take_text),
            (String, FORGOTTEN, self._take_forgotten),
        ]
        if self.read(SensedSettings).use_head_pose:
            inputs.append((FaceTrackArray, "face_tracks", self._take_tracks))
        live_speech = _live_speech()
        if live_speech is not None:
            inputs.append((live_speech, "live_speech", self.take_speech))
        # Lost words would get no answer: reliable, unless a publisher offers less.
        self._inputs = [
            qos.AdaptiveSubscription(self, kind, topic, take, depth=10, begin_reliable=True)
            for kind, topic, take in inputs
        ]

    def close(self) -> None:
        """Remove the topics."""
        for inlet in self._inputs:
            inlet.close()
        if self._stage is not None:
            self._stage.close()
        if self._voice is not None:
            self._voice.close()
        if self._respond is not None:
            self._respond.close()
            self._respond = None
        if self._clearing is not None:
            self.destroy_service(self._clearing)
            self._clearing = None
        stop = [] if self._stop_speaking is None else [self._stop_speaking]
        for publisher in (*self._outputs, *self._sentences, *stop):
            self.destroy_publisher(publisher)
        self._inputs, self._outputs, self._sentences, self._stop_speaking = [], [], [], None

    def wipe(self) -> None:
        """Forget the conversation, and what was felt."""
        if self._stage is not None:
            self._stage.wipe()

    def release(self) -> None:
        """Forget everything."""
        self._stage = self._voice = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._stage is not None
        for inlet in self._inputs:
            inlet.adapt()
        voice = [] if self._voice is None else [self._voice.status()]
        return [self._stage.status(), *voice]

    def take_speech(self, message: Any) -> None:
        """Answer recognised speech, a LiveSpeech of ROS4HRI.

        Only its final words: what is recognised so far may still change.  But whoever says it
        has begun to speak.
        """
        if message.incremental and not message.final:
            self._interrupt()
        if message.final:
            self._take(message.final)

    def say(self, sentence: SpokenSentence) -> None:
        """Say something as answers are said; nothing is heard if `speak` is false."""
        if self._voice is not None:
            self._voice.say(sentence)

    def _take_states(self, message: EmotionStateArray) -> None:
        if self._stage is None:
            return
        try:
            step = convert.emotion_step(message)
        except ValueError as error:
            self._states_trouble.report("malformed", f"malformed: {error}; left out")
            return
        self._states_trouble.good()
        # Without a face it may be the robot's own voice.
        speaking = any(one.speaking and one.face_id for one in step.estimates)
        if speaking and not self._speaking:
            self._interrupt()
        self._speaking = speaking
        self._stage.observe(step)

    def _take_tracks(self, message: FaceTrackArray) -> None:
        if self._stage is None:
            return
        stamp_ns = message_content.stamp_ns(message.header.stamp)
        for face in message.faces:
            if math.isfinite(face.yaw) and math.isfinite(face.pitch):
                self._stage.look(face.face_id, stamp_ns, face.yaw, face.pitch)

    def _take_text(self, message: String) -> None:
        self._take(message.data)

    def _take_forgotten(self, message: String) -> None:
        if self._stage is not None:
            self._stage.forget_person(message.data)

    def _take(self, text: str) -> None:
        if self._stage is not None:
            self._interrupt()
            say = self._say_sentence if self._voice_settings.by_sentence else None
            self._stage.ask(
                Utterance(text, "", time.monotonic(), self._publish, lambda _: None, say)
            )

    def _interrupt(self) -> None:
        """A person has begun to speak."""
        if self._stage is None or self._stop_speaking is None:
            return
        self._stage.interrupt()
        if self._voice is not None:
            self._voice.hush()
        self._stop_speaking.publish(Empty())

    def _say_sentence(self, sentence: SpokenSentence, said: Callable[[bool], None]) -> None:
        """On the stage's thread."""
        for publisher, text in zip(
            self._sentences, (sentence.text, sentence.ssml), strict=True
        ):
            publisher.publish(String(data=text))
        if self._voice is not None and self._voice.can_speak:
            self._voice.say(sentence, said)
        else:
            # Whoever says it does not tell.
            said(True)

    def _publish(self, answer: Answer, took_s: float) -> None:
        """On the stage's thread, which ends before the publishers go."""
        reply, text, ssml = self._outputs
        reply.publish(convert.reply_message(answer, self.now_ns(), took_s))
        text.publish(String(data=answer.spoken))
        ssml.publish(String(data=answer.ssml))
        if not self._voice_settings.by_sentence:
            self.say(SpokenSentence(answer.spoken, answer.ssml))

    def _clear(
        self,
        request: Trigger.Request,  # noqa: ARG002
        response: Trigger.Response,
    ) -> Trigger.Response:
        assert self._stage is not None
        self._stage.forget()
        response.success = True
        response.message = "forgot the conversation and the emotions"
        return response


def _live_speech() -> Any:
    """The type of recognised speech in ROS4HRI; None where that is not installed."""
    try:
        return importlib.import_module("hri_msgs.msg").LiveSpeech
    except ImportError:
        return None


def main() -> int:
    """Run the node."""
    return run(Dialog)


if __name__ == "__main__":
    raise SystemExit(main())
