"""Starting from weights that others published."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.builder import init_notes
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.tensor_file import read_state_dict
from avemo_ros.zoo.face_models import GREY_LEVELS, VggFace, load_published
from avemo_ros.zoo.model_registry import BUILDER

ALEXNET = {
    0: (64, 3, 11),
    3: (192, 64, 5),
    6: (384, 192, 3),
    8: (256, 384, 3),
    10: (256, 256, 3),
}


def alexnet() -> dict[str, Tensor]:
    """As the convolutions of torchvision's state dict."""
    torch.manual_seed(0)
    state: dict[str, Tensor] = {"classifier.1.bias": torch.zeros(4096)}
    for place, (made, given, kernel) in ALEXNET.items():
        state[f"features.{place}.weight"] = torch.randn(made, given, kernel, kernel)
        state[f"features.{place}.bias"] = torch.randn(made)
    return state


def vgg(prefix: str = "conv_{}_{}", width: int = 1) -> dict[str, Tensor]:
    """As common ports of VGG-Face name it, with few channels."""
    torch.manual_seed(1)
    state: dict[str, Tensor] = {}
    given = 3
    place = 0
    for block, (made, count) in enumerate([(1, 2), (2, 2), (4, 3), (8, 3), (8, 3)], 1):
        for index in range(1, count + 1):
            name = prefix.format(block, index) if "{" in prefix else f"features.{place}"
            state[f"{name}.weight"] = torch.randn(made * width, given, 3, 3)
            state[f"{name}.bias"] = torch.randn(made * width)
            given = made * width
            place += 2
        place += 1
    return state


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("front", ["log", "log+mean+delta"])
@pytest.mark.parametrize("norm", ["batch", "local"])
def test_the_speech_network_starts_from_images(
    ending: str, front: str, norm: str, tmp_path: Path
) -> None:
    path = tmp_path / f"alexnet.{ending}"
    state = alexnet()
    if ending == "pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    options = {"imagenet": str(path), "front": front, "norm": norm}
    model = BUILDER.build(ModelSpec("speech_fcn", options))
    first, second = model.branch.encoder.convolutions[:2]
    images = state["features.0.weight"]
    expected = images.sum(1, keepdim=True) if front == "log" else images
    assert torch.equal(first.weight, expected)
    assert torch.equal(second.weight, state["features.3.weight"])
    (note,) = init_notes(model)
    assert "features.10.weight" in note
    assert ("features.0.bias" in note) == (norm == "local")
    if norm == "local":
        assert torch.equal(second.bias, state["features.3.bias"])


def test_what_is_no_alexnet_is_refused_with_what_differs(tmp_path: Path) -> None:
    state = alexnet()
    state["features.3.weight"] = torch.zeros(5, 64, 5, 5)
    del state["features.8.weight"]
    path = tmp_path / "a.safetensors"
    save_file(state, path)
    with pytest.raises(WeightsError) as caught:
        BUILDER.build(ModelSpec("speech_fcn", {"imagenet": str(path)}))
    assert "features.8.weight is missing" in str(caught.value)
    assert "features.3.weight is (5, 64, 5, 5), not (192, 64, 5, 5)" in str(caught.value)


def test_images_do_not_fit_the_channels_of_the_paper() -> None:
    with pytest.raises(ConfigError, match=r"channels.*torchvision, to start"):
        BUILDER.build(ModelSpec("speech_fcn", {"imagenet": "a.pth", "channels": "paper"}))


@pytest.mark.parametrize("names", ["conv_{}_{}", "conv{}_{}", "module.conv{}_{}", "features"])
def test_published_face_weights_are_known_by_the_names_of_common_ports(
    names: str, tmp_path: Path
) -> None:
    path = tmp_path / "vgg.pth"
    state = vgg(names)
    torch.save({"state_dict": state}, path)
    model = BUILDER.build(
        ModelSpec("vgg_face", {"width": 1, "side": 32, "published": str(path)})
    )
    layers = model.branch.cnn.convolutions
    values = list(state.values())
    assert torch.equal(layers["conv1_1"].weight, GREY_LEVELS * values[0])
    assert torch.equal(layers["conv5_3"].weight, values[-2])
    assert torch.equal(layers["conv5_3"].bias, values[-1])
    assert init_notes(model) == ("took 26 tensors of vgg.pth: conv1_1 to conv5_3",)


@pytest.mark.parametrize("names", [("fc6", "fc7"), ("classifier.0", "classifier.3")])
def test_dense_layers_are_taken_too_where_the_network_keeps_them(
    names: tuple[str, str], tmp_path: Path
) -> None:
    state = vgg()
    for name, given in zip(names, (8, 64), strict=True):
        state[f"{name}.weight"] = torch.randn(64, given)
        state[f"{name}.bias"] = torch.randn(64)
    path = tmp_path / "vgg.safetensors"
    save_file(state, path)
    network = VggFace(1, "fc7", side=32)
    load_published(network, path)
    assert torch.equal(network.dense["fc7"].weight, state[f"{names[1]}.weight"])


def test_the_first_filters_expect_grey_levels_and_get_standardised_images(
    tmp_path: Path,
) -> None:
    path = tmp_path / "vgg.safetensors"
    state = vgg()
    save_file(state, path)
    network = VggFace(1, side=32)
    load_published(network, path)
    image = torch.randn(1, 1, 32, 32)
    theirs = nn.functional.conv2d(
        GREY_LEVELS * image.expand(-1, 3, -1, -1),
        state["conv_1_1.weight"],
        state["conv_1_1.bias"],
        padding=1,
    )
    ours = network.convolutions["conv1_1"](image.expand(-1, 3, -1, -1))
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-2)


def test_other_weights_are_refused_with_what_differs(tmp_path: Path) -> None:
    state = vgg()
    del state["conv_5_3.bias"]
    state["conv_2_1.weight"] = torch.zeros(3, 3, 3, 3)
    path = tmp_path / "vgg.safetensors"
    save_file(state, path)
    with pytest.raises(WeightsError) as caught:
        load_published(VggFace(1, side=32), path)
    assert "conv5_3.bias is missing" in str(caught.value)
    assert "conv2_1.weight is (3, 3, 3, 3), not (2, 1, 3, 3)" in str(caught.value)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code of the file ran",))


def test_a_file_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trap.pth"
    torch.save({"weight": torch.zeros(1), "trap": Trap()}, path)
    with pytest.raises(WeightsError, match="could run code"):
        read_state_dict(path)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(WeightsError, match="could run code"):
        read_state_dict(tmp_path / "plain.pt")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pth", [1, 2], "no dictionary of tensors"),
        ("a.pt", {"epoch": 3}, "holds no tensors"),
        ("a.h5", {}, "ending '.h5'"),
    ],
)
def test_a_file_without_tensors_is_refused(
    name: str, content: object, message: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / name)
    with pytest.raises(WeightsError, match=message):
        read_state_dict(tmp_path / name)
    with pytest.raises(WeightsError, match="does not exist"):
        read_state_dict(tmp_path / "gone.pth")
