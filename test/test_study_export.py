"""From the recordings of a study to its tables."""

from __future__ import annotations

import csv
import html
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import show
from clip_bags import sample_bag
from made_clips import cut
from made_steps import START_NS
from made_studies import ANN, BEN, exported, states_of, study_of, table_of
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from avemo_ros.annotations.segments import TruthRule
from avemo_ros.cli.main import main
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.bag_evaluation import BagRequest, evaluate_bags
from avemo_ros.report.study_page import study_page
from avemo_ros.study.codebook import TABLES, codebook_rows
from avemo_ros.study.study_export import StudyResult
from avemo_ros.study.study_table import read_study

LEAD = TruthRule(lead="ann")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people in two conditions, and one of whom only one recording is there."""
    folder = tmp_path_factory.mktemp("study")
    lines = ["participant,session,recording,condition,age"]
    for person in range(1, 7):
        for place, condition in enumerate(("plain", "empathic")):
            bag = folder / f"p{person}_{condition}"
            seconds = 9.0 + 0.1 * person * (1 + place)
            states_of(
                bag,
                seconds,
                [(0.5, "phase: greeting"), (4.0, "phase: talk"), (5.0, "laughs, loudly")],
                ANN + BEN if person < 5 else ANN,
            )
            lines.append(f"P{person},1,{bag.name},{condition},{20 + person}")
    states_of(folder / "p7", 9.0)
    lines.append("P7,1,p7,plain,")
    study_of(folder, *lines)
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> StudyResult:
    return exported(folder / "study.csv", folder / "out", LEAD, parquet=True)


def test_every_step_is_a_row_and_nothing_failed(folder: Path, result: StudyResult) -> None:
    assert not result.failed
    steps = table_of(folder / "out" / "steps.csv")
    assert (
        len(steps)
        == result.steps
        == sum(int(row["steps"]) for row in table_of(folder / "out" / "recordings.csv"))
    )
    assert {row["recording"] for row in steps} == {
        row["recording"] for row in table_of(folder / "out" / "recordings.csv")
    }


def test_accuracy_is_that_of_bag_evaluate(folder: Path, result: StudyResult) -> None:
    bags = tuple(sorted(path.parent for path in folder.glob("p[1-6]_*/metadata.yaml")))
    overall = evaluate_bags(BagRequest(bags, use="states", truth=LEAD, rounds=100)).result
    steps = pd.read_csv(folder / "out" / "steps.csv")
    assert steps["right"].mean() == pytest.approx(overall["figures"]["accuracy"], abs=1e-6)
    summary = pd.read_csv(folder / "out" / "summary.csv")
    whole = (summary["accuracy"] * summary["labelled_steps"]).sum()
    assert whole / summary["labelled_steps"].sum() == pytest.approx(
        overall["figures"]["accuracy"], abs=1e-5
    )
    agreed = overall["agreement"]["kappa"]["value"]
    table = pd.read_csv(folder / "out" / "agreement.csv")
    first = table[table["factor"].isna() & table["first"].isna()]
    assert first["kappa"].item() == pytest.approx(agreed, abs=1e-6)


def test_agreement_by_condition_is_that_of_scikit_learn(
    folder: Path, result: StudyResult
) -> None:
    segments = pd.read_csv(folder / "out" / "segments.csv")
    both = segments[(segments["condition"] == "plain")]
    labels: dict[str, list[str]] = {"ann": [], "ben": []}
    for _, bag in both.groupby("recording"):
        if set(bag["annotator"]) != {"ann", "ben"}:
            continue
        for name, own in bag.groupby("annotator"):
            for row in own.sort_values("start_s").itertuples():
                labels[str(name)] += [row.label] * round(10 * (row.end_s - row.start_s))
    table = pd.read_csv(folder / "out" / "agreement.csv")
    found = table[(table["level"] == "plain") & (table["first"] == "ann")]["kappa"].item()
    assert found == pytest.approx(cohen_kappa_score(labels["ann"], labels["ben"]), abs=0.02)


def test_comparison_is_over_people_who_have_every_condition(
    folder: Path, result: StudyResult
) -> None:
    table = pd.read_csv(folder / "out" / "comparison.csv")
    rows = table[(table["factor"] == "condition") & (table["measure"] == "coverage")]
    assert rows["participants"].tolist() == [6, 6]
    assert rows["left_out"].tolist() == [1, 1]
    steps = pd.read_csv(folder / "out" / "steps.csv")
    steps["said"] = steps["label"].notna()
    means = steps.groupby(["participant", "condition"])["said"].mean().unstack().dropna()
    by_level = rows.set_index("level")
    for level in ("plain", "empathic"):
        assert by_level.loc[level, "mean"] == pytest.approx(means[level].mean(), abs=1e-5)
    interval = stats.ttest_rel(means["plain"], means["empathic"]).confidence_interval(0.95)
    half = (by_level.loc["plain", "high"] - by_level.loc["plain", "low"]) / 2
    assert half * 2**0.5 == pytest.approx((interval.high - interval.low) / 2, abs=1e-5)


def test_marks_make_phases_and_events(folder: Path, result: StudyResult) -> None:
    steps = pd.read_csv(folder / "out" / "steps.csv")
    own = steps[steps["recording"] == "p1_plain"]
    begins = own.groupby("phase")["t_s"].min()
    # Seconds count from the first message, 0.1 s after START_NS.
    assert begins["greeting"] == pytest.approx(0.4)
    assert begins["talk"] == pytest.approx(3.9)
    assert own["phase"].isna().sum() == 4
    events = pd.read_csv(folder / "out" / "events.csv")
    own_events = events[events["recording"] == "p1_plain"]
    assert own_events[["event", "text"]].values.tolist() == [
        ["phase", "greeting"], ["phase", "talk"], ["mark", "laughs, loudly"]
    ]  # fmt: skip
    assert own_events["t_s"].tolist() == pytest.approx([0.4, 3.9, 4.9])
    assert pd.to_datetime(own_events["time"]).astype("int64").tolist()[0] == (
        START_NS + 500_000_000
    )


def test_a_label_over_two_phases_is_a_row_for_each(folder: Path, result: StudyResult) -> None:
    segments = pd.read_csv(folder / "out" / "segments.csv")
    own = segments[(segments["recording"] == "p1_plain") & (segments["annotator"] == "ann")]
    assert own[["label", "phase"]].fillna("").values.tolist() == [
        ["neutral", ""], ["neutral", "greeting"], ["happy", "greeting"], ["happy", "talk"],
        ["fear", "talk"],
    ]  # fmt: skip
    assert (own["end_s"] - own["start_s"]).sum() == pytest.approx(9.0)


def test_the_codebook_names_every_column_of_every_table(
    folder: Path, result: StudyResult
) -> None:
    book = table_of(folder / "out" / "codebook.csv")
    page = (folder / "out" / "codebook.md").read_text()
    for table in TABLES:
        with (folder / "out" / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
            header = next(csv.reader(lines))
        assert header == [row["column"] for row in book if row["table"] == table]
        assert all(f"| {name} |" in page for name in header)
    assert all(row["description"] and row["type"] for row in book)
    assert [row["column"] for row in book if row["table"] == "recordings"][-1] == "age"
    seconds = [row for row in book if row["column"].endswith(("_s", "seconds"))]
    assert {row["unit"] for row in seconds} == {"s"}
    assert len(codebook_rows()) == len(book) - 1


def test_values_are_what_the_codebook_says(folder: Path, result: StudyResult) -> None:
    book = table_of(folder / "out" / "codebook.csv")
    for table in TABLES:
        for row in table_of(folder / "out" / f"{table}.csv"):
            for about in (one for one in book if one["table"] == table):
                value = row[about["column"]]
                if value:
                    assert fits(value, about), (table, about["column"], value)


def fits(value: str, about: dict[str, str]) -> bool:
    allowed = about["values"]
    match about["type"]:
        case "integer":
            return value.lstrip("-").isdigit()
        case "yes/no":
            return value in ("0", "1")
        case "time":
            return pd.Timestamp(value).tzinfo is not None
        case "number":
            low, _, high = allowed.partition(" to ")
            return not high or float(low) <= float(value) <= float(high)
    return not allowed or value in allowed.split(", ")


def test_parquet_holds_the_same_with_types(folder: Path, result: StudyResult) -> None:
    for table, columns in TABLES.items():
        plain = pd.read_csv(folder / "out" / f"{table}.csv")
        typed = pd.read_parquet(folder / "out" / f"{table}.parquet")
        assert list(plain) == list(typed)
        assert len(plain) == len(typed)
        for column in columns:
            assert plain[column.name].isna().tolist() == typed[column.name].isna().tolist()
            if column.kind in ("number", "integer"):
                ours = plain[column.name].to_numpy(float, na_value=np.nan)
                theirs = typed[column.name].to_numpy(float, na_value=np.nan)
                assert np.allclose(ours, theirs, equal_nan=True)
            if column.kind == "time":
                assert str(typed[column.name].dtype) == "datetime64[us, UTC]"


def test_changes_are_unknown_of_recorded_states(folder: Path, result: StudyResult) -> None:
    assert {row["changes"] for row in table_of(folder / "out" / "summary.csv")} == {""}


def test_the_page_tells_conditions_and_people(folder: Path, result: StudyResult) -> None:
    page = study_page(read_study(folder / "study.csv"), result)
    assert "By condition" in page
    assert "By phase" in page
    assert "Study of 7 participants" in page


def test_a_part_of_a_recording_counts_alone(tmp_path: Path) -> None:
    states_of(tmp_path / "a", 9.0, labels=ANN)
    table = study_of(
        tmp_path,
        "participant,recording,condition,start,end",
        "P1,a,plain,0,4",
        "P1,a,empathic,4,",
    )
    exported(table, tmp_path / "out")
    steps = pd.read_csv(tmp_path / "out" / "steps.csv")
    assert steps.groupby("condition")["t_s"].agg(["min", "max"]).loc["plain"].tolist() == [
        0.0, 3.9
    ]  # fmt: skip
    assert steps["t_s"].is_unique
    labelled = steps[steps["truth"].notna()]
    assert set(labelled[labelled["condition"] == "plain"]["truth"]) == {"neutral", "happy"}


def test_a_second_person_is_followed_by_their_id(tmp_path: Path) -> None:
    states_of(tmp_path / "a", 9.0)
    table = study_of(tmp_path, "participant,recording,person", "P1,a,f1", "P2,a,f2")
    exported(table, tmp_path / "out")
    steps = pd.read_csv(tmp_path / "out" / "steps.csv")
    second = steps[steps["participant"] == "P2"]
    assert set(second["face_id"].dropna()) == {"f2"}
    assert set(second["status"]) == {"ABSENT", "NO_VOICE"}
    assert set(second["label"].dropna()) == {"sad"}


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    wrong = {
        "two": ("person,start,end,label\nAnna,0,3,happy\nBob,3,6,sad\n", "", "name Anna, Bob"),
        "nobody": ("", "f9", "f9 never appears in the stream; ids there"),
        "late": ("person,start,end,label\n,900,903,happy\n", "", "no label lies within"),
        "odd": ("person,start,end,label\n,0,3,hapy\n", "", "label is 'hapy'"),
        "phases": ("", "", "both give a phase"),
    }
    lines = ["participant,recording,person,phase"]
    for name, (labels, person, _) in wrong.items():
        states_of(tmp_path / name, 9.0, labels=labels)
        lines.append(f"P1,{name},{person},{'given' if name == 'phases' else ''}")
    (tmp_path / "phases.phases.csv").write_text("start,end,phase\n0,9,written\n")
    states_of(tmp_path / "written", 9.0, [(1.0, "phase: marked")])
    (tmp_path / "written.phases.csv").write_text("start,end,phase\n0,9,written\n")
    table = study_of(tmp_path, *lines, "P2,written,,")
    found = exported(table, tmp_path / "out")
    rows = table_of(tmp_path / "out" / "recordings.csv")
    for row, (_, _, says) in zip(rows, wrong.values(), strict=False):
        assert row["status"] == "failed"
        assert says in row["problems"]
    assert list(found.failed) == [
        f"{name} ({table}, line {line})" for line, name in enumerate(wrong, start=2)
    ]
    assert rows[-1]["status"] == "ok"
    # A file takes the place of what was marked, and that is told.
    assert "takes the place" in rows[-1]["problems"]
    steps = table_of(tmp_path / "out" / "steps.csv")
    assert {(row["recording"], row["phase"]) for row in steps} == {("written", "written")}


def test_an_annotator_who_is_not_there_cannot_decide(tmp_path: Path) -> None:
    states_of(tmp_path / "a", 9.0, labels=ANN + BEN)
    table = study_of(tmp_path, "participant,recording", "P1,a")
    with pytest.raises(ConfigError, match=r"--lead.*one of the annotators: ann, ben"):
        exported(table, tmp_path / "out", TruthRule(lead="anne"))


def test_the_command_keeps_tables_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states_of(tmp_path / "a", 9.0, labels=ANN)
    table = study_of(tmp_path, "participant,recording", "P1,a")
    command = ["study", "export", str(table), "--out", str(tmp_path / "out"), "--use", "states"]
    assert main(command) == 0
    assert "1 participant, 1 recording" in capsys.readouterr().out
    assert not (tmp_path / "out" / "replays").exists()
    assert not (tmp_path / "out" / "parts").exists()
    assert main(command) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    (tmp_path / "a" / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    (tmp_path / "a" / "a.mcap").unlink()
    assert main([*command, "--force"]) == 1
    assert "a (" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_goes_on_with_its_replays(tmp_path: Path) -> None:
    """Both ways the tables are the same, byte for byte."""
    for name in ("a", "b", "c"):
        sample_bag(tmp_path / name, 3.0, features=PipelineConfig())
    table = study_of(tmp_path, "participant,recording", "P1,a", "P2,b", "P3,c")
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "avemo_ros.cli.main", "study", "export", str(table), "--workers",
        "1", "--out",
    ]  # fmt: skip
    first = subprocess.Popen([*command, str(out)], start_new_session=True)
    while first.poll() is None and not list((out / "replays").glob("[!.]*.gz")):
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "replays").glob("[!.]*.gz")}
    assert 1 <= len(kept) < 3
    again = subprocess.run(
        [*command, str(out), "--cache", str(out / "replays")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "3 recordings" in again.stdout
    for name, made in kept.items():
        assert (out / "replays" / name).stat().st_mtime_ns == made
    subprocess.run([*command, str(tmp_path / "whole"), "--quiet"], check=True)
    for name in TABLES:
        assert (out / f"{name}.csv").read_bytes() == (
            tmp_path / "whole" / f"{name}.csv"
        ).read_bytes()


@pytest.mark.slow
def test_a_clip_gives_what_its_bag_gives(tmp_path: Path) -> None:
    """Media files and bags go through one engine."""
    cut(tmp_path / "clip.mp4", 2.0, 5.0)
    (tmp_path / "clip.labels.csv").write_text("person,start,end,label\n,0,3,happy\n")
    sample_bag(tmp_path / "unlabelled", 3.0, 2.0)
    table = study_of(tmp_path, "participant,recording", "P1,clip.mp4", "P2,unlabelled")
    assert main(["study", "export", str(table), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    steps = pd.read_csv(tmp_path / "out" / "steps.csv")
    own = steps[steps["participant"] == "P1"]
    assert len(own) > 20
    assert own["time"].isna().all()
    assert own["truth"].dropna().unique().tolist() == ["happy"]
    shares = own[[f"p_{name}" for name in EMOTIONS]].dropna()
    assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    assert own["valence"].notna().any()
    rows = table_of(tmp_path / "out" / "recordings.csv")
    assert [row["source"] for row in rows] == ["raw", "raw"]
    assert table_of(tmp_path / "out" / "summary.csv")[0]["changes"] != ""


@pytest.mark.slow
def test_a_figure_gives_its_values_as_csv(
    folder: Path, result: StudyResult, tmp_path: Path
) -> None:
    text = study_page(read_study(folder / "study.csv"), result)
    # The page runs no scripts but its own, so the one that asks needs a page that does.
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    asks = (
        "<script>draw(places[0]).then(() => { const pre = document.createElement('pre');"
        "pre.id = 'values'; pre.textContent = values(places[0]); document.body.append(pre);"
        "})</script></body>"
    )
    (tmp_path / "page.html").write_text(open_page.replace("</body>", asks), encoding="utf-8")
    shown = show(tmp_path / "page.html", tmp_path)
    found = re.search(r'<pre id="values">(.*?)</pre>', shown.document, re.DOTALL)
    assert found is not None, shown.complaints
    rows = list(csv.DictReader(html.unescape(found[1]).splitlines()))
    people = pd.read_csv(folder / "out" / "participants.csv")
    wanted = people[people["factor"] == "condition"].dropna(subset=["accuracy"])
    given = {(row["series"], row["x"]): float(row["y"]) for row in rows}
    for row in wanted.itertuples():
        assert given[row.participant, row.level] == pytest.approx(row.accuracy)
    means = pd.read_csv(folder / "out" / "comparison.csv")
    mean = means[(means["factor"] == "condition") & (means["measure"] == "accuracy")]
    high = {row["x"]: row["high"] for row in rows if row["series"] == "mean"}
    for row in mean.itertuples():
        assert float(high[row.level]) == pytest.approx(row.high)
