"""What worker processes do in the tests of the crew."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from avemo_ros.errors import BagError


def do(job: str, tell: Callable[[float], None]) -> str:
    """'die', 'refuse' and 'break' fail in three ways; 'wait FILE' waits for ever."""
    tell(0.0)
    if job == "die":
        os._exit(9)
    if job == "refuse":
        raise BagError("bag 'x' is empty")
    if job == "break":
        raise ZeroDivisionError("by nothing")
    if job.startswith("wait "):
        Path(job[5:]).write_text(str(os.getpid()))
        while True:
            time.sleep(0.05)
    return f"{job} by {os.getpid()}"
