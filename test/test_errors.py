"""Errors that callers tell apart by their kind."""

from __future__ import annotations

import pytest

from avemo_ros.audio.pcm import check_coding, check_stream, decode_pcm
from avemo_ros.errors import AudioFormatError, ImageError


@pytest.mark.parametrize(
    ("length", "name", "channels", "kind"),
    [
        (641, "S16LE", 1, "frames"),
        (999, "S16LE", 1, "frames"),
        (640, "S12XX", 1, "format"),
        (640, "S16LE", 0, "channels"),
    ],
)
def test_the_kind_of_bad_sound_does_not_depend_on_its_length(
    length: int, name: str, channels: int, kind: str
) -> None:
    with pytest.raises(AudioFormatError) as caught:
        decode_pcm(bytes(length), name, channels)
    assert caught.value.kind == kind


def test_compressed_sound_and_impossible_rates_are_kinds_of_their_own() -> None:
    with pytest.raises(AudioFormatError) as coding:
        check_coding("mp3")
    with pytest.raises(AudioFormatError) as rate:
        check_stream(100, 1)
    assert (coding.value.kind, rate.value.kind) == ("coding", "rate")


def test_an_error_of_no_special_kind_has_that_of_its_input() -> None:
    assert ImageError("12 bytes are wrong").kind == "image"
    assert AudioFormatError("12 bytes are wrong").kind == "sound"
