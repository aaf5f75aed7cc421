import re
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import show
from report_page import Page, without_library

from avemo_ros.evaluate.metric_tables import by_fold, compare_predictions, measure
from avemo_ros.evaluate.predictions import Predictions
from avemo_ros.labels import EMOTIONS
from avemo_ros.report.evaluation_page import render as rendered
from avemo_ros.report.evaluation_page import write_evaluation


def render(result: dict[str, Any]) -> str:
    """The page without plotly's own code."""
    return without_library(rendered(result))


def made(count: int = 140) -> Predictions:
    chance = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 7
    logits = torch.randn(count, 7, generator=chance, dtype=torch.float64)
    logits[torch.arange(count), labels] += 1.5
    return Predictions(
        tuple(map(str, range(count))),
        tuple(f"ravdess-{index % 10:02d}" for index in range(count)),
        tuple("male" if index % 2 else "female" for index in range(count)),
        labels,
        torch.log_softmax(logits, 1),
        EMOTIONS,
    )


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    given = made()
    figures = measure(given, rounds=100)
    row = {"condition": "noise <0> dB", "fused": figures, "face": figures, "voice": figures}
    return figures | {
        "model": {"name": "m & n", "modality": "av"},
        "dataset": "ravdess",
        "title": "RAVDESS",
        "split": "folds",
        "seen": False,
        "missing": {"treatment": "wrong", "unreadable": [], "no_face": ["1"], "no_voice": []},
        "ms_per_item": 3.25,
        "notes": ["label-matched pairs"],
        "versions": {"torch": "2"},
        "command": "avemo evaluate ravdess --model 'a <b>'",
        "folds": by_fold([given.only([i % 2 == k for i in range(140)]) for k in (0, 1)]),
        "alone": {"face": figures, "voice": figures},
        "corruptions": {
            "data": "clips",
            "rows": [row | {"difference": compare_predictions(given, given, rounds=100)}],
        },
        "difference": {"other": compare_predictions(given, given, rounds=100)},
    }


def test_the_page_holds_every_section_and_escapes_what_it_is_given(
    result: dict[str, Any],
) -> None:
    page = render(result)
    for title in ("Confusion", "Recall", "Calibration", "Subjects", "Folds", "Compared"):
        assert f"<h2>{title}</h2>" in page
    assert "<h3>Coverage</h3>" in page
    assert "m &amp; n on RAVDESS" in page
    assert "noise &lt;0&gt; dB" in page
    assert "a &lt;b&gt;" in page
    assert "3.2 ms" in page or "3.3 ms" in page


def test_the_page_needs_no_network(result: dict[str, Any]) -> None:
    page = render(result)
    assert Page(page).addresses == []
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_figures_hold_the_result(result: dict[str, Any]) -> None:
    page = Page(render(result))
    assert len(page.figures) == 7
    given = page.figure("Accuracy over coverage").data[0]
    assert max(given["x"]) == pytest.approx(result["coverage"])
    confusion = page.figure("Confusion of items").data[0]
    assert confusion["customdata"].tolist() == result["confusion"]
    recalls = page.figure("Recall of each class").data[0]
    assert dict(zip(recalls["y"], recalls["x"], strict=True)) == pytest.approx(
        result["recalls"]
    )
    subjects = page.figure("Accuracy of each subject").data[0]
    assert sorted(subjects["y"]) == pytest.approx(
        sorted(one["accuracy"] for one in result["by_subject"].values())
    )
    corrupted = page.figure("corruption")
    assert [one["name"] for one in corrupted.data] == ["Both", "Face alone", "Voice alone"]
    assert corrupted.data[0]["x"][0] == pytest.approx(result["ua"])
    assert corrupted.data[0]["y"] == ["noise &lt;0&gt; dB"]
    (before, after) = (one for one in page.figures if "Reliability" in one.about)
    items = next(one for one in before.data if one.get("yaxis") == "y2")
    assert sum(items["y"]) == result["items"]
    assert before.data != after.data


def test_the_page_opens_in_a_browser_without_complaint_or_request(
    result: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    write_evaluation(path, result)
    shown = show(path, tmp_path)
    assert shown.complaints == []
    assert shown.requests == set()
    assert shown.document.count('<svg class="main-svg"') >= 6


def test_the_page_is_the_same_every_time(result: dict[str, Any]) -> None:
    assert render(result) == render(result)


def test_one_subject_and_no_extras_make_a_page_too(tmp_path: Path) -> None:
    given = made(14)
    given = Predictions(
        given.keys, ("a",) * 14, ("",) * 14, given.labels, given.log_probabilities, EMOTIONS
    )
    figures = measure(given, rounds=100)
    assert figures["intervals_over"] == "items"
    assert figures["intervals"]["accuracy"][0] < figures["intervals"]["accuracy"][1]
    page = tmp_path / "page.html"
    write_evaluation(
        page,
        figures
        | {
            "model": {"name": "m"},
            "title": "t",
            "split": "",
            "seen": None,
            "missing": {"treatment": "x", "unreadable": [], "no_face": [], "no_voice": []},
            "versions": {},
            "command": "",
        },
    )
    assert page.read_text().startswith("<!doctype html>")
