"""Open the models that are evaluated, and time them."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus
from avemo_ros.data.splits import (
    SPLIT,
    Members,
    Parts,
    joined,
    of_metadata,
    read_split,
    refuse_seen,
    seen,
)
from avemo_ros.errors import DataError, WeightsError
from avemo_ros.model.released import LIVE, sha256
from avemo_ros.model.tensor_file import TENSOR_TROUBLES
from avemo_ros.zoo.classical import ReadingOptions, is_classical, load_classical
from avemo_ros.zoo.classifier import WINDOW_S, Classifier, NetworkClassifier
from avemo_ros.zoo.model_file import find_model, load_model

_KEPT: Final = ("config", "data", "pairing", "note", "notes", "licence")
"""Notes of a model file that a report repeats."""
SAMPLES: Final = 40
"""Items that are timed, spread over the corpus."""
_WARM_UP: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """A model that can be asked."""

    classifier: Classifier
    facts: dict[str, Any]
    """What a report says of it."""
    train: Members
    """Whom it was trained on, members of an ensemble and earlier training included."""
    parts: Parts | None = None
    """Of its run, where it is one."""
    kinds: frozenset[str] = frozenset()
    """Of the model, and of the members of an ensemble."""

    def check(self, items: Sequence[Item], *, allow_seen: bool) -> bool | None:
        """Whether the model has seen some of the items; None: it does not tell.

        Raises:
            DataError: it has, and that is not allowed.
        """
        if not allow_seen:
            refuse_seen(self.classifier.name, self.train, items)
        if seen(self.train, items):
            return True
        return False if self.train.whole else None


@dataclass(frozen=True, slots=True)
class InputLength:
    """How much of an item a network is given."""

    window_s: float = WINDOW_S
    """See `NetworkClassifier`."""
    frames: int = 0
    """See `NetworkClassifier`."""
    mirrored: bool = False
    """See `NetworkClassifier`."""


def open_model(
    name: str,
    modality: str,
    reading: ReadingOptions | None = None,
    input_length: InputLength | None = None,
) -> OpenedModel:
    """A model by name.

    Args:
        name: a released model, a model file, a run folder; '' for the released default of the
            modality, or else the live model, which reads face and voice.
        modality: one of `batch.MODALITIES`.
        reading: how a classical model makes features of its own.
        input_length: how much of an item a network is given.

    Raises:
        WeightsError: there is no such model, or its file is damaged.
        DataError: the run does not tell who it was trained on.
    """
    try:
        path = find_model(name, modality)
    except WeightsError:
        if name or modality not in ("face", "audio"):
            raise
        path = find_model("", LIVE)
    about = _metadata(path)
    facts: dict[str, Any] = {}
    kinds: set[str] = set()
    trained: list[Members] = []
    classifier: Classifier
    if is_classical(path):

        def member(inner: str) -> Classifier:
            opened = open_model(inner, modality, reading, input_length)
            kinds.update(opened.kinds)
            trained.append(opened.train)
            return opened.classifier

        classifier = load_classical(path, member, reading)
        facts["kind"] = json.loads(about["spec"])["kind"]
    else:
        loaded = load_model(path)
        given = input_length or InputLength()
        classifier = NetworkClassifier(
            loaded, window_s=given.window_s, frames=given.frames, mirrored=given.mirrored
        )
        facts["kind"] = loaded.spec.kind
        facts["parameters"] = sum(value.numel() for value in loaded.model.parameters())
    kinds.add(facts["kind"])
    kept = {key: about[key] for key in _KEPT if about.get(key)}
    facts = {
        "name": classifier.name,
        "modality": classifier.modality,
        **facts,
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        **kept,
    }
    parts = read_split(path.parent) if (path.parent / SPLIT).is_file() else None
    train = of_metadata(about)
    if train is None and parts is not None:
        train = parts.train
    if train is None:
        train = joined(trained) if trained else Members(whole=False)
    return OpenedModel(classifier, facts, train, parts, frozenset(kinds))


def _metadata(path: Path) -> dict[str, str]:
    """Notes of a model file; empty for one that cannot be read, which loading will say."""
    try:
        with safe_open(str(path), "pt") as opened:
            return dict(opened.metadata() or {})
    except TENSOR_TROUBLES:
        return {}


class FoldClassifier:
    """The models of a run with folds as one: each item is judged by the model whose training
    it was held out of; implements `classifier.Classifier`."""

    def __init__(self, folds: Sequence[OpenedModel]) -> None:
        """Set up; the folds have split.json."""
        self._folds = tuple(folds)
        first = folds[0].classifier
        self.name = first.name
        self.modality = first.modality
        self.classes = first.classes

    def fold_of(self, item: Item) -> int:
        """The fold that an item was held out of; -1: none."""
        for number, fold in enumerate(self._folds):
            assert fold.parts is not None
            if fold.parts.validation.has(item):
                return number
        return -1

    def refuse_seen(self, items: Sequence[Item], others: Sequence[Item] = ()) -> None:
        """Make sure that no fold has learned from what it judges.

        Args:
            items: each is judged by its fold.
            others: faces of pairs: one that a fold held out is judged by that fold alone,
                the rest may be judged by any.

        Raises:
            DataError: one has.
        """
        for number, fold in enumerate(self._folds):
            own = [item for item in items if self.fold_of(item) == number]
            own += [item for item in others if self.fold_of(item) in (number, -1)]
            refuse_seen(f"{self.name}, fold {number},", fold.train, own)

    def scores(self, corpus: Corpus) -> Tensor:
        """(N, classes) log-probabilities.

        Raises:
            DataError: an item was held out of no fold.
        """
        places = np.array([self.fold_of(item) for item in corpus.items])
        if (places < 0).any():
            key = corpus.items[int(np.argmax(places < 0))].key
            raise DataError(f"{self.name}: item '{key}' was held out of none of its folds")
        result = torch.zeros(len(corpus), len(self.classes))
        for number, fold in enumerate(self._folds):
            rows = places == number
            if rows.any():
                scores = fold.classifier.scores(corpus.only(rows))
                result[torch.from_numpy(rows)] = scores
        return result


def open_folds(
    name: str,
    modality: str,
    reading: ReadingOptions | None = None,
    input_length: InputLength | None = None,
) -> OpenedModel:
    """The models `fold0`, `fold1`, ... of a run folder as one.

    Raises:
        DataError: the folder has no folds or lacks one of them, or a fold has learned from
            those that it holds out.
        WeightsError: a fold has no finished model.
    """
    run = Path(name).expanduser()
    folders: list[Path] = []
    while name and (run / f"fold{len(folders)}").is_dir():
        folders.append(run / f"fold{len(folders)}")
    if not folders:
        raise DataError(
            f"'{name}' is not a run folder with folds (fold0, fold1, ...); give one with "
            "--model"
        )
    later = sorted(path.name for path in run.glob("fold*") if path not in folders)
    if later:
        raise DataError(
            f"{run} has {later[0]} but no fold{len(folders)}: train that one first (--fold "
            f"{len(folders)} --resume), or only the others would be evaluated"
        )
    folds = [open_model(str(folder), modality, reading, input_length) for folder in folders]
    for folder, fold in zip(folders, folds, strict=True):
        if fold.parts is None:
            raise DataError(f"{folder} has no {SPLIT}, so it is unknown who was held out")
    classifier = FoldClassifier(folds)
    facts = {
        key: value for key, value in folds[0].facts.items() if key not in ("file", "sha256")
    }
    facts |= {"file": run.name, "folds": len(folds)}
    # Each item is judged by a model that has not learned from it.
    kinds = frozenset().union(*(fold.kinds for fold in folds))
    return OpenedModel(classifier, facts, Members(), None, kinds)


def ms_per_item(classifier: Classifier, corpus: Corpus, samples: int = SAMPLES) -> float:
    """Median time that the model takes for one item [ms], one thread, one item at a time.

    The features are there already; making the network's input of them is counted.

    Args:
        classifier: what is timed.
        corpus: at least one item.
        samples: how many of its items are timed.
    """
    count = len(corpus)
    places = np.unique(np.linspace(0, count - 1, min(samples, count)).round().astype(int))
    singles = [corpus.only(np.arange(count) == place) for place in places]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for single in singles[:_WARM_UP]:
            classifier.scores(single)
        times = []
        for single in singles:
            start = time.perf_counter()
            classifier.scores(single)
            times.append(1e3 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times)
