"""nEMO: nine actors say ninety sentences with six emotions; sound only, in Polish.

Christop, LREC-COLING 2024.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, files_below, read_table
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of
from avemo_ros.errors import DataError

_EMOTIONS: Final = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
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
_SUBJECTS: Final = {
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


def read(root: Path) -> Listing:
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
        if word not in _EMOTIONS:
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


def _published(**_options: str) -> Published:
    return Published(
        classes={"": _CLASSES},
        subjects={f"nemo-{speaker}": count for speaker, count in _SUBJECTS.items()},
    )


NEMO: Final = DataSet(
    name="nemo",
    title="nEMO",
    contents="voices",
    words=_EMOTIONS,
    licence="CC BY-NC-SA 4.0",
    layout="""\
data.tsv            tabs; columns file_id, emotion, speaker_id, gender
samples/<file_id>   .wav, .opus or .flac""",
    read=read,
    published=_published,
)
