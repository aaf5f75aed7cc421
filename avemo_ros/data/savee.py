"""SAVEE: four men say 120 sentences each with seven emotions; filmed, in English.

Haq and Jackson, AVSP 2009.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, VIDEO, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

_EMOTIONS: Final = {
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
_NAME: Final = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|a|d|f|h|n)(\d{1,2})")
_FILM, _SOUND = "film", "sound"
_TAKEN_FROM: Final = {
    "av": (_FILM, _SOUND),
    "audio": (_SOUND, _FILM),
    "video": (_FILM,),
}
"""For each modality the kinds of file that have it, the best first."""


def read(root: Path, *, modality: str = "av") -> Listing:
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
        fields = _NAME.fullmatch(path.stem)
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
    word = _EMOTIONS[name.rstrip("0123456789")]
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


def _keys() -> tuple[str, ...]:
    return tuple(
        f"{speaker}_{code}{number:02d}"
        for speaker in _SPEAKERS
        for code in _EMOTIONS
        for number in range(1, 31)
        if _has(code, number)
    )


def _published(**_options: str) -> Published:
    return Published(
        classes={
            "": {
                label_of(word) or "": 120 if word == "neutral" else 60
                for word in _EMOTIONS.values()
            }
        },
        subjects={f"savee-{speaker}": 120 for speaker in _SPEAKERS},
    )


def _missing(items: tuple[Item, ...]) -> tuple[str, ...]:
    there = {item.key for item in items}
    return tuple(f"savee-{key[:2]}: {key}" for key in _keys() if key not in there)


SAVEE: Final = DataSet(
    name="savee",
    title="SAVEE",
    contents="faces and voices",
    words=tuple(_EMOTIONS.values()),
    licence="research use, on request",
    layout="""\
AudioData/{DC,JE,JK,KL}/<code>NN.wav       and, or:
AudioVisualClip/{DC,JE,JK,KL}/<code>N.avi  or flat:
{DC,JE,JK,KL}_<code>NN.wav
  code a anger, d disgust, f fear, h happiness, n neutral (to 30), sa sadness, su surprise""",
    read=read,
    options={"modality": tuple(_TAKEN_FROM)},
    published=_published,
    missing=_missing,
)
