"""ROS messages of the dialog from and to the package's dataclasses."""

from __future__ import annotations

import json

from avemo_ros.bag import message_content
from avemo_ros.dialog.agent import Answer
from avemo_ros.labels import EMOTIONS
from avemo_ros.msg import DialogReply, EmotionStateArray
from avemo_ros.nodes import convert
from avemo_ros.state.estimate import EmotionStep, Status, attended, nobody


def reply_message(answer: Answer, stamp_ns: int, latency_s: float) -> DialogReply:
    """An answer as a message.

    Args:
        answer: of the agent.
        stamp_ns: when it was made [ns].
        latency_s: from the words' arrival to the answer [s].
    """
    return DialogReply(
        header=convert.header(stamp_ns, ""),
        utterance=answer.utterance,
        person=answer.person,
        text=answer.text,
        ssml=answer.ssml,
        strategy=answer.strategy,
        intensity=float(answer.intensity),
        rate=float(answer.rate),
        pitch=float(answer.pitch),
        volume=float(answer.volume),
        gesture=answer.gesture,
        emotion=answer.emotion,
        confidence=float(answer.confidence),
        context=json.dumps({**answer.context.as_dict(), "summary": answer.context.paragraph()}),
        back_end=answer.back_end,
        fallback=answer.fallback,
        failure=answer.failure,
        latency=latency_s,
    )


def emotion_step(message: EmotionStateArray) -> EmotionStep:
    """Everyone's states at one moment.

    Raises:
        ValueError: a status is not one of the constants, or probabilities are of other labels.
    """
    for state in message.states:
        if state.probabilities and tuple(state.labels) != EMOTIONS:
            raise ValueError(f"the labels are {', '.join(state.labels)}")
    stamp_ns = message_content.stamp_ns(message.header.stamp)
    estimates = tuple(message_content.estimate(state) for state in message.states)
    one = attended(estimates) or nobody(stamp_ns, Status.NOBODY)
    return EmotionStep(stamp_ns, estimates, one, None)
