"""Hand-made estimates for the tests of the sinks."""

from __future__ import annotations

import math

import numpy as np

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

BOX = Box(0.3, 0.2, 0.25, 0.4)
START_NS = 1_700_000_000_000_000_000


def estimate(
    label: str = "happy",
    *,
    t: float = 3.0,
    face: str = "f1",
    voice: str = "",
    confidence: float = 0.7,
    status: Status = Status.NO_VOICE,
    box: Box | None = BOX,
    speaking: bool = False,
) -> EmotionEstimate:
    """A claim, or with label 'unknown' and another status the lack of one."""
    probabilities: tuple[float, ...] = ()
    if label != UNKNOWN:
        rest = (1 - confidence) / (len(EMOTIONS) - 1)
        probabilities = tuple(confidence if name == label else rest for name in EMOTIONS)
    stamp = START_NS + round(t * 1e9)
    return EmotionEstimate(
        stamp_ns=stamp,
        window_start_ns=max(START_NS, stamp - 3_000_000_000),
        person_id=face and f"p{face[1:]}",
        face_id=face,
        voice_id=voice,
        label=label,
        confidence=confidence if probabilities else 0.0,
        probabilities=probabilities,
        face_share=(0.6 if speaking else 1.0) if probabilities else 0.0,
        voice_share=(0.4 if speaking else 0.0) if probabilities else 0.0,
        status=status,
        box=box if face else None,
        speaking=speaking,
        model_id="made-1",
    )


def nobody(t: float = 0.1, status: Status = Status.NOBODY) -> EmotionEstimate:
    """The attended state when nobody is there."""
    return estimate(UNKNOWN, t=t, face="", status=status)


def step_of(*estimates: EmotionEstimate, t: float = 3.0) -> EmotionStep:
    """A step whose attended person is the first one, or nobody."""
    stamp = estimates[0].stamp_ns if estimates else START_NS + round(t * 1e9)
    attended = estimates[0] if estimates else nobody(t)
    return EmotionStep(stamp, estimates, attended, stamp)


def track(face: str, box: Box) -> FaceTrack:
    """A face in an image."""
    return FaceTrack(face, box, 0.9, None, None, 0.8, math.nan, np.zeros((96, 96), np.uint8))


def tracks(*faces: FaceTrack, width: int = 640, height: int = 480) -> FrameTracks:
    """The faces of one image."""
    return FrameTracks(START_NS, width, height, faces)


def clip(seconds: float = 8.0) -> list[EmotionStep]:
    """A stream of estimates ten times a second: warming up, then neutral, happy, surprise."""
    steps = [step_of(t=0.1)]
    for step in range(2, round(10 * seconds) + 1):
        t = step / 10
        if t < 1.0:
            now = estimate(UNKNOWN, t=t, status=Status.WARMING_UP)
        elif t > seconds - 0.6:
            now = estimate(UNKNOWN, t=t, status=Status.STALE_INPUT)
        else:
            label = ("neutral", "happy", "surprise")[min(2, int(3 * t / seconds))]
            speaking = 0.3 * seconds < t < 0.8 * seconds
            now = estimate(
                label,
                t=t,
                confidence=0.55 + 0.3 * math.sin(t),
                status=Status.OK if speaking else Status.NO_VOICE,
                speaking=speaking,
                voice="v1" if speaking else "",
            )
        people = [now]
        if 2.0 < t < 6.0:
            people.append(
                estimate("sad", t=t, face="f2", confidence=0.5, box=Box(0.7, 0.3, 0.2, 0.3))
            )
        steps.append(step_of(*people))
    return steps
