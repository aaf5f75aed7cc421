"""FER2013: 35,887 faces from the web, 48x48 grey; FER+: ten new votes for each of them.

Goodfellow et al., ICONIP 2013; Barsoum et al., ICMI 2016 (FER+).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import IMAGES, files_below, read_table, tables_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of
from avemo_ros.errors import DataError
from avemo_ros.labels import SPEECH_CLASSES

_PIXELS: Final = 48 * 48
_VALUES: Final = frozenset(map(str, range(256)))
_EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the order of the table's numbers."""
_SPLITS: Final = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
_TABLES: Final = ("fer2013.csv", "icml_face_data.csv")
_PLUS: Final = "fer2013new.csv"
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


def read(root: Path, *, labels: str = "fer") -> Listing:
    """FER2013 from its table or from folders of images.

    The number of a row is its place in the table (Item.row); nobody knows who is on an image,
    so each is a subject of its own.

    Args:
        root: the folder; the table, or the folders of the classes, may be at any depth below.
        labels: 'fer', or 'ferplus' for the majority of FER+'s votes: the answer of more than
            half of the raters, those who are alone with theirs not counted (FERPlusReader of
            its authors).  Contempt, unknown, no majority and not a face are left out.

    Raises:
        DataError: a table cannot be read, or FER+ does not fit to it row by row.
    """
    found = ListingBuilder("fer2013")
    table = _find(root, _TABLES)
    if labels == "ferplus":
        votes_table = _find(root, (_PLUS,))
        if table is None or votes_table is None:
            lacking = _PLUS if table is not None else _TABLES[0]
            raise DataError(
                f"no {lacking} in {root}: labels 'ferplus' need both {_TABLES[0]} and "
                f"{_PLUS}, which match row by row (folders of images have lost the row order)"
            )
        _read_plus(table, votes_table, found)
    elif table is not None:
        for row, split, word, usable in _rows(table, found):
            item = _item(f"{row:05d}", table, word, split, row=row)
            (found.add if usable else found.lose)(item)
    else:
        _read_folders(root, found)
    return found.listing()


def _find(root: Path, names: tuple[str, ...]) -> Path | None:
    tables = tables_below(root)
    return next((tables[name] for name in names if name in tables), None)


def _rows(table: Path, found: ListingBuilder) -> Iterator[tuple[int, str, str, bool]]:
    """Row, split and word of each row of the table that has them, and whether its image can
    be used."""
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
            yield row, _SPLITS[usage], _EMOTIONS[int(code)], not wrong


def _read_plus(table: Path, votes_table: Path, found: ListingBuilder) -> None:
    columns = ("usage", "image name", *_PLUS_COLUMNS)
    votes_rows = [row for _, row in read_table(votes_table, columns)]
    usages = [row["usage"] for _, row in read_table(table, ("usage",))]
    if len(votes_rows) != len(usages):
        raise DataError(
            f"{votes_table} has {len(votes_rows)} rows, {table} {len(usages)}: they do not "
            "match row by row"
        )
    for row, (votes_row, usage) in enumerate(zip(votes_rows, usages, strict=True)):
        if votes_row["usage"] != usage:
            raise DataError(
                f"row {row} is {votes_row['usage']!r} in {votes_table.name}, {usage!r} in "
                f"{table.name}: they do not match row by row"
            )
    for row, split, _, usable in _rows(table, found):
        votes_row = votes_rows[row]
        if not votes_row["image name"]:
            found.no_class(table, _NOT_A_FACE)
            continue
        try:
            votes = {
                word: int(votes_row[column])
                for word, column in zip(_PLUS_WORDS, _PLUS_COLUMNS, strict=True)
            }
        except ValueError as error:
            raise DataError(f"{votes_table}, row {row}: votes are numbers ({error})") from error
        word = majority(votes)
        if label_of(word) is None:
            found.no_class(table, word)
        else:
            counts = {label_of(word): count for word, count in votes.items()}
            item = _item(
                f"{row:05d}",
                table,
                word,
                split,
                row=row,
                votes=tuple(float(counts.get(label, 0)) for label in SPEECH_CLASSES),
            )
            (found.add if usable else found.lose)(item)


def majority(votes: dict[str, int]) -> str:
    """The answer of more than half of the raters, those alone with theirs not counted; 'no
    agreement' without one."""
    counted = {word: count for word, count in votes.items() if count > 1}
    best = max(counted, key=lambda word: counted[word], default="")
    if not best or counted[best] <= 0.5 * sum(counted.values()):
        return "no agreement"
    return best


def _read_folders(root: Path, found: ListingBuilder) -> None:
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
        found.take(_item(f"{part}/{word}/{path.stem}", path, word, split))


def _item(
    key: str,
    path: Path,
    word: str,
    split: str,
    *,
    row: int | None = None,
    votes: tuple[float, ...] | None = None,
) -> Item:
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
        votes=votes,
    )


def _published(*, labels: str = "fer") -> Published:
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
  Split Training, PublicTest or PrivateTest""",
    read=read,
    options={"labels": ("fer", "ferplus")},
    published=_published,
)
