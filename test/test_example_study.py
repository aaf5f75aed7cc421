"""examples/study.ipynb, from bags to figures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from made_studies import ANN, BEN, states_of, study_of

NOTEBOOK = Path(__file__).parents[1] / "examples" / "study.ipynb"


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_notebook_goes_from_bags_to_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    lines = ["participant,recording,condition"]
    for person in range(1, 7):
        for place, condition in enumerate(("plain", "empathic")):
            name = f"p{person}_{condition}"
            marks = [(0.5, "phase: greeting"), (4.0, "phase: talk")]
            states_of(tmp_path / name, 8.5 + 0.3 * person * (1 + place), marks, ANN + BEN)
            lines.append(f"P{person},{name},{condition}")
    study_of(tmp_path, *lines)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY_USE", "states")
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, text in enumerate(code_of(NOTEBOOK)):
        exec(compile(text, f"cell {number}", "exec"), names)
    figures = sorted(path.name for path in (tmp_path / "tables").glob("figure-*.svg"))
    assert len(figures) == 4
    for name in figures:
        assert ET.parse(tmp_path / "tables" / name).getroot().tag.endswith("svg")
        assert (tmp_path / "tables" / name).with_suffix(".png").stat().st_size > 5000
    text = (tmp_path / "tables" / figures[0]).read_text()
    assert "empathic" in text
    # The paired test of the text and the intervals of the figure are about the same people.
    (happy,) = [row for row in names["rows"] if row["measure"] == "share_happy"]
    means = names["comparison"].query("measure == 'share_happy' and factor == 'condition'")
    assert happy["n"] == means["participants"].iloc[0] == 6
    assert happy["empathic"] == pytest.approx(
        means.set_index("level").loc["empathic", "mean"], abs=1e-4
    )


def test_the_notebook_comes_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    assert len({cell["id"] for cell in cells}) == len(cells)
