"""Bytes of every sample format become the same sound; what is no sound is refused."""

from __future__ import annotations

import array
import struct

import numpy as np
import pytest

from avemo_ros.audio.pcm import (
    check_coding,
    check_stream,
    decode_pcm,
    decode_portaudio,
    sanitise,
)
from avemo_ros.errors import AudioFormatError

VALUES = [0.0, 0.5, -0.5, -1.0, 0.25]
"""Exact in 8 bits and more."""


def packed(sample_format: str) -> bytes:
    """`VALUES` by the plain definition of each format."""
    order = "big" if sample_format.endswith("BE") else "little"
    name = sample_format.removesuffix("LE").removesuffix("BE").removesuffix("_")
    if name in {"F32", "FLOAT"}:
        return b"".join(struct.pack((">" if order == "big" else "<") + "f", v) for v in VALUES)
    if name in {"F64", "FLOAT64"}:
        return b"".join(struct.pack((">" if order == "big" else "<") + "d", v) for v in VALUES)
    if name == "U8":
        return bytes(int(v * 128 + 128) for v in VALUES)
    size, bits = {
        "S8": (1, 8),
        "S16": (2, 16),
        "S24": (3, 24),
        "S24_3": (3, 24),
        "S24_32": (4, 24),
        "S32": (4, 32),
    }[name]
    return b"".join(int(v * 2 ** (bits - 1)).to_bytes(size, order, signed=True) for v in VALUES)


@pytest.mark.parametrize(
    "sample_format",
    [
        "S8",
        "U8",
        "S16LE",
        "S16BE",
        "S24LE",
        "S24BE",
        "S24_32LE",
        "S24_32BE",
        "S32LE",
        "S32BE",
        "F32LE",
        "F32BE",
        "F64LE",
        "F64BE",
        "S16_LE",
        "S24_3LE",
        "S32_BE",
        "FLOAT_LE",
    ],
)
def test_every_sample_format_gives_the_same_samples(sample_format: str) -> None:
    samples = decode_pcm(packed(sample_format), sample_format, 1)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, np.array(VALUES, np.float32)[:, None])


def test_the_case_of_a_format_name_does_not_matter() -> None:
    np.testing.assert_array_equal(
        decode_pcm(packed("S16LE"), " s16le ", 1), decode_pcm(packed("S16LE"), "S16LE", 1)
    )


def test_the_upper_byte_of_24_bits_in_32_is_ignored() -> None:
    # Some drivers leave garbage or zeros there instead of the sign.
    data = (0x00C00000).to_bytes(4, "little") + (0x7FC00000).to_bytes(4, "little")
    np.testing.assert_array_equal(decode_pcm(data, "S24_32LE", 1), [[-0.5], [-0.5]])


def test_alsas_s24_le_has_four_bytes_and_gstreamers_s24le_three() -> None:
    assert decode_pcm(bytes(12), "S24_LE", 1).shape == (3, 1)
    assert decode_pcm(bytes(12), "S24LE", 1).shape == (4, 1)


def test_channels_are_interleaved() -> None:
    data = np.array([1, 2, 3, 4, 5, 6], "<i2").tobytes()
    samples = decode_pcm(data, "S16LE", 2) * 32768
    np.testing.assert_array_equal(samples, [[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize("wrap", [bytearray, memoryview, lambda b: array.array("B", b)])
def test_the_bytes_may_be_a_ros_messages_array(wrap) -> None:
    data = packed("S16LE")
    np.testing.assert_array_equal(
        decode_pcm(wrap(data), "S16LE", 1), decode_pcm(data, "S16LE", 1)
    )


def test_no_bytes_are_no_samples() -> None:
    assert decode_pcm(b"", "S16LE", 2).shape == (0, 2)


@pytest.mark.parametrize("name", ["", "S12LE", "mp3", "16"])
def test_an_unknown_format_is_named_with_what_is_allowed(name: str) -> None:
    with pytest.raises(AudioFormatError, match=r"not known; allowed: .*S16LE") as caught:
        decode_pcm(bytes(4), name, 1)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("count", "sample_format", "channels", "left"),
    [(5, "S16LE", 1, 1), (6, "S16LE", 2, 2), (10, "S24LE", 1, 1), (7, "F64LE", 1, 7)],
)
def test_an_odd_byte_count_is_refused_with_the_counts(
    count: int, sample_format: str, channels: int, left: int
) -> None:
    with pytest.raises(AudioFormatError, match=rf"^{count} bytes .* {left} byte\(s\) are left"):
        decode_pcm(bytes(count), sample_format, channels)


@pytest.mark.parametrize("channels", [0, -1, 65])
def test_impossible_channel_counts_are_refused(channels: int) -> None:
    with pytest.raises(AudioFormatError, match="allowed: 1 to 64"):
        decode_pcm(bytes(128), "S16LE", channels)
    with pytest.raises(AudioFormatError, match="allowed: 1 to 64"):
        check_stream(16000, channels)


@pytest.mark.parametrize("rate", [0, -16000, 3999, 384_001])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(AudioFormatError, match="allowed: 4000 to 384000"):
        check_stream(rate, 1)


@pytest.mark.parametrize("coding", ["", "wave", "WAVE", "wav", "raw", "PCM"])
def test_uncompressed_sound_is_accepted(coding: str) -> None:
    check_coding(coding)


@pytest.mark.parametrize("coding", ["mp3", "MP3", "flac", "opus", "something"])
def test_compressed_sound_is_refused_with_what_to_set(coding: str) -> None:
    with pytest.raises(AudioFormatError, match="format:=wave") as caught:
        check_coding(coding)
    assert repr(coding) in str(caught.value)


def test_nan_and_infinity_become_silence_and_are_counted() -> None:
    data = np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -0.5], "<f4").tobytes()
    samples, replaced = sanitise(decode_pcm(data, "F32LE", 1))
    np.testing.assert_array_equal(samples[:, 0], np.array([0.5, 0, 0, 0, 0, -0.5], np.float32))
    assert replaced == 4


def test_a_double_too_large_for_a_float_is_counted_without_a_warning(recwarn) -> None:
    data = np.array([1e300, 0.5], "<f8").tobytes()
    samples, replaced = sanitise(decode_pcm(data, "F64LE", 1))
    np.testing.assert_array_equal(samples[:, 0], np.array([0, 0.5], np.float32))
    assert replaced == 1
    assert not recwarn.list


def test_good_samples_are_not_copied_nor_counted() -> None:
    samples = np.array([[1.2], [-1.0]], np.float32)
    same, replaced = sanitise(samples)
    assert same is samples
    assert replaced == 0


@pytest.mark.parametrize(
    ("number", "values"),
    [
        (1, np.array([0.5, -1.0], np.float32)),
        (2, np.array([2**30, -(2**31)], np.int32)),
        (8, np.array([2**14, -(2**15)], np.int16)),
        (16, np.array([64, -128], np.int8)),
        (32, np.array([192, 0], np.uint8)),
    ],
)
def test_portaudio_formats_give_the_same_samples(number: int, values) -> None:
    expected = np.array([[0.5, -1.0]], np.float32)
    np.testing.assert_array_equal(decode_portaudio(values, number, 2), expected)


def test_portaudio_sound_that_cannot_be_is_refused() -> None:
    with pytest.raises(AudioFormatError, match="format 4 is not known; allowed: 1, 2, 8"):
        decode_portaudio(np.zeros(4, np.int16), 4, 1)
    with pytest.raises(AudioFormatError, match="5 samples are not a whole number of frames"):
        decode_portaudio(np.zeros(5, np.int16), 8, 2)
    with pytest.raises(AudioFormatError, match="channel count is 0"):
        decode_portaudio(np.zeros(4, np.int16), 8, 0)
