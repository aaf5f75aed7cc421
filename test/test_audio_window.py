"""Where the speech of an utterance is, and the windows that are cut around it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import FLOOR_DB, cut_columns, speech_span, speech_windows


def utterance(columns: int, first: int, last: int) -> NDArray[np.float16]:
    """Silence with speech in [first, last); every column of speech has its own level."""
    power_db = np.full((columns, 200), -90.0, np.float16)
    power_db[first:last] = -30.0 + np.arange(last - first)[:, None] * 0.01
    return power_db


def test_the_span_of_speech_leaves_out_the_silence_before_and_after() -> None:
    assert speech_span(utterance(50, 10, 30)) == (10, 30)


def test_a_cut_is_filled_up_with_silence_on_both_sides() -> None:
    window = cut_columns(utterance(10, 0, 10), -5, 20)
    assert window.shape == (20, 200)
    assert (window[:5] == FLOOR_DB).all()
    assert (window[5:15] > -31).all()
    assert (window[15:] == FLOOR_DB).all()


@pytest.mark.parametrize("start", [-40, 30])
def test_a_cut_beside_the_sound_is_silence(start: int) -> None:
    assert (cut_columns(utterance(10, 0, 10), start, 20) == FLOOR_DB).all()


def test_short_speech_is_in_the_middle_of_its_one_window() -> None:
    (window,) = speech_windows(utterance(400, 250, 350), 300)
    loud = np.flatnonzero(window.max(axis=1) > -40)
    assert (loud[0], loud[-1] + 1) == (100, 200)


def test_silence_around_the_speech_does_not_change_its_window() -> None:
    short = speech_windows(utterance(120, 10, 110), 300)
    long = speech_windows(utterance(900, 700, 800), 300)
    middle = slice(100, 200)
    np.testing.assert_array_equal(short[0][middle], long[0][middle])


def test_long_speech_gets_windows_that_cover_it_from_its_first_to_its_last_column() -> None:
    power_db = utterance(900, 50, 850)
    windows = speech_windows(power_db, 300)
    assert len(windows) == 3
    np.testing.assert_array_equal(windows[0], power_db[50:350].astype(np.float32))
    np.testing.assert_array_equal(windows[-1], power_db[550:850].astype(np.float32))


@pytest.mark.parametrize(("columns", "count"), [(449, 1), (450, 1), (451, 2), (601, 3)])
def test_another_window_begins_where_one_and_a_half_are_full(columns: int, count: int) -> None:
    assert len(speech_windows(utterance(columns, 0, columns), 300)) == count
