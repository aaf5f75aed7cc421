"""What passed and what failed, as the JUnit XML that CI systems read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from avemo_ros.sink.output_file import OutputError, replaced

_SUITE: Final = "avemo bag evaluate"
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, not even escaped."""


def write_junit(path: Path, result: Mapping[str, Any]) -> None:
    """Write the file in one atomic step.

    Args:
        path: of the file.
        result: as `avemo bag evaluate --json` writes it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with replaced(path) as partial:
            partial.write_bytes(render(result))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def render(result: Mapping[str, Any]) -> bytes:
    """The XML: one test case for each limit, and one for each bag.

    A limit that is not kept is a failure that says value and limit; a bag that could not be
    evaluated is an error that says why.  No times: the file is the same in every run.
    """
    limits, bags, lost = result["thresholds"], result["bags"], result["failed"]
    failures = sum(not item["passed"] for item in limits)
    suite = ET.Element(
        "testsuite",
        name=_SUITE,
        tests=str(len(limits) + len(bags) + len(lost)),
        failures=str(failures),
        errors=str(len(lost)),
        skipped="0",
    )
    for item in limits:
        name = f"{item['figure']} not {item['fails']} {item['limit']:g}"
        case = ET.SubElement(suite, "testcase", classname="avemo.limits", name=name)
        if not item["passed"]:
            reason = _text(item["reason"])
            ET.SubElement(case, "failure", type="limit", message=reason).text = reason
    for bag in bags:
        ET.SubElement(suite, "testcase", classname="avemo.bags", name=_text(bag["name"]))
    for bag in lost:
        case = ET.SubElement(suite, "testcase", classname="avemo.bags", name=_text(bag["name"]))
        reason = _text(bag["reason"])
        ET.SubElement(case, "error", type="bag", message=reason).text = reason
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
