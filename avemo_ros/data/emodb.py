"""EmoDB: ten actors say ten sentences with seven emotions; sound only, in German.

Burkhardt et al., Interspeech 2005.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

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


def read(root: Path) -> Listing:
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


def _published(**_options: str) -> Published:
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
    read=read,
    published=_published,
)
