"""Raw and compressed images are read by one path, or refused with a clear message."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

from avemo_ros.errors import ImageError
from avemo_ros.vision.image import ENCODINGS, as_bgr, decode_compressed, to_bgr, turned

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def colours() -> np.ndarray:
    """(2, 4, 3) BGR: blue, blue, green, green over red, red, white, white."""
    upper = [BLUE, BLUE, GREEN, GREEN]
    lower = [RED, RED, (255, 255, 255), (255, 255, 255)]
    return np.array([upper, lower], np.uint8)


def _photo() -> np.ndarray:
    across, down = np.meshgrid(np.arange(64), np.arange(48))
    return np.dstack([4 * across, 5 * down, 2 * (across + down)]).astype(np.uint8)


@pytest.mark.parametrize(
    ("encoding", "code"),
    [
        ("bgr8", None),
        ("8UC3", None),
        ("rgb8", cv2.COLOR_BGR2RGB),
        ("bgra8", cv2.COLOR_BGR2BGRA),
        ("8UC4", cv2.COLOR_BGR2BGRA),
        ("rgba8", cv2.COLOR_BGR2RGBA),
    ],
)
def test_colour_encodings_give_the_same_bgr_image(
    colours: np.ndarray, encoding: str, code: int | None
) -> None:
    coded = colours if code is None else cv2.cvtColor(colours, code)
    step = coded[0].size
    assert np.array_equal(to_bgr(coded.tobytes(), 2, 4, step, encoding), colours)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_becomes_three_equal_channels(encoding: str) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = to_bgr(grey.tobytes(), 3, 4, 4, encoding)
    assert np.array_equal(image, np.dstack([grey] * 3))


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_grey_keeps_its_high_byte_in_either_byte_order(order: str) -> None:
    values = np.array([[0x0000, 0x12FF], [0x8000, 0xFFFF]], f"{order}u2")
    image = to_bgr(values.tobytes(), 2, 2, 4, "mono16", is_bigendian=order == ">")
    assert image[:, :, 0].tolist() == [[0x00, 0x12], [0x80, 0xFF]]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    "encoding", [name for name in ENCODINGS if name.endswith("16") and name != "mono16"]
)
def test_sixteen_bit_colour_is_the_eight_bit_image_of_its_high_bytes(
    encoding: str, big: bool
) -> None:
    eight = encoding.replace("16", "8")
    channels = {"bgr": 3, "rgb": 3, "bgra": 4, "rgba": 4}.get(encoding[:-2], 1)
    values = np.random.default_rng(1).integers(0, 2**16, (6, 8 * channels), np.uint16)
    high = (values >> 8).astype(np.uint8)
    data = values.astype(">u2" if big else "<u2").tobytes()
    image = to_bgr(data, 6, 8, 16 * channels, encoding, is_bigendian=big)
    assert np.array_equal(image, to_bgr(high.tobytes(), 6, 8, 8 * channels, eight))


SIXTEEN = [name for name in ENCODINGS if name.endswith("16")] + ["16UC1"]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("encoding", SIXTEEN)
def test_ten_to_sixteen_bits_give_the_same_image(encoding: str, bits: int, big: bool) -> None:
    eight = {"16UC1": "mono8"}.get(encoding, encoding.replace("16", "8"))
    channels = {"bgr": 3, "rgb": 3, "bgra": 4, "rgba": 4}.get(encoding[:-2], 1)
    image = np.random.default_rng(2).integers(0, 256, (6, 8, channels), np.uint8)
    image[0, 0] = 255
    low = np.random.default_rng(3).integers(0, 2 ** (bits - 8), image.shape, np.uint16)
    deep = (image.astype(np.uint16) << (bits - 8)) + low
    if channels == 4:
        deep[:, :, 3] = 0xFFFF  # no part of the image
    data = deep.astype(">u2" if big else "<u2").tobytes()
    found = to_bgr(data, 6, 8, 16 * channels, encoding, is_bigendian=big)
    assert np.array_equal(found, to_bgr(image.tobytes(), 6, 8, 8 * channels, eight))


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_planes_are_read_as_the_planar_image_that_opencv_makes(
    encoding: str, padding: int
) -> None:
    small = np.random.default_rng(4).integers(0, 256, (6, 8, 3), np.uint8)
    image = cv2.resize(small, (32, 24), interpolation=cv2.INTER_CUBIC)
    planar = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    blue, red = planar[24:30].reshape(12, 16), planar[30:].reshape(12, 16)
    pairs = np.dstack((red, blue) if encoding == "nv21" else (blue, red))
    if encoding == "nv24":
        pairs = pairs.repeat(2, axis=0).repeat(2, axis=1)
    colours = pairs.reshape(24 if encoding == "nv24" else 12, -1)
    wide = 2 if encoding == "nv24" else 1
    rows = [np.pad(planar[:24], ((0, 0), (0, padding))).tobytes()]
    rows.append(np.pad(colours, ((0, 0), (0, wide * padding))).tobytes())
    found = to_bgr(b"".join(rows), 24, 32, 32 + padding, encoding)
    assert np.array_equal(found, cv2.cvtColor(planar, cv2.COLOR_YUV2BGR_I420))


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_planes_need_even_sizes_and_their_colours(encoding: str) -> None:
    with pytest.raises(ImageError, match="even width and height"):
        to_bgr(bytes(1000), 5, 4, 4, encoding)
    with pytest.raises(ImageError, match=r"truncated.*step \* height \* [13]"):
        to_bgr(bytes(16), 4, 4, 4, encoding)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_images_are_turned_clockwise(degrees: int) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(turned(image, degrees), np.rot90(image, -degrees // 90))


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_yuv_pairs_are_read_in_their_order(
    colours: np.ndarray, encoding: str, order: str
) -> None:
    yuv = cv2.cvtColor(colours, cv2.COLOR_BGR2YUV).astype(int)
    first, second = yuv[:, 0::2], yuv[:, 1::2]
    # Studio range, as cameras send it.
    luma = [16 + np.rint(part[:, :, 0] * 219 / 255) for part in (first, second)]
    blue = 128 + np.rint((first[:, :, 1] - 128) * 224 / 255 * 0.5 / 0.436)
    red = 128 + np.rint((first[:, :, 2] - 128) * 224 / 255 * 0.5 / 0.615)
    planes = {"uyvy": (blue, luma[0], red, luma[1]), "yuyv": (luma[0], blue, luma[1], red)}
    data = np.clip(np.dstack(planes[order]), 0, 255).astype(np.uint8).tobytes()
    image = to_bgr(data, 2, 4, 8, encoding)
    strongest = [image[0, 0].argmax(), image[0, 2].argmax(), image[1, 0].argmax()]
    assert strongest == [0, 1, 2]
    assert image[1, 2].min() > 230


@pytest.mark.parametrize(
    ("encoding", "red"),
    [
        ("bayer_rggb8", (0, 0)),
        ("bayer_bggr8", (1, 1)),
        ("bayer_gbrg8", (1, 0)),
        ("bayer_grbg8", (0, 1)),
    ],
)
def test_bayer_patterns_put_red_where_their_name_says(
    encoding: str, red: tuple[int, int]
) -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[red[0] :: 2, red[1] :: 2] = 200
    image = to_bgr(mosaic.tobytes(), 8, 8, 8, encoding)[2:6, 2:6].reshape(-1, 3).mean(axis=0)
    assert image[2] > 150
    assert image[:2].max() < 20


def test_padding_at_the_end_of_rows_is_left_out(colours: np.ndarray) -> None:
    padded = np.full((2, 20), 99, np.uint8)
    padded[:, :12] = colours.reshape(2, 12)
    assert np.array_equal(to_bgr(padded.tobytes(), 2, 4, 20, "bgr8"), colours)
    flipped = to_bgr(padded.tobytes(), 2, 4, 20, "rgb8")
    assert np.array_equal(flipped, colours[:, :, ::-1])


def test_bgr_is_a_view_of_the_message_and_not_a_copy(colours: np.ndarray) -> None:
    data = array.array("B", colours.tobytes())
    image = to_bgr(data, 2, 4, 12, "bgr8")
    data[0] = 7
    assert image[0, 0, 0] == 7


@pytest.mark.parametrize("encoding", ["", "BGR8", "32FC1", "nv61"])
def test_a_missing_or_unknown_encoding_is_refused_with_the_allowed_ones(encoding: str) -> None:
    with pytest.raises(ImageError, match=r"allowed: bgr8, .*mono16") as caught:
        to_bgr(bytes(300), 10, 10, 30, encoding)
    assert (encoding or "missing") in str(caught.value)


@pytest.mark.parametrize(("height", "width"), [(0, 10), (10, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(height: int, width: int) -> None:
    with pytest.raises(ImageError, match=f"{width}x{height}.*no pixels"):
        to_bgr(b"", height, width, width * 3, "bgr8")


@pytest.mark.parametrize("missing", [1, 150, 300])
def test_a_truncated_image_is_refused(missing: int) -> None:
    with pytest.raises(ImageError, match=r"truncated.*300"):
        to_bgr(bytes(300 - missing), 10, 10, 30, "rgb8")


def test_rows_longer_than_the_step_are_refused() -> None:
    with pytest.raises(ImageError, match="step of at least 30"):
        to_bgr(bytes(300), 10, 10, 10, "bgr8")


def test_pairs_of_pixels_need_an_even_width() -> None:
    with pytest.raises(ImageError, match="even width"):
        to_bgr(bytes(60), 3, 5, 10, "yuv422")


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name.startswith("bayer")])
def test_an_image_smaller_than_its_bayer_pattern_is_refused(encoding: str) -> None:
    with pytest.raises(ImageError, match="at least 2x2"):
        to_bgr(bytes(8), 1, 8, 8, encoding)


def test_data_that_is_no_buffer_is_refused() -> None:
    with pytest.raises(ImageError, match="unusable data"):
        to_bgr([1, 2, 3], 1, 1, 3, "bgr8")


@pytest.mark.parametrize(
    ("suffix", "encoding"),
    [
        (".jpg", "jpeg"),
        (".jpg", "bgr8; jpeg compressed bgr8"),
        (".png", "rgb8; png compressed bgr8"),
        (".webp", "webp"),
    ],
)
def test_compressed_images_are_decoded(suffix: str, encoding: str) -> None:
    photo = _photo()
    data = cv2.imencode(suffix, photo)[1].tobytes()
    decoded = decode_compressed(array.array("B", data), encoding)
    assert decoded.shape == photo.shape
    assert np.abs(decoded.astype(int) - photo).mean() < 6


def test_a_compressed_grey_image_becomes_bgr() -> None:
    data = cv2.imencode(".png", _photo()[:, :, 0])[1].tobytes()
    assert decode_compressed(data, "mono8; png compressed").shape == (48, 64, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_compressed_image_is_refused(suffix: str, share: float) -> None:
    data = cv2.imencode(suffix, _photo())[1].tobytes()
    with pytest.raises(ImageError):
        decode_compressed(data[: int(share * len(data))], suffix[1:])


def test_a_jpeg_damaged_in_the_middle_is_refused() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    smooth = cv2.resize(image, (320, 240), interpolation=cv2.INTER_CUBIC)
    data = bytearray(cv2.imencode(".jpg", smooth)[1].tobytes())
    assert decode_compressed(bytes(data), "jpeg").shape == (240, 320, 3)
    middle = slice(len(data) // 2, len(data) // 2 + 40)
    data[middle] = bytes(value ^ 0x55 for value in data[middle])
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode_compressed(bytes(data), "jpeg")


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 4])
def test_sound_jpegs_of_every_kind_come_out_as_opencv_reads_them(
    grey: bool, progressive: int, restart: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    given = image[..., 0] if grey else image
    how = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    data = cv2.imencode(".jpg", given, how)[1]
    assert np.array_equal(
        decode_compressed(data.tobytes(), "jpeg"), cv2.imdecode(data, cv2.IMREAD_COLOR)
    )


def test_a_corrupt_jpeg_is_refused() -> None:
    data = bytearray(cv2.imencode(".jpg", _photo())[1].tobytes())
    data[2:200] = bytes(198)
    with pytest.raises(ImageError, match="'jpeg'"):
        decode_compressed(bytes(data), "jpeg")


@pytest.mark.parametrize("encoding", ["", "mjpeg", "JPEG", "h264", "image/jpg", "x" * 9999])
def test_a_good_image_is_read_whatever_its_message_calls_it(encoding: str) -> None:
    for suffix in (".jpg", ".png", ".webp"):
        data = cv2.imencode(suffix, _photo())[1].tobytes()
        assert decode_compressed(data, encoding).shape == (48, 64, 3)


@pytest.mark.parametrize("encoding", ["16UC1; compressedDepth png", "32FC1; compressedDepth"])
def test_depths_are_no_image(encoding: str) -> None:
    data = cv2.imencode(".png", _photo())[1].tobytes()
    with pytest.raises(ImageError, match="is a depth image; allowed: images as jpeg"):
        decode_compressed(data, encoding)


@pytest.mark.parametrize(("height", "width"), [(8001, 8000), (2**32 - 1, 2**32 - 1)])
def test_a_raw_image_may_not_be_larger_than_the_limit(height: int, width: int) -> None:
    with pytest.raises(ImageError, match="allowed: 64 megapixels"):
        to_bgr(bytes(100), height, width, 3 * width, "bgr8")


def test_sizes_of_a_raw_image_do_not_overflow() -> None:
    size = np.uint32(70_000)
    with pytest.raises(ImageError, match="truncated") as caught:
        to_bgr(bytes(100), np.uint32(900), size, np.uint32(2**32 - 1), "bgr8")
    assert str(900 * (2**32 - 1)) in str(caught.value)


def test_a_bgr_array_is_passed_on_as_it_is() -> None:
    photo = _photo()
    assert as_bgr(photo) is photo


def test_a_grey_array_becomes_bgr() -> None:
    assert np.array_equal(as_bgr(np.full((2, 3), 9, np.uint8)), np.full((2, 3, 3), 9))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
        np.zeros(4, np.uint8),
        "image",
    ],
)
def test_other_arrays_are_refused(wrong: object) -> None:
    with pytest.raises(ImageError, match="allowed: a uint8 array"):
        as_bgr(wrong)  # type: ignore[arg-type]
