"""`avemo predict` on whole files: outputs, exit statuses, messages, interruptions."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_bags import sample_bag
from made_clips import SAMPLE, cut
from made_evaluations import states_bag

from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.cli.main import main
from avemo_ros.cli.predict import _KeptImage
from avemo_ros.config import PipelineConfig
from avemo_ros.labels import EMOTIONS
from avemo_ros.pipeline import Pipeline
from avemo_ros.replay.runner import replay
from avemo_ros.source.media_file import ORIGIN_NS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample from 2 s to 4.2 s, at 10 images a second: who smiles and speaks."""
    return cut(tmp_path_factory.mktemp("clip") / "short.mp4", 2.0, 4.2)


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(tmp_path_factory.mktemp("clip") / "silent.mp4", 2.0, 4.2, sound=False)


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "faceless.mp4"
    return cut(path, 2.0, 4.2, sound=False, faces=False)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound only: the sample's first sentence as a WAV file."""
    path = tmp_path_factory.mktemp("clip") / "voice.wav"
    with av.open(str(SAMPLE)) as file:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    part = sound[2 * 48_000 : 5 * 48_000]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((part * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_bag_is_read_as_its_clip_is(run: Run, tmp_path: Path, short: Path) -> None:
    bag, video = sample_bag(tmp_path / "bag", 2.2, start_s=2.0), tmp_path / "o.mp4"
    status, out, said = run("predict", bag, "--video", video)
    assert (status, said.count("wrote")) == (0, 1)
    said_of = [json.loads(line) for line in out.splitlines()]
    assert said_of[0]["t"] == pytest.approx(0.1, abs=0.05)
    assert {one["face_id"] for one in said_of} == {"f0001"}
    of_clip = read(run("predict", short)[1])
    assert said_of[-1]["label"] == of_clip[-1]["label"] != "unknown"
    assert {one["label"] for one in said_of} >= {"happy"}
    with av.open(str(video)) as made:
        assert sum(1 for _ in made.decode(video=0)) == pytest.approx(66, abs=2)


def test_a_plain_video_shows_the_time_and_no_claim(run: Run, tmp_path: Path) -> None:
    bag, video = sample_bag(tmp_path / "bag", 2.2, start_s=2.0), tmp_path / "o.mp4"
    assert run("predict", bag, "--video", video, "--plain", "--json", tmp_path / "o")[0] == 0
    with Recording(bag) as recording, av.open(str(video)) as made:
        items = (item for _, item in recording.items(frozenset({TopicKind.IMAGES})))
        before = [item.image for item in items if isinstance(item, BagImage)]
        after = [frame.to_ndarray(format="bgr24") for frame in made.decode(video=0)]
    assert len(after) == len(before)
    changed = np.abs(after[-1].astype(int) - before[-1]).mean(axis=2)
    height, width = changed.shape
    corner = changed[: height // 10, : width // 5]
    rest = changed[height // 5 :]
    assert corner.mean() > 5 * rest.mean()
    # No box around the face: its edge would be 100 levels off the image.
    assert np.percentile(rest, 99.9) < 40


def test_a_bag_of_features_is_predicted_as_it_is_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = sample_bag(tmp_path / "features", 2.5, start_s=2.0, features=PipelineConfig())
    assert main(["predict", str(bag), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert "no sound" not in err
    assert "no face was found" not in err
    steps = replay(bag, PipelineConfig(), processes=1).steps
    told = [one for step in steps for one in step.estimates or (step.attended,)]
    assert [line["label"] for line in lines] == [one.label for one in told]
    assert [line["confidence"] for line in lines] == pytest.approx(
        [one.confidence for one in told], abs=1e-6
    )
    assert any(line["label"] in EMOTIONS for line in lines)


def test_a_terminal_gets_a_table_unless_lines_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = cut(tmp_path / "clip.mp4", 2.0, 4.5)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["predict", str(clip)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["who", "from", "to", "label", "confidence", "why", "none"]
    assert rows[0].split()[:5] == ["f0001", "0.0", "s", rows[0].split()[3], "s"]
    assert any("warming up" in row for row in rows)
    assert any(row.split()[5] in EMOTIONS and row.endswith("%") for row in rows)
    assert main(["predict", str(clip), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["status"] == "WARMING_UP"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("{states}",), "no images, no audio and no features of them"),
        (("{empty}",), "not a file"),
        (("{short}", "--plain"), "--plain"),
    ],
)
def test_a_bag_that_cannot_be_looked_at_is_told(
    run: Run, tmp_path: Path, short: Path, words: tuple[str, ...], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "states": states_bag(tmp_path / "states", 1.0),
        "empty": tmp_path / "empty",
        "short": short,
    }
    status, _, said = run("predict", *(word.format(**places) for word in words))
    assert status == 2
    assert told in said


def test_lines_go_to_standard_output_and_nothing_else_does(run: Run, short: Path) -> None:
    status, out, err = run("predict", short)
    assert status == 0
    lines = read(out)
    times = [line["t"] for line in lines if line["attended"]]
    assert times == pytest.approx([0.1 * (i + 1) for i in range(len(times))], abs=0.05)
    assert times[-1] > 1.9
    claimed = [line for line in lines if line["probabilities"] and line["face_id"]]
    assert claimed
    assert all(tuple(line["probabilities"]) == EMOTIONS for line in claimed)
    assert {line["face_id"] for line in claimed} == {claimed[0]["face_id"]}
    assert "times real time" in err


def test_all_outputs_are_written_at_once(run: Run, short: Path, tmp_path: Path) -> None:
    lines, video, page = (tmp_path / name for name in ("o.jsonl", "o.mp4", "o.html"))
    status, out, err = run(
        "predict", short, "--json", lines, "--video", video, "--report", page,
        "--set", "emotion.hop_s=0.2",
    )  # fmt: skip
    assert (status, out) == (0, "")
    for path in (lines, video, page):
        assert f"wrote {path}" in err
    assert [line["t"] for line in read(lines.read_text())][:3] == pytest.approx([0.2, 0.4, 0.6])
    with av.open(str(short)) as given, av.open(str(video)) as made:
        before = [frame.to_ndarray(format="bgr24") for frame in given.decode(video=0)]
        after = [frame.to_ndarray(format="bgr24") for frame in made.decode(video=0)]
        assert made.streams.audio
    assert len(after) == len(before)
    assert np.abs(after[-1].astype(int) - before[-1]).max() > 100
    assert "short.mp4" in page.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.html", "o.jsonl", "o.mp4"]


def test_the_same_file_gives_the_same_lines(run: Run, short: Path) -> None:
    assert run("predict", short, "--quiet")[1] == run("predict", short, "--quiet")[1]


def test_quiet_says_nothing_when_all_is_well(run: Run, short: Path, tmp_path: Path) -> None:
    assert run("predict", short, "--quiet", "--json", tmp_path / "o") == (0, "", "")


def test_a_file_without_sound_is_read_and_said(run: Run, silent: Path) -> None:
    status, out, err = run("predict", silent)
    assert status == 0
    assert "no sound" in err
    assert {line["voice_share"] for line in read(out)} == {0.0}


def test_a_file_without_images_is_read_and_said(run: Run, voice: Path) -> None:
    status, out, err = run("predict", voice)
    assert status == 0
    assert "no images" in err
    claimed = [line for line in read(out) if line["probabilities"]]
    assert {(line["face_id"], line["voice_share"]) for line in claimed} == {("", 1.0)}


def test_a_file_without_a_face_ends_with_status_1(run: Run, faceless: Path) -> None:
    status, out, err = run("predict", faceless)
    assert status == 1
    assert "no face was found" in err
    lines = read(out)
    assert lines
    assert {line["label"] for line in lines} == {"unknown"}
    assert lines[-1]["status"] == "NOBODY"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none.mp4"], "does not exist"),
        (["{tmp}"], "not a file"),
        (["{tmp}/text.mp4"], "text.mp4"),
        (["{short}", "--json", "{tmp}/none/o.jsonl"], "no folder"),
        (["{short}", "--json", "{tmp}"], "folder"),
        (["{short}", "--video", "{short}"], "input"),
        (["{short}", "--json", "{tmp}/a", "--report", "{tmp}/a"], "given twice"),
        (["{short}", "--video", "{tmp}/o.avi"], ".mp4"),
        (["{voice}", "--video", "{tmp}/o.mp4"], "no images"),
        (["{short}", "--set", "emotion.hop=1"], "emotion.hop"),
        (["{short}", "--set", "emotion.hop_s=nine"], "emotion.hop_s"),
        (["{short}", "--config", "{tmp}/none.yaml"], "none.yaml"),
        (["{short}", "--model", "nobody-9"], "nobody-9"),
        (["{short}", "--model", "{tmp}/none.safetensors"], "none.safetensors"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(
    run: Run, short: Path, voice: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "text.mp4").write_text("no media\n" * 100)
    before = sorted(tmp_path.iterdir())
    given = [text.format(tmp=tmp_path, short=short, voice=voice) for text in arguments]
    status, out, err = run("predict", *given)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("avemo: error: ")
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_interruption_keeps_what_was_made(
    run: Run, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Pipeline.push

    def interrupted(self: Pipeline, arrival_ns: int, item: Any) -> Any:
        if arrival_ns > ORIGIN_NS + 1_500_000_000:
            raise KeyboardInterrupt
        return taken(self, arrival_ns, item)

    monkeypatch.setattr(Pipeline, "push", interrupted)
    names = ("o.jsonl", "o.mp4", "o.html")
    options = zip(
        ("--json", "--video", "--report"), (tmp_path / name for name in names), strict=True
    )
    status, _, err = run("predict", short, *(part for pair in options for part in pair))
    assert status == 130
    assert "interrupted" in err
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["o.partial.html", "o.partial.jsonl", "o.partial.mp4"]
    assert len(read((tmp_path / "o.partial.jsonl").read_text())) >= 10
    with av.open(str(tmp_path / "o.partial.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) >= 10


def test_the_parameter_file_reaches_the_engine(run: Run, short: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("/**:\n  ros__parameters:\n    emotion:\n      hop_s: 0.5\n")
    status, out, _ = run("predict", short, "--config", path)
    assert status == 0
    # At an image, which may come a quarter of a step early.
    assert [line["t"] for line in read(out)][:3] == pytest.approx([0.5, 1.0, 1.5], abs=0.13)


@pytest.mark.parametrize("packed", [False, True])
def test_an_image_that_waits_to_be_drawn_is_as_it_was_and_small_where_it_is_packed(
    packed: bool,
) -> None:
    image = np.zeros((270, 480, 3), np.uint8)
    image[:, 240:] = (10, 120, 230)
    kept = _KeptImage(image, packed=packed)
    assert np.abs(kept.image().astype(int) - image).mean() < 1.0
    assert (kept.size < image.nbytes / 10) == packed
