"""Whatever bytes come: an image within the limits, or an ImageError, soon and with bounds."""

from __future__ import annotations

import contextlib
import functools
import random
import resource
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avemo_ros.errors import ImageError
from avemo_ros.untrusted import MAX_PIXELS
from avemo_ros.vision.image import ENCODINGS, decode_compressed, to_bgr

MORE_MB = 900
"""That the process may take: the largest image, and what its decoder needs beside it."""
LONGEST_S = 60
"""Far more than any allowed image takes; a bomb takes minutes."""

fuzz = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,  # the same cases in every run: a test that fails, fails always
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

JPEG, PNG, WEBP = ".jpg", ".png", ".webp"
MAKES = (
    (JPEG, ()),
    (JPEG, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    (JPEG, (cv2.IMWRITE_JPEG_RST_INTERVAL, 3)),
    (PNG, ()),
    (PNG, (cv2.IMWRITE_PNG_BILEVEL, 1)),
    (WEBP, (cv2.IMWRITE_WEBP_QUALITY, 60)),
    (WEBP, (cv2.IMWRITE_WEBP_QUALITY, 101)),
)


@functools.cache
def sound(number: int, grey: bool) -> bytes:
    suffix, how = MAKES[number]
    image = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
    whole, data = cv2.imencode(
        suffix, image[..., 0] if grey or cv2.IMWRITE_PNG_BILEVEL in how else image, list(how)
    )
    assert whole
    return bytes(data)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The image with up to six changes of the kinds that decoders stumble over."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        # Headers are short, and most of what can go wrong stands in them.
        end = len(changed) if rng.random() < 0.5 else min(len(changed), 60)
        at = rng.randrange(end) if end else 0
        kind = rng.randrange(7)
        if kind == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            changed[at : at + 4] = struct.pack(">I", rng.choice([0, 1, 2**31 - 1, 2**32 - 1]))
        elif kind == 2:
            changed[at : at + 2] = struct.pack("<H", rng.choice([0, 1, 0x3FFF, 0xFFFF]))
        elif kind == 3:
            del changed[at : at + rng.randint(1, 40)]
        elif kind == 4:
            changed[at:at] = changed[: rng.randint(1, len(changed) + 1)]
        elif kind == 5:
            changed[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 30)))
        else:
            marks = (0xC0, 0xC2, 0xC9, 0xDA, 0xDD, 0xD0, 0xD8, 0xD9, 0xE1)
            changed[at : at + 2] = bytes([0xFF, rng.choice(marks)])
    return resealed(bytes(changed)) if rng.random() < 0.5 else bytes(changed)


def resealed(data: bytes) -> bytes:
    """Checksums and lengths as they should be, so that damage reaches what lies behind them."""
    if data.startswith(b"RIFF"):
        return data[:4] + struct.pack("<I", max(len(data) - 8, 0)) + data[8:]
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data + b"\xff\xd9"
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        inside = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + inside + struct.pack(">I", zlib.crc32(inside))
        at += 12 + length
    return out


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.fixture(scope="module", autouse=True)
def bounded() -> object:
    """Time and memory of all cases together."""
    decode_compressed(sound(0, False), "")
    began, before = time.process_time(), peak_mb()
    yield
    assert time.process_time() - began < LONGEST_S
    assert peak_mb() - before < MORE_MB


def comes_to_an_image_or_an_error(data: bytes, named: str) -> None:
    with contextlib.suppress(ImageError):
        image = decode_compressed(data, named)
        height, width, channels = image.shape
        assert 1 <= height * width <= MAX_PIXELS
        assert channels == 3
        assert image.dtype == np.uint8


@fuzz
@given(
    number=st.integers(0, len(MAKES) - 1),
    grey=st.booleans(),
    seed=st.integers(0, 2**32),
    named=st.sampled_from(["jpeg", "png", "", "mjpeg", "16UC1; compressedDepth"]),
)
def test_mutated_images(number: int, grey: bool, seed: int, named: str) -> None:
    data = mutated(sound(number, grey), random.Random(seed))
    comes_to_an_image_or_an_error(data, named)


@fuzz
@given(
    head=st.sampled_from(
        [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF"]
    ),
    body=st.binary(max_size=300),
    named=st.text(max_size=20),
)
def test_bytes_of_any_kind(head: bytes, body: bytes, named: str) -> None:
    comes_to_an_image_or_an_error(head + body, named)


@fuzz
@given(
    width=st.integers(0, 2**31 - 1),
    height=st.integers(0, 2**31 - 1),
    depth=st.sampled_from([0, 1, 2, 3, 4, 8, 16, 255]),
    colour=st.integers(0, 7),
    laced=st.integers(0, 2),
    rows=st.integers(0, 5000),
)
def test_headers_of_a_png(
    width: int, height: int, depth: int, colour: int, laced: int, rows: int
) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    for shift in (0, 15, 25):
        size = (width >> shift, height >> shift)
        header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, laced)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        if colour == 3:
            data += chunk(b"PLTE", bytes(30))
        data += chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
        comes_to_an_image_or_an_error(data, "png")


SIZES = st.one_of(st.integers(0, 70), st.integers(0, 2**32 - 1), st.just(2**16))


@fuzz
@given(
    data=st.binary(max_size=5000),
    height=SIZES,
    width=SIZES,
    step=SIZES,
    encoding=st.one_of(st.sampled_from(ENCODINGS), st.text(max_size=12)),
    is_bigendian=st.booleans(),
    as_numpy=st.booleans(),
)
def test_fields_of_a_raw_image(
    data: bytes,
    height: int,
    width: int,
    step: int,
    encoding: str,
    is_bigendian: bool,
    as_numpy: bool,
) -> None:
    fields = [np.uint32(value) if as_numpy else value for value in (height, width, step)]
    with contextlib.suppress(ImageError):
        image = to_bgr(data, *fields, encoding, is_bigendian=is_bigendian)
        assert image.shape == (height, width, 3)
        assert step * height <= len(data)
        assert image.dtype == np.uint8


def test_the_mutations_reach_what_lies_behind_the_headers() -> None:
    came = {"image": 0, "error": 0}
    for seed in range(200):
        rng = random.Random(seed)
        data = mutated(sound(seed % len(MAKES), bool(seed & 8)), rng)
        try:
            decode_compressed(data, "")
        except ImageError:
            came["error"] += 1
        else:
            came["image"] += 1
    assert min(came.values()) > 10
