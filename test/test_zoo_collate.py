from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_models as tiny
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.model.preprocess import face_tensor, spectrogram_tensor
from avemo_ros.zoo.classifier import READS, NetworkClassifier, collate, equal_rows
from avemo_ros.zoo.model_file import LoadedModel


def loaded(raw: dict[str, Any], temperature: float = 1.0) -> LoadedModel:
    return LoadedModel(tiny.made(raw), tiny.spec(raw), "made", {}, temperature)


def test_a_batch_holds_what_the_live_path_makes_of_the_same_features() -> None:
    corpus = tiny.corpus()
    batch = collate(corpus, [0, 2, 5, 6], "av")
    assert batch.units is None
    assert batch.faces.shape == (4, 3, 1, 48, 48)
    assert batch.face_mask.tolist() == [
        [True] * 3,
        [False] * 3,
        [True, False, False],
        [False] * 3,
    ]
    first = corpus.features[0]
    assert torch.equal(batch.faces[0], face_tensor(first.faces))
    heard = spectrogram_tensor(first.spectrogram.astype(np.float32))
    assert torch.equal(batch.speech[:1], heard)
    assert batch.speech_mask.tolist() == [True, True, True, False]


def test_only_what_the_model_reads_is_made() -> None:
    corpus = tiny.corpus()
    for modality, reads in READS.items():
        batch = collate(corpus, [0], modality)
        names = ("faces", "speech", "units", "points")
        made = {name for name in names if getattr(batch, name) is not None}
        assert made == reads


def test_larger_faces_are_made_for_networks_that_take_them() -> None:
    corpus = tiny.corpus()
    batch = collate(corpus, [0], "face", face_side=96)
    crop = cv2.resize(corpus.features[0].faces[0], (96, 96), interpolation=cv2.INTER_LINEAR)
    assert torch.equal(batch.faces[0, 0], face_tensor([crop], 96)[0])


def test_of_a_long_clip_evenly_spaced_faces_are_taken() -> None:
    corpus = tiny.corpus()
    many = np.repeat(np.arange(100, dtype=np.uint8), 48 * 48).reshape(100, 48, 48)
    many[:, :24] = 255
    one = replace(corpus.features[0], faces=many)
    batch = collate(Corpus(corpus.items[:1], (one,)), [0], "face", frames=4)
    expected = face_tensor(many[[12, 37, 62, 87]])
    assert torch.equal(batch.faces[0], expected)


@pytest.mark.parametrize("modality", READS)
@pytest.mark.parametrize("size", [1, 2, 64])
def test_groups_hold_every_row_once_and_equal_lengths_only(modality: str, size: int) -> None:
    corpus = tiny.corpus()
    groups = equal_rows(corpus, modality, size)
    assert sorted(row for group in groups for row in group) == list(range(len(corpus)))
    for group in groups:
        assert len(group) <= size
        collate(corpus, group, modality)


def test_different_lengths_of_sound_in_one_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[80, 95\] columns"):
        collate(tiny.corpus(), [0, 1], "audio")


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_scores_do_not_depend_on_batching_or_order(raw: dict[str, Any]) -> None:
    corpus = tiny.corpus()
    together = NetworkClassifier(loaded(raw)).scores(corpus)
    alone = NetworkClassifier(loaded(raw), batch=1).scores(corpus)
    assert torch.allclose(together, alone, atol=1e-5)
    order = [4, 2, 6, 0, 5, 1, 3]
    turned = Corpus(
        tuple(corpus.items[i] for i in order), tuple(corpus.features[i] for i in order)
    )
    assert torch.allclose(
        NetworkClassifier(loaded(raw)).scores(turned), together[order], atol=1e-5
    )
    assert torch.allclose(together.exp().sum(1), torch.ones(7), atol=1e-5)
    even = torch.full_like(together[6], 1 / together.shape[1]).log()
    assert torch.allclose(together[6], even), "an item that has nothing"


def test_mirrored_scores_are_alike_for_mirrored_faces() -> None:
    corpus = tiny.corpus().only([True, True, False, False, False, False, False])
    turned = Corpus(
        corpus.items,
        tuple(replace(one, faces=one.faces[:, :, ::-1].copy()) for one in corpus.features),
    )
    plain = NetworkClassifier(loaded(tiny.FACE))
    mirrored = NetworkClassifier(loaded(tiny.FACE), mirrored=True)
    assert not torch.allclose(plain.scores(corpus), plain.scores(turned), atol=1e-4)
    assert torch.allclose(mirrored.scores(corpus), mirrored.scores(turned), atol=1e-5)


def test_an_empty_corpus_has_no_scores() -> None:
    assert NetworkClassifier(loaded(tiny.FACE)).scores(Corpus((), ())).shape == (0, 7)


def test_a_classifier_says_what_it_is() -> None:
    classifier = NetworkClassifier(loaded(tiny.fused("fbp", tiny.UNITS)))
    assert (classifier.name, classifier.modality) == ("made", "au+audio")
    assert len(classifier.classes) == 8


def one(number: int) -> Item:
    return Item("made", f"m{number}", Path("none"), "happy", f"made-{number}")


def test_sound_is_heard_in_windows_around_its_speech_whatever_silence_is_around() -> None:
    chance = np.random.default_rng(3)
    speech = chance.normal(-30, 3, (150, 200)).astype(np.float16)
    corpora = []
    for before, after in ((20, 30), (200, 400)):
        silence = [np.full((n, 200), -120.0, np.float16) for n in (before, after)]
        whole = np.concatenate([silence[0], speech, silence[1]])
        corpora.append(Corpus((one(0),), (Features(spectrogram=whole),)))
    classifier = NetworkClassifier(loaded(tiny.SPEECH))
    first, second = (classifier.scores(corpus) for corpus in corpora)
    torch.testing.assert_close(first, second)
    in_one_piece = NetworkClassifier(loaded(tiny.SPEECH), window_s=0.0)
    assert not torch.allclose(in_one_piece.scores(corpora[0]), in_one_piece.scores(corpora[1]))


def test_the_answer_to_long_speech_is_the_mean_over_its_windows() -> None:
    chance = np.random.default_rng(4)
    whole = chance.normal(-30, 3, (600, 200)).astype(np.float16)
    classifier = NetworkClassifier(loaded(tiny.SPEECH), window_s=3.0)
    halves = Corpus(
        (one(0), one(1)),
        (Features(spectrogram=whole[:300]), Features(spectrogram=whole[300:])),
    )
    mean = classifier.scores(halves).mean(0, keepdim=True)
    given = classifier.scores(Corpus((one(0),), (Features(spectrogram=whole),)))
    torch.testing.assert_close(given, torch.log_softmax(mean, 1))
