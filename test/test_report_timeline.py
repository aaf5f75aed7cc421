"""The timeline and its page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import show
from made_steps import START_NS, clip, estimate, nobody, step_of
from report_page import Page, without_library

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.report.timeline_page import render as rendered
from avemo_ros.report.timeline_page import write_timeline
from avemo_ros.sink.output_file import OutputError
from avemo_ros.sink.presentation import Timeline
from avemo_ros.state.estimate import EmotionStep, Status


def render(made: Timeline) -> str:
    """The page without plotly's own code."""
    return without_library(rendered(made))


def timeline(seconds: float = 8.0, title: str = "clip.mp4") -> Timeline:
    made = Timeline(title, START_NS)
    for item in clip(seconds):
        made.add(item, 0.05)
    return made


def test_a_person_out_of_view_for_a_while_has_two_stretches() -> None:
    made = Timeline("x", START_NS)
    for tenth in [*range(10, 20), *range(40, 50)]:
        made.add(step_of(estimate(t=tenth / 10)))
    (person,) = made.people.values()
    assert [len(stretch) for stretch in made.stretches(person)] == [10, 10]
    assert made.mean_step_s == pytest.approx(0.1)


def test_runs_join_equal_claims_and_tell_reasons_apart() -> None:
    made = Timeline("x", START_NS)
    claims = [(UNKNOWN, Status.WARMING_UP)] * 3 + [("happy", Status.OK)] * 4
    claims += [(UNKNOWN, Status.UNCERTAIN)] * 2
    for index, (label, status) in enumerate(claims):
        made.add(step_of(estimate(label, t=0.1 * (index + 1), status=status)))
    (person,) = made.people.values()
    runs = made.runs(person)
    assert [run.text for run in runs] == ["warming up", "happy", "uncertain"]
    assert [run.end_s for run in runs] == pytest.approx([0.3, 0.7, 0.9])
    assert [run.start_s for run in runs] == pytest.approx([0.0, 0.3, 0.7])


def test_the_share_of_claims_counts_persons_not_steps() -> None:
    made = Timeline("x", START_NS)
    made.add(step_of(estimate(), estimate(UNKNOWN, face="f2", status=Status.LOW_QUALITY)))
    made.add(EmotionStep(START_NS, (), nobody(), None))
    assert made.claimed_share == pytest.approx(0.5)
    assert made.steps == 2


def test_the_page_nests_and_needs_nothing_from_elsewhere() -> None:
    text = render(timeline())
    parsed = Page(text)
    assert parsed.addresses == []
    assert not re.search(r"https?://|url\(|@import|base64,", text)
    assert not {"img", "image", "iframe", "link"} & set(parsed.tags)
    assert "default-src 'none'" in parsed.policy


def test_the_page_tells_model_latency_people_and_unknown_share() -> None:
    made = timeline()
    text = render(made)
    assert "made-1" in text
    assert "50 ms" in text
    assert len(Page(text).figures) == len(made.people) == 2
    assert f"{1 - made.claimed_share:.0%}" in text


def test_without_measured_latency_none_is_told() -> None:
    made = Timeline("x", START_NS)
    made.add(step_of(estimate()))
    assert "<dt>latency</dt>" not in render(made)


def test_claims_distribution_and_grounds_are_those_of_the_timeline() -> None:
    made = timeline(4.0)
    person = next(iter(made.people.values()))
    figure = Page(render(made)).figure("Timeline of f1")
    assert figure.rows == ["label", "speaking", "attended"]
    runs = made.runs(person)
    assert [bar.end_s for bar in figure.bars(0)] == pytest.approx([run.end_s for run in runs])
    for bar, run in zip(figure.bars(0), runs, strict=True):
        assert bar.told.endswith(run.text)
    known = [item for item in person.estimates if item.probabilities]
    for place, name in enumerate(EMOTIONS):
        (area,) = [one for one in figure.named(name) if one.get("stackgroup")]
        # Two points more where it begins, one where it ends: at zero.
        shares = [item.probabilities[place] for item in known]
        assert area["y"][2:-1] == pytest.approx(shares, abs=1e-6)
        assert area["y"][0] == area["y"][-1] == 0.0
        assert np.all(np.diff(area["x"]) > 0)
    (face,) = figure.named("face")
    assert face["y"][2:-1] == pytest.approx([item.face_share for item in known])


def test_the_pointer_tells_the_claim_and_why_there_is_none() -> None:
    made = Timeline("x", START_NS)
    made.add(step_of(estimate(UNKNOWN, t=0.1, status=Status.WARMING_UP)))
    made.add(step_of(estimate("happy", t=0.2, confidence=0.8)))
    (figure,) = Page(render(made)).figures
    (told,) = [one["text"] for one in figure.data if one.get("text") and "stack" not in one
               and one["type"] == "scatter"]  # fmt: skip
    assert told == ["unknown: warming up", "happy 80%, not speaking"]


def test_bars_have_no_gaps_where_steps_are_unequal() -> None:
    made = Timeline("x", START_NS)
    times = [0.1, 0.15, 0.5, 0.55, 0.9, 0.95, 1.3]
    for number, time in enumerate(times):
        made.add(step_of(estimate(t=time, speaking=number != 3)))
    (figure,) = Page(render(made)).figures
    assert len(figure.bars(1)) == 2
    assert len(figure.bars(2)) == 1


def test_a_person_out_of_view_is_not_drawn_through_the_gap() -> None:
    made = Timeline("x", START_NS)
    for tenth in [*range(10, 20), *range(40, 50)]:
        made.add(step_of(estimate("happy", t=tenth / 10)))
    (figure,) = Page(render(made)).figures
    assert [(round(bar.start_s, 1), round(bar.end_s, 1)) for bar in figure.bars(0)] == [
        (0.9, 1.9),
        (3.9, 4.9),
    ]
    (area,) = [one for one in figure.named("happy") if one.get("stackgroup")]
    within = (area["x"] > 1.95) & (area["x"] < 3.85)
    assert not area["y"][within].any()
    at = area["y"][(area["x"] > 1.9005) & (area["x"] < 3.9005)]
    assert len(at) >= 2
    assert not at.any()


def test_a_name_with_markup_is_shown_and_not_run() -> None:
    made = timeline(1.5, "<script>alert(1)</script>.mp4")
    made.add(step_of(estimate(t=1.6, face="</script><b>")))
    text = render(made)
    parsed = Page(text)
    assert "<script>alert" not in text
    assert "<h2>&lt;/script&gt;&lt;b&gt;</h2>" in text
    assert "</script><b>" in parsed.words
    assert {"b"} - set(parsed.tags) == set()
    assert parsed.events == []


def test_nobody_at_all_is_a_page_too() -> None:
    made = Timeline("x", START_NS)
    made.add(EmotionStep(START_NS + 1, (), nobody(), None))
    text = render(made)
    assert "Nobody was seen or heard." in text


def test_an_empty_timeline_is_a_page_too() -> None:
    assert "Nobody was seen or heard." in render(Timeline("x", START_NS))


def test_hours_are_thinned_to_means_and_the_page_says_so() -> None:
    made = Timeline("x", START_NS)
    for tenth in range(36_000):
        label = "happy" if tenth // 7 % 2 else "sad"
        made.add(
            step_of(estimate(label, t=tenth / 10, confidence=0.6 if label == "happy" else 0.4))
        )
    text = render(made)
    assert len(text.encode()) < 400_000
    parsed = Page(text)
    (figure,) = parsed.figures
    (area,) = [one for one in figure.named("happy") if one.get("stackgroup")]
    assert len(area["x"]) <= 1300
    everything = [item.probabilities[EMOTIONS.index("happy")]
                  for item in made.people["f1"].estimates]  # fmt: skip
    assert float(np.mean(area["y"][3:-2])) == pytest.approx(np.mean(everything), abs=0.01)
    assert "The figure has steps of 3.0 s: curves show the mean of each step" in parsed.words
    assert "one line every 8 s" in parsed.words


def test_a_crowd_is_drawn_up_to_a_number_and_the_page_says_so() -> None:
    made = Timeline("x", START_NS)
    for tenth in range(300):
        crowd = (estimate(t=tenth / 10, face=f"f{number}") for number in range(50))
        made.add(step_of(*crowd))
    text = render(made)
    assert len(text.encode()) < 1_100_000
    parsed = Page(text)
    assert len(parsed.figures) == 40
    assert "10 more ids are in the JSON Lines" in parsed.words


def test_without_plotly_a_report_is_refused_before_any_work(
    repository: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['plotly'] = None\n"
        "from importlib import util; found = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'plotly' else found(name)\n"
        "from avemo_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "predict", str(repository / "test/data/sample.mp4")]
    done = subprocess.run(
        [*command, "--report", str(tmp_path / "a.html")], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "plotly is not installed; pip install plotly, or pip install" in done.stderr
    assert "avemo_ros[report]" in done.stderr
    assert not list(tmp_path.iterdir())


def test_two_runs_give_the_same_bytes() -> None:
    assert render(timeline(3.0)) == render(timeline(3.0))


def test_the_page_reads_in_light_and_dark() -> None:
    text = render(timeline())
    assert "prefers-color-scheme:dark" in text
    for name in EMOTIONS:
        light, dark = re.findall(rf"--{name}:(#[0-9a-f]{{6}})", text)
        assert f'"{light}":"{dark}"' in text


def test_the_figures_are_drawn_in_a_browser_without_complaint_or_request(
    tmp_path: Path,
) -> None:
    path = tmp_path / "page.html"
    write_timeline(path, timeline(4.0, "<b>bold</b> & more"))
    shown = show(path, tmp_path)
    assert shown.complaints == []
    assert shown.requests == set()
    drawn = shown.document
    assert drawn.count('class="main-svg"') >= 4
    for name in ("Save as SVG", "Save as PNG", "Zoom in"):
        assert f'data-title="{name}"' in drawn
    for name in ("angry", "no label", "voice"):
        assert re.search(rf'class="legendtext"[^>]*>{name}<', drawn), name


def test_an_older_page_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "index.html"
    out.write_text("old")
    write_timeline(out, timeline(2.0))
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"index\.html"):
        write_timeline(tmp_path / "none" / "index.html", timeline(1.0))
