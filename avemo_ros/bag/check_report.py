"""The findings of a bag check, as data, as text and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from avemo_ros.bag.timing_statistics import Offset, TimingStatistics
from avemo_ros.bag.topics import TopicKind
from avemo_ros.timing import to_s

_INPUTS: Final = (
    frozenset({TopicKind.IMAGES.value, TopicKind.AUDIO.value}),
    frozenset({TopicKind.TRACKS.value, TopicKind.SPECTROGRAM.value}),
    frozenset({TopicKind.STATES.value}),
)
"""What evaluation takes: the first of these that is there."""


_WIDTH: Final = 92
"""Width of sentences [characters]; tables may be wider."""
_SOON_S: Final = 0.5
"""A first input this soon after the bag's first message needs no hint for labelling [s]."""


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """One topic."""

    topic: str
    type: str
    use: str
    """What it is used as: value of `TopicKind`, 'audio info', 'robot speaking', or empty."""
    definition: str
    """Where the type's definition is from: 'bag', 'package', or 'missing'."""
    timing: TimingStatistics
    begins_s: float | None = None
    """Time of recording of its first message, from the bag's first [s]; None without one."""
    unreadable: str = ""
    """Why its messages cannot be read: their definition, or one that it needs, is missing or
    damaged; empty if they can."""


@dataclass(frozen=True, slots=True)
class Usable:
    """What evaluation can use: a sentence each, or empty."""

    raw: str
    features: str
    states: str
    labels: str


@dataclass(frozen=True, slots=True)
class BagCheck:
    """What was found."""

    path: Path
    storage: str
    compression: str
    distro: str
    files: int
    start_ns: int
    end_ns: int
    cut_off: bool
    topics: tuple[TopicCheck, ...]
    usable: Usable
    offset_by_stamps: Offset
    offset_by_mouth: Offset
    findings: tuple[str, ...] = field(default=())
    """What is wrong or odd, each a sentence."""

    @property
    def duration_s(self) -> float:
        """From the first to the last message [s]."""
        return to_s(self.end_ns - self.start_ns)

    @property
    def first_input_s(self) -> float | None:
        """When the first of what evaluation takes was recorded, in seconds as labels count
        them; None where it can take nothing."""
        for kinds in _INPUTS:
            begins = [
                one.begins_s
                for one in self.topics
                if one.use in kinds and one.begins_s is not None
            ]
            if begins:
                return min(begins)
        return None

    @property
    def clean(self) -> bool:
        """There are no findings."""
        return not self.findings


def report(checked: BagCheck) -> str:
    """The check as text."""
    stored = checked.storage
    stored += f", {checked.compression}" if checked.compression else ""
    stored += f", {checked.files} files" if checked.files > 1 else ""
    stored += f", ROS {checked.distro}" if checked.distro else ""
    usable = checked.usable
    lines = [
        f"{checked.path}: {checked.duration_s:.1f} s, {stored}"
        f"{', cut off' if checked.cut_off else ''}",
        "",
        *_table(checked.topics),
        *_beginning(checked),
        "",
        "evaluation can use",
        *_item("raw", usable.raw or "nothing: no images, no audio"),
        *_item("features", usable.features or "nothing: no face tracks, no spectrogram"),
        *_item("states", usable.states or "nothing: none were recorded"),
        *_item("labels", usable.labels or "nothing: none in the bag or beside it"),
        "",
        "images ahead of audio",
        *_item("by stamps", _offset(checked.offset_by_stamps)),
        *_item("by mouth", _offset(checked.offset_by_mouth)),
    ]
    if checked.findings:
        lines += ["", "findings"]
        for finding in checked.findings:
            lines += _wrapped(finding, "  - ")
    else:
        lines += ["", "no problem found"]
    return "\n".join(lines)


def as_json(checked: BagCheck) -> dict[str, Any]:
    """The check as JSON."""
    return {
        "path": str(checked.path),
        "storage": checked.storage,
        "compression": checked.compression,
        "distro": checked.distro,
        "files": checked.files,
        "start_ns": checked.start_ns,
        "end_ns": checked.end_ns,
        "duration_s": checked.duration_s,
        "first_input_s": checked.first_input_s,
        "cut_off": checked.cut_off,
        "clean": checked.clean,
        "topics": [
            {
                "topic": one.topic,
                "type": one.type,
                "use": one.use,
                "definition": one.definition,
                "begins_s": one.begins_s,
                **asdict(one.timing),
            }
            for one in checked.topics
        ],
        "usable": asdict(checked.usable),
        "pictures_ahead_of_sound": {
            "by_stamps": asdict(checked.offset_by_stamps),
            "by_mouth": asdict(checked.offset_by_mouth),
        },
        "findings": list(checked.findings),
    }


def _table(topics: tuple[TopicCheck, ...]) -> list[str]:
    rows = [("topic", "type", "messages", "begins", "rate", "longest gap", "delay", "is")]
    texts = {kind.value: kind.text for kind in TopicKind}
    for one in topics:
        measured = one.timing
        delay = "" if measured.delay_s is None else f"{1e3 * measured.delay_s:.0f} ms"
        use = texts.get(one.use, one.use) or (
            "definition missing" if one.definition == "missing" else "-"
        )
        rows.append(
            (
                one.topic,
                one.type.replace("/msg/", "/"),
                str(measured.count),
                "" if one.begins_s is None else f"{one.begins_s:.1f} s",
                f"{measured.rate_hz:.1f} Hz",
                f"{measured.longest_gap_s:.2f} s",
                delay,
                use,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if 1 < column < len(widths) - 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _beginning(checked: BagCheck) -> list[str]:
    """A hint where 0 s of the labels is, if the first input comes later."""
    first_s = checked.first_input_s
    if first_s is None or first_s < _SOON_S:
        return []
    topic = next((one.topic for one in checked.topics if one.begins_s == 0), "")
    what = "the first image or audio" if checked.usable.raw else "what evaluation uses"
    of = f" (of {topic})" if topic else ""
    text = (
        f"label times count from the bag's first message{of}; {what} comes at {first_s:.1f} s"
    )
    return ["", *_wrapped(text, "")]


def _item(name: str, text: str) -> list[str]:
    return _wrapped(text, f"  {name:9} ")


def _wrapped(text: str, first: str) -> list[str]:
    """Wrapped lines, indented by the width of `first`."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _offset(offset: Offset) -> str:
    if offset.seconds is None:
        return offset.how
    return f"{1e3 * offset.seconds:+.0f} ms ({offset.how})"
