"""A headless browser for the tests of pages: what it drew, complained about and asked for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OWN = ("google.com", "googleapis.com", "gvt1.com")
"""Hosts that the browser asks for itself, for its updates and its clock."""


class Shown(NamedTuple):
    """What became of a page."""

    document: str
    """As the browser understood it."""
    complaints: list[str]
    """Of its console."""
    requests: set[str]
    """Addresses it was made to ask for."""


def show(page: Path, folder: Path, place: str = "") -> Shown:
    """Open a page from disk in a browser that reaches no network; skips where there is none.

    Args:
        page: the file.
        folder: for the browser's own files.
        place: on the page, to begin at.
    """
    return visit(f"file://{page.resolve()}{'#' if place else ''}{place}", folder)


def visit(address: str, folder: Path) -> Shown:
    """As `show`, for a page that is served at 127.0.0.1."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    log = folder / "requests.json"
    done = subprocess.run(
        [
            found,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            # As high as the page, and with time for what is drawn after it has loaded.
            "--window-size=1200,6000",
            "--virtual-time-budget=10000",
            f"--user-data-dir={folder / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    complaints = re.findall(r"CONSOLE.*", done.stderr)
    return Shown(done.stdout, complaints, _requests(log))


def _requests(log: Path) -> set[str]:
    events = json.loads(log.read_text())["events"]
    asked = {str(event.get("params", {}).get("url", "")) for event in events} - {""}
    return {
        address
        for address in asked
        if not (urlsplit(address).hostname or "").endswith(OWN)
        and not address.startswith(("file:", "data:"))
    }
