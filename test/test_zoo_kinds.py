import subprocess
import sys
from typing import Any

import pytest
import tiny_models as tiny
import torch
from torch.nn import functional

from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.emotion_model import MODALITIES, Batch, ModelSpec
from avemo_ros.zoo.model_registry import BUILDER, KINDS


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_every_kind_answers_each_row_by_what_it_has(raw: dict[str, Any]) -> None:
    model = tiny.made(raw)
    given = tiny.batch(model.face_side)
    with torch.inference_mode():
        answer = model(given)
    assert model.modality in MODALITIES
    assert model.classes in (EMOTIONS, SPEECH_CLASSES)
    assert answer.logits.shape == (4, len(model.classes))
    assert bool(answer.logits.isfinite().all())
    assert bool((answer.logits[3] == 0).all()), "a row with nothing has no preference"
    reads = {
        "face": [0, 1],
        "audio": [0, 2],
        "av": [0, 1, 2],
        "au": [0, 1],
        "au+audio": [0, 1, 2],
        "landmarks": [0, 1],
        "landmarks+audio": [0, 1, 2],
    }[model.modality]
    for row in range(3):
        assert bool((answer.logits[row] != 0).any()) == (row in reads)


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_a_row_is_answered_the_same_whatever_is_beside_it(raw: dict[str, Any]) -> None:
    model = tiny.made(raw)
    given = tiny.batch(model.face_side)
    with torch.inference_mode():
        whole = model(given).logits
        for row in range(3):
            frames = max(1, int(given.face_mask[row].sum()))
            one = Batch(
                faces=given.faces[row : row + 1, :frames],
                face_mask=given.face_mask[row : row + 1, :frames],
                speech=given.speech[row : row + 1],
                speech_mask=given.speech_mask[row : row + 1],
                units=given.units[row : row + 1],
                units_mask=given.units_mask[row : row + 1],
                points=given.points[row : row + 1, :frames],
                points_mask=given.points_mask[row : row + 1, :frames],
            )
            assert torch.allclose(model(one).logits[0], whole[row], atol=1e-5), row


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_what_is_masked_has_no_influence(raw: dict[str, Any]) -> None:
    model = tiny.made(raw)
    given = tiny.batch(model.face_side)
    with torch.inference_mode():
        before = model(given).logits
        given.faces[~given.face_mask] = 100.0
        given.speech[~given.speech_mask] = 100.0
        given.units[~given.units_mask] = 100.0
        given.points[~given.points_mask] = 100.0
        assert torch.equal(model(given).logits, before)


@pytest.mark.parametrize("raw", [*tiny.TOGETHER, tiny.LIVE], ids=tiny.name)
def test_a_fusion_without_a_modality_in_the_batch_is_one_that_misses_it_in_each_row(
    raw: dict[str, Any],
) -> None:
    model = tiny.made(raw)
    given = tiny.batch(model.face_side)
    nobody = torch.zeros(4, dtype=torch.bool)
    with torch.inference_mode():
        left_out = model(Batch(speech=given.speech, speech_mask=given.speech_mask))
        masked = model(
            Batch(
                faces=given.faces,
                face_mask=torch.zeros_like(given.face_mask),
                speech=given.speech,
                speech_mask=given.speech_mask,
                units=given.units,
                units_mask=nobody,
                points=given.points,
                points_mask=torch.zeros_like(given.points_mask),
            )
        )
    assert torch.equal(left_out.logits, masked.logits)


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_gradients_reach_every_parameter_and_are_finite(raw: dict[str, Any]) -> None:
    model = tiny.made(raw).train()
    answer = model(tiny.batch(model.face_side))
    loss = functional.cross_entropy(answer.logits, torch.tensor([0, 1, 2, 3]))
    for part in answer.parts.values():
        loss = loss + functional.cross_entropy(part, torch.tensor([0, 1, 2, 3]))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_training_in_bfloat16_gives_finite_losses(raw: dict[str, Any]) -> None:
    model = tiny.made(raw).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tiny.batch(model.face_side)).logits
    loss = functional.cross_entropy(logits.float(), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    assert bool(loss.isfinite())


@pytest.mark.parametrize("attention", ["cells", "time", "mean"])
@pytest.mark.parametrize("norm", ["batch", "local", "none"])
@pytest.mark.parametrize("front", ["log", "log+mean+delta"])
def test_every_variant_of_the_speech_network_reads_63_columns_and_more(
    attention: str, norm: str, front: str
) -> None:
    model = tiny.made({**tiny.SPEECH, "attention": attention, "norm": norm, "front": front})
    with torch.inference_mode():
        for columns in (63, 200):
            assert model(Batch(speech=torch.randn(2, 1, columns, 200))).logits.shape == (2, 8)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"kind": "resnet"}, r"'model\.kind' is 'resnet'; allowed: speech_fcn"),
        ({"kind": "speech_fcn", "norms": "batch"}, r"'model\.norms' is 'batch'.*norm"),
        ({"kind": "speech_fcn", "norm": "layer"}, r"allowed: batch \| local \| none"),
        ({"kind": "speech_fcn", "sharpness": 1.5}, r"'model\.sharpness' is 1\.5.*0 to 1"),
        ({"kind": "speech_fcn", "sharpness": True}, r"'model\.sharpness' is True"),
        ({"kind": "speech_fcn", "sharpness": float("nan")}, r"0 to 1"),
        ({"kind": "speech_fcn", "channels": [1, 2]}, r"torchvision \| paper \| a list of 5"),
        ({"kind": "speech_fcn", "channels": "caffe"}, r"torchvision \| paper"),
        ({"kind": "face_cnn", "blocks": [1, 1]}, r"'model\.blocks'.*as many numbers as widths"),
        ({"kind": "face_cnn", "stem": 0}, r"a whole number from 1 to 256"),
        (
            {
                "kind": "fbp",
                "visual": {"kind": "vgg_lstm", "frames": {**tiny.FACE, "blocks": [1]}},
            },
            r"'model\.visual\.frames\.blocks' is \(1,\)",
        ),
        (
            {"kind": "inception", "widths": [12], "blocks": [1]},
            r"widths\.0' is 12; .*, a multiple of 8",
        ),
        ({"kind": "vgg_face", "side": 100}, r"a multiple of 32"),
        ({"kind": "vgg_lstm", "shuffle": "yes"}, r"true \| false"),
        ({"kind": "fbp", "audio": {"kind": "face_cnn"}}, r"'model\.audio'.*kind speech_fcn"),
        ({"kind": "fbp", "audio": {"kind": "speech_fcn", "x": 1}}, r"'model\.audio\.x'"),
        ({"kind": "fbp", "visual": "units"}, r"'model\.visual' is 'units'; allowed: a mapping"),
        ({"kind": "decision", "weights": [1, 0]}, r"'model\.weights\.1' is 0; .* 0\.001 to"),
        (
            {"kind": "fbp", "visual": {"kind": "face_cnn", "classes": "emotions"}},
            r"'model\.visual\.classes' is 'emotions'; allowed: speech",
        ),
        ({"kind": "live", "speech": {"kind": "speech_fcn", "classes": "emotions"}}, "speech"),
        ({"kind": "face_cnn", "attention": "self"}, r"softmax \| mean"),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_what_is_allowed(
    raw: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        BUILDER.build(ModelSpec.from_mapping(raw))


@pytest.mark.parametrize("raw", [None, [], "fbp", {}, {"kind": 3}])
def test_a_specification_without_a_kind_is_refused(raw: object) -> None:
    with pytest.raises(ConfigError, match="model"):
        ModelSpec.from_mapping(raw)


@pytest.mark.parametrize("kind", KINDS)
def test_the_documented_default_of_every_option_is_allowed(kind: str) -> None:
    complete = BUILDER.check(ModelSpec(kind))
    assert set(complete.options) == set(KINDS[kind].options.names())
    assert BUILDER.check(complete).to_json() == complete.to_json()
    for option in KINDS[kind].options.settings():
        assert option.description
        assert option.allowed


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_a_specification_survives_the_way_through_text(raw: dict[str, Any]) -> None:
    import json

    complete = BUILDER.lasting(BUILDER.check(ModelSpec.from_mapping(raw)))
    back = ModelSpec.from_mapping(json.loads(complete.to_json()))
    assert BUILDER.lasting(BUILDER.check(back)).to_json() == complete.to_json()


def test_a_start_is_no_part_of_what_a_model_is() -> None:
    complete = BUILDER.check(
        ModelSpec("fbp", {"audio": {"kind": "speech_fcn", "imagenet": "a.pth"}})
    )
    assert "imagenet" in complete.options["audio"].options
    assert "imagenet" not in BUILDER.lasting(complete).options["audio"].options


def test_the_default_face_cnn_is_the_released_one() -> None:
    from avemo_ros.model.face_cnn import FaceBranch

    torch.manual_seed(0)
    model = BUILDER.build(ModelSpec("face_cnn"))
    shapes = {name: tuple(t.shape) for name, t in FaceBranch().state_dict().items()}
    ours = model.state_dict()
    assert {f"branch.{name}": shape for name, shape in shapes.items()} == {
        name: tuple(t.shape) for name, t in ours.items()
    }


def test_the_same_seed_gives_the_same_network() -> None:
    one, other = tiny.made(tiny.fused("fbp")), tiny.made(tiny.fused("fbp"))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


@pytest.mark.parametrize(
    "code",
    [
        "from avemo_ros.config import ModelConfig\n"
        "from avemo_ros.model.predictor import Predictor\n"
        "Predictor(ModelConfig())\n",
        "import avemo_ros.cli.predict, avemo_ros.pipeline\n",
        pytest.param("import avemo_ros.nodes.emotion_stack\n", marks=pytest.mark.ros),
    ],
)
def test_the_robot_does_not_import_what_it_never_runs(code: str) -> None:
    if "nodes" in code:
        pytest.importorskip("rclpy", reason="no rclpy: run `make setup`")
    research = (
        "avemo_ros.zoo", "avemo_ros.train", "avemo_ros.evaluate", "avemo_ros.replay",
        "avemo_ros.model.face_cnn",
    )  # fmt: skip
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\n{code}"
            f"print(*[name for name in sys.modules if name.startswith({research})])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
