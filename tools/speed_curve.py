"""Draws how soon changes are followed against how many false ones there are.

    python tools/speed_curve.py --out docs/keeping-up.svg --title "short windows, filter_s" \
        --point "windows of 3 s" before-*.json \
        --curve "0 s" f0-*.json --curve "0.5 s" f0.5-*.json

The files are what `avemo bag evaluate --json` writes; several of one point are the folds, over
which is averaged.  Prints what it draws.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

REACH_S, REACH = 1.5, 6.0
"""What the estimates are to reach: seconds to detect a change, false changes a minute."""


class Point(NamedTuple):
    """Means over the folds."""

    name: str
    median_s: float
    false_changes: float
    accuracy: float


def read_point(name: str, paths: list[str]) -> Point:
    """One point of the figure.

    Raises:
        SystemExit: a file has no metrics, or no change in it was detected.
    """
    rows = []
    for path in paths:
        overall = json.loads(Path(path).read_text(encoding="utf-8")).get("overall")
        if overall is None or overall["reaction"]["median_s"] is None:
            raise SystemExit(f"{path} has no change that was detected")
        rows.append(
            (
                overall["reaction"]["median_s"],
                overall["stability"]["false_changes_per_minute"],
                overall["frames"]["accuracy"],
            )
        )
    return Point(name, *np.mean(rows, axis=0).tolist())


def draw(points: list[Point], curve: list[Point], title: str, out: Path) -> None:
    """Write the figure; its ending says how."""
    with rc_context({"svg.hashsalt": "avemo", "svg.fonttype": "path", "font.size": 10}):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.fill_between([0, REACH_S], 0, REACH, color="#2e7d32", alpha=0.12, lw=0)
        axes.text(0.03, 0.3, "to reach", color="#2e7d32")
        axes.plot(
            [one.median_s for one in curve],
            [one.false_changes for one in curve],
            "o-",
            color="#1565c0",
            label=title,
        )
        for mark, one in zip("sD^v", points, strict=False):
            axes.plot(
                one.median_s, one.false_changes, mark, color="#c62828", ms=9, label=one.name
            )
        for one in [*curve, *points]:
            text = f"{one.accuracy:.0%} right"
            text = f"{one.name}: {text}" if one in curve else text
            axes.annotate(text, one[1:3], (7, 7), textcoords="offset points", color="#333333")
        axes.set_xlabel("median time to detect a change [s]")
        axes.set_ylabel("false changes of the label per minute")
        axes.set_xlim(0, 1.25 * max(one.median_s for one in [*points, *curve]))
        axes.set_ylim(0, 1.15 * max(one.false_changes for one in [*points, *curve]))
        axes.grid(alpha=0.25)
        axes.legend(loc="center right", frameon=False)
        figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main() -> None:
    """Carry out the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help=".svg or .png")
    parser.add_argument("--title", default="filter", help="of the curve")
    for name in ("--point", "--curve"):
        parser.add_argument(
            name, nargs="+", action="append", default=[], metavar=("NAME", "JSON")
        )
    args = parser.parse_args()
    points, curve = (
        [read_point(name, paths) for name, *paths in given]
        for given in (args.point, args.curve)
    )
    for one in [*points, *curve]:
        print(
            f"{one.name}: {one.median_s:.2f} s, {one.false_changes:.1f} false changes a "
            f"minute, {one.accuracy:.1%} right"
        )
    draw(points, curve, args.title, args.out)


if __name__ == "__main__":
    main()
