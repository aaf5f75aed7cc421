"""Counts the issues of a recording: a `timing.Reporter` to read at the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _LeftOut:
    text: str
    count: int = 0


class InputIssues:
    """What was wrong with the inputs of one recording."""

    def __init__(self) -> None:
        self._left_out: dict[tuple[str, str], _LeftOut] = {}
        self._odd: dict[tuple[str, str], str] = {}

    def of(self, what: str) -> IssueReporter:
        """The reporter of one input, which is named in each sentence."""
        return IssueReporter(self, what)

    def leave_out(self, what: str, kind: str, text: str) -> None:
        """An item was left out; of a kind the first text is kept."""
        self._left_out.setdefault((what, kind), _LeftOut(text)).count += 1

    def note(self, what: str, kind: str, text: str) -> None:
        """Something is odd but usable; of a kind the first text is kept."""
        self._odd.setdefault((what, kind), text)

    def sentences(self) -> list[str]:
        """All of it, in the same order in every run."""
        left_out = [
            f"{what}: {one.count} left out: {one.text.removesuffix('; left out')}"
            for (what, _), one in sorted(self._left_out.items())
        ]
        return left_out + [f"{what}: {text}" for (what, _), text in sorted(self._odd.items())]


class IssueReporter:
    """See `timing.Reporter`."""

    def __init__(self, findings: InputIssues, what: str) -> None:
        self._findings, self._what = findings, what

    def report(self, kind: str, text: str) -> None:
        """An item cannot be used."""
        self._findings.leave_out(self._what, kind, text)

    def once(self, kind: str, text: str) -> None:
        """Something is odd but usable."""
        self._findings.note(self._what, kind, text)

    def note(self, kind: str, text: str) -> None:
        """Something happened and is over."""
        self._findings.note(self._what, kind, text)

    def good(self) -> None:
        """An item was good; nothing to remember."""
