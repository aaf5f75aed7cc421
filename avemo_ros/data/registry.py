"""The data sets that can be read, by name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from avemo_ros.data.afew import AFEW
from avemo_ros.data.bags import BAGS
from avemo_ros.data.clips import CLIPS
from avemo_ros.data.cremad import CREMAD
from avemo_ros.data.dataset import DataSet
from avemo_ros.data.emodb import EMODB
from avemo_ros.data.enterface import ENTERFACE
from avemo_ros.data.fer2013 import FER2013
from avemo_ros.data.iemocap import IEMOCAP
from avemo_ros.data.item import Listing
from avemo_ros.data.nemo import NEMO
from avemo_ros.data.ravdess import RAVDESS
from avemo_ros.data.savee import SAVEE
from avemo_ros.data.urdu import URDU
from avemo_ros.errors import ConfigError, DataError

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
"""Every data set by its name."""


def list_items(name: str, root: Path, **options: str) -> Listing:
    """The items of a data set, those that cannot be used left out and named.

    Args:
        name: a key of DATASETS.
        root: its folder (or the table of `clips`).
        options: of its loader, see `DATASETS[name].options`.

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
    if not listing.items:
        counts = Counter(problem.what for problem in listing.problems)
        reasons = "".join(f"\n  {count} x {what}" for what, count in counts.most_common(5))
        raise DataError(
            f"nothing of {dataset.title} in {root}"
            f"{' can be used:' + reasons if reasons else ''}\nexpected:\n{dataset.layout}"
        )
    return listing


def find_dataset(name: str) -> DataSet:
    """The data set of that name.

    Raises:
        ConfigError: there is none.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ConfigError("data set", name, ", ".join(DATASETS)) from None
