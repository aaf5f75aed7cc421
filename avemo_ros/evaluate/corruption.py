"""Corruptions as they occur on a robot, applied to the features of an item.

All chance comes from the item's key, so that every model meets the same trouble.  Real clips
are spoilt before anything is looked for in them (`clip_corruption`); these functions are for
items that come as crops and spectrograms, such as label-matched pairs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import HOP_NS, SAMPLE_RATE
from avemo_ros.audio.spectrogram import FLOOR_DB, HOP, WINDOW, LogSpectrogram
from avemo_ros.clock import to_ns
from avemo_ros.data.features import Corpus, Features

BOTH: Final = "face and voice"
VOICE_ONLY: Final = "voice only"
FACE_ONLY: Final = "face only"
NOISES_DB: Final = (20, 10, 0)
"""Signal to noise ratio of the active speech [dB]."""
BLUR: Final = 1 / 24
"""Deviation of the Gaussian blur in shares of the side of an aligned crop (2 of 48 pixels)."""
PATCH: Final = 0.5
"""Side of the patch that hides a part of the face, in shares of the side of a crop."""
DROPPED: Final = 0.5
"""Share of the images that are lost."""
OFFSET_S: Final = 0.2
"""The audio comes this much after the images [s]."""
ACTIVE_DB: Final = 30.0
"""Sound this far below its loudest 40 ms still counts as active speech [dB]."""

Corrupt = Callable[[Features, str], Features]
"""Features of an item and its key to the spoilt features."""


def chance_of(name: str, key: str) -> np.random.Generator:
    """Chance that depends on the corruption and the item alone."""
    digest = hashlib.sha256(f"{name}/{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def without_face(given: Features, _key: str = "") -> Features:
    """The voice alone."""
    return replace(
        given,
        faces=None,
        face_times_s=None,
        landmarks=None,
        units=None,
        points=None,
        point_times_s=None,
    )


def without_voice(given: Features, _key: str = "") -> Features:
    """The face alone."""
    return replace(given, spectrogram=None)


def blurred(given: Features, _key: str) -> Features:
    """Every crop out of focus."""
    if given.faces is None:
        return given
    deviation = BLUR * given.faces.shape[1]
    return replace(
        given,
        faces=np.stack([cv2.GaussianBlur(face, (0, 0), deviation) for face in given.faces]),
    )


def occluded(given: Features, key: str) -> Features:
    """A square of even grey over a part of the face, the same in every image."""
    if given.faces is None:
        return given
    faces = given.faces.copy()
    side = faces.shape[1]
    patch = round(PATCH * side)
    chance = chance_of("occlusion", key)
    top, left = chance.integers(0, side - patch + 1, 2)
    grey = chance.integers(0, 256)
    faces[:, top : top + patch, left : left + patch] = grey
    return replace(given, faces=faces)


def thinned(given: Features, key: str) -> Features:
    """Every image is lost or not by chance; an item may lose them all."""
    if given.faces is None:
        return given
    kept = chance_of("dropped", key).random(len(given.faces)) >= DROPPED
    if not kept.any():
        return without_face(given)
    times, landmarks = given.face_times_s, given.landmarks
    return replace(
        given,
        faces=given.faces[kept],
        face_times_s=None if times is None else times[kept],
        landmarks=None if landmarks is None else landmarks[kept],
    )


def late_sound(given: Features, _key: str) -> Features:
    """The audio comes 200 ms late: silence first, and as much is cut off at the end."""
    if given.spectrogram is None:
        return given
    columns = to_ns(OFFSET_S) // HOP_NS
    shifted = np.full_like(given.spectrogram, FLOOR_DB)
    shifted[columns:] = given.spectrogram[:-columns]
    return replace(given, spectrogram=shifted)


def noisy(ratio_db: float) -> Corrupt:
    """Pink noise at a signal to noise ratio [dB] of the active speech below 4 kHz.

    The spectrogram of real noise is added to that of the speech cell by cell with random
    phases, as amplitudes add in a short-time Fourier transform.
    """

    def corrupt(given: Features, key: str) -> Features:
        if given.spectrogram is None:
            return given
        speech = 10 ** (given.spectrogram.astype(np.float64) / 20)
        chance = chance_of(f"noise {ratio_db}", key)
        samples = pink_noise(WINDOW + HOP * (len(speech) - 1), chance)
        noise = 10 ** (LogSpectrogram().push(samples).astype(np.float64) / 20)
        active = active_power(np.square(speech).sum(1))
        gain = math.sqrt(active / np.square(noise).sum(1).mean() * 10 ** (-ratio_db / 10))
        phase = chance.uniform(0, 2 * math.pi, speech.shape)
        mixed = np.abs(speech + gain * noise * np.exp(1j * phase))
        level = 20 * np.log10(np.maximum(mixed, 10 ** (FLOOR_DB / 20)))
        return replace(given, spectrogram=level.astype(np.float16))

    return corrupt


def active_power(power: NDArray[np.float64]) -> float:
    """Mean power of the stretches in which someone speaks.

    Args:
        power: (T,) of stretches of even length.
    """
    return float(power[power >= power.max() * 10 ** (-ACTIVE_DB / 10)].mean())


def pink_noise(count: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """(count,) noise at 16 kHz whose power falls by 3 dB an octave from 50 Hz, RMS 0.1."""
    white = chance.standard_normal(count)
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    shaped = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(frequency, 50.0)), count)
    return np.asarray(0.1 * shaped / np.sqrt(np.mean(np.square(shaped))), np.float32)


ON_FACE: Final[dict[str, Corrupt]] = {
    "blur": blurred,
    "occlusion": occluded,
    "dropped frames": thinned,
}
ON_VOICE: Final[dict[str, Corrupt]] = {f"noise {ratio} dB": noisy(ratio) for ratio in NOISES_DB}
ON_FEATURES: Final[dict[str, Corrupt]] = {
    **ON_VOICE,
    **ON_FACE,
    "sound 200 ms late": late_sound,
}
"""Every corruption that is not simply a missing modality, in the order of the table."""


def corrupted(corpus: Corpus, corrupt: Corrupt) -> Corpus:
    """The corpus with every item's features spoilt."""
    return Corpus(
        corpus.items,
        tuple(
            corrupt(features, item.key)
            for item, features in zip(corpus.items, corpus.features, strict=True)
        ),
    )
