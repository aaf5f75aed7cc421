"""Write the hashes of PyPI's files into the lock files.

Run `python tools/hash_locks.py` after a change of a version.  pip then refuses a file that is
not the one that PyPI had.  Only files for Linux and Python 3.10 to 3.14 are listed.  torch.lock
has no hashes: its wheel may come from another index (CPU, CUDA), with other hashes.
"""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

LOCKS = Path(__file__).parent / "requirements"
WITHOUT = {"torch.lock"}
PYTHONS = {"py3", *(f"cp3{minor}" for minor in range(10, 15))}


def hashes(name: str, version: str) -> list[str]:
    """SHA-256 of every file of a release, in order; fails if there is none."""
    request = urllib.request.Request(
        f"https://pypi.org/simple/{canonicalize_name(name)}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  https
        files = json.load(answer)["files"]
    found = [file["hashes"]["sha256"] for file in files if released(file) == Version(version)]
    if not found:
        raise SystemExit(f"PyPI has no file of {name} {version}")
    return sorted(found)


def released(file: dict[str, Any]) -> Version | None:
    """The release that a file of the index belongs to; None for what is not installed here."""
    name = file["filename"]
    try:
        if not name.endswith(".whl"):
            return parse_sdist_filename(name)[1]
        _, version, _, tags = parse_wheel_filename(name)
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None
    usable = any(
        (tag.interpreter in PYTHONS or tag.abi == "abi3")
        and tag.platform.startswith(("any", "manylinux", "linux"))
        for tag in tags
    )
    return version if usable else None


def hashed(line: str) -> str:
    """A line of a lock file with the hashes of its release."""
    plain = line.split(" --hash", 1)[0].rstrip()
    if not plain or plain.startswith("#"):
        return line
    name, version = plain.split(";")[0].strip().split("==")
    return " ".join([plain, *(f"--hash=sha256:{one}" for one in hashes(name, version))])


def main() -> None:
    """Rewrite all lock files."""
    for lock in sorted(LOCKS.glob("*.lock")):
        if lock.name in WITHOUT:
            continue
        with ThreadPoolExecutor(8) as pool:
            lines = list(pool.map(hashed, lock.read_text().splitlines()))
        lock.write_text("\n".join(lines) + "\n")
        print(f"{lock.name}: {sum('--hash' in line for line in lines)} requirements")


if __name__ == "__main__":
    main()
