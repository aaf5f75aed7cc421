"""FER2013: 35,887 faces from the web, 48x48 grey; FER+: ten new votes for each of them.

Goodfellow et al., ICONIP 2013; Barsoum et al., ICMI 2016 (FER+).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from avemo_ros.data.corpus_files import (
    IMAGES,
    files_below,
    plain_name,
    read_table,
    tables_below,
)
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, LABELS

_PIXELS: Final = 48 * 48
_VALUES: Final = frozenset(map(str, range(256)))
_EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the order of the table's numbers."""
_SPLITS: Final = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
_TABLES: Final = ("fer2013.csv", "icml_face_data.csv")
_PLUS: Final = "fer2013new.csv"
_PLUS_FILES: Final = "ferplus.csv"
_NOT_A_FACE: Final = "not a face"
_PLUS_WORDS: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    _NOT_A_FACE,
)
"""The ten answers of a rater of FER+."""
_PLUS_COLUMNS: Final = (*_PLUS_WORDS[:-1], "nf")
_PLUS_CLASSES: Final = {
    "ferplus": tuple(word for word in _PLUS_WORDS if label_of(word) in EMOTIONS),
    "ferplus8": tuple(word for word in _PLUS_WORDS if (label_of(word) or word) in FACE_CLASSES),
}
"""Which majorities are kept, by the option."""
_Votes = Mapping[str, int]
"""Raters who gave each of the ten answers."""


def read(root: Path, *, labels: str = "fer") -> Listing:
    """FER2013 from its table or from folders of images, with FER+'s votes where they are there.

    The number of a row is its place in the table (Item.row); nobody knows who is on an image,
    so each is a subject of its own.

    Args:
        root: the folder; tables and the folders of the classes may be at any depth below.
        labels: 'fer', or 'ferplus' for the majority of FER+'s votes: the answer of more than
            half of the raters, those who are alone with theirs not counted (FERPlusReader of
            its authors).  Unknown, no majority and not a face are left out, and contempt
            without 'ferplus8'.

    Raises:
        DataError: a table cannot be read, or FER+ does not fit to it row by row.
    """
    found = ListingBuilder("fer2013")
    tables = tables_below(root)
    table = next((tables[name] for name in _TABLES if name in tables), None)
    given = tables.get(_PLUS if table is not None else _PLUS_FILES)
    if labels != "fer" and given is None:
        raise DataError(
            f"no {_PLUS_FILES if table is None else _PLUS} in {root}: labels '{labels}' need "
            f"{_TABLES[0]} and {_PLUS}, which match row by row, or folders of images (which "
            f"have lost the row order) and {_PLUS_FILES}"
        )
    votes: dict[str, _Votes] = {}
    if given is not None:
        votes = _votes_of_files(given) if table is None else _votes_of_rows(given, table)
    listed = _folders(root, found) if table is None else _rows(table, found)
    for item, usable in listed:
        if labels != "fer":
            word = majority(votes[item.key]) if item.key in votes else "no votes"
            if word not in _PLUS_CLASSES[labels]:
                found.no_class(item.path, word)
                continue
            item = replace(item, label=label_of(word) or word, raw_label=word)
        if item.key in votes:
            item = replace(item, votes=_by_label(votes[item.key]))
        (found.add if usable else found.lose)(item)
    return found.listing()


def _rows(table: Path, found: ListingBuilder) -> Iterator[tuple[Item, bool]]:
    """The item of each row of the table, and whether its image can be used."""
    for row, (_, values) in enumerate(read_table(table, ("emotion", "pixels", "usage"))):
        code, usage, pixels = values["emotion"], values["usage"], values["pixels"]
        if code not in map(str, range(len(_EMOTIONS))):
            found.leave_out(table, f"row {row}: emotion is {code!r}; allowed: 0 to 6")
        elif usage not in _SPLITS:
            found.leave_out(
                table, f"row {row}: Usage is {usage!r}; allowed: {', '.join(_SPLITS)}"
            )
        else:
            numbers = pixels.split()
            wrong = ""
            if len(numbers) != _PIXELS:
                wrong = f"row {row}: {len(numbers)} pixels instead of {_PIXELS}"
            elif not (values_there := set(numbers)) <= _VALUES:
                wrong = f"row {row}: pixels that are not numbers from 0 to 255"
            elif len(values_there) == 1:
                found.note(table, f"row {row}: all pixels are the same", by_design=True)
            if wrong:
                found.leave_out(table, wrong)
            word = _EMOTIONS[int(code)]
            yield _item(_key(row), table, word, _SPLITS[usage], row), not wrong


def _key(row: int) -> str:
    return f"{row:05d}"


def _votes_of_rows(votes_table: Path, table: Path) -> dict[str, _Votes]:
    """FER+'s votes by the keys of the table's items.

    Raises:
        DataError: the two do not match row by row.
    """
    rows = [row for _, row in read_table(votes_table, ("usage", "image name", *_PLUS_COLUMNS))]
    usages = [row["usage"] for _, row in read_table(table, ("usage",))]
    if len(rows) != len(usages):
        raise DataError(
            f"{votes_table} has {len(rows)} rows, {table} {len(usages)}: they do not "
            "match row by row"
        )
    votes = {}
    for row, (values, usage) in enumerate(zip(rows, usages, strict=True)):
        if values["usage"] != usage:
            raise DataError(
                f"row {row} is {values['usage']!r} in {votes_table.name}, {usage!r} in "
                f"{table.name}: they do not match row by row"
            )
        # Its authors took away the names of images without a face.
        named = bool(values["image name"])
        votes[_key(row)] = (
            _votes(values, votes_table, row) if named else {_NOT_A_FACE: len(_PLUS_WORDS)}
        )
    return votes


def _votes_of_files(votes_table: Path) -> dict[str, _Votes]:
    """FER+'s votes by the keys of the items of folders."""
    rows = enumerate(read_table(votes_table, ("file", *_PLUS_COLUMNS)))
    return {
        "/".join(PurePosixPath(plain_name(values["file"])).with_suffix("").parts[-3:]): _votes(
            values, votes_table, row
        )
        for row, (_, values) in rows
    }


def _votes(values: Mapping[str, str], votes_table: Path, row: int) -> _Votes:
    try:
        return {
            word: int(values[column])
            for word, column in zip(_PLUS_WORDS, _PLUS_COLUMNS, strict=True)
        }
    except ValueError as error:
        raise DataError(f"{votes_table}, row {row}: votes are numbers ({error})") from error


def _by_label(votes: _Votes) -> tuple[float, ...]:
    """Votes for each of LABELS."""
    counts = {label_of(word) or word: count for word, count in votes.items()}
    return tuple(float(counts.get(label, 0)) for label in LABELS)


def majority(votes: Mapping[str, int]) -> str:
    """The answer of more than half of the raters, those alone with theirs not counted; 'no
    agreement' without one."""
    counted = {word: count for word, count in votes.items() if count > 1}
    best = max(counted, key=lambda word: counted[word], default="")
    if not best or counted[best] <= 0.5 * sum(counted.values()):
        return "no agreement"
    return best


def _folders(root: Path, found: ListingBuilder) -> Iterator[tuple[Item, bool]]:
    """The item of each image, and whether it can be used."""
    for path in files_below(root, IMAGES):
        word = path.parent.name.lower()
        if word not in _EMOTIONS:
            found.leave_out(
                path, f"not in a folder named after a class ({', '.join(_EMOTIONS)})"
            )
            continue
        part = path.parent.parent.name.lower()
        split = _SPLITS.get(path.stem.split("_")[0], "")
        if not split:
            if part == "train":
                split = "train"
            else:
                found.note(
                    path,
                    "unknown split: the name does not say PublicTest or PrivateTest",
                )
        elif part in ("train", "test") and (split == "train") != (part == "train"):
            found.note(path, f"{split} by its name, but in the folder {part!r}")
        # A few numbers occur in two classes: the folder is part of the key.
        yield _item(f"{part}/{word}/{path.stem}", path, word, split), found.usable(path)


def _item(key: str, path: Path, word: str, split: str, row: int | None = None) -> Item:
    label = label_of(word)
    assert label is not None
    return Item(
        dataset="fer2013",
        key=key,
        path=path,
        label=label,
        subject=f"fer2013-{key}",
        raw_label=word,
        split=split,
        has_voice=False,
        row=row,
    )


def _published(*, labels: str = "fer") -> Published | None:
    if labels == "ferplus8":
        return None
    if labels == "ferplus":
        # Counted in the authors' table, with `majority`.
        order = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
        return Published(
            classes={
                split: dict(zip(order, counts, strict=True))
                for split, counts in {
                    "train": (2100, 119, 532, 7287, 8740, 3014, 3149),
                    "validation": (287, 24, 62, 865, 1182, 351, 415),
                    "test": (273, 18, 83, 893, 1090, 384, 396),
                }.items()
            }
        )
    return Published(
        classes={
            # Order of the table's numbers.
            split: {label_of(word) or "": n for word, n in zip(_EMOTIONS, counts, strict=True)}
            for split, counts in {
                "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
                "validation": (467, 56, 496, 895, 653, 415, 607),
                "test": (491, 55, 528, 879, 594, 416, 626),
            }.items()
        }
    )


FER2013: Final = DataSet(
    name="fer2013",
    title="FER2013 (and FER+)",
    contents="faces",
    words=_EMOTIONS,
    licence="research use (FER+ votes: MIT)",
    anonymous=True,
    layout="""\
fer2013.csv         columns emotion, pixels, Usage (icml_face_data.csv: with spaces)
fer2013new.csv      FER+ votes, for labels=ferplus
or, without fer2013.csv:
{train,test}/{angry,disgust,fear,happy,neutral,sad,surprise}/<Split>_<number>.jpg
  Split Training, PublicTest or PrivateTest
ferplus.csv         FER+ votes with the column file, for labels=ferplus with folders""",
    read=read,
    options={"labels": ("fer", "ferplus", "ferplus8")},
    published=_published,
)
