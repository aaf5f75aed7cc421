"""What is known of a data set before one has it: classes, layout, licence, published counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from avemo_ros.data.item import Item, Listing
from avemo_ros.data.mapping import in_order, label_of

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
    """For data sets whose names cannot be told beforehand."""
    return ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set."""

    name: str
    title: str
    contents: str
    """'faces', 'voices' or 'faces and voices'."""
    words: tuple[str, ...]
    """Its labels, in words of `data.mapping`, those of too_few excepted."""
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
        return in_order({label for word in self.words if (label := label_of(word))})

    @property
    def left_out(self) -> tuple[str, ...]:
        """Its labels that are left out."""
        return (*(word for word in self.words if label_of(word) is None), *self.too_few)
