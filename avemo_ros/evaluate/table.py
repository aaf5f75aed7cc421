"""The table of missing modalities and corruption for one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avemo_ros.data.features import Corpus, Features
from avemo_ros.evaluate.bootstrap import ROUNDS
from avemo_ros.evaluate.corruption import (
    BOTH,
    FACE_ONLY,
    ON_FACE,
    ON_VOICE,
    VOICE_ONLY,
    corrupted,
    without_face,
    without_voice,
)
from avemo_ros.evaluate.measure import compare, measure
from avemo_ros.evaluate.metrics import unweighted_recall
from avemo_ros.evaluate.predictions import Predictions

Judge = Callable[[Corpus], Predictions]
"""What the model says of every item of a corpus."""

CLEAN = "as it is"


def alone(judge: Judge, corpus: Corpus) -> dict[str, Predictions]:
    """What a model of two modalities says given the face only and given the voice only."""
    return {
        "face": judge(corrupted(corpus, without_voice)),
        "voice": judge(corrupted(corpus, without_face)),
    }


def rows_of_two(
    judge: Judge,
    clean: Predictions,
    singles: Mapping[str, Predictions],
    spoilt: Mapping[str, Corpus],
    rounds: int = ROUNDS,
) -> list[dict[str, Any]]:
    """Rows for a model of two modalities: given both, the face alone, the voice alone.

    Args:
        judge: the model.
        clean: what it says given both, as they are.
        singles: what it says given one of them, see `alone`.
        spoilt: the corpus under each corruption, by its name.
        rounds: of the bootstrap.
    """
    # With a modality missing, the single model of the other one has the same input.
    rows = [
        row_of_two(BOTH, clean, singles, rounds),
        row_of_two(VOICE_ONLY, singles["voice"], {"voice": singles["voice"]}, rounds),
        row_of_two(FACE_ONLY, singles["face"], {"face": singles["face"]}, rounds),
    ]
    for name, corpus in spoilt.items():
        # The modality that the corruption leaves as it is was judged already.
        part, hidden = ("face", without_voice) if name in ON_FACE else ("voice", without_face)
        hit = {**singles, part: judge(corrupted(corpus, hidden))}
        rows.append(row_of_two(name, judge(corpus), hit, rounds))
    return rows


def row_of_two(
    condition: str, fused: Predictions, singles: Mapping[str, Predictions], rounds: int
) -> dict[str, Any]:
    """One condition: figures of each, and fused less the better single by UA."""
    better = max(
        singles, key=lambda name: unweighted_recall(singles[name].answers, fused.labels)
    )
    return {
        "condition": condition,
        "fused": _figures(fused, rounds),
        **{name: _figures(given, rounds) for name, given in singles.items()},
        "better_single": better,
        "difference": compare(fused, singles[better], rounds=rounds),
    }


def rows_of_one(
    judge: Judge, corpus: Corpus, spoilt: Mapping[str, Corpus], part: str, rounds: int = ROUNDS
) -> list[dict[str, Any]]:
    """Rows for a model of one modality, under the corruptions that act on it.

    Args:
        judge: the model.
        corpus: as it is.
        spoilt: under each corruption, by its name.
        part: 'face' or 'voice'.
        rounds: of the bootstrap.
    """
    acting = ON_FACE if part == "face" else ON_VOICE
    given: Sequence[tuple[str, Corpus]] = [
        (CLEAN, corpus),
        *((name, other) for name, other in spoilt.items() if name in acting),
    ]
    return [{"condition": name, part: _figures(judge(other), rounds)} for name, other in given]


def reduced(given: Features, reads: frozenset[str]) -> Features:
    """Only what is read of an item."""
    return Features(
        faces=given.faces if "faces" in reads else None,
        face_times_s=given.face_times_s if "faces" in reads else None,
        landmarks=given.landmarks if "landmarks" in reads else None,
        spectrogram=given.spectrogram if "speech" in reads else None,
        units=given.units if "units" in reads else None,
    )


def _figures(given: Predictions, rounds: int) -> dict[str, Any]:
    found = measure(given, rounds=rounds)
    names = ("accuracy", "ua", "macro_f1", "ece", "nll", "unanswered", "intervals", "recalls")
    return {name: found[name] for name in names}
