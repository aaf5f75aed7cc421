"""`avemo study`: the recordings of a study as tidy tables, and a page to label them."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from avemo_ros.annotations.label_files import find_bags
from avemo_ros.annotations.segments import TruthRule
from avemo_ros.cli.bag_check import add_topic_options, read_topics
from avemo_ros.cli.bag_evaluate import ProgressBar
from avemo_ros.cli.outputs import add_force, add_report, check_outputs, check_report
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError
from avemo_ros.replay.runner import USES
from avemo_ros.sink.output_file import FolderLock
from avemo_ros.sink.presentation import counted
from avemo_ros.study.annotation_server import AnnotationServer, AnnotationSession
from avemo_ros.study.study_export import (
    FORMATS,
    REPLAYS,
    StudyRequest,
    StudyResult,
    check_parquet,
    export_study,
    planned,
)
from avemo_ros.study.study_table import COLUMNS, read_study
from avemo_ros.untrusted import say

DONE: Final = 0
FAILED: Final = 1
"""Done, but a recording could not be exported."""
_LAST_PORT: Final = 65535


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        f"The table has the columns {', '.join(COLUMNS[:5])},\n"
        f"{', '.join(COLUMNS[5:])} and your own; the first two are needed\n"
        "(docs/study.md).\n\n"
        "exit status: 0 done, 1 done but a recording could not be exported (recordings.csv\n"
        "says why), 2 an argument or a file cannot be used, 130 interrupted (the same command\n"
        "continues)"
    )
    parser.add_argument(
        "study",
        type=Path,
        metavar="STUDY",
        help="table of the study, its folder, or a folder with a folder of recordings for each "
        "participant",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the tables"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="csv, or parquet beside it (needs pyarrow; default: csv)",
    )
    add_report(parser, "write an HTML report that compares conditions")
    truth = parser.add_argument_group("several annotators")
    truth.add_argument(
        "--lead",
        default="",
        metavar="NAME",
        help="where votes are tied, this annotator decides; default: there is no truth",
    )
    truth.add_argument(
        "--adjudicated",
        default="",
        metavar="NAME",
        help="labels of this annotator are true wherever there are any; they are not votes, "
        "and do not count in the agreement",
    )
    add_topic_options(parser)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, as for the nodes"
    )
    how.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="set one parameter, e.g. emotion.hop_s=0.2; may be given several times",
    )
    how.add_argument(
        "--model",
        metavar="NAME",
        help="released model, .safetensors file, or one of your own (docs/extending.md)",
    )
    how.add_argument(
        "--use",
        choices=USES,
        default="auto",
        help="images and audio, recorded features, or recorded states (default: the first of "
        "these that the recording contains)",
    )
    how.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes in total, at most one per core (default: one per core)",
    )
    how.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep finished replays in this folder and reuse them, as avemo bag evaluate does; "
        f"default: {REPLAYS}/ in DIR, deleted when everything is exported",
    )
    how.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    add_force(parser)


def run_export(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an argument, the study's table, the model or an output cannot be used.
        KeyboardInterrupt: the user interrupted; finished replays are kept.
    """
    study = read_study(args.study)
    if args.workers < 0:
        raise ConfigError("--workers", args.workers, "0 or more")
    parquet = args.format == "parquet"
    if parquet:
        check_parquet()
    check_report(args.report)
    args.out.mkdir(parents=True, exist_ok=True)
    check_outputs(
        [*planned(args.out, parquet=parquet), args.report],
        force=args.force,
        sources=[args.study],
    )
    settings = list(args.settings)
    if args.model is not None:
        settings.append(f"model.weights={args.model}")
    request = StudyRequest(
        study,
        args.out,
        PipelineConfig.read(args.config, settings),
        read_topics(args),
        args.use,
        args.workers,
        args.cache,
        TruthRule(args.lead, args.adjudicated),
        parquet,
    )
    own = args.out / REPLAYS
    if args.cache is None and own.is_dir():
        FolderLock(own).release()  # another run may be at work there
        say(f"avemo: takes finished replays from {own}", file=sys.stderr)
    try:
        with ProgressBar(shown=not args.quiet and sys.stderr.isatty()) as bar:
            result = export_study(request, bar)
    except KeyboardInterrupt:
        say(
            f"avemo: finished replays are kept in {args.cache or own}; the same command "
            "continues with them",
            file=sys.stderr,
        )
        raise
    if args.report is not None:
        from avemo_ros.report.study_page import write_study

        write_study(args.report, study, result)
    if args.cache is None and not result.failed:
        shutil.rmtree(own, ignore_errors=True)
    for name, why in result.failed.items():
        say(f"avemo: {name} not exported: {why}", file=sys.stderr)
    if not args.quiet:
        say("\n".join(export_summary(result)))
        for path in filter(None, [args.out, args.report]):
            say(f"avemo: wrote {path}", file=sys.stderr)
    return FAILED if result.failed else DONE


def add_annotate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Open the address that is printed in a browser of this machine.  The labels of the\n"
        "recording day1 by ann are in day1.ann.csv.  Ctrl-C ends; everything is saved.\n\n"
        "exit status: 0 ended with Ctrl-C, 2 an argument or a file cannot be used"
    )
    parser.add_argument(
        "recordings",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="bag with images, folder of bags, or media file",
    )
    parser.add_argument(
        "--rater", required=True, metavar="NAME", help="who labels: part of the files' names"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="DIR",
        help="folder for the labels (default: beside each recording)",
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port (default: any free one)"
    )


def run_annotate(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C; returns the exit status.

    Raises:
        AvemoError: an argument or a recording cannot be used.
    """
    if not 0 <= args.port <= _LAST_PORT:
        raise ConfigError("--port", args.port, f"0 to {_LAST_PORT}")
    recordings = find_bags(args.recordings)
    for path in recordings:
        if not path.exists():
            raise ConfigError("BAG", str(path), "a bag or a media file; there is none")
    if args.labels is not None:
        args.labels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="avemo-") as folder:
        session = AnnotationSession(recordings, args.rater, args.labels, Path(folder))
        try:
            server = AnnotationServer(session, args.port)
        except OSError as error:
            raise ConfigError("--port", args.port, f"a free one ({error.strerror})") from error
        with server:
            say(f"avemo: open {server.address}", file=sys.stderr)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
    return DONE


def export_summary(result: StudyResult) -> list[str]:
    """What was exported, in a few lines."""
    done = [row for row in result.tables["recordings"] if row["status"] == "ok"]
    people = {row["participant"] for row in done}
    lines = [
        f"{counted(len(people), 'participant')}, {counted(len(done), 'recording')}: "
        f"{result.steps} steps, {len(result.tables['segments'])} segments, "
        f"{len(result.tables['events'])} events"
    ]
    for row in result.tables["agreement"]:
        if row["factor"] is None and row.get("first") is None:
            kappa = row["why"] if row["kappa"] is None else f"{row['kappa']:.3f}"
            lines.append(f"agreement of the annotators ({row['statistic']}'s kappa): {kappa}")
    noted = [row for row in done if row["problems"]]
    if noted:
        lines.append(
            f"{counted(len(noted), 'recording')} with remarks: see problems in recordings.csv"
        )
    return lines
