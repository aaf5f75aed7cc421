"""Result files that the user names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avemo_ros.sink.atomic import OutputError, is_stream, replaced


def check_outputs(paths: Sequence[Path | None]) -> None:
    """Refuses what would otherwise be found out after minutes of work.

    Args:
        paths: of files that will be written; None: not asked for.

    Raises:
        OutputError: a folder is missing, a path is a folder, or one is named twice.
    """
    seen = set()
    for path in paths:
        if path is None:
            continue
        if path.resolve() in seen:
            raise OutputError(f"cannot write {path}: it is named twice")
        seen.add(path.resolve())
        folder = path.resolve().parent
        if not folder.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {folder}")
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")


def refuse_existing(paths: Sequence[Path | None]) -> None:
    """Refuses to replace files, for commands that do so only with --force.

    Args:
        paths: of files that will be written; None: not asked for.

    Raises:
        OutputError: one is there already.
    """
    for path in paths:
        if path is not None and path.exists() and not is_stream(path):
            raise OutputError(f"{path} is there already; --force replaces it")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one atomic step.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(content, indent=1) + "\n"
    try:
        with replaced(path) as made:
            made.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
