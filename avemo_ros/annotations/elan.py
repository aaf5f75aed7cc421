"""Labels of an ELAN document (.eaf, https://archive.mpi.nl/tla/elan)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from avemo_ros.annotations.label_entries import (
    LabelCollector,
    LabelDefaults,
    LabelEntry,
    LabelFile,
    read_bytes,
)
from avemo_ros.errors import LabelError
from avemo_ros.labels import WORDS
from avemo_ros.untrusted import MAX_WORDS

_MS_PER_S: Final = 1000


@dataclass(slots=True)
class _Annotation:
    """A stretch of a tier."""

    line: int
    name: str
    slots: tuple[str, str]
    """Time slots of its start and end; '' in one that refers to another annotation."""
    parent: str
    """The annotation that one without times of its own refers to; '' for none."""
    text: str = ""


@dataclass(slots=True)
class _Tier:
    """A row of the document's time line."""

    name: str
    person: str
    annotator: str
    annotations: list[_Annotation] = field(default_factory=list)


def read_elan(path: Path, defaults: LabelDefaults) -> LabelFile:
    """The labels of every tier that holds words for emotions.

    A tier is about the person of its name, or `person@annotator`; its attributes PARTICIPANT
    and ANNOTATOR go before.  Times count from the beginning of the media file.  Times that are
    not aligned are spread evenly between their neighbours, as ELAN shows them.

    Raises:
        LabelError: the document cannot be read or is wrong; names line and field.
    """
    document = _Document(path)
    document.read()
    collector = LabelCollector(path, defaults)
    for tier in document.tiers:
        if not tier.annotations:
            continue
        if not any(item.text.strip().casefold() in WORDS for item in tier.annotations):
            collector.notes.append(
                f"{path.name}: tier '{tier.name}' is left out: none of its "
                f"{len(tier.annotations)} annotations is a word for an emotion"
            )
            continue
        for entry in document.entries(tier):
            collector.take(entry)
    if document.spread:
        collector.notes.append(
            f"{path.name}: {document.spread} times are not aligned; they are spread evenly "
            "between their neighbours"
        )
    return collector.file()


class _Document:
    """What is needed of the document's elements."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.tiers: list[_Tier] = []
        self.spread = 0
        """Times that had to be spread."""
        self._slots: dict[str, str] = {}
        """Milliseconds by time slot in the document's order; '' where it is not aligned."""
        self._annotations: dict[str, tuple[_Tier, _Annotation]] = {}
        self._known: dict[str, dict[str, float]] = {}
        self._aligned_ones: dict[str, _Annotation] = {}
        """The one that gives the times, by those that refer to it."""
        self._open = ""
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def read(self) -> None:
        """Raises LabelError where the file is no such document."""
        try:
            self._parser.Parse(read_bytes(self._path), True)
        except KeyError as error:
            raise LabelError(
                f"{self._path}, line {self._parser.CurrentLineNumber}: an element has no "
                f"attribute {error}; is it an ELAN document?"
            ) from error
        except (expat.ExpatError, ValueError, LookupError) as error:
            # The latter two: its encoding is unknown.
            raise LabelError(f"{self._path}: not readable as XML: {error}") from error
        if not self._slots and not self.tiers:
            raise LabelError(f"{self._path} is not an ELAN document: it has no tiers")

    def entries(self, tier: _Tier) -> Iterator[LabelEntry]:
        """The annotations of a tier as entries.

        Raises:
            LabelError: a time cannot be read.
        """
        for item in tier.annotations:
            place = self._place(item.line, tier, item)
            start, end = self._times(place, item)
            yield LabelEntry(
                place,
                {
                    "person": tier.person,
                    "annotator": tier.annotator,
                    "label": item.text.strip(),
                    "start": f"{start / _MS_PER_S:.6f}",
                    "end": f"{end / _MS_PER_S:.6f}",
                },
            )

    def _place(self, line: int, tier: _Tier, item: _Annotation) -> str:
        return f"{self._path}, line {line} (tier '{tier.name}', annotation {item.name})"

    # --- times

    def _times(self, place: str, item: _Annotation) -> tuple[float, float]:
        """Start and end of an annotation, or of the one that it refers to [ms]."""
        seen: list[str] = []
        while item.parent and item.name not in self._aligned_ones:
            if len(seen) > len(self._annotations) or item.parent not in self._annotations:
                raise LabelError(f"{place}: it refers to {item.parent}, which gives no time")
            seen.append(item.name)
            _, item = self._annotations[item.parent]
        item = self._aligned_ones.get(item.name, item)
        # Long chains are followed once.
        self._aligned_ones.update(dict.fromkeys(seen, item))
        tier, _ = self._annotations[item.name]
        known = self._known.get(tier.name)
        if known is None:
            known = self._known[tier.name] = self._aligned(tier)
        for slot in item.slots:
            if slot not in known:
                raise LabelError(
                    f"{place}: time slot {slot} has no time, and neither have the ones around "
                    "it"
                )
        return known[item.slots[0]], known[item.slots[1]]

    def _aligned(self, tier: _Tier) -> dict[str, float]:
        """The time of each slot that the tier uses [ms]; without those that nothing tells."""
        used = {slot for item in tier.annotations for slot in item.slots}
        order = [slot for slot in self._slots if slot in used]
        times: dict[str, float] = {}
        waiting: list[str] = []
        last: float | None = None
        for slot in order:
            text = self._slots[slot]
            if not text:
                waiting.append(slot)
                continue
            now = self._milliseconds(slot, text)
            if last is not None:
                step = (now - last) / (len(waiting) + 1)
                for place, name in enumerate(waiting, start=1):
                    times[name] = last + place * step
                self.spread += len(waiting)
            waiting = []
            times[slot] = last = now
        return times

    def _milliseconds(self, slot: str, text: str) -> float:
        if not text.isascii() or not text.isdigit():
            raise LabelError(
                f"{self._path}: TIME_VALUE of time slot {slot} is {text!r}; allowed: "
                "milliseconds, 0 or more"
            )
        return float(text)

    # --- elements

    def _refuse(self, *_: object) -> None:
        raise LabelError(
            f"{self._path}, line {self._parser.CurrentLineNumber}: a document type is "
            "declared; ELAN documents have none, and entities are not read"
        )

    def _start(self, element: str, given: Mapping[str, str]) -> None:
        self._open = element
        if element == "TIME_SLOT":
            self._slots[given["TIME_SLOT_ID"]] = given.get("TIME_VALUE", "")
        elif element == "TIER":
            person, _, annotator = given["TIER_ID"].partition("@")
            self.tiers.append(
                _Tier(
                    given["TIER_ID"],
                    given.get("PARTICIPANT", "").strip() or person.strip(),
                    given.get("ANNOTATOR", "").strip() or annotator.strip(),
                )
            )
        elif element in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"):
            self._take_annotation(element, given)

    def _take_annotation(self, element: str, given: Mapping[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        if not self.tiers:
            raise LabelError(f"{self._path}, line {line}: an annotation is in no tier")
        name = given["ANNOTATION_ID"]
        slots, parent = ("", ""), ""
        if element == "REF_ANNOTATION":
            parent = given["ANNOTATION_REF"]
        else:
            slots = (given["TIME_SLOT_REF1"], given["TIME_SLOT_REF2"])
        found = _Annotation(line, name, slots, parent)
        self.tiers[-1].annotations.append(found)
        self._annotations[name] = (self.tiers[-1], found)

    def _end(self, _element: str) -> None:
        self._open = ""

    def _text(self, text: str) -> None:
        if self._open == "ANNOTATION_VALUE" and self.tiers and self.tiers[-1].annotations:
            last = self.tiers[-1].annotations[-1]
            last.text += text
            if len(last.text) > MAX_WORDS:
                raise LabelError(
                    f"{self._path}, line {last.line}: annotation {last.name} has more than "
                    f"{MAX_WORDS} characters"
                )
