"""The package is described completely and points one way."""

from __future__ import annotations

import ast
import collections
import configparser
import functools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import avemo_ros

# Import name -> name on PyPI.
FROM_PYPI = {
    "anyio": "anyio",
    "av": "av",
    "cv2": "opencv-python-headless",
    "httpx2": "httpx2",
    "lz4": "lz4",
    "markdown_it": "markdown-it-py",
    "mcap": "mcap",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "openai": "openai",
    "pyaudio": "PyAudio",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic_core",
    "rosbags": "rosbags",
    "safetensors": "safetensors",
    "simplejpeg": "simplejpeg",
    "tqdm": "tqdm",
    "yaml": "PyYAML",
    "zstandard": "zstandard",
}
FOR_TRAINING = {
    "jinja2": "Jinja2",
    "markupsafe": "MarkupSafe",
    "matplotlib": "matplotlib",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    "opensmile": "opensmile",
    "optuna": "optuna",
    "plotly": "plotly",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tensorboard": "tensorboard",
    "torch": "torch",
}
"""The extra `train`: what a robot has not got."""
FOR_STUDIES = {"pyarrow": "pyarrow"}
"""The extra `study`: only for tables in Parquet."""
FOR_AGENTS = {"mcp": "mcp"}
"""The extra `mcp`: only for `avemo mcp`."""
FOR_IDENTITY = {"cryptography": "cryptography"}
"""The extra `identity`: only for the encrypted file of people."""
IN_EXTRAS = FOR_TRAINING | FOR_STUDIES | FOR_AGENTS | FOR_IDENTITY
BROUGHT_ALONG = {"httpx2", "pydantic_core"}
"""openai's and pydantic's, of the release that each asks for."""
OPTIONAL = {"PyAudio"}
OPTIONAL_ROS = {"bond", "hri_msgs", "py_trees"}
"""Not needed, and used where they are installed: neither is part of every workspace."""


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Absolute module names that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def sources(repository: Path) -> list[Path]:
    return sorted((repository / "avemo_ros").rglob("*.py"))


def outside(repository: Path) -> dict[str, Path]:
    """Top-level names of third parties that the code imports, each with a file that does."""
    found: dict[str, Path] = {}
    for path in sources(repository):
        for name in imports(path):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top != "avemo_ros":
                found[top] = path
    return found


def locked(path: Path) -> dict[str, str]:
    """Versions by name of a requirements file."""
    lines = [re.split("; | --", line)[0] for line in path.read_text().splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def declared(repository: Path, *kinds: str) -> set[str]:
    root = ET.parse(repository / "package.xml").getroot()
    return {element.text or "" for kind in kinds for element in root.iter(kind)}


def test_every_place_names_the_same_version_and_licence(repository: Path) -> None:
    root = ET.parse(repository / "package.xml").getroot()
    assert root.findtext("version") == avemo_ros.__version__
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg")
    assert setup["metadata"]["license"] == root.findtext("license") == "Apache-2.0"
    assert "Apache License" in (repository / "LICENSE").read_text()


def test_every_third_party_import_is_declared(repository: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg")
    wanted = re.findall(r"^([\w-]+)", setup["options"]["install_requires"], re.MULTILINE)
    extra = re.findall(r"^([\w-]+)", setup["options.extras_require"]["train"], re.MULTILINE)
    folder = repository / "tools" / "requirements"
    extras = setup["options.extras_require"]
    for_studies = re.findall(r"^([\w-]+)", extras["study"], re.MULTILINE)
    for package in [*extra, *for_studies]:
        locks = (locked(folder / f"{name}.lock") for name in ("train", "torch", "core"))
        assert package in set().union(*locks)
    versions: dict[str, str] = {}
    for lock in ("core", "torch", "microphone"):
        versions |= locked(repository / "tools" / "requirements" / f"{lock}.lock")
    ros = declared(repository, "depend", "exec_depend")
    for name, path in outside(repository).items():
        if name in FROM_PYPI:
            package = FROM_PYPI[name]
            assert package in versions, f"{path} imports {name}, no lock has {package}"
            assert package in {*wanted, *BROUGHT_ALONG, *OPTIONAL}, f"{path} imports {name}"
        elif name in FOR_TRAINING:
            assert FOR_TRAINING[name] in extra, f"{path} imports {name}, [train] lacks it"
        elif name in FOR_STUDIES:
            assert FOR_STUDIES[name] in for_studies, f"{path} imports {name}"
        elif name in FOR_AGENTS:
            assert re.findall(r"^[\w-]+", extras["mcp"], re.MULTILINE) == [FOR_AGENTS[name]]
            assert FOR_AGENTS[name] in locked(folder / "dev.lock")
        elif name in FOR_IDENTITY:
            assert FOR_IDENTITY[name] in re.findall(
                r"^[\w-]+", extras["identity"], re.MULTILINE
            )
            assert FOR_IDENTITY[name] in locked(folder / "dev.lock")
        else:
            assert name in ros | OPTIONAL_ROS, (
                f"{path} imports {name}, which package.xml does not name"
            )


def test_the_robot_needs_nothing_of_the_training_extra(repository: Path) -> None:
    code = (
        "import sys; import avemo_ros.pipeline, avemo_ros.cli.predict;"
        f"print(sorted({set(IN_EXTRAS)!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_nothing_is_declared_that_is_not_used(repository: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg")
    wanted = re.findall(r"^([\w-]+)", setup["options"]["install_requires"], re.MULTILINE)
    used = {(FROM_PYPI | FOR_TRAINING).get(name) for name in outside(repository)}
    assert set(wanted) - used == set()


@pytest.mark.parametrize("lock", ["core", "torch", "microphone", "dev", "train", "ros"])
def test_every_requirement_is_locked_to_one_version_and_its_files(
    repository: Path, lock: str
) -> None:
    path = repository / "tools" / "requirements" / f"{lock}.lock"
    # Other indexes than PyPI have other wheels of PyTorch.
    hashes = "" if lock == "torch" else r"( --hash=sha256:[0-9a-f]{64})+"
    for line in path.read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(
            r"[\w.-]+==[\w.+]+(; python_version (<|>=) \"3\.1[14]\")?" + hashes, line
        ), line


def test_only_nodes_import_ros(repository: Path) -> None:
    extras = IN_EXTRAS
    ros = set(outside(repository)) - set(FROM_PYPI) - set(extras)
    assert "rclpy" in ros
    for path in sources(repository):
        if "nodes" in path.relative_to(repository).parts:
            continue
        found = {name.split(".")[0] for name in imports(path)} & ros
        found |= {
            name
            for name in imports(path)
            if name.startswith(("avemo_ros.msg", "avemo_ros.srv"))
        }
        assert not found, f"{path} imports {found}"


def test_every_executable_has_its_module(repository: Path) -> None:
    cmake = (repository / "CMakeLists.txt").read_text()
    listed = re.search(r"foreach\(node ([\w\s]+)\)", cmake)
    assert listed is not None
    modules = [f"nodes/{node}" for node in listed[1].split()]
    for module in [*modules, "cli/main"]:
        path = repository / "avemo_ros" / f"{module}.py"
        assert path.is_file(), f"CMakeLists.txt installs an executable for {module}"
        names = {
            node.name for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef)
        }  # fmt: skip
        assert "main" in names, f"{path} has no main()"


def test_no_two_modules_or_public_classes_share_a_name(repository: Path) -> None:
    paths = [path for path in sources(repository) if path.name != "__init__.py"]
    classes = [
        node.name
        for path in paths
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    for names in ([path.stem for path in paths], classes):
        assert [name for name, count in collections.Counter(names).items() if count > 1] == []


def test_pytorch_is_one_that_runs_no_code_of_the_weights_it_reads(repository: Path) -> None:
    """Before 2.6, `weights_only` could be got round (CVE-2025-32434)."""
    setup = (repository / "setup.cfg").read_text()
    bounds = re.findall(r"^\s*torch >= (\d+)\.(\d+)", setup, re.MULTILINE)
    assert bounds
    assert all((int(major), int(minor)) >= (2, 6) for major, minor in bounds)


@pytest.mark.ros
def test_the_nodes_load_no_figures_and_write_nothing_into_the_home_folder(
    repository: Path, tmp_path: Path
) -> None:
    """Matplotlib would make a cache of fonts there."""
    nodes = [path.stem for path in sorted((repository / "avemo_ros" / "nodes").glob("*.py"))]
    code = (
        "import importlib, sys\n"
        f"for name in {[name for name in nodes if name != '__init__']}:\n"
        "    importlib.import_module(f'avemo_ros.nodes.{name}')\n"
        "import avemo_ros.vision.analyzer, avemo_ros.pipeline\n"
        "from avemo_ros.vision.detector import BlazeFace\n"
        f"print(sorted({set(FOR_TRAINING) - {'onnx'}!r} & set(sys.modules)))"
    )
    home = tmp_path / "home"
    home.mkdir()
    named = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=120, env=os.environ | named,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
    assert [path.name for path in home.rglob("*") if path.is_file()] == []
