"""The package is described completely and points one way."""

from __future__ import annotations

import ast
import collections
import configparser
import functools
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
    "cv2": "opencv-contrib-python",
    "google": "protobuf",
    "httpx2": "httpx2",
    "markdown_it": "markdown-it-py",
    "mcap": "mcap",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "openai": "openai",
    "pyaudio": "PyAudio",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic_core",
    "rosbags": "rosbags",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "simplejpeg": "simplejpeg",
    "torch": "torch",
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
    "sklearn": "scikit-learn",
    "tensorboard": "tensorboard",
}
"""The extra `train`: what a robot has not got."""
FOR_STUDIES = {"pyarrow": "pyarrow"}
"""The extra `study`: only for tables in Parquet."""
BROUGHT_ALONG = {"httpx2", "protobuf", "pydantic_core"}
"""openai's, mediapipe's and pydantic's, of the release that each asks for."""
OPTIONAL = {"PyAudio"}
OPTIONAL_ROS = {"hri_msgs"}
"""Not needed, and used where it is installed: ROS4HRI is not part of every workspace."""


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
    lines = [line.split(";")[0].strip() for line in path.read_text().splitlines()]
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
    extras = setup["options.extras_require"]
    for_studies = re.findall(r"^([\w-]+)", extras["study"], re.MULTILINE)
    for package in [*extra, *for_studies]:
        assert package in locked(repository / "tools" / "requirements" / "train.lock") | locked(
            repository / "tools" / "requirements" / "core.lock"
        )
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
        else:
            assert name in ros | OPTIONAL_ROS, (
                f"{path} imports {name}, which package.xml does not name"
            )


def test_the_robot_needs_nothing_of_the_training_extra(repository: Path) -> None:
    code = (
        "import sys; import avemo_ros.pipeline, avemo_ros.cli.predict;"
        f"print(sorted({set(FOR_TRAINING | FOR_STUDIES)!r} & set(sys.modules)))"
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
    # Of silero-vad only its ONNX model is read, not the module.
    assert set(wanted) - used == {"silero-vad"}


@pytest.mark.parametrize("lock", ["core", "torch", "microphone", "dev", "train", "ros"])
def test_every_requirement_is_locked_to_one_version(repository: Path, lock: str) -> None:
    path = repository / "tools" / "requirements" / f"{lock}.lock"
    for line in path.read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(
            r"[\w.-]+==[\w.+]+(; python_version < \"3\.11\")?", line
        ), line


def test_only_nodes_import_ros(repository: Path) -> None:
    ros = set(outside(repository)) - set(FROM_PYPI) - set(FOR_TRAINING | FOR_STUDIES)
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
