"""Corpora of speech only: EmoDB (German), nEMO (Polish) and URDU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, files_below, read_table
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of
from avemo_ros.errors import DataError

# EmoDB: ten actors say ten sentences with seven emotions; sound only, in German.
#
# Burkhardt et al., Interspeech 2005.

_EMOTIONS: Final = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
# The sexes are those that the data set's own pages give.
_MALE: Final = ("03", "10", "11", "12", "15")
_FEMALE: Final = ("08", "09", "13", "14", "16")
# Counted in a whole copy, without boredom.
_SUBJECTS: Final = {
    "03": 44,
    "08": 48,
    "09": 39,
    "10": 30,
    "11": 47,
    "12": 30,
    "13": 51,
    "14": 61,
    "15": 47,
    "16": 57,
}
_NAME: Final = re.compile(r"(\d\d)[ab]\d\d([WLEAFTN])[a-z]?")


def read_emodb(root: Path) -> Listing:
    """EmoDB; boredom is left out.

    Args:
        root: the folder; the recordings may be at any depth below.
    """
    found = ListingBuilder("emodb")
    for path in files_below(root, SOUND):
        fields = _NAME.fullmatch(path.stem)
        if fields is None or fields.group(1) not in _MALE + _FEMALE:
            found.leave_out(path, "not a name of EmoDB")
            continue
        speaker, code = fields.groups()
        word = _EMOTIONS[code]
        label = label_of(word)
        if label is None:
            found.no_class(path, word)
        else:
            found.take(
                Item(
                    dataset="emodb",
                    key=path.stem,
                    path=path,
                    label=label,
                    subject=f"emodb-{speaker}",
                    raw_label=word,
                    sex="male" if speaker in _MALE else "female",
                    has_face=False,
                )
            )
    return found.listing()


def _published_emodb(**_options: str) -> Published:
    # Counted in a whole copy of 535 recordings, of which 81 are boredom.
    return Published(
        classes={
            "": {
                "angry": 127,
                "disgust": 46,
                "fear": 69,
                "happy": 71,
                "neutral": 79,
                "sad": 62,
            }
        },
        subjects={f"emodb-{speaker}": count for speaker, count in _SUBJECTS.items()},
    )


EMODB: Final = DataSet(
    name="emodb",
    title="EmoDB (Berlin)",
    contents="voices",
    words=tuple(_EMOTIONS.values()),
    licence="free for research",
    layout="""\
wav/SSTTTEV.{wav,flac}
  SS speaker; TTT sentence; E emotion: W anger, L boredom (left out), E disgust, A fear,
  F happiness, T sadness, N neutral; V version a, b, ...""",
    read=read_emodb,
    published=_published_emodb,
)


# nEMO: nine actors say ninety sentences with six emotions; sound only, in Polish.
#
# Christop, LREC-COLING 2024.

_NEMO_EMOTIONS: Final = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
_TABLE: Final = "data.tsv"
# Counted in a whole copy.
_CLASSES: Final = {
    "angry": 749,
    "fear": 736,
    "happy": 749,
    "neutral": 809,
    "sad": 769,
    "surprise": 669,
}
_NEMO_SUBJECTS: Final = {
    "EB0": 539,
    "IC0": 540,
    "KD0": 540,
    "KS0": 540,
    "MK0": 450,
    "MP0": 256,
    "SM0": 538,
    "TP0": 539,
    "WR0": 539,
}


def read_nemo(root: Path) -> Listing:
    """nEMO, as its table says.

    Args:
        root: the folder; the table may be at any depth below, the recordings beside it.

    Raises:
        DataError: there is no table, or it cannot be read.
    """
    table = next((path for path in files_below(root, (".tsv",)) if path.name == _TABLE), None)
    if table is None:
        raise DataError(f"no {_TABLE} of nEMO in {root}; expected:\n{NEMO.layout}")
    found = ListingBuilder("nemo")
    recordings: dict[str, Path] = {}
    for path in files_below(table.parent, SOUND):
        recordings.setdefault(path.stem, path)
    columns = ("file_id", "emotion", "speaker_id", "gender")
    for _, row in read_table(table, columns, delimiter="\t", quotes=False):
        stem, word = Path(row["file_id"]).stem, row["emotion"].lower()
        recording = recordings.pop(stem, None)
        path = recording or table.parent / "samples" / row["file_id"]
        if word not in _NEMO_EMOTIONS:
            found.leave_out(path, f"data.tsv says {word!r}: not an emotion of nEMO")
            continue
        label = label_of(word)
        assert label is not None
        item = Item(
            dataset="nemo",
            key=stem,
            path=path,
            label=label,
            subject=f"nemo-{row['speaker_id']}",
            raw_label=word,
            sex=row["gender"] if row["gender"] in ("male", "female") else "",
            has_face=False,
        )
        if recording is None:
            found.lose(item, "in data.tsv, but missing")
        else:
            found.take(item)
    for recording in recordings.values():
        found.leave_out(recording, "not in data.tsv")
    return found.listing()


def _published_nemo(**_options: str) -> Published:
    return Published(
        classes={"": _CLASSES},
        subjects={f"nemo-{speaker}": count for speaker, count in _NEMO_SUBJECTS.items()},
    )


NEMO: Final = DataSet(
    name="nemo",
    title="nEMO",
    contents="voices",
    words=_NEMO_EMOTIONS,
    licence="CC BY-NC-SA 4.0",
    layout="""\
data.tsv            tabs; columns file_id, emotion, speaker_id, gender
samples/<file_id>   .wav, .opus or .flac""",
    read=read_nemo,
    published=_published_nemo,
)


# URDU: talk shows, four emotions as they came; sound only, in Urdu.
#
# Latif et al., FIT 2018.

_URDU_EMOTIONS: Final = ("Angry", "Happy", "Neutral", "Sad")
_URDU_NAME: Final = re.compile(r"(S[MF]\d+)_F\d+_([AHNS])\d+", re.IGNORECASE)
# Counted in a whole copy.
_URDU_SUBJECTS: Final = {
    "SF1": 12,
    "SF2": 2,
    "SF3": 2,
    "SF4": 4,
    "SF5": 4,
    "SF6": 14,
    "SF7": 6,
    "SF8": 2,
    "SF9": 4,
    "SF10": 2,
    "SF11": 4,
    "SM1": 22,
    "SM2": 28,
    "SM3": 12,
    "SM4": 48,
    "SM5": 80,
    "SM6": 14,
    "SM7": 28,
    "SM17": 2,
    "SM18": 2,
    "SM19": 2,
    "SM20": 10,
    "SM21": 4,
    "SM22": 2,
    "SM23": 6,
    "SM24": 38,
    "SM25": 40,
    "SM26": 2,
    "SM27": 4,
}


def read_urdu(root: Path) -> Listing:
    """URDU; the emotion is the folder's, the speaker is in the name.

    Args:
        root: the folder; the emotions' folders may be at any depth below.
    """
    found = ListingBuilder("urdu")
    for path in files_below(root, SOUND):
        word = path.parent.name.capitalize()
        fields = _URDU_NAME.fullmatch(path.stem)
        if fields is None:
            found.leave_out(path, "not a name of URDU")
        elif word not in _URDU_EMOTIONS:
            found.leave_out(path, "not in a folder Angry, Happy, Neutral or Sad")
        elif fields.group(2).upper() != word[0]:
            found.leave_out(path, "the emotion in the name is not the folder's")
        else:
            speaker = fields.group(1).upper()
            label = label_of(word)
            assert label is not None
            found.take(
                Item(
                    dataset="urdu",
                    key=path.stem,
                    path=path,
                    label=label,
                    subject=f"urdu-{speaker}",
                    raw_label=word,
                    sex="male" if speaker[1] == "M" else "female",
                    has_face=False,
                )
            )
    return found.listing()


def _published_urdu(**_options: str) -> Published:
    return Published(
        classes={"": dict.fromkeys(("angry", "happy", "neutral", "sad"), 100)},
        subjects={f"urdu-{speaker}": count for speaker, count in _URDU_SUBJECTS.items()},
    )


URDU: Final = DataSet(
    name="urdu",
    title="URDU",
    contents="voices",
    words=_URDU_EMOTIONS,
    licence="research use",
    layout="""\
{Angry,Happy,Neutral,Sad}/<speaker>_FNN_<A,H,N,S>NNN.{wav,flac}
  speaker SM (man) or SF (woman) and a number""",
    read=read_urdu,
    published=_published_urdu,
)
