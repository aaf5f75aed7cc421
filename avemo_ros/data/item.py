"""One labelled piece of a data set, as its loader lists it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from avemo_ros.labels import SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.vision.face import Box


@dataclass(frozen=True, slots=True)
class Item:
    """A picture, an utterance or a clip with its label."""

    dataset: str
    """Name of the data set, e.g. 'ravdess'."""
    key: str
    """Names the item within its data set, the same on every machine, e.g. the file's stem."""
    path: Path
    """Its media file."""
    label: str
    """One of SPEECH_CLASSES."""
    subject: str
    """Who it is, told apart across data sets, e.g. 'ravdess-02'; where the data set does not
    say (FER2013), one name an item."""
    raw_label: str = ""
    """Label in the words of the data set, before the mapping."""
    sex: str = ""
    """'male', 'female' or '' where the data set does not say."""
    split: str = ""
    """The data set's own part: 'train', 'validation', 'test' or ''."""
    has_face: bool = True
    """The file has pictures."""
    has_voice: bool = True
    """The file has sound."""
    start_s: float | None = None
    """Where it begins in the file [s]; None: at the file's start."""
    end_s: float | None = None
    """Where it ends in the file [s]; None: at the file's end."""
    row: int | None = None
    """Row of a table that holds it (FER2013's csv), from 0."""
    ids: tuple[str, ...] = ()
    """Ids that recorded face tracks give its person, where that is told."""
    box: Box | None = None
    """Where its person's face is, normalised to the picture; None: the face that is seen
    most."""
    votes: tuple[float, ...] | None = field(default=None, repr=False)
    """Votes of raters in the order of SPEECH_CLASSES, where the data set has them."""

    @property
    def class_index(self) -> int:
        """Index in SPEECH_CLASSES."""
        return SPEECH_CLASSES.index(self.label)

    @property
    def emotion_index(self) -> int:
        """Index in EMOTIONS (calm counts as neutral)."""
        return SPEECH_TO_EMOTION[self.class_index]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a data set that is missing, broken or left out."""

    path: Path
    what: str
    """In a few words, e.g. 'a git LFS pointer, not the recording: run git lfs pull'."""
    left_out: bool = True
    """False: the item is used all the same."""
    by_design: bool = False
    """True: nothing to mend, the data set is made so (a class that we have not got, a song, a
    recording its authors call bad)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a loader found."""

    dataset: str
    items: tuple[Item, ...]
    """In the order of their keys."""
    problems: tuple[Problem, ...] = ()
    lost: tuple[Item, ...] = ()
    """Items whose label is known but of which no file can be a recording, each with the file
    that should be one; in the order of their keys.  Nothing can be learned from them; who
    judges a model counts them as wrong."""
