import re
from pathlib import Path
from typing import Any

import pytest
import torch

from avemo_ros.evaluate.measure import by_fold, compare, measure
from avemo_ros.evaluate.predictions import Predictions
from avemo_ros.evaluate.report import render, write_report
from avemo_ros.labels import EMOTIONS


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
            "rows": [row | {"difference": compare(given, given, rounds=100)}],
        },
        "difference": {"other": compare(given, given, rounds=100)},
    }


def test_the_page_holds_every_section_and_escapes_what_it_is_given(
    result: dict[str, Any],
) -> None:
    page = render(result)
    for title in ("Confusion", "Recall", "Calibration", "Subjects", "Folds", "Compared"):
        assert f"<h2>{title}</h2>" in page
    assert "m &amp; n on RAVDESS" in page
    assert "noise &lt;0&gt; dB" in page
    assert "a &lt;b&gt;" in page
    assert "3.2 ms" in page or "3.3 ms" in page


def test_the_page_needs_no_network_and_no_script(result: dict[str, Any]) -> None:
    page = render(result)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "<script" not in page
    assert "@import" not in page


def test_names_of_parts_of_plots_are_the_only_ones_on_the_page(result: dict[str, Any]) -> None:
    page = render(result)
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    for reference in re.findall(r'url\(#([^)]+)\)|xlink:href="#([^"]+)"', page):
        assert (reference[0] or reference[1]) in names


def test_plots_take_the_colours_of_the_page(result: dict[str, Any]) -> None:
    page = render(result)
    assert "#0a0a0" not in page
    assert "var(--bar)" in page
    assert page.count("<svg") == 5


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
    write_report(
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
