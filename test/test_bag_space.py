"""Images packed while they are recorded, and how long a disk lasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_bags import IMAGE, STORE, header, image_row, new

from avemo_ros.bag.message_content import image
from avemo_ros.bag.messages import COMPRESSED_IMAGE
from avemo_ros.bag.recording_size import ImagePacker, forecast, held_bytes, lasts_s, measured
from avemo_ros.errors import ImageError


def test_a_packed_image_keeps_its_header_and_looks_the_same() -> None:
    row = image_row(3, 1_700_000_000_123_456_789)
    smooth = np.tile(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (48, 1, 3))
    message = new(IMAGE, row.message.header, 48, 60, "bgr8", 0, 180, smooth.reshape(-1))
    packed = ImagePacker().pack(bytes(STORE.serialize_cdr(message, IMAGE)))
    found = STORE.deserialize_cdr(packed, COMPRESSED_IMAGE)
    assert found.header == row.message.header
    assert np.abs(image(found).astype(int) - smooth).mean() < 2
    assert len(packed) < smooth.size / 3


def test_an_image_that_cannot_be_read_is_told() -> None:
    message = new(IMAGE, header(1), 4, 4, "bgr8", 0, 12, np.zeros(5, np.uint8))
    with pytest.raises(ImageError):
        ImagePacker().pack(bytes(STORE.serialize_cdr(message, IMAGE)))


def test_what_fits_is_said_before_and_measured_after(tmp_path: Path) -> None:
    text = forecast(82_000_000 * 7200, "jpeg")
    assert "590.4 GB are free" in text
    assert "2.0 h of images as they are" in text
    assert "h of JPEG (this recording)" in text
    (tmp_path / "a").write_bytes(bytes(3000))
    (tmp_path / "folder").mkdir()
    assert held_bytes(tmp_path) == 3000
    assert "writes 4.00 MB/s" in measured(10**10, 4e6)
    assert "lasts 41.7 min" in measured(10**10, 4e6)
    assert lasts_s(1e9, 0.0) == float("inf")
