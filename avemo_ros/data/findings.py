"""Collects what a loader finds."""

from __future__ import annotations

from pathlib import Path

from avemo_ros.data.files import what_is_wrong
from avemo_ros.data.item import Item, Listing, Problem


class Findings:
    """Items and problems of one data set while its files are gone through."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self._items: dict[str, Item] = {}
        self._lost: dict[str, Item] = {}
        self._problems: list[Problem] = []

    def __contains__(self, key: str) -> bool:
        return key in self._items or key in self._lost

    def take(self, item: Item) -> None:
        """Add the item if its file can be a recording; else note why not, and that it is
        lost."""
        if self.usable(item.path):
            self.add(item)
        else:
            self.lose(item)

    def add(self, item: Item) -> None:
        """Take the item, unless there is one with its key."""
        if item.key in self._items:
            self.leave_out(item.path, "a copy of a recording that is there", by_design=True)
        else:
            self._items[item.key] = item

    def lose(self, item: Item, what: str = "") -> None:
        """Note an item that no file can be used for, and why where that is not noted yet."""
        if what:
            self.leave_out(item.path, what)
        self._lost.setdefault(item.key, item)

    def usable(self, path: Path) -> bool:
        """Whether the media file can be a recording; notes why if not."""
        wrong = what_is_wrong(path)
        if wrong:
            self.leave_out(path, wrong)
        return not wrong

    def leave_out(self, path: Path, what: str, *, by_design: bool = False) -> None:
        """Note something that is not used."""
        self._problems.append(Problem(path, what, by_design=by_design))

    def no_class(self, path: Path, word: str) -> None:
        """Note an item whose label is none of the classes."""
        self.leave_out(path, f"{word}: none of the classes", by_design=True)

    def note(self, path: Path, what: str, *, by_design: bool = False) -> None:
        """Note something that is odd, and used."""
        self._problems.append(Problem(path, what, left_out=False, by_design=by_design))

    def listing(self) -> Listing:
        """What was found, items by their keys, problems by their paths."""
        return Listing(
            self.dataset,
            tuple(self._items[key] for key in sorted(self._items)),
            tuple(sorted(self._problems, key=lambda problem: (problem.path, problem.what))),
            # A copy may be whole.
            tuple(self._lost[key] for key in sorted(self._lost.keys() - self._items.keys())),
        )
