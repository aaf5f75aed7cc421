"""avemo bag streams: a person's utterances one after the other, as a labelled bag."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_landmarks import sequence, write_sequences

from avemo_ros.annotations.label_files import find_labels, read_labels
from avemo_ros.audio.spectrogram import SpectrogramChunk
from avemo_ros.bag.from_clips import START_NS
from avemo_ros.bag.reader import Recording
from avemo_ros.cli import bag_streams
from avemo_ros.cli.main import ERROR, INTERRUPTED, main
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.face_points import POINTS, normalise_points, points_of_mesh
from avemo_ros.timing import NS_PER_S
from avemo_ros.vision.face import FrameTracks

RATE = 16_000
LEVELS = {name: 30 + 30 * place for place, name in enumerate(EMOTIONS)}
"""Mean of the images of each emotion, by which a face is known again."""


def write_voice(root: Path, actor: int, emotion: int, seconds: float) -> None:
    path = (
        root
        / "ravdess"
        / f"Actor_{actor:02d}"
        / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((9000 * tone).astype("<i2").tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Voices of two people: neutral, sad, angry; faces of every emotion, two of each."""
    folder = tmp_path / "data"
    for actor in (2, 3):
        for place, emotion in enumerate((1, 4, 5)):
            write_voice(folder, actor, emotion, 1.0 + 0.5 * place)
    for name, level in LEVELS.items():
        for number in range(2):
            path = folder / "fer2013" / "test" / name / f"PublicTest_{level}{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).integers(-9, 9, (48, 48))
            cv2.imwrite(str(path), (level + noise).astype(np.uint8))
    return folder


def streams(*words: object) -> int:
    return main(["bag", "streams", *map(str, words)])


def test_each_person_has_a_stream_whose_labels_and_faces_follow_the_voice(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert streams("--root", root, "--out", out) == 0
    bags = sorted(path for path in out.iterdir() if path.is_dir())
    assert [bag.name for bag in bags] == ["ravdess-02", "ravdess-03"]
    bag = bags[0]
    with Recording(bag) as recording:
        found = [item for _, item in recording.items(recording.kinds)]
    labels = read_labels(find_labels(bag), START_NS).segments
    assert sorted(one.label for one in labels) == ["angry", "neutral", "sad"]
    assert labels[0].start_ns == START_NS
    assert labels[-1].end_ns == START_NS + round(4.5 * NS_PER_S)
    assert all(one.end_ns == two.start_ns for one, two in pairwise(labels))
    for one in labels:
        length_s = {"neutral": 1.0, "sad": 1.5, "angry": 2.0}[one.label]
        assert one.end_ns - one.start_ns == round(length_s * NS_PER_S)
    frames = [item for item in found if isinstance(item, FrameTracks)]
    assert len(frames) == pytest.approx(4.5 * 15, abs=1)
    for frame in frames:
        (label,) = [one.label for one in labels if one.start_ns <= frame.stamp_ns < one.end_ns]
        assert frame.faces[0].crop.mean() == pytest.approx(LEVELS[label], abs=6)
    columns = sum(len(item.power_db) for item in found if isinstance(item, SpectrogramChunk))
    assert columns == pytest.approx(450, abs=8)


def test_points_of_the_utterances_move_the_faces(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their mouths are open as far as in the file, frame by frame, at any size."""
    opens = {"01": 0.0, "04": 20.0, "05": 40.0}
    clips = {
        f"02-01-{kind}-01-01-01-02": 2.0 * sequence(75, opens=height)
        for kind, height in opens.items()
    }
    file = write_sequences(tmp_path / "points.npz", clips)
    out = tmp_path / "out"
    words = ("--root", root, "--out", out, "--landmarks", file)
    assert streams(*words) == ERROR
    assert "has no clip for" in (shown := capsys.readouterr().err)
    assert "Actor_03" in shown or "-03" in shown
    assert streams(*words, "--people", "2", "--faces", "none") == ERROR
    assert "--faces" in capsys.readouterr().err
    assert streams(*words, "--people", "2") == 0
    labels = read_labels(find_labels(out / "ravdess-02"), START_NS).segments
    with Recording(out / "ravdess-02") as recording:
        found = [item for _, item in recording.items(recording.kinds)]
    frames = [item for item in found if isinstance(item, FrameTracks)]
    kinds = {"neutral": "01", "sad": "04", "angry": "05"}
    for one in labels:
        wanted = clips[f"02-01-{kinds[one.label]}-01-01-01-02"]
        theirs = [item for item in frames if one.start_ns <= item.stamp_ns < one.end_ns]
        for frame in theirs[:: max(1, len(theirs) // 5)]:
            # Half a millisecond before, so that rounding does not decide which is the newest.
            passed_s = (frame.stamp_ns - one.start_ns) / NS_PER_S - 0.0005
            newest = max(0, int(passed_s * 30))
            now = normalise_points(wanted[newest][None])[0, : 2 * POINTS]
            face = frame.faces[0]
            assert face.landmarks is not None
            pixels = face.landmarks[:, :2] * (frame.width, frame.height)
            seen = normalise_points(points_of_mesh(pixels[None]))[0, : 2 * POINTS]
            assert np.abs(seen - now).max() < 0.002
            lips = now.reshape(POINTS, 2)
            gap = float(np.hypot(*(lips[66] - lips[62])))
            assert face.mouth_opening == pytest.approx(gap, abs=0.02)


def test_finished_streams_are_kept_and_unfinished_ones_made_again(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    words = ("--root", root, "--out", out, "--faces", "none", "--people", "2")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for more in ((), ("--force", "--seed", "5", "--limit", "1")):
        with monkeypatch.context() as change:
            change.setattr(bag_streams, "write_stream", interrupted)
            assert streams(*words, *more) == INTERRUPTED
        # The labels are never those of another stream.
        assert not (out / "ravdess-02").exists()
        (out / "ravdess-02.labels.csv").unlink()
        assert streams(*words) == 0
        assert "1 streams made" in capsys.readouterr().err
    # As a run leaves it that is killed while it writes.
    (out / "ravdess-02").rename(out / "ravdess-02.partial")
    assert streams(*words) == 0
    assert "1 streams made" in capsys.readouterr().err
    assert not (out / "ravdess-02.partial").exists()
    text = (out / "ravdess-02.labels.csv").read_text()
    assert streams(*words) == 0
    assert "0 streams made" in (shown := capsys.readouterr().err)
    assert "1 already existed" in shown
    assert (out / "ravdess-02.labels.csv").read_text() == text


def test_what_is_there_is_replaced_with_force_only(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    words = ("--root", root, "--out", out, "--faces", "none", "--people", "2")
    mine = out / "ravdess-02.labels.csv"
    mine.write_text("my own labels")
    assert streams(*words) == ERROR
    assert "other content; --force" in capsys.readouterr().err
    assert mine.read_text() == "my own labels"
    assert streams(*words, "--force") == 0
    mine.unlink()
    assert streams(*words) == ERROR
    assert "has no labels beside it" in capsys.readouterr().err


def test_parts_of_files_are_cut_out_and_names_stay_in_the_folder(
    root: Path, tmp_path: Path
) -> None:
    voice = next(root.rglob("03-01-05-*-02.wav"))  # 2 s
    table = tmp_path / "clips.csv"
    rows = [f"{voice},happy,../../x y,0,0.5", f"{voice},sad,../../x y,0.5,1.5"]
    table.write_text("\n".join(["file,label,subject,start_s,end_s", *rows]) + "\n")
    out = tmp_path / "deep" / "out"
    given = ("--dataset", "clips", "--root", f"clips={table}", "--faces", "none", "--out", out)
    assert streams(*given) == 0
    (bag,) = (path for path in out.iterdir() if path.is_dir())
    assert bag.name == "clips-.._.._x_y"
    labels = read_labels(find_labels(bag), START_NS).segments
    lengths = {one.label: (one.end_ns - one.start_ns) / NS_PER_S for one in labels}
    assert lengths == {
        "happy": pytest.approx(0.5, abs=0.02),
        "sad": pytest.approx(1.0, abs=0.02),
    }
    with Recording(bag) as recording:
        chunks = [item for _, item in recording.items(recording.kinds)]
    assert isinstance(chunks[-1], SpectrogramChunk)
    # A column's stamp is the end of its window, and the last one ends with the sound.
    assert chunks[-1].end_ns == pytest.approx(START_NS + 1.5 * NS_PER_S, abs=15_000_000)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--part", "4/4"), "K/N"),
        (("--part", "²/4"), "K/N"),
        (("--limit", "0"), "--limit"),
        (("--people", "77"), "77"),
        (("--faces", "train"), "no face"),
    ],
)
def test_what_cannot_be_used_is_named(
    root: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert streams("--root", root, "--out", tmp_path / "out", *words) == ERROR
    assert expected in capsys.readouterr().err


def test_two_people_never_share_a_bag(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = next(root.rglob("03-01-05-*-02.wav"))
    table = tmp_path / "clips.csv"
    other = voice.with_name("03-01-05-01-01-01-99.wav")
    other.write_bytes(voice.read_bytes())
    table.write_text(f"file,label,subject\n{voice},happy,a b\n{other},happy,a/b\n")
    out = tmp_path / "out"
    given = ("--dataset", "clips", "--root", f"clips={table}", "--faces", "none", "--out", out)
    assert streams(*given) == ERROR
    assert "would share names" in capsys.readouterr().err
    assert not out.exists()
