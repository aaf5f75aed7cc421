"""The page of an evaluation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import show
from made_evaluations import outcome, seg, session
from made_steps import START_NS
from report_page import Page, without_library

from avemo_ros.annotations.segments import Segment
from avemo_ros.bag.topics import Topics
from avemo_ros.bag.writer import BagWriter
from avemo_ros.replay.bag_evaluation import BagEvaluation, FailedBag
from avemo_ros.replay.named_metrics import read_thresholds
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.report.charts import Chart, coverage_curve, histogram, reliability
from avemo_ros.report.person_tracks import shots_of, tracks_of
from avemo_ros.report.replay_page import render as rendered
from avemo_ros.report.replay_page import write_report
from avemo_ros.source.media_file import VideoFrame

EVIL = "<script>alert(1)</script>\"'&"


def made() -> BagEvaluation:
    kitchen = session(
        "kitchen",
        [
            seg(0, 3, "neutral", "Anna", "ann"),
            seg(3, 6, "happy", "Anna", "ann"),
            seg(6, 9, "fear", "Anna", "ann"),
            seg(0, 4, "neutral", "Anna", "ben"),
            seg(4, 9, "happy", "Anna", "ben"),
            seg(2.5, 5.5, "sad", "Bob", "ann"),
        ],
        problems=("/audio: 3 message(s) too short",),
    )
    hall = session("hall", [seg(0, 9, "angry")], latencies_s=(0.1, 0.2))
    return outcome(
        [kitchen, hall],
        lost=[FailedBag("cellar", "no labels")],
        thresholds=read_thresholds(["ua=0.9"], []),
        notes=["1 segment of 'boredom' left out"],
    )


def render(*arguments: Any) -> str:
    """The page without plotly's own code."""
    return without_library(rendered(*arguments))


@pytest.fixture(scope="module")
def found() -> BagEvaluation:
    return made()


@pytest.fixture(scope="module")
def page(found: BagEvaluation) -> str:
    return render(found)


def test_the_page_nests_and_needs_nothing_from_elsewhere(page: str) -> None:
    parsed = Page(page)
    assert all(address.startswith("#") for address in parsed.addresses)
    assert not re.search(r"https?://|url\(|@import", page)
    assert not {"img", "image", "iframe", "link"} & set(parsed.tags)


def test_every_link_leads_to_one_place(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.places) == len(set(parsed.places))
    assert parsed.addresses
    for address in parsed.addresses:
        assert address[1:] in parsed.places


def test_each_worst_segment_is_linked_to_its_place_in_the_timeline(
    found: BagEvaluation, page: str
) -> None:
    worst = found.result["overall"]["worst"]
    assert worst
    figures = Page(page).figures
    for place in worst:
        item = found.result["overall"]["segments"]["list"][place]
        assert f'<a href="#segment-{place}">{item["session"]}' in page
        mark = re.search(
            rf'<span id="segment-{place}" data-figure="figure-(\d+)" '
            r'data-from="([\d.]+)" data-to="([\d.]+)">',
            page,
        )
        assert mark is not None
        assert float(mark[2]) == pytest.approx(item["start_s"], abs=1e-3)
        assert float(mark[3]) == pytest.approx(item["end_s"], abs=1e-3)
        told = [bar.told for bar in figures[int(mark[1]) - 1].bars(0)]
        answer = item["answer"] or "none"
        assert (
            f"annotated {item['start_s']:.1f} to {item['end_s']:.1f} s: {item['truth']}; "
            f"predicted: {answer}"
        ) in told


def test_the_page_holds_what_was_found(page: str) -> None:
    for title in ("Limits", "Not evaluated", "Worst segments", "Bags", "kitchen", "hall",
                  "Confusion", "Confidence", "Stability", "Latency", "Tracking", "How",
                  "Agreement of the annotators", "Modalities and people"):  # fmt: skip
        assert f"<h2>{title}</h2>" in page
    for text in ("1 bag could not be evaluated", "1 of 1 limits missed", "no labels",
                 "/audio: 3 message(s) too short", "1 segment of 'boredom' left out",
                 "by ann", "by ben", "Attended person", "ab" * 32,
                 "recorded, end to end", "ann and ben"):  # fmt: skip
        assert text in page or text in Page(page).words, text


def test_what_is_not_there_has_no_section() -> None:
    text = render(outcome([session("one", [seg(0, 9, "happy")])]))
    for title in ("Limits", "Not evaluated", "Agreement of the annotators",
                  "Valence and arousal"):  # fmt: skip
        assert f"<h2>{title}</h2>" not in text
    Page(text)


def test_a_recording_without_any_claim_is_a_page_too() -> None:
    nothing = session("one", [seg(0, 0.9, "happy")], 0.9)
    text = render(outcome([nothing]))
    assert "0.0 %" in text
    Page(text)


def test_valence_and_arousal_alone_are_a_page_too() -> None:
    segment = Segment(START_NS, START_NS + 10**9 * 9, "", "", valence=0.5, arousal=-0.5)
    Page(text := render(outcome([session("one", [segment])])))
    assert "Attended person" in text


def test_names_with_markup_are_shown_and_not_run() -> None:
    labels = [seg(0, 3, "happy", EVIL, EVIL), seg(3, 9, "sad", EVIL, EVIL),
              seg(0, 9, "happy", EVIL, "ben")]  # fmt: skip
    evil = session(EVIL, labels, problems=[EVIL])
    evil.people[EVIL] = ("f1",)  # type: ignore[index]
    text = render(outcome([evil], lost=[FailedBag(EVIL, EVIL)], notes=[EVIL]))
    parsed = Page(text)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;") > 8
    assert parsed.events == []
    # Only the page's own two scripts run, whatever else stands in it.
    assert len(parsed.scripts) == 2
    assert "unsafe-inline" not in parsed.policy.split("script-src")[1]
    (figure,) = [one for one in parsed.figures if "Timeline" in one.about]
    # plotly reads some HTML in its labels: what a bag says is no such thing.
    assert not any("<" in name for name in figure.rows)
    assert any(name.startswith("by &lt;") for name in figure.rows)


def test_the_page_is_the_same_every_time(page: str) -> None:
    assert render(made()) == page


def test_more_bags_than_can_be_drawn_are_still_listed() -> None:
    sessions = [
        session(f"bag {number:03}", [seg(0, 1.5, "happy")], 1.5) for number in range(62)
    ]
    parsed = Page(text := render(outcome(sessions)))
    assert "The timelines of the last 2 bags are not drawn." in text
    assert "bag 061" in text
    for address in parsed.addresses:
        assert address[1:] in parsed.places or address.startswith("#segment-")


def test_a_track_has_the_truth_of_everyone_who_judged(found: BagEvaluation) -> None:
    listed = found.result["overall"]["segments"]["list"]
    anna, bob = tracks_of(found.recordings[0], listed)
    assert list(anna.annotations) == ["annotated", "by ann", "by ben"]
    assert [mark.label for mark in anna.annotations["by ben"]] == ["neutral", "happy"]
    assert {item.face_id for item in anna.estimates} == {"f1"}
    assert {item.face_id for item in bob.estimates} == {"f2"}
    assert list(bob.annotations) == ["annotated"]
    assert {mark.label for mark in bob.judged} == {"right"}
    (attended,) = tracks_of(found.recordings[1], listed)
    assert attended.name == ""
    assert {mark.label for mark in attended.judged} == {"wrong", "blank"}


def test_images_are_in_the_page_only_when_asked_for(tmp_path: Path) -> None:
    image = np.full((48, 64, 3), 90, np.uint8)
    with BagWriter(tmp_path / "bag") as bag:
        for number in range(60):
            bag.write_image(VideoFrame(START_NS + number * 10**8, image))
    one = session("one", [seg(0, 6, "happy")], 6.0)
    shots = shots_of(one, tmp_path / "bag", Topics())
    assert [shot["at"] for shot in shots] == pytest.approx([0, 1, 2, 3, 4, 5])
    assert all(str(shot["src"]).startswith("data:image/jpeg;base64,") for shot in shots)
    asked = outcome([one])
    asked.paths["one"] = tmp_path / "bag"  # type: ignore[index]
    without, within = render(asked), render(asked, {"one": shots})
    assert "data:image" not in without
    assert "contains no images" in without
    assert len(Page(within).figures[0].shots) == 6
    assert "contains images of people" in within


def test_a_bag_that_can_no_longer_be_read_has_no_images(tmp_path: Path) -> None:
    assert shots_of(session("one", []), tmp_path / "gone", Topics()) == ()


def points(*given: tuple[float, float | None]) -> list[dict[str, float | None]]:
    return [{"coverage": kept, "accuracy": right} for kept, right in given]


def test_without_answers_there_is_no_curve_of_coverage() -> None:
    assert coverage_curve(points((0.0, None))) is None


@pytest.mark.parametrize(
    "chart",
    [
        reliability([0, 0.5, 1], [0, 3], [None, 0.9], [None, 1.0]),
        reliability([0, 1], [0], [None], [None]),
        coverage_curve(points((0.1, 1.0), (0.9, 0.4), (0.0, None)), (0.5, 0.7)),
        coverage_curve(points((1.0, 0.0))),
        histogram([0.0], "ms", "nothing"),
        histogram([1e-9, 1e6], "ms", "wide"),
        histogram([3.0] * 50, "ms", "one value"),
    ],
)
def test_figures_of_odd_values_can_be_drawn(chart: Chart) -> None:
    assert chart.height > 100
    assert "NaN" not in chart.json


def test_a_histogram_holds_every_value_once() -> None:
    values = [0.4, 0.6, 1.2, 1.3, 1.4, 2.9, 2.95, 3.0, 40.0]
    bars = histogram(values * 30, "ms", "times").figure.data[0]
    assert sum(bars.y) == 30 * len(values)


def test_the_page_opens_in_a_browser_without_complaint_or_request(
    found: BagEvaluation, page: str, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    assert not write_report(path, found)
    assert path.stat().st_size < 5_200_000
    shown = show(path, tmp_path)
    assert shown.complaints == []
    assert shown.requests == set()
    assert "Agreement of the annotators</h2>" in shown.document
    drawn = shown.document.count('<svg class="main-svg"')
    assert drawn >= len(Page(page).figures)


def test_a_link_to_a_segment_zooms_its_figure_and_marks_it(
    found: BagEvaluation, page: str, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    place = re.search(r'href="#(segment-\d+)"', page)
    assert place is not None
    write_report(path, found)
    marked = [
        without_library(show(path, tmp_path, at).document).count('class="shape-group"')
        for at in ("", place[1])
    ]
    assert marked == [0, 1]


def test_the_browser_would_tell_of_requests_and_complaints(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text('<img src="http://192.0.2.1/x.png"><script>console.error("no")</script>')
    shown = show(path, tmp_path)
    assert shown.requests == {"http://192.0.2.1/x.png"}
    assert len(shown.complaints) >= 1


def test_an_older_page_is_replaced(found: BagEvaluation, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    write_report(path, found)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_agreement_is_told_over_bags_of_other_annotators() -> None:
    def bags(other: str) -> list[EvaluatedRecording]:
        made = []
        for first, second in (("ann", "ben"), ("cem", "eve")):
            labels = [seg(0, 9, "sad", who=first), seg(0, 4, "sad", who=second)]
            made.append(session(f"by {first}", [*labels, seg(4, 9, other, who=second)]))
        return made

    apart = render(outcome(bags("fear")))
    assert "4 annotators, compared over the 18.0 s that two or more have labelled" in apart
    assert "Fleiss&#39;s kappa is -0." in apart
    assert '<th scope="row">ann and ben</th>' in apart
    assert "ann and cem" not in apart
    alike = render(outcome(bags("sad")))
    assert "Fleiss&#39;s kappa is unknown: all annotators used only one class." in alike


def test_of_too_few_segments_no_range_is_shown_and_it_says_so(page: str) -> None:
    assert page.count("too few to tell</dd>") == 8
    told = r"No 95 % intervals: \d segments are too few to tell; it takes 10 segments"
    assert re.search(told, page)
    assert "Ranges are" not in page


def test_of_enough_segments_the_ranges_are_shown() -> None:
    labels = [
        seg(start * 0.75, start * 0.75 + 0.75, "sad" if start % 2 else "neutral")
        for start in range(12)
    ]
    text = render(outcome([session("kitchen", labels)]))
    assert re.search(r"<dt>accuracy, segments</dt><dd>[\d.]+ %</dd><dd>[\d.]+ to [\d.]+<", text)
    assert "Ranges are 95 % intervals, bootstrapped over 12 segments in 100 rounds." in text
    assert "too few" not in text


def test_a_recording_of_many_changes_is_thinned_and_the_page_says_so() -> None:
    one = session("one", [seg(0, 550, "happy", "Anna")], 9.0)
    steps = [
        replace(
            step,
            stamp_ns=START_NS + number * 10**8,
            estimates=tuple(
                replace(item, stamp_ns=START_NS + number * 10**8) for item in step.estimates
            ),
        )
        for number, step in enumerate(list(one.replayed.steps)[9:80:7] * 500)
    ]
    replayed = replace(one.replayed, steps=tuple(steps), end_ns=steps[-1].stamp_ns)
    text = render(outcome([replace(one, replayed=replayed)]))
    assert len(text.encode()) < 300_000
    parsed = Page(text)
    figure = parsed.figure("Timeline of Anna")
    assert len(figure.bars(1)) <= 1200
    assert "This is a long recording. The figure has steps of" in parsed.words


def test_what_was_tracked_is_called_what_it_is(page: str) -> None:
    assert "Judged by labelled ids" in page
    assert "of the estimates covered" in page
    assert '<th scope="col">Images</th>' not in page


def test_where_what_was_used_begins_is_told_of_the_bag() -> None:
    one = session("one", [seg(0, 6, "happy")], 6.0)
    assert "first message" not in render(outcome([one]))
    later = replace(one.replayed, first_ns=START_NS - 5_300_000_000)
    told = render(outcome([replace(one, replayed=later)]))
    assert "Seconds count from the bag's first message; this begins at 5.3 s." in told


def test_names_of_figures_go_on_in_another_line_behind_underscores_only() -> None:
    limits = read_thresholds([], ["changes_per_minute=300"])
    told = render(outcome([session("one", [seg(0, 6, "happy")], 6.0)], thresholds=limits))
    row = told.split("changes_<wbr>per_<wbr>minute")[1].split("</tr>")[0]
    # What a narrow screen shows first is whether it is kept.
    assert row.index("passed") < row.index("not above 300")
