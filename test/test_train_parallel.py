import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_tree import write_speech
from training_worker import train

from avemo_ros.errors import ConfigError
from avemo_ros.train.optimisation import Processes, pick_device

HERE = Path(__file__).parent


def environment() -> dict[str, str]:
    paths = os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}


def torchrun(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        + [str(part) for part in command],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def two_workers(*command: object) -> None:
    """Two processes as torchrun starts them, without the launcher."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = [sys.executable, *map(str, command)]
    started = [
        subprocess.Popen(
            words,
            env={**environment(), **shared, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    try:
        ends = [one.communicate(timeout=240) for one in started]
    finally:
        for one in started:
            one.kill()
    assert [one.returncode for one in started] == [0, 0], ends


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    two_workers(HERE / "training_worker.py", tmp_path)
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    alone = train(tmp_path / "alone", Processes(torch.device("cpu")))
    assert first == second, "the same weights, losses and figures in both"
    assert first["nll"] == [1.0] * 3, "process 0 alone validates"
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert first["weights"] == pytest.approx(alone["weights"], abs=1e-4)
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 3


def test_the_command_trains_in_two_processes(tmp_path: Path) -> None:
    write_speech(tmp_path / "data", (2, 3))
    script = tmp_path / "avemo.py"
    script.write_text(
        "import argparse, sys\n"
        "from avemo_ros.cli import train\n"
        "parser = argparse.ArgumentParser()\n"
        "train.add_arguments(parser)\n"
        "sys.exit(train.run(parser.parse_args()))\n"
    )
    done = torchrun(
        script,
        "speech-fcn",
        "--root",
        f"ravdess={tmp_path / 'data' / 'ravdess'}",
        "--out",
        tmp_path / "run",
        "--device",
        "cpu",
        "--set",
        "data={train: [{name: ravdess, options: {modality: audio}}], folds: [[2], [3]], "
        "final: false, validation: {name: ravdess}}",
        "--set",
        "model.channels=[8, 8, 8, 8, 8]",
        "--set",
        "training={epochs: 2, batch: 4, rate: 1e-3}",
    )
    assert done.returncode == 0, done.stderr
    for fold in ("fold0", "fold1"):
        assert (tmp_path / "run" / fold / "model.safetensors").is_file()
        assert len((tmp_path / "run" / fold / "log.jsonl").read_text().splitlines()) == 2
    assert done.stdout.count("fold0: 2 epochs") == 1, "process 0 alone says what came out"


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'tpu'; allowed: auto \| cpu \| cuda"):
        pick_device("tpu")
    assert pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no GPU"):
            pick_device("cuda")
        assert pick_device("auto").type == "cpu"
