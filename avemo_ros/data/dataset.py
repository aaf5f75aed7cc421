"""Data sets, their labelled items, and how a loader lists them.

Every loader turns its codes into one of `labels.WORDS`; what a word counts as is defined
there and nowhere else.  Items of a word that is none of the classes are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avemo_ros.data.corpus_files import what_is_wrong
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS, LABELS, SPEECH_CLASSES, SPEECH_TO_EMOTION, WORDS
from avemo_ros.vision.face import Box


@dataclass(frozen=True, slots=True)
class Item:
    """An image, an utterance or a clip with its label."""

    dataset: str
    """Name of the data set, e.g. 'ravdess'."""
    key: str
    """Names the item within its data set, the same on every machine, e.g. the file's stem."""
    path: Path
    """Its media file."""
    label: str
    """One of LABELS."""
    subject: str
    """Who it is, told apart across data sets, e.g. 'ravdess-02'; where the data set does not
    say (FER2013), one name an item."""
    raw_label: str = ""
    """Label in the words of the data set, before the mapping."""
    sex: str = ""
    """'male', 'female' or '' where the data set does not say."""
    groups: tuple[tuple[str, str], ...] = ()
    """More groups that the person belongs to, as the data set says: kind and name, e.g. ('age',
    '30 to 39')."""
    split: str = ""
    """The data set's own part: 'train', 'validation', 'test' or ''."""
    has_face: bool = True
    """The file has images."""
    has_voice: bool = True
    """The file has sound."""
    start_s: float | None = None
    """Where it begins in the file [s]; None: at the file's start."""
    end_s: float | None = None
    """Where it ends in the file [s]; None: at the file's end."""
    row: int | None = None
    """Row of a table that holds it (FER2013's csv), from 0."""
    ids: tuple[str, ...] = ()
    """Ids that recorded face tracks give its person, where that is known."""
    box: Box | None = None
    """Where its person's face is, normalised to the image; None: the face that is seen
    most."""
    votes: tuple[float, ...] | None = field(default=None, repr=False)
    """Votes of raters in the order of LABELS, where the data set has them; the last ones may be
    left out."""

    @property
    def class_index(self) -> int:
        """Index in LABELS; of all but contempt also in SPEECH_CLASSES."""
        return LABELS.index(self.label)

    @property
    def emotion_index(self) -> int:
        """Index in EMOTIONS (calm counts as neutral).

        Raises:
            DataError: contempt is none of them.
        """
        return self.index_in(EMOTIONS)

    def index_in(self, classes: Sequence[str]) -> int:
        """Index in EMOTIONS, SPEECH_CLASSES or FACE_CLASSES (calm counts as neutral in those
        without it).

        Raises:
            DataError: contempt is none of them.
        """
        if self.label in classes:
            return classes.index(self.label)
        if self.class_index >= len(SPEECH_TO_EMOTION):
            raise DataError(
                f"item '{self.key}' of {self.dataset} is labelled {self.label}, which is none "
                f"of {', '.join(classes)}; leave such items out (FER+: labels=ferplus)"
            )
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


def label_of(word: str) -> str | None:
    """The label that `word` counts as, one of SPEECH_CLASSES; None: it is left out.

    Raises:
        KeyError: the word is not in WORDS.
    """
    return WORDS[word.strip().casefold()]


def sorted_labels(labels: set[str] | frozenset[str]) -> tuple[str, ...]:
    """The labels in the order of SPEECH_CLASSES."""
    return tuple(label for label in SPEECH_CLASSES if label in labels)


class ListingBuilder:
    """Items and problems of one data set while its files are gone through."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self._items: dict[str, Item] = {}
        self._lost: dict[str, Item] = {}
        self._problems: list[Problem] = []

    def __contains__(self, key: str) -> bool:
        return key in self._items or key in self._lost

    def take(self, item: Item) -> None:
        """Add the item if its file can be a recording; else note why not, and that it is
        lost."""
        if self.usable(item.path):
            self.add(item)
        else:
            self.lose(item)

    def add(self, item: Item) -> None:
        """Take the item, unless there is one with its key."""
        if item.key in self._items:
            self.leave_out(item.path, "a copy of another recording", by_design=True)
        else:
            self._items[item.key] = item

    def lose(self, item: Item, what: str = "") -> None:
        """Note an item that no file can be used for, and why where that is not noted yet."""
        if what:
            self.leave_out(item.path, what)
        self._lost.setdefault(item.key, item)

    def usable(self, path: Path) -> bool:
        """Whether the media file can be a recording; notes why if not."""
        wrong = what_is_wrong(path)
        if wrong:
            self.leave_out(path, wrong)
        return not wrong

    def leave_out(self, path: Path, what: str, *, by_design: bool = False) -> None:
        """Note something that is not used."""
        self._problems.append(Problem(path, what, by_design=by_design))

    def no_class(self, path: Path, word: str) -> None:
        """Note an item whose label is none of the classes."""
        self.leave_out(path, f"{word}: not one of the classes", by_design=True)

    def note(self, path: Path, what: str, *, by_design: bool = False) -> None:
        """Note something that is odd, and used."""
        self._problems.append(Problem(path, what, left_out=False, by_design=by_design))

    def listing(self) -> Listing:
        """What was found, items by their keys, problems by their paths."""
        return Listing(
            self.dataset,
            tuple(self._items[key] for key in sorted(self._items)),
            tuple(sorted(self._problems, key=lambda problem: (problem.path, problem.what))),
            # A copy may be whole.
            tuple(self._lost[key] for key in sorted(self._lost.keys() - self._items.keys())),
        )


Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Published:
    """Counts that a whole copy has, after what the loader leaves out by design."""

    classes: Mapping[str, Counts]
    """Items of each label, for each of the data set's parts ('' where it has none)."""
    subjects: Counts | None = None
    """Items of each subject, where that is known."""
    n_subjects: int | None = None
    """Number of subjects, where only that is known."""

    @property
    def total(self) -> int:
        """Items in all."""
        return sum(sum(counts.values()) for counts in self.classes.values())


def nothing_published(**_options: str) -> Published | None:
    """For data sets of which no counts are known."""
    return None


def none_missing(_items: tuple[Item, ...]) -> tuple[str, ...]:
    """For data sets whose names are not known beforehand."""
    return ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set."""

    name: str
    title: str
    contents: str
    """'faces', 'voices' or 'faces and voices'."""
    words: tuple[str, ...]
    """Its labels, in words of `labels.WORDS`, those of too_few excepted."""
    licence: str
    layout: str
    """Folders and names that are expected, one line each."""
    read: Callable[..., Listing]
    """The loader: `read(root, **options)`; raises DataError if a table cannot be read."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What each option of the loader may be; the first is the default."""
    published: Callable[..., Published | None] = nothing_published
    """`published(**options)`: the counts of a whole copy; None if they are not known."""
    missing: Callable[[tuple[Item, ...]], tuple[str, ...]] = none_missing
    """The recordings that a whole copy has besides these, each as 'subject: name'."""
    too_few: tuple[str, ...] = ()
    """Its labels that are among our classes, but occur too rarely to be of use: left out."""
    anonymous: bool = False
    """Nobody knows who is who: each item is a subject of its own."""
    root_may_be_file: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that can occur in it, in the order of SPEECH_CLASSES; about the others it
        says nothing."""
        return sorted_labels({label for word in self.words if (label := label_of(word))})

    @property
    def left_out(self) -> tuple[str, ...]:
        """Its labels that are left out."""
        return (*(word for word in self.words if label_of(word) is None), *self.too_few)
