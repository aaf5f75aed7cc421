"""Fixtures that tests of every part share."""

from __future__ import annotations

import fcntl
import functools
import gc
import importlib.util
import itertools
import os
import pickle
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Small machines: one thread per test process, and DDS that stays on this host.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

_calls = itertools.count()


def _messages_built() -> bool:
    if importlib.util.find_spec("rclpy") is None:
        return False
    return importlib.util.find_spec("avemo_ros.msg") is not None


_LONGEST = (
    "test_node_clips.py",
    "test_replay_gate.py",
    "test_train_run.py",
    "test_bag_check.py",
    "test_train_parallel.py",
)
"""Files whose tests take longest; most of the time first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the longest tests begin first, or one worker is busy with them when the others are
    done."""
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips tests marked `ros` where there is no ROS."""
    if item.get_closest_marker("ros") is not None and not _messages_built():
        pytest.skip("no rclpy, or the messages are not built: run `make setup`, . tools/env.sh")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Collects each test file by itself, whatever plugins are loaded.

    launch_testing, which every sourced ROS brings, imports a file before it is collected.  A
    file that skips itself (`pytest.importorskip` at its top) would then skip the whole folder.
    launch_testing's own tests, with a `generate_test_description`, are not used here.
    """
    module: pytest.Module = pytest.Module.from_parent(parent, path=module_path)
    return module


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds package.xml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data sets and clips: $AVEMO_DATA, else shared/data beside the repository."""
    given = os.environ.get("AVEMO_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}; set AVEMO_DATA to where it is")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a thing on disk once in a run, however many workers and files ask for it.

    `made_once(name, make)` calls `make(path)`, which creates a file or folder there, and
    returns the path.  Who comes later gets the same and must not change it.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made_once"

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder.mkdir(exist_ok=True)
        made, done = folder / name, folder / f"{name}.done"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                # What a failed attempt may have left.
                shutil.rmtree(made, ignore_errors=True)
                make(made)
                done.touch()
        return made

    return once


@pytest.fixture(scope="session")
def found_once(made_once: Callable[..., Path]) -> Callable[..., Any]:
    """As `made_once`, for what a function returns: `found_once(name, find)`."""

    def once(name: str, find: Callable[[], Any]) -> Any:
        path = made_once(f"{name}.pickle", lambda path: path.write_bytes(pickle.dumps(find())))
        return pickle.loads(path.read_bytes())

    return once


@pytest.fixture(scope="session")
def quick_export() -> Iterator[None]:
    """Exports to ONNX after the first take about half of the time from here on.

    For each of them torch reads the source of its two thousand operators anew; what it finds
    is the same each time.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:  # no onnxscript, or another torch
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        known = functools.cache(ONNXRegistry.from_torchlib)
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(known))
        yield


DOMAINS = 101
"""DDS domains 1 to 101 are free of the ports that Linux gives to others."""


def _free_domain() -> int:
    """The next domain of this worker: no two workers of a run ever use the same one."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = DOMAINS // workers
    # Runs side by side begin elsewhere.
    run = zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())).encode())
    call = next(_calls)
    if call and call % share == 0:
        # An ended node leaves its domain only when it is garbage collected.
        gc.collect()
    return 1 + (run + worker * share + call % share) % DOMAINS


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A DDS domain of the test's own, set as ROS_DOMAIN_ID: for its processes, too."""
    domain = _free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain
