"""Estimates that were recorded with `avemo predict --json`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from avemo_ros.clock import to_ns
from avemo_ros.dialog.made_hops import START_NS
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import EmotionEstimate, Hop, Status, recorded_status


def recorded_hops(path: Path) -> Iterator[Hop]:
    """The hops of a JSON Lines file, oldest first; `t` = 0 becomes START_NS.

    Raises:
        DialogError: the file cannot be read, or a line is not as `avemo predict` writes it.
    """
    before = -math.inf
    for t, group in groupby(_records(path), key=lambda item: item[1]["t"]):
        rows = list(group)
        number = rows[0][0]
        if not t > before:
            raise DialogError(
                f"{path}, line {number}: t is {t:g} after {before:g}; it must rise"
            )
        before = t
        estimates = [_estimate(path, number, row) for number, row in rows]
        attended = [
            one for one, (_, row) in zip(estimates, rows, strict=True) if row["attended"]
        ]
        if len(attended) != 1:
            raise DialogError(
                f"{path}, line {number}: {len(attended)} people are attended to at t = {t:g}; "
                "allowed: 1"
            )
        people = tuple(one for one in estimates if one.face_id or one.voice_id)
        yield Hop(estimates[0].stamp_ns, people, attended[0], estimates[0].stamp_ns)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and content of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DialogError(f"cannot read {path}: {why}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        time = row.get("t") if isinstance(row, dict) else None
        if not isinstance(time, int | float) or not math.isfinite(time):
            raise DialogError(f"{path}, line {number}: no state as `avemo predict` writes it")
        yield number, row


def _estimate(path: Path, number: int, row: dict[str, Any]) -> EmotionEstimate:
    try:
        probabilities: tuple[float, ...] = ()
        if row["probabilities"] is not None:
            shares = [float(row["probabilities"][label]) for label in EMOTIONS]
            total = math.fsum(shares)
            if min(shares) < 0.0 or not math.isclose(total, 1.0, abs_tol=1e-3):
                raise ValueError
            # Six decimals do not sum to 1 exactly.
            probabilities = tuple(share / total for share in shares)
        if row["label"] not in (*EMOTIONS, UNKNOWN):
            raise ValueError
        return EmotionEstimate(
            stamp_ns=START_NS + to_ns(float(row["t"])),
            window_start_ns=START_NS + to_ns(float(row["window_start"])),
            person_id=str(row["person_id"]),
            face_id=str(row["face_id"]),
            voice_id=str(row["voice_id"]),
            label=row["label"],
            confidence=float(row["confidence"]),
            probabilities=probabilities,
            face_share=float(row["face_share"]),
            voice_share=float(row["voice_share"]),
            status=recorded_status(Status[row["status"]], (row["face_id"], row["voice_id"])),
            box=None,
            speaking=bool(row["speaking"]),
            model_id=str(row["model_id"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DialogError(
            f"{path}, line {number}: no state as `avemo predict` writes it ({error!r})"
        ) from error
