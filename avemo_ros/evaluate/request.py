"""What is asked of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from avemo_ros.data.prepare import PrepareConfig
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError
from avemo_ros.evaluate import pairs
from avemo_ros.evaluate.bootstrap import ROUNDS
from avemo_ros.evaluate.opened import Hearing


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be evaluated."""

    dataset: str
    """A key of DATASETS, or 'pairs'."""
    roots: Mapping[str, Path]
    """Folders by data set; '' is the folder of the data set, or holds one folder a set."""
    model: str = ""
    """Released model, model file or run folder; '': the released default."""
    others: tuple[str, ...] = ()
    """Models that it is compared with on the same items."""
    split: str = ""
    subjects: tuple[str, ...] = ()
    folds: bool = False
    """The models are run folders with folds, each judged on what it held out."""
    modality: str = ""
    """One of MODALITIES; '': what the model reads of what the data have."""
    classes: int | None = None
    units: Path | None = None
    corruptions: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the data set's loader."""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    cache: Path | None = None
    workers: int = 0
    limit: int = 0
    pairs: int = 1400
    """How many label-matched pairs are made."""
    allow_seen: bool = False
    skip_missing: bool = False
    hearing: Hearing = field(default_factory=Hearing)
    """How much of an item a network is given."""
    rounds: int = ROUNDS
    seed: int = 0
    """Of pairs and of the bootstrap."""
    progress: bool = True

    def root(self, name: str) -> Path:
        """The folder of a data set.

        Raises:
            ConfigError: folders of others are given only.
        """
        if name in self.roots:
            return self.roots[name]
        if "" not in self.roots:
            raise ConfigError("--root", ", ".join(self.roots), f"{name}=DIR, or one DIR")
        inside = self.roots[""] / find_dataset(name).name
        if inside.is_dir() or self.dataset == pairs.NAME:
            return inside
        return self.roots[""]
