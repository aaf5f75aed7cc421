"""A table of clips as a data set, and how the bags of clips are called."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from avemo_ros.bag import METADATA
from avemo_ros.bag.folder import read_custom_data
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


# Names of the bags made from clips, and which bag was made from which clip.

MARK: Final = "avemo_clip"
"""Under this name metadata.yaml tells of which clip a bag was made."""
_SUFFIXES: Final = "|".join(re.escape(suffix) for suffix in OWN_SOUND + OWN_VIDEO)


def mark_of(item: Item) -> str:
    """Tells a clip from all others, also where their bags would have one name.

    A digest, as a table may name files by paths that are nobody else's business.
    """
    identity = "\n".join(map(str, (item.dataset, item.key, item.start_s, item.end_s)))
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def marks_in(folder: Path) -> dict[Path, str]:
    """The bags in a folder with the marks of their clips; "" for other bags, and for those
    made before there were marks."""
    if not folder.is_dir():
        return {}
    return {
        path: read_custom_data(path).get(MARK, "")
        for path in sorted(folder.iterdir())
        if path.suffix != ".partial" and (path / METADATA).is_file()
    }


def names_of(items: Sequence[Item]) -> list[str]:
    """A name for the bag of each clip, each another.

    Of one's own clips the file's name without suffix, with folders before it only where
    several files have that name; of a data set what its loader calls the clip.
    """
    if any(item.dataset != "clips" for item in items):
        return names_by_key(items)
    short = _short_names(list(dict.fromkeys(_file_of(item) for item in items)))
    return _numbered([f"{short[_file_of(item)]}{_piece_of(item)}" for item in items])


def names_by_key(items: Sequence[Item]) -> list[str]:
    """Names from the whole keys, as all bags of clips were named before there were marks."""
    keys = (
        re.sub(rf"({_SUFFIXES})(?=@|$)", "", item.key, flags=re.IGNORECASE) for item in items
    )
    return _numbered(list(keys))


def _file_of(item: Item) -> str:
    return item.key.removesuffix(_piece_of(item))


def _piece_of(item: Item) -> str:
    """'@2.1' of a piece of a file that begins at 2.1 s."""
    if item.start_s is None and item.end_s is None:
        return ""
    return item.key[item.key.rindex("@") :]


def _short_names(files: Sequence[str]) -> dict[str, str]:
    """Of each file the shortest name that no other one has."""
    names: dict[str, str] = {}
    left = list(files)
    for name_of in _ways(max(len(_parts(file)) for file in files)):
        often = Counter(_plain(name_of(file)).lower() for file in left)
        names |= {file: name_of(file) for file in left}
        left = [file for file in left if often[_plain(names[file]).lower()] > 1]
    return names


def _ways(most: int) -> list[Callable[[str], str]]:
    """Shorter names first: one folder more each time, and in the end the suffix, too."""

    def way(count: int) -> Callable[[str], str]:
        return lambda file: "_".join(_parts(file)[-count:])

    return [*map(way, range(1, most + 1)), lambda file: file.replace(".", "_")]


def _parts(file: str) -> tuple[str, ...]:
    return PurePosixPath(file.replace("\\", "/")).with_suffix("").parts


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "clip"


def _numbered(names: Sequence[str]) -> list[str]:
    """Names of folders; where two are alike, also in capitals, the later one gets a number."""
    numbered: list[str] = []
    taken: set[str] = set()
    for plain in map(_plain, names):
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        numbered.append(name)
    return numbered
