"""Labelled bags are a data set: each labelled stretch of a person is an item."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_bags as made
from tiny_bags import MS, START

from avemo_ros.bag.from_clips import Clip, ClipBag, ClipFormat
from avemo_ros.cli.main import main
from avemo_ros.config import PipelineConfig, VisionConfig
from avemo_ros.data.bags import OTHERS
from avemo_ros.data.features import PrepareConfig
from avemo_ros.data.prepare import prepare
from avemo_ros.data.registry import DATASETS, list_items
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS

S = 10**9
HEAD = "person,start,end,label"


def labelled(folder: Path, name: str, rows: list[made.Row], *labels: str) -> Path:
    bag = made.write(folder / name, rows)
    (folder / f"{name}.labels.csv").write_text("\n".join((HEAD, *labels)) + "\n")
    return bag


def said(folder: Path) -> str:
    return "\n".join(problem.what for problem in list_items("bags", folder).problems)


def test_every_labelled_segment_is_an_item_of_its_person(tmp_path: Path) -> None:
    labelled(tmp_path, "a", made.session(3.0), "anna,0.5,1,happy", "anna,1,2.5,surprised")
    labelled(tmp_path, "b", made.session(1.0), "ravdess-01,0,1,sad")
    labelled(tmp_path, "c", made.session(1.0), ",0,0.5,angry")
    listing = list_items("bags", tmp_path)
    found = [(item.key, item.label, item.subject, item.start_s) for item in listing.items]
    assert found[:2] == [
        ("a@0.500 anna", "happy", "bags-anna", 0.5),
        ("a@1.000 anna", "surprise", "bags-anna", 1.0),
    ]
    assert {subject for _, _, subject, _ in found[2:]} == {"ravdess-01", "bags-c"}
    assert listing.items[0].end_s == 1.0
    assert all(item.has_face for item in listing.items)


def test_subjects_of_every_other_data_set_keep_their_names() -> None:
    assert {*OTHERS, "bags"} == set(DATASETS)


def test_a_bag_may_lie_anywhere_and_in_several_files(tmp_path: Path) -> None:
    labelled(tmp_path / "monday" / "morning", "a", made.session(1.0), "anna,0,1,happy")
    path = made.write_mcap(tmp_path / "b.mcap", made.session(1.0))
    (tmp_path / "b.labels.csv").write_text(f"{HEAD}\nbob,0,1,sad\n")
    keys = [item.key for item in list_items("bags", tmp_path).items]
    assert keys == ["b.mcap@0.000 bob", "monday/morning/a@0.000 anna"]
    assert [item.label for item in list_items("bags", path).items] == ["sad"]
    folder = tmp_path / "monday" / "morning" / "a"
    assert [item.label for item in list_items("bags", folder).items] == ["happy"]


def test_labels_may_be_a_topic(tmp_path: Path) -> None:
    rows = [
        *made.session(2.0),
        made.text('{"person": "anna", "label": "fear"}', START + 500 * MS),
    ]
    made.write(tmp_path / "a", rows)
    (item,) = list_items("bags", tmp_path).items
    assert (item.label, item.subject, item.start_s) == ("fear", "bags-anna", 0.5)
    assert item.end_s == pytest.approx(2.0)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    labelled(tmp_path, "good", made.session(1.0), "anna,0,1,happy", "anna,50,60,sad")
    made.write(tmp_path / "bare", made.session(1.0))
    labelled(tmp_path, "wrong", made.session(1.0), "anna,0,1,furios")
    labelled(tmp_path, "other", [made.text("hello", START, "/chatter")], "anna,0,1,happy")
    text = said(tmp_path)
    for part in ("1 label(s) are outside the bag's time", "no labels next to", "'furios'",
                 "contains nothing that can be used"):  # fmt: skip
        assert part in text
    assert len(list_items("bags", tmp_path).items) == 1


def test_the_labels_of_a_bag_that_cannot_be_read_are_lost_and_not_forgotten(
    tmp_path: Path,
) -> None:
    labelled(tmp_path, "a", made.session(1.0), "anna,0,1,happy")
    labelled(tmp_path, "b", made.session(1.0), "bob,0,0.5,sad", "bob,0.5,1,happy")
    before = list_items("bags", tmp_path)
    (tmp_path / "b" / "b.mcap").write_bytes(b"")
    after = list_items("bags", tmp_path)
    assert [item.key for item in after.items] == ["a@0.000 anna"]
    assert after.lost == before.items[1:]


def test_a_bag_that_was_cut_off_is_used_and_that_is_said(tmp_path: Path) -> None:
    labelled(tmp_path, "a", made.session(4.0), "anna,0,1,happy")
    file = tmp_path / "a" / "a.mcap"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    listing = list_items("bags", tmp_path)
    assert len(listing.items) == 1
    assert "cut off" in said(tmp_path)
    assert not any(problem.left_out for problem in listing.problems)


def test_of_several_people_at_once_nobody_is_mistaken_for_another(tmp_path: Path) -> None:
    bag = labelled(tmp_path, "a", made.session(2.0))
    (tmp_path / "a.labels.csv").unlink()
    (tmp_path / "a.labels.csv").write_text(
        "person,start,end,label,x,y,width,height\n"
        "anna,0,1,happy,0.1,0.1,0.3,0.3\n"
        "bob,0.5,1.5,sad,,,,\n"
        "bob,1.5,2,angry,,,,\n"
    )
    assert bag.is_dir()
    items = {item.key: item for item in list_items("bags", tmp_path).items}
    assert set(items) == {"a@0.000 anna", "a@1.500 bob"}
    assert items["a@0.000 anna"].box is not None
    assert (items["a@0.000 anna"].has_face, items["a@0.000 anna"].has_voice) == (True, False)
    assert (items["a@1.500 bob"].has_face, items["a@1.500 bob"].has_voice) == (True, True)
    assert "which face (give a box, or ids) belongs to whom" in said(tmp_path)


# --- features


def two_faces(seconds: float = 2.0) -> list[made.Row]:
    """The second one is seen half as often; nobody is where the third box is."""
    rows = [made.chunk(START + i * 100 * MS) for i in range(round(10 * seconds))]
    for number in range(round(25 * seconds)):
        row = made.tracks(START + number * 40 * MS, "f0001", x=0.0, side=96)
        if number % 2:
            other = made.tracks(START + number * 40 * MS, "f0002", x=0.7, side=96)
            row.message.faces.append(other.message.faces[0])
        rows.append(row)
    return rows


@pytest.mark.parametrize(
    ("labels", "crops"),
    [
        (f"{HEAD}\nanna,0,2,happy\n", 50),
        (f"{HEAD},x,y,width,height\nanna,0,2,happy,0.65,0.2,0.3,0.6\n", 25),
        (f"{HEAD},x,y,width,height\nanna,0,2,happy,0.4,0.8,0.1,0.1\n", 0),
    ],
    ids=["seen most", "where the box is", "nobody there"],
)
def test_of_two_recorded_faces_the_one_that_is_meant_is_used(
    tmp_path: Path, labels: str, crops: int
) -> None:
    made.write(tmp_path / "a", two_faces())
    (tmp_path / "a.labels.csv").write_text(labels)
    corpus, report = prepare(list_items("bags", tmp_path).items, progress=False)
    faces = corpus.features[0].faces
    assert (0 if faces is None else len(faces)) == crops
    if not crops:
        assert "none with the box" in report.of_kind("no face")[0].finding.reason


@pytest.mark.parametrize(("ids", "crops"), [("f0002", 25), ("f0009", 0)])
def test_ids_of_recorded_faces_tell_whose_they_are(
    tmp_path: Path, ids: str, crops: int
) -> None:
    made.write(tmp_path / "a", two_faces())
    (tmp_path / "a.labels.yaml").write_text(
        f"people: {{anna: [{ids}]}}\n"
        "segments: [{person: anna, start: 0, end: 2, label: happy}]\n"
    )
    (item,) = list_items("bags", tmp_path).items
    assert item.ids == (ids,)
    faces = prepare([item], progress=False)[0].features[0].faces
    assert (0 if faces is None else len(faces)) == crops


def test_recorded_columns_are_cut_to_the_segment_and_gaps_are_silent(tmp_path: Path) -> None:
    rows = [made.chunk(START + i * 100 * MS) for i in range(40) if i not in (20, 21)]
    labelled(tmp_path, "a", rows, "anna,1,3,happy")
    corpus, _ = prepare(list_items("bags", tmp_path).items, progress=False)
    spectrogram = corpus.features[0].spectrogram
    assert spectrogram is not None
    assert corpus.features[0].faces is None
    assert len(spectrogram) == 197  # windows of 40 ms within 2 s
    silent = np.all(spectrogram == -100.0, axis=1)
    assert np.flatnonzero(silent).tolist() == list(range(96, 116))


def test_crops_of_another_size_are_refused_with_the_setting_that_takes_them(
    tmp_path: Path,
) -> None:
    labelled(tmp_path, "a", [made.tracks(START + i * 40 * MS) for i in range(25)], "a,0,1,sad")
    items = list_items("bags", tmp_path).items
    corpus, report = prepare(items, progress=False)
    assert corpus.features[0].faces is None
    assert "16 pixels per side, but vision.crop_size is 96" in (
        report.of_kind("no face")[0].finding.reason
    )


# --- images and sound through the live path


@pytest.fixture(scope="module")
def sample() -> Path:
    return Path(__file__).parent / "data" / "sample.mp4"


def test_a_clip_its_raw_bag_and_its_feature_bag_give_the_same(
    tmp_path: Path, sample: Path
) -> None:
    """The bag of features even through another process's analysis; crops to the bit."""
    (tmp_path / "clips.csv").write_text(
        f"file,label,subject,start_s,end_s\n{sample},happy,anna,5,7\n"
    )
    forms = {"raw": ClipFormat(), "features": ClipFormat(features=PipelineConfig())}
    for name, form in forms.items():
        (tmp_path / name).mkdir()
        with ClipBag(tmp_path / name / "a", form) as bag:
            bag.fill(Clip(sample, 5.0, 7.0))
        (tmp_path / name / "a.labels.csv").write_text(f"{HEAD}\nanna,0,2,happy\n")
    config = PrepareConfig(vision=VisionConfig())
    clip = prepare(list_items("clips", tmp_path).items, config, progress=False)[0].features[0]
    assert clip.faces is not None
    assert clip.spectrogram is not None
    for name in forms:
        items = list_items("bags", tmp_path / name).items
        cache = tmp_path / f"cache-{name}"
        corpus, report = prepare(items, config, cache, progress=False)
        features = corpus.features[0]
        assert report.troubles == ()
        assert features.faces is not None
        assert features.spectrogram is not None
        assert features.face_times_s is not None
        np.testing.assert_array_equal(features.faces, clip.faces)
        np.testing.assert_array_equal(features.face_times_s, clip.face_times_s)
        np.testing.assert_array_equal(features.landmarks, clip.landmarks)
        columns = min(len(features.spectrogram), len(clip.spectrogram))
        assert columns > 190
        difference = features.spectrogram[:columns].astype(float) - clip.spectrogram[:columns]
        # Sound goes through 16-bit integers in the raw bag.
        assert np.abs(difference).mean() < 0.1
        again, report = prepare(items, config, cache, progress=False)
        assert report.computed == 0
        np.testing.assert_array_equal(again.features[0].faces, features.faces)


def test_images_that_cannot_be_decoded_are_counted_and_the_others_used(
    tmp_path: Path,
) -> None:
    rows = made.session(1.0)
    for row in rows:
        if row.type == made.IMAGE and row.log_ns < START + 500 * MS:
            row.message.encoding = "nonsense"
    labelled(tmp_path, "a", rows, "anna,0,1,happy")
    corpus, report = prepare(list_items("bags", tmp_path).items, progress=False)
    assert corpus.features[0].spectrogram is not None
    assert "no face was found in 12 images" in report.of_kind("no face")[0].finding.reason


# --- the commands


def test_the_command_checks_and_prepares_bags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "bags"
    labelled(root, "a", two_faces(), "anna,0,1,happy", "anna,1,2,sad")
    assert main(["data", "check", "bags", str(root)]) == 0
    assert "no file is broken" in capsys.readouterr().out
    cache = tmp_path / "cache"
    assert main(["data", "prepare", "bags", str(root), "--cache", str(cache)]) == 0
    made.write(root / "b", made.session(0.5))
    assert main(["data", "check", "bags", str(root)]) == 1
    assert "no labels next to" in capsys.readouterr().out


def test_a_folder_without_any_labelled_bag_is_refused_with_the_layout(tmp_path: Path) -> None:
    made.write(tmp_path / "a", made.session(0.5))
    with pytest.raises(DataError, match=r"no labels next to[\s\S]*SESSION.labels.csv"):
        list_items("bags", tmp_path)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(DataError, match="no usable item of labelled bags"):
        list_items("bags", tmp_path)


def test_a_model_learns_from_bags_of_features(tmp_path: Path) -> None:
    for person in ("anna", "bob", "carla"):
        rows = [made.chunk(START + i * 100 * MS) for i in range(145)]
        labels = [f"{person},{2 * i},{2 * i + 2},{label}" for i, label in enumerate(EMOTIONS)]
        labelled(tmp_path / "bags", person, rows, *labels)
    settings = [
        "model.channels=[8, 8, 8, 8, 8]",
        "data.train=[{name: bags}]",
        "data.validation={name: bags}",
        "data.folds=[[anna], [bob]]",
        "training.epochs=1",
        "training.batch=8",
        "training.draws=8",
    ]
    given = ["train", "speech-fcn", "--root", str(tmp_path), "--out", str(tmp_path / "run")]
    given += ["--device", "cpu", "--fold", "0"]
    for setting in settings:
        given += ["--set", setting]
    assert main(given) == 0
    split = json.loads((tmp_path / "run" / "fold0" / "split.json").read_text())
    assert split["validation"]["subjects"] == ["bags-anna"]
    assert split["train"]["subjects"] == ["bags-bob", "bags-carla"]
