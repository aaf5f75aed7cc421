"""Estimates as JSON Lines: one object per person and step."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, plain_fields
from avemo_ros.timing import to_s


def record(estimate: EmotionEstimate, *, attended: bool, start_ns: int) -> dict[str, object]:
    """One estimate as plain values, named as the fields of `EmotionState.msg`.

    Args:
        estimate: what is claimed of one person.
        attended: this is whom the robot should attend to.
        start_ns: sensor time that counts as 0 [ns]: the start of the file or stream.
    """
    box = estimate.box
    fields = plain_fields(estimate)
    labels, shares = fields.pop("labels"), fields.pop("probabilities")
    del fields["box_valid"]
    fields["speaking_score"] = estimate.speaking_score
    return {
        "t": _rounded(to_s(estimate.stamp_ns - start_ns)),
        "window_start": _rounded(to_s(estimate.window_start_ns - start_ns)),
        **{name: _rounded(value) for name, value in fields.items()},
        "probabilities": (
            {label: _rounded(share) for label, share in zip(labels, shares, strict=True)}
            if shares
            else None
        ),
        "status": estimate.status.name,
        "engagement": estimate.engagement.name,
        "box": (
            None
            if box is None
            else [_rounded(value) for value in (box.x, box.y, box.width, box.height)]
        ),
        "attended": attended,
    }


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, 6)


def records(step: EmotionStep, start_ns: int) -> Iterator[dict[str, object]]:
    """Everyone in view; with nobody in view the attended state, which says why."""
    for estimate in step.estimates or (step.attended,):
        yield record(estimate, attended=estimate == step.attended, start_ns=start_ns)


class JsonLines:
    """Writes steps to a file that appears when it is complete, or to standard output.

    Use as a context manager.  When the block ends with an exception, the lines so far stay in
    `NAME.partial.EXT`.
    """

    def __init__(self, path: Path | None, start_ns: int) -> None:
        """
        Args:
            path: file to write; None writes to standard output, line by line.
            start_ns: sensor time that counts as `t` = 0 [ns].
        """
        self._path = path
        self._start_ns = start_ns
        self._stack = ExitStack()
        self._out: IO[str] = sys.stdout

    def __enter__(self) -> JsonLines:
        """Raises OutputError when the file cannot be written."""
        if self._path is not None:
            partial = self._stack.enter_context(replaced(self._path))
            self._out = self._stack.enter_context(partial.open("w", encoding="utf-8"))
        return self

    def write(self, step: EmotionStep) -> None:
        """Add the lines of one step.

        Raises:
            OutputError: the disk is full or gone.
        """
        try:
            for item in records(step, self._start_ns):
                self._out.write(json.dumps(item, allow_nan=False) + "\n")
            if self._path is None:
                self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            where = self._path or "standard output"
            raise OutputError(f"cannot write {where}: {error.strerror}") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
