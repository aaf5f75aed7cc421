"""The transcript: as a page and as a table in the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import show

from avemo_ros.dialog.conversation import Turn
from avemo_ros.dialog.terminal import TurnTable, terminal_table, wrapped
from avemo_ros.report.dialog_pages import render_transcript as render
from avemo_ros.report.dialog_pages import write_transcript
from avemo_ros.sink.output_file import OutputError

SAD = Turn(
    t=12.3,
    words="My dog died.",
    emotion="sad",
    confidence=0.82,
    strategy="give_room",
    answer="I am here.",
    intensity=0.7,
    rate=0.9,
    gesture="lean_in",
    context="The person seems sad.",
    back_end="offline",
)
UNSURE = Turn(20.0, "Well.", "unknown", 0.0, "continue", "I see.", back_end="offline")
EVIL = "<script>alert(1)</script>\" onload='x' &amp; \x1b[2J\x1b]0;owned\x07\u202e\ud800\x00"


class Page(HTMLParser):
    """Tags and text of a page, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_shows_words_emotion_strategy_and_answer() -> None:
    page = Page(render([SAD, UNSURE], "A conversation"))
    for text in ("My dog died.", "sad", "82% confident", "give room", "intensity 0.70"):
        assert text in page.words
    for text in ("rate 0.90", "lean in", "I am here.", "The person seems sad.", "no label"):
        assert text in page.words
    assert "2 turns, 1 of them with a sensed emotion" in page.words


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = render([SAD], "A conversation")
    page = Page(text)
    assert page.links == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize(
    "turn",
    [
        Turn(0.0, EVIL, "sad", 0.5, "ask", "Yes?"),
        Turn(0.0, "Hello", "sad", 0.5, "ask", EVIL),
        Turn(0.0, "Hello", EVIL, 0.5, EVIL, "Yes?", gesture=EVIL, context=EVIL),
        Turn(0.0, "Hello", "sad", 0.5, "ask", "Yes?", back_end=EVIL, failure=EVIL),
        Turn(0.0, "Hello", "sad", 0.5, "ask", "Yes?", truth=EVIL),
        Turn(0.0, "Hello", "sad", 0.5, "ask", "Yes?", baseline=EVIL, baseline_strategy=EVIL),
    ],
)
def test_nothing_that_is_said_becomes_markup(turn: Turn, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_transcript(path, [turn], EVIL, EVIL)
    page = Page(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.words


def test_an_answer_without_cues_stands_beside_the_one_with_them() -> None:
    alone = Page(render([SAD], "A conversation")).words
    assert "without emotion cues" not in alone
    both = Turn(1.0, "Hm.", "sad", 0.9, "ask", "Yes?", baseline="Go on.", truth="fear")
    words = Page(render([both], "A conversation")).words
    assert "without emotion cues" in words
    assert "Go on." in words
    assert "script: fear" in words


MEASURE = """<!doctype html><body><iframe style="width:{width}px;height:600px;border:0"
srcdoc="{page}"></iframe><script>
addEventListener("load", () => {{
  const inner = document.querySelector("iframe").contentDocument;
  const cells = [...inner.querySelectorAll("td")].map((cell) => cell.getBoundingClientRect());
  document.title = Math.ceil(Math.max(...cells.map((cell) => cell.right))) + " wide";
}});
</script>"""


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_nothing_lies_outside_the_screen_however_narrow(width: int, tmp_path: Path) -> None:
    long = Turn(
        104.0, "x" * 400, "surprise", 0.9, "celebrate_with", "Yes? " * 60, 1.0, 1.1, 1.5
    )
    other = replace(long, baseline="Go on.", baseline_strategy="continue")
    for number, turns in enumerate(([SAD, long], [other])):
        path = tmp_path / f"{number}.html"
        text = escape(render(turns, "A conversation"))
        path.write_text(MEASURE.format(width=width, page=text), encoding="utf-8")
        shown = show(path, tmp_path)
        found = re.search(r"<title>(\d+) wide</title>", shown.document)
        assert found is not None, shown.complaints
        assert int(found[1]) <= width


def test_simulated_states_are_not_told_as_sensed_ones() -> None:
    words = Page(render([SAD], "A conversation", simulated=True)).words
    assert "with a simulated emotion" in words
    assert "what a model read in face and voice" not in words
    assert "what a model read in face and voice" in Page(render([SAD], "A talk")).words


def test_a_conversation_without_words_is_a_page_too() -> None:
    assert "Nothing was said." in Page(render([], "A conversation")).words


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_transcript(tmp_path / "no" / "page.html", [SAD], "A conversation")
    with pytest.raises(OutputError):
        write_transcript(tmp_path, [SAD], "A conversation")


# --- the terminal


def test_a_turn_is_a_block_of_columns() -> None:
    lines = terminal_table([SAD], 100).splitlines()
    assert lines[0].split() == ["time", "person", "sensed", "strategy", "robot"]
    assert lines[2].split("  ")[0] == "12.3 s"
    for text in ("My dog died.", "sad", "give room", "I am here."):
        assert text in lines[2]
    assert "82%" in lines[3]


@pytest.mark.parametrize("width", [1, 72, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = Turn(1.0, "word " * 60 + "x" * 300, "sad", 0.5, "ask", "\u4f60\u597d" * 90)
    table = TurnTable(width)
    assert table.width <= max(width, 72)
    for line in (*table.head().splitlines(), *table.row(long).splitlines()):
        cells = sum(2 if "\u4e00" <= sign <= "\u9fff" else 1 for sign in line)
        assert cells <= table.width


def test_nothing_that_is_said_steers_the_terminal() -> None:
    evil = Turn(0.0, EVIL, EVIL, 0.5, EVIL, EVIL, gesture=EVIL, back_end=EVIL, failure=EVIL)
    text = terminal_table([evil], 100)
    assert not [sign for sign in text if sign != "\n" and (ord(sign) < 32 or sign == "\x7f")]
    assert "\u202e" not in text
    text.encode("utf-8")


def test_colours_are_only_there_where_they_are_asked_for() -> None:
    assert "\x1b[" in TurnTable(100, colour=True).row(SAD)
    assert "\x1b[" not in TurnTable(100).row(SAD)


def test_all_words_survive_wrapping() -> None:
    text = "a quick brown fox jumps over the lazy dog " * 5
    assert " ".join(wrapped(text, 17)).split() == text.split()
    assert "".join(wrapped("x" * 50, 7)) == "x" * 50
    assert wrapped("", 10) == [""]
