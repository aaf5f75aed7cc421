"""One's own recordings: a table `clips.csv` that names files, labels and people."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import IMAGES, SOUND, VIDEO, read_table
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, label_of
from avemo_ros.errors import DataError
from avemo_ros.labels import SPEECH_CLASSES, WORDS

_TABLE: Final = "clips.csv"
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
    for number, row in read_table(table, ("file", "label", "subject")):
        clip = _item(table, number, row)
        if isinstance(clip, str):
            found.no_class(table.parent / row["file"], clip)
        elif clip.key in found:
            raise _not_allowed(
                table, number, "file", row["file"], "each part of a file only once"
            )
        elif not clip.path.exists():
            found.lose(clip, f"in {table.name}, but missing")
        else:
            found.take(clip)
    return found.listing()


def _item(table: Path, number: int, row: dict[str, str]) -> Item | str:
    """The row as an item; the word of its label if that is left out."""
    file, word = row["file"], row["label"].casefold()
    suffix = Path(file).suffix.lower()
    if suffix not in SOUND + VIDEO + IMAGES:
        raise _not_allowed(
            table, number, "file", file, f"names in {' '.join(SOUND + VIDEO + IMAGES)}"
        )
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
    key = file if start is None and end is None else f"{file}@{row.get('start_s') or 0}"
    return Item(
        dataset="clips",
        key=key,
        path=table.parent / file,
        label=label,
        subject=f"clips-{row['subject']}",
        raw_label=row["label"],
        sex=_SEXES[sex],
        split=split,
        has_face=suffix not in SOUND,
        has_voice=suffix not in IMAGES,
        start_s=start,
        end_s=end,
    )


def _seconds(table: Path, number: int, row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (0.0 <= seconds < math.inf):
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
