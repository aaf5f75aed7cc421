from pathlib import Path

import numpy as np
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import DataError
from avemo_ros.evaluate.evaluation_data import label_matched


def item(dataset: str, key: str, label: str) -> Item:
    return Item(dataset, key, Path(key), label, f"{dataset}-{key[-1]}")


def faces(labels: list[str]) -> Corpus:
    items = tuple(item("fer2013", f"f{i}", label) for i, label in enumerate(labels))
    return Corpus(
        items,
        tuple(Features(faces=np.full((1, 4, 4), i, np.uint8)) for i in range(len(labels))),
    )


def voices(labels: list[str]) -> Corpus:
    items = tuple(item("ravdess", f"v{i}", label) for i, label in enumerate(labels))
    return Corpus(
        items,
        tuple(
            Features(spectrogram=np.full((63, 200), -i, np.float16)) for i in range(len(labels))
        ),
    )


def test_face_and_voice_of_a_pair_have_its_label() -> None:
    images = faces(["happy", "sad", "happy", "angry", "neutral"])
    spoken = voices(["calm", "happy", "sad", "sad", "neutral"])
    pairs = label_matched(images, spoken, 60, seed=1)
    assert len(pairs) == 60
    for made, features in zip(pairs.items, pairs.features, strict=True):
        assert features.faces is not None
        assert features.spectrogram is not None
        face = images.items[int(features.faces[0, 0, 0])]
        voice = spoken.items[-int(features.spectrogram[0, 0])]
        assert made.label == face.label
        assert made.emotion_index == voice.emotion_index
        assert made.subject == voice.subject
    assert len({made.key for made in pairs.items}) == 60


def test_emotions_are_alike_often_and_items_used_in_turn() -> None:
    pairs = label_matched(faces(["happy"] * 3 + ["sad"]), voices(["sad", "happy"]), 12, seed=0)
    labels = [made.label for made in pairs.items]
    assert labels.count("happy") == labels.count("sad") == 6
    shown = [int(f.faces[0, 0, 0]) for f in pairs.features[:6] if f.faces is not None]
    assert sorted(shown) == [0, 0, 1, 1, 2, 2]


def test_the_same_seed_makes_the_same_pairs() -> None:
    images, spoken = faces(["happy", "sad"] * 5), voices(["sad", "happy"] * 7)

    def keys(seed: int) -> list[str]:
        return [made.key for made in label_matched(images, spoken, 20, seed).items]

    assert keys(3) == keys(3)
    assert keys(3) != keys(4)


def test_corpora_without_a_common_emotion_cannot_be_paired() -> None:
    with pytest.raises(DataError, match="label-matched pairs"):
        label_matched(faces(["happy"]), voices(["sad"]), 5, seed=0)


def test_a_face_is_only_paired_with_a_voice_of_its_group() -> None:
    images, spoken = faces(["happy", "sad"] * 6), voices(["sad", "happy"] * 9)

    def group(one: Item) -> int:
        return int(one.key[1:]) // 2 % 3

    pairs = label_matched(images, spoken, 30, 0, group)
    groups = []
    for made in pairs.items:
        face, voice = made.key.split(":")[1].split("+")
        assert int(face[1:]) // 2 % 3 == int(voice[1:]) // 2 % 3
        groups.append(int(face[1:]) // 2 % 3)
    assert [groups.count(one) for one in range(3)] == [10, 10, 10]
    with pytest.raises(DataError, match="no emotion has both"):
        label_matched(images, spoken, 30, 0, lambda one: one.dataset)
