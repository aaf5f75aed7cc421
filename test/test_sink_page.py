"""The timeline and its page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_hops import START_NS, clip, estimate, hop, nobody

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.atomic import OutputError
from avemo_ros.sink.page import render, write_page
from avemo_ros.sink.timeline import Timeline
from avemo_ros.state.estimate import Hop, Status

VOID = {"meta", "br", "line", "rect", "polygon"}


class WellFormed(HTMLParser):
    """Fails on tags that do not nest; collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def timeline(seconds: float = 8.0, title: str = "clip.mp4") -> Timeline:
    made = Timeline(title, START_NS)
    for item in clip(seconds):
        made.add(item, 0.05)
    return made


def test_a_person_out_of_view_for_a_while_has_two_stretches() -> None:
    made = Timeline("x", START_NS)
    for tenth in [*range(10, 20), *range(40, 50)]:
        made.add(hop(estimate(t=tenth / 10)))
    (person,) = made.people.values()
    assert [len(stretch) for stretch in made.stretches(person)] == [10, 10]
    assert made.hop_s == pytest.approx(0.1)


def test_runs_join_equal_claims_and_tell_reasons_apart() -> None:
    made = Timeline("x", START_NS)
    claims = [(UNKNOWN, Status.WARMING_UP)] * 3 + [("happy", Status.OK)] * 4
    claims += [(UNKNOWN, Status.UNCERTAIN)] * 2
    for index, (label, status) in enumerate(claims):
        made.add(hop(estimate(label, t=0.1 * (index + 1), status=status)))
    (person,) = made.people.values()
    runs = made.runs(person)
    assert [run.text for run in runs] == ["warming up", "happy", "uncertain"]
    assert [run.end_s for run in runs] == pytest.approx([0.3, 0.7, 0.9])
    assert [run.start_s for run in runs] == pytest.approx([0.0, 0.3, 0.7])


def test_the_share_of_claims_counts_persons_not_hops() -> None:
    made = Timeline("x", START_NS)
    made.add(hop(estimate(), estimate(UNKNOWN, face="f2", status=Status.LOW_QUALITY)))
    made.add(Hop(START_NS, (), nobody(), None))
    assert made.claimed_share == pytest.approx(0.5)
    assert made.hops == 2


def test_the_page_nests_and_needs_nothing_from_elsewhere() -> None:
    text = render(timeline())
    parser = WellFormed()
    parser.feed(text)
    assert parser.open == []
    assert parser.addresses == []
    assert not re.search(r"https?://|url\(|@import", text)
    assert "<img" not in text
    assert "base64" not in text


def test_the_page_tells_model_latency_people_and_unknown_share() -> None:
    made = timeline()
    text = render(made)
    assert "made-1" in text
    assert "50 ms" in text
    assert text.count("<section>") == len(made.people) == 2
    assert f"{1 - made.claimed_share:.0%}" in text


def test_without_measured_latency_none_is_told() -> None:
    made = Timeline("x", START_NS)
    made.add(hop(estimate()))
    assert "latency" not in render(made)


def test_the_points_for_the_pointer_are_those_of_the_timeline() -> None:
    made = timeline(4.0)
    found = re.search(r'id="points">(.*?)</script>', render(made))
    assert found is not None
    first = json.loads(found[1])[0]
    person = next(iter(made.people.values()))
    assert len(first) == len(person.estimates)
    assert first[-1][0] == pytest.approx(4.0)
    claimed = next(point for point in first if point[3])
    assert len(claimed[3]) == len(EMOTIONS)


def test_bars_have_no_gaps_where_hops_are_unequal() -> None:
    made = Timeline("x", START_NS)
    times = [0.1, 0.15, 0.5, 0.55, 0.9, 0.95, 1.3]
    for number, time in enumerate(times):
        made.add(hop(estimate(t=time, speaking=number != 3)))
    drawn = render(made)
    assert drawn.count('<rect class="attended"') == 1
    assert drawn.count('<rect class="speaking"') == 2


def test_a_name_with_markup_is_shown_and_not_run() -> None:
    made = timeline(1.5, "<script>alert(1)</script>.mp4")
    made.add(hop(estimate(t=1.6, face="</script><b>")))
    text = render(made)
    assert "<script>alert" not in text
    assert "<h2></script>" not in text
    assert "<h2>&lt;/script&gt;&lt;b&gt;</h2>" in text
    parser = WellFormed()
    parser.feed(text)
    assert parser.open == []


def test_nobody_at_all_is_a_page_too() -> None:
    made = Timeline("x", START_NS)
    made.add(Hop(START_NS + 1, (), nobody(), None))
    text = render(made)
    assert "Nobody was seen or heard." in text


def test_an_empty_timeline_is_a_page_too() -> None:
    assert "Nobody was seen or heard." in render(Timeline("x", START_NS))


def test_a_long_run_is_thinned() -> None:
    made = Timeline("x", START_NS)
    for tenth in range(20_000):
        made.add(hop(estimate(t=tenth / 10)))
    assert len(render(made)) < 1_500_000


def test_the_page_reads_in_light_and_dark() -> None:
    text = render(timeline())
    assert "prefers-color-scheme:dark" in text
    for name in EMOTIONS:
        assert len(set(re.findall(rf"--{name}:(#[0-9a-f]{{6}})", text))) == 2


def test_an_older_page_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "index.html"
    out.write_text("old")
    write_page(out, timeline(2.0))
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"index\.html"):
        write_page(tmp_path / "none" / "index.html", timeline(1.0))
