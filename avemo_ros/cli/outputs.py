"""Result files that the user names."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from avemo_ros.sink.output_file import OutputError, is_stream, replaced, sweep
from avemo_ros.untrusted import real, say

_REPORT_LIBRARIES: Final = ("Jinja2", "plotly")
"""What makes reports; a robot need not have it."""


def add_report(parser: argparse._ActionsContainer, text: str, *former: str) -> None:
    """Declare --report.

    Args:
        parser: gets it.
        text: what the page shows, for the help.
        former: what the option was called before; still taken, with a word on stderr.
    """
    parser.add_argument("--report", type=Path, metavar="OUT.html", help=text)
    add_former(parser, "report", *former)


def add_former(parser: argparse._ActionsContainer, name: str, *former: str) -> None:
    """Declare former names of an option that takes a path.

    Args:
        parser: gets them.
        name: of the option now, without its dashes.
        former: what the option was called before; still taken, with a word on stderr.
    """
    for option in former:
        parser.add_argument(
            option, action=_Renamed, dest=name, type=Path, help=argparse.SUPPRESS
        )


def check_report(path: Path | None) -> None:
    """Refuse a report that cannot be made here, before minutes of work.

    Args:
        path: of the report; None: not asked for.

    Raises:
        OutputError: a library that makes it is not installed.
    """
    lacking = [name for name in _REPORT_LIBRARIES if find_spec(name.lower()) is None]
    if path is not None and lacking:
        verb = "is" if len(lacking) == 1 else "are"
        raise OutputError(
            f"cannot write {path}: {' and '.join(lacking)} {verb} not installed; "
            f"pip install {' '.join(lacking)}, or pip install 'avemo_ros[report]'"
        )


def add_force(parser: argparse._ActionsContainer) -> None:
    """Declare --force."""
    parser.add_argument("--force", action="store_true", help="overwrite existing files")


class _Renamed(argparse.Action):
    """An option that has been renamed: still taken, and the new name is printed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        say(f"{parser.prog}: {option_string} is now --{self.dest}", file=sys.stderr)
        setattr(namespace, self.dest, values)


def check_outputs(
    paths: Sequence[Path | None],
    *,
    force: bool,
    sources: Sequence[Path] = (),
    left_over: Callable[[Path], bool] | None = None,
) -> None:
    """Refuses what would otherwise be found out after minutes of work.

    Args:
        paths: of files that will be written; None: not asked for.
        force: files that are there may be replaced.
        sources: what is read, and must not be written to.
        left_over: whether a file holds no result, but says that a run failed; such a file is
            replaced anyway, so that it is not in the way of the next try.

    Raises:
        OutputError: a folder is missing, a path is a folder, is named twice, is that of an
            input, or names a file that is there.
    """
    seen = {real(path) for path in sources}
    for path in paths:
        if path is None:
            continue
        if is_stream(path):
            continue
        if real(path) in seen:
            raise OutputError(f"cannot write {path}: it is given twice, or it is the input")
        seen.add(real(path))
        folder = real(path).parent
        sweep(folder)
        if not folder.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {folder}")
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")
        if not force and path.exists() and not (left_over and left_over(path)):
            raise OutputError(f"{path} already exists; --force overwrites it")


@contextmanager
def all_or_none(paths: Sequence[Path | None]) -> Iterator[None]:
    """Around what writes the result files of a command: if one of them fails, none that is new
    stays, as it would be in the way of the next try.

    Args:
        paths: of the files; None: not asked for.
    """
    new = [path for path in paths if path is not None and not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one atomic step.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(content, indent=1) + "\n"
    try:
        with replaced(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
