"""JUnit XML for CI."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from avemo_ros.replay.named_metrics import render, write_junit
from avemo_ros.sink.output_file import OutputError


def limit(figure: str, *, passed: bool, reason: str = "") -> dict[str, Any]:
    return {"figure": figure, "fails": "below", "limit": 0.5, "value": 0.4, "passed": passed,
            "reason": reason}  # fmt: skip


RESULT: dict[str, Any] = {
    "thresholds": [
        limit("ua", passed=True),
        limit("coverage", passed=False, reason="too <low>"),
    ],
    "bags": [{"name": "kitchen"}, {"name": 'hall "2" & <more>'}],
    "failed": [{"name": "cellar\x00\x1b[31m", "reason": "no labels\x07 \ud800 anywhere"}],
}


def test_every_limit_and_every_bag_is_a_test_case() -> None:
    suite = ET.fromstring(render(RESULT)).find("testsuite")
    assert suite is not None
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "ua not below 0.5",
        "coverage not below 0.5",
        "kitchen",
        'hall "2" & <more>',
        "cellar\ufffd\ufffd[31m",
    ]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "1")


def test_a_failure_says_why_and_an_error_too() -> None:
    root = ET.fromstring(render(RESULT))
    (failure,) = root.iter("failure")
    assert failure.get("message") == failure.text == "too <low>"
    (error,) = root.iter("error")
    assert error.get("message") == "no labels\ufffd \ufffd anywhere"


def test_nothing_asked_and_nothing_lost_is_an_empty_suite_that_passes() -> None:
    root = ET.fromstring(render({"thresholds": [], "bags": [], "failed": []}))
    suite = root.find("testsuite")
    assert suite is not None
    assert suite.get("tests") == suite.get("failures") == suite.get("errors") == "0"


def test_the_file_is_the_same_in_every_run(tmp_path: Path) -> None:
    for name in ("a.xml", "b.xml"):
        write_junit(tmp_path / name, RESULT)
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_junit(tmp_path / "nowhere" / "a.xml", RESULT)
