"""Any media file becomes images and sound in order, with their times; bad files are told."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from made_clips import SAMPLE
from media_files import FPS, end_s, read, write_media
from sounds import tone

from avemo_ros.errors import SourceError
from avemo_ros.source import media_file as media_module
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import NS_PER_S, to_ns


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov", "clip.avi"])
def test_images_and_sound_come_in_order_with_their_times(tmp_path, name: str) -> None:
    path = write_media(tmp_path / name)
    media = MediaFile(path)
    assert (media.has_video, media.has_audio) == (True, True)
    assert (media.width, media.height, media.rate, media.channels) == (64, 48, 48000, 2)
    assert media.fps == pytest.approx(FPS, rel=0.05)
    assert media.duration_s == pytest.approx(1.0, abs=0.06)
    items = list(media)
    stamps = [item.stamp_ns for item in items]
    assert stamps == sorted(stamps)
    assert stamps[0] == 0
    images = [item for item in items if isinstance(item, VideoFrame)]
    # Containers and encoder delay may shift both streams against each other by some ms.
    times = np.array([p.stamp_ns for p in images]) / NS_PER_S
    np.testing.assert_allclose(times, np.arange(FPS) / FPS, atol=0.05)
    assert not media.truncated
    assert media.damaged == 0


def test_images_are_bgr_and_change_with_time(tmp_path) -> None:
    images, _, _ = read(write_media(tmp_path / "clip.mp4"))
    for image in images:
        assert image.image.shape == (48, 64, 3)
        assert image.image.dtype == np.uint8
        blue, green, red = image.image[4:12, 4:12].reshape(-1, 3).mean(axis=0)
        assert red > 180
        assert max(blue, green) < 60
    brightness = [image.image[30:, 40:].mean() for image in images]
    assert np.all(np.diff(brightness) > 0)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 16000, 1),
        ("a.wav", "pcm_s24le", 44100, 2),
        ("a.wav", "pcm_f32le", 48000, 1),
        ("a.wav", "pcm_f64le", 16000, 2),
        ("a.wav", "pcm_s64le", 16000, 1),
        ("a.wav", "pcm_s64le", 44100, 2),
        ("a.wav", "pcm_u8", 8000, 2),
        ("a.flac", "flac", 44100, 2),
        ("a.mkv", "libopus", 48000, 1),
        ("a.m4a", "aac", 22050, 1),
        ("a.mp3", "libmp3lame", 44100, 2),
    ],
)
def test_sound_of_any_codec_is_float_in_blocks_of_20_ms(
    tmp_path, name: str, codec: str, rate: int, channels: int
) -> None:
    path = write_media(tmp_path / name, video=None, audio=codec, rate=rate, channels=channels)
    images, sounds, media = read(path)
    assert images == []
    assert not media.has_video
    assert {block.rate for block in sounds} == {rate}
    assert {block.samples.shape for block in sounds[:-1]} == {(rate // 50, channels)}
    assert all(block.samples.dtype == np.float32 for block in sounds)
    for number, block in enumerate(sounds):
        assert abs(block.stamp_ns - round(number * (rate // 50) * 1e9 / rate)) <= 1
    whole = np.concatenate([block.samples for block in sounds])
    assert len(whole) / rate == pytest.approx(1.0, abs=0.08)
    middle = whole[rate // 4 : 3 * rate // 4]
    spectrum = np.abs(np.fft.rfft(middle[:, -1] * np.hanning(len(middle))))
    assert spectrum.argmax() * rate / len(middle) == pytest.approx(440, abs=3)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.06)


def test_the_offset_between_image_and_sound_is_kept(tmp_path) -> None:
    late = write_media(tmp_path / "late.mkv", audio="pcm_s16le", audio_starts_s=0.3)
    images, sounds, _ = read(late)
    assert images[0].stamp_ns == 0
    assert sounds[0].stamp_ns == to_ns(0.3)


def test_a_variable_frame_rate_keeps_its_times(tmp_path) -> None:
    times = [0, 33, 50, 400, 410, 900, 1000]
    path = write_media(tmp_path / "vfr.mkv", audio=None, frame_ms=times)
    images, _, media = read(path)
    assert [p.stamp_ns for p in images] == [t * 1_000_000 for t in times]
    assert not media.has_audio


def test_a_hole_in_the_sound_is_a_jump_of_the_stamps(tmp_path) -> None:
    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000)
        stream.layout = "mono"
        for at in (0, 800, 1600, 4800, 5600):
            part = np.ascontiguousarray(tone(16000, 0.05).T)
            frame = av.AudioFrame.from_ndarray((part * 32767).astype(np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base, frame.pts = 16000, Fraction(1, 16000), at
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    _, sounds, _ = read(path)
    ends = [round(end_s(block), 6) for block in sounds]
    starts = [block.stamp_ns / NS_PER_S for block in sounds]
    jumps = [(e, s) for e, s in zip(ends[:-1], starts[1:], strict=True) if abs(s - e) > 1e-6]
    assert jumps == [(0.15, 0.3)]
    assert ends[-1] == 0.4


@pytest.mark.parametrize(
    ("rotation", "size"), [(0, (48, 64)), (90, (64, 48)), (180, (48, 64)), (-90, (64, 48))]
)
def test_a_phones_rotation_mark_is_honoured(tmp_path, rotation: int, size) -> None:
    path = write_media(tmp_path / "turned.mp4", audio=None, rotation=rotation)
    images, _, media = read(path)
    image = images[0].image
    assert image.shape[:2] == (media.height, media.width) == size
    # The red corner, at the top left as encoded, is turned counterclockwise.
    rows = {0: 0, 90: 1, 180: 1, -90: 0}[rotation]
    columns = {0: 0, 90: 0, 180: 1, -90: 1}[rotation]
    corner = image[-12:, :] if rows else image[:12, :]
    corner = corner[:, -12:] if columns else corner[:, :12]
    assert corner[..., 2].mean() > 180
    assert corner[..., 0].mean() < 60


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("sideways", [False, True])
def test_a_mirrored_image_is_shown_as_players_show_it(tmp_path, signs, sideways: bool) -> None:
    matrix = np.zeros((3, 3), np.int32)
    places = ((0, 1), (1, 0)) if sideways else ((0, 0), (1, 1))
    for place, sign in zip(places, signs, strict=True):
        matrix[place] = sign << 16
    matrix[2, 2] = 1 << 30
    path = write_media(
        tmp_path / "mirrored.mp4", audio=None, seconds=0.1, matrix=matrix.flatten().tolist()
    )
    images, _, media = read(path)
    image = images[0].image
    assert (
        image.shape[:2] == (media.height, media.width) == ((64, 48) if sideways else (48, 64))
    )
    # A point (x, y) is shown at (x, y) @ matrix: that is where the red corner comes to lie.
    x, y, _ = np.array([-1, -1, 0]) @ matrix
    corner = image[:12] if y < 0 else image[-12:]
    corner = corner[:, :12] if x < 0 else corner[:, -12:]
    assert corner[..., 2].mean() > 180
    assert corner[..., 0].mean() < 60


@pytest.mark.parametrize(
    ("aspect", "size"),
    [((64, 45), (48, 91)), ((6, 11), (88, 64)), ((1, 1), (48, 64)), ((8, 1), (48, 64))],
)
def test_pixels_become_square_and_that_is_noted_once(
    tmp_path, aspect: tuple[int, int], size: tuple[int, int]
) -> None:
    media = MediaFile(
        write_media(tmp_path / "film.mp4", video="libx264", audio=None, aspect=aspect)
    )
    images = [item.image for item in (*media, *media) if isinstance(item, VideoFrame)]
    assert {image.shape[:2] for image in images} == {size} == {(media.height, media.width)}
    red = (images[0][..., 2] > 180) & (images[0][..., 0] < 60)
    assert red.any(axis=0).sum() == pytest.approx(size[1] / 4, abs=1.5)
    assert red.any(axis=1).sum() == pytest.approx(size[0] / 3, abs=1.5)
    noted = {
        (64, 45): [
            "its pixels are not square (64:45); its images are stretched, as players do"
        ],
        (6, 11): ["its pixels are not square (6:11); its images are stretched, as players do"],
        (1, 1): [],
        (8, 1): [
            "its pixels are not square (8:1); this is not believed, they are taken as square"
        ],
    }[aspect]
    assert media.notes == noted


def test_pixels_may_change_within_a_film(tmp_path) -> None:
    parts = [
        write_media(
            tmp_path / f"{n}.ts", video="libx264", audio=None, seconds=0.4, aspect=ratio
        )
        for n, ratio in enumerate([(1, 1), (64, 45), (1, 1)])
    ]
    (tmp_path / "all.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    widths = [image.image.shape[1] for image in read(tmp_path / "all.ts")[0]]
    assert widths == [64] * 10 + [91] * 10 + [64] * 10


@pytest.mark.parametrize(
    ("container", "size"),
    [((2, 1), (48, 128)), ((1, 1), (48, 64)), ((0, 1), (48, 91)), ((0, 0), (48, 91))],
)
def test_the_container_knows_better_unless_it_says_nothing(tmp_path, container, size) -> None:
    path = write_media(tmp_path / "film.mp4", video="libx264", audio=None, aspect=(64, 45))
    data = path.read_bytes()
    assert data.count(b"pasp" + struct.pack(">II", 64, 45)) == 1
    packed = b"pasp" + struct.pack(">II", *container)
    path.write_bytes(data.replace(b"pasp" + struct.pack(">II", 64, 45), packed))
    assert {image.image.shape[:2] for image in read(path)[0]} == {size}


def test_iterating_again_starts_from_the_beginning(tmp_path) -> None:
    media = MediaFile(write_media(tmp_path / "clip.mp4"))
    for number, _ in enumerate(media):
        if number == 10:
            break
    assert next(iter(media)).stamp_ns == 0
    first, second = ([item.stamp_ns for item in media] for _ in range(2))
    assert first == second


def test_closing_ends_an_iteration(tmp_path) -> None:
    with MediaFile(write_media(tmp_path / "clip.mp4")) as media:
        items = iter(media)
        next(items)
        media.close()
        assert list(items) == []


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(SourceError, match=r"absent\.mp4' does not exist"):
        MediaFile(tmp_path / "absent.mp4")


def test_a_folder_is_not_media(tmp_path) -> None:
    with pytest.raises(SourceError, match="is not a file"):
        MediaFile(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("noise.mp4", bytes(range(256)) * 40),
        ("notes.txt", b"Dear diary,\n" * 100),
        ("clip.mp4", b"not a video, whatever its name says\n"),
    ],
)
def test_what_is_not_media_is_refused(tmp_path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match="not a media file"):
        MediaFile(path)


def test_a_file_with_subtitles_only_has_neither_image_nor_sound(tmp_path) -> None:
    path = tmp_path / "words.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n\n")
    with pytest.raises(SourceError, match="neither video nor audio"):
        MediaFile(path)


def test_the_cover_image_of_a_song_is_not_a_video(tmp_path) -> None:
    plain = write_media(tmp_path / "song.mp3", video=None, audio="libmp3lame", rate=44100)
    with_cover = tmp_path / "cover.mp3"
    with av.open(str(plain)) as source, av.open(str(with_cover), "w") as target:
        song = target.add_stream_from_template(source.streams.audio[0])
        cover = target.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = song
                target.mux(packet)
        target.mux(cover.encode(av.VideoFrame(16, 16, "rgb24")))
        target.mux(cover.encode())
    images, sounds, media = read(with_cover)
    assert not media.has_video
    assert images == []
    assert sounds


def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path) -> None:
    whole = write_media(tmp_path / "whole.mp4", seconds=4.0, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    images, _, media = read(cut)
    assert 10 < len(images) < 90
    assert media.truncated
    assert "it is truncated: its end is missing after" in media.notes[0]
    assert not read(whole)[2].truncated


def test_a_file_cut_before_its_index_is_refused_with_the_reason(tmp_path) -> None:
    whole = write_media(tmp_path / "whole.mp4", seconds=2.0)
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match="cut off before its index was written"):
        MediaFile(cut)


def test_damage_within_a_file_is_left_out_and_counted(tmp_path) -> None:
    path = write_media(tmp_path / "clip.avi", seconds=3.0, audio="libmp3lame")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    start = len(data) // 3
    data[start : start + 6000] = rng.integers(0, 256, 6000, np.uint8).tobytes()
    path.write_bytes(data)
    images, sounds, _ = read(path)
    assert len(images) > 20
    assert len(sounds) > 20
    stamps = [item.stamp_ns for item in MediaFile(path)]
    assert stamps == sorted(stamps)


def test_nan_in_a_file_is_passed_on_to_be_counted(tmp_path) -> None:
    sound = tone(16000, 0.5)
    sound[100:200] = np.nan
    path = write_media(
        tmp_path / "nan.wav", video=None, audio="pcm_f32le", rate=16000, channels=1, sound=sound
    )
    _, sounds, _ = read(path)
    whole = np.concatenate([block.samples for block in sounds])
    assert np.count_nonzero(np.isnan(whole)) == 100


def test_a_stream_that_ends_early_does_not_hold_up_the_other(tmp_path) -> None:
    path = write_media(tmp_path / "short.mkv", seconds=8.0, sound=tone(48000, 0.5))
    images, sounds, media = read(path)
    assert len(images) == 8 * FPS
    assert end_s(sounds[-1]) == pytest.approx(0.5, abs=0.05)
    assert not media.truncated


def test_the_sample_clip_of_the_repository_can_be_read() -> None:
    images, sounds, media = read(SAMPLE)
    assert (media.has_video, media.has_audio) == (True, True)
    assert len(images) == pytest.approx(media.duration_s * media.fps, abs=1)
    assert end_s(sounds[-1]) == pytest.approx(media.duration_s, abs=0.1)


def test_what_cannot_be_converted_is_told_with_the_file_and_its_format(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(frame: av.AudioFrame) -> np.ndarray:
        raise ValueError("no such layout")

    path = write_media(tmp_path / "a.wav", video=None, audio="pcm_s16le")
    monkeypatch.setattr(media_module, "_samples", refuse)
    with pytest.raises(SourceError, match=r"a\.wav' holds s16, .* no such layout"):
        read(path)
