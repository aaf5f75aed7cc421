"""RAVDESS: 24 actors say two sentences with eight emotions; filmed, in English.

Livingstone and Russo, PLoS ONE 13(5), 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, VIDEO, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

RAVDESS_FOLDS: Final[tuple[tuple[int, ...], ...]] = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
)
"""Actors of the four folds of cross-validation (Luna-Jimenez et al. 2022); the fifth
(1, 4, 9, 22) is kept apart."""

KEPT_APART: Final = (1, 4, 9, 22)
"""Actors of the final test: never trained on, never tuned on.  The loader lists them."""

_EMOTIONS: Final = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
_ACTORS: Final = tuple(f"{number:02d}" for number in range(1, 25))
_NAME: Final = re.compile(
    r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])"
)
_FOLDER: Final = re.compile(r"actor_(\d{2})", re.IGNORECASE)
_BOTH, _VIDEO, _SOUND = "01", "02", "03"
_SPEECH: Final = "01"
_TAKEN_FROM: Final = {
    "av": (_BOTH, _SOUND, _VIDEO),
    "audio": (_SOUND, _BOTH),
    "video": (_VIDEO, _BOTH),
}
"""For each modality the kinds of file that have it, the best first."""


def read(root: Path, *, modality: str = "av") -> Listing:
    """Speech of RAVDESS; one item a take, whichever of its three files are there.

    Args:
        root: the folder; the actors' folders may be at any depth below.
        modality: 'av' takes the audio-visual file (01-), else the sound (03-), else the
            silent film (02-); 'audio' the sound, else that of the audio-visual file; 'video'
            the silent film, else the images of the audio-visual file.
    """
    found = ListingBuilder("ravdess")
    takes: dict[str, dict[str, Path]] = {}
    broken: dict[str, dict[str, Path]] = {}
    for path in files_below(root, SOUND + VIDEO):
        fields = _NAME.fullmatch(path.stem)
        if fields is None:
            found.leave_out(path, "not a name of RAVDESS")
            continue
        kind, channel, emotion, intensity, *_, actor = fields.groups()
        if _EMOTIONS[emotion] == "neutral" and intensity == "02":
            found.leave_out(path, "not a name of RAVDESS: there is no strong neutral")
            continue
        if channel != _SPEECH:
            found.leave_out(path, "a song, not speech", by_design=True)
            continue
        if kind not in _TAKEN_FROM[modality]:
            continue
        if not found.usable(path):
            broken.setdefault(path.stem[3:], {}).setdefault(kind, path)
            continue
        folder = _FOLDER.fullmatch(path.parent.name)
        if folder is not None and folder.group(1) != actor:
            found.note(path, "in the folder of another actor; the actor in the name counts")
        files = takes.setdefault(path.stem[3:], {})
        if kind in files:
            found.leave_out(path, "a copy of another recording", by_design=True)
        else:
            files[kind] = path
    for files in takes.values():
        found.add(_item(files, modality))
    for take in broken.keys() - takes.keys():
        found.lose(_item(broken[take], modality))
    return found.listing()


def _item(files: Mapping[str, Path], modality: str) -> Item:
    kind = next(kind for kind in _TAKEN_FROM[modality] if kind in files)
    path = files[kind]
    fields = path.stem.split("-")
    word, actor = _EMOTIONS[fields[2]], fields[6]
    label = label_of(word)
    assert label is not None
    return Item(
        dataset="ravdess",
        key=path.stem,
        path=path,
        label=label,
        subject=f"ravdess-{actor}",
        raw_label=word,
        sex="male" if int(actor) % 2 else "female",
        has_face=kind != _SOUND and modality != "audio",
        has_voice=kind != _VIDEO and modality != "video",
    )


def _takes() -> tuple[str, ...]:
    """The last six fields of every take of speech."""
    return tuple(
        f"{_SPEECH}-{emotion}-{intensity}-{statement}-{repetition}-{actor}"
        for actor, emotion, intensity, statement, repetition in product(
            _ACTORS, _EMOTIONS, ("01", "02"), ("01", "02"), ("01", "02")
        )
        if not (_EMOTIONS[emotion] == "neutral" and intensity == "02")
    )


def _published(**_options: str) -> Published:
    counts = {word: 96 if word == "neutral" else 192 for word in _EMOTIONS.values()}
    return Published(
        classes={"": {label_of(word) or "": count for word, count in counts.items()}},
        subjects={f"ravdess-{actor}": 60 for actor in _ACTORS},
    )


def _missing(items: tuple[Item, ...]) -> tuple[str, ...]:
    there = {item.key[3:] for item in items}
    return tuple(f"ravdess-{take[-2:]}: ??-{take}" for take in _takes() if take not in there)


RAVDESS: Final = DataSet(
    name="ravdess",
    title="RAVDESS, speech",
    contents="faces and voices",
    words=tuple(_EMOTIONS.values()),
    licence="CC BY-NC-SA 4.0",
    layout="""\
Actor_XX/MM-CC-EE-II-SS-RR-AA.{mp4,wav,flac}
  MM 01 audio-visual, 02 video only, 03 audio only; CC 01 speech, 02 song (left out);
  EE 01 neutral, 02 calm, 03 happy, 04 sad, 05 angry, 06 fearful, 07 disgust, 08 surprised;
  II 01 normal, 02 strong; SS sentence 01, 02; RR repetition 01, 02; AA actor 01 to 24""",
    read=read,
    options={"modality": tuple(_TAKEN_FROM)},
    published=_published,
    missing=_missing,
)
