"""Compares a copy of a data set with the published counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avemo_ros.data.dataset import DataSet, Listing, Problem, Published
from avemo_ros.data.registry import list_items
from avemo_ros.labels import LABELS


@dataclass(frozen=True, slots=True)
class CountComparison:
    """One line of the comparison."""

    part: str
    """The data set's own part, '' where it has none."""
    name: str
    """A class or a subject."""
    found: int
    published: int | None
    """None: not known."""

    @property
    def differs(self) -> bool:
        """The published count is known, and is another."""
        return self.published is not None and self.found != self.published


@dataclass(frozen=True, slots=True)
class CorpusCheck:
    """What is there of a data set, and what should be."""

    dataset: DataSet
    root: Path
    listing: Listing
    classes: tuple[CountComparison, ...]
    subjects: tuple[CountComparison, ...]
    """Empty where nobody knows who is who."""
    n_subjects: tuple[int, int | None]
    """Found, published."""
    total: CountComparison
    missing: tuple[str, ...]
    """Recordings that a whole copy has besides, each as 'subject: name'."""

    @property
    def broken(self) -> tuple[Problem, ...]:
        """What is left out and could be mended."""
        return tuple(p for p in self.listing.problems if p.left_out and not p.by_design)

    @property
    def odd(self) -> tuple[Problem, ...]:
        """What is strange, and used all the same."""
        return tuple(p for p in self.listing.problems if not p.left_out)

    @property
    def by_design(self) -> tuple[Problem, ...]:
        """What every copy has and no model of ours can use."""
        return tuple(p for p in self.listing.problems if p.left_out and p.by_design)

    @property
    def as_published(self) -> bool:
        """Nothing is missing, broken or too much."""
        found, published = self.n_subjects
        return not (
            self.missing
            or self.broken
            or any(count.differs for count in (*self.classes, *self.subjects, self.total))
            or published not in (None, found)
        )


def check(dataset: DataSet, root: Path, **options: str) -> CorpusCheck:
    """Go through a copy of the data set.

    Raises:
        ConfigError: an option that the data set has not got.
        DataError: the folder has nothing of the data set that can be used, or a table cannot
            be read.
    """
    listing = list_items(dataset.name, root, **options)
    items, published = listing.items, dataset.published(**options)
    classes = Counter((item.split, item.label) for item in items)
    subjects = Counter(item.subject for item in items)
    known_subjects = published.subjects if published else None
    n_published = None
    if published is not None:
        n_published = len(known_subjects) if known_subjects else published.n_subjects
    return CorpusCheck(
        dataset=dataset,
        root=root,
        listing=listing,
        classes=tuple(_class_counts(classes, published)),
        subjects=()
        if dataset.anonymous
        else tuple(
            CountComparison(
                "",
                name,
                subjects[name],
                known_subjects.get(name, 0) if known_subjects else None,
            )
            for name in sorted({*subjects, *(known_subjects or ())})
        ),
        n_subjects=(0 if dataset.anonymous else len(subjects), n_published),
        total=CountComparison("", "total", len(items), published.total if published else None),
        missing=dataset.missing(items),
    )


def _class_counts(
    found: Counter[tuple[str, str]], published: Published | None
) -> Iterator[CountComparison]:
    expected = published.classes if published else {}
    parts = [*expected, *sorted({part for part, _ in found} - set(expected))]
    for part in parts:
        for label in LABELS:
            known = expected.get(part, {}).get(label, 0) if published else None
            if found[part, label] or known:
                yield CountComparison(part, label, found[part, label], known)


_FEW: Final = 5
"""Examples of a group that are shown unless all are asked for."""
_GROUPS: Final = 20
"""Groups that are shown unless all are asked for."""


def report(checked: CorpusCheck, *, everything: bool = False) -> str:
    """The comparison as text.

    Args:
        checked: what was found.
        everything: name every file and not only the first of each group.
    """
    lines = [f"{checked.dataset.title} in {checked.root}", ""]
    lines += _table("class", (*checked.classes, checked.total))
    if checked.subjects:
        lines += ["", *_table("subject", checked.subjects)]
    found, published = checked.n_subjects
    if found:
        known = "" if published is None else f" (published: {published})"
        lines += ["", f"{found} subject{'' if found == 1 else 's'}{known}"]
    else:
        lines += ["", "subjects are unknown: each item counts as its own subject"]
    limit = None if everything else _FEW
    lines += _missing(checked.missing, {c.name: c.found for c in checked.subjects}, limit)
    lines += _groups("broken or not understood, left out", checked.broken, checked.root, limit)
    lines += _groups("unusual, but used", checked.odd, checked.root, limit)
    lines += _groups("left out by design", checked.by_design, checked.root, limit)
    if checked.as_published:
        verdict = "no file is broken" if checked.total.published is None else "as published"
    else:
        verdict = "differs from what is published"
    return "\n".join((*lines, "", verdict))


def as_json(checked: CorpusCheck) -> dict[str, object]:
    """The comparison for other programs."""
    return {
        "dataset": checked.dataset.name,
        "root": str(checked.root),
        "items": checked.total.found,
        "published": checked.total.published,
        "as_published": checked.as_published,
        "classes": [
            {"part": c.part, "label": c.name, "found": c.found, "published": c.published}
            for c in checked.classes
        ],
        "subjects": [
            {"subject": c.name, "found": c.found, "published": c.published}
            for c in checked.subjects
        ],
        "missing": list(checked.missing),
        "problems": [
            {
                "path": str(problem.path),
                "what": problem.what,
                "left_out": problem.left_out,
                "by_design": problem.by_design,
            }
            for problem in checked.listing.problems
        ],
    }


def _table(title: str, counts: Iterable[CountComparison]) -> list[str]:
    counts = tuple(counts)
    names = [" ".join(filter(None, (count.part, count.name))) for count in counts]
    width = max(len(title), *map(len, names))
    lines = [f"{title:{width}}  {'found':>7}  {'published':>9}  difference"]
    for name, count in zip(names, counts, strict=True):
        known = "?" if count.published is None else str(count.published)
        difference = ""
        if count.differs and count.published is not None:
            difference = f"{count.found - count.published:+d}"
        lines.append(f"{name:{width}}  {count.found:7d}  {known:>9}  {difference:>10}".rstrip())
    return lines


def _missing(missing: tuple[str, ...], found: dict[str, int], limit: int | None) -> list[str]:
    if not missing:
        return []
    by_subject = defaultdict(list)
    for entry in missing:
        subject, name = entry.split(": ", 1)
        by_subject[subject].append(name)
    lines = ["", f"missing: {len(missing)}"]
    for subject, names in by_subject.items():
        if found.get(subject):
            lines.append(f"  {len(names)} x {subject}")
            lines += _some(names, limit)
        else:
            lines.append(f"  {len(names)} x {subject}: all")
    return lines


def _groups(
    title: str, problems: tuple[Problem, ...], root: Path, limit: int | None
) -> list[str]:
    if not problems:
        return []
    groups = defaultdict(list)
    for problem in problems:
        path = problem.path
        groups[problem.what].append(
            str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        )
    lines = ["", f"{title}: {len(problems)}"]
    most_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    shown = len(groups) if limit is None else _GROUPS
    for what, names in most_first[:shown]:
        lines.append(f"  {len(names)} x {what}")
        # Rows of one table are many problems of one file.
        lines += _some(list(dict.fromkeys(names)), limit)
    if len(groups) > shown:
        lines.append(f"  ... and {len(groups) - shown} more kinds (--all)")
    return lines


def _some(names: list[str], limit: int | None) -> list[str]:
    # A name need not be text: its other bytes are shown as \\xNN.
    lines = [
        f"      {name.encode(errors='surrogateescape').decode(errors='backslashreplace')}"
        for name in names[:limit]
    ]
    if limit is not None and len(names) > limit:
        lines.append(f"      ... and {len(names) - limit} more (--all)")
    return lines
