"""Corruptions as they occur on a robot, of features and of the clips they are made from.

All chance comes from the item's key, so that every model meets the same trouble.  Real clips
are spoilt before anything is looked for in them (`corrupt_clips`); the functions of features
are for items that come as crops and spectrograms, such as label-matched pairs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.audio.spectrogram import (
    DFT,
    FLOOR_DB,
    HOP,
    HOP_NS,
    SAMPLE_RATE,
    WINDOW,
    AudioBlock,
    LogSpectrogram,
)
from avemo_ros.data.audio_features import SoundTrack, log_spectrogram
from avemo_ros.data.dataset import Item
from avemo_ros.data.face_images import MainFace, VideoStages, is_image_file
from avemo_ros.data.features import Corpus, Features, PrepareConfig
from avemo_ros.errors import AvemoError, DataError
from avemo_ros.process_pool import Done, Failed, Progress, run_jobs
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import to_ns, to_s

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
ROOM_S: Final = 0.5
"""Reverberation time (60 dB) of the room, as of a living room or an office [s]."""
DIRECT_DB: Final = 0.0
"""Energy of the direct sound over that of the reverberation [dB]: some 1.5 m away."""
TELEPHONE_HZ: Final = (300.0, 3400.0)
"""Band of a telephone line (ITU-T G.712)."""
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


def in_room(given: Features, key: str) -> Features:
    """A voice in a room, by the power of the spectrogram alone.

    The power of reverberation decays by 60 dB in ROOM_S; its phases are random, so on average
    powers add.  Sound itself is convolved, see `reverberant`.
    """
    if given.spectrogram is None:
        return given
    power = 10 ** (given.spectrogram.astype(np.float64) / 10)
    decay = 10 ** (-6 * HOP / SAMPLE_RATE / ROOM_S)
    tail, late = np.zeros_like(power), np.zeros(power.shape[1])
    for place, column in enumerate(power):
        tail[place] = late
        late = decay * (late + (1 - decay) * column)
    # What of the tail falls within the first column is heard with the direct sound.
    chance = chance_of("room", key)
    echoes = 10 ** (-DIRECT_DB / 10) * tail * chance.exponential(size=power.shape)
    level = 10 * np.log10(np.maximum(power + echoes, 10 ** (FLOOR_DB / 10)))
    return replace(given, spectrogram=level.astype(np.float16))


def over_telephone(given: Features, _key: str) -> Features:
    """A voice without what a telephone line takes away (300 to 3,400 Hz are left)."""
    if given.spectrogram is None:
        return given
    hertz = np.arange(given.spectrogram.shape[1]) * (SAMPLE_RATE / DFT)
    heard = given.spectrogram.astype(np.float32) + _telephone_db(hertz).astype(np.float32)
    return replace(given, spectrogram=np.maximum(heard, FLOOR_DB).astype(np.float16))


def _telephone_db(hertz: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Gain of the line [dB]: 0 within the band, 72 dB less an octave outside."""
    low, high = TELEPHONE_HZ
    octaves = np.log2(low / np.maximum(hertz, 1.0)).clip(0) + np.log2(
        np.maximum(hertz, 1.0) / high
    ).clip(0)
    gain: NDArray[np.float64] = -72.0 * octaves
    return gain


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
ON_VOICE: Final[dict[str, Corrupt]] = {
    **{f"noise {ratio} dB": noisy(ratio) for ratio in NOISES_DB},
    "room": in_room,
    "telephone": over_telephone,
}
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


# Corruptions as they occur on a robot, applied to the images and the audio of a clip.
#
# The clip is spoilt before the face is looked for and before the spectrogram is computed, so
# that a face that is not found under a blur is missing, as it would be on the robot.

_STRETCH: Final = SAMPLE_RATE // 25
"""Sound is active or not in stretches of 40 ms."""


@dataclass(frozen=True, slots=True)
class _Job:
    item: Item
    clean: Features
    config: PrepareConfig


def corrupt_clips(
    corpus: Corpus, config: PrepareConfig, workers: int, *, progress: bool = False
) -> dict[str, Corpus]:
    """The clips under each corruption of `corruption.ON_FEATURES`.

    What a corruption does not touch is taken from the clean features.  Single images are
    spoilt as the crops that they are.

    Args:
        corpus: clips with their clean features; landmarks say where the faces are.
        config: as the clean features were made.
        workers: processes; 0 works in this one.
        progress: show a bar on a terminal.

    Returns:
        For each corruption the corpus in the same order.

    Raises:
        DataError: a clip crashes its process; names it.
        PoolError: worker processes cannot be started.
    """
    jobs = [
        _Job(item, clean, config)
        for item, clean in zip(corpus.items, corpus.features, strict=True)
    ]
    bar = tqdm(
        _run(jobs, workers),
        total=len(jobs),
        desc="corruptions",
        unit="item",
        leave=False,
        disable=None if progress else True,
    )
    by_job = dict(bar)
    return {
        name: Corpus(corpus.items, tuple(by_job[place][name] for place in range(len(jobs))))
        for name in ON_FEATURES
    }


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[int, dict[str, Features]]]:
    """Places of the jobs and what was made of each, in the order in which they end."""
    if workers == 0 or len(jobs) < 2:
        for place, job in enumerate(jobs):
            yield place, _spoil(job)
        return
    with closing(run_jobs(jobs, _spoil_in_worker, workers)) as events:
        for event in events:
            if isinstance(event, Done):
                yield event.number, event.result
            elif isinstance(event, Failed):
                path = jobs[event.number].item.path
                raise DataError(f"'{path}' cannot be corrupted: {event.reason}")


def _spoil_in_worker(job: _Job, _progress: Progress) -> dict[str, Features]:
    return _spoil(job)


_worker: _Worker | None = None
"""Of this process: its face networks take long to load."""


def _spoil(job: _Job) -> dict[str, Features]:
    global _worker
    if job.clean.faces is None and job.clean.spectrogram is None:
        return dict.fromkeys(ON_FEATURES, job.clean)  # its file may be broken
    if job.item.row is not None or is_image_file(job.item.path):
        return {name: spoil(job.clean, job.item.key) for name, spoil in ON_FEATURES.items()}
    if _worker is None or _worker.config != job.config:
        _worker = _Worker(job.config)
    return _worker.spoil(job)


class _Worker:
    """Spoils one clip after the other."""

    def __init__(self, config: PrepareConfig) -> None:
        self.config = config
        self._stages = VideoStages(config.vision)

    def spoil(self, job: _Job) -> dict[str, Features]:
        """The clip under each corruption."""
        item, clean = job.item, job.clean
        looks = clean.faces is not None
        listens = clean.spectrogram is not None
        start_ns = to_ns(item.start_s or 0.0)
        end_ns = None if item.end_s is None else to_ns(item.end_s)
        track = SoundTrack(start_ns, end_ns, self.config.audio) if listens else None
        views = (
            {name: MainFace(self._stages.take(), self.config.min_quality) for name in ON_FACE}
            if looks
            else {}
        )
        spoiler = _ImageSpoiler(item.key, clean)
        slot = -1
        try:
            with MediaFile(item.path) as media:
                for piece in media:
                    if isinstance(piece, AudioBlock):
                        if track is not None:
                            track.push(piece)
                        continue
                    inside = end_ns is None or piece.stamp_ns < end_ns
                    if not views or piece.stamp_ns < start_ns or not inside:
                        continue
                    elapsed_ns = piece.stamp_ns - start_ns
                    if self.config.fps:
                        # As preparation picks them.
                        now = int((elapsed_ns + 1) * self.config.fps * 1e-9)
                        if now <= slot:
                            continue
                        slot = now
                    for name, image in spoiler.spoil(elapsed_ns, piece):
                        views[name].push(elapsed_ns, image)
        except AvemoError:
            # What could be read counts, as in preparation, which has said so.
            pass
        sound = None if track is None else track.finish()
        result = {}
        for name in ON_FEATURES:
            if name in views:
                result[name] = _with_faces(clean, views[name])
                self._stages.give_back(views[name].stage)
            elif name in ON_FACE or sound is None:
                result[name] = clean
            else:
                spoilt = spoilt_sound(sound, name, item.key)
                power_db = log_spectrogram(spoilt).astype(np.float16)
                result[name] = replace(clean, spectrogram=power_db)
        return result


def _with_faces(clean: Features, face: MainFace) -> Features:
    found, _ = face.finish()
    found = found or Features()
    return replace(
        clean,
        faces=found.faces,
        face_times_s=found.face_times_s,
        landmarks=None if clean.landmarks is None else found.landmarks,
    )


def spoilt_sound(sound: NDArray[np.float32], name: str, key: str) -> NDArray[np.float32]:
    """Sound with noise, in a room, over a telephone, or late.

    Args:
        sound: (n,) 16 kHz mono.
        name: one of `corruption.ON_FEATURES` that acts on audio.
        key: of the item.

    Returns:
        (n,).
    """
    for ratio_db in NOISES_DB:
        if name == f"noise {ratio_db} dB":
            return with_noise(sound, ratio_db, key)
    if name == "room":
        return reverberant(sound, key)
    if name == "telephone":
        return telephoned(sound)
    late = min(round(OFFSET_S * SAMPLE_RATE), len(sound))
    return np.concatenate((np.zeros(late, np.float32), sound[: len(sound) - late]))


def with_noise(sound: NDArray[np.float32], ratio_db: float, key: str) -> NDArray[np.float32]:
    """Sound (n,) 16 kHz with pink noise at a ratio [dB] to its active speech."""
    if len(sound) < _STRETCH or not sound.any():
        return sound
    noise = pink_noise(len(sound), chance_of(f"noise {ratio_db}", key))
    stretches = sound[: len(sound) // _STRETCH * _STRETCH].reshape(-1, _STRETCH)
    active = active_power(np.square(stretches.astype(np.float64)).mean(1))
    wanted = active * 10 ** (-ratio_db / 10)
    gain = math.sqrt(wanted / float(np.square(noise.astype(np.float64)).mean()))
    return np.asarray(sound + np.float32(gain) * noise, np.float32)


def reverberant(sound: NDArray[np.float32], key: str) -> NDArray[np.float32]:
    """Sound (n,) 16 kHz as heard in a room.

    The room's response is the direct sound, and after it Gaussian noise that decays by 60 dB in
    ROOM_S (Polack's model of diffuse reverberation, 1988; in Habets, "Single- and
    multi-microphone speech dereverberation", 2007, section 2.3).
    """
    if len(sound) == 0:
        return sound
    count = round(ROOM_S * SAMPLE_RATE)
    time_s = np.arange(1, count) / SAMPLE_RATE
    tail = chance_of("room", key).standard_normal(count - 1) * 10 ** (-3 * time_s / ROOM_S)
    tail *= math.sqrt(10 ** (-DIRECT_DB / 10) / float(np.square(tail).sum()))
    response = np.concatenate(([1.0], tail))
    size = len(sound) + count - 1
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)
    return np.asarray(heard[: len(sound)], np.float32)


def telephoned(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sound (n,) 16 kHz after a telephone line: 300 to 3,400 Hz, in 8 bits of mu-law at 8 kHz
    (ITU-T G.711)."""
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0:
        return sound
    size = len(sound) + len(sound) % 2
    spectrum = np.fft.rfft(sound / peak, size)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= 10 ** (_telephone_db(hertz) / 20)
    # Every second sample: nothing is left above 4 kHz that could fold down.
    line = np.fft.irfft(np.where(hertz < 4000.0, spectrum, 0.0), size)[::2].clip(-1, 1)
    squeezed = np.sign(line) * np.log1p(_MU * np.abs(line)) / math.log1p(_MU)
    squeezed = np.round(squeezed * 127) / 127
    line = np.sign(squeezed) * np.expm1(np.abs(squeezed) * math.log1p(_MU)) / _MU
    again = np.fft.rfft(line)
    padded = np.zeros(size // 2 + 1, complex)
    padded[: len(again)] = again
    heard = 2 * np.fft.irfft(padded, size)[: len(sound)]
    return np.asarray(peak * heard, np.float32)


_MU: Final = 255.0


class _ImageSpoiler:
    """Spoils the images of a clip, where its face is known to be."""

    def __init__(self, key: str, clean: Features) -> None:
        self._times = clean.face_times_s
        self._boxes = _boxes(clean.landmarks)
        self._dropped = chance_of("dropped", key)
        chance = chance_of("occlusion", key)
        self._place = chance.random(2)
        self._grey = int(chance.integers(0, 256))

    def spoil(
        self, elapsed_ns: int, frame: VideoFrame
    ) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """The image under each corruption; none for one that drops it."""
        box = self._box(to_s(elapsed_ns))
        side = (
            max(frame.image.shape[:2]) / 4 if box is None else float((box[2:] - box[:2]).max())
        )
        yield "blur", _soft(frame.image, BLUR * side)
        yield "occlusion", frame.image if box is None else self._covered(frame.image, box)
        if self._dropped.random() >= DROPPED:
            yield "dropped frames", frame.image

    def _box(self, time_s: float) -> NDArray[np.float64] | None:
        """Left, top, right, bottom of the face at the nearest time at which it was seen."""
        if self._boxes is None or self._times is None:
            return None
        order = np.argsort(np.abs(self._times - time_s), kind="stable")
        known = [index for index in order.tolist() if np.isfinite(self._boxes[index]).all()]
        return self._boxes[known[0]] if known else None

    def _covered(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
        """With an even patch over a quarter of the face."""
        size = box[2:] - box[:2]
        low = box[:2] + self._place * (1 - PATCH) * size
        left, top = np.maximum(low, 0).round().astype(int)
        right, bottom = np.maximum(low + PATCH * size, 0).round().astype(int)
        covered = np.array(image, np.uint8)
        covered[top:bottom, left:right] = self._grey
        return covered


def _soft(image: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """Blurred by three boxes, which come close to a Gaussian of this deviation [pixels] and
    take no longer for a large one."""
    side = 2 * (round(math.sqrt(4 * deviation**2 + 1)) // 2) + 1
    for _ in range(3):
        image = np.asarray(cv2.blur(image, (side, side)), np.uint8)
    return image


def _boxes(landmarks: NDArray[np.float32] | None) -> NDArray[np.float64] | None:
    """(n, 4) left, top, right, bottom of each mesh [pixels]; NaN without one."""
    if landmarks is None:
        return None
    corners = (landmarks.min(axis=1), landmarks.max(axis=1))
    return np.asarray(np.concatenate(corners, 1), np.float64)
