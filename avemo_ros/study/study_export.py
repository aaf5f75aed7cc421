"""Exports a study: replays every recording once, in parallel, and writes the tables."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from avemo_ros.annotations.segments import Segment, TruthRule, agreement
from avemo_ros.bag.reader import MarkRecord, Recording
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError, LabelError
from avemo_ros.model.released import sha256
from avemo_ros.process_pool import Done, Failed, Progress, Reached, run_jobs
from avemo_ros.replay.bag_evaluation import (
    ProgressWatcher,
    announced_s,
    split_workers,
    without_paths,
)
from avemo_ros.replay.bag_job import BagJob, BagJobResult, live_weights, run_bag_job
from avemo_ros.replay.replayed import opened
from avemo_ros.sink.output_file import OutputError, locked, replaced
from avemo_ros.study.codebook import MEASURES, TABLES, Column, codebook_csv, codebook_page
from avemo_ros.study.phases import (
    FACTORS,
    Phases,
    StudyMark,
    find_phases,
    phases_of_marks,
    read_mark,
    read_phases,
)
from avemo_ros.study.study_rows import (
    Key,
    PartMaker,
    Row,
    StudyPart,
    Totals,
    joined,
    recording_row,
    rounded,
)
from avemo_ros.study.study_table import Study, StudyRow
from avemo_ros.study.within_subject import within_subject_means

FORMATS: Final = ("csv", "parquet")
CODEBOOK: Final = ("codebook.csv", "codebook.md")
REPLAYS: Final = "replays"
"""Folder of finished replays, below that of the tables, until everything is there."""
_PARTS: Final = "parts"
"""Folder of the steps of each recording, until they are joined."""


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """What to export, and how."""

    study: Study
    out: Path
    """Folder of the tables."""
    config: PipelineConfig = field(default_factory=PipelineConfig)
    topics: Topics = field(default_factory=Topics)
    use: str = "auto"
    """What of the recordings: one of `runner.USES`."""
    workers: int = 0
    """Processes in all, at most one a core; 0: one a core."""
    cache: Path | None = None
    """Folder in which replays are kept for good; None: in `out` until everything is there."""
    truth: TruthRule = field(default_factory=TruthRule)
    """What is true where annotators differ; labels cannot be soft here."""
    parquet: bool = False
    """Write every table as Parquet, too."""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What was exported."""

    tables: Mapping[str, Sequence[Row]]
    """All but `steps`, which may be too large."""
    steps: int
    failed: Mapping[str, str]
    """Why recordings are missing, by name."""
    files: tuple[Path, ...]
    """That were written."""


@dataclass(frozen=True, slots=True)
class StudyJob:
    """A recording, and the rows of the study's table that are about it."""

    bag: BagJob
    rows: tuple[StudyRow, ...]
    parts: tuple[Path, ...]
    """Where the steps of each row go."""
    truth: TruthRule


def run_study_job(job: StudyJob, tell: Progress) -> list[StudyPart]:
    """Replay a recording, or take the stored replay, and turn it into rows.

    The steps, of which there may be millions, are written to files; all else is returned.

    Raises:
        AvemoError: the recording, its labels or its phases cannot be used.
        OSError: the disk does not take it.
    """
    done = run_bag_job(job.bag, tell)
    found = []
    for row, path in zip(job.rows, job.parts, strict=True):
        phases, marks, notes = _phases_of(row, job.bag, done)
        maker = PartMaker(row, done.recording, phases, marks, job.truth)
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerows(_cells(line, TABLES["steps"]) for line in maker.steps())
        names = sorted({name for source in done.sources for name in source.annotators})
        notes += [note for source in done.sources for note in source.notes]
        found.append(maker.part(names, notes))
    return found


def _phases_of(
    row: StudyRow, job: BagJob, done: BagJobResult
) -> tuple[Phases, list[StudyMark], list[str]]:
    """Phases and marks by the stamps of the replay, and what there is to say of them.

    Raises:
        LabelError: a file of phases is wrong, or says what the study's table says already.
    """
    with opened(row.path, job.topics) as recording:
        start_ns, end_ns = recording.start_ns, recording.end_ns
        marks = [
            read_mark(item.stamp_ns, item.text)
            for _, item in (
                recording.items(frozenset({TopicKind.MARKS}))
                if isinstance(recording, Recording) and TopicKind.MARKS in recording.kinds
                else ()
            )
            if isinstance(item, MarkRecord)
        ]
    moved_ns = done.recording.replayed.zero_ns - start_ns
    path = row.phases or find_phases(row.path)
    notes: list[str] = []
    if path is None:
        phases = phases_of_marks(marks, end_ns)
        told = "marks"
    else:
        phases = read_phases(path, start_ns)
        told = path.name
        if any(mark.factor for mark in marks):
            notes.append(
                f"{told} takes the place of the phases and conditions that were marked"
            )
    kept = dict(phases.spans)
    for factor in FACTORS:
        if getattr(row, factor) and kept.pop(factor, None):
            if path is not None:
                raise LabelError(f"{path} and the study's table both give a {factor}; give one")
            notes.append(f"the {factor} of the study's table takes the place of the marks'")
    moved = [replace(mark, stamp_ns=mark.stamp_ns + moved_ns) for mark in marks]
    return Phases(kept).moved(moved_ns), moved, notes


def _cells(row: Row, columns: Iterable[Column]) -> list[Any]:
    return ["" if (value := row.get(column.name)) is None else value for column in columns]


# --- all recordings


def planned(out: Path, *, parquet: bool) -> list[Path]:
    """The files that an export writes."""
    suffixes = FORMATS if parquet else FORMATS[:1]
    return [
        *(out / f"{name}.{suffix}" for suffix in suffixes for name in TABLES),
        *(out / name for name in CODEBOOK),
    ]


def check_parquet() -> None:
    """Raises OutputError where the library for Parquet is not installed."""
    if find_spec("pyarrow") is None:
        raise OutputError(
            "cannot write Parquet: pyarrow is not installed; pip install pyarrow, or pip "
            "install 'avemo_ros[study]'"
        )


def export_study(request: StudyRequest, watch: ProgressWatcher | None = None) -> StudyResult:
    """Replay, and write tables and codebook; what cannot be used is named, the rest goes on.

    A run that was killed goes on where it was: finished replays are kept.

    Raises:
        OutputError: the folder cannot be written, another run writes there, or the library for
            Parquet is missing.
        WeightsError: the configured model is missing or damaged, or is no live one.
        ConfigError: labels are to be soft, or nobody of the name that decides has labelled.
    """
    if request.truth.soft:
        raise ConfigError("soft_labels", True, "left out: a step has one truth in the table")
    if request.parquet:
        check_parquet()
    weights = ""
    if request.use != "states":
        weights = sha256(live_weights(request.config.model.weights))
    cache = request.cache or request.out / REPLAYS
    with ExitStack() as stack:
        stack.enter_context(locked(request.out))
        stack.enter_context(locked(cache, shared=True))
        parts = request.out / _PARTS
        parts.mkdir(exist_ok=True)
        try:
            jobs = _jobs(request, weights, cache, parts)
            found, failed = _run(jobs, request.workers, watch)
            _check_annotators(request.truth, found)
            return _write(request, found, failed, jobs)
        finally:
            for file in parts.iterdir():
                file.unlink()
            parts.rmdir()


def _jobs(request: StudyRequest, weights: str, cache: Path, parts: Path) -> list[StudyJob]:
    """One for each recording with one set of labels."""
    groups: dict[tuple[Path, tuple[Path, ...], tuple[str, ...]], list[int]] = {}
    rows = request.study.rows
    for place, row in enumerate(rows):
        key = (row.path.resolve(), row.labels, row.annotators)
        groups.setdefault(key, []).append(place)
    _, processes = split_workers(len(groups), request.workers)
    return [
        StudyJob(
            BagJob(
                rows[places[0]].recording,
                rows[places[0]].path,
                labels,
                request.config,
                request.topics,
                request.use,
                processes,
                weights,
                cache,
                annotators=annotators,
                needs_labels=False,
            ),
            tuple(rows[place] for place in places),
            tuple(parts / f"{place}.csv" for place in places),
            request.truth,
        )
        for (_, labels, annotators), places in groups.items()
    ]


def _run(
    jobs: Sequence[StudyJob], workers: int, watch: ProgressWatcher | None
) -> tuple[dict[str, StudyPart], dict[str, str]]:
    """What became of the rows of the study's table, and why others are lost; by place."""
    lengths = [announced_s(job.bag) for job in jobs]
    if watch is not None:
        watch.begin(sum(lengths), len(jobs))
    found: dict[str, StudyPart] = {}
    failed: dict[str, str] = {}
    reached = [0.0] * len(jobs)
    ended = 0
    with closing(run_jobs(jobs, run_study_job, split_workers(len(jobs), workers)[0])) as events:
        for event in events:
            match event:
                case Reached(number, seconds):
                    reached[number] = min(seconds, lengths[number])
                case Done(number, parts):
                    for row, part in zip(jobs[number].rows, parts, strict=True):
                        found[row.place] = part
                case Failed(number, reason):
                    for row in jobs[number].rows:
                        failed[row.place] = without_paths(reason, jobs[number].bag)
            if not isinstance(event, Reached):
                reached[event.number], ended = lengths[event.number], ended + 1
            if watch is not None:
                watch.reach(sum(reached), ended)
    return found, failed


def _check_annotators(rule: TruthRule, found: Mapping[str, StudyPart]) -> None:
    names = {one.label.annotator for part in found.values() for one in part.judged} - {""}
    for option, name in (("--lead", rule.lead), ("--adjudicated", rule.adjudicated)):
        if name and names and name not in names:
            allowed = f"one of the annotators: {', '.join(sorted(names))}"
            raise ConfigError(option, name, allowed)


# --- tables


def _write(
    request: StudyRequest,
    found: Mapping[str, StudyPart],
    failed: Mapping[str, str],
    jobs: Sequence[StudyJob],
) -> StudyResult:
    study = request.study
    ordered = [found[row.place] for row in study.rows if row.place in found]
    files = {
        row.place: path for job in jobs for row, path in zip(job.rows, job.parts, strict=True)
    }
    recordings = [
        found[row.place].recording
        if row.place in found
        else {**recording_row(row), "status": "failed", "problems": failed[row.place]}
        for row in study.rows
    ]
    totals = joined(ordered)
    tables: dict[str, list[Row]] = {
        "recordings": recordings,
        "segments": [row for part in ordered for row in part.segments],
        "events": [row for part in ordered for row in part.events],
        "summary": summary_rows(totals),
        "participants": participant_rows(totals),
        "comparison": comparison_rows(totals),
        "agreement": agreement_rows(ordered, request.truth.adjudicated),
    }
    columns = {
        **TABLES,
        "recordings": (
            *TABLES["recordings"],
            *(Column(name, "text", "") for name in study.others),
        ),
    }
    written = []
    for name, own in columns.items():
        path = request.out / f"{name}.csv"
        steps = [files[row.place] for row in study.rows if row.place in found]
        with replaced(path) as partial, partial.open("wb") as out:
            out.write(_csv([[column.name for column in own]]))
            if name == "steps":
                for part in steps:
                    out.write(part.read_bytes())
            else:
                out.write(_csv(_cells(row, own) for row in tables[name]))
        written.append(path)
    for name, text in zip(
        CODEBOOK, (codebook_csv(study.others), codebook_page(study.others)), strict=True
    ):
        with replaced(request.out / name) as partial:
            partial.write_bytes(text.encode())
        written.append(request.out / name)
    if request.parquet:
        written += [_parquet(request.out / f"{name}.csv", own) for name, own in columns.items()]
    places = {row.place: row for row in study.rows}
    return StudyResult(
        tables,
        sum(row["steps"] for row in tables["summary"]),
        # In the order of the table, whichever was done first.
        {f"{row.recording} ({at})": failed[at] for at, row in places.items() if at in failed},
        tuple(written),
    )


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _parquet(path: Path, columns: Sequence[Column]) -> Path:
    """The same as a table of CSV, in Parquet: with the types of the codebook."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "yes/no": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
    }
    schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
    options = pa_csv.ConvertOptions(
        column_types=schema,
        null_values=[""],
        strings_can_be_null=True,
        true_values=["1"],
        false_values=["0"],
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    out = path.with_suffix(".parquet")
    with (
        replaced(out) as partial,
        pa_csv.open_csv(path, convert_options=options, parse_options=parse) as reader,
        pq.ParquetWriter(partial, schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)
    return out


def summary_rows(totals: Mapping[Key, Totals]) -> list[Row]:
    """Every participant in every session, condition and phase."""
    names = ("participant", "session", *FACTORS)
    return [
        {
            **{name: value or None for name, value in zip(names, key, strict=True)},
            **own.measures(),
        }
        for key, own in totals.items()
    ]


def participant_rows(totals: Mapping[Key, Totals]) -> list[Row]:
    """Every participant at each level of each factor, with all their steps there."""
    found: dict[tuple[str, str, str], Totals] = {}
    for place, factor in enumerate(FACTORS, start=2):
        for key, own in totals.items():
            if key[place]:
                found.setdefault((key[0], factor, key[place]), Totals()).add(own)
    return [
        {"participant": person, "factor": factor, "level": level, **own.measures()}
        for (person, factor, level), own in found.items()
    ]


def comparison_rows(totals: Mapping[Key, Totals]) -> list[Row]:
    """Means over participants at each level of each factor."""
    rows = participant_rows(totals)
    return [
        {
            "factor": factor,
            "level": one.condition,
            "measure": measure,
            "participants": one.people,
            "left_out": one.left_out,
            "mean": _known(one.mean),
            "sd": _known(one.sd),
            "low": _known(one.low),
            "high": _known(one.high),
            "why": one.why or None,
        }
        for factor in FACTORS
        for measure in MEASURES
        for one in within_subject_means(_by_person(rows, factor, measure))
    ]


def _by_person(rows: Iterable[Row], factor: str, measure: str) -> dict[str, dict[str, float]]:
    """Of each participant the measure at each level."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["factor"] == factor:
            value = math.nan if row[measure] is None else float(row[measure])
            found.setdefault(row["participant"], {})[row["level"]] = value
    return found


def agreement_rows(parts: Sequence[StudyPart], adjudicated: str = "") -> list[Row]:
    """How far annotators agree: over everything, and at each level of each factor."""
    found = list(
        _agreed("", "", [[one.label for one in part.judged] for part in parts], adjudicated)
    )
    for factor in FACTORS:
        levels = dict.fromkeys(getattr(one, factor) for part in parts for one in part.judged)
        for level in levels:
            if level:
                labels = [
                    [one.label for one in part.judged if getattr(one, factor) == level]
                    for part in parts
                ]
                found += _agreed(factor, level, labels, adjudicated)
    return found


def _agreed(
    factor: str, level: str, labels: Sequence[Sequence[Segment]], adjudicated: str
) -> Iterator[Row]:
    result = agreement(labels, adjudicated)
    if result is None:
        return
    head = {"factor": factor or None, "level": level or None}
    yield {
        **head,
        "seconds": rounded(result["seconds"]),
        "observed": _known(result["observed"]),
        "statistic": result["kappa"]["name"],
        "kappa": _known(result["kappa"]["value"]),
        "why": result["kappa"]["why"] or None,
    }
    for pair in result["pairs"]:
        yield {
            **head,
            "first": pair["first"] or None,
            "second": pair["second"] or None,
            "seconds": rounded(pair["seconds"]),
            "observed": _known(pair["observed"]),
            "statistic": "cohen",
            "kappa": _known(pair["kappa"]),
            "why": None if math.isfinite(pair["kappa"]) else "no spread, or nothing in common",
        }


def _known(value: float) -> float | None:
    return rounded(value) if math.isfinite(value) else None
