"""An evaluation of bags as one HTML file that opens from disk and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from avemo_ros.replay import report_bags as of_bags
from avemo_ros.replay import report_figures as figures
from avemo_ros.replay import report_labelled as labelled
from avemo_ros.replay.figures import FIGURES, in_words
from avemo_ros.replay.intervals import in_a_sentence, interval, of_whom
from avemo_ros.replay.outcome import Outcome
from avemo_ros.replay.report_bags import SOURCES
from avemo_ros.replay.report_parts import (
    Html,
    breakable,
    facts,
    folded,
    number,
    page,
    paragraph,
    passed,
    percent,
    section,
    table,
    tiles,
    word,
)
from avemo_ros.replay.report_timeline import Shot
from avemo_ros.replay.report_tracks import anchor_of
from avemo_ros.replay.words import counted, lasting
from avemo_ros.sink.atomic import OutputError, replaced

_MOST_NOTES: Final = 8
"""Remarks at the top of the page."""


def write_report(path: Path, outcome: Outcome, *, thumbnails: bool = False) -> bool:
    """Write the page; it takes the place of an older one when it is complete.

    Args:
        path: of the file.
        outcome: of the evaluation.
        thumbnails: with small pictures from the bags; without, the page holds none.

    Returns:
        Whether the page holds pictures; bags of features, say, have none to show.

    Raises:
        OutputError: the file cannot be written.
    """
    shots = of_bags.shots(outcome) if thumbnails else None
    try:
        with replaced(path) as made:
            made.write_text(render(outcome, shots), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return any((shots or {}).values())


def render(outcome: Outcome, shots: Mapping[str, Sequence[Shot]] | None = None) -> str:
    """The page as text.

    Args:
        outcome: of the evaluation.
        shots: pictures of each bag by its name; None where none were asked for.
    """
    result, overall = outcome.result, outcome.result["overall"]
    if overall is None:
        return page(
            "No bag could be evaluated",
            f"{counted(len(result['failed']), 'bag')} tried",
            (_limits(result["thresholds"]), _lost(result["failed"]), _how(result)),
            f"<p>{_privacy(False)}</p>",
        )
    stages: dict[str, list[float]] = {}
    recorded: list[float] = []
    for session in outcome.sessions:
        recorded += [1e3 * value for value in session.replayed.latencies_s]
        for name, values in session.replayed.stages_ms.items():
            stages.setdefault(name, []).extend(values)
    return page(
        f"Replay of {counted(len(result['bags']), 'bag')}",
        _subtitle(result),
        (
            _warnings(result),
            _tiles(result),
            paragraph(in_a_sentence(overall), "sub"),
            _limits(result["thresholds"]),
            _lost(result["failed"]),
            _worst(overall),
            of_bags.bags(result, outcome.sessions),
            *of_bags.timelines(outcome, shots),
            figures.confusion(overall),
            figures.certainty(overall),
            figures.grounds(overall),
            figures.stability(overall),
            figures.latency(overall, stages, recorded),
            labelled.agreement(overall),
            labelled.tracking(overall),
            labelled.valence_arousal(overall),
            _how(result),
        ),
        f"<p>{_READ}</p><p>{_privacy(any((shots or {}).values()))}</p>",
    )


def _subtitle(result: Mapping[str, Any]) -> str:
    bags, overall = result["bags"], result["overall"]
    length = lasting(sum(bag["seconds"] for bag in bags))
    sources = ", ".join(sorted({SOURCES.get(bag["source"], bag["source"]) for bag in bags}))
    return (
        f"{', '.join(result['model']['ids']) or 'no model'}; {length}; {sources}; "
        f"{counted(overall['segments']['items'], 'labelled segment')} of "
        f"{of_whom(overall)}"
    )


def _warnings(result: Mapping[str, Any]) -> str:
    notes = list(result["overall"]["notes"])
    failed = sum(not item["passed"] for item in result["thresholds"])
    if failed:
        notes.insert(0, f"{failed} of {len(result['thresholds'])} limits not kept.")
    if result["failed"]:
        notes.insert(0, f"{counted(len(result['failed']), 'bag')} could not be evaluated.")
    more = len(notes) - _MOST_NOTES
    if more > 0:
        notes[_MOST_NOTES:] = [f"{counted(more, 'more remark')} below, with the bags."]
    return "".join(paragraph(note, "note") for note in notes)


def _tiles(result: Mapping[str, Any]) -> str:
    overall, found = result["overall"], result["figures"]
    shown = []
    for name, part, key in (
        ("segment_ua", "segments", "ua"),
        ("segment_accuracy", "segments", "accuracy"),
        ("ua", "frames", "ua"),
        ("accuracy", "frames", "accuracy"),
        ("coverage", "coverage", "share"),
        ("claim_accuracy", "coverage", "accuracy"),
        ("ece", "calibration", "ece"),
    ):
        note = interval(overall, part, key)
        shown.append((FIGURES[name].text, in_words(found[name], FIGURES[name].unit), note))
    changes = f"{number(overall['stability']['truth_changes_per_minute'], 1)} true ones"
    shown.append(("changes a minute", number(found["changes_per_minute"], 1), changes))
    if found["reaction_median"] is not None:
        missed = f"{counted(overall['reaction']['missed'], 'change')} never"
        shown.append(("time to detect", number(found["reaction_median"], 2, "s"), missed))
    if result["realtime_factor"] is not None:
        speed = number(result["realtime_factor"], 1)
        shown.append(("speed", f"{speed} x", "of real time, all bags together"))
    return tiles(shown)


def _limits(limits: Sequence[Mapping[str, Any]]) -> str:
    return section(
        "Limits",
        table(
            ("Figure", "Result", "Value", "Limit"),
            [
                (
                    breakable(item["figure"]),
                    passed(item["passed"]),
                    "not measured" if item["value"] is None else f"{item['value']:g}",
                    f"not {item['fails']} {item['limit']:g}",
                )
                for item in limits
            ],
            kind="slim",
        ),
    )


def _lost(failed: Sequence[Mapping[str, str]]) -> str:
    return section(
        "Not evaluated",
        table(
            ("Bag", "Why"), [(bag["name"], bag["reason"]) for bag in failed], kind="named told"
        ),
    )


def _worst(overall: Mapping[str, Any]) -> str:
    listed = overall["segments"]["list"]
    rows = []
    for place in overall["worst"]:
        item = listed[place]
        where = f"{item['session']}, {item['start_s']:.1f} to {item['end_s']:.1f} s"
        rows.append(
            (
                Html(f'<a href="#{anchor_of(place)}">{escape(where)}</a>'),
                word(item["truth"]),
                word(item["answer"]),
                percent(item["confidence"]),
                percent(item["truth_probability"]),
                percent(item["unknown"]),
                item["person"] or "-",
            )
        )
    head = ("Segment", "Truth", "Answer", "Confidence", "Truth's share", "No claim", "Person")
    return section("Worst segments", table(head, rows, kind="named line-head"))


def _how(result: Mapping[str, Any]) -> str:
    model = result["model"]
    told = {
        "model": ", ".join(model["ids"]),
        "weights": model["file"],
        "SHA-256": model["sha256"],
        "arithmetic": ", ".join(model["precision"]),
        "versions": ", ".join(
            f"{name} {value}" for name, value in result["versions"].items() if value
        ),
    }
    settings = facts({name: str(value) for name, value in result["settings"].items()})
    return section("How", facts(told), folded("Settings", settings))


def _privacy(pictures: bool) -> str:
    if pictures:
        return (
            "<b>Personal data.</b> This page holds pictures of people, and says what a model "
            "read in their faces and voices: keep it no longer than needed, and share it only "
            "with their consent."
        )
    return (
        "<b>Personal data.</b> This page holds no pictures and no sound, but what it says is "
        "about people: keep it no longer than needed, and share it only with their consent."
    )


_READ: Final = (
    "Frames: one answer for each estimate where there is truth; the likeliest class counts, "
    "also where it was too unsure to be claimed. Segments: one answer for each labelled "
    "stretch. UA: mean recall over the classes that occur. ECE: 15 bins of equal width on the "
    "largest probability. What a model reads in an expression is not what a person feels."
)
