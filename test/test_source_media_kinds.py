"""Media files as people have them: odd names, many tracks, guessed lengths, joined parts."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from media_files import FPS, end_s, read, write_media
from sounds import tone

from avemo_ros.errors import SourceError
from avemo_ros.sink.video_file import VideoWriter
from avemo_ros.source import media_file as media_module
from avemo_ros.source.media_file import MediaFile
from avemo_ros.source.media_tracks import PacketOrder
from avemo_ros.timing import NS_PER_S

NAMES = [
    "12:30:05.mkv",
    "-y.mkv",
    "file:a.mkv",
    "concat:a|b.mkv",
    "http:a.mkv",
    "a%03d.mkv",
    "50%25.mkv",
    "who?.mkv",
    "a#b [c]{d,e}*.mkv",
    "Zo\u0065\u0308.mkv",
    os.fsdecode(b"Zo\xeb.mkv"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_path_whatever_is_in_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_media(tmp_path / "a.mkv", seconds=0.2, audio=None).rename(name)
    assert len(read(Path(name))[0]) == 5


@pytest.mark.parametrize(
    "name", ["12:30:05.mp4", "-y.mp4", "concat:a.mp4", "a%03d.mp4", "w?.mp4"]
)
def test_a_video_is_written_under_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter(Path(name), 0, sound=False) as writer:
        for number in range(3):
            writer.push_frame(number * 40_000_000, np.zeros((48, 64, 3), np.uint8))
    assert len(read(tmp_path / name)[0]) == 3


@pytest.mark.parametrize("name", ["a%03d.png", "a?.png", "{a,b}.png"])
def test_an_image_with_signs_of_a_pattern_in_its_name_is_one_image(
    name: str, tmp_path: Path
) -> None:
    with av.open(str(tmp_path / "a001.png"), "w") as file:
        stream = file.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        file.mux(stream.encode(av.VideoFrame(16, 16, "rgb24")))
        file.mux(stream.encode())
    (tmp_path / "a001.png").rename(tmp_path / name)
    assert len(read(tmp_path / name)[0]) == 1


def sounds_in(
    path: Path, *tracks: tuple[float, Disposition, str], codec: str = "aac", rate: int = 16000
) -> Path:
    """Tracks of 1 s with tones of these frequencies [Hz], dispositions and titles."""
    with av.open(str(path), "w") as file:
        streams = []
        for _, disposition, title in tracks:
            stream = file.add_stream(codec, rate=rate)
            stream.layout, stream.disposition = "mono", disposition
            if title:
                stream.metadata["title"] = title
            streams.append(stream)
        for stream, (hertz, _, _) in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(tone(rate, 1.0, hertz).T), "fltp", "mono"
            )
            frame.sample_rate, frame.pts = rate, 0
            resampler = av.AudioResampler(
                stream.format, "mono", rate, stream.frame_size or None
            )
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                file.mux(stream.encode(part))
            file.mux(stream.encode())
    return path


def hertz_of(path: Path) -> tuple[float, MediaFile]:
    _, sounds, media = read(path)
    whole = np.concatenate([block.samples[:, 0] for block in sounds])[: 16000 * 3 // 4]
    return np.abs(np.fft.rfft(whole)).argmax() * 16000 / len(whole), media


NONE, DEFAULT = Disposition(0), Disposition.default


@pytest.mark.parametrize(
    ("tracks", "taken", "reason"),
    [
        ([(300, NONE, ""), (600, DEFAULT, "")], 600, "it is not the default"),
        ([(300, DEFAULT, ""), (600, DEFAULT, "")], 300, "it is not the first"),
        ([(300, NONE, ""), (600, NONE, "")], 300, "it is not the first"),
        ([(300, DEFAULT | Disposition.comment, ""), (600, NONE, "")], 600, "a commentary"),
        ([(300, DEFAULT, "Director's Commentary"), (600, NONE, "")], 600, "a commentary"),
        ([(300, Disposition.visual_impaired, ""), (600, NONE, "")], 600, "a commentary"),
    ],
)
def test_the_track_that_players_take_is_read_and_the_other_named(
    tracks, taken: int, reason: str, tmp_path: Path
) -> None:
    hertz, media = hertz_of(sounds_in(tmp_path / "two.mkv", *tracks))
    assert hertz == pytest.approx(taken, abs=3)
    (note,) = media.notes
    assert note.startswith(f"audio track {1 if taken == 600 else 2} of 2 is left out: ")
    assert reason in note
    assert note.endswith(f"; track {2 if taken == 600 else 1} is used")


def with_codec(path: Path, old: bytes, new: bytes, setup: bytes) -> Path:
    """The first track of this codec in an mp4 is marked as one of another."""
    data = bytearray(path.read_bytes())
    at = data.find(old, data.find(b"stsd"))
    data[at : at + 4] = new
    at = data.find(setup, at)
    data[at : at + 4] = b"free"
    path.write_bytes(data)
    return path


def test_a_track_that_ffmpeg_has_no_decoder_for_is_left_out(tmp_path: Path) -> None:
    two = sounds_in(tmp_path / "two.mp4", (300, DEFAULT, ""), (600, NONE, ""))
    hertz, media = hertz_of(with_codec(two, b"mp4a", b"apac", b"esds"))
    assert hertz == pytest.approx(600, abs=3)
    assert media.notes == [
        "audio track 1 of 2 is left out: FFmpeg cannot decode its codec; track 2 is used"
    ]


def test_images_that_cannot_be_decoded_leave_the_sound(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", video="mpeg4")
    images, sounds, media = read(with_codec(path, b"mp4v", b"zzz1", b"esds"))
    assert not media.has_video
    assert images == []
    assert end_s(sounds[-1]) == pytest.approx(1.0, abs=0.05)
    assert media.notes == ["video track 1 of 1 is left out: FFmpeg cannot decode its codec"]


def test_a_file_of_which_nothing_can_be_decoded_says_why(tmp_path: Path) -> None:
    path = with_codec(
        sounds_in(tmp_path / "a.mp4", (300, DEFAULT, "")), b"mp4a", b"apac", b"esds"
    )
    with pytest.raises(
        SourceError, match="neither video nor audio; audio track 1 of 1 is left"
    ):
        MediaFile(path)


def test_a_track_whose_packets_are_garbage_is_left_out(tmp_path: Path) -> None:
    path = sounds_in(tmp_path / "a.mkv", (300, DEFAULT, ""), (600, NONE, ""), codec="aac")
    with av.open(str(path)) as file:
        places = [(p.pos, p.size) for p in file.demux(audio=0) if p.size]
    data = bytearray(path.read_bytes())
    for at, size in places:
        data[at + 8 : at + size] = bytes([0xFF]) * (size - 8)
    path.write_bytes(data)
    hertz, media = hertz_of(path)
    assert hertz == pytest.approx(600, abs=3)
    assert "none of its packets can be decoded; track 2 is used" in media.notes[0]


def raw_aac(path: Path) -> Path:
    """Noise after silence: the bit rate at the beginning says nothing about the length."""
    sound = np.concatenate((np.zeros((32000, 1)), tone(16000, 1.0))).astype(np.float32)
    sound[32000:] += np.random.default_rng(0).normal(0, 0.2, (16000, 1)).astype(np.float32)
    return write_media(path, video=None, rate=16000, channels=1, sound=sound[::-1].copy())


def vbr_mp3(path: Path) -> Path:
    sound = np.concatenate((np.zeros((64000, 1)), tone(16000, 1.0))).astype(np.float32)
    sound[64000:] += np.random.default_rng(0).normal(0, 0.2, (16000, 1)).astype(np.float32)
    return write_media(
        path,
        video=None,
        audio="libmp3lame",
        rate=16000,
        channels=1,
        sound=sound,
        options={"write_xing": "0"},
    )


def muxed(path: Path, *parts: Path) -> Path:
    """One file with the tracks of all parts."""
    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(path), "w"))
        sources = [stack.enter_context(av.open(str(part))) for part in parts]
        copies = {
            stream: out.add_stream_from_template(stream)
            for source in sources
            for stream in source.streams
        }
        for packet in (packet for source in sources for packet in source.demux()):
            if packet.dts is not None:
                packet.stream = copies[packet.stream]
                out.mux(packet)
    return path


def long_subtitles(path: Path) -> Path:
    words = path.with_suffix(".srt")
    words.write_text("1\n00:00:00,500 --> 00:00:20,000\nHello\n\n")
    return muxed(path, write_media(path.with_suffix(".mp4")), words)


def slow_gif(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("gif", rate=Fraction(1, 2))
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb8"
        for number in range(2):
            image = np.full((16, 16, 3), 100 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="rgb8")
            frame.pts, frame.time_base = number, Fraction(2, 1)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def one_frame(path: Path) -> Path:
    return write_media(path, seconds=1 / FPS, audio=None)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.aac", raw_aac),
        ("a.mp3", vbr_mp3),
        ("a.mkv", long_subtitles),
        ("a.gif", slow_gif),
        ("a.mp4", one_frame),
    ],
    ids=["raw aac", "vbr mp3", "long subtitles", "slow gif", "one frame"],
)
def test_a_whole_file_is_not_called_truncated(name: str, make, tmp_path: Path) -> None:
    media = read(make(tmp_path / name))[2]
    assert (media.truncated, media.damaged, media.notes) == (False, 0, [])


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("a.mkv", "mpeg4", "aac"),
        ("a.avi", "mpeg4", "libmp3lame"),
        ("a.flv", "flv1", "libmp3lame"),
        ("a.wav", None, "pcm_s16le"),
        ("a.mp3", None, "libmp3lame"),
        ("a.flac", None, "flac"),
    ],
)
def test_a_file_that_was_cut_off_is_called_truncated(
    name: str, video: str | None, audio: str, tmp_path: Path
) -> None:
    path = write_media(tmp_path / name, seconds=3.0, video=video, audio=audio, rate=44100)
    assert not read(path)[2].truncated
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    _, sounds, media = read(path)
    assert media.truncated
    assert 1.0 < end_s(sounds[-1]) < 2.5


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
@pytest.mark.parametrize("late_s", [0.5, 5.0])
def test_a_track_that_begins_later_keeps_its_offset(
    name: str, late_s: float, tmp_path: Path
) -> None:
    codec = "mpeg2video" if name.endswith("ts") else "mpeg4"
    path = write_media(tmp_path / name, video=codec, audio="mp2", audio_starts_s=late_s)
    images, sounds, media = read(path)
    assert images[0].stamp_ns == 0
    assert sounds[0].stamp_ns / NS_PER_S == pytest.approx(late_s, abs=0.05)
    assert media.notes == []


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize(
    ("suffix", "video", "audio"),
    [
        (".ts", "mpeg2video", "mp2"),
        (".mpg", "mpeg2video", "mp2"),
        (".mkv", "mpeg4", "aac"),
        (".ogg", None, "flac"),
        (".opus", None, "libopus"),
        (".mp3", None, "libmp3lame"),
        (".aac", None, "aac"),
        (".flac", None, "flac"),
    ],
)
def test_in_joined_recordings_time_goes_on(
    suffix: str, video: str | None, audio: str, tmp_path: Path
) -> None:
    part = write_media(
        tmp_path / f"a{suffix}", seconds=2.0, video=video, audio=audio, rate=48000
    )
    alone = read(part)
    images, sounds, media = read(joined(tmp_path / f"day{suffix}", part, part))
    stamps = [item.stamp_ns for item in sounds]
    assert stamps == sorted(stamps)
    assert sum(len(block.samples) for block in sounds) / 48000 == pytest.approx(4.0, abs=0.15)
    assert end_s(sounds[-1]) == pytest.approx(4.0, abs=0.2)
    assert len(images) == 2 * len(alone[0])
    if images:
        times = np.array([frame.stamp_ns for frame in images]) / NS_PER_S
        assert (np.diff(times) > 0).all()
        assert times[-1] - times[0] == pytest.approx(4.0, abs=0.2)
        # Sound and images have the same offset in both parts.
        offset = times[0] - stamps[0] / NS_PER_S
        second = times[len(alone[0])] - end_s(sounds[len(sounds) // 2 - 1])
        assert second - offset == pytest.approx(0.0, abs=0.15)
    if suffix not in (".mp3", ".aac"):  # these have no stamps that could start anew
        assert media.notes == [
            "its time stamps start anew once, as in joined recordings; time goes on"
        ]
    assert not media.truncated


@pytest.mark.parametrize(
    ("suffix", "video", "audio"),
    [
        (".mp4", "mpeg4", "aac"),
        (".wav", None, "pcm_s16le"),
        (".avi", "mpeg4", "mp2"),
        (".flv", "flv1", "libmp3lame"),
    ],
)
def test_a_second_recording_that_formats_forget_is_reported(
    suffix: str, video: str | None, audio: str, tmp_path: Path
) -> None:
    part = write_media(tmp_path / f"a{suffix}", video=video, audio=audio, rate=44100)
    assert read(part)[2].notes == []
    media = read(joined(tmp_path / f"day{suffix}", part, part))[2]
    assert f"a second recording is appended at byte {part.stat().st_size}" in media.notes[-1]


def test_an_unread_rest_of_a_file_is_reported(tmp_path: Path) -> None:
    part = write_media(
        tmp_path / "a.aiff", seconds=2.0, video=None, audio="pcm_s16be", rate=44100
    )
    assert read(part)[2].notes == []
    (note,) = read(joined(tmp_path / "day.aiff", part, part))[2].notes
    assert "nothing of these tracks is read after byte" in note


def test_a_single_image_before_the_film_is_not_the_film(tmp_path: Path) -> None:
    parts = [
        write_media(tmp_path / f"{count}.mov", video="mpeg4", audio=None, seconds=count / FPS)
        for count in (1, 10)
    ]
    images, _, media = read(muxed(tmp_path / "thumbnail.mov", *parts))
    assert len(images) == 10
    assert media.notes == [
        "video track 1 of 2 is left out: it has a single image; track 2 is used"
    ]


class Packet:
    """What `PacketOrder` sees of a packet, in milliseconds."""

    time_base = Fraction(1, 1000)

    def __init__(
        self, stream: Stream, time_ms: int, duration: int = 40, size: int = 100
    ) -> None:
        self.stream, self.size, self.duration = stream, size, duration
        self.pts = time_ms
        self.dts: int | None = time_ms


class Stream:
    def __init__(self, index: int) -> None:
        self.index = index


VIDEO, AUDIO = Stream(0), Stream(1)


def ordered(times: list[tuple[Stream, int]], *, may_leap: bool = True, size: int = 100):
    order = PacketOrder([VIDEO, AUDIO], may_leap=may_leap)
    packets = [Packet(stream, time, size=size) for stream, time in times]
    return [(packet.stream, packet.dts) for packet in order.sorted(packets)], order.restarts


@pytest.mark.parametrize("start", [0, 3_600_000])
def test_both_tracks_go_on_with_one_offset_wherever_the_second_part_starts(start: int) -> None:
    first = [(track, t) for t in range(20_000, 20_400, 40) for track in (VIDEO, AUDIO)]
    # In the second part, sound begins 80 ms after the images.
    second = [(VIDEO, start + t) for t in range(0, 400, 40)]
    second += [(AUDIO, start + 80 + t) for t in range(0, 400, 40)]
    found, restarts = ordered([*first, *second])
    images = [time for track, time in found if track is VIDEO]
    sounds = [time for track, time in found if track is AUDIO]
    assert images == list(range(20_000, 20_800, 40))
    assert sounds == [*range(20_000, 20_400, 40), *range(20_480, 20_880, 40)]
    assert restarts == 1


def test_reordered_images_whose_decoding_times_are_unknown_are_no_jump() -> None:
    order = PacketOrder([VIDEO], may_leap=True)
    packets = [Packet(VIDEO, time) for time in (0, 160, 80, 40, 120)]
    for packet in packets[:3]:
        packet.dts = None
    packets[3].dts, packets[4].dts = 0, 40
    assert [packet.pts for packet in order.sorted(packets)] == [0, 160, 80, 40, 120]
    assert order.restarts == 0


def test_a_second_part_without_sound_goes_on() -> None:
    times = [(track, t) for t in range(0, 400, 40) for track in (VIDEO, AUDIO)]
    found, restarts = ordered([*times, *((VIDEO, t) for t in range(0, 400, 40))])
    assert [time for track, time in found if track is VIDEO] == list(range(0, 800, 40))
    assert restarts == 1


def test_a_track_that_jumps_alone_goes_on_and_the_other_is_left_as_it_is() -> None:
    times = [(VIDEO, t, t) for t in range(0, 8000, 40)]
    times += [(AUDIO, t, t if t < 400 else t - 400) for t in range(0, 8000, 40)]
    times.sort(key=lambda one: one[1])
    found, restarts = ordered([(track, stamp) for track, _, stamp in times])
    for one in (VIDEO, AUDIO):
        assert [time for track, time in found if track is one] == list(range(0, 8000, 40))
    assert restarts == 1


def test_a_long_pause_is_kept_where_stamps_do_not_leap() -> None:
    found, restarts = ordered([(VIDEO, 0), (AUDIO, 0), (VIDEO, 60_000)], may_leap=False)
    assert [time for _, time in found] == [0, 0, 60_000]
    assert restarts == 0


def test_packets_that_wait_for_another_track_are_bounded_in_bytes() -> None:
    order = PacketOrder([VIDEO, AUDIO], may_leap=False)
    taken = 0

    def packets():
        nonlocal taken
        for number in range(1000):
            taken = number
            yield Packet(VIDEO, 40 * number, size=1 << 20)

    next(order.sorted(packets()))
    assert taken <= 33


def test_decoded_images_that_wait_for_sound_are_bounded_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = 64 * 48 * 3 // 2
    monkeypatch.setattr(media_module, "_AHEAD_BYTES", 8 * image)
    path = write_media(tmp_path / "a.mkv", seconds=4.0, sound=tone(48000, 0.5))
    decoded = shown = most = 0
    with MediaFile(path) as media:
        order = iter(media)
        in_order = PacketOrder.sorted

        def counted(*given):
            nonlocal decoded
            for packet in in_order(*given):
                # Here every packet of the video is one image, and is decoded next.
                decoded += packet.stream.type == "video" and packet.size > 0
                yield packet

        monkeypatch.setattr(PacketOrder, "sorted", counted)
        for item in order:
            shown += not hasattr(item, "samples")
            most = max(most, decoded - shown)
    assert shown == 4 * FPS
    assert most <= 10


@pytest.mark.parametrize(
    ("name", "make", "seconds"),
    [("a.gif", slow_gif, 4.0), ("a.mp4", one_frame, 1 / FPS), ("a.mkv", long_subtitles, 1.0)],
)
def test_the_length_is_measured(name: str, make, seconds: float, tmp_path: Path) -> None:
    media = read(make(tmp_path / name))[2]
    assert media.length_ns / NS_PER_S == pytest.approx(seconds, abs=0.03)
