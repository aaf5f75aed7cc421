"""How well valence and arousal follow the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_ros.replay.matching import Finder, covered
from avemo_ros.replay.session import Session
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.truth.segment import Segment

Values = NDArray[np.float64]


def concordance(first: Values, second: Values) -> float:
    """Concordance correlation coefficient, CCC (Lin 1989, Biometrics 45).

    2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), with variances over n.

    Args:
        first: (N,) values.
        second: (N,) values of the same items.

    Returns:
        -1 to 1; NaN without items or where all values are the same.
    """
    if len(first) == 0:
        return float("nan")
    apart = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    common = ((first - first.mean()) * (second - second.mean())).mean()
    return float(2 * common / apart) if apart > 0 else float("nan")


def affect(sessions: Sequence[Session]) -> dict[str, Any]:
    """Valence and arousal at every hop where they are labelled and estimated.

    Of several annotators the mean is true.

    Returns:
        `hops` that are labelled, `valid` those of them at which the stream gives values, and
        for `valence` and `arousal` each `items, ccc, rmse`, None without any.
    """
    labelled = 0
    pairs: dict[str, list[tuple[float, float]]] = {"valence": [], "arousal": []}
    valid = 0
    for session in sessions:
        finder = Finder(session)
        for estimate, segments in _labelled(session, finder):
            labelled += 1
            if estimate is None or not estimate.valence_arousal_valid:
                continue
            valid += 1
            for name, found in pairs.items():
                given = [getattr(segment, name) for segment in segments]
                true = [value for value in given if value is not None]
                if true:
                    found.append((float(np.mean(true)), getattr(estimate, name)))
    return {
        "hops": labelled,
        "valid": valid,
        **{name: _figures(found) for name, found in pairs.items()},
    }


def _labelled(
    session: Session, finder: Finder
) -> list[tuple[EmotionEstimate | None, list[Segment]]]:
    """What was said at every hop with a label of valence or arousal, and the labels."""
    found: dict[tuple[str, int], tuple[EmotionEstimate | None, list[Segment]]] = {}
    tracks: dict[tuple[str, bool], list[Segment]] = {}
    for segment in session.segments:
        judged = segment.valence is not None or segment.arousal is not None
        if judged and finder.appears(segment):
            key = (segment.annotator, bool(segment.label))
            tracks.setdefault(key, []).append(segment)
    hops = session.replayed.hops
    for segments in tracks.values():
        for index, place in covered(hops, segments):
            segment = segments[place]
            hop = (segment.person, index)
            if hop not in found:
                found[hop] = (finder.find(segment, hops[index]), [])
            found[hop][1].append(segment)
    return [found[hop] for hop in sorted(found)]


def _figures(pairs: Sequence[tuple[float, float]]) -> dict[str, Any] | None:
    if not pairs:
        return None
    true, said = np.array(pairs).T
    return {
        "items": len(pairs),
        "ccc": concordance(true, said),
        "rmse": float(np.sqrt(((true - said) ** 2).mean())),
    }
