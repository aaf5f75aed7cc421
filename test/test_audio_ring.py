"""The ring keeps the newest sound and knows the time of each sample."""

from __future__ import annotations

import numpy as np
import pytest

from avemo_ros.audio.speech import SAMPLE_NS, SampleRing


def numbered(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.float32)


def test_it_keeps_the_newest_samples_over_many_turns() -> None:
    ring = SampleRing(100)
    rng = np.random.default_rng(0)
    end = 0
    for size in rng.integers(0, 90, 200):
        ring.append(numbered(end, end + int(size)))
        end += int(size)
        assert ring.end == end
        kept = numbered(max(0, end - 100), end)
        np.testing.assert_array_equal(ring.read(ring.begin, end), kept)


def test_a_block_longer_than_the_ring_leaves_its_end() -> None:
    ring = SampleRing(10)
    ring.append(numbered(0, 7))
    ring.append(numbered(7, 40))
    np.testing.assert_array_equal(ring.read(30, 40), numbered(30, 40))
    ring.append(numbered(40, 43))
    np.testing.assert_array_equal(ring.read(33, 43), numbered(33, 43))


def test_overwritten_and_future_samples_cannot_be_read() -> None:
    ring = SampleRing(10)
    ring.append(numbered(0, 25))
    assert (ring.begin, ring.end) == (15, 25)
    for start, stop in ((14, 20), (20, 26), (22, 21)):
        with pytest.raises(IndexError, match="kept: 15 to 25"):
            ring.read(start, stop)


def test_the_time_of_a_sample_is_exact() -> None:
    ring = SampleRing(10)
    ring.reset(1_700_000_000_000_000_001)
    assert ring.time_ns(0) == 1_700_000_000_000_000_001
    assert ring.time_ns(16000 * 3600 * 24) == 1_700_000_000_000_000_001 + 86_400 * 10**9


def test_sound_is_found_by_its_time() -> None:
    ring = SampleRing(100)
    ring.reset(10**9)
    ring.append(numbered(0, 150))
    at = ring.time_ns
    np.testing.assert_array_equal(ring.read_span(at(60), at(70)), numbered(60, 70))
    # A sample belongs to the span in which it begins.
    np.testing.assert_array_equal(ring.read_span(at(60) + 1, at(70) + 1), numbered(61, 71))
    np.testing.assert_array_equal(ring.read_span(0, at(52)), numbered(50, 52))
    np.testing.assert_array_equal(ring.read_span(at(148), at(999)), numbered(148, 150))
    assert len(ring.read_span(at(160), at(170))) == 0
    assert len(ring.read_span(0, at(10))) == 0


def test_a_span_split_in_two_is_the_whole() -> None:
    ring = SampleRing(100)
    ring.append(numbered(0, 100))
    middle = 40 * SAMPLE_NS + 777
    parts = [ring.read_span(0, middle), ring.read_span(middle, ring.time_ns(100))]
    np.testing.assert_array_equal(np.concatenate(parts), numbered(0, 100))


def test_reset_forgets_the_sound() -> None:
    ring = SampleRing(10)
    ring.append(numbered(1, 11))
    ring.reset(5)
    assert (ring.begin, ring.end, ring.time_ns(0)) == (0, 0, 5)
    with pytest.raises(IndexError):
        ring.read(0, 1)


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity is 0"):
        SampleRing(0)
