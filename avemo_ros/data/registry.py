"""The data sets that can be read: those of the package by name, your own as `module:NAME`."""

from __future__ import annotations

import difflib
from collections import Counter
from pathlib import Path
from typing import Final

from avemo_ros.data.bags import BAGS
from avemo_ros.data.clips import CLIPS
from avemo_ros.data.cremad import CREMAD
from avemo_ros.data.dataset import DataSet, Listing
from avemo_ros.data.fer2013 import FER2013
from avemo_ros.data.iemocap import IEMOCAP
from avemo_ros.data.ravdess import RAVDESS
from avemo_ros.data.speech_corpora import EMODB, NEMO, URDU
from avemo_ros.data.video_corpora import AFEW, ENTERFACE, SAVEE
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.extension import is_named, load_named

DATASETS: Final[dict[str, DataSet]] = {
    dataset.name: dataset
    for dataset in (
        AFEW,
        ENTERFACE,
        SAVEE,
        RAVDESS,
        CREMAD,
        FER2013,
        IEMOCAP,
        EMODB,
        URDU,
        NEMO,
        CLIPS,
        BAGS,
    )
}
"""Every data set of the package by its name."""
_OWN: Final[dict[str, DataSet]] = {}
"""Those of your own that were loaded, by their names."""


def list_items(name: str, root: Path, **options: str) -> Listing:
    """The items of a data set, those that cannot be used left out and named.

    Args:
        name: a key of DATASETS, or 'module:NAME' of a `DataSet` of your own.
        root: its folder (or the table of `clips`).
        options: of its loader, see `DataSet.options`.

    Raises:
        ConfigError: no such data set, or an option that it has not got.
        DataError: the folder is not there, holds no usable item, or a table of it cannot be
            read; the message says what is expected.
    """
    dataset = find_dataset(name)
    for option, value in options.items():
        if option not in dataset.options:
            allowed = ", ".join(dataset.options) or "none for this data set"
            raise ConfigError(f"option of {dataset.name}", option, allowed)
        if value not in dataset.options[option]:
            raise ConfigError(option, value, ", ".join(dataset.options[option]))
    if not (root.is_dir() or (dataset.root_may_be_file and root.is_file())):
        what = "not a folder" if root.exists() else "not there"
        raise DataError(f"{root} is {what}; expected for {dataset.title}:\n{dataset.layout}")
    listing = dataset.read(root, **options)
    if is_named(name):
        _check_own(name, dataset, listing)
    if not listing.items:
        counts = Counter(problem.what for problem in listing.problems)
        reasons = "".join(f"\n  {count} x {what}" for what, count in counts.most_common(5))
        raise DataError(
            f"no usable item of {dataset.title} in "
            f"{root}{' can be used:' + reasons if reasons else ''}\n"
            "expected:\n"
            f"{dataset.layout}"
        )
    return listing


def find_dataset(name: str) -> DataSet:
    """The data set of that name.

    Args:
        name: a key of DATASETS, or 'module:NAME' of a `DataSet` of your own; once that is
            loaded, its own name will do.

    Raises:
        ConfigError: there is none.
    """
    if name in DATASETS:
        return DATASETS[name]
    if name in _OWN:
        return _OWN[name]
    if is_named(name):
        return _load(name)
    near = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    allowed = f"{', '.join(DATASETS)}, or module:NAME of your own{hint}"
    raise ConfigError("data set", name, allowed)


def _load(name: str) -> DataSet:
    """A data set of your own."""
    allowed = "'module:NAME' of an avemo_ros.data.dataset.DataSet"
    try:
        found = load_named(name)
    except ValueError as error:
        raise ConfigError("data set", name, f"{allowed} ({error})") from error
    if not isinstance(found, DataSet):
        what = type(found).__name__
        raise ConfigError("data set", name, f"{allowed}; this is a {what}")
    if found.name in DATASETS or _OWN.get(found.name, found) is not found:
        raise ConfigError(
            "data set", name, f"{allowed} with a name of its own; '{found.name}' is taken"
        )
    try:
        found.classes  # noqa: B018 - looks up every word
    except KeyError as error:
        raise ConfigError(
            "data set", name, f"{allowed} whose words are of labels.WORDS; {error} is not"
        ) from error
    _OWN[found.name] = found
    return found


def _check_own(name: str, dataset: DataSet, listing: object) -> None:
    """Raises DataError where a loader of your own gave something that others rely on not to
    be: another type, data set, subject or label."""
    if not isinstance(listing, Listing):
        what = type(listing).__name__
        raise DataError(f"the loader of {name} gave a {what}; allowed: a Listing")
    own = dataset.name
    for item in listing.items + listing.lost:
        what, value, allowed = "", "", ""
        if item.label not in dataset.classes:
            what, value = "label", item.label
            allowed = f"those of its words: {', '.join(dataset.classes)}"
        elif item.dataset != own:
            what, value, allowed = "data set", item.dataset, f"'{own}', as it calls itself"
        elif not item.subject.startswith(f"{own}-"):
            what, value, allowed = "subject", item.subject, f"names that begin with '{own}-'"
        if what:
            raise DataError(
                f"the loader of {name} gave '{item.key}' the {what} '{value}'; allowed: "
                f"{allowed}"
            )
