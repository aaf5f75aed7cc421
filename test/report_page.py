"""A report as its reader gets it: tags that nest, addresses, words, and the figures' data."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

VOID = {"meta", "br", "img", "wbr", "link"}


class Bar(NamedTuple):
    """A stretch of a row of a timeline."""

    start_s: float
    end_s: float
    label: str
    told: str
    """What the pointer shows, with the numbers filled in."""


class Figure:
    """A figure of a page; plotly has checked every name and value in it."""

    def __init__(self, about: str, made: dict[str, Any]) -> None:
        self.about = about
        self.data = [
            {key: decoded(value) for key, value in one.items()} for one in made["data"]
        ]
        self.layout: dict[str, Any] = made["layout"]
        self.shots: list[dict[str, Any]] = made["shots"]
        go.Figure(made["data"], made["layout"])

    @property
    def rows(self) -> list[str]:
        """Names of the rows of bars, from top to bottom."""
        return list(self.layout["yaxis"]["ticktext"])

    def bars(self, row: int) -> list[Bar]:
        """Stretches of a row of bars, in the order of time."""
        middle = self.layout["yaxis"]["tickvals"][row]
        found = []
        for trace in self.data:
            if trace["type"] != "bar" or trace.get("base") is None or trace["y"][0] != middle:
                continue
            extra = trace.get("customdata") or [""] * len(trace["base"])
            for base, width, more in zip(trace["base"], trace["x"], extra, strict=True):
                start, end = float(base), float(base) + float(width)
                told = re.sub(r"%\{base:.1f\}", f"{start:.1f}", trace["hovertemplate"])
                told = re.sub(r"%\{x:.1f\}", f"{end:.1f}", told)
                told = told.replace("%{customdata}", more).replace("<extra></extra>", "")
                found.append(Bar(start, end, trace["name"], told))
        return sorted(found)

    def named(self, name: str) -> list[dict[str, Any]]:
        """Traces with data that the legend's name shows and hides."""
        return [one for one in self.data if one.get("name") == name and any_value(one["x"])]


def any_value(values: Any) -> bool:
    """Whether a trace is more than a key of the legend."""
    return len(values) > 0 and values[0] is not None


def decoded(value: Any) -> Any:
    """Numbers that plotly has packed."""
    if not isinstance(value, dict) or "bdata" not in value:
        return value
    made = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
    if "shape" in value:
        return made.reshape([int(size) for size in str(value["shape"]).split(",")])
    return made


class Page(HTMLParser):
    """Fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.places: list[str] = []
        self.words = ""
        self.figures: list[Figure] = []
        self.policy = ""
        self.events: list[str] = []
        self.scripts: list[str] = []
        self._abouts: dict[str, str] = {}
        self._script = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        self.events += [name for name in given if name.startswith("on")]
        if "id" in given:
            self.places.append(given["id"])
        if given.get("class") == "figure":
            self._abouts[f"{given['id']}-data"] = given["aria-label"]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "script":
            self._script = given.get("id", "") if "type" in given else "run"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
        if tag == "script":
            self._script = ""

    def handle_data(self, data: str) -> None:
        if self._script == "run":
            self.scripts.append(data)
        elif self._script in self._abouts:
            self.figures.append(Figure(self._abouts[self._script], json.loads(data)))
        elif not self._script and self.open[-1:] != ["style"]:
            self.words += data

    def figure(self, about: str) -> Figure:
        """The one figure that is about this."""
        (found,) = [one for one in self.figures if about in one.about]
        return found


def without_library(text: str) -> str:
    """A page without plotly's own code, which is not ours to judge; the tag is still there.

    A test that fails shows its text: without five megabytes it does so at once.
    """
    return re.sub(r"<script>/\*\*.*?</script>", "<script>-</script>", text, flags=re.DOTALL)
