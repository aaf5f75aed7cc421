"""A made-up tree of RAVDESS with a table of action units that know the emotion."""

import csv
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

UNITS = 35


def make_tree(root: Path, actors: Sequence[int], *, takes: int = 2, noise: float = 1.5) -> Path:
    """`<root>/ravdess/Actor_XX/03-...flac`, which hold no sound, and `<root>/units.csv`.

    Args:
        root: folder to make it in.
        actors: numbers.
        takes: of each actor and emotion, up to 2.
        noise: of the action units; the emotions' centres have a deviation of 1.

    Returns:
        The folder.
    """
    chance = np.random.default_rng(0)
    centres = chance.normal(0, 1, (9, UNITS))
    rows = []
    for actor, emotion, take in product(actors, range(1, 9), range(1, takes + 1)):
        name = f"01-{emotion:02d}-01-01-{take:02d}-{actor:02d}"
        folder = root / "ravdess" / f"Actor_{actor:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"03-{name}.flac").write_bytes(b"fLaC" + bytes(4096))
        values = centres[emotion] + chance.normal(0, noise, UNITS)
        rows.append((f"01-{name}", *values.round(5)))
    with (root / "units.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("clip", *(f"AU{number}" for number in range(UNITS))))
        table.writerows(rows)
    return root
