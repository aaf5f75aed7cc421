"""URDU: talk shows, four emotions as they came; sound only, in Urdu.

Latif et al., FIT 2018.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

_EMOTIONS: Final = ("Angry", "Happy", "Neutral", "Sad")
_NAME: Final = re.compile(r"(S[MF]\d+)_F\d+_([AHNS])\d+", re.IGNORECASE)
# Counted in a whole copy.
_SUBJECTS: Final = {
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


def read(root: Path) -> Listing:
    """URDU; the emotion is the folder's, the speaker is in the name.

    Args:
        root: the folder; the emotions' folders may be at any depth below.
    """
    found = ListingBuilder("urdu")
    for path in files_below(root, SOUND):
        word = path.parent.name.capitalize()
        fields = _NAME.fullmatch(path.stem)
        if fields is None:
            found.leave_out(path, "not a name of URDU")
        elif word not in _EMOTIONS:
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


def _published(**_options: str) -> Published:
    return Published(
        classes={"": dict.fromkeys(("angry", "happy", "neutral", "sad"), 100)},
        subjects={f"urdu-{speaker}": count for speaker, count in _SUBJECTS.items()},
    )


URDU: Final = DataSet(
    name="urdu",
    title="URDU",
    contents="voices",
    words=_EMOTIONS,
    licence="research use",
    layout="""\
{Angry,Happy,Neutral,Sad}/<speaker>_FNN_<A,H,N,S>NNN.{wav,flac}
  speaker SM (man) or SF (woman) and a number""",
    read=read,
    published=_published,
)
