"""Faces of several pictures embedded at once: one picture at a time leaves a core half idle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import EmotionConfig
from avemo_ros.model.predictor import Predictor
from avemo_ros.replay.feature import Feature
from avemo_ros.state.looks import Looks
from avemo_ros.stopwatch import Stopwatch
from avemo_ros.vision.face import FrameTracks

_FACES: Final = 16
"""Faces embedded at once; each then takes little more than half of its time alone."""
_ITEMS: Final = 400
"""Features that may wait for so many faces: where nobody is in view, memory stays bounded."""


class Looked(NamedTuple):
    """A feature, and the embeddings of its faces."""

    log_ns: int
    feature: Feature
    embeddings: Mapping[str, NDArray[np.float32]]
    """By face id; empty for sound."""


def looked_ahead(
    features: Iterable[tuple[int, Feature]],
    config: EmotionConfig,
    predictor: Predictor,
    stopwatch: Stopwatch,
) -> Iterator[Looked]:
    """The features in their order, the faces embedded at which the estimator will look.

    How many faces are embedded at once depends on the features alone, so the results are the
    same in every run.
    """
    looks = Looks(config)
    waiting: list[tuple[int, Feature]] = []
    wanted: list[tuple[int, str, NDArray[np.uint8]]] = []
    for log_ns, feature in features:
        if isinstance(feature, FrameTracks):
            wanted += [(len(waiting), face.face_id, face.crop) for face in looks.due(feature)]
        waiting.append((log_ns, feature))
        if len(wanted) >= _FACES or len(waiting) >= _ITEMS:
            yield from _embedded(waiting, wanted, predictor, stopwatch)
            waiting, wanted = [], []
    yield from _embedded(waiting, wanted, predictor, stopwatch)


def _embedded(
    waiting: list[tuple[int, Feature]],
    wanted: list[tuple[int, str, NDArray[np.uint8]]],
    predictor: Predictor,
    stopwatch: Stopwatch,
) -> Iterator[Looked]:
    found: dict[int, dict[str, NDArray[np.float32]]] = {}
    if wanted:
        with stopwatch.measure("face_network"):
            vectors = predictor.embed_faces([crop for _, _, crop in wanted])
        for (place, face_id, _), vector in zip(wanted, vectors, strict=True):
            found.setdefault(place, {})[face_id] = vector
    for place, (log_ns, feature) in enumerate(waiting):
        yield Looked(log_ns, feature, found.get(place, {}))
