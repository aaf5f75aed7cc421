"""What training takes from trained models: initial weights, and a teacher's answers.

Distillation (Hinton et al. 2015): a small network learns what a large one thinks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.data.features import Corpus
from avemo_ros.data.splits import TRAINED_ON, Members, of_metadata, seen
from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import CLASSES, Batch, EmotionModel, as_emotions
from avemo_ros.model.tensor_file import read_state_dict
from avemo_ros.zoo.model_file import find_model, load_model

PARTS: Final = "parts"
"""In `trained_on`: the same of the model's parts, where a part has seen less than the whole."""
_DEPTH = 2
"""Names of parts this deep are tried as prefixes."""
_LISTED = 4
_NEW_CHANNELS = 0.3
"""Input channels that the start had not begin at this share of their random weights."""


@dataclass(frozen=True, slots=True)
class PretrainedInit:
    """Where weights came from."""

    note: str
    """What was taken and what was not, in words."""
    trained_on: Mapping[str, Any] | None
    """Whom they were trained on, as split.json says it; None where the file does not say."""
    taken: frozenset[str] = frozenset()
    """Names of the model's tensors that they filled."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which tensors of a start go where in a model."""

    old: str
    """What was taken off the start's names ..."""
    new: str
    """... and what was put on."""
    fitting: dict[str, Tensor]
    """By the model's names."""
    wider: tuple[str, ...]
    """Those of `fitting` that had fewer input channels: the others begin as noise."""
    misfits: tuple[str, ...]
    """Named alike, but of another shape."""
    unused: tuple[str, ...]
    """Named as nothing in the model."""


def load_pretrained(
    network: nn.Module, source: str, held: Corpus | None = None
) -> PretrainedInit:
    """Begin with weights of elsewhere.

    Args:
        network: changed in place.
        source: a run folder, a model file, or the name of a released model.
        held: what is held out: weights that were trained on it are refused.

    Returns:
        Where the weights came from.

    Raises:
        WeightsError: the file is missing or damaged, nothing in it fits, or a tensor that the
            model has by name is of another shape (but for heads, and for kernels that read
            fewer channels).
        DataError: the weights were trained on people who are held out here.
    """
    path = find_model(source)
    state = {name: value.float() for name, value in read_state_dict(path).items()}
    target = {
        name: value for name, value in network.state_dict().items() if value.is_floating_point()
    }
    found = match(state, target)
    if not found.fitting:
        raise WeightsError(
            f"nothing in {path} fits this model by name and shape (it has "
            f"{_some(sorted(state))}; the model has {_some(sorted(target))})"
        )
    trained_on = whom_it_saw(path, held, found.old.split(".")[0])
    renamed = _renamed(state, found.old, found.new)
    misfits: list[str] = []
    wrong: list[str] = []
    for name in found.misfits:
        given, wanted = renamed[name], target[name]
        place = misfits if _is_head(name, given, wanted) else wrong
        place.append(f"{name} is {tuple(given.shape)}, not {tuple(wanted.shape)}")
    if wrong:
        raise WeightsError(
            f"{path} has another layout than the part of the model it would initialise: "
            f"{_some(wrong)}; give that part the options in the `config.yaml` next to it"
        )
    with torch.no_grad():
        for name, value in found.fitting.items():
            target[name].copy_(value)
    note = f"start: {len(found.fitting)} of the model's {len(target)} tensors are from {path}"
    if (found.old, found.new) != ("", ""):
        note += f" ('{found.old}*' as '{found.new}*')"
    if found.wider:
        some = _some(sorted(found.wider))
        note += f"; {some} had fewer input channels: the others start as noise"
    if misfits:
        note += f"; not used: {_some(misfits)}"
    if found.unused:
        note += f"; not in the model: {_some(sorted(found.unused))}"
    return PretrainedInit(note, trained_on, frozenset(found.fitting))


def match(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Match:
    """Where the tensors of a start go, by name and shape.

    Args:
        state: of the start, by name.
        target: of the model, by name; only shapes matter but of kernels that are widened.
    """
    old, new = _prefixes(state, target)
    renamed = _renamed(state, old, new)
    fitting = {
        name: value
        for name, value in renamed.items()
        if name in target and target[name].shape == value.shape
    }
    wider = {
        name: _widened(value, target[name])
        for name, value in renamed.items()
        if name in target and _lacks_channels(value, target[name])
    }
    fitting |= wider
    misfits = tuple(name for name in renamed if name in target and name not in fitting)
    unused = tuple(name for name in renamed if name not in target)
    return Match(old, new, fitting, tuple(wider), misfits, unused)


def whom_it_saw(
    path: Path, held: Corpus | None = None, part: str = ""
) -> Mapping[str, Any] | None:
    """Whom a model file says that it was trained on; None where it does not say.

    Args:
        path: of the file.
        held: what is held out.
        part: the only part of the model that is used, by the beginning of its names; counts
            where the file tells whom its parts have seen.

    Raises:
        DataError: it was trained on people who are held out.
    """
    about = _metadata(path)
    if part and TRAINED_ON in about:
        parts = json.loads(about[TRAINED_ON]).get(PARTS, {})
        if part in parts:
            about[TRAINED_ON] = json.dumps(parts[part])
    if held is not None:
        _refuse_seen(path, of_metadata(about), held)
    if TRAINED_ON not in about:
        return None
    described: Mapping[str, Any] = json.loads(about[TRAINED_ON])
    # Older files have only the counts by data set.
    return described if "items" in described else {"items": described, "subjects": []}


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several parts, as split.json describes them, as one: all that a model has ever seen."""
    items: dict[str, int] = {}
    for part in parts:
        for name, count in part["items"].items():
            items[name] = max(count, items.get(name, 0))
    return {
        "items": items,
        "subjects": sorted({one for part in parts for one in part["subjects"]}),
        "splits": sorted({one for part in parts for one in part.get("splits", ())}),
    }


def _refuse_seen(path: Path, trained_on: Members | None, held: Corpus) -> None:
    known = seen(trained_on, held.items)
    if known:
        people = sorted({item.subject for item in known})
        raise DataError(
            f"{path} was trained on {len(people)} of the people held out here (e.g. "
            f"{people[0]}): validation would look too good; start from a run that held out "
            "the same fold"
        )


def _is_head(name: str, given: Tensor, wanted: Tensor) -> bool:
    """A head of other classes, or that reads another vector: it is learned anew."""
    counts = {len(names) for names in CLASSES.values()}
    answers = given.shape[1:] == wanted.shape[1:] and {len(given), len(wanted)} <= counts
    return "head" in name.split(".") or answers


def _lacks_channels(given: Tensor, wanted: Tensor) -> bool:
    """The kernels of a convolution that reads the same and, after it, more channels."""
    return (
        given.ndim == wanted.ndim == 4
        and given.shape[1] < wanted.shape[1]
        and given.shape[:1] + given.shape[2:] == wanted.shape[:1] + wanted.shape[2:]
    )


def _widened(given: Tensor, wanted: Tensor) -> Tensor:
    """Kernels of the start for its channels; what is new begins small, so that the start still
    answers much as it did."""
    widened = _NEW_CHANNELS * wanted.detach().clone()
    widened[:, : given.shape[1]] = given
    return widened


def _metadata(path: Path) -> dict[str, str]:
    if path.suffix != ".safetensors":
        return {}
    with safe_open(str(path), "pt") as opened:
        return dict(opened.metadata() or {})


def _prefixes(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> tuple[str, str]:
    """The prefix to take off and the one to put on that give most weights."""
    best, most = ("", ""), 0
    for old in ("", *_parts(state, 1)):
        for new in ("", *_parts(target, _DEPTH)):
            taken = sum(
                value.numel()
                for name, value in _renamed(state, old, new).items()
                if name in target and target[name].shape == value.shape
            )
            if taken > most:
                best, most = (old, new), taken
    return best


def _parts(state: Mapping[str, Tensor], depth: int) -> list[str]:
    found: set[str] = set()
    for name in state:
        pieces = name.split(".")[:-1]
        found.update(
            ".".join(pieces[:deep]) + "." for deep in range(1, min(depth, len(pieces)) + 1)
        )
    return sorted(found)


def _renamed(state: Mapping[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {
        new + name.removeprefix(old): value
        for name, value in state.items()
        if name.startswith(old)
    }


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more


class Teacher:
    """A trained model that says what it thinks of the same augmented batches."""

    def __init__(self, path: Path, student: EmotionModel, device: torch.device) -> None:
        """Set up.

        Args:
            path: of its model file.
            student: who learns from it.
            device: where both compute.

        Raises:
            ConfigError: it reads something else, or its classes are coarser.
            WeightsError: the file is missing or damaged.
        """
        loaded = load_model(path)
        model = loaded.model
        if model.modality != student.modality:
            raise ConfigError(
                "training.teacher",
                str(path),
                f"a model of '{student.modality}', as the student",
            )
        if student.classes not in (EMOTIONS, model.classes):
            raise ConfigError(
                "training.teacher", str(path), f"a model of {', '.join(student.classes)}"
            )
        self._model = model.to(device).requires_grad_(False)
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._temperature = loaded.temperature
        self._collapses = student.classes == EMOTIONS and model.classes != EMOTIONS

    def logits(self, batch: Batch) -> Tensor:
        """(B, classes of the student), calibrated."""
        side = self._model.face_side
        faces = batch.faces
        if faces is not None and faces.shape[-1] != side:
            larger = functional.interpolate(
                faces.flatten(0, 1), size=(side, side), mode="bilinear", align_corners=False
            )
            batch = replace(batch, faces=larger.view(*faces.shape[:3], side, side))
        with torch.no_grad():
            logits = self._model(batch).logits.float()
        logits = logits / self._temperature
        return as_emotions(logits, self._model.classes) if self._collapses else logits


def distillation_loss(
    student: Tensor, teacher: Tensor, allowed: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy of softened answers, times temperature^2 so that slopes stay alike large.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        allowed: (B, C) bool, classes that occur in the row's data sets.
        temperature: above 1 is softer.
    """
    least = -1e4
    wanted = torch.softmax(teacher.masked_fill(~allowed, least) / temperature, 1)
    log_student = torch.log_softmax(
        student.float().masked_fill(~allowed, least) / temperature, 1
    )
    return -(wanted * log_student).sum(1).mean() * temperature**2
