"""IEMOCAP: ten actors in pairs, scripted scenes and improvised ones; filmed, in English.

Busso et al., Language Resources and Evaluation 42, 2008.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import files_below, read_text
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of
from avemo_ros.errors import DataError

_EMOTIONS: Final = {
    "neu": "neutral",
    "hap": "happiness",
    "exc": "excited",
    "ang": "anger",
    "sad": "sadness",
    "fru": "frustration",
    "oth": "other",
    "xxx": "no agreement",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
}
_TOO_FEW: Final = ("surprise", "fear", "disgust")
_LABELS: Final = "EmoEvaluation"
_LINE: Final = re.compile(r"\[(\d+\.\d+) - (\d+\.\d+)\]\t(\S+)\t([a-z]{3})\t\[.*\]")
_DIALOGUE: Final = re.compile(r"Ses0([1-5])[FM]_(impro|script)\w+")
_UTTERANCE: Final = re.compile(r"(Ses0[1-5][FM]_(?:impro|script)\w+)_([FM])\w{3}")
_PARTS: Final = {"impro": "impro", "scripted": "script"}


def read(root: Path, *, part: str = "all", modality: str = "audio") -> Listing:
    """IEMOCAP, the four classes of the usual protocol: excited counts as happy.

    The speaker is the letter of the utterance (..._F000), not that of the dialogue (Ses01M...,
    who wears the markers).  The 149 utterances with surprise, fear or disgust are too few to
    learn or measure, and are left out with frustration, other and those without agreement.

    Args:
        root: the folder; the sessions may be at any depth below.
        part: 'all', 'impro' or 'scripted'.
        modality: 'audio' takes the cut utterances; 'av' the films of the dialogues, with start
            and end of the utterance.  Both actors are in one image there.

    Raises:
        DataError: there are no label files, or one cannot be read.
    """
    found = ListingBuilder("iemocap")
    tables = [path for path in files_below(root, (".txt",)) if path.parent.name == _LABELS]
    if not tables:
        raise DataError(
            f"no dialog/{_LABELS}/Ses*.txt of IEMOCAP in {root}; expected:\n{IEMOCAP.layout}"
        )
    for table in tables:
        dialogue = _DIALOGUE.fullmatch(table.stem)
        if dialogue is None:
            found.leave_out(table, "not a name of IEMOCAP's label files")
        elif part == "all" or dialogue.group(2) == _PARTS[part]:
            _read_dialogue(table, modality, found)
    return found.listing()


def _read_dialogue(table: Path, modality: str, found: ListingBuilder) -> None:
    session = table.parent.parent.parent
    film = session / "dialog" / "avi" / "DivX" / f"{table.stem}.avi"
    film_usable = True
    if modality == "av":
        # One problem, not one an utterance.
        film_usable = film.exists() and found.usable(film)
        if not film.exists():
            found.leave_out(film, "labels, but no video")
    labelled = 0
    for line in read_text(table).splitlines():
        if not line.startswith("["):  # the raters' own answers, the header
            continue
        fields = _LINE.fullmatch(line.rstrip())
        utterance = _UTTERANCE.fullmatch(fields.group(3)) if fields else None
        if (
            fields is None
            or utterance is None
            or utterance.group(1) != table.stem
            or fields.group(4) not in _EMOTIONS
        ):
            found.leave_out(table, f"cannot read this line: {line[:60]!r}")
            continue
        labelled += 1
        name, word = fields.group(3), _EMOTIONS[fields.group(4)]
        label = label_of(word)
        path = film if modality == "av" else _recording(session, table.stem, name)
        if label is None or word in _TOO_FEW:
            found.no_class(path, word)
            continue
        item = Item(
            dataset="iemocap",
            key=name,
            path=path,
            label=label,
            subject=f"iemocap-{name[3:5]}{utterance.group(2)}",
            raw_label=word,
            sex="female" if utterance.group(2) == "F" else "male",
            has_face=modality == "av",
            start_s=float(fields.group(1)) if modality == "av" else None,
            end_s=float(fields.group(2)) if modality == "av" else None,
        )
        if modality == "av":
            (found.add if film_usable else found.lose)(item)
        elif path.exists():
            found.take(item)
        else:
            found.lose(item, "a label, but no recording")
    if not labelled:
        found.leave_out(table, "no labels in it")


def _recording(session: Path, dialogue: str, name: str) -> Path:
    folder = session / "sentences" / "wav" / dialogue
    flac = folder / f"{name}.flac"
    return flac if flac.exists() else folder / f"{name}.wav"


def _published(*, part: str = "all", **_options: str) -> Published:
    # neutral, anger and sadness; happiness and excited together.
    classes = {
        "all": {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084},
        "impro": {"angry": 289, "happy": 947, "neutral": 1099, "sad": 608},
        "scripted": {"angry": 814, "happy": 689, "neutral": 609, "sad": 476},
    }[part]
    subjects = {
        "iemocap-01F": 528,
        "iemocap-01M": 557,
        "iemocap-02F": 481,
        "iemocap-02M": 542,
        "iemocap-03F": 522,
        "iemocap-03M": 629,
        "iemocap-04F": 528,
        "iemocap-04M": 503,
        "iemocap-05F": 590,
        "iemocap-05M": 651,
    }
    return Published(
        classes={"": classes},
        subjects=subjects if part == "all" else None,
        n_subjects=len(subjects),
    )


IEMOCAP: Final = DataSet(
    name="iemocap",
    title="IEMOCAP, four classes",
    contents="faces and voices",
    words=tuple(word for word in _EMOTIONS.values() if word not in _TOO_FEW),
    licence="research use, on request",
    layout="""\
Session<1-5>/dialog/EmoEvaluation/<dialogue>.txt
Session<1-5>/sentences/wav/<dialogue>/<utterance>.wav   for modality=audio
Session<1-5>/dialog/avi/DivX/<dialogue>.avi             for modality=av
  dialogue Ses01F_impro01, Ses05M_script01_1b, ...; utterance the same and _F000 or _M000""",
    read=read,
    options={"part": ("all", *_PARTS), "modality": ("audio", "av")},
    published=_published,
    too_few=_TOO_FEW,
)
