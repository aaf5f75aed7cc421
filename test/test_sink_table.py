"""The terminal table."""

from __future__ import annotations

import io
import os
import re

import pytest
from made_steps import START_NS, clip, estimate, nobody, step_of

from avemo_ros.labels import UNKNOWN
from avemo_ros.sink import table
from avemo_ros.sink.table import LiveTable
from avemo_ros.state.estimate import EmotionStep, Status

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """Says that it is one, and plays back what stands on its screen."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        lines = [""]
        row = 0
        for part in re.split(r"(\x1b\[\d+A|\x1b\[J|\n)", self.getvalue()):
            if part == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
            elif part == "\x1b[J":
                del lines[row + 1 :]
                lines[row] = ""
            elif up := re.fullmatch(r"\x1b\[(\d+)A", part):
                row -= int(up[1])
                assert row >= 0
            elif part:
                lines[row] = ESCAPES.sub("", part.replace("\r", ""))
        return lines


def sized(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(
        table.shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((columns, 24))
    )


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sized(monkeypatch, columns)
    out = Terminal()
    shown = LiveTable(START_NS, out)
    for item in clip(5.0):
        shown.show(item, 0.04)
    assert max(map(len, out.screen)) < columns


def test_the_table_stays_in_place_and_shrinks_with_the_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sized(monkeypatch, 100)
    out = Terminal()
    shown = LiveTable(START_NS, out)
    shown.show(step_of(estimate("happy", face="f1"), estimate("sad", face="f2")))
    both = out.screen
    assert sum(line.startswith((">f", " f")) for line in both) == 2
    shown.show(step_of(estimate("fear", t=3.1, face="f1")))
    one = [line for line in out.screen if line]
    assert len(one) == 3
    assert "fear" in one[2]
    assert "f2" not in "".join(one)


def test_a_row_tells_who_what_why_and_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 120)
    out = Terminal()
    speaking = estimate("happy", confidence=0.82, speaking=True, status=Status.OK)
    LiveTable(START_NS, out).show(step_of(speaking), 0.042)
    facts, _, row = [line for line in out.screen if line]
    assert "t 3.0 s" in facts
    assert "latency 42 ms" in facts
    assert "made-1" in facts
    for text in (">f1", "●", "happy", "82%", "60%", "40%", "face and voice"):
        assert text in row


def test_the_reason_stands_where_no_claim_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 80)
    out = Terminal()
    LiveTable(START_NS, out).show(step_of(estimate(UNKNOWN, status=Status.LOW_QUALITY)))
    assert "face not readable" in out.getvalue()
    assert "0%" not in out.screen[2]


def test_nobody_in_view_is_a_row_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 80)
    out = Terminal()
    LiveTable(START_NS, out).show(EmotionStep(START_NS + 1, (), nobody(), None))
    assert "nobody there" in out.screen[2]


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 120)
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    LiveTable(START_NS, out).show(step_of(estimate()))
    assert "\x1b[38" not in out.getvalue()


def test_a_terminal_without_block_characters_gets_plain_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sized(monkeypatch, 120)
    out = Terminal()
    out.encoding = "ascii"  # type: ignore[misc]
    LiveTable(START_NS, out).show(step_of(estimate(speaking=True)))
    assert out.getvalue().isascii()


def test_off_a_terminal_each_second_gives_one_line_per_person() -> None:
    out = io.StringIO()
    shown = LiveTable(START_NS, out)
    for item in clip(8.0):
        shown.show(item)
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    first = [line for line in lines if " f1 " in line]
    second = [line for line in lines if " f2 " in line]
    assert len(first) == 8
    assert 3 <= len(second) <= 5
    assert all("attended" in line for line in first)
