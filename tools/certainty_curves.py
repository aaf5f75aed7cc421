"""Draws how far a model's confidence can be believed: calibration, and accuracy over coverage.

    python tools/certainty_curves.py --out docs/certainty.svg \
        --model "face and voice" both.json --model "voice" voice.json

The files are what `avemo evaluate --json` writes.  Prints what it draws.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LEAST = 10
"""Items of a bin of confidence that is drawn."""
COLOURS = ("#1565c0", "#c62828", "#2e7d32", "#6a1b9a")


def draw(results: list[tuple[str, dict[str, Any]]], out: Path) -> None:
    """Write the figure; its ending says how."""
    with rc_context({"svg.hashsalt": "avemo", "svg.fonttype": "path", "font.size": 10}):
        figure = Figure(figsize=(8.4, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        calibration, coverage = figure.subplots(1, 2)
        calibration.plot([0, 1], [0, 1], "--", color="#999999", lw=1)
        for colour, (name, result) in zip(COLOURS, results, strict=False):
            bins = result["reliability"].get("after") or result["reliability"]["before"]
            columns = zip(bins["confidence"], bins["accuracy"], bins["counts"], strict=True)
            drawn = [(sure, right) for sure, right, count in columns if count >= LEAST]
            ece = result["ece_scaled"] or result["ece"]
            calibration.plot(
                *zip(*drawn, strict=True), "o-", color=colour, label=f"{name}: ECE {ece:.1%}"
            )
            curve = [one for one in result["coverage_curve"] if one["accuracy"] is not None]
            coverage.plot(
                [one["coverage"] for one in curve],
                [one["accuracy"] for one in curve],
                "-",
                color=colour,
                label=name,
            )
        calibration.set_xlabel("confidence")
        calibration.set_ylabel("share of right answers")
        coverage.set_xlabel("share of items answered, the surest first")
        for axes in (calibration, coverage):
            axes.set_xlim(0, 1.02)
            axes.set_ylim(0, 1.02)
            axes.grid(alpha=0.25)
            axes.legend(loc="lower right", frameon=False)
        figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main() -> None:
    """Carry out the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help=".svg or .png")
    parser.add_argument(
        "--model", nargs=2, action="append", required=True, metavar=("NAME", "JSON")
    )
    args = parser.parse_args()
    results = [(name, json.loads(Path(file).read_text("utf-8"))) for name, file in args.model]
    for name, result in results:
        for one in result["coverage_curve"]:
            if one["accuracy"] is not None:
                print(
                    f"{name}: confidence {one['threshold']:.2f} and more: "
                    f"{one['coverage']:.1%} answered, {one['accuracy']:.1%} of these right"
                )
    draw(results, args.out)


if __name__ == "__main__":
    main()
