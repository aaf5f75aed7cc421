"""The live model of each fold and the final one, from branches that were trained before."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_clips import SAMPLE
from training_tree import write_faces, write_speech

from avemo_ros.cli import evaluate, train
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.registry import list_items
from avemo_ros.data.splits import read_split
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.network import EvidenceFusion, LiveModel
from avemo_ros.train import fusion_training
from avemo_ros.train.fusion_training import EmbeddingBank, draw_pairs
from avemo_ros.train.pretrained import load_pretrained
from avemo_ros.zoo.model_file import load_model, save_model
from avemo_ros.zoo.model_registry import BUILDER

FACE = ModelSpec("face_cnn", {"widths": (8, 8), "blocks": (1, 1), "stem": 8})
SPEECH = ModelSpec("speech_fcn", {"channels": (8, 8, 8, 8, 8)})
ACTORS = {"fold0": (2, 3), "fold1": (10,), "final": ()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_faces(folder / "fer2013")
    write_speech(folder)
    return folder


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders `face` and `speech` of networks that are as they were made."""
    folder = tmp_path_factory.mktemp("branches")
    write_run(folder / "face", FACE, part({"fer2013": 42}, (), ["train"]), part({}, ()))
    everybody = [actor for actors in ACTORS.values() for actor in actors]
    for name, held in ACTORS.items():
        learned = [actor for actor in everybody if actor not in held]
        train_part, validation = part({"ravdess": 8}, learned), part({"ravdess": 8}, held)
        write_run(folder / "speech" / name, SPEECH, train_part, validation)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, branches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "live"
    assert call(data, branches, out) == 0
    return out


def part(items: dict[str, int], actors: Any, splits: Any = ()) -> dict[str, Any]:
    subjects = [f"ravdess-{actor:02d}" for actor in actors]
    return {"items": items, "subjects": subjects, "splits": list(splits)}


def write_run(
    run: Path, spec: ModelSpec, learned: dict[str, Any], held: dict[str, Any]
) -> None:
    torch.manual_seed(len(run.name))
    about = {"trained_on": json.dumps(learned)}
    save_model(BUILDER.build(spec), spec, run / "model.safetensors", run.name, about)
    (run / "split.json").write_text(json.dumps({"train": learned, "validation": held}))


def call(data: Path, branches: Path, out: Path, *more: str, configuration: str = "live") -> int:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    settings = (
        f"live={{face_run: {branches / 'face'}, speech_run: {branches / 'speech'}, views: 2, "
        "attention_steps: 2, steps: 4, pairs: 60, batch: 16}"
    )
    arguments = [configuration, "--root", data, "--out", out, "--set", settings]
    for setting in more:
        arguments += ["--set", setting]
    return train.run(parser.parse_args([str(one) for one in arguments]))


def test_each_fold_holds_out_its_speakers_and_its_share_of_the_faces(
    data: Path, run: Path
) -> None:
    faces = [
        one for one in list_items("fer2013", data / "fer2013").items if one.split != "test"
    ]
    voices = list_items("ravdess", data / "ravdess", modality="audio").items
    held_faces: list[str] = []
    for name in ("fold0", "fold1"):
        parts = read_split(run / name)
        held = parts.held_out([*faces, *voices])
        assert {one.subject for one in held if one.dataset == "ravdess"} == {
            f"ravdess-{actor:02d}" for actor in ACTORS[name]
        }
        held_faces += [one.subject for one in held if one.dataset == "fer2013"]
        assert not any(parts.train.has(one) for one in held)
        told = json.loads(load_model(run / name / "model.safetensors").about["trained_on"])
        assert told["items"]["fer2013"] == 42 + 42 / 2
    shown = sorted(one.subject for one in faces if one.split == "validation")
    assert sorted(held_faces) == shown, "every face is held out of one fold"
    final = read_split(run / "final")
    assert all(final.train.has(one) for one in faces)
    assert not final.held_out([*faces, *voices])


def test_the_model_of_a_fold_hears_with_the_network_of_that_fold(
    branches: Path, run: Path
) -> None:
    fusions = []
    for name in ACTORS:
        live = load_model(run / name / "model.safetensors").model
        assert isinstance(live, LiveModel)
        speech = load_model(branches / "speech" / name / "model.safetensors").model
        heard = live.network.speech.state_dict()
        for key, value in speech.state_dict().items():
            torch.testing.assert_close(heard[key.removeprefix("branch.")], value)
        assert isinstance(live.network.fusion, EvidenceFusion)
        fusions.append(live.network.fusion.bias)
    assert not torch.equal(fusions[0], fusions[1])
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["folds"]) == {"fold0", "fold1"}


def test_a_live_model_gives_its_face_branch(
    data: Path, branches: Path, run: Path, tmp_path: Path
) -> None:
    source = run / "final" / "model.safetensors"
    assert call(data, branches, tmp_path / "again", f"live.face_run={source}") == 0
    first, second = (
        load_model(folder / "final" / "model.safetensors").model
        for folder in (run, tmp_path / "again")
    )
    assert isinstance(first, LiveModel)
    assert isinstance(second, LiveModel)
    wanted = first.network.face.cnn.state_dict()
    for key, value in second.network.face.cnn.state_dict().items():
        torch.testing.assert_close(value, wanted[key])


def test_the_face_branch_may_read_mirror_images_and_loses_its_head_of_votes(
    data: Path, branches: Path, tmp_path: Path
) -> None:
    face = ModelSpec("face_cnn", {**FACE.options, "votes": True})
    write_run(tmp_path / "face", face, part({"fer2013": 42}, (), ["train"]), part({}, ()))
    settings = ("live.mirrored=true", f"live.face_run={tmp_path / 'face'}")
    assert call(data, branches, tmp_path / "live", *settings) == 0
    loaded = load_model(tmp_path / "live" / "final" / "model.safetensors")
    assert isinstance(loaded.model, LiveModel)
    assert loaded.spec.options["face"].options["votes"] is False
    cnn = loaded.model.network.face.cnn.eval()
    faces = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(cnn(faces), cnn(faces.flip(-1)))


def test_pairs_are_judged_by_the_fold_that_held_out_both(
    data: Path, run: Path, tmp_path: Path
) -> None:
    found = tmp_path / "found.json"
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    arguments = ["pairs", "--root", data, "--model", run, "--folds", "--json", found]
    arguments += ["--split", "validation", "--pairs", "28", "--rounds", "100"]
    assert evaluate.run(parser.parse_args([str(one) for one in arguments])) == 0
    result = json.loads(found.read_text())
    assert [fold["items"] for fold in result["folds"]["each"]] == [14, 14]
    assert result["seen"] is False
    assert set(result["alone"]) == {"face", "voice"}
    assert any("held out of the same fold" in note for note in result["notes"])


def test_the_face_of_a_live_model_may_go_on_learning_and_be_judged(
    data: Path, run: Path
) -> None:
    """Its fusion learned from faces that its face network was never shown."""
    faces = list_items("fer2013", data / "fer2013").items
    held = tuple(one for one in faces if one.split == "validation")
    corpus = Corpus(held, tuple(Features() for _ in held))
    live = str(run / "final" / "model.safetensors")
    begun = load_pretrained(BUILDER.build(FACE), live, corpus)
    assert begun.trained_on is not None
    assert begun.trained_on["items"] == {"fer2013": 42}
    whole = ModelSpec("live", {"face": FACE, "speech": SPEECH, "fusion": "clarity"})
    with pytest.raises(DataError, match="was trained on"):
        load_pretrained(BUILDER.build(whole), live, corpus)


def test_a_face_branch_that_learned_from_the_held_out_faces_is_refused(
    data: Path, branches: Path, tmp_path: Path
) -> None:
    everything = part({"fer2013": 84}, (), ["train", "validation"])
    write_run(tmp_path / "face", FACE, everything, part({}, ()))
    (tmp_path / "speech").symlink_to(branches / "speech")
    with pytest.raises(DataError, match="was trained on"):
        call(data, tmp_path, tmp_path / "live")


def test_recordings_with_face_and_voice_are_pairs_of_their_own(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    rows = ["file,label,subject,start_s,end_s"]
    labels = ("happy", "sad")
    for person in range(4):
        for place, label in enumerate(labels):
            start = 0.5 * person + 2 * place
            rows.append(f"{SAMPLE},{label},p{person},{start},{start + 2}")
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    people = [f"clips-p{person}" for person in range(4)]
    write_run(tmp_path / "face", FACE, part({"fer2013": 42}, (), ["train"]), part({}, ()))
    for name, held in (("fold0", people[:2]), ("fold1", people[2:]), ("final", [])):
        learned = [one for one in people if one not in held]
        both = [
            {"items": {"clips": 4}, "subjects": who, "splits": []} for who in (learned, held)
        ]
        write_run(tmp_path / "speech" / name, SPEECH, *both)
    out = tmp_path / "live"
    more = ("data.train.0.name=clips", "prepare.fps=5")
    assert call(table, tmp_path, out, *more, configuration="live-recordings") == 0
    figures = json.loads((out / "figures.json").read_text())
    assert figures["data"] == "face and voice of the same recordings"
    for name, held in (("fold0", people[:2]), ("fold1", people[2:])):
        split = json.loads((out / name / "split.json").read_text())
        assert split["validation"]["subjects"] == held
        told = load_model(out / name / "model.safetensors").about
        assert told["pairing"] == "none"
        seen = json.loads(told["trained_on"])["subjects"]
        assert not set(held) & set(seen)
    live = load_model(out / "final" / "model.safetensors").model
    assert isinstance(live, LiveModel)
    assert isinstance(live.network.fusion, EvidenceFusion)
    # Emotions that no recording shows are not thought impossible.
    moved = live.network.fusion.bias.detach().abs()
    absent = [EMOTIONS.index(name) for name in EMOTIONS if name not in labels]
    assert float(moved[absent].max()) < 0.1


def test_pairs_of_one_item_are_drawn_together() -> None:
    labels = torch.tensor([0, 0, 3, 5, 5, 5])
    number = torch.arange(6.0)[:, None, None, None]
    bank = EmbeddingBank(number.expand(-1, 2, 3, 1), labels)
    chance = torch.Generator().manual_seed(0)
    pairs = draw_pairs(bank, bank, 300, chance, together=True)
    assert torch.equal(pairs.faces[:, 0, 0], pairs.speech[:, 0])
    assert torch.equal(labels[pairs.speech[:, 0].long()], pairs.labels)
    assert set(pairs.labels.tolist()) == {0, 3, 5}
    shares = torch.bincount(pairs.labels)[[0, 3, 5]] / 300
    assert float((shares - 1 / 3).abs().max()) < 0.1


def test_an_unknown_fusion_is_refused(data: Path, branches: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clarity \| evidence$"):
        call(data, branches, tmp_path / "live", "model.fusion=magic")
    with pytest.raises(ConfigError, match=r"bilinear pooling .* kind adaptive_fbp"):
        call(data, branches, tmp_path / "live", "model.fusion=vectors")
    with pytest.raises(ConfigError, match=r"model\.norm"):
        call(data, branches, tmp_path / "live", "model.norm=batch")


def test_the_fusion_of_evidence_begins_as_the_sum_of_log_probabilities() -> None:
    made = EvidenceFusion()
    voice, face = (torch.randn(5, len(EMOTIONS)).log_softmax(1) for _ in range(2))
    nothing = torch.zeros(5, 0)
    fused = made(nothing, voice, face)
    torch.testing.assert_close(fused.logits, voice + face)
    torch.testing.assert_close(fused.face_share, torch.full((5,), 0.5))


def test_frames_of_a_pair_are_of_one_view_of_one_face() -> None:
    labels = torch.arange(len(EMOTIONS)).repeat(2)
    number = torch.arange(14.0)[:, None, None, None]
    view = torch.arange(3.0)[:, None, None] / 10
    frame = torch.arange(4.0)[:, None] / 100
    faces = EmbeddingBank((number + view + frame), labels)
    pairs = draw_pairs(
        faces, EmbeddingBank(number, labels), 200, torch.Generator().manual_seed(0)
    )
    shown = pairs.faces[..., 0]
    one_view = (shown * 10).floor()
    assert torch.equal(one_view, one_view[:, :1].expand_as(one_view))
    assert torch.equal(shown[:, 0].floor().long() % len(EMOTIONS), pairs.labels)
    assert torch.equal(pairs.speech[:, 0].long() % len(EMOTIONS), pairs.labels)
    counts = pairs.mask.sum(1)
    assert set(counts.tolist()) == {1, 2, 3, 4}
    mixed = draw_pairs(
        faces.as_frames(), EmbeddingBank(number, labels), 50, torch.Generator().manual_seed(0)
    )
    assert mixed.faces.shape == (50, 12, 1)


def test_some_pairs_show_the_face_of_another_pair_and_keep_voice_and_label() -> None:
    chance = torch.Generator().manual_seed(0)
    numbers = torch.arange(200.0)
    faces = EmbeddingBank(numbers.view(-1, 1, 1, 1).expand(-1, 2, 2, 3), numbers.long() % 7)
    pairs = draw_pairs(faces, faces, 100, chance)
    mixed = fusion_training.mismatched(pairs, 0.3, chance)
    moved = (mixed.faces != pairs.faces).flatten(1).any(1)
    assert 15 <= int(moved.sum()) <= 45
    assert torch.equal(mixed.speech, pairs.speech)
    assert torch.equal(mixed.labels, pairs.labels)
    assert torch.equal(fusion_training.mismatched(pairs, 0.0, chance).faces, pairs.faces)
