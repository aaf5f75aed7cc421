"""Shows how your own dialog system can use people's emotion.

python examples/dialog_client.py               prints every change and the last ten seconds
python examples/dialog_client.py --json rasa   prints the context at every change, as Rasa slots
python examples/dialog_client.py --json tool   the same, as the result of an LLM's tool call
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from avemo_ros.msg import EmotionEvent, EmotionStateArray
from avemo_ros.srv import GetEmotionHistory


class DialogClient(Node):
    """Prints every event, and the history that led to it."""

    def __init__(self) -> None:
        super().__init__("dialog_client")
        self.history = self.create_client(GetEmotionHistory, "emotion_history")
        self.create_subscription(EmotionEvent, "emotion_events", self.on_change, 20)

    def on_change(self, event: EmotionEvent) -> None:
        """A steady emotion has changed: ask for the history."""
        who = event.face_id or event.voice_id
        print(f"{who}: {event.previous} -> {event.label} ({event.confidence:.0%})", flush=True)
        request = GetEmotionHistory.Request(person=who, window=10.0)
        self.history.call_async(request).add_done_callback(self.on_history)

    def on_history(self, done: Any) -> None:
        """Print the mean probabilities of the last ten seconds, and their trends."""
        answer = done.result()
        if not answer.success:
            print(f"    {answer.message}", flush=True)
        # Either may be empty: a new person has a distribution, but no trend yet.
        trends = answer.trend or [None] * len(answer.distribution)
        for label, mean, trend in zip(answer.labels, answer.distribution, trends, strict=False):
            moves = "" if trend is None else f"{trend:+8.3f}/s"
            print(f"    {label:9}{mean:5.0%}{moves}", flush=True)


class ContextClient(Node):
    """Turns states into the emotional context, and prints it as JSON at every change."""

    def __init__(self, shape: str) -> None:
        # Imported here, because clients that only use the events do not need these.
        from avemo_ros.dialog import context
        from avemo_ros.dialog.agent import Agent
        from avemo_ros.dialog.dialog_config import DialogConfig
        from avemo_ros.dialog.policy import Policy

        super().__init__("context_client")
        self.agent = Agent(DialogConfig(), Policy.read())
        self.shape = context.rasa if shape == "rasa" else context.tool_call
        if shape == "tool":
            print(json.dumps(context.tool_definition(), indent=2), flush=True)
        self.create_subscription(EmotionStateArray, "emotion_states", self.on_states, 20)

    def on_states(self, states: EmotionStateArray) -> None:
        """Print the context whenever it has changed."""
        from avemo_ros.nodes.convert import emotion_step

        for change in self.agent.observe(emotion_step(states)):
            context = self.agent.context(person=change.face_id or change.voice_id)
            print(json.dumps(self.shape(context)), flush=True)


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Prints every change of people's emotion.")
    parser.add_argument("--json", choices=("rasa", "tool"), help="print the context as JSON")
    args = parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])
    rclpy.init()
    try:
        rclpy.spin(ContextClient(args.json) if args.json else DialogClient())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # Ctrl-C just before rclpy waits raises this error; ignore it then.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
