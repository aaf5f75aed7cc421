"""What every column of a study's tables means, and in which unit; the tables are made by it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from avemo_ros.labels import EMOTIONS
from avemo_ros.state.estimate import Status


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: str
    """'text', 'integer', 'number', 'yes/no' (1 or 0) or 'time' (ISO 8601, UTC)."""
    text: str
    unit: str = ""
    values: str = ""
    """What may stand there, where that is a list or a range."""


_SHARE: Final = "0 to 1"
_CLASSES: Final = ", ".join(EMOTIONS)
_KEYS: Final = (
    Column("participant", "text", "as in the study's table"),
    Column("session", "text", "as in the study's table"),
    Column("condition", "text", "of the study's table, or of a mark or file of phases"),
    Column("phase", "text", "of the study's table, or of a mark or file of phases"),
)
_RECORDING: Final = Column("recording", "text", "as the study's table spells it")
_TIME: Final = Column("time", "time", "when; empty where the recording has no date")
_SECONDS: Final = Column("t_s", "number", "from the recording's first message", "s")
_FACTORS: Final = (
    Column("factor", "text", "what is compared", values="condition, phase"),
    Column("level", "text", "the condition or phase"),
)


def _of_each(prefix: str, text: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"{prefix}_{name}", "number", text.format(name), values=_SHARE)
        for name in EMOTIONS
    )


_MEASURES: Final = (
    Column("steps", "integer", "estimates, one a step of the stream"),
    Column("seconds", "number", "time that the steps stand for", "s"),
    Column("labelled_steps", "integer", "steps at which an annotator's label is true"),
    Column(
        "accuracy",
        "number",
        "share of the labelled steps at which the most probable class is the true one; a step "
        "without probabilities counts as wrong",
        values=_SHARE,
    ),
    Column(
        "ua", "number", "the same, as the mean over the classes that are true", values=_SHARE
    ),
    Column("coverage", "number", "share of the steps with a label", values=_SHARE),
    *_of_each("share", "share of the steps with a label that are {}"),
    *_of_each("p", "mean probability of {}, over the steps with probabilities"),
    Column("valence", "number", "mean, derived from the probabilities", values="-1 to 1"),
    Column("arousal", "number", "mean, derived from the probabilities", values="-1 to 1"),
    Column(
        "speaking", "number", "share of the steps at which the person speaks", values=_SHARE
    ),
    Column("changes", "integer", "of the steady label; recorded states do not tell them"),
    Column("changes_per_minute", "number", "the same by time", "1/min"),
)
MEASURES: Final = (*(c.name for c in _MEASURES if c.kind == "number" and c.name != "seconds"),)
"""Columns of the summary whose means over people are compared."""

TABLES: Final[Mapping[str, tuple[Column, ...]]] = {
    "recordings": (
        *_KEYS,
        _RECORDING,
        Column(
            "person", "text", "who the participant is in the recording; empty: the attended"
        ),
        Column("start_s", "number", "where the part that counts begins", "s"),
        Column("end_s", "number", "where it ends; empty: at the recording's end", "s"),
        Column("begins_at", "time", "first message; empty where the recording has no date"),
        Column("seconds", "number", "from the first to the last input that was used", "s"),
        Column("source", "text", "what the estimates rest on", values="raw, features, states"),
        Column("model", "text", "name of the model"),
        Column("steps", "integer", "rows in `steps`"),
        Column("annotators", "text", "who has labelled, separated by semicolons"),
        Column("status", "text", "whether it is in the other tables", values="ok, failed"),
        Column("problems", "text", "why it failed, or what is missing or odd"),
    ),
    "steps": (
        *_KEYS,
        _RECORDING,
        _TIME,
        _SECONDS,
        Column("people", "integer", "how many are in view or heard"),
        Column("face_id", "text", "id in the stream; another one in each recording"),
        Column("voice_id", "text", "id in the stream; another one in each recording"),
        Column(
            "status",
            "text",
            "why the estimate says what it says; ABSENT: the stream does not know the person",
            values=", ".join([*(one.name for one in Status), "ABSENT"]),
        ),
        Column("label", "text", "what is claimed; empty: nothing", values=_CLASSES),
        Column("confidence", "number", "calibrated, of the most probable class", values=_SHARE),
        Column("predicted", "text", "the most probable class, claimed or not", values=_CLASSES),
        *_of_each("p", "probability of {}"),
        Column("valence", "number", "derived from the probabilities", values="-1 to 1"),
        Column("arousal", "number", "derived from the probabilities", values="-1 to 1"),
        Column("face_share", "number", "part of the face in the decision", values=_SHARE),
        Column("voice_share", "number", "part of the voice in the decision", values=_SHARE),
        Column("speaking", "yes/no", "the person speaks", values="1, 0"),
        Column("truth", "text", "by the annotators; empty: none or tied", values=_CLASSES),
        Column("right", "yes/no", "`predicted` is `truth`; empty: no truth", values="1, 0"),
    ),
    "segments": (
        *_KEYS,
        _RECORDING,
        Column("annotator", "text", "who has judged; empty where nobody is named"),
        Column("start_s", "number", "from the recording's first message", "s"),
        Column("end_s", "number", "a label over two phases is a row for each", "s"),
        Column("label", "text", "what was judged", values=_CLASSES),
        Column("valence", "number", "as judged", values="-1 to 1"),
        Column("arousal", "number", "as judged", values="-1 to 1"),
        Column("steps", "integer", "estimates within"),
        Column("predicted", "text", "class with the largest mean probability", values=_CLASSES),
        Column("confidence", "number", "mean probability of `predicted`", values=_SHARE),
        Column("p_label", "number", "mean probability of `label`", values=_SHARE),
        Column("coverage", "number", "share of the steps within with a label", values=_SHARE),
        Column("right", "yes/no", "`predicted` is `label`; empty: no answer", values="1, 0"),
    ),
    "events": (
        *_KEYS,
        _RECORDING,
        _TIME,
        _SECONDS,
        Column(
            "event",
            "text",
            "a change of the steady label, or what was marked",
            values="label_change, condition, phase, mark",
        ),
        Column("text", "text", "words of the mark; empty: the phase or condition ended"),
        Column("previous", "text", "steady label before; empty: none", values=_CLASSES),
        Column("label", "text", "steady label now; empty: none", values=_CLASSES),
        Column("confidence", "number", "smoothed probability of `label`", values=_SHARE),
        Column("lasted_s", "number", "how long `previous` had been steady", "s"),
    ),
    "summary": (
        *_KEYS,
        Column("recordings", "integer", "from which the steps come"),
        *_MEASURES,
    ),
    "participants": (
        _KEYS[0],
        *_FACTORS,
        Column("recordings", "integer", "from which the steps come"),
        *_MEASURES,
    ),
    "comparison": (
        *_FACTORS,
        Column("measure", "text", "column of `participants`", values=", ".join(MEASURES)),
        Column("participants", "integer", "who have the measure at every level"),
        Column("left_out", "integer", "who have it at some levels only"),
        Column("mean", "number", "over participants, each with all their steps"),
        Column("sd", "number", "between participants"),
        Column("low", "number", "95 % within-subject interval (Cousineau 2005, Morey 2008)"),
        Column("high", "number", "its other end"),
        Column("why", "text", "why there is no interval"),
    ),
    "agreement": (
        *(Column(c.name, c.kind, f"{c.text}; empty: all together") for c in _FACTORS),
        Column("first", "text", "an annotator; empty: all annotators together"),
        Column("second", "text", "the other annotator"),
        Column("seconds", "number", "labelled by both, or by two or more", "s"),
        Column("observed", "number", "share of pairs of answers that agree", values=_SHARE),
        Column("statistic", "text", "which kappa", values="cohen, fleiss"),
        Column("kappa", "number", "agreement beyond chance", values="-1 to 1"),
        Column("why", "text", "why there is none"),
    ),
}
"""The columns of each table, in their order."""
ROW_OF: Final[Mapping[str, str]] = {
    "recordings": "a row of the study's table",
    "steps": "an estimate of the participant, ten a second",
    "segments": "a label by one annotator",
    "events": "a change of the steady label, or a mark",
    "summary": "a participant in a session, condition and phase",
    "participants": "a participant at a level of a factor, over all sessions",
    "comparison": "a measure at a level of a factor",
    "agreement": "two annotators, or all together",
}
"""What one row of a table is."""
EVERY_NAME: Final = frozenset(column.name for table in TABLES.values() for column in table)


def codebook_rows(others: Sequence[str] = ()) -> list[dict[str, str]]:
    """The codebook as a table: table, column, type, unit, description, values.

    Args:
        others: further columns of the study's table, which `recordings` ends with.
    """
    own = [Column(name, "text", "of the study's table, as it stands there") for name in others]
    return [
        {
            "table": table,
            "column": column.name,
            "type": column.kind,
            "unit": column.unit,
            "description": column.text,
            "values": column.values,
        }
        for table, columns in TABLES.items()
        for column in (*columns, *(own if table == "recordings" else ()))
    ]


def codebook_page(others: Sequence[str] = ()) -> str:
    """The codebook as a page in Markdown."""
    text = [
        "# Codebook",
        "",
        "Tables are CSV (RFC 4180, UTF-8). An empty cell is a missing value. Times are ISO "
        "8601 in UTC. Yes and no are 1 and 0. A step is an estimate of the stream.",
    ]
    rows = codebook_rows(others)
    for table, what in ROW_OF.items():
        text += ["", f"## {table}.csv", "", f"One row: {what}.", ""]
        text += ["| column | type | unit | what | values |", "| --- | --- | --- | --- | --- |"]
        text += [
            f"| {row['column']} | {row['type']} | {row['unit']} | {row['description']} | "
            f"{row['values']} |"
            for row in rows
            if row["table"] == table
        ]
    return "\n".join(text) + "\n"


def codebook_csv(others: Sequence[str] = ()) -> str:
    """The codebook as CSV."""
    rows = codebook_rows(others)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
