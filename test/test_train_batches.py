from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import DataError
from avemo_ros.labels import EMOTIONS, FACE_CLASSES, SPEECH_CLASSES
from avemo_ros.model.attention import FrameMean
from avemo_ros.model.face_cnn import FaceCNN, FaceModel
from avemo_ros.train.loop import EpochRng
from avemo_ros.train.optimisation import Processes
from avemo_ros.train.pretrained import distillation_loss
from avemo_ros.train.sample_bank import FaceBank, SpeechBank, one_of_each_part
from avemo_ros.train.sampler import Sampler, heard_span
from avemo_ros.train.training_batch import (
    TrainingBatch,
    batch_loss,
    drop_modality,
    soft_cross_entropy,
)
from avemo_ros.train.training_config import TrainConfig, TrainingConfig

CPU = torch.device("cpu")
PLAIN = {"face": {"probability": 0}, "speech": {"probability": 0, "masks": 0}}


def item(dataset: str, label: str, number: int = 0, **more: Any) -> Item:
    key = f"{label}-{number}"
    return Item(dataset, key, Path(key), label, f"{dataset}-{number}", **more)


def faces(count: int, value: int, side: int = 48) -> Features:
    crops = np.full((count, side, side), value, np.uint8)
    crops[:, : side // 2] += np.arange(count, dtype=np.uint8)[:, None, None]
    return Features(faces=crops, face_times_s=(np.arange(count) / 10).astype(np.float32))


def voice(columns: int, level: float = -20.0, first: int = 0) -> Features:
    made = np.full((columns, 200), -100.0, np.float16)
    made[first:, :100] = level
    return Features(spectrogram=made)


def units(value: float) -> Features:
    return Features(units=np.full(35, value, np.float32))


def both(one: Features, other: Features) -> Features:
    return Features(one.faces, one.face_times_s, None, other.spectrogram, one.units)


def config(names: dict[str, float], **more: Any) -> TrainConfig:
    given: dict[str, Any] = {
        "model": {"kind": "face_cnn"},
        "data": {"train": [{"name": name, "share": share} for name, share in names.items()]},
        "training": {"batch": 8},
        "augment": PLAIN,
    }
    for group, values in more.items():
        given[group] = {**given[group], **values}
    return TrainConfig.from_mapping(given)


def sampler(
    corpus: Corpus,
    settings: TrainConfig,
    modality: str,
    classes: tuple[str, ...] = EMOTIONS,
    processes: Processes | None = None,
) -> Sampler:
    return Sampler(corpus, settings, modality, classes, 48, processes or Processes(CPU))


def chance(seed: int = 0) -> EpochRng:
    return EpochRng(
        torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    )


def lessons(made: Sampler, epoch: int = 0) -> list[TrainingBatch]:
    return list(made.epoch(epoch, chance()))


def test_without_balance_every_item_comes_once_an_epoch() -> None:
    corpus = Corpus(
        tuple(item("fer2013", EMOTIONS[n % 3], n) for n in range(16)),
        tuple(faces(1, 10 * n) for n in range(16)),
    )
    made = sampler(corpus, config({"fer2013": 1}, training={"balance": "none"}), "face")
    assert made.steps == 2
    labels = torch.cat([lesson.targets.argmax(1) for lesson in lessons(made)])
    assert Counter(labels.tolist()) == {0: 6, 1: 5, 2: 5}


def test_data_sets_are_drawn_by_their_shares_and_classes_alike() -> None:
    items = [item("ravdess", "angry", n) for n in range(30)] + [item("ravdess", "calm")]
    items += [item("nemo", "fear", n) for n in range(5)]
    corpus = Corpus(tuple(items), tuple(voice(100) for _ in items))
    settings = config({"ravdess": 3, "nemo": 1}, training={"draws": 2000, "batch": 50})
    made = sampler(corpus, settings, "audio", SPEECH_CLASSES)
    rows = torch.cat([lesson.targets.argmax(1) for lesson in lessons(made)])
    shares = torch.bincount(rows, minlength=8) / len(rows)
    wanted = {"angry": 0.375, "calm": 0.375, "fear": 0.25}
    for name, share in wanted.items():
        assert float(shares[SPEECH_CLASSES.index(name)]) == pytest.approx(share, abs=0.04)


def test_class_weights_count_rare_classes_more_and_one_on_average() -> None:
    items = [item("fer2013", "angry", n) for n in range(12)] + [
        item("fer2013", "fear", n) for n in range(4)
    ]
    corpus = Corpus(tuple(items), tuple(faces(1, 9) for _ in items))
    made = sampler(corpus, config({"fer2013": 1}, training={"balance": "weights"}), "face")
    every = lessons(made)
    weights = torch.cat([lesson.weights for lesson in every])
    angry = torch.cat([lesson.targets.argmax(1) for lesson in every]) == EMOTIONS.index("angry")
    assert float(weights.mean()) == pytest.approx(1.0)
    assert float(weights[angry].sum()) == pytest.approx(float(weights[~angry].sum()))


def test_a_data_set_is_only_asked_about_the_classes_it_knows() -> None:
    items = (item("urdu", "sad"), item("ravdess", "calm"))
    made = sampler(
        Corpus(items, (voice(100), voice(100))),
        config({"urdu": 1, "ravdess": 1}),
        "audio",
        SPEECH_CLASSES,
    )
    for lesson in lessons(made):
        for target, allowed in zip(lesson.targets, lesson.allowed, strict=True):
            names = {name for name, one in zip(SPEECH_CLASSES, allowed, strict=True) if one}
            if int(target.argmax()) == SPEECH_CLASSES.index("sad"):
                assert names == {"angry", "happy", "neutral", "sad"}
            else:
                assert names == set(SPEECH_CLASSES)


def test_what_a_data_set_does_not_know_has_no_part_in_the_loss() -> None:
    allowed = torch.tensor([[True, True, False]])
    lesson = TrainingBatch(Any, torch.tensor([[1.0, 0, 0]]), allowed, torch.ones(1))  # type: ignore[arg-type]
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = soft_cross_entropy(logits, lesson, smoothing=0.2)
    assert float(loss.detach()) == pytest.approx(float(np.log(2)), abs=1e-5)
    (slope,) = torch.autograd.grad(loss, logits)
    assert float(slope[0, 2]) == 0.0


def test_a_student_who_answers_as_its_teacher_has_nothing_to_learn() -> None:
    teacher = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    allowed = torch.ones(5, 7, dtype=torch.bool)
    student = teacher.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(distillation_loss(student, teacher, allowed, 2.0), student)
    assert torch.allclose(slope, torch.zeros_like(slope), atol=1e-6)
    other = torch.zeros(5, 7, requires_grad=True)
    (slope,) = torch.autograd.grad(distillation_loss(other, teacher, allowed, 2.0), other)
    assert torch.equal(slope.argmin(1), teacher.argmax(1)), "towards what the teacher says"


def test_calm_counts_as_neutral_where_the_model_has_seven_classes() -> None:
    corpus = Corpus((item("ravdess", "calm"),), (voice(100),))
    lesson = lessons(sampler(corpus, config({"ravdess": 1}), "audio"))[0]
    assert lesson.targets.shape == (8, 7)
    assert set(lesson.targets.argmax(1).tolist()) == {EMOTIONS.index("neutral")}


def test_votes_of_raters_make_soft_targets() -> None:
    votes = (6.0, 0, 0, 0, 4.0, 0, 0, 0)
    corpus = Corpus((item("fer2013", "angry", votes=votes),), (faces(1, 50),))
    for weight, wanted in ((0.0, 1.0), (1.0, 0.6), (0.5, 0.8)):
        made = sampler(corpus, config({"fer2013": 1}, data={"votes": weight}), "face")
        assert float(lessons(made)[0].targets[0, 0]) == pytest.approx(wanted)


VOTES = (6.0, 0, 0, 0, 2.0, 0, 0, 0, 2.0)
"""Angry, neutral and contempt, in the order of LABELS."""


def voted(model: FaceModel, share: float) -> tuple[TrainingBatch, TrainingConfig]:
    """A batch of one face with VOTES and one without."""
    corpus = Corpus(
        (item("fer2013", "angry", votes=VOTES), item("fer2013", "sad", 1)),
        (faces(1, 50), faces(1, 90)),
    )
    settings = config({"fer2013": 1}, training={"auxiliary": share, "balance": "none"})
    made = Sampler(corpus, settings, "face", model.classes, 48, Processes(CPU))
    return lessons(made)[0], settings.training


def test_votes_are_learned_by_a_head_of_their_own_beside_the_labels() -> None:
    torch.manual_seed(0)
    cnn = FaceCNN((8,), (1,), 8)
    model = FaceModel(cnn, FrameMean(8), 0.0, "emotions", votes=True)
    rows, settings = voted(model, 0.5)
    assert rows.votes is not None
    for target, votes in zip(rows.targets, rows.votes, strict=True):
        if target.argmax() == EMOTIONS.index("angry"):
            assert votes.tolist() == pytest.approx([0.6, 0, 0, 0, 0.2, 0, 0, 0.2])
        else:
            assert not votes.any()
    model.train()
    answer = model(rows.batch)
    log = torch.log_softmax(answer.votes, 1)
    wanted = soft_cross_entropy(answer.logits, rows) - 0.5 * (rows.votes * log).sum(1).mean()
    # Twice the same: batch norm uses the statistics of the batch.
    assert torch.allclose(batch_loss(model, rows, settings), wanted, atol=1e-5)
    model.eval()
    assert model(rows.batch).votes is None, "the robot needs no votes"


def test_contempt_is_a_class_of_models_that_have_it() -> None:
    corpus = Corpus((item("fer2013", "contempt", votes=VOTES),), (faces(1, 50),))
    settings = config({"fer2013": 1}, data={"votes": 1.0})
    made = Sampler(corpus, settings, "face", FACE_CLASSES, 48, Processes(CPU))
    lesson = lessons(made)[0]
    assert lesson.targets[0].tolist() == pytest.approx([0.6, 0, 0, 0, 0.2, 0, 0, 0.2])
    assert bool(lesson.allowed.all())
    with pytest.raises(DataError, match="is labelled contempt"):
        sampler(corpus, settings, "face")


def test_one_frame_of_each_part_of_a_clip_is_picked() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        picked = one_of_each_part(0, 30, rng.random(3))
        assert (picked // 10).tolist() == [0, 1, 2]
    assert one_of_each_part(4, 5, rng.random(3)).tolist() == [4, 4, 4]


def test_images_alone_are_shown_once_and_clips_as_often_as_asked() -> None:
    corpus = Corpus((item("fer2013", "sad"),), (faces(1, 50),))
    settings = config({"fer2013": 1}, data={"frames": 5})
    assert lessons(sampler(corpus, settings, "face"))[0].batch.faces.shape == (8, 1, 1, 48, 48)
    corpus = Corpus((item("afew", "sad"),), (faces(20, 50, 96),))
    settings = config({"afew": 1}, data={"frames": 5})
    lesson = lessons(sampler(corpus, settings, "face"))[0]
    assert lesson.batch.faces.shape == (8, 5, 1, 48, 48)
    assert bool(lesson.batch.face_mask.all())


def test_some_frames_can_be_hidden_but_one() -> None:
    corpus = Corpus((item("afew", "sad"),), (faces(20, 50),))
    settings = config({"afew": 1}, data={"frames": 4, "fewer_frames": 1.0})
    masks = torch.cat(
        [lesson.batch.face_mask for lesson in lessons(sampler(corpus, settings, "face"))]
    )
    assert set(masks.sum(1).tolist()) <= {1, 2, 3}


def test_smaller_images_are_shown_in_the_first_part_of_a_run() -> None:
    corpus = Corpus((item("fer2013", "sad"),), (faces(1, 50),))
    settings = config({"fer2013": 1}, training={"small_side": 40, "epochs": 10})
    made = sampler(corpus, settings, "face")
    sides = [lessons(made, epoch)[0].batch.faces.shape[-1] for epoch in (0, 5, 6, 9)]
    assert sides == [40, 40, 48, 48]


def test_windows_of_a_batch_are_equally_long_and_around_the_speech() -> None:
    corpus = Corpus((item("ravdess", "sad"),), (voice(400, first=300),))
    settings = config({"ravdess": 1}, data={"window_low_s": 1, "window_high_s": 2})
    made = sampler(corpus, settings, "audio")
    lengths = set()
    for epoch in range(6):
        batch = next(iter(made.epoch(epoch, chance(epoch)))).batch
        lengths.add(batch.speech.shape[2])
        assert bool((batch.speech.amax(dim=(1, 2, 3)) > 1).all()), "each hears some speech"
    assert len(lengths) > 3
    assert min(lengths) >= 100
    assert max(lengths) <= 200


def test_a_window_beyond_the_ends_is_filled_with_silence() -> None:
    bank = SpeechBank([voice(10)])
    cut = bank.windows([0, -1], [-5, 0], 30)
    assert cut.shape == (2, 30, 200)
    assert (cut[0, :, 0] > -50).tolist() == [False] * 5 + [True] * 10 + [False] * 15
    assert float(cut[1].max()) == -100


def test_a_row_with_face_and_voice_shows_frames_of_the_time_that_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = both(faces(40, 10), voice(400))
    corpus = Corpus((item("afew", "sad"),), (clip,))
    bank = FaceBank(corpus.features, 48)
    assert bank.within(0, 1.0, 2.0) == (10, 20)
    assert bank.within(0, 90.0, 95.0) == (0, 40), "all where none is of that time"
    settings = config(
        {"afew": 1}, data={"window_low_s": 1.0, "window_high_s": 1.0, "frames": 4}
    )
    made = sampler(corpus, settings, "av")
    spans = []

    def remember(bank: FaceBank, items: Any, frames: Any) -> Any:
        spans.append(np.ptp(frames, axis=1).max())
        return pick(bank, items, frames)

    pick = FaceBank.pick
    monkeypatch.setattr(FaceBank, "pick", remember)
    lessons(made)
    assert max(spans) <= 10


@pytest.mark.parametrize(
    ("shift", "lot", "span"),
    [(0.0, 0.0, (1.0, 2.0)), (0.5, 0.0, (0.5, 1.5)), (0.5, 1.0, (1.5, 2.5))],
)
def test_the_face_is_shown_up_to_a_shift_before_or_after_the_voice(
    shift: float, lot: float, span: tuple[float, float]
) -> None:
    assert heard_span(100, 100, shift, lot) == pytest.approx(span)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_face_and_voice_of_a_clip_can_be_shifted_against_each_other(
    shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = tuple(item("afew", "sad", n) for n in range(8))
    corpus = Corpus(items, (both(faces(40, 10), voice(400)),) * 8)
    data = {"window_low_s": 1.0, "window_high_s": 1.0, "frames": 2}
    made = sampler(corpus, config({"afew": 1}, data=data, augment={"shift_s": shift}), "av")
    begun, starts, shown = [], [], []
    start, within, pick = SpeechBank.start, FaceBank.within, FaceBank.pick

    def note_start(*given: Any) -> int:
        starts.append(start(*given))
        return starts[-1]

    def note_span(bank: FaceBank, row: int, begin: float, end: float) -> tuple[int, int]:
        begun.append(begin)
        return within(bank, row, begin, end)

    def note_faces(bank: FaceBank, rows: Any, numbers: Any) -> Any:
        shown.extend(numbers.tolist())
        return pick(bank, rows, numbers)

    monkeypatch.setattr(SpeechBank, "start", note_start)
    monkeypatch.setattr(FaceBank, "within", note_span)
    monkeypatch.setattr(FaceBank, "pick", note_faces)
    for epoch in range(8):
        lessons(made, epoch)
    shifts = np.array(begun) - np.array(starts) / 100
    assert len(shifts) == 64
    assert np.abs(shifts).max() <= shift + 1e-9
    if shift:
        assert shifts.min() < -0.3
        assert shifts.max() > 0.3
    # Ten faces a second.
    first = np.clip(np.array(begun) * 10, 0, 40)
    numbers = np.array(shown)
    assert (numbers >= np.floor(first)[:, None] - 1).all()
    assert (numbers <= np.ceil(first + 10)[:, None]).all()


def test_pairs_share_a_label_and_say_whose_classes_are_known_to_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [item("fer2013", name, n) for n, name in enumerate(EMOTIONS)]
    items += [item("nemo", "sad", 1), item("nemo", "happy", 2), item("ravdess", "calm", 3)]
    features = [faces(1, 30 * n) for n in range(7)] + [voice(150)] * 3
    settings = config(
        {"fer2013": 1, "nemo": 1, "ravdess": 1}, data={"pairing": "label", "frames": 3}
    )
    made = sampler(Corpus(tuple(items), tuple(features)), settings, "av")
    assert made.paired
    seen = []
    pick = FaceBank.pick

    def remember(bank: FaceBank, rows: Any, frames: Any) -> Any:
        seen.extend(rows)
        return pick(bank, rows, frames)

    monkeypatch.setattr(FaceBank, "pick", remember)
    for lesson in lessons(made):
        assert lesson.batch.faces.shape[1] == 3, "an image in several views"
        assert bool(lesson.batch.speech_mask.all())
        labels = lesson.targets.argmax(1).tolist()
        assert [items[i].emotion_index for i in seen[-8:]] == labels
        for label, allowed in zip(labels, lesson.allowed, strict=True):
            assert int(allowed.sum()) == (7 if EMOTIONS[label] == "neutral" else 6)


def test_pairs_need_faces_and_voices() -> None:
    corpus = Corpus((item("fer2013", "sad"),), (faces(1, 5),))
    with pytest.raises(DataError, match="no voices"):
        sampler(corpus, config({"fer2013": 1}, data={"pairing": "label"}), "av")
    corpus = Corpus((item("fer2013", "sad"), item("nemo", "fear")), (faces(1, 5), voice(90)))
    made = sampler(corpus, config({"fer2013": 1, "nemo": 1}, data={"pairing": "label"}), "av")
    with pytest.raises(DataError, match="no face is labelled fear"):
        lessons(made)


def test_what_an_item_lacks_is_masked() -> None:
    items = (item("ravdess", "sad", 1), item("ravdess", "happy", 2))
    corpus = Corpus(items, (both(units(3.0), voice(100)), voice(100)))
    made = sampler(corpus, config({"ravdess": 1}), "au+audio", SPEECH_CLASSES)
    for lesson in lessons(made):
        sad = lesson.targets.argmax(1) == SPEECH_CLASSES.index("sad")
        assert torch.equal(lesson.batch.units_mask, sad)
        assert bool((lesson.batch.units[sad] == 3.0).all())
        assert bool(lesson.batch.speech_mask.all())


def test_modality_dropout_never_takes_the_last_modality() -> None:
    items = tuple(item("ravdess", "sad", n) for n in range(3))
    corpus = Corpus(items, (both(units(1), voice(90)), voice(90), units(1)))
    settings = config({"ravdess": 1}, training={"batch": 400})
    batch = lessons(sampler(corpus, settings, "au+audio"))[0].batch
    dropped = drop_modality(batch, 0.3, torch.Generator().manual_seed(0))
    either = dropped.units_mask | dropped.speech_mask
    assert bool(either.all())
    had = batch.units_mask & batch.speech_mask
    lost_voice = float((had & ~dropped.speech_mask).sum() / had.sum())
    lost_units = float((had & ~dropped.units_mask).sum() / had.sum())
    assert lost_voice == pytest.approx(0.3, abs=0.1)
    assert lost_units == pytest.approx(0.3, abs=0.1)


def test_mixup_mixes_targets_as_it_mixes_what_is_shown() -> None:
    items = (item("ravdess", "sad", 1), item("ravdess", "happy", 2))
    corpus = Corpus(items, (units(0.0), units(1.0)))
    settings = config({"ravdess": 1}, augment={"mixup": 1.0})
    batches = lessons(sampler(corpus, settings, "au"))
    for lesson in batches:
        happy = lesson.targets[:, EMOTIONS.index("happy")]
        assert torch.allclose(lesson.batch.units[:, 0], happy, atol=1e-6)
        assert torch.allclose(lesson.targets.sum(1), torch.ones(8))


def test_processes_share_a_batch_between_them() -> None:
    items = tuple(item("ravdess", SPEECH_CLASSES[n], n) for n in range(8))
    corpus = Corpus(items, tuple(both(units(n), voice(100 + n)) for n in range(8)))
    settings = config({"ravdess": 1}, training={"draws": 16})
    whole = lessons(sampler(corpus, settings, "au+audio"))
    parts = [
        lessons(sampler(corpus, settings, "au+audio", processes=Processes(CPU, rank, 2)))
        for rank in (0, 1)
    ]
    for one, first, second in zip(whole, *parts, strict=True):
        for rank, part in enumerate((first, second)):
            assert torch.equal(part.targets, one.targets[rank::2])
            assert torch.equal(part.batch.units, one.batch.units[rank::2])
            assert torch.equal(part.batch.speech, one.batch.speech[rank::2])


def test_a_corpus_without_what_the_model_reads_is_refused() -> None:
    corpus = Corpus((item("fer2013", "sad"),), (faces(1, 5),))
    with pytest.raises(DataError, match="'audio' model"):
        sampler(corpus, config({"fer2013": 1}), "audio")
