"""avemo bag from-clips: clips of a table as labelled bags."""

from __future__ import annotations

from pathlib import Path

import clip_bags
import numpy as np
import pytest

from avemo_ros.annotations.label_files import find_labels, read_labels
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.from_clips import START_NS, Clip, ClipBag, Extent
from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.cli.main import ERROR, INTERRUPTED, main
from avemo_ros.config import PipelineConfig
from avemo_ros.data.clips import names_of
from avemo_ros.data.dataset import Item
from avemo_ros.errors import SourceError
from avemo_ros.source.media_file import MediaFile
from avemo_ros.timing import NS_PER_S

SAMPLE = clip_bags.SAMPLE


def table(folder: Path, *rows: str) -> Path:
    """A table of pieces of the sample: label, subject, start_s, end_s."""
    path = folder / "clips.csv"
    lines = [f"{SAMPLE},{row}" for row in rows]
    path.write_text("\n".join(["file,label,subject,start_s,end_s", *lines]) + "\n")
    return path


def from_clips(*words: object) -> int:
    return main(["bag", "from-clips", *map(str, words)])


def bags(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def test_a_bag_holds_what_a_camera_and_a_microphone_would_have_published(
    tmp_path: Path,
) -> None:
    path = clip_bags.sample_bag(tmp_path / "bag", seconds=1.0)
    with MediaFile(SAMPLE) as media:
        given = [item for item in media if item.stamp_ns < NS_PER_S]
    with Recording(path) as recording:
        found = list(recording.items(recording.kinds))
    images = [(log, item) for log, item in found if isinstance(item, BagImage)]
    sound = [(log, item) for log, item in found if isinstance(item, AudioBlock)]
    assert len(images) + len(sound) == len(given)
    assert [log for log, _ in found] == sorted(log for log, _ in found)
    blocks = [item for item in given if isinstance(item, AudioBlock)]
    frames = [item for item in given if not isinstance(item, AudioBlock)]
    for (log_ns, image), frame in zip(images, frames, strict=True):
        assert log_ns == image.stamp_ns == START_NS + frame.stamp_ns
        assert np.array_equal(image.image, frame.image)
    for (log_ns, heard), block in zip(sound, blocks, strict=True):
        assert heard.stamp_ns == START_NS + block.stamp_ns
        assert log_ns == heard.stamp_ns + len(block.samples) * NS_PER_S // block.rate
        assert np.abs(heard.samples - block.samples).max() <= 1 / 32768


def test_every_clip_of_a_table_becomes_a_bag_with_its_label(tmp_path: Path) -> None:
    clips = table(tmp_path, "joy,ann,2.1,2.6", "surprise,ann,5.1,5.9", "calm,ann,0,0.5")
    assert from_clips("--csv", clips, "--out", tmp_path / "out") == 0
    made = bags(tmp_path / "out")
    assert len(made) == 3
    told = {}
    for bag in made:
        labels = find_labels(bag)
        assert labels is not None
        with Recording(bag) as recording:
            (segment,) = read_labels(labels, recording.start_ns).segments
            assert segment.person == "clips-ann"
            told[segment.label] = (segment.end_ns - segment.start_ns) / NS_PER_S
            assert segment.start_ns == recording.start_ns
    assert told == pytest.approx({"happy": 0.5, "surprise": 0.8, "neutral": 0.5}, abs=0.04)


def test_an_interrupted_run_goes_on_and_keeps_what_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = table(tmp_path, "joy,ann,2.1,2.4", "fear,ann,5.1,5.4")
    out = tmp_path / "out"
    assert from_clips("--csv", clips, "--out", out, "--limit", 1) == 0
    (first,) = bags(out)
    inside = (first / f"{first.name}_0.mcap").stat()
    # What a run leaves that is killed while it writes the second.
    left = clip_bags.sample_bag(tmp_path / "left", seconds=0.2)
    left.rename(out / f"{first.name.replace('2.1', '5.1')}.partial")
    capsys.readouterr()
    assert from_clips("--csv", clips, "--out", out) == 0
    assert "1 bag made" in capsys.readouterr().err
    assert len(bags(out)) == 2
    assert (first / f"{first.name}_0.mcap").stat().st_mtime_ns == inside.st_mtime_ns


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "1 of 2 bags are in OUT; the same command continues"),
        (("--force",), "1 of 2 bags are in OUT; the same command without --force continues"),
    ],
)
def test_who_interrupts_is_told_how_to_go_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    clips = table(tmp_path, "joy,ann,2.1,2.4", "fear,ann,5.1,5.4")
    fill = ClipBag.fill

    def interrupted(bag: ClipBag, clip: Clip) -> Extent:
        if clip.start_s > 3.0:
            raise KeyboardInterrupt
        return fill(bag, clip)

    monkeypatch.setattr(ClipBag, "fill", interrupted)
    out = tmp_path / "out"
    assert from_clips("--csv", clips, "--out", out, *words) == INTERRUPTED
    assert said.replace("OUT", str(out)) in capsys.readouterr().err
    monkeypatch.undo()
    assert from_clips("--csv", clips, "--out", out) == 0
    assert "1 bag made" in capsys.readouterr().err


def test_a_clip_that_is_shorter_than_its_row_says_is_made_and_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The sample lasts 10 s; the end of the first row is merely rounded up.
    rows = ("joy,ann,9.6,10.4", "fear,ann,9.5,15")
    assert from_clips("--csv", table(tmp_path, *rows), "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert "2 bags made" in said
    (note,) = [line for line in said.splitlines() if "before its end_s" in line]
    assert "@9.5: ends at 10.0 s, before its end_s 15" in note


def test_force_makes_bags_anew_and_the_same(tmp_path: Path) -> None:
    clips = table(tmp_path, "joy,ann,2.1,2.4")
    words = ("--csv", clips, "--out", tmp_path / "out")
    assert from_clips(*words) == 0
    (bag,) = bags(tmp_path / "out")
    content = {path.name: path.read_bytes() for path in bag.iterdir()}
    assert from_clips(*words, "--force") == 0
    assert {path.name: path.read_bytes() for path in bag.iterdir()} == content


def test_features_take_the_place_of_images_and_sound(tmp_path: Path) -> None:
    path = clip_bags.sample_bag(tmp_path / "bag", 1.0, 2.1, features=PipelineConfig())
    with Recording(path) as recording:
        assert recording.kinds == {TopicKind.TRACKS, TopicKind.SPECTROGRAM}
        tracks = [item for _, item in recording.items(frozenset({TopicKind.TRACKS}))]
        chunks = [item for _, item in recording.items(frozenset({TopicKind.SPECTROGRAM}))]
    assert len(tracks) == 30
    assert sum(len(one.faces) for one in tracks) >= 28
    assert 0.8 < sum(len(chunk.speech) for chunk in chunks) / 100 <= 1.0


def test_images_are_fitted_into_a_size_with_black_borders(tmp_path: Path) -> None:
    path = clip_bags.sample_bag(tmp_path / "bag", 0.1, size=(320, 320))
    with Recording(path) as recording:
        image = next(item.image for _, item in recording.items(frozenset({TopicKind.IMAGES})))
    assert image.shape == (320, 320, 3)
    assert not image[:40].any()
    assert not image[280:].any()
    assert image[40:280].mean() > 20


def test_clips_that_cannot_be_read_are_named_and_the_rest_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no media at all" * 1000)
    clips = tmp_path / "clips.csv"
    clips.write_text(
        "file,label,subject,start_s,end_s\n"
        f"{broken},joy,ann,,\n{SAMPLE},joy,ann,100,101\n{SAMPLE},joy,ann,,\n"
        "gone.mp4,joy,ann,,\n"
    )
    assert from_clips("--csv", clips, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "1 bag made" in said
    assert "broken.mp4: left out" in said
    assert "gone.mp4: left out" in said
    assert "has neither images nor audio to use" in said
    assert [bag.name.endswith("sample") for bag in bags(tmp_path / "out")] == [True]


def test_a_part_without_anything_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has neither images nor audio to use"):
        clip_bags.clip_bag(tmp_path / "bag", Clip(SAMPLE, 100.0, 101.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dataset", "ravdess"), "'--root' is None; allowed: the folder of ravdess"),
        (("--csv", "/none.csv"), "/none.csv is not there"),
        (("--csv", "CLIPS", "--limit", 0), "'--limit' is 0; allowed: 1 or more"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], said: str
) -> None:
    given = [table(tmp_path, "joy,a,0,1") if word == "CLIPS" else word for word in words]
    assert from_clips(*given, "--out", tmp_path / "out") == ERROR
    assert said in capsys.readouterr().err


# --- names


def clip(key: str, start_s: float | None = None, dataset: str = "clips") -> Item:
    return Item(dataset, key, Path(key.split("@")[0]), "happy", "clips-ann", start_s=start_s)


def test_names_are_as_short_as_tells_the_clips_apart() -> None:
    keys = ["/far/away/talk.mp4", "/far/away/day1/hello.mp4", "/far/away/day2/Hello.mp4",
            "../x y/one.wav", "../x y/one.mp4", "two.mp4"]  # fmt: skip
    assert names_of([clip(key) for key in keys]) == [
        "talk", "day1_hello", "day2_Hello", "x_y_one_wav", "x_y_one_mp4", "two",
    ]  # fmt: skip
    pieces = [clip("/far/talk.mp4@0", 0.0), clip("/far/talk.mp4@2.1", 2.1)]
    assert names_of(pieces) == ["talk_0", "talk_2.1"]
    assert names_of([clip("a.b/c.mp4"), clip("a_b/c.mp4")]) == ["a.b_c", "a_b_c"]
    assert names_of([clip("a b.mp4"), clip("a_b.mp4")]) == ["a_b_mp4", "a_b_mp4_2"]
    # What a loader calls a clip is no path of somebody's machine.
    assert names_of([clip("train/Happy/07", dataset="afew")]) == ["train_Happy_07"]


def made_of(folder: Path, out: Path, *files: str) -> tuple[int, list[str]]:
    """Bags of copies of a short clip; the exit status, and the names that are there then."""
    clips = folder / "clips.csv"
    lines = [f"{file},joy,ann,2.1,2.3" for file in files]
    clips.write_text("\n".join(["file,label,subject,start_s,end_s", *lines]) + "\n")
    for file in files:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.symlink_to(SAMPLE)
    return from_clips("--csv", clips, "--out", out), [path.name for path in bags(out)]


def test_a_clip_that_came_later_leaves_the_bags_that_are_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert made_of(tmp_path, out, "a/talk.mp4") == (0, ["talk_2.1"])
    before = (out / "talk_2.1" / "metadata.yaml").stat().st_mtime_ns
    # Both have the same stem now; the first keeps its bag, and gets no second one.
    again = made_of(tmp_path, out, "a/talk.mp4", "b/talk.mp4")
    assert again == (0, ["b_talk_2.1", "talk_2.1"])
    assert (out / "talk_2.1" / "metadata.yaml").stat().st_mtime_ns == before


def test_a_bag_of_another_clip_is_not_taken_for_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert made_of(tmp_path, out, "a/talk.mp4")[0] == 0
    before = (out / "talk_2.1" / "metadata.yaml").read_text()
    assert made_of(tmp_path, out, "b/talk.mp4") == (2, ["talk_2.1"])
    assert "talk_2.1 already exists and was not made from" in capsys.readouterr().err
    assert (out / "talk_2.1" / "metadata.yaml").read_text() == before
    clips = tmp_path / "clips.csv"
    assert from_clips("--csv", clips, "--out", out, "--force") == 0
    assert (out / "talk_2.1" / "metadata.yaml").read_text() != before


def test_bags_of_an_earlier_version_are_kept_under_their_longer_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (tmp_path / "a").mkdir()
    # It named them after the whole path, and did not note of which clip they are.
    clip_bags.sample_bag(out / "a_talk_2.1", 0.2, 2.1)
    clip_bags.sample_bag(out / "hello_2.1", 0.2, 2.1)
    assert made_of(tmp_path, out, "a/talk.mp4") == (0, ["a_talk_2.1", "hello_2.1"])
    said = capsys.readouterr().err
    assert "0 bags made" in said
    assert "1 already existed (--force overwrites them); there is nothing new" in said
    # This one has the name by chance: it was of a clip that lay beside the table.
    assert made_of(tmp_path, out, "b/hello.mp4")[0] == 2


def test_names_do_not_depend_on_the_limit(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made_of(tmp_path, tmp_path / "all", "a/talk.mp4", "b/talk.mp4")
    assert from_clips("--csv", tmp_path / "clips.csv", "--out", out, "--limit", 1) == 0
    assert [path.name for path in bags(out)] == ["a_talk_2.1"]


def test_a_folder_that_is_no_bag_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "out" / "talk_2.1").mkdir(parents=True)
    assert made_of(tmp_path, tmp_path / "out", "talk.mp4")[0] == 2
