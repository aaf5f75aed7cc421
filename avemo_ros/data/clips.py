"""One's own recordings: a table `clips.csv` that names files, labels and people."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import (
    IMAGES,
    OWN_SOUND,
    OWN_VIDEO,
    find_file,
    is_unicode,
    number_of,
    plain_name,
    read_table,
)
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, label_of
from avemo_ros.errors import DataError
from avemo_ros.labels import SPEECH_CLASSES, WORDS

_TABLE: Final = "clips.csv"
_FILES: Final = OWN_SOUND + OWN_VIDEO + IMAGES
_SPLITS: Final = ("", "train", "validation", "test")
_SEXES: Final = {"": "", "male": "male", "m": "male", "female": "female", "f": "female"}


def read(root: Path) -> Listing:
    """The clips of a table.

    Args:
        root: the table, or the folder that holds `clips.csv`.

    Raises:
        DataError: the table cannot be read or a value in it is not allowed; the message names
            line, column, value and what is allowed.
    """
    table = root / _TABLE if root.is_dir() else root
    found = ListingBuilder("clips")
    listed: dict[tuple[Path, float, float | None], tuple[int, Item]] = {}
    if not is_unicode(table):
        found.note(table, "not UTF-8, read as Latin-1: save it as UTF-8 if letters look wrong")
    for number, row in read_table(table, ("file", "label", "subject")):
        clip = _item(table, number, row)
        if isinstance(clip, str):
            found.no_class(table.parent / row["file"], clip)
            continue
        part = (clip.path, clip.start_s or 0.0, clip.end_s)
        line, before = listed.setdefault(part, (number, clip))
        if before is not clip and (before.label, before.subject) == (clip.label, clip.subject):
            what = f"line {number} of {table.name} repeats line {line}"
            found.leave_out(clip.path, what, by_design=True)
        elif before is not clip or clip.key in found:
            other = "" if before is clip else f"; line {line} says {before.raw_label} of "
            other += "" if before is clip else before.subject.removeprefix("clips-")
            raise _not_allowed(
                table, number, "file", row["file"], f"each part of a file only once{other}"
            )
        elif not clip.path.exists():
            found.lose(clip, f"in {table.name}, but missing")
        else:
            found.take(clip)
    spelled: dict[str, str] = {}
    for subject in dict.fromkeys(
        clip.subject.removeprefix("clips-") for _, clip in listed.values()
    ):
        other = spelled.setdefault(subject.casefold(), subject)
        if other != subject:
            found.note(table, f"'{other}' and '{subject}' count as two people")
    return found.listing()


def _item(table: Path, number: int, row: dict[str, str]) -> Item | str:
    """The row as an item; the word of its label if that is left out."""
    file, word = row["file"], row["label"].casefold()
    suffix = Path(file).suffix.lower()
    if suffix not in _FILES:
        raise _not_allowed(table, number, "file", file, f"names in {' '.join(_FILES)}")
    if word not in WORDS:
        raise _not_allowed(
            table,
            number,
            "label",
            row["label"],
            f"{', '.join(SPEECH_CLASSES)} (or words for them: {', '.join(sorted(WORDS))})",
        )
    if not row["subject"]:
        raise _not_allowed(table, number, "subject", "", "a name for the person")
    split, sex = row.get("split", "").lower(), row.get("sex", "").lower()
    if split not in _SPLITS:
        raise _not_allowed(table, number, "split", split, "train, validation, test or nothing")
    if sex not in _SEXES:
        raise _not_allowed(table, number, "sex", sex, "male, female or nothing")
    start, end = _seconds(table, number, row, "start_s"), _seconds(table, number, row, "end_s")
    if end is not None and end <= (start or 0.0):
        raise _not_allowed(table, number, "end_s", row["end_s"], "later than start_s")
    label = label_of(word)
    if label is None:
        return word
    plain = plain_name(file)
    key = plain if start is None and end is None else f"{plain}@{row.get('start_s') or 0}"
    return Item(
        dataset="clips",
        key=key,
        path=find_file(table.parent, file),
        label=label,
        subject=f"clips-{unicodedata.normalize('NFC', row['subject'])}",
        raw_label=row["label"],
        sex=_SEXES[sex],
        split=split,
        has_face=suffix not in OWN_SOUND,
        has_voice=suffix not in IMAGES,
        start_s=start,
        end_s=end,
    )


def _seconds(table: Path, number: int, row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    seconds = number_of(text)
    if not 0.0 <= seconds < math.inf:
        raise _not_allowed(table, number, column, text, "seconds from 0, or nothing")
    return seconds


def _not_allowed(table: Path, number: int, column: str, value: str, allowed: str) -> DataError:
    return DataError(f"{table}, line {number}: {column} is {value!r}; allowed: {allowed}")


CLIPS: Final = DataSet(
    name="clips",
    title="your own recordings",
    contents="faces and voices",
    words=SPEECH_CLASSES,
    licence="yours",
    layout="""\
clips.csv           columns file, label, subject and, if you like, sex, split, start_s, end_s
  file from the table's folder; label one of our classes or a common word for it""",
    read=read,
    root_may_be_file=True,
)
