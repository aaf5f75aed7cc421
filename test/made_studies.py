"""Studies of recorded states, for the tests of the export."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from made_steps import START_NS, clip
from tiny_bags import STATES, STORE, STRING, Row, new, write

from avemo_ros.annotations.segments import TruthRule
from avemo_ros.bag.writer import MessageEncoder
from avemo_ros.study.study_export import StudyRequest, StudyResult, export_study
from avemo_ros.study.study_table import read_study

ANN = "person,start,end,label,annotator\n,0,3,neutral,ann\n,3,6,happy,ann\n,6,9,fear,ann\n"
BEN = ",0,3,neutral,ben\n,3,6,sad,ben\n,6,9,fear,ben\n"


def states_of(
    path: Path,
    seconds: float = 9.0,
    marks: Iterable[tuple[float, str]] = (),
    labels: str = "",
) -> Path:
    """A bag of `clip(seconds)`; marks at seconds from START_NS, labels beside it."""
    encoder = MessageEncoder(STORE)
    rows = [
        Row(
            "/emotion_states",
            STATES,
            step.stamp_ns,
            STORE.deserialize_cdr(bytes(encoder.states(step)), STATES),
        )
        for step in clip(seconds)
    ]
    rows += [
        Row("/study_mark", STRING, START_NS + round(1e9 * at_s), new(STRING, text))
        for at_s, text in marks
    ]
    write(path, sorted(rows, key=lambda row: row.log_ns))
    if labels:
        path.with_name(f"{path.name}.labels.csv").write_text(labels)
    return path


def study_of(folder: Path, *lines: str) -> Path:
    """`study.csv` of these lines."""
    path = folder / "study.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def exported(
    table: Path, out: Path, rule: TruthRule | None = None, *, parquet: bool = False
) -> StudyResult:
    """The tables of a study of recorded states."""
    request = StudyRequest(
        read_study(table), out, use="states", truth=rule or TruthRule(), parquet=parquet
    )
    return export_study(request)


def table_of(path: Path) -> list[dict[str, Any]]:
    """A table as the csv module reads it: everything is text."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))
