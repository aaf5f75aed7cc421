import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import cut

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, PrepareConfig
from avemo_ros.data.prepare import prepare
from avemo_ros.errors import DataError
from avemo_ros.evaluate.corruption import ON_FACE, ON_FEATURES, corrupt_clips


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    path = cut(tmp_path_factory.mktemp("clip") / "a.mp4", 2.0, 3.0, every=3)
    made, _ = prepare([Item("clips", "a.mp4", path, "happy", "clips-a")], progress=False)
    return made


@pytest.fixture(scope="module")
def spoilt(clean: Corpus) -> dict[str, Corpus]:
    return corrupt_clips(clean, PrepareConfig(), 0)


def test_every_corruption_acts_on_its_own_modality_only(
    clean: Corpus, spoilt: dict[str, Corpus]
) -> None:
    (before,) = clean.features
    assert before.faces is not None
    assert before.spectrogram is not None
    assert list(spoilt) == list(ON_FEATURES)
    for name, corpus in spoilt.items():
        (after,) = corpus.features
        if name in ON_FACE:
            assert after.spectrogram is before.spectrogram
            assert after.faces is None or not np.array_equal(after.faces, before.faces)
        else:
            assert after.faces is before.faces
            assert after.spectrogram is not None
            assert after.spectrogram.shape == before.spectrogram.shape
            assert not np.array_equal(after.spectrogram, before.spectrogram)


def test_a_blurred_image_gives_a_blurred_face(clean: Corpus, spoilt: dict[str, Corpus]) -> None:
    before, after = clean.features[0].faces, spoilt["blur"].features[0].faces
    assert before is not None
    assert after is not None

    def detail(faces: np.ndarray) -> float:
        return float(np.abs(np.diff(faces.astype(float), axis=2)).mean())

    assert detail(after) < 0.7 * detail(before)


def test_lost_images_are_lost_before_the_face_is_looked_for(
    clean: Corpus, spoilt: dict[str, Corpus]
) -> None:
    before, after = clean.features[0], spoilt["dropped frames"].features[0]
    assert before.face_times_s is not None
    assert after.face_times_s is not None
    assert 0 < len(after.face_times_s) < len(before.face_times_s)
    assert set(after.face_times_s.tolist()) <= set(before.face_times_s.tolist())


def test_spoiling_a_clip_again_gives_the_same(clean: Corpus, spoilt: dict[str, Corpus]) -> None:
    again = corrupt_clips(clean, PrepareConfig(), 0)
    for name, corpus in spoilt.items():
        for part in ("faces", "spectrogram"):
            one = getattr(corpus.features[0], part)
            other = getattr(again[name].features[0], part)
            np.testing.assert_array_equal(one, other)


def test_workers_give_the_same(clean: Corpus, spoilt: dict[str, Corpus]) -> None:
    twice = Corpus(clean.items * 2, clean.features * 2)
    found = corrupt_clips(twice, PrepareConfig(), 2)
    for name in ON_FEATURES:
        for features in found[name].features:
            np.testing.assert_array_equal(features.faces, spoilt[name].features[0].faces)
            np.testing.assert_array_equal(
                features.spectrogram, spoilt[name].features[0].spectrogram
            )


class DeadlyItem(Item):
    """Ends the process that unpacks it."""

    def __reduce__(self) -> Any:
        return os._exit, (1,)


def test_a_clip_that_crashes_its_process_is_named(clean: Corpus) -> None:
    deadly = DeadlyItem("clips", "b.mp4", Path("b.mp4"), "happy", "clips-a")
    both = Corpus((*clean.items, deadly), clean.features * 2)
    with pytest.raises(
        DataError, match=r"'b.mp4' cannot be corrupted: the process that read it"
    ):
        corrupt_clips(both, PrepareConfig(), 2)


def test_single_images_are_spoilt_as_crops(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8))
    item = Item("fer2013", "a", path, "happy", "fer2013-a", has_voice=False)
    corpus, _ = prepare([item], want=frozenset({"faces"}), progress=False)
    spoilt = corrupt_clips(corpus, PrepareConfig(), 0)
    faces = spoilt["occlusion"].features[0].faces
    assert faces is not None
    assert faces.shape == (1, 48, 48)
    assert corpus.features[0].faces is not None
    assert (faces != corpus.features[0].faces).sum() > 400
