"""Corpora of videos with sound: AFEW, eNTERFACE'05 and SAVEE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, VIDEO, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

# AFEW: clips of films with seven emotions; the data of EmotiW 2013 to 2019.
#
# Dhall et al., IEEE MultiMedia 19(3), 2012.

_EMOTIONS: Final = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def read_afew(root: Path) -> Listing:
    """AFEW; the test part has no labels and is left out.

    Nobody says who plays in a clip, so each clip is a subject of its own: compare the given
    parts, which share no film, and not parts of one's own making.

    Args:
        root: the folder; the parts may be at any depth below, under any of their names
            (Train, Train_AFEW, train_afew, Val, ...).
    """
    found = ListingBuilder("afew")
    for path in files_below(root, VIDEO):
        word = path.parent.name.capitalize()
        split = _split(path.relative_to(root))
        if word not in _EMOTIONS:
            if split == "test":
                found.leave_out(path, "in the test part, without a label", by_design=True)
            else:
                found.leave_out(
                    path, f"not in a folder named after a class ({', '.join(_EMOTIONS)})"
                )
        elif not split:
            found.leave_out(path, "unknown split: not below a folder Train, Val or Test")
        else:
            label = label_of(word)
            assert label is not None
            found.take(
                Item(
                    dataset="afew",
                    key=f"{split}/{word}/{path.stem}",
                    path=path,
                    label=label,
                    subject=f"afew-{path.stem}",
                    raw_label=word,
                    split=split,
                )
            )
    return found.listing()


def _split(path: Path) -> str:
    """The part that the nearest folder above names."""
    for folder in reversed(path.parts[:-1]):
        for name in folder.lower().split("_"):
            if name in _SPLITS:
                return _SPLITS[name]
    return ""


def _published_afew(**_options: str) -> Published:
    return Published(
        classes={
            split: {label_of(word) or "": n for word, n in zip(_EMOTIONS, counts, strict=True)}
            for split, counts in {
                "train": (133, 74, 81, 150, 144, 117, 74),
                "validation": (64, 40, 46, 63, 63, 61, 46),
            }.items()
        }
    )


AFEW: Final = DataSet(
    name="afew",
    title="AFEW (EmotiW 2016 to 2019)",
    contents="faces and voices",
    words=_EMOTIONS,
    licence="research use, on request",
    anonymous=True,
    layout="""\
{Train,Val}/{Angry,Disgust,Fear,Happy,Neutral,Sad,Surprise}/<number>.avi
Test/<number>.avi   without labels: left out
  also Train_AFEW, val_afew, ... and nested once more""",
    read=read_afew,
    published=_published_afew,
)


# eNTERFACE'05: 43 people say five sentences with six emotions; filmed, in English.
#
# Martin et al., ICDE workshops 2006.

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


def read_enterface(root: Path, *, long_takes: str = "skip") -> Listing:
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


def _published_enterface(*, long_takes: str = "skip") -> Published:
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
    read=read_enterface,
    options={"long_takes": ("skip", "keep")},
    published=_published_enterface,
    missing=_missing,
)


# SAVEE: four men say 120 sentences each with seven emotions; filmed, in English.
#
# Haq and Jackson, AVSP 2009.

_SAVEE_EMOTIONS: Final = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
_SPEAKERS: Final = ("DC", "JE", "JK", "KL")
# Films are not zero-padded: a1.avi is the sentence of a01.wav.
_SAVEE_NAME: Final = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|a|d|f|h|n)(\d{1,2})")
_FILM, _SOUND = "film", "sound"
_TAKEN_FROM: Final = {
    "av": (_FILM, _SOUND),
    "audio": (_SOUND, _FILM),
    "video": (_FILM,),
}
"""For each modality the kinds of file that have it, the best first."""


def read_savee(root: Path, *, modality: str = "av") -> Listing:
    """SAVEE in its own folders or flat with the speaker in the name; one item a sentence.

    Args:
        root: the folder; the recordings may be at any depth below.
        modality: 'av' takes the film, else the sound; 'audio' the sound, else that of the
            film; 'video' the film.
    """
    found = ListingBuilder("savee")
    takes: dict[str, dict[str, Path]] = {}
    broken: dict[str, dict[str, Path]] = {}
    for path in files_below(root, SOUND + VIDEO):
        fields = _SAVEE_NAME.fullmatch(path.stem)
        if fields is None or not _has(fields.group(2), int(fields.group(3))):
            found.leave_out(path, "not a name of SAVEE")
            continue
        speaker = fields.group(1) or path.parent.name
        if speaker not in _SPEAKERS:
            found.leave_out(
                path, "unknown speaker: none in its name or folder (DC, JE, JK, KL)"
            )
            continue
        kind = _FILM if path.suffix.lower() in VIDEO else _SOUND
        if kind not in _TAKEN_FROM[modality]:
            continue
        key = f"{speaker}_{fields.group(2)}{int(fields.group(3)):02d}"
        if not found.usable(path):
            broken.setdefault(key, {}).setdefault(kind, path)
            continue
        files = takes.setdefault(key, {})
        if kind in files:
            found.leave_out(path, "a copy of another recording", by_design=True)
        else:
            files[kind] = path
    for key, files in takes.items():
        found.add(_item(key, files, modality))
    for key in broken.keys() - takes.keys():
        found.lose(_item(key, broken[key], modality))
    return found.listing()


def _item(key: str, files: Mapping[str, Path], modality: str) -> Item:
    kind = next(kind for kind in _TAKEN_FROM[modality] if kind in files)
    speaker, name = key.split("_")
    word = _SAVEE_EMOTIONS[name.rstrip("0123456789")]
    label = label_of(word)
    assert label is not None
    return Item(
        dataset="savee",
        key=key,
        path=files[kind],
        label=label,
        subject=f"savee-{speaker}",
        raw_label=word,
        sex="male",
        has_face=kind == _FILM and modality != "audio",
        has_voice=modality != "video",
    )


def _has(code: str, number: int) -> bool:
    """15 sentences an emotion, 30 neutral ones."""
    return 1 <= number <= (30 if code == "n" else 15)


def _savee_keys() -> tuple[str, ...]:
    return tuple(
        f"{speaker}_{code}{number:02d}"
        for speaker in _SPEAKERS
        for code in _SAVEE_EMOTIONS
        for number in range(1, 31)
        if _has(code, number)
    )


def _published_savee(**_options: str) -> Published:
    return Published(
        classes={
            "": {
                label_of(word) or "": 120 if word == "neutral" else 60
                for word in _SAVEE_EMOTIONS.values()
            }
        },
        subjects={f"savee-{speaker}": 120 for speaker in _SPEAKERS},
    )


def _savee_missing(items: tuple[Item, ...]) -> tuple[str, ...]:
    there = {item.key for item in items}
    return tuple(f"savee-{key[:2]}: {key}" for key in _savee_keys() if key not in there)


SAVEE: Final = DataSet(
    name="savee",
    title="SAVEE",
    contents="faces and voices",
    words=tuple(_SAVEE_EMOTIONS.values()),
    licence="research use, on request",
    layout="""\
AudioData/{DC,JE,JK,KL}/<code>NN.wav       and, or:
AudioVisualClip/{DC,JE,JK,KL}/<code>N.avi  or flat:
{DC,JE,JK,KL}_<code>NN.wav
  code a anger, d disgust, f fear, h happiness, n neutral (to 30), sa sadness, su surprise""",
    read=read_savee,
    options={"modality": tuple(_TAKEN_FROM)},
    published=_published_savee,
    missing=_savee_missing,
)
