"""Features of items: what comes out of files, good and bad ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from made_clips import SAMPLE, cut
from made_items import image, item, noise, voice, write_image, write_wav
from media_files import write_media

from avemo_ros.audio.filters import HighPass
from avemo_ros.audio.spectrogram import FLOOR_DB, AudioBlock, LogSpectrogram, SpectrogramChunk
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.cli.main import main
from avemo_ros.config import AudioConfig, VisionConfig
from avemo_ros.data.audio_features import SoundTrack, read_sound
from avemo_ros.data.dataset import Item
from avemo_ros.data.face_images import MainFace
from avemo_ros.data.features import MAX_COLUMNS, MIN_COLUMNS, Features, PrepareConfig
from avemo_ros.data.file_reader import PARTS, ItemSpan
from avemo_ros.data.prepare import PrepareReport, prepare
from avemo_ros.errors import ConfigError, DataError, SourceError
from avemo_ros.model import preprocess
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import Box, FrameTracks

SPEECH = frozenset({"speech"})
FACES = frozenset({"faces"})


def only_one(given: Item, want: frozenset[str] = PARTS, **config: Any) -> Features:
    corpus, report = prepare([given], PrepareConfig(**config), want=want)
    assert report.troubles == ()
    return corpus.features[0]


def troubles(report: PrepareReport) -> dict[str, tuple[str, str]]:
    """Kind and reason by key."""
    return {one.item.key: (one.finding.kind, one.finding.reason) for one in report.troubles}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.2 s of the sample at 10 images a second, with sound."""
    return cut(tmp_path_factory.mktemp("clips") / "clip.mp4", 3.0, 4.2)


@pytest.fixture(scope="module")
def clip_features(clip: Path) -> Features:
    return only_one(item(clip))


def test_limits_are_those_of_the_network() -> None:
    assert (MIN_COLUMNS, MAX_COLUMNS) == (preprocess.MIN_COLUMNS, preprocess.MAX_COLUMNS)


# Sound


def spectrogram_of(samples: np.ndarray) -> np.ndarray:
    """That of 16 kHz sound as it is heard."""
    return LogSpectrogram().push(HighPass().push(samples.astype(np.float32) / 32768))


def test_a_16_khz_file_gives_the_spectrogram_of_its_very_samples(tmp_path: Path) -> None:
    samples = noise(1.5)
    made = only_one(voice(write_wav(tmp_path / "a.wav", samples)), SPEECH)
    expected = spectrogram_of(samples)
    assert made.spectrogram is not None
    assert made.spectrogram.dtype == np.float16
    np.testing.assert_array_equal(made.spectrogram, expected.astype(np.float16))
    assert made.faces is None
    assert made.face_times_s is None


def test_a_clip_sounds_as_in_the_live_path(clip: Path, clip_features: Features) -> None:
    buffer = SpeechBuffer(AudioConfig())
    blocks = [piece for piece in MediaFile(clip) if isinstance(piece, AudioBlock)]
    chunks = [chunk for block in blocks for chunk in buffer.push(block)] + buffer.flush()
    live = np.concatenate([chunk.power_db for chunk in chunks])
    made = clip_features.spectrogram
    assert made is not None
    # The live path still waits for the last sound that its resampler needs.
    assert 0 <= len(made) - len(live) <= 1
    np.testing.assert_array_equal(made[: len(live)], live.astype(np.float16))


def test_other_rates_and_channels_keep_their_length(tmp_path: Path) -> None:
    wide = np.stack([noise(3.0, 1), noise(3.0, 2)], axis=1)
    sound = read_sound(write_wav(tmp_path / "a.wav", wide, rate=48000))
    assert sound.shape == (16000,)


def test_silence_follows_sound_that_is_too_short(tmp_path: Path) -> None:
    corpus, report = prepare([voice(write_wav(tmp_path / "a.wav", noise(0.2)))], want=SPEECH)
    made = corpus.features[0].spectrogram
    assert made is not None
    assert made.shape == (63, 200)
    assert made[:17].max() > -60
    assert (made[17:] == FLOOR_DB).all()
    assert troubles(report) == {"a": ("filled up", "0.20 s of audio, the rest is silence")}
    assert report.unusable == ()


def test_of_long_sound_the_first_ten_seconds_of_the_speech_are_kept(tmp_path: Path) -> None:
    samples = np.concatenate([noise(3.0, level=0.0005), noise(12.0)])
    corpus, report = prepare([voice(write_wav(tmp_path / "a.wav", samples))], want=SPEECH)
    made = corpus.features[0].spectrogram
    assert made is not None
    assert made.shape == (1000, 200)
    whole = spectrogram_of(samples).astype(np.float16)
    # The first window that holds noise ends 40 ms after its start: column 297.
    np.testing.assert_array_equal(made, whole[277:1277])
    assert troubles(report)["a"][0] == "shortened"


def test_what_is_no_number_becomes_silence(tmp_path: Path) -> None:
    samples = noise(1.0).astype(np.float32) / 32768
    samples[8000:8100] = np.nan
    corpus, report = prepare([voice(write_wav(tmp_path / "a.wav", samples))], want=SPEECH)
    made = corpus.features[0].spectrogram
    assert made is not None
    assert np.isfinite(made).all()
    assert troubles(report)["a"] == (
        "damaged",
        "100 samples were not numbers and were replaced by silence",
    )


def _hum(amplitude: float, offset: float = 0.0) -> np.ndarray:
    wave = amplitude * np.sin(np.arange(16000) * 2 * np.pi * 200 / 16000) + offset
    return np.round(wave * 32768).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (np.zeros(16000, np.int16), "silent"),
        (_hum(0.0012), "silent"),  # -61.4 dB
        (_hum(0.0, 0.25), "silent"),
        (np.full(16000, np.nan, np.float32), "damaged silent"),
        (np.zeros(0, np.int16), "no sound"),
        (_hum(0.0017), ""),  # -58.4 dB
    ],
)
def test_silence_is_no_voice(tmp_path: Path, samples: np.ndarray, kind: str) -> None:
    path = write_wav(tmp_path / "a.wav", samples)
    corpus, report = prepare([voice(path)], want=SPEECH)
    assert (corpus.features[0].spectrogram is None) == bool(kind)
    assert " ".join(one.finding.kind for one in report.troubles) == kind
    assert report.speech == (not kind)
    if kind:
        assert [item.key for item in report.unusable] == ["a"]
        with pytest.raises(DataError, match=r"silent|has no sound"):
            read_sound(path)


def test_an_utterance_may_be_a_part_of_its_file(tmp_path: Path) -> None:
    samples = noise(3.0)
    path = write_wav(tmp_path / "a.wav", samples)
    parts = [
        voice(path, key="1", start_s=0.5, end_s=1.5),
        voice(path, key="2", start_s=1.0),
        voice(path, key="3", end_s=0.8),
        voice(path, key="4", start_s=7.0, end_s=8.0),
    ]
    corpus, report = prepare(parts, want=SPEECH)
    spans = [(8000, 24000), (16000, 48000), (0, 12800)]
    for features, (first, last) in zip(corpus.features, spans, strict=False):
        expected = spectrogram_of(samples[first:last])
        np.testing.assert_array_equal(features.spectrogram, expected.astype(np.float16))
    assert corpus.features[3].spectrogram is None
    assert troubles(report) == {"4": ("no sound", "it contains no audio")}
    assert report.length_s == pytest.approx(1.0 + 2.0 + 0.8)


@pytest.mark.parametrize("lost_s", [0.2, 0.9, 4.0, 3600.0])
def test_lost_sound_becomes_silence(lost_s: float) -> None:
    track = SoundTrack()
    loud = np.random.default_rng(2).standard_normal((1600, 1)).astype(np.float32)
    for number in range(3):
        track.push(AudioBlock(number * 10**8, 16000, loud))
    for number in range(3, 9):
        track.push(AudioBlock(number * 10**8 + int(lost_s * 10**9), 16000, loud))
    sound = track.finish()
    assert sound is not None
    silent = round(16000 * min(lost_s, 10.0))
    assert len(sound) == 9 * 1600 + silent
    # The high pass rings on for a moment.
    assert np.abs(sound[4800 + 1600 : 4800 + silent]).max() < 1e-2
    levels = np.abs(sound).reshape(-1, 1600).max(axis=1)
    assert (levels > 1.0).sum() == 9


def test_the_chosen_channel_is_prepared(tmp_path: Path) -> None:
    six = np.stack([noise(1.5, seed) for seed in range(6)], axis=1)
    path = write_wav(tmp_path / "a.wav", six)
    config = PrepareConfig(audio=AudioConfig(channel=4))
    corpus, _ = prepare([voice(path)], config, want=SPEECH)
    expected = spectrogram_of(noise(1.5, 4))
    np.testing.assert_array_equal(corpus.features[0].spectrogram, expected.astype(np.float16))
    beyond = PrepareConfig(audio=AudioConfig(channel=6))
    _, report = prepare([voice(path)], beyond, want=SPEECH)
    assert "audio.channel is 6, but the source has 6 channel(s)" in troubles(report)["a"][1]


def test_read_sound_says_what_is_lacking(tmp_path: Path) -> None:
    silent = cut(tmp_path / "silent.mp4", 1.0, 1.3, sound=False)
    with pytest.raises(DataError, match=r"silent\.mp4' has no sound track"):
        read_sound(silent)
    path = write_wav(tmp_path / "a.wav", noise(1.0))
    with pytest.raises(DataError, match=r"no sound between 3 s and 4 s"):
        read_sound(path, 3.0, 4.0)
    with pytest.raises(SourceError, match="does not exist"):
        read_sound(tmp_path / "nowhere.wav")


# Clips


def test_a_clip_gives_the_crops_of_the_live_path(clip: Path, clip_features: Features) -> None:
    analyzer = FaceAnalyzer(VisionConfig())
    frames = [piece for piece in MediaFile(clip) if isinstance(piece, VideoFrame)]
    live = [analyzer.process(frame.stamp_ns, frame.image) for frame in frames]
    analyzer.close()
    assert clip_features.faces is not None
    assert clip_features.landmarks is not None
    np.testing.assert_array_equal(
        clip_features.faces, [tracks.faces[0].crop for tracks in live]
    )
    np.testing.assert_allclose(
        clip_features.face_times_s, [frame.stamp_ns * 1e-9 for frame in frames], atol=1e-6
    )
    points = live[-1].faces[0].landmarks
    assert points is not None
    np.testing.assert_allclose(
        clip_features.landmarks[-1], points[:, :2] * (live[0].width, live[0].height), rtol=1e-5
    )


def test_images_are_picked_evenly(clip: Path, clip_features: Features) -> None:
    made = only_one(item(clip), FACES, fps=5.0, vision=VisionConfig(crop_size=48))
    assert made.faces is not None
    assert made.faces.shape == (6, 48, 48)
    assert made.landmarks is None
    assert clip_features.face_times_s is not None
    np.testing.assert_array_equal(made.face_times_s, clip_features.face_times_s[::2])


def test_items_of_one_clip_do_not_disturb_each_other(clip: Path) -> None:
    first = item(clip, key="1", start_s=0.1, end_s=0.8)
    second = item(clip, key="2", start_s=0.4, end_s=1.15)
    together, _ = prepare([first, second])
    for alone, both in zip((first, second), together.features, strict=True):
        made = only_one(alone)
        np.testing.assert_array_equal(made.faces, both.faces)
        np.testing.assert_array_equal(made.spectrogram, both.spectrogram)
        assert both.face_times_s is not None
        assert 0.0 <= both.face_times_s[0] < 0.1
    assert together.features[0].faces is not None
    assert len(together.features[0].faces) == 7


def test_what_the_data_set_does_not_have_is_not_looked_for(clip: Path) -> None:
    made = only_one(item(clip, has_face=False))
    assert made.faces is None
    assert made.spectrogram is not None
    made = only_one(item(clip, has_voice=False), FACES | SPEECH, fps=2.0)
    assert made.faces is not None
    assert made.spectrogram is None


def test_what_lacks_in_clips_is_told(tmp_path: Path) -> None:
    items = [
        item(cut(tmp_path / "empty.mp4", 3.0, 3.8, faces=False)),
        item(cut(tmp_path / "mute.mp4", 3.0, 3.4, sound=False)),
        item(write_wav(tmp_path / "blind.wav", noise(1.0))),
    ]
    corpus, report = prepare(items)
    assert troubles(report) == {
        "empty": ("no face", "no face was found in 8 images"),
        "mute": ("no sound", "it contains no audio"),
        "blind": ("no face", "it contains no images"),
    }
    empty, mute, blind = corpus.features
    assert empty.faces is None
    assert mute.faces is not None
    assert mute.spectrogram is None
    assert blind.spectrogram is not None
    assert (report.faces, report.speech) == (1, 2)
    assert [one.key for one in report.unusable] == ["empty", "mute", "blind"]


def tracks(*faces: tuple[str, float, float]) -> FrameTracks:
    """An image with faces: id, side, quality; the id's last digit is the crop's grey."""
    return FrameTracks(
        0,
        100,
        100,
        tuple(
            SimpleNamespace(
                face_id=face_id,
                box=Box(0.1, 0.1, side, side),
                quality=quality,
                landmarks=None,
                crop=np.full((8, 8), int(face_id[-1]), np.uint8),
            )
            for face_id, side, quality in faces
        ),
    )


@pytest.mark.parametrize(
    ("images", "main", "count"),
    [
        ([tracks(("f1", 0.2, 1), ("f2", 0.5, 1)), tracks(("f1", 0.2, 1))], 1, 2),
        ([tracks(("f1", 0.2, 1), ("f2", 0.5, 1))], 2, 1),
        ([tracks(("f1", 0.2, 1)), tracks(("f1", 0.2, 0.1)), tracks(("f2", 0.5, 1))], 1, 1),
    ],
    ids=["the longest", "of equals the largest", "unreadable images count, but are not kept"],
)
def test_the_main_face_is(images: list[FrameTracks], main: int, count: int) -> None:
    waiting = iter(images)
    stage: Any = SimpleNamespace(push=lambda _stamp, _image: next(waiting))
    face = MainFace(stage, 0.3)
    for number in range(len(images)):
        face.push(number * 100_000_000, np.zeros((1, 1, 3), np.uint8))
    features, reason = face.finish()
    assert features is not None, reason
    assert features.faces is not None
    assert features.landmarks is not None
    assert (features.faces[0, 0, 0], len(features.faces)) == (main, count)
    assert features.landmarks.shape == (count, 468, 2)
    assert np.isnan(features.landmarks).all()


def test_a_face_that_cannot_be_read_is_none() -> None:
    stage: Any = SimpleNamespace(push=lambda _stamp, _image: tracks(("f1", 0.2, 0.2)))
    face = MainFace(stage, 0.3)
    face.push(0, np.zeros((1, 1, 3), np.uint8))
    features, reason = face.finish()
    assert features is None
    assert reason.startswith("a face was found in 1 of 1 images, but it is too small, blurred")


# Images


def test_images_of_faces_are_taken_as_they_are(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png")
    made = only_one(image(path))
    assert made.faces is not None
    assert made.faces.shape == (1, 48, 48)
    np.testing.assert_array_equal(made.faces[0], cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    assert made.face_times_s is not None
    assert made.face_times_s.tolist() == [0.0]
    assert made.spectrogram is None


def test_an_image_that_should_have_sound_is_told(tmp_path: Path) -> None:
    _, report = prepare([item(write_image(tmp_path / "a.png"))])
    assert troubles(report) == {"a": ("no sound", "it is an image")}
    assert report.faces == 1


def test_a_grey_jpeg_is_read_as_opencv_reads_it(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg")
    made = only_one(image(path), FACES)
    assert made.faces is not None
    np.testing.assert_array_equal(made.faces[0], cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def test_other_images_are_searched_for_a_face(clip: Path, tmp_path: Path) -> None:
    shown = next(piece for piece in MediaFile(clip) if isinstance(piece, VideoFrame))
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), shown.image)
    blank = write_image(tmp_path / "blank.png", width=200, height=150)
    corpus, report = prepare([image(path), image(blank)], PrepareConfig(detect=True))
    faces, landmarks = corpus.features[0].faces, corpus.features[0].landmarks
    assert faces is not None
    assert landmarks is not None
    assert faces.shape == (1, 96, 96)
    assert landmarks.shape == (1, 468, 2)
    assert corpus.features[1].faces is None
    assert troubles(report) == {"blank": ("no face", "no face was found in 1 images")}


def test_rows_of_a_table_are_images(tmp_path: Path) -> None:
    table = tmp_path / "fer2013.csv"
    good = np.random.default_rng(0).integers(0, 256, (2, 48, 48), np.uint8)
    rows = [" ".join(map(str, one.reshape(-1).tolist())) for one in good]
    bad = ["1 2 3", " ".join(["256"] * 2304), " ".join(["x"] * 2304)]
    lines = [f"0,{pixels},Training" for pixels in [rows[0], *bad, rows[1]]]
    table.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    items = [image(table, key=str(row), row=row) for row in (4, 0, 1, 2, 3, 9)]
    corpus, report = prepare(items, want=FACES)
    for features, expected in zip(corpus.features, good[::-1], strict=False):
        assert features.faces is not None
        np.testing.assert_array_equal(features.faces[0], expected)
    reasons = {key: reason.partition(": ")[2] for key, (_, reason) in troubles(report).items()}
    assert reasons == {
        "1": "it has 3 pixels; allowed: 2304",
        "2": "its pixels range from 256 to 256; allowed: 0 to 255",
        "3": "its pixels are not all numbers",
        "9": "the table has no such row",
    }


# Broken files


def make_text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")


def make_cut_off(path: Path) -> None:
    path.write_bytes(SAMPLE.read_bytes()[:20000])


def make_cut_jpeg(path: Path) -> None:
    whole = write_image(path.with_suffix(".jpg"))
    path.write_bytes(whole.read_bytes()[:700])


def make_wide(path: Path) -> None:
    whole = write_image(path.with_suffix(".png"), width=60, height=40)
    path.write_bytes(whole.read_bytes())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.touch(), "is empty"),
        (make_text, "not a media file"),
        (make_cut_off, "it is truncated: its end is missing"),
        (make_cut_jpeg, "truncated"),
        (make_wide, "60x40 pixels is not an aligned face"),
        (Path.mkdir, "Is a directory"),
    ],
    ids=["missing", "empty", "text", "cut off", "cut jpeg", "not square", "folder"],
)
def test_a_broken_file_is_named_and_stops_nothing(
    make: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    make(bad)
    good = write_wav(tmp_path / "good.wav", noise(1.0))
    corpus, report = prepare([item(bad), voice(good)])
    kind, said = troubles(report)["bad"]
    assert kind == "broken"
    assert reason in said
    assert str(bad) in said or "Errno" in said or "pixels" in said
    assert corpus.features[0].spectrogram is None
    assert corpus.features[1].spectrogram is not None
    assert [one.key for one in report.unusable] == ["bad"]


def test_the_content_counts_and_not_the_name(tmp_path: Path, clip: Path) -> None:
    named = tmp_path / "a.jpg"
    named.write_bytes(clip.read_bytes())
    assert only_one(item(named), FACES, fps=2.0).faces is not None
    sound = write_wav(tmp_path / "b.mp4", noise(1.0))
    assert only_one(voice(sound)).spectrogram is not None


# The run


def test_items_keep_their_order_and_repeats_are_made_once(tmp_path: Path) -> None:
    paths = [write_wav(tmp_path / f"{seed}.wav", noise(1.0, seed)) for seed in range(3)]
    items = [
        voice(paths[2]),
        image(write_image(tmp_path / "p.png"), dataset="other"),
        voice(paths[0]),
        voice(paths[2]),
        voice(paths[1]),
    ]
    corpus, report = prepare(items)
    assert corpus.items == tuple(items)
    assert corpus.features[0].spectrogram is corpus.features[3].spectrogram
    assert corpus.features[1].faces is not None
    assert (report.items, report.faces, report.speech) == (5, 1, 4)
    assert len(prepare([])[0]) == 0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"want": frozenset()}, "want"),
        ({"want": frozenset({"mouth"})}, "want"),
        ({"workers": -1}, "workers"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], name: str, tmp_path: Path) -> None:
    given = [voice(write_wav(tmp_path / "a.wav", noise(1.0)))]
    with pytest.raises(ConfigError, match=f"'{name}'"):
        prepare(given, **arguments)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"prepare\.fps"):
        PrepareConfig(fps=-1.0)


class DeadlyItem(Item):
    """Ends the process that unpacks it."""

    def __reduce__(self) -> Any:
        return os._exit, (1,)


def test_workers_make_the_same_and_survive_a_crash(tmp_path: Path) -> None:
    items = [voice(write_wav(tmp_path / f"{seed}.wav", noise(1.0, seed))) for seed in range(5)]
    deadly = DeadlyItem("made", "deadly", tmp_path / "deadly.wav", "happy", "made-x")
    alone, _ = prepare(items, want=SPEECH)
    corpus, report = prepare([*items, deadly], workers=1, want=SPEECH)
    for one, other in zip(alone.features, corpus.features, strict=False):
        np.testing.assert_array_equal(one.spectrogram, other.spectrogram)
    assert troubles(report) == {
        "deadly": (
            "broken",
            f"'{tmp_path / 'deadly.wav'}': the process that read it crashed",
        )
    }


def test_the_command_prepares_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    write_wav(root / "a.wav", noise(1.0))
    write_wav(root / "b.wav", np.zeros(16000, np.int16))
    (root / "clips.csv").write_text("file,label,subject\na.wav,happy,x\nb.wav,sad,y\n")
    report = tmp_path / "report.json"
    arguments = ["data", "prepare", "clips", str(root), "--cache", str(tmp_path / "cache")]
    arguments += ["--want", "speech", "--workers", "0"]
    assert main([*arguments, "--json", str(report)]) == 1
    said = capsys.readouterr().out
    assert "2 items (0 from the cache)" in said
    assert "1 silent:" in said
    assert '"silent": 1' in report.read_text()
    assert main(arguments) == 1
    assert "2 items (2 from the cache)" in capsys.readouterr().out
    (root / "a.wav").write_bytes(bytes(range(1, 256)) * 20)
    assert main(arguments) == 1
    assert "1 broken:" in capsys.readouterr().out


def test_a_real_clip_has_face_and_voice(shared_data: Path) -> None:
    path = shared_data / "clips" / "01-01-08-02-02-02-01.mp4"
    made = only_one(item(path), fps=3.0)
    assert made.faces is not None
    assert made.face_times_s is not None
    assert made.spectrogram is not None
    assert made.faces.shape == (10, 96, 96)
    np.testing.assert_allclose(np.diff(made.face_times_s), 1 / 3, atol=0.04)
    assert len(made.spectrogram) > 300


def test_what_is_unusual_about_a_file_is_a_finding(tmp_path: Path) -> None:
    part = write_media(tmp_path / "a.ts", video=None, audio="mp2")
    day = tmp_path / "day.ts"
    day.write_bytes(part.read_bytes() * 2)
    corpus, report = prepare([voice(day)])
    kind, reason = troubles(report)["day"]
    assert kind == "unusual"
    assert "time stamps start anew once" in reason
    spectrogram = corpus.features[0].spectrogram
    assert spectrogram is not None
    assert len(spectrogram) == pytest.approx(200, abs=10)
    assert report.unusable == ()


@pytest.mark.parametrize(("level_db", "kind"), [(-70.0, "silent"), (-50.0, "")])
def test_recorded_columns_below_the_speech_level_are_no_voice(
    tmp_path: Path, level_db: float, kind: str
) -> None:
    span = ItemSpan(voice(tmp_path / "a"), None, listens=True)
    power_db = np.full((100, 200), -80, np.float32)
    level = np.full(100, level_db, np.float32)
    span.push(
        SpectrogramChunk(40_000_000, power_db, np.ones(100, np.float32), level, gap=False)
    )
    made = span.finish("")
    assert (made.features.spectrogram is None) == bool(kind)
    assert [one.kind for one in made.findings] == [kind] * bool(kind)
