"""The folder of a bag that is being written: made, and replaced only where that is wanted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from avemo_ros.bag.claim import Claim, is_claimed
from avemo_ros.errors import BagError

_OF_A_BAG: Final = {".mcap", ".db3", ".db3-journal", ".db3-wal", ".db3-shm", ".zstd", ".yaml"}
"""Suffixes of what lies in a bag."""


def make_folder(path: Path, partial: Path, *, force: bool) -> Claim:
    """Make the folder in which a bag is written, and tell others that it is.

    Args:
        path: of the bag when it will be whole.
        partial: of the bag until then.
        force: both may be there already; `partial` is made anew.

    Raises:
        BagError: one is there already, or is not a bag and so not to be replaced; or another
            run writes it now, which force does not change.
        OSError: the disk does not take it.
    """
    if is_claimed(partial):
        raise BagError(
            f"{partial} is being written by another run now; name another, or wait until that "
            "has ended"
        )
    if not force and path.exists():
        raise BagError(f"{path} is there already; name another, or remove it first")
    if not force and partial.exists():
        raise BagError(
            f"{partial} is there already: it was left by an interrupted run, and what it holds "
            "can be played and evaluated; name another, or move it away first"
        )
    for there in (path, partial):
        if there.exists():
            check_bag(there)
    if partial.exists():
        remove_bag(partial)
    partial.mkdir(parents=True)
    return Claim(partial)


def check_bag(path: Path) -> None:
    """Make sure that this is a bag: anything else is not ours to remove.

    Raises:
        BagError: it is not.
    """
    inside = [entry.suffix for entry in path.iterdir()] if path.is_dir() else [""]
    if path.is_symlink() or not set(inside) <= _OF_A_BAG:
        raise BagError(f"{path} is not a bag and nothing else; it is not replaced")


def remove_bag(path: Path) -> None:
    """Remove a bag.

    Raises:
        BagError: it is not one.
    """
    check_bag(path)
    shutil.rmtree(path)
