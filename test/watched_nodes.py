"""A process with the nodes that sense people, which says on request what it holds of them.

python watched_nodes.py [ROS arguments]; the service `what_is_held` answers with counts as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np
import rclpy
from std_srvs.srv import Trigger

from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.dialog import Dialog
from avemo_ros.nodes.emotion_stack import EmotionStack
from avemo_ros.nodes.rclpy_internals import SturdyExecutor

OF_PEOPLE = {
    # what was seen and heard
    "AudioBlock", "AudioData", "AudioDataStamped", "CompressedImage", "Image", "FaceTrack",
    "FaceTrackArray", "FrameTracks", "SpectrogramChunk", "VideoFrame",
    # what is kept of it
    "EmotionFilter", "FaceHistory", "FaceSample", "LandmarkWindow", "SpeechEvidence",
    "SpeechWindow", "_Heard", "_Voice",
    # who it is
    "EnrolledPerson", "Reidentified", "_Forgotten", "_KnownPerson", "_Look", "_SeenFace",
    # what was concluded
    "Change", "EmotionEstimate", "EmotionEvent", "EmotionHistory", "EmotionState",
    "EmotionStateArray", "EmotionStep", "Prediction", "SmoothedState", "_Past", "_Person",
    "_Sample", "_Seen",
    # what was said
    "Answer", "DialogReply", "EmotionalContext", "SpokenLine", "Utterance", "_Turn",
}  # fmt: skip
WORDS = "".join(reversed("yenom enirehtac"))
"""Said by a person of the test; here in no text, so that it does not find itself."""
LEAST_BYTES = 48 * 48
"""Of an array that may be an image."""


def everything() -> Iterator[Any]:
    """Every object of this process that Python can reach, once."""
    # Documented, in spite of its name.
    frames: list[FrameType | None] = list(vars(sys)["_current_frames"]().values())
    todo: list[Any] = gc.get_objects()
    for frame in frames:
        while frame is not None:
            if frame.f_code is not everything.__code__:
                todo += frame.f_locals.values()
            frame = frame.f_back
    seen = set(map(id, todo))
    while todo:
        one = todo.pop()
        if one is todo or one is seen:
            continue
        yield one
        if not gc.is_tracked(one) or isinstance(one, np.ndarray):
            fresh = [inner for inner in gc.get_referents(one) if id(inner) not in seen]
        else:
            fresh = [
                inner
                for inner in gc.get_referents(one)
                if not gc.is_tracked(inner) and id(inner) not in seen
            ]
        seen.update(map(id, fresh))
        todo += fresh


def held() -> Counter[str]:
    """How many objects there are of each kind that can keep a face, a voice or a word."""
    gc.collect()
    found: Counter[str] = Counter()
    for one in everything():
        name = type(one).__name__
        if name in OF_PEOPLE and not isinstance(one, type):
            found[name] += 1
        elif isinstance(one, np.ndarray):
            found[_kind(one)] += 1
        elif isinstance(one, str) and WORDS in one:
            found["words"] += 1
    del found[""]
    return found


def _kind(array: np.ndarray[Any, Any]) -> str:
    """What an array may be; empty for one that is not of people."""
    if array.dtype == np.uint8 and array.ndim > 1 and array.nbytes >= LEAST_BYTES:
        return "image"
    if array.dtype == np.float32 and array.shape[-1:] == (200,) and array.size:
        return "columns of a spectrogram"
    if array.dtype == np.float32 and array.shape == (192,):
        return "what a face looks like"
    return "points of a face" if array.shape in ((468, 3), (68, 2)) else ""


class Watch(ManagedNode):
    """Answers what is held."""

    def __init__(self) -> None:
        super().__init__("watch")
        self.create_service(Trigger, "what_is_held", self._answer)

    def _answer(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, json.dumps(held())
        return response


def main() -> None:
    """Run the nodes until the test ends them."""
    rclpy.init(args=sys.argv)
    executor = SturdyExecutor(lambda what, error: print(what, error, file=sys.stderr))
    nodes = [EmotionStack(), Dialog(), Watch()]
    for node in nodes:
        executor.add_node(node)
        assert node.start(), node.last_error
    threading.Thread(target=sys.stdin.read, daemon=True).start()
    executor.spin()


if __name__ == "__main__":
    main()
