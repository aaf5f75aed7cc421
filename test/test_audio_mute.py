"""Sound is silence while the robot itself speaks, and a moment longer."""

from __future__ import annotations

import numpy as np

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.engine.audio_stage import LONGEST_NS, TAIL_NS, RobotSpeechMask

S = 10**9
MS = 10**6


def block(stamp_ns: int, milliseconds: int = 1000, channels: int = 2) -> AudioBlock:
    samples = np.full((16 * milliseconds, channels), 0.5, np.float32)
    samples[1::2] *= -1.0  # no offset
    return AudioBlock(stamp_ns, 16_000, samples)


def heard_ms(block: AudioBlock) -> list[tuple[int, int]]:
    """Stretches that are not silent, from the block's start [ms]."""
    sound = np.concatenate(([0], (block.samples[:, 0] != 0).astype(int), [0]))
    edges = np.flatnonzero(np.diff(sound)) // 16
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_without_a_word_the_very_block_comes_back() -> None:
    mute, sound = RobotSpeechMask(), block(S)
    mute.set_speaking(S, speaking=False)
    assert mute.mask(sound) is sound
    assert mute.muted_s == 0.0


def test_it_is_silent_from_the_first_word_to_a_moment_after_the_last() -> None:
    mute = RobotSpeechMask()
    mute.set_speaking(S + 200 * MS, speaking=True)
    assert mute.speaking
    mute.set_speaking(S + 300 * MS, speaking=True)
    mute.set_speaking(S + 400 * MS, speaking=False)
    mute.set_speaking(S + 450 * MS, speaking=False)
    assert not mute.speaking
    sound = block(S)
    assert heard_ms(mute.mask(sound)) == [(0, 200), (400 + TAIL_NS // MS, 1000)]
    assert mute.muted_s == 0.5
    assert np.all(np.abs(sound.samples) == 0.5)


def test_while_it_speaks_all_is_silent_and_earlier_sound_is_not() -> None:
    mute = RobotSpeechMask()
    mute.set_speaking(5 * S, speaking=True)
    assert heard_ms(mute.mask(block(9 * S))) == []
    assert heard_ms(mute.mask(block(4 * S))) == [(0, 1000)]
    assert heard_ms(mute.mask(block(4 * S + 500 * MS))) == [(0, 500)]


def test_words_within_the_moment_after_others_are_one_speech() -> None:
    mute = RobotSpeechMask()
    for start in (0, 200, 400):
        mute.set_speaking(S + start * MS, speaking=True)
        mute.set_speaking(S + (start + 100) * MS, speaking=False)
    assert heard_ms(mute.mask(block(S))) == [(800, 1000)]
    assert mute.muted_s == 0.8


def test_a_clock_that_starts_anew_does_not_leave_it_deaf() -> None:
    mute = RobotSpeechMask()
    mute.set_speaking(100 * S, speaking=True)
    mute.set_speaking(101 * S, speaking=False)
    mute.set_speaking(1 * S, speaking=True)
    mute.set_speaking(2 * S, speaking=False)
    assert heard_ms(mute.mask(block(S + 800 * MS))) == [(500, 1000)]
    assert heard_ms(mute.mask(block(100 * S))) == [(0, 1000)]


def test_a_robot_that_never_ends_is_heard_through_after_half_a_minute() -> None:
    mute = RobotSpeechMask()
    mute.set_speaking(10 * S, speaking=True)
    assert heard_ms(mute.mask(block(39 * S))) == []
    assert mute.speaking
    over = 10 * S + LONGEST_NS + TAIL_NS
    assert heard_ms(mute.mask(block(over - 500 * MS))) == [(500, 1000)]
    assert not mute.speaking
    assert mute.timeouts == 1
    assert heard_ms(mute.mask(block(over))) == [(0, 1000)]
    # Its end comes late, or it speaks again.
    mute.set_speaking(60 * S, speaking=False)
    assert heard_ms(mute.mask(block(60 * S))) == [(0, 1000)]
    mute.set_speaking(70 * S, speaking=True)
    assert heard_ms(mute.mask(block(70 * S))) == []
    assert mute.timeouts == 1


def test_who_says_again_that_it_speaks_may_speak_for_as_long_as_it_likes() -> None:
    mute = RobotSpeechMask()
    for second in range(300):
        mute.set_speaking((10 + second) * S, speaking=True)
        assert heard_ms(mute.mask(block((10 + second) * S))) == []
    mute.set_speaking(310 * S, speaking=False)
    assert heard_ms(mute.mask(block(310 * S))) == [(TAIL_NS // MS, 1000)]
    assert mute.timeouts == 0


def test_a_word_after_the_time_out_is_a_speech_of_its_own() -> None:
    mute = RobotSpeechMask()
    mute.set_speaking(10 * S, speaking=True)
    mute.set_speaking(100 * S, speaking=True)
    assert heard_ms(mute.mask(block(60 * S))) == [(0, 1000)]
    assert heard_ms(mute.mask(block(100 * S))) == []


def test_after_a_reset_it_hears() -> None:
    mute = RobotSpeechMask()
    mute.set_speaking(S, speaking=True)
    assert heard_ms(mute.mask(block(2 * S))) == []
    mute.reset()
    assert not mute.speaking
    assert heard_ms(mute.mask(block(2 * S))) == [(0, 1000)]
    assert mute.muted_s == 1.0
    mute.set_speaking(3 * S, speaking=False)
    assert heard_ms(mute.mask(block(3 * S))) == [(0, 1000)]
