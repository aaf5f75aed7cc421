"""What worker processes do in the tests of the pool."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from avemo_ros.errors import BagError

LARGE = 20 << 20
"""Bytes of a result that takes a while to be sent."""


def do(job: str, report: Callable[[float], None]) -> str | bytes:
    """What the job's first word says; 'wait', 'tick' and 'orphan' never end."""
    report(0.0)
    word, _, file = job.partition(" ")
    if job == "die late":
        # Killed while the result is being sent, as happens where memory runs out.
        threading.Timer(0.05, os.kill, (os.getpid(), 9)).start()
        return bytes(8 * LARGE)
    match word:
        case "die":
            os._exit(9)
        case "large":
            return bytes(LARGE)
        case "refuse":
            raise BagError("bag 'x' is empty")
        case "break":
            raise ZeroDivisionError("by nothing")
        case "print":
            print("hello")
        case "slow":
            # Reports of less than 0.2 s after the last are left out.
            while not Path(file).exists():
                time.sleep(0.02)
            time.sleep(0.3)
            report(7.0)
        case "wait" | "tick" | "orphan":
            _never_end(word, Path(file), report)
    return f"{job} by {os.getpid()}"


def _never_end(word: str, file: Path, report: Callable[[float], None]) -> None:
    processes = [os.getpid()]
    if word == "orphan":
        # A process of the worker's own, that looks at images.
        from avemo_ros.replay.feature_worker import FeatureWorker

        helper = FeatureWorker()
        processes += [child.pid or 0 for child in multiprocessing.active_children()]
    file.with_suffix(".part").write_text(" ".join(map(str, processes)))
    file.with_suffix(".part").rename(file)
    for second in range(1_000_000):
        time.sleep(0.05)
        if word != "wait":
            report(float(second))
    del helper
