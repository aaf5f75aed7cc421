"""Scenes of faces and sound for the tests of the state side, without images or networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from avemo_ros.audio.spectrogram import BINS, HOP_NS, SpectrogramChunk
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.predictor import Prediction
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

FRAME_NS = to_ns(1 / 30)


def distribution(label: str, confidence: float) -> tuple[float, ...]:
    """`confidence` for one label, the rest shared by the others."""
    rest = (1.0 - confidence) / (len(EMOTIONS) - 1)
    return tuple(confidence if name == label else rest for name in EMOTIONS)


@dataclass
class SceneReader:
    """Stands in for the network: reads the emotion from the brightness of the crop and the
    level of the spectrogram, so that a test can say who feels what."""

    model_id: str = "scene-reader"
    reads_landmarks: bool = False
    confidence: float = 0.9
    calls: list[str] = field(default_factory=list)
    landmarks: list = field(default_factory=list)
    """What each question had of them."""

    def embed_faces(self, crops):
        self.calls += ["face"] * len(crops)
        return np.array([[crop.mean()] for crop in crops], np.float32)

    def speech_evidence(self, power_db):
        self.calls.append("speech")
        return float(power_db.max())

    def predict(self, faces, speech, landmarks=None):
        self.landmarks.append(landmarks)
        if faces is None and speech is None:
            raise ValueError("nothing to predict from")
        face_share = 0.0 if faces is None else 1.0 if speech is None else 0.5
        index = round(float(faces.mean()) if faces is not None else speech + 60)
        chosen = distribution(EMOTIONS[index % len(EMOTIONS)], self.confidence)
        return Prediction(chosen, face_share, 1.0 - face_share, None)


def face(face_id="f0001", emotion="happy", *, x=0.4, size=0.2, quality=0.9, mouth=math.nan):
    """A face whose crop says its emotion to the SceneReader."""
    crop = np.full((96, 96), EMOTIONS.index(emotion), np.uint8)
    return FaceTrack(face_id, Box(x, 0.3, size, size), 0.9, None, None, quality, mouth, crop)


def frame(t: float, *faces: FaceTrack) -> FrameTracks:
    """A 640x480 image with these faces at `t` seconds."""
    return FrameTracks(to_ns(t), 640, 480, faces)


def sound(t: float, seconds: float, speech: float, emotion="angry") -> SpectrogramChunk:
    """Columns that cover the time from `t` on."""
    columns = round(to_ns(seconds) / HOP_NS)
    level = np.float32(EMOTIONS.index(emotion) - 60)
    return SpectrogramChunk(
        to_ns(t) + HOP_NS,
        np.full((columns, BINS), level, np.float32),
        np.full(columns, speech, np.float32),
        np.full(columns, -20.0, np.float32),
        False,
    )


def play(stage: EmotionStage, seconds: float, faces=None, speech=None, *, start=0.0):
    """Feed 30 images and 10 chunks of sound a second, in order of time.

    `faces` is a function of time to the faces then and `speech` one to the speech probability
    then; None plays no images or no sound.
    """
    events = []
    if faces is not None:
        for k in range(round(seconds * 30)):
            t = start + k / 30
            events.append((t, 0, lambda t=t: stage.push_tracks(frame(t, *faces(t)), to_ns(t))))
    if speech is not None:
        for k in range(round(seconds * 10)):
            t = start + k / 10
            chunk = sound(t, 0.1, speech(t))
            due = t + 0.1
            events.append((due, 1, lambda c=chunk, t=due: stage.push_speech(c, to_ns(t))))
    steps: list[EmotionStep] = []
    for _, _, push in sorted(events, key=lambda event: event[:2]):
        steps += push()
    return steps
