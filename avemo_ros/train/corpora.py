"""Emotional speech from the folder layouts of its corpora."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avemo_ros.labels import SPEECH_CLASSES


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recorded utterance."""

    path: Path
    label: int
    """Index in SPEECH_CLASSES."""
    speaker: str
    """Told apart across corpora, e.g. 'ravdess-02'."""
    corpus: str


RAVDESS_FOLDS: Final[tuple[tuple[int, ...], ...]] = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
)
"""Actors of the four folds of cross-validation; the fifth (1, 4, 9, 22) is kept apart."""

KEPT_APART: Final = (1, 4, 9, 22)
"""RAVDESS actors of the final test: never trained on, never tuned on."""

_RAVDESS: Final = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
_EMODB: Final = {
    "W": "angry",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_URDU: Final = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad"}
_NEMO: Final = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}
CLASSES: Final[dict[str, frozenset[str]]] = {
    "ravdess": frozenset(_RAVDESS.values()),
    "emodb": frozenset(_EMODB.values()),
    "urdu": frozenset(_URDU.values()),
    "nemo": frozenset(_NEMO.values()),
}
"""The classes that occur in a corpus; about the others it says nothing."""


def ravdess(root: Path) -> list[Utterance]:
    """`Actor_XX/03-01-EE-II-SS-RR-AA.flac` (or .wav): speech of RAVDESS.

    Songs, video and the actors kept apart are left out.
    """
    found = []
    for path in _files(root, ("Actor_*/*.flac", "Actor_*/*.wav")):
        fields = path.stem.split("-")
        if len(fields) != 7 or fields[:2] != ["03", "01"] or int(fields[6]) in KEPT_APART:
            continue
        found.append(_utterance(path, _RAVDESS[fields[2]], fields[6], "ravdess"))
    return found


def emodb(root: Path) -> list[Utterance]:
    """`wav/SSTTTEV.flac` (or .wav); boredom is left out."""
    return [
        _utterance(path, _EMODB[path.stem[5]], path.stem[:2], "emodb")
        for path in _files(root, ("wav/*.flac", "wav/*.wav"))
        if path.stem[5] in _EMODB
    ]


def urdu(root: Path) -> list[Utterance]:
    """`<class>/<speaker>_FNN_ANNN.flac` (or .wav)."""
    return [
        _utterance(path, _URDU[path.parent.name], path.stem.split("_")[0], "urdu")
        for path in _files(root, ("*/*.flac", "*/*.wav"))
        if path.parent.name in _URDU
    ]


def nemo(root: Path) -> list[Utterance]:
    """`data.tsv` (file_id, emotion, speaker_id, ...) and `samples/<file_id>.opus` (or .wav)."""
    present = {path.stem: path for path in _files(root, ("samples/*.opus", "samples/*.wav"))}
    with (root / "data.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        _utterance(present[stem], _NEMO[row["emotion"]], row["speaker_id"].strip(), "nemo")
        for row in rows
        if (stem := Path(row["file_id"].strip()).stem) in present
    ]


READERS: Final[dict[str, Callable[[Path], list[Utterance]]]] = {
    "ravdess": ravdess,
    "emodb": emodb,
    "urdu": urdu,
    "nemo": nemo,
}


def read_corpus(name: str, root: Path) -> list[Utterance]:
    """Utterances of the corpus in `<root>/<name>`.

    Raises:
        FileNotFoundError: nothing of it is there.
    """
    found = READERS[name](root / name)
    if not found:
        raise FileNotFoundError(f"no recordings of {name} in {root / name}")
    return found


def _files(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def _utterance(path: Path, label: str, speaker: str, corpus: str) -> Utterance:
    return Utterance(path, SPEECH_CLASSES.index(label), f"{corpus}-{speaker}", corpus)
