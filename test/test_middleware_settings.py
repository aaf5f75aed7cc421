"""Settings of the middleware in config/, and how they reach the nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from avemo_ros.nodes import host

FAST = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
IMAGE_1080P, IMAGE_4K = 1920 * 1080 * 3, 3840 * 2160 * 3
DOCKER_BYTES = 64 * 1024 * 1024
"""What a container has in /dev/shm unless it is asked for more."""


@pytest.mark.parametrize(
    "name",
    [
        *(file.name for file in host.SETTINGS_FILES.values()),
        "fastdds_4k.xml",
        "cyclonedds_4k.xml",
    ],
)
def test_each_file_can_be_read_and_is_told_of(repository: Path, name: str) -> None:
    assert ET.parse(repository / "config" / name).getroot().tag.startswith("{http")
    assert f"(../config/{name})" in (repository / "docs" / "nodes.md").read_text("utf-8")


def fast_dds(repository: Path, name: str) -> tuple[list[tuple[str, str]], int]:
    """All other settings of a file, and its shared memory [bytes]."""
    elements = list(ET.parse(repository / "config" / name).iter())
    (segment,) = (one for one in elements if one.tag == f"{FAST}segment_size")
    others = [(one.tag, (one.text or "").strip()) for one in elements if one is not segment]
    return others, int(segment.text or "")


def test_segments_hold_the_images_that_they_are_for(repository: Path) -> None:
    ordinary, size = fast_dds(repository, "fastdds.xml")
    large, large_size = fast_dds(repository, "fastdds_4k.xml")
    assert ordinary == large
    assert IMAGE_1080P < size < IMAGE_4K < large_size
    # A driver and three nodes find room in a container.
    assert large_size + 3 * size < DOCKER_BYTES


def test_iceoryx_has_room_for_what_the_face_tracker_lets_wait(repository: Path) -> None:
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    text = (repository / "config" / "iceoryx_4k.toml").read_text("utf-8")
    (segment,) = tomllib.loads(text)["segment"]
    largest = segment["mempool"][-1]
    # One that is taken, one that is published and those between.
    assert largest["size"] > IMAGE_4K
    assert largest["count"] >= 1 + 1 + 5


def test_settings_that_somebody_gave_stay() -> None:
    config = Path("/share/config")
    assert host.settings_to_set(config, {"FASTRTPS_DEFAULT_PROFILES_FILE": ""}) == {
        "FASTRTPS_DEFAULT_PROFILES_FILE": "/share/config/fastdds.xml",
        "CYCLONEDDS_URI": "file:///share/config/cyclonedds.xml",
    }
    newer = {"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}
    assert set(host.settings_to_set(config, newer)) == {"CYCLONEDDS_URI"}
    cyclone = {"CYCLONEDDS_URI": "<CycloneDDS/>"}
    assert set(host.settings_to_set(config, cyclone)) == {"FASTRTPS_DEFAULT_PROFILES_FILE"}


LAUNCH = """
import os, sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

# In place of a node, what it would see.
Node.execute = lambda self, context: print("SEEN", *(os.environ[name] for name in %r))
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(IncludeLaunchDescription(source))
sys.exit(service.run())
"""


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize("given", ["", "/mine.xml"])
def test_nodes_of_the_launch_file_have_them(repository: Path, given: str) -> None:
    pytest.importorskip("launch_ros", reason="it needs a ROS installation")
    names = [file.variables[-1] for file in host.SETTINGS_FILES.values()]
    result = subprocess.run(
        [sys.executable, "-c", LAUNCH % names, repository / "launch" / "emotion.launch.py"],
        env=os.environ | dict.fromkeys(names, given),
        check=True,
        capture_output=True,
        text=True,
    )
    seen = next(line for line in result.stdout.splitlines() if line.startswith("SEEN"))
    files = [Path(word.removeprefix("file://")) for word in seen.split()[1:]]
    if given:
        assert files == [Path(given)] * len(names)
    else:
        assert [file.name for file in files] == [
            file.name for file in host.SETTINGS_FILES.values()
        ]
        assert all(file.is_absolute() for file in files)


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(200)
def test_what_arrives_is_counted(repository: Path) -> None:
    pytest.importorskip("rclpy", reason="no rclpy: run `make setup`")
    result = subprocess.run(
        [
            sys.executable, repository / "tools" / "image_transport.py", "default",
            "--sizes", "64x48", "--seconds", "1", "--reliable",
        ],
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip
    cells = [cell.strip() for cell in result.stdout.splitlines()[-1].split("|")[1:-1]]
    assert cells[:3] == ["default", "64x48", "reliable"]
    assert cells[3].endswith(" of 10")


@pytest.mark.ros
def test_settings_that_are_not_there_are_named(repository: Path) -> None:
    pytest.importorskip("rclpy", reason="no rclpy: run `make setup`")
    result = subprocess.run(
        [sys.executable, repository / "tools" / "image_transport.py", "/none.xml"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, "'/none.xml'" in result.stderr) == (2, True)
