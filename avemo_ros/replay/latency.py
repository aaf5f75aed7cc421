"""How long estimates take: as recorded states say, and as measured while replaying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from avemo_ros.replay.session import Session


def recorded_latency(sessions: Sequence[Session]) -> dict[str, Any] | None:
    """Latency that recorded states tell of themselves [s]; None where none does.

    It is part of the recording and so the same in every run.
    """
    found = [value for session in sessions for value in session.replayed.latencies_s]
    if not found:
        return None
    p50, p95 = np.percentile(found, (50, 95)).tolist()
    return {"states": len(found), "p50_s": p50, "p95_s": p95, "max_s": max(found)}


def stage_times(sessions: Sequence[Session]) -> dict[str, Any]:
    """Measured durations of every stage [ms], over all sessions and for each.

    Those are the newest ones that the stages keep, and others in every run.
    """
    stages: dict[str, list[float]] = {}
    for session in sessions:
        for name, values in session.replayed.stages_ms.items():
            stages.setdefault(name, []).extend(values)
    return {
        "stages_ms": {name: _summary(values) for name, values in stages.items() if values},
        "bags": {
            session.name: {
                "seconds": session.replayed.seconds,
                "stages_ms": {
                    name: _summary(values)
                    for name, values in session.replayed.stages_ms.items()
                    if values
                },
            }
            for session in sessions
        },
    }


def _summary(values: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(values, (50, 95)).tolist()
    return {"count": len(values), "p50": p50, "p95": p95, "max": max(values)}
