"""Which items of a data set are judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from avemo_ros.data.item import Item
from avemo_ros.errors import DataError

ALL: Final = "all"
_WORDS: Final = {
    "training": "train",
    "publictest": "validation",
    "public": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "privatetest": "test",
    "private": "test",
}
"""Words for the parts, FER2013's own among them."""


def in_split(items: Sequence[Item], split: str) -> tuple[tuple[Item, ...], str]:
    """The items of a part of the data set.

    Args:
        items: of one data set.
        split: 'train', 'validation', 'test', FER2013's 'public' and 'private', 'all', or '':
            the test part where there is one, else the validation part, else all.

    Returns:
        The items and the name of the part; '' where the data set has no parts.

    Raises:
        DataError: there are no items in this part.
    """
    there = [
        name for name in ("test", "validation", "train") if any(i.split == name for i in items)
    ]
    if not split:
        split = there[0] if there and there[0] != "train" else ALL
    wanted = _WORDS.get(split.casefold(), split.casefold())
    if wanted == ALL:
        return tuple(items), ALL if there else ""
    chosen = tuple(item for item in items if item.split == wanted)
    if not chosen:
        names = ", ".join([*sorted(there), ALL])
        raise DataError(
            f"{items[0].dataset} has no items in split '{split}'; there are: {names}"
        )
    return chosen, wanted


def some(items: Sequence[Item], limit: int) -> tuple[Item, ...]:
    """At most `limit` items in their order, always the same random ones; 0: all.

    Evenly spaced ones would all be of one actor where the names end in the actor's number.
    """
    if not limit or len(items) <= limit:
        return tuple(items)
    picked = np.random.default_rng(0).permutation(len(items))[:limit]
    return tuple(items[place] for place in sorted(picked.tolist()))
