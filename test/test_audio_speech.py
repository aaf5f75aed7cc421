"""The whole way of sound: any block in, columns with exact times out, whatever happens."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import kept
from sounds import blocks_of, loud_and_silent, sample_blocks, sample_sound, tone

from avemo_ros.audio.filters import HighPass
from avemo_ros.audio.front_end import AudioFrontEnd
from avemo_ros.audio.spectrogram import (
    BINS,
    HOP_NS,
    AudioBlock,
    LogSpectrogram,
    SpectrogramChunk,
)
from avemo_ros.audio.speech import SpeechBuffer, SpeechDetector
from avemo_ros.config import AudioConfig, InputConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.feature_extractor import InputIssues
from avemo_ros.errors import AudioFormatError
from avemo_ros.timing import NS_PER_S, to_ns

START = 1_700_000_000 * NS_PER_S


def push_all(buffer: SpeechBuffer, blocks: list[AudioBlock]) -> list[SpectrogramChunk]:
    """The chunks of a whole recording."""
    return [chunk for block in blocks for chunk in buffer.push(block)] + buffer.flush()


def buffer_of(**settings: float) -> SpeechBuffer:
    return SpeechBuffer(AudioConfig(**settings))


def joined(chunks: list[SpectrogramChunk]) -> tuple[np.ndarray, ...]:
    """Times, power, speech and level of all columns."""
    return (
        np.concatenate([c.stamp_ns + HOP_NS * np.arange(len(c.speech)) for c in chunks]),
        np.concatenate([c.power_db for c in chunks]),
        np.concatenate([c.speech for c in chunks]),
        np.concatenate([c.level_dbfs for c in chunks]),
    )


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return sample_sound()[:, None]


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 1), (8000, 3)])
def test_the_cuts_between_blocks_leave_no_trace(spoken, rate: int, channels: int) -> None:
    sound = soxr.resample(spoken[32000:64000, 0], 16000, rate).astype(np.float32)
    sound = np.stack([sound] * channels, axis=1)
    expected = None
    for block_s in (0.02, 0.01, 0.0731, 0.5, 5.0):
        buffer = buffer_of()
        chunks = push_all(buffer, blocks_of(sound, rate, START, block_s))
        columns = joined(chunks)
        expected = expected or columns
        for got, wanted in zip(columns, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
        assert not any(chunk.gap for chunk in chunks)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_a_click_is_in_the_columns_whose_windows_hold_it(rate: int) -> None:
    click_s = 0.5
    sound = np.zeros((rate, 1), np.float32)
    sound[round(click_s * rate)] = 1.0
    buffer = buffer_of()
    times, _, _, level = joined(push_all(buffer, blocks_of(sound, rate, START)))
    # The column that ends in (click, click + 10 ms] has it in its newest 10 ms.
    loudest = times[np.argmax(level)] - START - to_ns(click_s)
    assert 0 <= loudest <= HOP_NS


def test_columns_are_10_ms_apart_and_the_first_ends_40_ms_after_the_start() -> None:
    buffer = buffer_of()
    chunks = push_all(buffer, blocks_of(tone(16000, 1.0), 16000, START))
    times = joined(chunks)[0]
    np.testing.assert_array_equal(times, START + to_ns(0.04) + HOP_NS * np.arange(len(times)))
    assert chunks[-1].end_ns == START + NS_PER_S


def test_a_tone_is_at_its_bin_and_level() -> None:
    buffer = buffer_of()
    _, power, _, level = joined(push_all(buffer, blocks_of(tone(48000, 1.0, 1000.0), 48000)))
    assert power.shape[1] == BINS
    assert np.all(np.argmax(power, axis=1)[2:] == 50)
    # Half of full scale is -6 dB, and 3 dB less as RMS.
    np.testing.assert_allclose(power[2:, 50], -6.02, atol=0.1)
    np.testing.assert_allclose(level[2:], -9.03, atol=0.1)


@pytest.mark.parametrize(("chunk_s", "columns"), [(0.01, 1), (0.03, 3), (0.1, 10)])
def test_a_chunk_holds_at_least_the_wanted_length(chunk_s: float, columns: int) -> None:
    buffer = buffer_of(chunk_s=chunk_s)
    blocks = blocks_of(tone(16000, 1.0), 16000, 0, 0.01)
    chunks = [chunk for block in blocks for chunk in buffer.push(block)]
    assert {len(chunk.speech) for chunk in chunks} == {columns}
    assert sum(len(chunk.speech) for chunk in chunks + buffer.flush()) == 97
    assert buffer.flush() == []


def test_speech_is_found_where_it_is(spoken) -> None:
    _, _, speech, _ = joined(push_all(buffer_of(), blocks_of(spoken, 16000)))
    # The first column ends with the fourth hop.
    loud, silent = (mask[3:] for mask in loud_and_silent(spoken[:, 0], 160))
    assert loud.sum() > 200
    assert silent.sum() > 200
    assert (speech[loud] > 0.5).mean() > 0.9
    assert speech[silent].max() == 0


def test_a_columns_speech_is_that_of_the_newest_step_that_ended_before(spoken) -> None:
    sound = spoken[32000:64000]
    detector = SpeechDetector()
    heard = HighPass().push(sound[:, 0])
    steps = [detector.push(heard[at : at + 512]) for at in range(0, len(heard) - 511, 512)]
    chunks = push_all(buffer_of(level_floor_dbfs=-96.0), blocks_of(sound, 16000))
    _, _, speech, level = joined(chunks)
    ends = 640 + 160 * np.arange(len(speech))
    expected = np.where(level < -96, 0, np.array(steps, np.float32)[ends // 512 - 1])
    np.testing.assert_array_equal(speech, expected.astype(np.float32))


@pytest.mark.parametrize("cause", ["offset", "drift", "rumble"])
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (48000, 2)])
def test_what_is_no_sound_is_not_heard(spoken, cause: str, rate: int, channels: int) -> None:
    sound = soxr.resample(spoken[32000:96000, 0], 16000, rate).astype(np.float32)
    noise = 3e-4 * np.random.default_rng(8).standard_normal(len(sound))
    sound = np.stack([sound + noise] * channels, axis=1).astype(np.float32)
    time = np.arange(len(sound)) / rate
    added = {
        "offset": np.full(len(sound), 0.1),
        "drift": 0.1 * np.sin(2 * np.pi * 0.3 * time),
        "rumble": 0.03 * np.sin(2 * np.pi * 6.0 * time + 1.0),
    }[cause]
    clean = joined(push_all(buffer_of(), blocks_of(sound, rate)))
    worse = (sound + added[:, None]).astype(np.float32)
    heard = joined(push_all(buffer_of(), blocks_of(worse, rate)))
    # Above 100 Hz nothing of it is left, and where there is speech nothing below either.
    assert np.percentile(np.abs(heard[1] - clean[1])[:, 5:], 99) < 1.0
    loud = clean[3] > -35
    assert np.percentile(np.abs(heard[1] - clean[1])[loud], 99) < 3.0
    assert np.mean((heard[2] > 0.5) == (clean[2] > 0.5)) > 0.98
    assert np.abs(heard[3] - clean[3])[loud].max() < 0.5


def test_an_offset_does_not_begin_with_a_bang() -> None:
    offset = np.full((16000, 1), 0.1, np.float32)
    _, power, speech, level = joined(push_all(buffer_of(), blocks_of(offset, 16000)))
    assert level.max() < -90
    assert power.max() < -90
    assert speech.max() == 0


def test_digital_silence_is_silence() -> None:
    _, power, speech, level = joined(
        push_all(buffer_of(), blocks_of(np.zeros((32000, 1), np.float32), 16000))
    )
    assert np.all(speech == 0)
    assert np.all(level == -100)
    assert np.all(power == -100)


def test_speech_below_the_level_floor_does_not_count(spoken) -> None:
    soft = spoken * 0.03
    loud = joined(push_all(buffer_of(), blocks_of(spoken, 16000)))[2]
    faint = joined(push_all(buffer_of(level_floor_dbfs=-40.0), blocks_of(soft, 16000)))[2]
    lower = joined(push_all(buffer_of(level_floor_dbfs=-96.0), blocks_of(soft, 16000)))[2]
    assert (loud > 0.5).mean() > 0.4
    assert np.all(faint == 0)
    assert (lower > 0.5).mean() > 0.4


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_short_loss_is_filled_with_silence_and_flagged(rate: int) -> None:
    sound = tone(rate, 2.0)
    blocks = blocks_of(sound, rate, START)
    del blocks[40:55]  # 0.8 s to 1.1 s
    buffer = buffer_of()
    chunks = push_all(buffer, blocks)
    times, _, _, level = joined(chunks)
    np.testing.assert_array_equal(np.diff(times), HOP_NS)
    assert chunks[-1].end_ns == START + to_ns(2.0) - (0 if rate == 16000 else HOP_NS)
    after = (times - START) / NS_PER_S
    # The high pass rings on for a moment.
    assert level[(after > 0.815) & (after < 1.095)].max() < -40
    assert level[(after > 1.0) & (after < 1.095)].max() < -90
    assert level[(after > 1.115) & (after < 1.9)].min() > -10
    flagged = [chunk for chunk in chunks if chunk.gap]
    assert len(flagged) == 1
    assert flagged[0].stamp_ns - to_ns(0.05) < START + to_ns(0.8) < flagged[0].end_ns
    counters = buffer.counters
    assert (counters.gaps, counters.restarts) == (1, 0)
    assert counters.lost_s == pytest.approx(0.3)


def test_lost_blocks_in_speech_do_not_make_columns_late() -> None:
    blocks = sample_blocks()
    whole = joined(push_all(buffer_of(), blocks))
    holed = joined(push_all(buffer_of(), blocks[:200] + blocks[210:]))
    np.testing.assert_array_equal(whole[0], holed[0])
    # Long after the loss nothing of it is left.
    np.testing.assert_array_equal(whole[1][-300:], holed[1][-300:])


def test_a_long_loss_starts_the_stream_anew() -> None:
    sound = tone(16000, 4.0)
    blocks = blocks_of(sound, 16000, START)
    buffer = buffer_of()
    before = [chunk for block in blocks[:50] for chunk in buffer.push(block)]
    after = push_all(buffer, blocks[150:])
    assert not any(chunk.gap for chunk in before)
    assert before[-1].end_ns < START + NS_PER_S
    # What was waiting of the old stream comes by itself.
    assert after[0].end_ns == START + NS_PER_S
    assert not after[0].gap
    assert after[1].gap
    assert after[1].stamp_ns == START + to_ns(3.04)
    assert not any(chunk.gap for chunk in after[2:])
    assert buffer.counters.restarts == 1
    assert "2.000 s of audio are missing" in buffer.counters.last_restart


@pytest.mark.parametrize("start_s", [0.0, 1.0, 1_700_000_000.0 - 7200.0])
def test_a_recording_that_loops_starts_anew_with_the_same_columns(start_s: float) -> None:
    start = to_ns(start_s)
    sound = tone(16000, 1.0) * np.linspace(0, 1, 16000, dtype=np.float32)[:, None]
    buffer = buffer_of()
    first = push_all(buffer, blocks_of(sound, 16000, START))
    again = push_all(buffer, blocks_of(sound, 16000, start))
    assert buffer.counters.restarts == 1
    assert "went back" in buffer.counters.last_restart
    anew = [chunk for chunk in again if chunk.stamp_ns < START]
    assert anew[0].gap
    if start:
        for got, wanted in zip(joined(anew)[1:], joined(first)[1:], strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_hours_old_stamps_between_good_ones_are_survived() -> None:
    good = blocks_of(tone(16000, 2.0), 16000, START)
    old = AudioBlock(START - to_ns(5 * 3600), 16000, good[0].samples)
    buffer = buffer_of()
    push_all(buffer, [*good[:50], old])
    chunks = push_all(buffer, good[50:])
    assert buffer.counters.restarts == 2
    assert chunks[0].gap
    assert chunks[-1].end_ns == START + to_ns(2.0)
    assert not chunks[-1].gap


@pytest.mark.parametrize(
    ("rate", "channels", "said"),
    [
        (44100, 1, "16000 Hz and 1 channel(s) to 44100 Hz and 1"),
        (16000, 2, "16000 Hz and 1 channel(s) to 16000 Hz and 2"),
    ],
)
def test_a_change_of_rate_or_channels_starts_anew(rate: int, channels: int, said: str) -> None:
    buffer = buffer_of()
    push_all(buffer, blocks_of(tone(16000, 1.0), 16000, START))
    later = np.repeat(tone(rate, 1.0), channels, axis=1)
    chunks = push_all(buffer, blocks_of(later, rate, START + NS_PER_S))
    assert said in buffer.counters.last_restart
    assert [chunk.gap for chunk in chunks].count(True) == 1
    fresh = push_all(buffer_of(), blocks_of(later, rate, START + NS_PER_S))
    anew = chunks[[chunk.gap for chunk in chunks].index(True) :]
    for got, wanted in zip(joined(anew), joined(fresh), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_unset_stamps_count_samples() -> None:
    sound = tone(16000, 1.0)
    unset = [AudioBlock(0, 16000, block.samples) for block in blocks_of(sound, 16000)]
    got = push_all(buffer_of(), unset)
    wanted = push_all(buffer_of(), blocks_of(sound, 16000))
    np.testing.assert_array_equal(joined(got)[0], joined(wanted)[0])
    assert not any(chunk.gap for chunk in got)


def test_drift_moves_the_stamps_and_never_the_sound() -> None:
    sound = tone(16000, 30.0)
    exact = blocks_of(sound, 16000, START, 0.1)
    fast = [
        AudioBlock(START + round((block.stamp_ns - START) * 1.0003), 16000, block.samples)
        for block in exact
    ]
    buffer = buffer_of()
    chunks = push_all(buffer, fast)
    assert (buffer.counters.gaps, buffer.counters.restarts) == (0, 0)
    np.testing.assert_array_equal(joined(chunks)[1], joined(push_all(buffer_of(), exact))[1])
    steps = np.array([after.stamp_ns - before.end_ns for before, after in pairwise(chunks)])
    assert np.all(np.abs(steps - HOP_NS) < 200_000)
    true_end = START + round(30.0 * 1.0003 * NS_PER_S)
    assert abs(chunks[-1].end_ns - true_end) < to_ns(0.005)


def test_nan_becomes_silence_and_is_counted() -> None:
    sound = tone(16000, 1.0)
    sound[4000:4800] = np.nan
    sound[5000] = np.inf
    buffer = buffer_of()
    times, power, speech, level = joined(push_all(buffer, blocks_of(sound, 16000)))
    assert buffer.counters.sanitised == 801
    for figures in (power, speech, level):
        assert np.all(np.isfinite(figures))
    hole = (times > to_ns(0.27)) & (times < to_ns(0.3))
    # The high pass rings on for a moment.
    assert level[hole].max() < -40


@pytest.mark.parametrize(
    ("rate", "samples", "said"),
    [
        (16000, np.zeros(320, np.float32), r"shape \(320,\)"),
        (16000, np.zeros((320, 1), np.int16), "int16"),
        (16000, np.zeros((320, 0), np.float32), "channel count is 0"),
        (0, np.zeros((320, 1), np.float32), "rate is 0 Hz"),
        (400_000, np.zeros((320, 1), np.float32), "rate is 400000 Hz"),
    ],
)
def test_unusable_blocks_are_refused_and_change_nothing(rate, samples, said) -> None:
    blocks = blocks_of(tone(16000, 1.0), 16000, START)
    buffer = buffer_of()
    chunks = push_all(buffer, blocks[:25])
    with pytest.raises(AudioFormatError, match=said):
        buffer.push(AudioBlock(START, rate, samples))
    chunks += push_all(buffer, blocks[25:])
    for got, wanted in zip(joined(chunks), joined(push_all(buffer_of(), blocks)), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_an_empty_block_changes_nothing() -> None:
    buffer = buffer_of()
    assert buffer.push(AudioBlock(5, 44100, np.zeros((0, 2), np.float32))) == []
    push_all(buffer, blocks_of(tone(16000, 0.5), 16000, START))
    assert buffer.push(AudioBlock(START, 16000, np.zeros((0, 1), np.float32))) == []
    assert buffer.counters.restarts == 0


def test_after_reset_the_same_sound_gives_the_same_columns(spoken) -> None:
    blocks = blocks_of(spoken[30000:50000], 16000, START)
    buffer = buffer_of()
    first = push_all(buffer, blocks)
    buffer.reset()
    again = push_all(buffer, blocks)
    for got, wanted in zip(joined(again), joined(first), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert not again[0].gap
    assert buffer.counters.restarts == 0


def test_no_more_than_a_fifth_of_a_second_of_raw_sound_is_kept(spoken) -> None:
    buffer = buffer_of()
    push_all(buffer, blocks_of(spoken, 16000))
    # The detector's state has (2, 1, 128) numbers, in which no sample is found again.
    arrays = [one for one in kept(buffer) if isinstance(one, np.ndarray) and one.ndim < 3]
    seconds = sorted(len(one) / 16000 for one in arrays)
    assert seconds[-1] <= 0.2
    assert sum(seconds[:-1]) < 3 * 0.04


def test_of_sound_in_doubt_no_more_than_two_seconds_are_kept(spoken) -> None:
    rng = np.random.default_rng(9)
    front_end, most = AudioFrontEnd(AudioConfig()), 0.0
    for block in blocks_of(spoken, 16000):
        stamp = int(rng.integers(1, 2**60))
        front_end.push(AudioBlock(stamp, 16000, block.samples))
        most = max(most, front_end.held_s)
    assert 1.0 < most < 2.1
    front_end.reset()
    assert front_end.held_s == 0.0


def test_the_spectrogram_does_not_depend_on_cuts_and_tells_what_it_holds_back() -> None:
    sound = np.random.default_rng(5).standard_normal(5000).astype(np.float32) * 0.1
    whole = LogSpectrogram().push(sound)
    assert whole.shape == ((5000 - 640) // 160 + 1, BINS)
    parted = LogSpectrogram()
    parts = [parted.push(part) for part in np.array_split(sound, 77)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert parted.pending == 5000 - len(whole) * 160


def test_the_spectrogram_is_the_dft_of_hamming_windows() -> None:
    sound = np.random.default_rng(6).standard_normal(960).astype(np.float32) * 0.1
    taper = np.hamming(640)
    for column, got in enumerate(LogSpectrogram().push(sound)):
        window = sound[column * 160 : column * 160 + 640] * taper
        bins = np.exp(-2j * np.pi * np.outer(np.arange(BINS), np.arange(640)) / 800)
        expected = 20 * np.log10(np.abs(bins @ window) * 2 / taper.sum())
        np.testing.assert_allclose(got, expected, atol=0.01)


def test_silence_in_sound_with_an_offset_makes_no_noise() -> None:
    """The robot speaks, a block is lost, and a sample is no number."""
    stage = AudioStage(AudioConfig(), InputConfig(), InputIssues().of("sound"))
    second = 10**9
    start = 1_000 * second
    levels = []
    for number in range(300):
        at = start + number * 20_000_000
        if number == 60:
            stage.mute.set_speaking(at + 7_000_000, speaking=True)
        if number == 90:
            stage.mute.set_speaking(at + 3_000_000, speaking=False)
        if 200 <= number < 205:
            continue
        samples = np.full((320, 2), 0.1, np.float32) * np.array([1.0, 0.5], np.float32)
        if number == 250:
            samples[100] = np.nan
        chunks = stage.push(AudioBlock(at, 16_000, samples), at + 20_000_000)
        levels += [chunk.level_dbfs for chunk in chunks]
    assert stage.mute.muted_s > 0.5
    assert stage.counters.gaps == 1
    assert stage.counters.sanitised == 2
    assert np.concatenate(levels).max() < -90.0


ODD_BLOCKS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.02, 0.1]),  # length [s]
        st.sampled_from([16_000, 16_000, 16_000, 48_000, 11_025, 0]),
        st.sampled_from([1, 1, 2, 6]),
        st.sampled_from(["speech", "offset", "nan", "huge", "silence"]),
        st.sampled_from([0.0, 0.0, 0.0, 0.06, -0.5, 3.0, -3600.0]),  # wrong stamp by [s]
        st.sampled_from([0.0, 0.02, 0.3]),  # late by [s]
        st.booleans(),  # the robot speaks
    ),
    max_size=60,
)


@settings(max_examples=30, deadline=None, database=None)
@given(ODD_BLOCKS)
def test_whatever_sound_comes_columns_are_finite_and_good_sound_is_heard(odd: Any) -> None:
    stage = AudioStage(AudioConfig(), InputConfig(), InputIssues().of("sound"))
    noise = np.random.default_rng(0)
    chunks: list[SpectrogramChunk] = []
    time_s = 1_000.0
    good = [(0.02, 16_000, 1, "speech", 0.0, 0.0, False)] * 75
    for length_s, rate, channels, what, wrong_s, late_s, speaks in [*odd, *good]:
        samples = noise.normal(0.0, 0.05, (round(length_s * rate), channels))
        samples = samples.astype(np.float32) * (what != "silence")
        if what == "offset":
            samples += 0.3
        elif what == "nan":
            samples[::7] = np.nan
        elif what == "huge":
            samples *= 1e9
        stage.mute.set_speaking(to_ns(time_s), speaking=speaks)
        block = AudioBlock(to_ns(time_s + wrong_s), rate, samples)
        time_s += length_s
        chunks += stage.push(block, to_ns(time_s + late_s))
    for chunk in chunks:
        assert np.isfinite(chunk.power_db).all()
        assert np.isfinite(chunk.level_dbfs).all()
        assert ((chunk.speech >= 0.0) & (chunk.speech <= 1.0)).all()
    last = chunks[-1]
    assert abs(last.end_ns - to_ns(time_s)) < to_ns(0.2)
    assert last.level_dbfs[-1] > -40.0
