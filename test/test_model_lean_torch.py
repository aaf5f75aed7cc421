"""PyTorch as the robot imports it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from avemo_ros.model import lean_torch


def in_a_fresh_process(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_release_of_our_lock_file_is_one_that_was_tried() -> None:
    assert torch.__version__.startswith(lean_torch.TRIED)


def test_what_only_compilers_need_is_not_imported_by_the_predictor() -> None:
    late = ["torch._meta_registrations", "torch._decomp.decompositions", "torch._refs"]
    assert (
        in_a_fresh_process(
            "import sys, avemo_ros.model.predictor\n"
            f"print(*[name for name in {late} if name in sys.modules])"
        )
        == []
    )


def test_what_was_left_out_is_there_for_who_asks() -> None:
    shape, compiled = in_a_fresh_process(
        "import avemo_ros.model.predictor, gc, torch\n"
        "from torch._subclasses.fake_tensor import FakeTensorMode\n"
        "assert gc.isenabled()\n"
        "with FakeTensorMode():\n"
        "    print(torch.nn.Conv1d(2, 3, 3)(torch.zeros(1, 2, 9)).std(2).shape[1])\n"
        "double = torch.compile(lambda x: 2 * x, backend='eager')\n"
        "print(int(double(torch.ones(1))))"
    )
    assert (shape, compiled) == ("3", "2")


@pytest.mark.parametrize(
    "module",
    ["torch._decomp", "torch._meta_registrations", "torch._prims.rng_prims", "torch.onnx"],
)
def test_what_rests_on_it_is_loaded_once_and_in_order(module: str) -> None:
    assert in_a_fresh_process(
        f"import avemo_ros.model.predictor, sys, {module}\n"
        f"first = sys.modules[{module!r}]\n"
        "import torch, torch._refs, torch._dynamo\n"
        f"print(sys.modules[{module!r}] is first, first.__spec__.name)\n"
        "torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))"
    ) == ["True", module]


def test_a_release_that_was_not_tried_is_imported_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(lean_torch, "TRIED", ("1.0",))
    before = list(sys.meta_path)
    lean_torch.install()
    assert sys.meta_path == before
