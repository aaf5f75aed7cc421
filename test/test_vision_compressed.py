"""Compressed images from outside: only three formats, within limits, and without surprises."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from avemo_ros.data.face_images import read_image
from avemo_ros.errors import ImageError
from avemo_ros.untrusted import MAX_SCANS, MAX_STRAY
from avemo_ros.vision.image import decode_compressed

PNG = b"\x89PNG\r\n\x1a\n"


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return np.dstack([4 * across, 5 * down, 2 * (across + down)]).astype(np.uint8)


def packed(suffix: str, image: np.ndarray | None = None, *how: int) -> bytes:
    whole, data = cv2.imencode(suffix, photo() if image is None else image, list(how))
    assert whole
    return bytes(data)


def chunk(name: bytes, body: bytes) -> bytes:
    return (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    )


def png(
    width: int,
    height: int,
    data: bytes,
    *more: bytes,
    depth: int = 8,
    colour: int = 2,
    laced: int = 0,
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, laced)
    return b"".join(
        [PNG, chunk(b"IHDR", header), *more, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    inside = b"WEBP"
    for name, body in chunks:
        inside += name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def jpeg_of_size(width: int, height: int, *how: int) -> bytes:
    """A small JPEG whose header claims another size."""
    data = bytearray(packed(".jpg", None, *how))
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


# --- which formats


@pytest.mark.parametrize(
    "suffix", [".jp2", ".hdr", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm", ".sr", ".pfm", ".pam"]
)
def test_other_formats_do_not_reach_a_decoder(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photo().astype(np.float32) if suffix in (".hdr", ".pfm") else photo()
    data = packed(suffix, image[:, :, 0] if suffix in (".pgm", ".pbm", ".pfm") else image)
    reached: list[object] = []
    monkeypatch.setattr(cv2, "imdecode", lambda *given: reached.append(given))
    for named in ("jpeg", "png", suffix[1:], ""):
        with pytest.raises(ImageError, match="allowed: JPEG, PNG and WebP") as caught:
            decode_compressed(data, named)
        assert caught.value.kind == "format"
    assert not reached


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\x4f\xff\x51",  # a bare JPEG 2000 code stream
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"#?RADIANCE\n",
        b"v/1\x01",  # EXR
        b"MM\0*",
        b"GIF89a",
        b"\0\0\0 ftypavif",
        b"RIFF\0\0\0\0AVI ",
        b"\x89PNG\r\r\x1a\n",
    ],
)
def test_what_only_begins_like_an_image_is_refused_by_its_first_bytes(head: bytes) -> None:
    with pytest.raises(ImageError, match="begins with " + head[:4].hex(" ")):
        decode_compressed(head + bytes(400), "jpeg")


def test_an_animation_is_refused_or_never_looked_at() -> None:
    still = packed(".webp")
    frame = still[12:]
    animated = riff(
        (b"VP8X", bytes([2, 0, 0, 0, 63, 0, 0, 47, 0, 0])),
        (b"ANIM", bytes(6)),
        (b"ANMF", bytes(6) + bytes([63, 0, 0, 47, 0, 0, 100, 0, 0, 0]) + frame),
    )
    with pytest.raises(ImageError, match="is an animation"):
        decode_compressed(animated, "webp")
    # An animated PNG is a PNG beside whose image there are more, of any size they like.
    whole = packed(".png")
    control = struct.pack(">IIIIIHHBB", 0, 60000, 60000, 0, 0, 1, 10, 0, 0)
    tricked = (
        whole[:33]
        + chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
        + chunk(b"fcTL", control)
        + whole[33:-12]
        + chunk(b"fdAT", bytes(4) + zlib.compress(bytes(1000)))
        + whole[-12:]
    )
    assert np.array_equal(decode_compressed(tricked, "png"), photo())


def test_png_of_every_kind_come_out_as_opencv_reads_them() -> None:
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (33, 47, 3), np.uint8),
        rng.integers(0, 256, (33, 47), np.uint8),
        rng.integers(0, 256, (33, 47, 4), np.uint8),
        rng.integers(0, 65536, (33, 47, 3), np.uint16),
    ]
    for image in images:
        data = packed(".png", image)
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(decode_compressed(data, "png"), expected)


@pytest.mark.parametrize("laced", [0, 1])
@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 4), (2, 8), (3, 2), (3, 8), (6, 16)])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (5, 9), (8, 8), (13, 7)])
def test_every_layout_of_a_png_needs_as_much_data_as_was_counted(
    colour: int, depth: int, laced: int, width: int, height: int
) -> None:
    bits = depth * {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    passes = [(1, 1, 0, 0)]
    if laced:
        passes = [
            (8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0),
            (2, 4, 0, 2), (2, 2, 1, 0), (1, 2, 0, 1),
        ]  # fmt: skip
    rows = b""
    for across, down, left, top in passes:
        columns = len(range(left, width, across))
        for _ in range(top, height, down) if columns else ():
            rows += b"\0" + bytes((columns * bits + 7) // 8)
    palette = (chunk(b"PLTE", bytes(range(6))),) if colour == 3 else ()
    how = {"colour": colour, "depth": depth, "laced": laced}
    image = decode_compressed(png(width, height, zlib.compress(rows), *palette, **how), "png")
    assert image.shape == (height, width, 3)
    for wrong, words in ((rows[:-1], "truncated"), (rows + b"\0", "more data")):
        data = png(width, height, zlib.compress(wrong), *palette, **how)
        with pytest.raises(ImageError, match=words):
            decode_compressed(data, "png")


@pytest.mark.parametrize("quality", [80, 101])
def test_webp_with_attachments_comes_out_as_without(quality: int) -> None:
    plain = packed(".webp", None, cv2.IMWRITE_WEBP_QUALITY, quality)
    name, body = plain[12:16], plain[20 : 20 + struct.unpack("<I", plain[16:20])[0]]
    canvas = bytes([0x2C, 0, 0, 0, 63, 0, 0, 47, 0, 0])
    dressed = riff((b"VP8X", canvas), (b"ICCP", bytes(33)), (name, body), (b"EXIF", bytes(9)))
    assert np.array_equal(decode_compressed(dressed, ""), decode_compressed(plain, ""))


# --- sizes

HUGE = {
    "jpeg": jpeg_of_size(64000, 64000),
    "progressive jpeg": jpeg_of_size(64000, 64000, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg just beyond": jpeg_of_size(8001, 8000),
    "png": png(64000, 64000, zlib.compress(bytes(100))),
    "png beyond 32 bits": png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(100))),
    "webp": riff(
        (b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383) + bytes(90))
    ),
    "lossless webp": riff((b"VP8L", struct.pack("<BI", 0x2F, 2**28 - 1) + bytes(90))),
    "extended webp": riff(
        (b"VP8X", bytes(10)), (b"VP8L", struct.pack("<BI", 0x2F, 2**28 - 1) + bytes(90))
    ),
}


@pytest.mark.parametrize("which", HUGE)
def test_what_asks_for_too_many_pixels_is_refused_before_a_decoder_sees_it(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[object] = []
    monkeypatch.setattr(cv2, "imdecode", lambda *given: reached.append(given))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *given, **_: reached.append(given))
    with pytest.raises(ImageError, match="allowed: 64 megapixels") as caught:
        decode_compressed(HUGE[which], which)
    assert caught.value.kind == "size"
    assert not reached


def test_a_png_of_many_bytes_a_pixel_or_of_many_chunks_is_refused() -> None:
    with pytest.raises(ImageError, match="512 MB of pixels; allowed: 192 MB"):
        decode_compressed(png(8000, 8000, bytes(99), depth=16, colour=6), "image")
    with pytest.raises(ImageError, match="more than 50000 chunks"):
        decode_compressed(png(8, 8, bytes(99), 60_000 * chunk(b"tEXt", b"")), "image")


def test_the_largest_size_is_not_believed_of_a_few_bytes() -> None:
    with pytest.raises(ImageError, match="too short for 8000x8000"):
        decode_compressed(jpeg_of_size(8000, 8000), "jpeg")


@pytest.mark.parametrize("size", [(0, 0), (0, 64), (64, 0)])
def test_images_without_pixels_are_refused(size: tuple[int, int]) -> None:
    for data in (
        jpeg_of_size(*size),
        png(*size, zlib.compress(b"")),
        riff((b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", *size) + bytes(90))),
    ):
        with pytest.raises(ImageError):
            decode_compressed(data, "")


def test_a_png_that_unpacks_to_far_more_than_its_size_is_refused_on_the_way() -> None:
    pack = zlib.compressobj(9)
    data = b"".join(pack.compress(bytes(1 << 20)) for _ in range(200)) + pack.flush()
    for split in (1, 7):
        size = -(-len(data) // split)
        parts = [chunk(b"IDAT", data[at : at + size]) for at in range(0, len(data), size)]
        bomb = png(64, 64, b"", *parts)
        with pytest.raises(ImageError, match="more data than its size needs"):
            decode_compressed(bomb, "png")


# --- scans


def scan_bomb(scans: int) -> bytes:
    """A progressive JPEG whose last scan stands in it again and again."""
    data = packed(".jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rfind(b"\xff\xda")
    have = data.count(b"\xff\xda")
    return data[:-2] + data[last:-2] * (scans - have) + data[-2:]


def test_a_progressive_jpeg_may_have_many_scans_but_not_any_number() -> None:
    plain = decode_compressed(packed(".jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "")
    assert plain.shape == (48, 64, 3)
    with pytest.raises(ImageError, match=f"{MAX_SCANS + 1} scans.*allowed: {MAX_SCANS} scans"):
        decode_compressed(scan_bomb(MAX_SCANS + 1), "jpeg")


def test_a_large_progressive_jpeg_may_have_fewer_scans() -> None:
    data = bytearray(scan_bomb(30))
    at = data.find(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", 6000, 8000)
    bomb = bytes(data[:2]) + b"\xff\xfe\xff\xff" + bytes(65533) + bytes(data[2:])
    with pytest.raises(ImageError, match=r"30 scans of 8000x6000.*allowed: 13 scans"):
        decode_compressed(bomb, "jpeg")


# --- motion JPEG of cheap cameras


def with_stray(data: bytes, count: int, everywhere: bool) -> bytes:
    """The JPEG with some bytes before its restart markers, or before the last marker only."""
    rng = np.random.default_rng(count)
    scan = data.rfind(b"\xff\xda")
    marks = [m.start() for m in re.finditer(rb"\xff[\xd0-\xd7\xd9]", data) if m.start() > scan]
    out, last = b"", 0
    for at in marks if everywhere else marks[-1:]:
        out += data[last:at] + bytes(rng.integers(1, 250, count, np.uint8))
        last = at
    return out + data[last:]


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4, MAX_STRAY])
def test_stray_bytes_before_markers_cost_nothing(count: int, everywhere: bool) -> None:
    image = cv2.resize(photo(), (320, 240), interpolation=cv2.INTER_CUBIC)
    clean = packed(".jpg", image, cv2.IMWRITE_JPEG_RST_INTERVAL, 40)
    expected = decode_compressed(clean, "jpeg")
    decoded = decode_compressed(with_stray(clean, count, everywhere), "mjpeg")
    assert np.array_equal(decoded, expected)


def test_stray_bytes_of_any_number_up_to_four_before_every_marker_cost_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    image = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    clean = packed(".jpg", image, cv2.IMWRITE_JPEG_RST_INTERVAL, 40)
    expected = decode_compressed(clean, "jpeg")
    scan = clean.rfind(b"\xff\xda")
    for seed in range(60):
        rng = np.random.default_rng(seed)
        out, last = b"", 0
        for mark in re.finditer(rb"\xff[\xd0-\xd7\xd9]", clean):
            if mark.start() > scan:
                stray = rng.integers(1, 250, rng.integers(1, 5), np.uint8)
                out += clean[last : mark.start()] + bytes(stray)
                last = mark.start()
        assert np.array_equal(decode_compressed(out + clean[last:], "mjpeg"), expected), seed


@pytest.mark.parametrize("interval", [0, 4])
def test_many_stray_bytes_are_damage(interval: int) -> None:
    clean = packed(".jpg", None, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    with pytest.raises(ImageError, match="extraneous bytes"):
        decode_compressed(with_stray(clean, MAX_STRAY + 68, True), "jpeg")


def noisy_jpeg(interval: int) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    image = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    return packed(".jpg", image, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)


def without_segments(data: bytes, mark: bytes) -> bytes:
    while (at := data.find(mark)) > 0:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    return data


HARMLESS = {
    "fill bytes before markers": lambda data: re.sub(
        rb"(?=\xff[\xd0-\xd7\xd9])", b"\xff\xff", data
    ),
    "stray bytes before the codes' tables": lambda data: data.replace(
        b"\xff\xc4", b"\x01\x02\x03\xff\xc4", 1
    ),
    "stray bytes before the scan": lambda data: data.replace(b"\xff\xda", b"\x07\xff\xda", 1),
    "stray bytes everywhere": lambda data: with_stray(
        data.replace(b"\xff\xda", b"\x07\xff\xda", 1), 3, True
    ),
    "no end": lambda data: data[:-2],
    "half of an end": lambda data: data[:-1],
    "a buffer filled up instead of an end": lambda data: data[:-2] + bytes(5000),
    "a buffer filled up before the end": lambda data: data[:-2] + bytes(5000) + data[-2:],
    "the image before in the rest of the buffer": lambda data: data + data[-3000:],
    "the begin of a scan in the rest of the buffer": lambda data: data + b"\xff\xda" + bytes(9),
    "an unknown revision of JFIF": lambda data: data[:11] + b"\x03\x00" + data[13:],
    "that, and stray bytes": lambda data: with_stray(
        data[:11] + b"\x03\x00" + data[13:], 4, True
    ),
    "no tables, as in AVI": lambda data: without_segments(data, b"\xff\xc4"),
}


@pytest.mark.parametrize("interval", [0, 1, 7, 40, 4000])
@pytest.mark.parametrize("what", HARMLESS)
def test_what_changes_no_pixel_is_no_damage(what: str, interval: int) -> None:
    clean = noisy_jpeg(interval)
    odd = HARMLESS[what](clean)
    assert np.array_equal(decode_compressed(odd, ""), decode_compressed(clean, "jpeg"))


def hole(data: bytes, length: int, instead: bytes = b"") -> bytes:
    return data[: len(data) // 2] + instead + data[len(data) // 2 + length :]


HARMFUL = {
    "half": lambda data: data[: len(data) // 2],
    "a little too short": lambda data: data[:-12],
    "a hole": lambda data: hole(data, 900),
    "a small hole": lambda data: hole(data, 50),
    "a hole of zeros": lambda data: hole(data, 300, bytes(300)),
    "the end never came": lambda data: (
        data[: len(data) // 2] + bytes(9 * len(data)) + data[-2:]
    ),
}


@pytest.mark.parametrize("interval", [7, 40])
@pytest.mark.parametrize("stray", [0, 4])
@pytest.mark.parametrize("what", HARMFUL)
def test_stray_bytes_hide_no_damage(what: str, stray: int, interval: int) -> None:
    data = noisy_jpeg(interval)
    with pytest.raises(ImageError):
        decode_compressed(HARMFUL[what](with_stray(data, stray, True) if stray else data), "")


@pytest.mark.parametrize("stray", [0, 4])
@pytest.mark.parametrize("lost", [1, 8])
def test_parts_between_restart_markers_do_not_get_lost_unseen(lost: int, stray: int) -> None:
    data = with_stray(noisy_jpeg(40), stray, True) if stray else noisy_jpeg(40)
    scan = data.rfind(b"\xff\xda")
    marks = [
        one.start() for one in re.finditer(rb"\xff[\xd0-\xd7]", data) if one.start() > scan
    ]
    with pytest.raises(ImageError):
        decode_compressed(data[: marks[4]] + data[marks[4 + lost] :], "")


def test_a_progressive_image_needs_its_end() -> None:
    """Without it, coarse scans could be all that came."""
    data = packed(".jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    with pytest.raises(ImageError, match="truncated"):
        decode_compressed(data[:-2], "")
    last = data.rfind(b"\xff\xda")
    with pytest.raises(ImageError, match="truncated"):
        decode_compressed(data[:last], "")


@pytest.mark.parametrize("named", ["mjpeg", "", "MJPG", "rgb8; jpeg compressed bgr8", "?"])
def test_what_an_image_is_called_does_not_matter(named: str) -> None:
    data = packed(".jpg")
    assert np.array_equal(decode_compressed(data, named), decode_compressed(data, "jpeg"))


@pytest.mark.parametrize("padding", [b"\0" * 3, b"\0" * 4096, b"abc"], ids=len)
def test_what_follows_the_end_of_an_image_is_left_out(padding: bytes) -> None:
    for suffix in (".jpg", ".png", ".webp"):
        data = packed(suffix)
        assert np.array_equal(
            decode_compressed(data + padding, ""), decode_compressed(data, "")
        )


# --- damage


@pytest.mark.parametrize("at", [12, 20, 30, 45, 60, -20, -10])
def test_one_wrong_bit_of_a_png_is_refused(at: int) -> None:
    data = bytearray(packed(".png"))
    data[at] ^= 4
    with pytest.raises(ImageError):
        decode_compressed(bytes(data), "png")


MEMORY = """
import resource, sys
from avemo_ros.errors import ImageError
from avemo_ros.vision.image import decode_compressed
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_compressed(data, "jpeg")
except ImageError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("which", HUGE)
def test_a_refused_size_takes_no_memory(which: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(HUGE[which])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 8 * 1024  # of KiB; the image would have taken 192 MB and more


# --- files of data sets


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".png"])
def test_files_of_data_sets_may_be_uncompressed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "face"
    path.write_bytes(packed(suffix))
    assert np.array_equal(read_image(path), photo())
    path.write_bytes(packed(suffix)[:40])
    with pytest.raises(ImageError, match="face"):
        read_image(path)


@pytest.mark.parametrize(
    "head",
    [
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 60000, -60000) + bytes(60),
        b"BM" + bytes(12) + struct.pack("<IHH", 12, 60000, 60000) + bytes(60),
        b"P6 60000 60000 255\n" + bytes(60),
        b"P5\n# a comment\n60000\n60000\n255\n" + bytes(60),
    ],
)
def test_an_uncompressed_file_may_not_ask_for_more_than_the_limit(
    head: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "huge"
    path.write_bytes(head)
    with pytest.raises(ImageError, match=r"huge'.*60000x60000.*64 megapixels"):
        read_image(path)


@pytest.mark.parametrize(
    "data", [b"BM", b"P5", b"P6 ", b"P5 99999999999 1 255\n", b"II*\0" * 9]
)
def test_a_file_without_a_readable_header_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "none"
    path.write_bytes(data)
    with pytest.raises(ImageError, match="none"):
        read_image(path)
