"""Checked access to a YAML file: each complaint names file, key, value and what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from avemo_ros.errors import DialogError


class Fields:
    """One mapping of a file; every key has to be asked for before `finish`."""

    def __init__(self, content: object, file: str, key: str = "") -> None:
        """Set up.

        Args:
            content: what YAML gives for it.
            file: name of the file, for messages.
            key: where in the file it is; "" for the whole.

        Raises:
            DialogError: it is no mapping.
        """
        self._file = file
        self._key = key
        if not isinstance(content, dict):
            self.refuse("", content, "a mapping of names to values")
        self._content: dict[Any, object] = content
        self._asked: set[str] = set()

    def refuse(self, name: str, value: object, allowed: str) -> NoReturn:
        """Complain about a value.

        Raises:
            DialogError: always.
        """
        key = ".".join(part for part in (self._key, name) if part) or "the file"
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        raise DialogError(f"{self._file}: {key} is {shown}; allowed: {allowed}")

    def finish(self) -> None:
        """Make sure that there is nothing that nobody asked for.

        Raises:
            DialogError: a key is not known.
        """
        for name in self._content:
            if name not in self._asked:
                near = difflib.get_close_matches(str(name), self._asked, n=1)
                hint = f" (did you mean '{near[0]}'?)" if near else ""
                allowed = ", ".join(sorted(self._asked))
                self.refuse("", name, f"one of the keys {allowed}{hint}")

    def names(self) -> tuple[str, ...]:
        """The keys, each of them text, as in the file."""
        for name in self._content:
            if not isinstance(name, str):
                self.refuse("", name, "a key that is text")
        return tuple(self._content)

    def has(self, name: str) -> bool:
        """Whether a key is given."""
        self._asked.add(name)
        return name in self._content

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default it has to be there and not be empty."""
        value = self._get(name, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.refuse(name, value, "text" + (" that is not empty" if default is None else ""))
        return " ".join(value.split())

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number of a range."""
        value = self._get(name, default)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
            self.refuse(name, value, f"a number from {low:g} to {high:g}")
        return float(value)  # type: ignore[arg-type]

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            self.refuse(name, value, "true or false")
        return value

    def texts(self, name: str, least: int = 1) -> tuple[str, ...]:
        """A list of texts, none of them empty, none twice."""
        value = self._get(name, None)
        if not isinstance(value, list) or len(value) < least:
            self.refuse(name, value, f"a list of {least} or more texts")
        for item in value:
            if not isinstance(item, str) or not item.strip():
                self.refuse(name, item, "text in quotes that is not empty")
            if value.count(item) > 1:
                self.refuse(name, item, "each text once")
        return tuple(" ".join(item.split()) for item in value)

    def choices(self, name: str, allowed: Iterable[str]) -> frozenset[str]:
        """One name or a list of names, each one of `allowed`."""
        known = tuple(allowed)
        value = self._get(name, None)
        given = value if isinstance(value, list) and value else [value]
        for item in given:
            if item not in known:
                near = difflib.get_close_matches(str(item), known, n=1)
                hint = f" (did you mean '{near[0]}'?)" if near else ""
                self.refuse(name, item, f"{' | '.join(known)}, or a list of them{hint}")
        return frozenset(given)

    def inner(self, name: str) -> Fields:
        """A mapping inside."""
        return Fields(self._get(name, None), self._file, self._below(name))

    def conditions(
        self, name: str, allowed: Mapping[str, Iterable[str]]
    ) -> dict[str, frozenset[str]]:
        """A mapping from conditions to the names that fulfil each; empty if it is not there.

        Args:
            name: of the mapping.
            allowed: names by condition.
        """
        if not self.has(name):
            return {}
        inner = self.inner(name)
        found = {
            one: inner.choices(one, names) for one, names in allowed.items() if inner.has(one)
        }
        inner.finish()
        return found

    def rows(self, name: str) -> tuple[Fields, ...]:
        """A list of mappings."""
        value = self._get(name, None)
        if not isinstance(value, list) or not value:
            self.refuse(name, value, "a list of one or more rows")
        return tuple(
            Fields(item, self._file, f"{self._below(name)}[{number}]")
            for number, item in enumerate(value, 1)
        )

    def _below(self, name: str) -> str:
        return f"{self._key}.{name}" if self._key else name

    def _get(self, name: str, default: object) -> object:
        self._asked.add(name)
        return self._content.get(name, default)


def read_fields(path: Path) -> Fields:
    """The mapping that a YAML file holds.

    Raises:
        DialogError: the file is missing, no UTF-8, no YAML, no mapping, or names a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DialogError(f"cannot read {path}: {reason}") from error
    try:
        content = yaml.load(text, _Once)  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise DialogError(f"{path.name} is not valid YAML: {reason}") from error
    return Fields(content, path.name)


class _Once(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that is given twice, of which YAML silently takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping
