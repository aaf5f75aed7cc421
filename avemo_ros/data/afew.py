"""AFEW: clips of films with seven emotions; the data of EmotiW 2013 to 2019.

Dhall et al., IEEE MultiMedia 19(3), 2012.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import VIDEO, files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of

_EMOTIONS: Final = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def read(root: Path) -> Listing:
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


def _published(**_options: str) -> Published:
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
    read=read,
    published=_published,
)
