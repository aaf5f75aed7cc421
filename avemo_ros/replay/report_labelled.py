"""Sections of the report that take more than labels of one annotator: agreement, tracking, and
valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avemo_ros.replay.report_parts import (
    number,
    paragraph,
    percent,
    section,
    table,
    word,
)
from avemo_ros.replay.words import counted


def agreement(overall: Mapping[str, Any]) -> str:
    """How far the annotators say the same."""
    found = overall["agreement"]
    if found is None:
        return ""
    kappa = found["kappa"]
    told = f"{len(found['annotators'])} annotators"
    if found["seconds"]:
        told += (
            f", compared over {number(found['seconds'], 1, 's')} that all who label the person "
            f"in that bag have judged: {percent(found['observed'])} of the pairs of answers "
            "are the same"
        )
    name = f"{str(kappa['name']).capitalize()}'s kappa"
    if kappa["value"] is None:
        told += f". {name} cannot be told: {kappa['why']}."
    else:
        told += f"; {name} is {number(kappa['value'], 3)} (0: as by chance, 1: always)."
    told += " The truth is what most of them say."
    pairs = [
        (
            f"{pair['first'] or '-'} and {pair['second'] or '-'}",
            number(pair["seconds"], 1),
            percent(pair["observed"]),
            number(pair["kappa"], 3),
        )
        for pair in found["pairs"]
        if pair["seconds"]
    ]
    labels = [
        (word(name), number(value, 3))
        for name, value in found["labels"].items()
        if value is not None
    ]
    return section(
        "Agreement of the annotators",
        paragraph(told),
        table(("Pair", "Seconds", "The same", "Kappa"), pairs),
        table(("Label", "Kappa"), labels),
    )


def tracking(overall: Mapping[str, Any]) -> str:
    """Whether people keep their ids."""
    found = overall["tracking"]
    if found is None:
        return ""
    judged = "pictures" if found["by"] == "boxes" else "estimates"
    told = (
        f"Judged by labelled {found['by']}: "
        f"{counted(found['id_switches'], 'id switch', 'id switches')}, "
        f"{counted(found['fragmentations'], 'fragmentation')}, "
        f"{percent(found['coverage'])} of the {judged} covered"
    )
    if found["overlap"] is not None:
        told += f", mean overlap {number(found['overlap'])}"
    rows = [
        (
            item["person"] or "-",
            item["session"],
            item["frames"],
            percent(item["coverage"]),
            item["id_switches"],
            item["fragmentations"],
        )
        for item in found["persons"]
    ]
    head = ("Person", "Bag", judged.capitalize(), "Covered", "Id switches", "Fragmentations")
    return section("Tracking", paragraph(f"{told}."), table(head, rows))


def valence_arousal(overall: Mapping[str, Any]) -> str:
    """How well the two dimensions follow the labels."""
    found = overall["valence_arousal"]
    rows = [
        (
            name,
            found[name]["items"],
            number(found[name]["ccc"], 3),
            number(found[name]["rmse"], 3),
        )
        for name in ("valence", "arousal")
        if found[name] is not None
    ]
    if not rows:
        return ""
    return section(
        "Valence and arousal",
        table(("Dimension", "Frames", "CCC", "RMSE"), rows),
    )
