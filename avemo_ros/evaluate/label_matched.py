"""Label-matched pairs: a face of one person and a voice of another, with the same label.

Where no recordings of face and voice together exist, such pairs show whether a fusion makes
use of both.  Given the label, face and voice are independent, which a person's are not: every
output names these metrics 'label-matched pairs'.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import DataError
from avemo_ros.evaluate.dataset_request import PAIRS, PAIRS_TITLE
from avemo_ros.labels import EMOTIONS


def _together(_item: Item) -> Hashable:
    return None


def label_matched(
    faces: Corpus,
    voices: Corpus,
    n: int,
    seed: int,
    group: Callable[[Item], Hashable] = _together,
) -> Corpus:
    """Pairs of a face and a voice with the same emotion, all emotions alike often.

    Within an emotion every face is used once before one is used again, and every voice too.

    Args:
        faces: items with face crops; others are left out.
        voices: items with a spectrogram; others are left out.
        n: how many pairs.
        seed: of the draw.
        group: a face is only paired with a voice of the same group, such as the fold that
            held both out; within an emotion all groups are alike often.

    Returns:
        n items: face crops of the one and spectrogram of the other, label in EMOTIONS, subject
        and sex of the voice.

    Raises:
        DataError: n is below 1, or no emotion has both a face and a voice (of one group).
    """
    if n < 1:
        raise DataError(f"{n} {PAIRS_TITLE} requested; allowed: 1 or more")
    shown = [features.faces is not None for features in faces.features]
    spoken = [features.spectrogram is not None for features in voices.features]
    cells = [
        [(seen[name], heard[name]) for name in seen if name in heard]
        for seen, heard in zip(
            _places(faces, shown, group), _places(voices, spoken, group), strict=True
        )
    ]
    shared = [index for index in range(len(EMOTIONS)) if cells[index]]
    if not shared:
        raise DataError(
            f"no {PAIRS_TITLE} can be made: no emotion has both a face (of {len(faces)} items) "
            f"and a voice (of {len(voices)} items)"
        )
    chance = np.random.default_rng(seed)
    items: list[Item] = []
    features: list[Features] = []
    for place, emotion in enumerate(shared):
        count = _share(n, len(shared), place)
        for part, (seen, heard) in enumerate(cells[emotion]):
            of_group = _share(count, len(cells[emotion]), part)
            images = _in_turn(seen, of_group, chance)
            voiced = _in_turn(heard, of_group, chance)
            for face, voice in zip(images, voiced, strict=True):
                items.append(
                    _pair(faces.items[face], voices.items[voice], EMOTIONS[emotion], len(items))
                )
                features.append(
                    Features(
                        faces=faces.features[face].faces,
                        face_times_s=faces.features[face].face_times_s,
                        landmarks=faces.features[face].landmarks,
                        spectrogram=voices.features[voice].spectrogram,
                    )
                )
    return Corpus(tuple(items), tuple(features))


def _share(count: int, parts: int, place: int) -> int:
    """How many of `count` one of several parts has, all alike as far as it goes."""
    return count // parts + (place < count % parts)


def _places(
    corpus: Corpus, usable: list[bool], group: Callable[[Item], Hashable]
) -> list[dict[Hashable, list[int]]]:
    """For each emotion the usable items of each group."""
    places: list[dict[Hashable, list[int]]] = [{} for _ in EMOTIONS]
    for index, item in enumerate(corpus.items):
        if usable[index]:
            places[item.emotion_index].setdefault(group(item), []).append(index)
    return places


def _in_turn(places: list[int], count: int, chance: np.random.Generator) -> list[int]:
    """`count` of `places`: all of them in random order, then again in another."""
    drawn: list[int] = []
    while len(drawn) < count:
        drawn += chance.permutation(places).tolist()
    return drawn[:count]


def _pair(face: Item, voice: Item, label: str, number: int) -> Item:
    return Item(
        dataset=PAIRS,
        key=f"{number:05d}:{face.key}+{voice.key}",
        path=voice.path,
        label=label,
        subject=voice.subject,
        raw_label=f"{face.raw_label}+{voice.raw_label}",
        sex=voice.sex,
    )
