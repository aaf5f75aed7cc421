"""Turns people's emotion into light, gaze and gestures of a robot.

python examples/behaviour_client.py
Publishes `led_colour` at every change of emotion, `gesture` with every answer, and `gaze`
towards the attended person (x right and y down, -1 to 1 from the image centre).
"""

from __future__ import annotations

import rclpy
from geometry_msgs.msg import Point
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import ColorRGBA, String

from avemo_ros.msg import DialogReply, EmotionEvent, EmotionState

COLOURS = {
    "angry": (0.1, 0.2, 0.5),  # a calm colour: do not show red to angry people
    "disgust": (0.1, 0.3, 0.3),
    "fear": (0.6, 0.4, 0.2),
    "happy": (1.0, 0.8, 0.1),
    "neutral": (0.6, 0.6, 0.6),
    "sad": (0.2, 0.4, 0.8),
    "surprise": (0.8, 0.5, 0.9),
}


class BehaviourClient(Node):
    """Turns events, states and answers into light, gaze and gestures."""

    def __init__(self) -> None:
        super().__init__("behaviour_client")
        self.light = self.create_publisher(ColorRGBA, "led_colour", 10)
        self.gaze = self.create_publisher(Point, "gaze", 10)
        self.gesture = self.create_publisher(String, "gesture", 10)
        self.create_subscription(EmotionEvent, "emotion_events", self.on_change, 20)
        self.create_subscription(EmotionState, "emotion_state", self.on_state, 10)
        self.create_subscription(DialogReply, "dialog_reply", self.on_reply, 10)

    def on_change(self, event: EmotionEvent) -> None:
        """Brighter with more confidence; a faint white without a label."""
        red, green, blue = COLOURS.get(event.label, (0.2, 0.2, 0.2))
        bright = event.confidence if event.label in COLOURS else 1.0
        self.light.publish(ColorRGBA(r=red * bright, g=green * bright, b=blue * bright, a=1.0))

    def on_state(self, state: EmotionState) -> None:
        """Look at the face."""
        if state.box_valid:
            x = 2.0 * (state.box.x + state.box.width / 2.0) - 1.0
            y = 2.0 * (state.box.y + state.box.height / 2.0) - 1.0
            self.gaze.publish(Point(x=x, y=y))

    def on_reply(self, reply: DialogReply) -> None:
        """Make the gesture of the answer's strategy."""
        if reply.gesture:
            self.gesture.publish(String(data=reply.gesture))


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(BehaviourClient())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # Ctrl-C just before rclpy waits raises this error; ignore it then.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
