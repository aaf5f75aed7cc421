"""Images in, face tracks out; the overlay takes the estimates from the emotion node."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.bag import message_content
from avemo_ros.msg import EmotionStateArray
from avemo_ros.nodes import image_input, qos
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.image_input import ImageInputSettings, ImageInputStage
from avemo_ros.state.estimate import EmotionStep, Status, attended, nobody


class FaceTracker(ManagedNode):
    """`image_raw` to `face_tracks` and `emotion_overlay`."""

    def __init__(self) -> None:
        super().__init__("face_tracker", [ImageInputSettings], image_input.GROUPS)
        self._images: ImageInputStage | None = None
        self._states_in: qos.AdaptiveSubscription | None = None
        self._states_trouble = ThrottledLog(self.get_logger(), "emotion_states")

    def prepare(self) -> None:
        """Load the face networks."""
        self._images = ImageInputStage(self, self.config())

    def open(self) -> None:
        """Make the topics."""
        assert self._images is not None
        self._images.open()

    def close(self) -> None:
        """Remove the topics."""
        self._hear_states(wanted=False)
        if self._images is not None:
            self._images.close()

    def release(self) -> None:
        """Free the face networks."""
        if self._images is not None:
            self._images.release()
            self._images = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._images is not None
        self._images.adapt()
        self._hear_states(wanted=self._images.overlay_wanted)
        return [self._images.status()]

    def _hear_states(self, *, wanted: bool) -> None:
        """Subscribe to the estimates while somebody looks at the overlay."""
        if wanted and self._states_in is None:
            self._states_in = qos.AdaptiveSubscription(
                self, EmotionStateArray, "emotion_states", self._show, depth=1
            )
        elif not wanted and self._states_in is not None:
            self._states_in.close()
            self._states_in = None
        if self._states_in is not None:
            self._states_in.adapt()

    def _show(self, message: EmotionStateArray) -> None:
        if self._images is None:
            return
        stamp_ns = message_content.stamp_ns(message.header.stamp)
        try:
            estimates = tuple(message_content.estimate(state) for state in message.states)
        except ValueError as error:
            self._states_trouble.report("malformed", f"malformed: {error}; left out")
            return
        self._states_trouble.good()
        somebody = attended(estimates) or nobody(stamp_ns, Status.NOBODY)
        self._images.show(EmotionStep(stamp_ns, estimates, somebody, None))


def main() -> int:
    """Run the node."""
    return run(FaceTracker)


if __name__ == "__main__":
    raise SystemExit(main())
