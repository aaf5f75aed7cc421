"""Sounds that the audio tests share."""

from __future__ import annotations

import functools

import numpy as np
from made_clips import sample_items

from avemo_ros.audio.filters import Resampler
from avemo_ros.audio.spectrogram import AudioBlock


@functools.cache
def sample_blocks() -> tuple[AudioBlock, ...]:
    """The sample clip's sound as it comes from the file."""
    return tuple(item for item in sample_items() if isinstance(item, AudioBlock))


def sample_sound() -> np.ndarray:
    """The sample clip's sound, (n,) 16 kHz mono."""
    blocks = sample_blocks()
    samples = np.concatenate([block.samples for block in blocks])
    return Resampler(blocks[0].rate).push(samples.mean(axis=1))


def tone(rate: int, seconds: float, hertz: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    """(n, 1) sine."""
    time = np.arange(round(rate * seconds)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[:, None]


def blocks_of(
    samples: np.ndarray, rate: int, start_ns: int = 0, block_s: float = 0.02
) -> list[AudioBlock]:
    """Samples (n, channels) as blocks with exact stamps."""
    size = max(1, round(rate * block_s))
    return [
        AudioBlock(start_ns + round(at * 1e9 / rate), rate, samples[at : at + size])
        for at in range(0, len(samples), size)
    ]


def loud_and_silent(sound: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the sample clip surely has speech, and surely none: two masks, one item per hop.

    Its speech is synthetic and has no noise: loud is speech, and half a second after the last
    sound is none.
    """
    hops = sound[: len(sound) // hop * hop].reshape(-1, hop)
    rms = np.sqrt(np.mean(np.square(hops), axis=1))
    reach = round(0.5 * 16000 / hop)
    recent = np.array([rms[max(0, i - reach) : i + 1].max() for i in range(len(rms))])
    return rms > 10 ** (-30 / 20), recent < 1e-5
