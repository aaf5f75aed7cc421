"""eNTERFACE'05: 43 people say five sentences with six emotions; filmed, in English.

Martin et al., ICDE workshops 2006.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import VIDEO, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

_CODES: Final = {
    "anger": "an",
    "disgust": "di",
    "fear": "fe",
    "happiness": "ha",
    "sadness": "sa",
    "surprise": "su",
}
_SUBJECT: Final = re.compile(r"subject[ _]?(\d{1,2})", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"sentence[ _]?([1-5])", re.IGNORECASE)
# s3_su_4, but also s_3_su_4 (subject 3), s16_su_3avi (subject 16) and s6_an (subject 6).
_NAME: Final = re.compile(r"s_?(\d{1,2})_(an|di|fe|ha|sa|su)(?:_(\d)(?:avi)?)?", re.IGNORECASE)
_LONG: Final = 6
"""The subject whose takes are not cut into sentences."""
_MISNAMED: Final = {11: 12}
"""Folder of a subject: number in the names of its files."""
_SUBJECTS: Final = tuple(number for number in range(1, 45) if number != 12)
_NOT_RECORDED: Final = (
    "s23_ha_1",
    "s23_ha_2",
    "s23_ha_3",
)


def read(root: Path, *, long_takes: str = "skip") -> Listing:
    """eNTERFACE'05; person, emotion and sentence are those of the folders.

    Names of files have slips (subject 11's say 12, subject 2 has two sentences swapped); only
    one that names another emotion than its folder is left out.

    Args:
        root: the folder; the subjects' folders may be at any depth below.
        long_takes: 'keep' lists subject 6's six takes of a minute and more, each of all the
            sentences; 'skip' leaves them out.
    """
    found = ListingBuilder("enterface")
    for path in files_below(root, VIDEO):
        name = _NAME.fullmatch(path.stem)
        sentence = _SENTENCE.fullmatch(path.parent.name)
        folder = path.parent.parent if sentence else path.parent
        subject = _SUBJECT.fullmatch(folder.parent.name)
        word = folder.name.lower()
        if name is None or subject is None or word not in _CODES:
            found.leave_out(path, "not a name of eNTERFACE'05 (subject N/<emotion>/sentence M)")
            continue
        number, code = int(subject.group(1)), _CODES[word]
        if name.group(2).lower() != code:
            found.leave_out(path, "names another emotion than its folder")
            continue
        if sentence is None and number != _LONG:
            found.leave_out(path, "not in a folder sentence 1 to 5")
            continue
        if sentence is None and long_takes == "skip":
            found.leave_out(path, "one long take of all sentences", by_design=True)
            continue
        if int(name.group(1)) not in (number, _MISNAMED.get(number)):
            found.note(path, "names another subject than its folder; the folder counts")
        if sentence is not None and name.group(3) not in (None, sentence.group(1)):
            found.note(path, "names another sentence than its folder; the folder counts")
        label = label_of(word)
        assert label is not None
        found.take(
            Item(
                dataset="enterface",
                key=f"s{number:02d}_{code}" + (f"_{sentence.group(1)}" if sentence else ""),
                path=path,
                label=label,
                subject=f"enterface-{number:02d}",
                raw_label=word,
            )
        )
    return found.listing()


def _keys() -> tuple[str, ...]:
    """Every sentence of a whole copy."""
    keys = (
        f"s{subject:02d}_{code}_{sentence}"
        for subject in _SUBJECTS
        for code in _CODES.values()
        for sentence in range(1, 6)
        if subject != _LONG
    )
    return tuple(key for key in keys if key not in _NOT_RECORDED)


def _published(*, long_takes: str = "skip") -> Published:
    # 1,263 files in 43 folders, of which six are subject 6's.
    more = 1 if long_takes == "keep" else 0
    classes = {
        label_of(word) or "": more + (207 if word == "happiness" else 210) for word in _CODES
    }
    subjects = {f"enterface-{n:02d}": 27 if n == 23 else 30 for n in _SUBJECTS if n != _LONG}
    if more:
        subjects[f"enterface-{_LONG:02d}"] = len(_CODES)
    return Published(classes={"": classes}, subjects=subjects)


def _missing(items: tuple[Item, ...]) -> tuple[str, ...]:
    there = {item.key for item in items}
    return tuple(f"enterface-{key[1:3]}: {key}" for key in _keys() if key not in there)


ENTERFACE: Final = DataSet(
    name="enterface",
    title="eNTERFACE'05",
    contents="faces and voices",
    words=tuple(_CODES),
    licence="research use",
    layout="""\
subject N/<emotion>/sentence M/sN_<code>_M.avi   N 1 to 44 without 12, M 1 to 5
subject 6/<emotion>/s6_<code>.avi                long takes, for long_takes=keep
  emotion anger, disgust, fear, happiness, sadness, surprise; code its first two letters""",
    read=read,
    options={"long_takes": ("skip", "keep")},
    published=_published,
    missing=_missing,
)
