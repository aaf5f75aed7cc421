"""Corruptions as they occur on a robot, applied to the images and the audio of a clip.

The clip is spoilt before the face is looked for and before the spectrogram is computed, so
that a face that is not found under a blur is missing, as it would be on the robot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.audio.chunk import SAMPLE_RATE, AudioBlock
from avemo_ros.clock import to_ns, to_s
from avemo_ros.data.audio_features import SoundTrack, log_spectrogram
from avemo_ros.data.dataset import Item
from avemo_ros.data.face_images import MainFace, VideoStages, is_image_file
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.prepare_config import PrepareConfig
from avemo_ros.errors import AvemoError, DataError
from avemo_ros.evaluate.corruption import (
    BLUR,
    DROPPED,
    NOISES_DB,
    OFFSET_S,
    ON_FACE,
    ON_FEATURES,
    PATCH,
    active_power,
    chance_of,
    pink_noise,
)
from avemo_ros.process_pool import Done, Failed, Progress, run_jobs
from avemo_ros.source.media_file import MediaFile, VideoFrame

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
    made = dict(bar)
    return {
        name: Corpus(corpus.items, tuple(made[place][name] for place in range(len(jobs))))
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
    """Sound with noise, or late.

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
        covered = image.copy()
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
