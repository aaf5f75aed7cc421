"""The page of a soak: what the node needed over time, and how it took every fault."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from statistics import median
from typing import Any, Final

from soak_checks import MEMORY_LIMIT_MB

from avemo_ros.replay.report_parts import (
    Html,
    bullets,
    facts,
    folded,
    number,
    page,
    paragraph,
    section,
    table,
    tiles,
)

_WIDTH: Final = 1040
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 24, 34
_HEIGHT: Final = 210
_STRIP: Final = 10
"""Height of the marks of the faults [pixels]."""
_COLOURS: Final = {
    "images": "--happy",
    "sound": "--sad",
    "time": "--angry",
    "clock": "--surprise",
    "graph": "--disgust",
    "life cycle": "--fear",
    "machine": "--neutral",
}
"""Variable of the page's style for each kind of fault."""
_STEPS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_FULL: Final = 0.95
"""From this share of all cores on the machine is busy."""
_OFTEN: Final = 0.2
"""From this share of the time on that is worth a word."""
_FOOTER: Final = (
    "<p><b>How to read this.</b> A fault is given to the running node, then good input again; "
    "the recovery is the time from there to the first of five good states in a row: of "
    "somebody who is seen, no older than half a second, and, for faults of sound, with the "
    "voice in the decision. Coloured marks over the curves are the faults; point at one for "
    "its name.</p>"
)


def render(result: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        result: as in soak.json.
    """
    faults, samples = result["faults"], result["samples"]
    found = result["findings"]
    minutes = f"{result['seconds'] / 60:.1f} minutes"
    verdict = Html(
        '<span class="bad">failed</span>' if found else '<span class="good">passed</span>'
    )
    memory = result["memory"]
    slope = memory["slope_mb_per_min"]
    worst = max(
        (fault for fault in faults if fault["recovery_s"] is not None),
        key=lambda fault: fault["recovery_s"],
        default=None,
    )
    summary = tiles(
        [
            (
                "result",
                verdict,
                f"{len(found)} findings" if found else "nothing to complain of",
            ),
            ("length", minutes, "interrupted" if result["interrupted"] else ""),
            ("faults", str(len(faults)), f"{len({one['name'] for one in faults})} different"),
            (
                "memory at the end",
                number(memory["end_mb"], 0, "MB"),
                f"allowed: {MEMORY_LIMIT_MB:.0f} MB; at the start: "
                f"{number(memory['start_mb'], 0, 'MB')}",
            ),
            (
                "growth",
                number(slope, 1, "MB/min"),
                "over the last half" if slope is not None else "too short a run to tell",
            ),
            (
                "slowest recovery",
                "-" if worst is None else f"{worst['recovery_s']:.2f} s",
                "" if worst is None else worst["name"],
            ),
        ]
    )
    return page(
        "Soak of emotion_stack",
        f"{minutes} of faults, each followed by good input; {result['machine']}",
        [
            summary,
            _busy(samples, result["cores"]),
            section("Findings", bullets(found)),
            section("Over time", _legend(faults), *_charts(samples, faults)),
            section("Faults", _faults(faults, result["violations"])),
            section("Invariants that did not hold", _violations(result["violations"])),
            section(
                "What the node said",
                folded("Its warnings and errors, each once", bullets(result["complaints"])),
                *(
                    folded(f"Diagnostics at the end: {part}", facts(values))
                    for part, values in result["health"].items()
                ),
            ),
        ],
        _FOOTER,
    )


def _busy(samples: Sequence[Mapping[str, float]], cores: int) -> str:
    """A word where recoveries may be the machine's."""
    full = sum(sample["machine"] > _FULL * cores for sample in samples)
    if not samples or full < _OFTEN * len(samples):
        return ""
    return paragraph(
        f"All cores of this machine were busy for {full / len(samples):.0%} of the time: slow "
        "recoveries may be its own and not the node's.",
        "note",
    )


def _legend(faults: Sequence[Mapping[str, Any]]) -> str:
    kinds = [kind for kind in _COLOURS if any(fault["kind"] == kind for fault in faults)]
    keys = (
        f'<li><i style="background:var({_COLOURS[kind]})"></i>{escape(kind)}</li>'
        for kind in kinds
    )
    return f'<ul class="legend">{"".join(keys)}</ul>' if kinds else ""


def _charts(
    samples: Sequence[Mapping[str, float]], faults: Sequence[Mapping[str, Any]]
) -> list[str]:
    if len(samples) < 2:
        return [paragraph("Too short a run to draw.")]
    curves = (
        (
            "Memory [MB]",
            (
                ("rss_mb", "resident", "curve"),
                ("pss_mb", "proportional share (dashed)", "ideal"),
            ),
        ),
        (
            "Processor [cores]",
            (("cpu", "node", "curve"), ("machine", "whole machine (dashed)", "ideal")),
        ),
        ("Threads", (("threads", "threads", "curve"),)),
        ("File descriptors", (("fds", "open", "curve"),)),
    )
    return [chart(title, samples, lines, faults) for title, lines in curves]


def chart(
    title: str,
    samples: Sequence[Mapping[str, float]],
    lines: Sequence[tuple[str, str, str]],
    faults: Sequence[Mapping[str, Any]],
) -> str:
    """Curves over time with the faults marked.

    Args:
        title: with the unit.
        samples: at least two, with 't' [s].
        lines: of each its key in `samples`, its name, and its class in the style.
        faults: with 'at_s', 'until_s', 'name', 'what', 'kind' and 'recovery_s'.
    """
    start, end = samples[0]["t"], max(samples[-1]["t"], samples[0]["t"] + 1e-3)
    top = _round_up(max(sample[key] for sample in samples for key, _, _ in lines))
    floor = _HEIGHT - _BOTTOM

    def x(seconds: float) -> float:
        share = (min(max(seconds, start), end) - start) / (end - start)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share

    def y(value: float) -> float:
        return floor - (floor - _TOP) * value / top

    drawn = []
    for quarter in range(5):
        value = top * quarter / 4
        drawn.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}"/>{_text(_LEFT - 6, y(value) + 4, f"{value:g}", "end")}'
        )
    step = next((step for step in _STEPS if (end - start) / step <= 12), _STEPS[-1])
    for tick in range(math.ceil(start / step), math.floor(end / step) + 1):
        at = tick * step
        told = f"{at:g} s" if end < 120 else f"{at // 60}:{at % 60:02d}"
        drawn.append(_text(x(at), floor + 16, told, "middle"))
    for fault in faults:
        left = x(fault["at_s"])
        wide = max(x(fault["until_s"]) - left, 2.0)
        took = fault["recovery_s"]
        told = f"{fault['name']}: {fault['what']}; at {fault['at_s']:.0f} s, " + (
            "no recovery" if took is None else f"recovered in {took:.2f} s"
        )
        colour = _COLOURS.get(fault["kind"], "--neutral")
        drawn.append(
            f'<g style="fill:var({colour})"><title>{escape(told)}</title>'
            f'<rect x="{left:.1f}" y="{_TOP - _STRIP - 4}" width="{wide:.1f}" '
            f'height="{_STRIP}"/><rect x="{left:.1f}" y="{_TOP}" width="{wide:.1f}" '
            f'height="{floor - _TOP}" opacity=".09"/></g>'
        )
    for key, _, kind in lines:
        points = " ".join(f"{x(item['t']):.1f},{y(item[key]):.1f}" for item in samples)
        drawn.append(f'<polyline class="{escape(kind)}" points="{points}"/>')
    last = samples[-1]
    told = ", ".join(f"{name} {last[key]:g}" for key, name, _ in lines)
    drawn.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, floor + 31, "time of the run", "middle"))
    return (
        f'<h3>{escape(title)}</h3>{paragraph(f"At the end: {told}.")}<div class="wide">'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)} over '
        f'time" style="display:block;width:100%;min-width:640px;height:auto">'
        f"{''.join(drawn)}</svg></div>"
    )


def _faults(
    faults: Sequence[Mapping[str, Any]], violations: Sequence[Mapping[str, Any]]
) -> str:
    """One row for each sort of fault, in the order in which they first came."""
    rows = []
    for name in dict.fromkeys(fault["name"] for fault in faults):
        same = [fault for fault in faults if fault["name"] == name]
        took = [fault["recovery_s"] for fault in same if fault["recovery_s"] is not None]
        slow = sum(
            fault["recovery_s"] is None or fault["recovery_s"] > fault["limit_s"]
            for fault in same
        )
        broken = sum(one["count"] for one in violations if one["fault"] == name)
        kept = not slow and not broken
        verdict = Html(
            f'<span class="{"good" if kept else "bad"}">{_said(slow, broken)}</span>'
        )
        rows.append(
            (
                name,
                same[0]["what"],
                len(same),
                f"{median(took):.2f} s" if took else "-",
                f"{max(took):.2f} s" if len(took) == len(same) else "never",
                f"{same[0]['limit_s']:g} s",
                broken or "-",
                verdict,
            )
        )
    head = ("Fault", "What", "Times", "Recovery", "Slowest", "Allowed", "Violations", "")
    return table(head, rows, kind="grouped")


def _said(slow: int, broken: int) -> str:
    words = [f"{slow} too slow"] if slow else []
    words += [f"{broken} violations"] if broken else []
    return ", ".join(words) or "passed"


def _violations(violations: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("What", "Topic", "During or after", "First at", "Times", "The first"),
        [
            (
                one["kind"],
                one["topic"],
                one["fault"] or "no fault",
                f"{one['at_s']:.1f} s",
                one["count"],
                one["text"],
            )
            for one in violations
        ],
        kind="told",
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _round_up(value: float) -> float:
    """The next of 1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8 or 10 times a power of ten."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)
    return next(step * power for step in steps if value <= step * power * (1 + 1e-9))
