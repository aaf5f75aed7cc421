import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_trees import mp4
from evaluation_tree import (
    BOTH,
    FACE,
    LANDMARKS,
    SPEECH,
    UNITS,
    write_faces,
    write_model,
    write_run,
    write_units,
    write_voices,
)
from made_items import write_wav
from made_landmarks import write_landmarks

from avemo_ros.cli.main import main
from avemo_ros.evaluate.predictions import Predictions, read_predictions, write_predictions
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.zoo.classical import save_ensemble

KEYS = {
    "accuracy",
    "ua",
    "macro_f1",
    "confusion",
    "ece",
    "ece_scaled",
    "nll",
    "nll_scaled",
    "intervals",
    "coverage",
    "ms_per_item",
    "brier",
    "recalls",
    "classes",
    "items",
    "subjects",
    "model",
    "dataset",
    "split",
    "temperature",
    "by_sex",
    "missing",
    "command",
    "versions",
    "seen",
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("fer2013"))


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voices(tmp_path_factory.mktemp("ravdess"))


def judged(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    """What `avemo evaluate` writes as JSON."""
    out = tmp_path / "out.json"
    words = ["evaluate", *map(str, arguments), "--json", str(out), "--quiet", "--force"]
    assert main([*words, "--rounds", "100"]) == 0
    return dict(json.loads(out.read_text()))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What `avemo evaluate` complains about."""
    assert main(["evaluate", *map(str, arguments), "--quiet"]) == 2
    return capsys.readouterr().err


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if not name.startswith("ms_")}


def test_faces_are_judged_and_all_figures_are_written(tmp_path: Path, faces: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", FACE, says="happy")
    table = tmp_path / "said.csv"
    arguments = ("fer2013", "--root", faces, "--split", "private", "--model", model)
    result = judged(tmp_path, *arguments, "--predictions", table)
    assert result.keys() >= KEYS
    assert (result["items"], result["subjects"], result["split"]) == (21, 21, "test")
    assert result["accuracy"] == pytest.approx(3 / 21, abs=1e-6)
    assert result["ua"] == pytest.approx(1 / 7, abs=1e-6)
    assert result["recalls"]["happy"] == 1.0
    assert [row[3] for row in result["confusion"]] == [3] * 7
    assert result["intervals"]["accuracy"][0] < 3 / 21 < result["intervals"]["accuracy"][1]
    assert result["intervals_over"] == "items"
    assert result["ms_per_item"] > 0
    assert result["seen"] is None
    assert f"--model {model}" in result["command"]
    again = judged(tmp_path, *arguments, "--predictions", table)
    assert timeless(again) == timeless(result)
    told = read_predictions(table)
    assert told.y_pred.tolist() == [3] * 21


def test_figures_of_a_table_are_those_of_the_model(tmp_path: Path, faces: Path) -> None:
    tables = []
    for seed in (0, 1):
        model = write_model(tmp_path / f"m{seed}.safetensors", FACE, seed=seed)
        tables.append(tmp_path / f"{seed}.csv")
        result = judged(
            tmp_path, "fer2013", "--root", faces, "--model", model, "--predictions", tables[-1]
        )
        again = judged(tmp_path, "--from-predictions", tables[-1])
        for name in ("accuracy", "ua", "confusion", "intervals", "nll", "ece_scaled"):
            assert again[name] == result[name], name
    both = judged(tmp_path, "--from-predictions", *tables)
    compared = judged(
        tmp_path,
        *("fer2013", "--root", faces, "--model", tmp_path / "m0.safetensors"),
        *("--compare", tmp_path / "m1.safetensors"),
    )
    assert both["difference"][str(tables[1])]["ua"] == compared["difference"]["m1"]["ua"]


def test_actors_may_be_picked(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "m.safetensors", SPEECH, says="calm")
    arguments = ("ravdess", "--root", voices, "--model", model, "--modality", "audio")
    result = judged(tmp_path, *arguments, "--subjects", "2")
    assert (result["items"], result["split"]) == (8, "ravdess-02")
    assert result["classes"][-1] == "calm"
    assert result["by_sex"]["female"]["items"] == 8
    assert result["intervals_over"] == "items"
    coarse = judged(tmp_path, *arguments, "--classes", "7")
    assert coarse["accuracy"] == pytest.approx(4 / 16)  # calm and neutral are one
    assert coarse["by_sex"].keys() == {"female", "male"}
    told = refused(capsys, *arguments, "--subjects", "9")
    assert "no items of subject '9'; there are: ravdess-02, ravdess-03" in told


def test_each_fold_is_judged_on_those_that_it_held_out(tmp_path: Path, voices: Path) -> None:
    run = write_run(tmp_path / "run", SPEECH, (2, 3), ("happy", "sad"))
    table = tmp_path / "said.csv"
    result = judged(
        tmp_path,
        *("ravdess", "--root", voices, "--model", run, "--folds"),
        *("--predictions", table),
    )
    told = read_predictions(table)
    said = {
        (subject, told.classes[answer])
        for subject, answer in zip(told.subjects, told.y_pred.tolist(), strict=True)
    }
    assert said == {("ravdess-02", "happy"), ("ravdess-03", "sad")}
    assert result["folds"]["ua"] == {"mean": 0.125, "deviation": 0.0}
    assert [fold["items"] for fold in result["folds"]["each"]] == [8, 8]
    assert result["seen"] is False
    assert result["model"]["folds"] == 2


def test_a_run_that_lacks_a_fold_in_between_is_refused(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", SPEECH, (2, 3), ("happy", "sad"))
    (run / "fold1").rename(run / "fold2")
    told = refused(capsys, "ravdess", "--root", voices, "--model", run, "--folds")
    assert "has fold2 but no fold1" in told


def test_a_model_is_not_judged_on_those_it_learned_from(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", SPEECH, (2, 3), ("happy", "sad")) / "fold0"
    arguments = ("ravdess", "--root", voices, "--model", run)
    assert "was trained on 8 of these 16 items (ravdess-03)" in refused(capsys, *arguments)
    assert judged(tmp_path, *arguments, "--allow-seen")["seen"] is True
    assert judged(tmp_path, *arguments, "--subjects", "2")["seen"] is False


def test_an_ensemble_is_not_judged_on_whom_its_members_learned_from(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", SPEECH, (2, 3), ("happy", "sad"))
    other = write_model(tmp_path / "other.safetensors", SPEECH, says="calm")
    both = tmp_path / "both.safetensors"
    members = [(run / "fold0" / "model.safetensors", 1.0), (other, 0.1)]
    save_ensemble(both, "both", members, SPEECH_CLASSES)
    arguments = ("ravdess", "--root", voices, "--model", both)
    assert "both was trained on 8 of these 16 items" in refused(capsys, *arguments)
    result = judged(tmp_path, *arguments, "--subjects", "2")
    assert result["seen"] is None  # of one member nothing is known
    assert result["model"]["kind"] == "ensemble"
    assert result["recalls"]["happy"] == 1.0


def test_a_fold_that_learned_from_those_it_holds_out_is_refused(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", SPEECH, (2, 3), ("happy", "sad"))
    split = json.loads((run / "fold0" / "split.json").read_text())
    split["train"]["subjects"] = split["validation"]["subjects"]
    (run / "fold0" / "split.json").write_text(json.dumps(split))
    told = refused(capsys, "ravdess", "--root", voices, "--model", run, "--folds")
    assert "'ravdess-02' is both learned from and held out" in told


def test_action_units_and_voice_are_judged_together_and_apart(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"audio": SPEECH, "visual": UNITS, "hidden": 0}
    both = write_model(tmp_path / "both.safetensors", type(SPEECH)("concat", spec))
    alone = write_model(tmp_path / "au.safetensors", UNITS)
    table = write_units(tmp_path / "au.csv")
    arguments = ("ravdess", "--root", voices, "--model", both, "--modality", "au+audio")
    result = judged(tmp_path, *arguments, "--au", table, "--compare", alone)
    assert result["alone"].keys() == {"face", "voice"}
    low, high = result["difference"]["au"]["ua"]["interval"]
    assert low <= result["difference"]["au"]["ua"]["value"] <= high
    units_only = judged(
        tmp_path,
        *("ravdess", "--root", voices, "--model", alone, "--modality", "au", "--au", table),
    )
    assert units_only["ua"] == result["difference"]["au"]["other"]["ua"]
    assert "--au" in refused(capsys, *arguments)


def test_a_file_that_cannot_be_read_counts_as_wrong_or_is_left_out(tmp_path: Path) -> None:
    root = write_voices(tmp_path / "ravdess")
    broken = root / "Actor_02" / "03-01-03-01-01-01-02.wav"
    broken.write_bytes(b"OggS" + bytes(2_000))
    model = write_model(tmp_path / "m.safetensors", SPEECH, says="happy")
    arguments = ("ravdess", "--root", root, "--model", model)
    result = judged(tmp_path, *arguments)
    assert result["missing"]["unreadable"] == [broken.stem]
    assert result["missing"]["no_voice"] == [broken.stem]
    assert "count as wrong" in result["missing"]["treatment"]
    assert result["unanswered"] == 1
    assert result["accuracy"] == pytest.approx(1 / 16)
    less = judged(tmp_path, *arguments, "--skip-missing")
    assert less["accuracy"] == pytest.approx(1 / 15, abs=1e-6)
    assert "left out" in less["missing"]["treatment"]


def test_silence_and_empty_sound_are_no_voice_and_get_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_voices(tmp_path / "ravdess", actors=[2])
    silent = root / "Actor_02" / "03-01-01-01-01-01-02.wav"
    empty = root / "Actor_02" / "03-01-03-01-01-01-02.wav"
    write_wav(silent, np.zeros(16_000, np.int16))
    write_wav(empty, np.zeros(0, np.int16))
    model = write_model(tmp_path / "m.safetensors", SPEECH, says="neutral")
    page = tmp_path / "page.html"
    arguments = ("ravdess", "--root", root, "--model", model, "--report", page)
    result = judged(tmp_path, *arguments)
    assert result["missing"]["no_voice"] == [silent.stem, empty.stem]
    assert (result["items"], result["unanswered"], result["coverage"]) == (8, 2, 0.75)
    assert result["recalls"]["neutral"] == 0
    assert capsys.readouterr().err == (
        f"avemo: warning: 1 item has no readable file: {empty.stem}\n"
        "avemo: warning: 1 item has no voice (no sound, or it is silent or cannot be read): "
        f"{silent.stem}\n"
    )
    assert "6 of 8 items" in page.read_text()
    assert "2 no voice" in page.read_text()
    assert f"{silent.stem}, {empty.stem}" in page.read_text()


def _clips(root: Path) -> tuple[Path, list[str]]:
    """A table of one good clip, two that are cut off and two that are not there."""
    voice = write_voices(root, actors=[2]) / "Actor_02" / "03-01-03-01-01-01-02.wav"
    bad = ["cut1.mp4", "cut2.mp4", "gone1.mp4", "gone2.wav"]
    for name in bad[:2]:
        film = mp4(root / name)
        film.write_bytes(film.read_bytes()[:1100])
    rows = [f"{name},happy,{who}" for who, name in enumerate([voice.relative_to(root), *bad])]
    (root / "clips.csv").write_text("\n".join(["file,label,subject", *rows]))
    return root / "clips.csv", bad


def test_broken_and_missing_files_of_a_table_count_as_wrong_and_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, bad = _clips(tmp_path)
    model = write_model(tmp_path / "m.safetensors", SPEECH, says="happy")
    arguments = ("clips", "--csv", table, "--model", model)
    result = judged(tmp_path, *arguments)
    assert (result["items"], result["unanswered"], result["accuracy"]) == (5, 4, 0.2)
    assert result["missing"]["unreadable"] == bad
    assert "4 of 5 items have no readable file and count as wrong" in result["notes"]
    assert any("2 x truncated" in note for note in result["notes"])
    assert f"avemo: warning: 4 items have no readable file: {', '.join(bad)}" in (
        capsys.readouterr().err
    )
    less = judged(tmp_path, *arguments, "--skip-missing")
    assert (less["items"], less["accuracy"]) == (1, 1.0)
    assert less["missing"]["unreadable"] == bad


def test_a_file_that_ends_early_is_judged_on_what_there_is_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile = pytest.importorskip("soundfile")
    root = write_voices(tmp_path / "ravdess", actors=[2])
    cut = root / "Actor_02" / "03-01-03-01-01-01-02.wav"
    sound, rate = soundfile.read(cut)
    cut.unlink()
    cut = cut.with_suffix(".flac")
    soundfile.write(cut, np.tile(sound, 3), rate)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    model = write_model(tmp_path / "m.safetensors", SPEECH)
    out = tmp_path / "out.json"
    words = ["evaluate", "ravdess", "--root", str(root), "--model", str(model)]
    assert main([*words, "--rounds", "100", "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["missing"]["damaged"] == [cut.stem]
    assert (result["missing"]["unreadable"], result["unanswered"]) == ([], 0)
    assert "damaged    1, read in part" in capsys.readouterr().out


def test_action_units_of_a_broken_recording_are_judged(tmp_path: Path) -> None:
    root = write_voices(tmp_path / "ravdess", actors=[2])
    cut = root / "Actor_02" / "03-01-03-01-01-01-02.wav"
    cut.write_bytes(cut.read_bytes()[:2_000])
    model = write_model(tmp_path / "m.safetensors", UNITS)
    units = write_units(tmp_path / "au.csv")
    arguments = ("ravdess", "--root", root, "--model", model, "--modality", "au", "--au", units)
    result = judged(tmp_path, *arguments)
    assert (result["items"], result["unanswered"]) == (8, 0)
    assert result["missing"]["unreadable"] == []


def test_landmarks_and_voice_are_judged_together_and_apart(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"audio": SPEECH, "visual": LANDMARKS, "hidden": 0}
    both = write_model(tmp_path / "both.safetensors", type(SPEECH)("concat", spec))
    alone = write_model(tmp_path / "points.safetensors", LANDMARKS)
    file = write_landmarks(tmp_path / "made.npz")
    given = ("ravdess", "--root", voices, "--landmarks", file)
    result = judged(tmp_path, *given, "--model", both, "--compare", alone)
    assert result["modality"] == "landmarks+audio"
    assert result["alone"].keys() == {"face", "voice"}
    for asked in ("av", "landmarks+audio"):
        again = judged(tmp_path, *given, "--model", both, "--modality", asked)
        assert (again["ua"], again["modality"]) == (result["ua"], "landmarks+audio")
    released = judged(tmp_path, *given, "--modality", "av", "--allow-seen", "--limit", "4")
    assert released["model"]["name"] == "avemo-landmarks-speech-0.4"
    seen = judged(tmp_path, *given, "--model", alone, "--modality", "landmarks")
    assert seen["ua"] == result["difference"]["points"]["other"]["ua"]
    heard = judged(tmp_path, *given, "--model", both, "--modality", "audio")
    assert heard["modality"] == "audio"
    where = ("ravdess", "--root", voices, "--model", alone)
    assert "--landmarks" in refused(capsys, *where, "--modality", "landmarks")
    told = refused(capsys, *given, "--model", alone, "--modality", "landmarks", "--corruptions")
    assert "'--corruptions' is 'landmarks'" in told


def test_items_without_landmarks_are_counted(tmp_path: Path, voices: Path) -> None:
    alone = write_model(tmp_path / "points.safetensors", LANDMARKS)
    file = write_landmarks(tmp_path / "made.npz", actors=[2])
    given = ("ravdess", "--root", voices, "--landmarks", file, "--model", alone)
    result = judged(tmp_path, *given, "--modality", "landmarks")
    assert (result["items"], len(result["missing"]["no_face"])) == (16, 8)
    assert result["unanswered"] == 8


def test_a_modality_that_no_item_has_is_refused_and_one_that_some_lack_is_counted(
    tmp_path: Path, voices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = write_model(tmp_path / "both.safetensors", BOTH)
    told = refused(capsys, "ravdess", "--root", voices, "--model", both, "--modality", "av")
    assert "none of these items has a face" in told
    assert "--modality audio needs none" in told
    root = write_voices(tmp_path / "ravdess", actors=[2])
    cut = root / "Actor_02" / "03-01-03-01-01-01-02.wav"
    cut.write_bytes(cut.read_bytes()[:2_000])
    speech = write_model(tmp_path / "m.safetensors", SPEECH)
    words = ["evaluate", "ravdess", "--root", str(root), "--model", str(speech)]
    assert main([*words, "--rounds", "100"]) == 0
    out = capsys.readouterr().out
    assert "missing    voice 1, readable file 1" in out
    assert "coverage    87.5 %  (7 of 8 items have an answer)" in out
    assert "8 items, 1 subject, " in out


def test_pairs_are_named_as_such_and_judged_under_corruption(
    tmp_path: Path, faces: Path, voices: Path
) -> None:
    model = write_model(tmp_path / "m.safetensors", BOTH)
    page = tmp_path / "page.html"
    arguments = (
        *("pairs", "--root", f"fer2013={faces}", "--root", f"ravdess={voices}"),
        *("--model", model, "--pairs", 21, "--corruptions"),
    )
    result = judged(tmp_path, *arguments, "--report", page)
    assert result["title"] == "label-matched pairs of fer2013 and ravdess"
    assert "label-matched pairs" in result["notes"][0]
    assert "label-matched pairs" in page.read_text()
    assert result["items"] == 21
    rows = {row["condition"]: row for row in result["corruptions"]["rows"]}
    assert list(rows) == [
        "face and voice",
        "voice only",
        "face only",
        "noise 20 dB",
        "noise 10 dB",
        "noise 0 dB",
        "room",
        "telephone",
        "blur",
        "occlusion",
        "dropped frames",
        "sound 200 ms late",
    ]
    assert rows["face and voice"]["fused"]["ua"] == result["ua"]
    assert rows["voice only"]["fused"] == rows["voice only"]["voice"]
    assert rows["voice only"]["difference"]["ua"] == {"value": 0.0, "interval": None}
    assert rows["blur"]["voice"] == rows["face and voice"]["voice"]
    assert timeless(judged(tmp_path, *arguments)) | {"command": ""} == timeless(result) | {
        "command": ""
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense", "--root", "x"), "NAME"),
        (("fer2013",), "--root"),
        (("fer2013", "--root", "nowhere"), "allowed: a folder that exists"),
        (("fer2013", "--root", "fer2031=FACES"), "'fer2031'; allowed: afew"),
        (("fer2013", "--root", "FACES", "--root", "VOICES"), "each data set once"),
        (("fer2013", "--root", "FACES", "--split", "public"), "no items in split 'public'"),
        (("fer2013", "--root", "FACES", "--model", "nothing"), "nothing"),
        (("fer2013", "--root", "FACES", "--folds"), "not a run folder with folds"),
        (("fer2013", "--root", "FACES", "--modality", "smell"), "face | audio | av"),
        (("fer2013", "--root", "FACES", "--model", "MODEL", "--classes", "8"), "classes"),
        (("fer2013", "--root", "FACES", "--rounds", "1"), "--rounds"),
        (("fer2013", "--root", "FACES", "--json", "no/folder/x.json"), "there is no folder"),
        (("ravdess", "--root", "VOICES", "--model", "MODEL"), "reads audio"),
        (("--from-predictions", "nowhere.csv"), "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_with_status_2(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    faces: Path,
    voices: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = write_model(tmp_path / "m.safetensors", FACE)
    words = {"FACES": str(faces), "VOICES": str(voices), "MODEL": str(model)}
    filled = []
    for word in arguments:
        for name, path in words.items():
            word = word.replace(name, path)
        filled.append(word)
    told = refused(capsys, *filled)
    assert told.startswith("avemo: error: ")
    assert message.replace("FACES", str(faces)) in told


def test_the_summary_has_figures_and_intervals(
    tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "m.safetensors", FACE, says="sad")
    arguments = ["evaluate", "fer2013", "--root", str(faces), "--model", str(model)]
    assert main([*arguments, "--rounds", "100"]) == 0
    out = capsys.readouterr().out
    assert "m on FER2013 (and FER+), test: 21 items" in out
    assert "UA          14.3 %" in out


def test_of_two_subjects_with_few_items_no_interval_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be from 33 to 100 %."""
    labels, said = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([0, 1, 2, 0, 3, 3])
    log = torch.log_softmax(4 * torch.nn.functional.one_hot(said, 7).double(), 1)
    people = ("s1",) * 3 + ("s2",) * 3
    given = Predictions(tuple("abcdef"), people, ("",) * 6, labels, log, EMOTIONS)
    tables = [tmp_path / name for name in ("a.csv", "b.csv")]
    for table, part in zip(tables, (given, given.with_scores(-log)), strict=True):
        write_predictions(table, part)
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    words = ["evaluate", "--from-predictions", *map(str, tables), "--json", str(out)]
    assert main([*words, "--report", str(page)]) == 0
    told = capsys.readouterr().out
    assert "accuracy    66.7 %\n" in told
    few = "No 95 % intervals: 6 items are too few to tell; it takes 10 items, or 5 subjects."
    assert few in told
    assert "note: predicted, but never the true class: happy (2)" in told
    assert "[" not in told
    result = json.loads(out.read_text())
    assert result["intervals"] is None
    assert result["difference"][str(tables[1])]["ua"]["interval"] is None
    assert few in page.read_text()


def test_a_result_that_cannot_be_written_leaves_no_other(tmp_path: Path, faces: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", FACE, says="happy")
    words = ["evaluate", "fer2013", "--root", str(faces), "--model", str(model), "--quiet"]
    words += ["--predictions", str(tmp_path / "a.csv"), "--rounds", "100"]
    assert main([*words, "--json", "/dev/full"]) == 2
    assert not (tmp_path / "a.csv").exists()
    assert main([*words, "--json", str(tmp_path / "a.json")]) == 0


def test_an_interrupted_run_leaves_nothing_half_written(
    tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "m.safetensors", FACE)
    older = tmp_path / "out.json"
    older.write_text("of an older run")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avemo_ros.zoo.classifier.NetworkClassifier.scores", interrupt)
    words = ["evaluate", "fer2013", "--root", str(faces), "--model", str(model), "--quiet"]
    assert (
        main([*words, "--force", "--json", str(older), "--report", str(tmp_path / "x.html")])
        == 130
    )
    assert older.read_text() == "of an older run"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "out.json"]
