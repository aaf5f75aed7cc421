"""The newest states in a terminal: a table that stays in place, or a line per second."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import IO, Final

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.presentation import INKS, STATUS_TEXT, Timeline, headline, name_of
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status

_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_LEVELS: Final = " .:-=+*#@"
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class LiveTable:
    """Shows steps as they come.

    On a terminal the table is redrawn in place; elsewhere (a pipe, a log) each second of
    stream time gives one line per person.  Colours are left out with NO_COLOR or off a
    terminal, block characters where the encoding has none.
    """

    def __init__(self, start_ns: int, out: IO[str] | None = None) -> None:
        """
        Args:
            start_ns: sensor time that counts as 0 [ns].
            out: where to write; None is standard output.
        """
        self._out = sys.stdout if out is None else out
        self._start_ns = start_ns
        self._live = self._out.isatty()
        self._colour = self._live and not os.environ.get("NO_COLOR")
        encoding = getattr(self._out, "encoding", None) or "ascii"
        try:
            (_LEVELS + "●").encode(encoding)
            self._levels, self._dot = _LEVELS, "●"
        except (UnicodeEncodeError, LookupError):
            self._levels, self._dot = _PLAIN_LEVELS, "*"
        self._drawn = 0
        self._second = -1

    def show(self, step: EmotionStep, latency_s: float | None = None) -> None:
        """Show the states of one moment.

        Args:
            step: the newest.
            latency_s: from the window's end to publication [s], where it is known.
        """
        seconds = (step.stamp_ns - self._start_ns) / 1e9
        if self._live:
            width = shutil.get_terminal_size((80, 24)).columns
            lines = self._lines(step, latency_s, width)
            self._redraw([self._cut(line, width - 1) for line in lines])
        elif int(seconds) != self._second:
            self._second = int(seconds)
            for estimate in step.estimates or (step.attended,):
                self._out.write(_line(seconds, estimate, estimate == step.attended) + "\n")
            self._out.flush()

    def close(self) -> None:
        """Leave the last table standing and go on below it."""
        self._drawn = 0
        self._out.flush()

    def _redraw(self, lines: Sequence[str]) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        # Lines of an older, longer table below the new one are wiped with the last code.
        self._out.write(up + "".join(f"\r{line}\x1b[K\n" for line in lines) + "\x1b[J")
        self._out.flush()
        self._drawn = len(lines)

    def _lines(self, step: EmotionStep, latency_s: float | None, width: int) -> list[str]:
        seconds = (step.stamp_ns - self._start_ns) / 1e9
        facts = [f"t {seconds:.1f} s"]
        if latency_s is not None:
            facts.append(f"latency {1e3 * latency_s:.0f} ms")
        facts.append(f"model {step.attended.model_id or '-'}")
        columns = _columns(width)
        head = "".join(_fit(name, room) for name, room in columns)
        lines = ["   ".join(facts), self._dim(head)]
        for estimate in step.estimates or (step.attended,):
            attended = bool(step.estimates) and estimate == step.attended
            lines.append(self._row(estimate, attended, columns))
        return lines

    def _row(
        self, estimate: EmotionEstimate, attended: bool, columns: Sequence[tuple[str, int]]
    ) -> str:
        cells = []
        for name, room in columns:
            if name == "who":
                text = _fit((">" if attended else " ") + name_of(estimate), room - 2)
                cells.append(text + (self._dot if estimate.speaking else " ") + " ")
            elif name == "label":
                cells.append(self._painted(_fit(estimate.label, room), estimate.label))
            elif name == "conf":
                known = estimate.label != UNKNOWN
                cells.append(_fit(f"{estimate.confidence:.0%}" if known else "-", room))
            elif name == "confidence":
                cells.append(self._bar(estimate, room))
            elif name in _SHORT:
                cells.append(self._level(estimate, name, room))
            elif name in ("face", "voice"):
                share = estimate.face_share if name == "face" else estimate.voice_share
                cells.append(_fit(f"{share:.0%}" if estimate.probabilities else "-", room))
            else:
                cells.append(_fit(STATUS_TEXT[estimate.status], room))
        return "".join(cells)

    def _bar(self, estimate: EmotionEstimate, room: int) -> str:
        known = estimate.label != UNKNOWN
        full = round(estimate.confidence * (room - 2)) if known else 0
        block = self._levels[-1]
        rest = " " * (room - full)
        return self._painted(block * full, estimate.label) + rest

    def _level(self, estimate: EmotionEstimate, name: str, room: int) -> str:
        index = _SHORT.index(name)
        if not estimate.probabilities:
            return _fit("", room)
        share = estimate.probabilities[index]
        sign = self._levels[min(len(self._levels) - 1, round(share * (len(self._levels) - 1)))]
        # Three signs wide, so that the eye sees a column and not a dot.
        return self._painted(sign * (room - 1), EMOTIONS[index]) + " "

    def _painted(self, text: str, label: str) -> str:
        if not self._colour:
            return text
        red, green, blue = INKS[label].rgb
        return f"\x1b[38;2;{red};{green};{blue}m{text}\x1b[0m"

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._colour else text

    @staticmethod
    def _cut(line: str, width: int) -> str:
        """At most `width` visible signs: a line that wraps would break the redrawing."""
        kept, room, position = [], width, 0
        for code in _ESCAPE.finditer(line):
            text = line[position : code.start()][:room]
            kept += [text, code.group()]
            room -= len(text)
            position = code.end()
        kept.append(line[position:][:room])
        return "".join(kept)


def stretches_table(timeline: Timeline) -> list[str]:
    """Everyone's labels, or why there is none, from when to when; confidence is the mean."""
    lines = [f"{'who':8} {'from':>8} {'to':>8}  {'label':10} {'confidence':10}  why none"]
    for person in timeline.people.values():
        for run in timeline.runs(person):
            known = run.label != UNKNOWN
            sure = [
                one.confidence
                for one in person.estimates
                if known
                and one.label == run.label
                and run.start_s < timeline.t(one.stamp_ns) <= run.end_s
            ]
            mean = f"{sum(sure) / len(sure):.0%}" if sure else "-"
            label, why = (run.label, "") if known else ("-", run.text)
            when = f"{run.start_s:6.1f} s {run.end_s:6.1f} s"
            lines.append(f"{person.name:8} {when}  {label:10} {mean:10}  {why}".rstrip())
    for status, count in timeline.nobody.items():
        seconds = count * timeline.mean_step_s
        lines.append(f"{'-':8} {seconds:.1f} s in all: {STATUS_TEXT[Status[status]]}")
    return lines


_SHORT: Final = tuple(label[:3] for label in EMOTIONS)
_COLUMNS: Final = (
    # name, room, least width of the terminal at which it is shown
    ("who", 10, 0),
    ("label", 10, 0),
    ("conf", 6, 0),
    ("confidence", 14, 100),
    *((name, 4, 72) for name in _SHORT),
    ("face", 6, 86),
    ("voice", 6, 86),
    ("status", 18, 44),
)


def _columns(width: int) -> list[tuple[str, int]]:
    """The columns for a terminal of this width."""
    return [(name, room) for name, room, least in _COLUMNS if width >= least]


def _fit(text: str, room: int) -> str:
    return text[: room - 1].ljust(room)


def _line(seconds: float, estimate: EmotionEstimate, attended: bool) -> str:
    """One state as one line."""
    parts = [f"{seconds:7.1f} s", f"{name_of(estimate):6}", f"{headline(estimate):28}"]
    if estimate.probabilities:
        parts.append(f"face {estimate.face_share:4.0%} voice {estimate.voice_share:4.0%}")
        parts.append(STATUS_TEXT[estimate.status])
    if estimate.speaking:
        parts.append("speaking")
    if attended and estimate.face_id:
        parts.append("attended")
    return "  ".join(parts).rstrip()
