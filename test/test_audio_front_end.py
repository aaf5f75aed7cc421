"""What becomes of sound before it is analysed: the same live and from files."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import blocks_of, sample_sound, tone

from avemo_ros.audio.front_end import AudioFrontEnd
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.config import AudioConfig
from avemo_ros.data.audio_features import SoundTrack, log_spectrogram
from avemo_ros.errors import AudioFormatError
from avemo_ros.timing import NS_PER_S, to_ns

START = 1_700_000_000 * NS_PER_S


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return sample_sound()[32000:128000, None]


def heard(blocks: list[AudioBlock], **settings: float) -> tuple[np.ndarray, AudioFrontEnd]:
    """All samples of a source."""
    front_end = AudioFrontEnd(AudioConfig(**settings))
    pieces = [piece for block in blocks for piece in front_end.push(block)]
    pieces += front_end.settle()
    return np.concatenate([piece.samples for piece in pieces]), front_end


def columns(blocks: list[AudioBlock]) -> tuple[np.ndarray, ...]:
    """Stamps, power and speech of all columns, and the flags of the chunks."""
    buffer = SpeechBuffer(AudioConfig())
    chunks = [chunk for block in blocks for chunk in buffer.push(block)] + buffer.flush()
    return (
        np.concatenate([c.stamp_ns + 10**7 * np.arange(len(c.speech)) for c in chunks]),
        np.concatenate([c.power_db for c in chunks]),
        np.concatenate([c.speech for c in chunks]),
        np.array([c.gap for c in chunks]),
    )


def on_arrival(blocks: list[AudioBlock], *, burst: int = 1, hiccup_s: float = 0.0):
    """As a driver stamps that hands over several blocks at once, or is held up now and then."""
    length = len(blocks[0].samples) / blocks[0].rate
    stamped = []
    for number, block in enumerate(blocks):
        ready = (number // burst + 1) * burst * length
        if hiccup_s and int(ready) % 2 == 1 and ready % 1.0 < hiccup_s:
            ready = int(ready) + hiccup_s
        stamped.append(AudioBlock(START + to_ns(ready), block.rate, block.samples))
    return stamped


@pytest.mark.parametrize("block_s", [0.01, 0.02, 0.1])
@pytest.mark.parametrize(
    ("burst", "hiccup_s"),
    [(1, 0.06), (1, 0.12), (1, 0.15), (10, 0.0), (20, 0.0), (5, 0.12)],
)
def test_sound_stamped_on_arrival_is_heard_as_if_its_stamps_were_good(
    spoken, block_s: float, burst: int, hiccup_s: float
) -> None:
    if burst * block_s > 0.2:
        burst = 2
    good = blocks_of(spoken, 16000, START, block_s)
    wanted = columns(good)
    stamps, power, speech, gaps = columns(on_arrival(good, burst=burst, hiccup_s=hiccup_s))
    np.testing.assert_array_equal(power, wanted[1])
    np.testing.assert_array_equal(speech, wanted[2])
    assert not gaps.any()
    # No column is off the one before by so much that the history would start anew.
    assert np.abs(np.diff(stamps) - 10**7).max() < 10**7
    assert abs(stamps[-1] - wanted[0][-1]) < to_ns(0.3)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_loss_is_filled_alike_however_the_sound_is_cut(spoken, rate: int) -> None:
    sound = np.repeat(spoken, 2, axis=1)
    lost = (round(1.5 * rate), round(1.9 * rate))
    expected = None
    for block_s in (0.01, 0.02, 0.05, 0.1, 0.5):
        before = blocks_of(sound[: lost[0]], rate, START, block_s)
        after = blocks_of(sound[lost[1] :], rate, START + round(lost[1] * 1e9 / rate), block_s)
        samples, front_end = heard(before + after)
        assert (front_end.counters.gaps, front_end.counters.restarts) == (1, 0)
        assert front_end.counters.lost_s == pytest.approx(0.4)
        expected = samples if expected is None else expected
        np.testing.assert_array_equal(samples, expected)


def test_a_loss_is_filled_where_it_is(spoken) -> None:
    blocks = blocks_of(spoken, 16000, START)
    whole, _ = heard(blocks)
    holed, _ = heard(blocks[:100] + blocks[115:])
    assert len(holed) == len(whole)
    np.testing.assert_array_equal(holed[:32000], whole[:32000])
    # The high pass has a memory of some hundredths of a second.
    assert np.abs(holed[33600:36800]).max() < 1e-3
    np.testing.assert_allclose(holed[40000:], whole[40000:], atol=1e-6)


def test_a_block_that_is_held_may_be_overwritten_by_its_source(spoken) -> None:
    blocks = blocks_of(spoken, 16000, START)
    kept = blocks[:50] + blocks[60:]
    wanted, _ = heard(kept)
    front_end = AudioFrontEnd(AudioConfig())
    buffer = np.empty((320, 1), np.float32)
    parts = []
    for block in kept:
        buffer[:] = block.samples
        got = front_end.push(AudioBlock(block.stamp_ns, 16000, buffer))
        parts += [piece.samples.copy() for piece in got]
    np.testing.assert_array_equal(np.concatenate(parts), wanted)


@pytest.mark.parametrize(
    ("rate", "true_rate", "said"),
    [
        (16000, 48000, "3.00 times as fast as its rate of 16000 Hz says"),
        (48000, 16000, "0.33 times as fast as its rate of 48000 Hz says"),
        (16000, 44100, "2.76 times as fast"),
        (44100, 48000, "1.09 times as fast"),
        (48000, 44100, "0.92 times as fast"),
    ],
)
@pytest.mark.parametrize("arrival", [False, True], ids=["stamped", "on arrival"])
def test_a_wrong_rate_is_said_once_and_such_sound_left_out(
    rate: int, true_rate: int, said: str, arrival: bool
) -> None:
    sound = tone(true_rate, 40.0)
    blocks = [
        AudioBlock(
            block.stamp_ns + to_ns(0.02) - round(len(block.samples) * 1e9 / rate)
            if arrival
            else block.stamp_ns,
            rate,
            block.samples,
        )
        for block in blocks_of(sound, true_rate, START)
    ]
    front_end = AudioFrontEnd(AudioConfig())
    for block in blocks[:500]:
        front_end.push(block)
    counters = front_end.counters
    assert said in counters.last_restart
    assert counters.speed == pytest.approx(true_rate / rate, rel=0.02)
    events, left_out_s = (counters.gaps, counters.restarts), counters.left_out_s
    assert sum(events) < 20
    for block in blocks[500:]:
        assert not any(len(piece.samples) for piece in front_end.push(block))
    assert (counters.gaps, counters.restarts) == events
    assert counters.left_out_s - left_out_s == pytest.approx(30 * true_rate / rate, rel=0.01)


def test_when_the_rate_is_right_again_sound_is_heard_again() -> None:
    sound = tone(48000, 10.0)
    front_end = AudioFrontEnd(AudioConfig())
    for block in blocks_of(sound, 48000, START):
        front_end.push(AudioBlock(block.stamp_ns, 16000, block.samples))
    assert front_end.counters.speed != 1.0
    pieces = []
    for block in blocks_of(sound, 48000, START + to_ns(10)):
        pieces += front_end.push(block)
    # Another rate is another source, which is given a chance at once.
    assert front_end.counters.speed == 1.0
    assert pieces[0].begins
    assert pieces[0].gap
    assert sum(len(piece.samples) for piece in pieces) > 159000


@pytest.mark.parametrize("channel", [0, 3, 5])
def test_one_of_six_channels_is_heard(spoken, channel: int) -> None:
    noise = 0.1 * np.random.default_rng(14).standard_normal((len(spoken), 6))
    noise[:, channel] = spoken[:, 0]
    got, _ = heard(blocks_of(noise.astype(np.float32), 16000, START), channel=channel)
    wanted, _ = heard(blocks_of(spoken, 16000, START))
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_channel_that_the_source_has_not_got_is_refused(spoken, channels: int) -> None:
    blocks = blocks_of(np.repeat(spoken, channels, axis=1), 16000, START)
    front_end = AudioFrontEnd(AudioConfig(channel=5))
    said = (
        rf"audio.channel is 5, but the source has {channels} channel.*-1 .* to {channels - 1}"
    )
    for block in blocks[:3]:
        with pytest.raises(AudioFormatError, match=said) as caught:
            front_end.push(block)
        assert caught.value.kind == "channel"
    six = blocks_of(np.repeat(spoken, 6, axis=1), 16000, START)
    assert sum(len(p.samples) for block in six for p in front_end.push(block)) == 96000


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 1), (8000, 3)])
@pytest.mark.parametrize("channel", [-1, 0])
def test_what_is_prepared_is_bit_for_bit_what_the_robot_hears(
    spoken, rate: int, channels: int, channel: int
) -> None:
    signs = np.array([1, -1, 1])[:channels]
    sound = (spoken * signs + 0.02).astype(np.float32)
    config = AudioConfig(channel=channel)
    blocks = blocks_of(sound, rate, START)
    if channels == 1:
        del blocks[100:110]
    blocks = on_arrival(blocks, hiccup_s=0.12) if channels == 2 else blocks
    buffer = SpeechBuffer(config)
    chunks = [chunk for block in blocks for chunk in buffer.push(block)] + buffer.flush()
    live = np.concatenate([chunk.power_db for chunk in chunks])[:900]
    track = SoundTrack(config=config)
    for block in blocks:
        track.push(block)
    prepared = track.finish()
    assert prepared is not None
    np.testing.assert_array_equal(log_spectrogram(prepared[: 160 * 1000])[: len(live)], live)


def test_at_the_end_the_rest_of_the_sound_comes_out() -> None:
    for rate in (16000, 44100, 48000, 8000):
        front_end = AudioFrontEnd(AudioConfig())
        blocks = blocks_of(tone(rate, 1.237), rate, START)
        pieces = [piece for block in blocks for piece in front_end.push(block)]
        pieces += front_end.drain()
        samples = np.concatenate([piece.samples for piece in pieces])
        assert len(samples) == -(-round(1.237 * rate) * 16000 // rate)
        again = [piece for block in blocks for piece in front_end.push(block)]
        assert again[0].begins
        assert not again[0].gap
